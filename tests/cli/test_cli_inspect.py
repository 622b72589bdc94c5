"""``ecgpipe inspect`` says of a folder what a study would make of it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import wfdb
from beating import Command

from ecgpipe.inspection import detect
from ecgpipe.leads import LEADS, twelve_from_independent


def _write(folder: Path, name: str, seed: int, codes: str, leads: tuple[str, ...] = LEADS, rate: int = 500) -> None:
    rng = np.random.default_rng(seed)
    t = np.arange(10 * rate) / rate
    beats = np.cumsum(1 + 0.1 * rng.standard_normal(len(t))) / rate * rng.uniform(0.9, 1.4)
    beat = np.exp(-(((beats % 1 - 0.4) / 0.03) ** 2)) + 0.25 * np.exp(-(((beats % 1 - 0.7) / 0.06) ** 2))
    signals = twelve_from_independent(rng.uniform(0.7, 1.4, 8)[:, None] * beat + rng.normal(0, 0.01, (8, len(t))))
    folder.mkdir(parents=True, exist_ok=True)
    wfdb.wrsamp(
        name, fs=rate, units=["mV"] * len(leads), sig_name=list(leads), p_signal=signals.T[:, : len(leads)],
        fmt=["16"] * len(leads), adc_gain=[1000.0] * len(leads), baseline=[0] * len(leads),
        comments=[f"Dx: {codes}"], write_dir=str(folder),
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    records = tmp_path / "records"
    for number in range(6):
        _write(records / "a", f"r{number}", number, "426783006" if number % 2 else "164889003,59931005")
    _write(records / "b", "few", 90, "426783006", leads=LEADS[:8], rate=250)
    _write(records / "b", "other", 91, "251146004")
    return records


def test_what_a_study_would_keep_and_why_not(folder: Path, run: Command, tmp_path: Path) -> None:
    code, out, err = run("inspect", folder, "--excluded", tmp_path / "out.csv")
    assert code == 0, err
    assert f"{folder}: 8 records in the layout `challenge`" in out
    assert "sampling rates, Hz: 500 (7); 250 (1)" in out
    assert "A study would keep 6 and leave out 2." in out
    assert "WARNING: no rhythm has 10 test patients (" in out
    assert "add records, or give the test split more of them (`shares`, `folds`)" in out
    assert "  AFIB: 3" in out
    assert "  SR: 3" in out
    assert "1 left out as missing_lead: one of the twelve standard leads is missing" in out
    assert "  add the names of your leads to `leads.aliases`" in out
    assert "1 left out as no_study_rhythm" in out
    assert "  426783006 (sinus rhythm): 4 records, SR" in out
    assert "  251146004 (low QRS voltages): 1 records, no class" in out
    assert sorted(pd.read_csv(tmp_path / "out.csv")["record"]) == ["few", "other"]


def test_the_same_for_programs(folder: Path, run: Command) -> None:
    code, out, _ = run("inspect", folder, "--json", "--label-map", "rhythms4", "--limit", 4)
    found = json.loads(out)
    assert code == 0
    assert (found["headers"], found["looked_at"]) == (8, 4)
    assert not [warning for warning in found["warnings"] if "test patients" in warning]  # not all were looked at
    assert sum(found["kept"].values()) + sum(row["records"] for row in found["excluded"]) == 4


def test_capitals_are_read_as_the_studys_copy_has_them(folder: Path, run: Command) -> None:
    for path in list((folder / "a").iterdir()):
        path.rename(path.with_suffix(path.suffix.upper()))
    for header in (folder / "a").glob("*.HEA"):
        header.write_text(header.read_text())
    code, out, _ = run("inspect", folder)
    assert (code, "A study would keep 6 and leave out 2." in out) == (0, True)


def test_a_folder_of_which_nothing_can_be_kept_is_still_told(folder: Path, run: Command, tmp_path: Path) -> None:
    code, out, _ = run("inspect", folder / "b")
    assert code == 0
    assert "A study would keep 0 and leave out 2." in out


def test_layouts_are_told_from_files() -> None:
    assert detect(["ptbxl_database.csv", "records100/00000/00001_lr.hea"]) == "ptbxl"
    assert detect(["WFDBRecords/01/010/JS00001.hea"]) == "ecg_arrhythmia"
    assert detect(["a/r1.hea"]) == "challenge"


def test_what_cannot_be_inspected_is_told(run: Command, tmp_path: Path, folder: Path) -> None:
    (tmp_path / "empty").mkdir()
    for words, message in (
        (
            [tmp_path / "nowhere"],
            f"ERROR: {tmp_path / 'nowhere'} is no folder: name the folder that holds the records\n",
        ),
        ([tmp_path / "empty"], f"ERROR: {tmp_path / 'empty'} holds no WFDB header (*.hea): 0 other files were found\n"),
        ([folder, "--rate", 7], "ERROR: The config cannot be used:\n  - `rate`: 7 is not allowed."),
        ([folder, "--label-map", "nosuch.csv"], "nosuch.csv"),
    ):
        code, out, err = run("inspect", *words)
        assert (code, out) == (2, "")
        assert message in err
