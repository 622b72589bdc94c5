"""``ecgpipe sample`` and ``ecgpipe export``, read back by other libraries."""

from __future__ import annotations

from pathlib import Path

import ecgen_eval
import edfio
import numpy as np
import pandas as pd
import pytest
import wfdb
from beating import Command

import ecgpipe
from ecgpipe.leads import LEADS


def _read(form: str, folder: Path, row: int) -> np.ndarray:
    path = folder / "class_mean_pca" / f"s{row + 1:06d}"
    if form == "npy":
        return np.asarray(np.load(folder / "signals.npy")[row])
    if form == "wfdb":
        return wfdb.rdrecord(str(path)).p_signal.T
    if form == "csv":
        return pd.read_csv(path.with_suffix(".csv"))[list(LEADS)].to_numpy().T
    edf = edfio.read_edf(path.with_suffix(".edf"))
    assert [signal.label for signal in edf.signals] == [f"ECG {lead}" for lead in LEADS]
    assert {(signal.sampling_frequency, signal.physical_dimension) for signal in edf.signals} == {(100.0, "mV")}
    return np.stack([signal.data for signal in edf.signals])


@pytest.mark.parametrize("form", ["wfdb", "npy", "csv", "edf"])
def test_sampled_ecgs_are_those_of_python(form: str, run: Command, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "drawn"
    code, said, err = run("sample", model, "--class", "AFIB", "--number", 3, "--seed", 4, "--to", form, "--out", out)
    assert code == 0, err
    assert said == f"3 ECGs of AFIB, drawn by class_mean_pca, are in {out}\n"
    expected = ecgpipe.load(model).sample("AFIB", 3, seed=4)
    table = pd.read_csv(out / "records.csv")
    assert table["label"].tolist() == ["AFIB"] * 3
    for row in range(3):
        assert np.abs(_read(form, out, row) - expected[row]).max() < 0.0006
    assert (out / "SHA256SUMS.txt").exists()


def test_ecgen_eval_reads_them(run: Command, model: Path, tmp_path: Path) -> None:
    expected = ecgpipe.load(model).sample("AFIB", 3, seed=4)
    for form in ("wfdb", "npy"):
        out = tmp_path / form
        run("sample", model, "--class", "AFIB", "--number", 3, "--seed", 4, "--to", form, "--out", out)
    read = {
        "wfdb": ecgen_eval.load_ecg_wfdb(tmp_path / "wfdb" / "class_mean_pca"),
        "npy": ecgen_eval.load_ecg_npy(tmp_path / "npy" / "signals.npy", fs=100.0),
    }
    for form, found in read.items():
        assert (found.fs, list(found.lead_names)) == (100.0, list(LEADS)), form
        assert np.abs(found.data - expected).max() < 0.0006, form


def test_all_classes_that_it_knows_are_drawn(run: Command, model: Path, tmp_path: Path) -> None:
    assert run("sample", model, "--number", 2, "--to", "npy", "--out", tmp_path / "out")[0] == 0
    drawn = ecgpipe.load_dataset(tmp_path / "out")
    assert drawn.records["label"].tolist() == ["SR", "SR", "AFIB", "AFIB"]


def test_samples_can_be_exported_again(run: Command, model: Path, tmp_path: Path) -> None:
    run("sample", model, "--class", "0", "--number", 2, "--to", "npy", "--out", tmp_path / "npy")
    code, said, _ = run("export", tmp_path / "npy", "--to", "csv", "--out", tmp_path / "csv")
    assert (code, said) == (0, f"2 ECGs are in {tmp_path / 'csv'}\n")
    assert np.abs(_read("csv", tmp_path / "csv", 1) - np.load(tmp_path / "npy" / "signals.npy")[1]).max() < 0.0001


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--class", "VT"], "class_mean_pca has no class 'VT'; it has SR (0), AFIB (1), STACH (2)"),
        (["--class", "7"], "class_mean_pca has no class 7"),
        (["--class", "STACH"], "this generator saw no training record of class STACH"),
        (["--set", "guidance=2"], "`generator_settings.class_mean_pca.sample.guidance`: no such key"),
    ],
)
def test_what_cannot_be_drawn_is_one_paragraph(
    words: list[str], message: str, run: Command, model: Path, tmp_path: Path
) -> None:
    code, out, err = run("sample", model, *words, "--out", tmp_path / "out")
    assert (code, out) == (2, "")
    assert message in err
    assert not (tmp_path / "out").exists()


def test_wrong_places_are_told(run: Command, model: Path, dataset_folder: Path, tmp_path: Path) -> None:
    code, _, err = run("sample", tmp_path, "--out", tmp_path / "out")
    assert (code, err) == (
        2,
        f"ERROR: {tmp_path / 'model.json'} is missing: {tmp_path} is not the folder of a trained generator\n",
    )
    code, _, err = run("export", tmp_path, "--out", tmp_path / "out")
    assert (code, err) == (2, f"ERROR: {tmp_path / 'signals.npy'} is missing: {tmp_path} is not a dataset of ecgpipe\n")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    code, _, err = run("export", dataset_folder, "--out", tmp_path / "full")
    assert code == 2
    assert "is there already; name a folder that is not, or remove it" in err


def test_edf_without_its_package_says_what_to_install(
    run: Command, dataset_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "edfio", None)
    code, _, err = run("export", dataset_folder, "--to", "edf", "--out", tmp_path / "out")
    assert (code, err) == (2, "ERROR: EDF needs the package edfio: pip install 'ecgpipe[edf]'\n")
