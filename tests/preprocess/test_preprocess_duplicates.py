"""A recording that is there twice is kept once, and every other record of it is listed and counted."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import wfdb
from raw_records import (
    SINUS_BRADYCARDIA,
    SINUS_RHYTHM,
    arrhythmia_settings,
    digital_ecg,
    manifest,
    ptbxl_row,
    ptbxl_settings,
    signal_lines,
    write_ptbxl,
    write_record,
)
from scipy.signal import resample_poly

from ecgpipe.config import DatasetSettings, Preprocess, SignalSettings
from ecgpipe.dataset import Dataset
from ecgpipe.files import read_json
from ecgpipe.leads import LEADS
from ecgpipe.preprocess.run import merge, preprocess

CHALLENGE = DatasetSettings.model_validate({"format": "challenge", "source": {"kind": "folder", "path": "unused"}})
NONE = {"excluded": 0, "other_patient": 0, "other_split": 0, "other_label": 0}


def run(raw: Path, out: Path, settings: DatasetSettings) -> Dataset:
    preprocess(raw, manifest(raw), settings, SignalSettings(), Preprocess(), out, source_name=out.name, workers=1)
    return Dataset.load(out)


def excluded(out: Path) -> pd.DataFrame:
    return pd.read_parquet(out / "excluded.parquet")


def duplicates(out: Path) -> dict[str, object]:
    counted: dict[str, object] = read_json(out / "summary.json")["duplicate_recordings"]
    return counted


def write_challenge(folder: Path, seeds: dict[str, int], code: str = SINUS_RHYTHM) -> Path:
    for name, seed in seeds.items():
        write_record(folder, name, digital_ecg(seed), comments=["#Age: 59", "#Sex: Female", f"#Dx: {code}"])
    return folder


def write_ptbxl_of(raw: Path, recordings: dict[int, int], rows: list[str]) -> Path:
    """Write PTB-XL's 100 Hz files, of recording ``seed`` for each number, from 500 Hz."""
    write_ptbxl(raw, rows)
    names = [*LEADS[:3], "AVR", "AVL", "AVF", *LEADS[6:]]
    for number, seed in recordings.items():
        digital = np.round(resample_poly(digital_ecg(seed).astype(float), 1, 5, axis=0)).astype(np.int16)
        stem = raw / "records100" / "00000" / f"{number:05d}_lr"
        lines = signal_lines(f"{stem.name}.dat", digital, "16", "1000.0(0)/mV", names, signed=False)
        stem.with_suffix(".dat").write_bytes(digital.astype("<i2").tobytes())
        stem.with_suffix(".hea").write_text("\n".join([f"{stem.name} 12 100 {len(digital)}", *lines]) + "\n")
    return raw


def test_twins_of_a_challenge_folder_are_excluded_before_splits_are_drawn(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    seeds = {f"HR{number:04d}": number for number in range(30)}
    raw = write_challenge(tmp_path / "raw", {**seeds, **{f"HR9{number:03d}": number for number in range(20)}})
    with caplog.at_level(logging.WARNING):
        found = run(raw, tmp_path / "twice", CHALLENGE)
    once = run(write_challenge(tmp_path / "raw_once", seeds), tmp_path / "once", CHALLENGE)
    assert list(found.records["record"]) == list(seeds)
    assert found.records["split"].tolist() == once.records["split"].tolist()
    assert np.array_equal(found.signals, once.signals)
    table = excluded(tmp_path / "twice")
    assert set(table["reason"]) == {"duplicate_recording"}
    assert table.iloc[3].tolist() == [
        "HR9003", "duplicate_recording", "the same as HR0003 (correlation 1.0000)", SINUS_RHYTHM, "", "SR",
    ]  # fmt: skip
    told = read_json(tmp_path / "twice" / "summary.json")
    assert (told["read"], told["kept"], told["excluded_by_reason"]) == (50, 30, {"duplicate_recording": 20})
    assert told["duplicate_recordings"] == {**NONE, "excluded": 20}
    assert duplicates(tmp_path / "once") == NONE
    assert "twice: 20 records repeat a recording that another record has" in caplog.text
    assert [path.name for path in (tmp_path / "twice").iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize(
    ("storage", "gain", "rate"), [("16", 200, 500), ("24", 4e4, 500), ("212", 200, 250), ("32", 1e6, 1000)]
)
def test_twins_in_another_storage_format(tmp_path: Path, storage: str, gain: float, rate: int) -> None:
    raw = write_challenge(tmp_path / "raw", {f"A{number}": number for number in range(4)})
    for number in range(3):
        millivolts = resample_poly(digital_ecg(number) / 1000, rate, 500, axis=0)
        wfdb.wrsamp(
            f"B{number}", rate, ["mV"] * 12, list(LEADS), millivolts, fmt=[storage] * 12, adc_gain=[gain] * 12,
            baseline=[0] * 12, comments=[f"Dx: {SINUS_RHYTHM}"], write_dir=str(raw),
        )  # fmt: skip
    found = run(raw, tmp_path / "out", CHALLENGE)
    assert found.records["record"].tolist() == ["A0", "A1", "A2", "A3"]
    assert excluded(tmp_path / "out")["reason"].tolist() == ["duplicate_recording"] * 3


def test_twins_in_two_of_ptbxls_folds_leave_one_record_in_one_split(tmp_path: Path) -> None:
    rows = [ptbxl_row(number, fold=str(number % 8 + 1)) for number in range(1, 21)]
    rows[18] = ptbxl_row(19, "{'SBRAD': 0.0}", patient="77.0", fold="10")
    rows[11] = ptbxl_row(12, patient="105.0", fold="6")  # a patient of record 5
    raw = write_ptbxl_of(tmp_path / "raw", {5: 1005, 12: 1005, 19: 1005}, rows)
    found = run(raw, tmp_path / "out", ptbxl_settings())
    assert len(found) == 18
    table = excluded(tmp_path / "out").set_index("record")
    assert table.loc["00012", "detail"] == "the same as 00005 (correlation 1.0000)"
    assert table.loc["00019"].tolist() == [
        "duplicate_recording",
        "the same as 00005 (correlation 1.0000; patient 105, here patient 77; train, here test; SR, here SBRAD)",
        "SBRAD", "test", "SBRAD",
    ]  # fmt: skip
    assert duplicates(tmp_path / "out") == {"excluded": 2, "other_patient": 1, "other_split": 1, "other_label": 1}
    told = read_json(tmp_path / "out" / "summary.json")
    assert told["counts"]["test"]["SBRAD"] == 0
    assert told["counts_before_exclusion"]["test"]["SBRAD"] == 1


def test_a_twin_of_a_refused_record_is_kept(tmp_path: Path) -> None:
    raw = write_challenge(tmp_path / "raw", {"A": 1, "C": 3})
    digital = digital_ecg(2)
    write_record(raw, "D", digital)
    digital[:, 4] = 0
    write_record(raw, "B", digital)
    assert list(run(raw, tmp_path / "out", CHALLENGE).records["record"]) == ["A", "C", "D"]
    assert excluded(tmp_path / "out")["reason"].tolist() == ["flat_lead"]


def test_a_failing_search_leaves_no_signals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = write_challenge(tmp_path / "raw", {"A": 1, "B": 1})

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("ecgpipe.preprocess.duplicates.TwinSearch.find", fail)
    with pytest.raises(OSError, match="disk full"):
        run(raw, tmp_path / "out", CHALLENGE)
    assert list((tmp_path / "out").iterdir()) == []


def test_the_same_recordings_at_two_rates_are_not_merged(tmp_path: Path) -> None:
    numbers = {number: number for number in range(1, 21)}
    rows = [ptbxl_row(number, fold=str(number % 10 + 1)) for number in numbers]
    run(write_ptbxl_of(tmp_path / "raw", numbers, rows), tmp_path / "ptbxl", ptbxl_settings())
    seeds = {f"HR{number:05d}": number for number in numbers}
    run(write_challenge(tmp_path / "challenge_raw", seeds), tmp_path / "challenge", CHALLENGE)
    members = {name: tmp_path / name for name in ("ptbxl", "challenge")}
    message = (
        r"00001 of ptbxl and HR00001 of challenge have the same signals, and so have 20 pairs in all: challenge has no "
        "recording of its own; leave it out of the merge both"
    )
    with pytest.raises(ValueError, match=message):
        merge(members, tmp_path / "both")
    assert not (tmp_path / "both").exists()


def test_a_merge_takes_a_shared_recording_from_the_first_member(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [ptbxl_row(number, fold=str(number)) for number in range(1, 11)]
    raw = write_ptbxl_of(tmp_path / "raw", {number: number for number in range(1, 11)}, rows)
    one = run(raw, tmp_path / "one", ptbxl_settings())
    raw = write_challenge(tmp_path / "raw_two", {"E1": 10, "E3": 20, "E5": 21, "E6": 20, "E7": 22})
    two = run(write_challenge(raw, {"E2": 2, "E4": 9}, SINUS_BRADYCARDIA), tmp_path / "two", CHALLENGE)
    with caplog.at_level(logging.WARNING):
        merge({"one": tmp_path / "one", "two": tmp_path / "two"}, tmp_path / "both")
    both = Dataset.load(tmp_path / "both")
    assert both.records["record"].tolist() == [*one.records["record"], "E3", "E5", "E7"]
    assert np.array_equal(both.signals, np.concatenate([one.signals, two.signals[[2, 4, 5]]]))
    table = excluded(tmp_path / "both")
    assert table[["source", "record", "reason", "label"]].to_numpy().tolist() == [
        ["two", "E6", "duplicate_recording", "SR"],
        ["two", "E1", "duplicate_recording", "SR"],
        ["two", "E2", "duplicate_recording", "SBRAD"],
        ["two", "E4", "duplicate_recording", "SBRAD"],
    ]
    assert table["detail"].iloc[2].startswith("the same as 00002 of one (correlation ")
    assert table["detail"].iloc[2].endswith("SR, here SBRAD)")
    told = read_json(tmp_path / "both" / "summary.json")
    assert (told["read"], told["kept"], told["excluded_by_reason"]) == (17, 13, {"duplicate_recording": 4})
    split = dict(zip(two.records["record"], two.records["split"], strict=True))
    expected = sum(split[name] != here for name, here in (("E1", "test"), ("E2", "train"), ("E4", "validation")))
    within = {"one": NONE, "two": {**NONE, "excluded": 1}}
    assert told["duplicate_recordings"] == {
        "excluded": 3, "other_patient": 0, "other_split": expected, "other_label": 2, "within": within,
    }  # fmt: skip
    assert "both: 3 records repeat a recording that an earlier member has" in caplog.text


def test_three_members_share_recordings_in_a_chain(tmp_path: Path) -> None:
    for name, seeds in (("one", (1, 2, 3)), ("two", (3, 4, 5)), ("three", (5, 1, 6))):
        raw = tmp_path / f"raw_{name}"
        for place, seed in enumerate(seeds, start=1):
            write_record(raw / "WFDBRecords" / "01" / "010", f"JS{place:05d}", digital_ecg(seed))
        run(raw, tmp_path / name, arrhythmia_settings())
    merge({name: tmp_path / name for name in ("one", "two", "three")}, tmp_path / "all")
    records = Dataset.load(tmp_path / "all").records
    assert (records["source"] + records["record"]).tolist() == [
        "oneJS00001", "oneJS00002", "oneJS00003", "twoJS00002", "twoJS00003", "threeJS00003",
    ]  # fmt: skip
