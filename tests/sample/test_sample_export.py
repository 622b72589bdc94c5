"""WFDB records of a dataset, read back by wfdb."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import wfdb

from ecgpipe.dataset import Dataset, SignalSpec, save_dataset
from ecgpipe.files import sha256
from ecgpipe.leads import LEADS
from ecgpipe.preprocess.reading import read_header, read_leads
from ecgpipe.sample.export import export, snomed_codes

SPEC = SignalSpec(100.0, 80, ("SR", "AFIB", "OTHER"))


def write(folder: Path, **columns: object) -> Dataset:
    rng = np.random.default_rng(0)
    records = pd.DataFrame(
        {
            "record": ["s000001", "s000002", "s000003"],
            "patient": ["s000001", "s000002", "s000003"],
            "label": ["AFIB", "SR", "OTHER"],
            "split": "train",
            "source": "diffwave",
            "age": [np.nan, 61.0, 40.5],
            "sex": ["unknown", "female", "male"],
            "codes": "",
            "generator": "diffwave",
            "seed": [11, 12, 13],
            "sampler": pd.Series(["ddim"] * 3, dtype="string"),
            "evaluations": pd.Series([20] * 3, dtype="Int64"),
            "guidance": pd.Series([None] * 3, dtype="Float64"),
        }
    ).assign(**columns)
    save_dataset(folder, rng.normal(0, 1, (3, 12, 80)).astype(np.float32), records, SPEC)
    return Dataset.load(folder)


def test_wfdb_reads_what_was_exported(tmp_path: Path) -> None:
    dataset = write(tmp_path / "data")
    export(dataset, tmp_path / "out", snomed_codes("rhythms7"))
    paths = (tmp_path / "out" / "RECORDS").read_text().split()
    assert paths == [f"diffwave/s00000{i}" for i in (1, 2, 3)]
    for number, path in enumerate(paths):
        record = wfdb.rdrecord(str(tmp_path / "out" / path))
        assert (record.fs, record.sig_len, tuple(record.sig_name), set(record.units)) == (100, 80, LEADS, {"mV"})
        assert record.fmt == ["16"] * 12
        assert np.abs(record.p_signal.T - dataset.signals[number]).max() <= 0.0005 + 1e-6
        assert record.checksum == [
            int(v) for v in wfdb.rdrecord(str(tmp_path / "out" / path), physical=False).calc_checksum()
        ]
    comments = wfdb.rdheader(str(tmp_path / "out" / paths[0])).comments
    assert comments == [
        "Age: Unknown",
        "Sex: Unknown",
        "Dx: 164889003",
        "Class: AFIB",
        "Synthetic: generator diffwave, seed 11, sampler ddim, evaluations 20",
    ]
    assert wfdb.rdheader(str(tmp_path / "out" / paths[2])).comments[:3] == ["Age: 40.5", "Sex: Male", "Class: OTHER"]


def test_the_projects_own_reader_takes_it_for_an_ecg_of_physionet(tmp_path: Path) -> None:
    dataset = write(tmp_path / "data")
    export(dataset, tmp_path / "out", snomed_codes("rhythms7"))
    header = read_header(tmp_path / "out" / "diffwave" / "s000002.hea")
    assert (header.age, header.sex, header.codes) == (61.0, "female", ("426783006",))
    assert np.abs(read_leads(header, tmp_path / "out" / "diffwave") - dataset.signals[1]).max() < 0.00051


def test_sums_and_table_name_every_file(tmp_path: Path) -> None:
    dataset = write(tmp_path / "data")
    export(dataset, tmp_path / "out", {})
    sums = dict(line.split()[::-1] for line in (tmp_path / "out" / "SHA256SUMS.txt").read_text().splitlines())
    files = {p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*") if p.is_file()}
    assert set(sums) == files - {"SHA256SUMS.txt"}
    assert all(sha256(tmp_path / "out" / name) == value for name, value in sums.items())
    table = pd.read_csv(tmp_path / "out" / "records.csv")
    assert table["path"].tolist() == (tmp_path / "out" / "RECORDS").read_text().split()
    assert table["seed"].tolist() == [11, 12, 13]


def test_records_of_two_sources_keep_apart(tmp_path: Path) -> None:
    columns = {"record": ["a/1", "a/1", "a/2"], "source": ["one", "two", "two"]}
    export(write(tmp_path / "data", **columns), tmp_path / "out", {})
    assert (tmp_path / "out" / "RECORDS").read_text().split() == ["one/a_1", "two/a_1", "two/a_2"]
    with pytest.raises(ValueError, match=r"two records of this dataset would both be two/a_1"):
        export(write(tmp_path / "twice", record=["a_1", "a/1", "b"], source="two"), tmp_path / "other", {})


def test_what_does_not_fit_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    dataset = write(tmp_path / "data")
    for wrong in (33.0, np.nan):
        signals = np.array(dataset.signals)
        signals[1, 3, 7] = wrong
        with pytest.raises(ValueError, match=r"record s000002: .* mV does not fit WFDB's format 16"):
            export(Dataset(signals, dataset.records, dataset.spec), tmp_path / "out", {})
        assert sorted(p.name for p in tmp_path.iterdir()) == ["data"]
