"""Whole folders become data sets in which every record is accounted for."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from raw_records import (
    ATRIAL_FIBRILLATION,
    SINUS_BRADYCARDIA,
    SINUS_RHYTHM,
    arrhythmia_settings,
    digital_ecg,
    manifest,
    ptbxl_row,
    ptbxl_settings,
    write_arrhythmia,
    write_ptbxl,
    write_record,
)
from scipy.signal import resample_poly
from test_preprocess_headers import DIGITAL, READ_RIGHT, REFUSED

from ecgpipe.acquire.run import acquire
from ecgpipe.config import DatasetSettings, Filtering, Preprocess, SignalSettings
from ecgpipe.dataset import Dataset
from ecgpipe.files import sha256
from ecgpipe.leads import LEADS
from ecgpipe.preprocess import batches
from ecgpipe.preprocess.filtering import apply_filters
from ecgpipe.preprocess.reading import read_header, read_leads
from ecgpipe.preprocess.reasons import REASONS
from ecgpipe.preprocess.resample import resample
from ecgpipe.preprocess.run import merge, preprocess

SIGNAL = SignalSettings()


def run(
    raw: Path, out: Path, settings: DatasetSettings, workers: int = 1, name: str = "set", **changes: Any
) -> Dataset:
    signal = changes.pop("signal", SIGNAL)
    table = changes.pop("files", None)
    preprocess(
        raw, manifest(raw) if table is None else table, settings, signal, Preprocess.model_validate(changes), out,
        source_name=name, workers=workers,
    )  # fmt: skip
    return Dataset.load(out)


def summary(out: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads((out / "summary.json").read_text())
    return value


def exclusions(out: Path) -> dict[str, tuple[str, str, str]]:
    table = pd.read_parquet(out / "excluded.parquet")
    assert list(table.columns) == ["record", "reason", "detail", "codes", "split", "label"]
    assert set(table["reason"]) <= set(REASONS)
    return {row.record: (row.reason, row.detail, row.codes) for row in table.itertuples()}


def test_arrhythmia_records_become_a_data_set(tmp_path: Path) -> None:
    rhythms = [SINUS_RHYTHM] * 10 + [f"59118001,{SINUS_BRADYCARDIA}", f"{SINUS_RHYTHM},{ATRIAL_FIBRILLATION}"]
    raw = write_arrhythmia(tmp_path / "raw", rhythms)
    found = run(raw, tmp_path / "out", arrhythmia_settings(), name="demo")
    assert found.signals.dtype == np.float32
    assert found.signals.shape == (12, 12, 1000)
    assert list(found.records["record"]) == [f"JS{i:05d}" for i in range(1, 13)]
    assert list(found.records.columns) == [
        "record", "patient", "label", "split", "source", "age", "sex", "codes", "also", "suspected",
    ]  # fmt: skip
    last = found.records.iloc[-1]
    assert (last.label, last.also, last.codes, last.age, last.sex, last.source, last.patient) == (
        "AFIB", "SR", f"{SINUS_RHYTHM},{ATRIAL_FIBRILLATION}", 59.0, "female", "demo", "JS00012",
    )  # fmt: skip
    expected = resample_poly(digital_ecg(12).T / 1000.0, 1, 5, axis=1, padtype="line")
    np.testing.assert_allclose(found.signals[11], expected, atol=1e-6)
    assert found.records["split"].value_counts()[["train", "validation", "test"]].tolist() == [10, 1, 1]
    told = summary(tmp_path / "out")
    assert (told["read"], told["kept"], told["excluded"]) == (12, 12, 0)
    assert told["several_rhythms"]["records"] == 1
    assert told["several_rhythms"]["combinations"] == {"AFIB,SR": 1}
    assert told["counts"]["train"]["AFIB"] == 1
    assert told["signals_sha256"] == sha256(tmp_path / "out" / "signals.npy")
    assert told["simulated"] is False
    assert exclusions(tmp_path / "out") == {}


def test_every_faulty_record_is_listed_with_its_reason(tmp_path: Path) -> None:
    raw = write_arrhythmia(tmp_path / "raw", [SINUS_RHYTHM] * 3 + ["59118001", "", "RBBB, AFIB"])
    folder = raw / "WFDBRecords" / "01" / "010"
    (folder / "JS00002.mat").unlink()
    write_record(folder, "JS00007", digital_ecg(7)[:4000])
    flat = digital_ecg(8)
    flat[:, 4] = 12
    write_record(folder, "JS00008", flat)
    saturated = digital_ecg(20)
    saturated[500:700, 8] = 2500
    write_record(folder, "JS00020", saturated)
    still = digital_ecg(21)
    still[2000:2200] = still[2000]
    write_record(folder, "JS00021", still)
    write_record(folder, "JS00022", digital_ecg(22)[:, [0, 2, 1, *range(3, 12)]])
    reversed_arms = digital_ecg(23)[:, [0, 2, 1, 4, 3, *range(5, 12)]]
    reversed_arms[:, 0] *= -1
    write_record(folder, "JS00023", reversed_arms)
    missing = digital_ecg(9)
    missing[100:103, 0] = -32768
    write_record(folder, "JS00009", missing)
    write_record(folder, "JS00010", digital_ecg(10), scale="200/mV")
    write_record(folder, "JS00011", digital_ecg(11), scale="4880/mV")
    write_record(folder, "JS00012", digital_ecg(12), record_line="JS00012")
    write_record(folder, "JS00013", digital_ecg(13), leads=[*LEADS[:-1], "X"])
    write_record(folder, "JS00014", digital_ecg(14))
    (folder / "JS00014.mat").write_bytes((folder / "JS00014.mat").read_bytes()[:-2])
    write_record(raw / "WFDBRecords" / "02" / "020", "JS00001")
    (folder / "JS00015.mat").write_bytes(b"")
    write_record(folder, "JS00016", (digital_ecg(16).astype(float) * 20).clip(-32000, 32000).astype(np.int16))
    write_record(folder, "JS00017", digital_ecg(17), scale="1000/mmHg")
    write_record(folder, "JS00018", digital_ecg(18), scale="0/mV")
    write_record(folder, "JS00019", digital_ecg(19), record_line="JS00019 12 500000 5000")
    listed = manifest(raw)
    (folder / "JS00003.mat").unlink()  # the manifest has it, the disk no longer
    found = run(raw, tmp_path / "out", arrhythmia_settings(), files=listed)
    assert list(found.records["record"]) == ["JS00001", "JS00023"]
    assert found.records["suspected"].str.split(" ").str[0].tolist() == ["", "arm_reversal"]
    refused = exclusions(tmp_path / "out")
    assert {name: reason for name, (reason, _, _) in refused.items()} == {
        "JS00001": "duplicate_record",
        "JS00002": "missing_data",
        "JS00003": "missing_data",
        "JS00004": "no_study_rhythm",
        "JS00005": "no_study_rhythm",
        "JS00006": "no_study_rhythm",
        "JS00007": "too_short",
        "JS00008": "flat_lead",
        "JS00009": "nan",
        "JS00010": "amplitude",
        "JS00011": "amplitude",
        "JS00012": "unreadable_header",
        "JS00013": "missing_lead",
        "JS00014": "short_data",
        "JS00015": "missing_header",
        "JS00016": "amplitude",
        "JS00017": "unknown_unit",
        "JS00018": "uncalibrated",
        "JS00019": "sampling_rate",
        "JS00020": "saturation",
        "JS00021": "dropped_samples",
        "JS00022": "limb_leads",
    }
    assert refused["JS00004"][1:] == ("none of its 1 codes means one", "59118001")
    assert refused["JS00005"][1:] == ("no codes at all", "")
    assert refused["JS00006"][1] == "text in place of SNOMED-CT codes: RBBB, AFIB"
    assert refused["JS00008"][1:] == ("range over 10 s: aVL 0.0000 mV", SINUS_RHYTHM)
    told = summary(tmp_path / "out")
    assert told["read"] == told["kept"] + told["excluded"] == 24
    assert told["suspected"] == 1
    assert sum(told["excluded_by_reason"].values()) == 22
    # Known to be sinus rhythm, and refused for the signal: 3, 7-11, 13, 14, 16, 20-22.
    table = pd.read_parquet(tmp_path / "out" / "excluded.parquet").set_index("record")
    assert table.loc["JS00008", ["split", "label"]].tolist() == ["", "SR"]
    assert table.loc["JS00004", "label"] == ""
    before, after = told["counts_before_exclusion"], told["counts"]
    assert sum(row["SR"] for row in after.values()) == 2
    assert before["undecided"]["SR"] == (table["label"] == "SR").sum() == 12
    assert [before[split] for split in after] == list(after.values())
    assert told["excluded_by_reason"]["amplitude"] == 3
    assert told["unknown_codes"] == {
        "dictionary": False, "codes": 3, "occurrences": 3, "most_frequent": {"59118001": 1, "AFIB": 1, "RBBB": 1},
    }  # fmt: skip


def test_a_folder_of_every_flavour_and_fault(tmp_path: Path) -> None:
    """Forty kinds of headers, each in a record of its own: read right, or refused by name."""
    folder = tmp_path / "raw" / "WFDBRecords" / "01" / "010"
    flavours: dict[str, str] = {}
    for number, (kind, lines) in enumerate(
        [*READ_RIGHT.items(), *((k, v[0]()) for k, v in REFUSED.items())], start=101
    ):
        name = f"JS{number:05d}"
        flavours[kind] = name
        write_record(folder, name, DIGITAL)
        text = "\n".join([*lines, f"#Dx: {SINUS_RHYTHM}"]).replace("JS00001", name)
        (folder / f"{name}.hea").write_text(text + "\n", encoding="utf-8")
    assert len(flavours) >= 40
    found = run(tmp_path / "raw", tmp_path / "out", arrhythmia_settings())
    first, *others = (flavours[kind] for kind in READ_RIGHT)
    assert list(found.records["record"]) == [first]  # all hold one recording
    for name in others:
        native = read_leads(read_header(folder / f"{name}.hea"), folder)
        np.testing.assert_allclose(resample(native[:, :5000], 500, 100, 1000), found.signals[0], atol=1e-6)
    refused = exclusions(tmp_path / "out")
    assert {name: reason for name, (reason, _, _) in refused.items()} == {
        **dict.fromkeys(others, "duplicate_recording"),
        **{flavours[kind]: reason for kind, (_, reason, _) in REFUSED.items()},
    }


def test_codes_of_the_data_sets_own_dictionary_are_known(tmp_path: Path) -> None:
    raw = write_arrhythmia(tmp_path / "raw", [f"{SINUS_RHYTHM},59118001,111", f"{SINUS_RHYTHM},222,111"])
    text = "\ufeffAcronymName,FullName,Snomed_CT\nRBBB,right bundle branch block,59118001\nRBBB,again,59118001\n"
    (raw / "ConditionNames_SNOMED-CT.csv").write_text(text, encoding="utf-8")
    run(raw, tmp_path / "out", arrhythmia_settings())
    unknown = summary(tmp_path / "out")["unknown_codes"]
    assert unknown == {"dictionary": True, "codes": 2, "occurrences": 3, "most_frequent": {"111": 2, "222": 1}}


def test_the_number_of_workers_changes_no_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[int] = []
    pool = batches.ProcessPoolExecutor
    monkeypatch.setattr(batches, "BATCH", 4)
    monkeypatch.setattr(batches, "MIN_BATCHES_FOR_WORKERS", 16)
    monkeypatch.setattr(
        batches,
        "ProcessPoolExecutor",
        lambda max_workers, **options: started.append(max_workers) or pool(max_workers, **options),
    )
    raw = write_arrhythmia(tmp_path / "raw", [SINUS_RHYTHM, "59118001", SINUS_BRADYCARDIA] * 23)
    for workers in (1, 2):
        run(raw, tmp_path / str(workers), arrhythmia_settings(), workers)
    assert started == [2]
    names = sorted(path.name for path in (tmp_path / "1").iterdir())
    assert names == ["excluded.parquet", "records.parquet", "signals.npy", "summary.json"]
    for name in names:
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()


def test_a_subset_takes_one_hospital(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    for seed, name in enumerate(("JS00001", "JS10646", "JS10647", "JS45551")):
        write_record(raw / "WFDBRecords" / "01" / "010", name, digital_ecg(seed))
    for subset, expected in (("chapman", ["JS00001", "JS10646"]), ("ningbo", ["JS10647", "JS45551"])):
        found = run(raw, tmp_path / subset, arrhythmia_settings(subset))
        assert list(found.records["record"]) == expected
        assert summary(tmp_path / subset)["not_requested"] == 2


def test_rhythms_of_one_hospital_are_counted_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    raw = tmp_path / "raw"
    sinus, fibrillation = "426783006", "164889003"
    codes = {"JS00001": sinus, "JS00002": fibrillation, "JS10646": fibrillation, "JS10647": sinus, "JS45551": sinus}
    for seed, (name, code) in enumerate(codes.items()):
        comments = ["#Age: 59", "#Sex: Female", f"#Dx: {code}"]
        write_record(raw / "WFDBRecords" / "01" / "010", name, digital_ecg(seed), comments=comments)
    run(raw, tmp_path / "both", arrhythmia_settings(), name="both")
    sites = summary(tmp_path / "both")["sites"]
    assert {site: {k: n for k, n in found.items() if n} for site, found in sites["counts"].items()} == {
        "both (chapman)": {"AFIB": 2, "SR": 1},
        "both (ningbo)": {"SR": 2},
    }
    told = (
        "All 2 AFIB records come from both (chapman), none from both (ningbo): networks may tell the hospital apart, "
    )
    assert sites["sentences"] == [f"{told}not the rhythm."]
    assert f"both: {told}" in caplog.text
    run(raw, tmp_path / "one", arrhythmia_settings("chapman"), name="one")
    assert summary(tmp_path / "one")["sites"]["sentences"] == []  # there is no other hospital to be told apart from
    other = write_ptbxl(tmp_path / "other", [ptbxl_row(number, "{'SBRAD': 0.0}") for number in (8, 9)])
    run(other, tmp_path / "third", ptbxl_settings(), name="third", signal=SIGNAL)
    merge({"one": tmp_path / "one", "third": tmp_path / "third"}, tmp_path / "merged")
    merged = summary(tmp_path / "merged")["sites"]
    assert set(merged["counts"]) == {"one (chapman)", "third"}
    assert [sentence.split(":")[0] for sentence in merged["sentences"]] == [
        "All 2 SBRAD records come from third, none from one (chapman)",
        "All 1 SR records come from one (chapman), none from third",
        "All 2 AFIB records come from one (chapman), none from third",
    ]


def test_ptbxl_takes_codes_folds_and_patients_from_its_table(tmp_path: Path) -> None:
    rows = [
        ptbxl_row(1, "{'NORM': 100.0, 'SR': 0.0}", fold="3", age="300.0", sex="1"),
        ptbxl_row(2, "{'AFLT': 0.0, 'AFIB': 100.0}", fold="9", age="", sex="0"),
        ptbxl_row(3, "{'SBRAD': 0.0}", fold="10", patient="77.0"),
        ptbxl_row(4, "{'NORM': 100.0}"),
        ptbxl_row(5, "not a dictionary"),
        ptbxl_row(10, "{[1]: 2}"),
        ptbxl_row(6, fold="11"),
        ptbxl_row(7, patient=""),
        ptbxl_row(9),
    ]
    raw = write_ptbxl(tmp_path / "raw", rows)
    listed = manifest(raw)
    for ending in ("hea", "dat"):  # 9 was not asked for; 8 has no row
        (raw / "records100" / "00000" / f"00008_lr.{ending}").write_bytes(b"")
    listed = manifest(raw)
    found = run(raw, tmp_path / "out", ptbxl_settings(), files=listed[~listed["path"].str.contains("00009")])
    records = found.records.set_index("record")
    assert list(records.index) == ["00001", "00002", "00003"]
    assert list(records["split"]) == ["train", "validation", "test"]
    assert list(records["label"]) == ["SR", "AFIB", "SBRAD"]
    assert list(records["also"]) == ["", "AFLT", ""]
    assert list(records["patient"]) == ["101", "102", "77"]
    assert list(records["sex"]) == ["female", "male", "female"]
    assert records.loc["00001", "age"] == 90.0
    assert math.isnan(records.loc["00002", "age"])
    assert records.loc["00001", "codes"] == "NORM,SR"
    assert np.array_equal(found.signals[1], (digital_ecg(2, 100).T / 1000).astype(np.float32))
    assert {name: reason for name, (reason, _, _) in exclusions(tmp_path / "out").items()} == {
        "00004": "no_study_rhythm",
        "00005": "unreadable_codes",
        "00006": "no_fold",
        "00007": "no_patient",
        "00008": "not_in_database",
        "00010": "unreadable_codes",
    }
    told = summary(tmp_path / "out")
    assert (told["read"], told["kept"], told["excluded"], told["not_requested"]) == (9, 3, 6, 1)
    table = pd.read_parquet(tmp_path / "out" / "excluded.parquet").set_index("record")
    assert table.loc["00007", ["split", "label"]].tolist() == ["train", "SR"]
    assert told["counts_before_exclusion"]["train"]["SR"] == told["counts"]["train"]["SR"] + 1 == 2
    assert told["counts_before_exclusion"]["undecided"]["SR"] == 1  # 00006 has no fold


def test_folds_and_shares_of_splits_are_those_of_the_settings(tmp_path: Path) -> None:
    rows = [ptbxl_row(number, fold=str(number)) for number in range(1, 11)]
    raw = write_ptbxl(tmp_path / "ptbxl", rows)
    folds = {"train": [1, 2, 3, 4, 6], "validation": [5], "test": [7, 8, 9, 10]}
    settings = DatasetSettings.model_validate({**ptbxl_settings().model_dump(), "folds": folds})
    split = run(raw, tmp_path / "folds", settings).records["split"]
    assert list(split) == ["train"] * 4 + ["validation", "train"] + ["test"] * 4
    raw = write_arrhythmia(tmp_path / "arrhythmia", ["426783006"] * 10)
    shares = {"train": 0.5, "validation": 0.2, "test": 0.3}
    settings = DatasetSettings.model_validate({**arrhythmia_settings().model_dump(), "shares": shares})
    split = run(raw, tmp_path / "shares", settings).records["split"]
    assert split.value_counts().to_dict() == {"train": 5, "test": 3, "validation": 2}
    split = run(raw, tmp_path / "default", arrhythmia_settings()).records["split"]
    assert split.value_counts().to_dict() == {"train": 8, "test": 1, "validation": 1}


def test_a_share_of_the_training_records_is_no_loss(tmp_path: Path) -> None:
    members = {}
    for first, name in ((1, "one"), (21, "two")):
        rows = [
            ptbxl_row(n, fold=str(9 if n == first else 10 if n == first + 1 else 1)) for n in range(first, first + 14)
        ]
        settings = DatasetSettings.model_validate({**ptbxl_settings().model_dump(), "training_share": 0.25})
        run(write_ptbxl(tmp_path / f"raw_{name}", rows), tmp_path / name, settings, name=name)
        members[name] = tmp_path / name
    merge(members, tmp_path / "both")
    for name, number in (("one", 1), ("both", 2)):
        told = summary(tmp_path / name)
        assert (told["read"], told["kept"], told["excluded"]) == (14 * number, 5 * number, 0)
        assert told["losses"]["kept_share"] == 1
        assert not [sentence for sentence in told["losses"]["sentences"] if "were kept" in sentence]
        assert told["outside_training_share"] == {"SR": 9 * number}
        assert told["counts_before_exclusion"]["train"]["SR"] == 12 * number
        assert told["counts"]["train"]["SR"] == 3 * number


def test_a_share_of_the_training_records_leaves_the_rest_as_it_is(tmp_path: Path) -> None:
    codes = {3: "{'SBRAD': 0.0}", 7: "{'AFIB': 0.0}"}
    rows = [
        ptbxl_row(n, codes.get(n, "{'SR': 0.0}"), fold=str(9 if n > 12 else 10 if n > 10 else 1)) for n in range(1, 15)
    ]
    raw = write_ptbxl(tmp_path / "raw", rows)
    whole = run(raw, tmp_path / "whole", ptbxl_settings())
    found = {}
    for share in (0.25, 0.5):
        settings = DatasetSettings.model_validate({**ptbxl_settings().model_dump(), "training_share": share})
        found[share] = run(raw, tmp_path / str(share), settings)
        told = summary(tmp_path / str(share))
        unused = 14 - len(found[share].records)
        assert (told["read"], told["excluded"], told["not_requested"]) == (14, 0, 0)
        assert told["outside_training_share"] == {"SR": unused}
        rest = found[share].records[found[share].records["split"] != "train"]
        assert list(rest["record"]) == ["00011", "00012", "00013", "00014"]
        for row, record in enumerate(found[share].records["record"]):
            place = list(whole.records["record"]).index(record)
            assert np.array_equal(found[share].signals[row], whole.signals[place])
    count = {
        share: data.records[data.records["split"] == "train"]["label"].value_counts() for share, data in found.items()
    }
    assert count[0.25].to_dict() == {"SR": 2, "SBRAD": 1, "AFIB": 1}
    assert count[0.5].to_dict() == {"SR": 4, "SBRAD": 1, "AFIB": 1}
    assert set(found[0.25].records["record"]) < set(found[0.5].records["record"])


@pytest.mark.parametrize(("rate", "folder"), [(50, 100), (100, 100), (250, 500), (500, 500)])
def test_ptbxl_is_read_at_the_rate_that_serves(tmp_path: Path, rate: int, folder: int) -> None:
    raw = write_ptbxl(tmp_path / "raw", [ptbxl_row(1)], folder)
    found = run(raw, tmp_path / "out", ptbxl_settings(), signal=SignalSettings(rate=rate))
    assert found.signals.shape == (1, 12, 10 * rate)
    with pytest.raises(ValueError, match=r"no record below records"):
        run(raw, tmp_path / "other", ptbxl_settings(), signal=SignalSettings(rate=500 if folder == 100 else 100))


@pytest.mark.parametrize(("rate", "seconds"), [(500, 10.0), (257, 31.0), (1000, 12.0), (100, 10.0)])
def test_a_challenge_folder_joins_with_any_rate_order_and_length(tmp_path: Path, rate: int, seconds: float) -> None:
    """The first ten seconds count; leads go by name; further leads are left aside."""
    raw = tmp_path / "raw"
    digital = digital_ecg(5, rate, seconds)
    order = [int(place) for place in np.random.default_rng(1).permutation(12)]
    names = [LEADS[place].lower() for place in order]
    comments = ["#Age: 74", "#Sex: Male", f"#Dx: 59118001,{ATRIAL_FIBRILLATION}"]
    write_record(raw / "training/georgia/g1", "E00001", digital[:, order], leads=names, rate=rate, comments=comments)
    write_record(raw / "training/cpsc_2018/g1", "A0001", digital_ecg(6))
    settings = DatasetSettings.model_validate(
        {"format": "challenge", "folder": "training/georgia", "source": {"kind": "folder", "path": "unused"}}
    )
    found = run(raw, tmp_path / "out", settings, signal=SIGNAL)
    first = digital[: 10 * rate].T / 1000.0
    expected = first if rate == 100 else resample(first, rate, 100, 1000)
    np.testing.assert_allclose(found.signals[0], expected, atol=1e-6)
    row = found.records.iloc[0]
    assert (row.record, row.label, row.age, row.sex, row.split) == ("E00001", "AFIB", 74.0, "male", "train")
    assert summary(tmp_path / "out")["unknown_codes"]["most_frequent"] == {"59118001": 1}
    everywhere = DatasetSettings.model_validate({"format": "challenge", "source": {"kind": "folder", "path": "unused"}})
    assert list(run(raw, tmp_path / "all", everywhere).records["record"]) == ["A0001", "E00001"]
    with pytest.raises(ValueError, match="no record below training/ptb/"):
        run(raw, tmp_path / "none", settings.model_copy(update={"folder": "training/ptb"}))


def test_a_third_data_set_is_merged_with_another(tmp_path: Path) -> None:
    made = tmp_path / "made" / "georgia"
    for number in range(12):
        write_record(made, f"E{number:05d}", digital_ecg(number))
    third = DatasetSettings.model_validate(
        {"format": "challenge", "source": {"kind": "folder", "path": str(made.parent)}}
    )
    acquired = acquire(third, SIGNAL, tmp_path / "raw")
    preprocess(
        tmp_path / "raw", acquired, third, SIGNAL, Preprocess(), tmp_path / "third", source_name="third", workers=1
    )
    run(write_arrhythmia(tmp_path / "a", [SINUS_BRADYCARDIA] * 3, seed=100), tmp_path / "first", arrhythmia_settings())
    merge({"first": tmp_path / "first", "third": tmp_path / "third"}, tmp_path / "both")
    both = Dataset.load(tmp_path / "both")
    assert both.records["source"].value_counts().to_dict() == {"third": 12, "first": 3}
    assert summary(tmp_path / "both")["counts_before_exclusion"]["train"]["SBRAD"] == 1


def test_codes_that_the_dictionary_lacks_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    raw = write_arrhythmia(tmp_path / "raw", [SINUS_RHYTHM, ATRIAL_FIBRILLATION])
    (raw / "ConditionNames_SNOMED-CT.csv").write_text(f"AcronymName,FullName,Snomed_CT\nSR,x,{SINUS_RHYTHM}\n")
    own = tmp_path / "own.csv"
    own.write_text(
        f"class,system,code,acronym\nA,SNOMED-CT,{SINUS_RHYTHM},\nB,SNOMED-CT,{ATRIAL_FIBRILLATION},\nB,SNOMED-CT,999,\n"
    )
    run(raw, tmp_path / "out", arrhythmia_settings(), label_map=str(own))
    assert summary(tmp_path / "out")["label_map"] == {
        "name": str(own),
        "not_in_dictionary": [ATRIAL_FIBRILLATION, "999"],
    }
    assert f"does not have {ATRIAL_FIBRILLATION}, 999 of label map" in caplog.text


def test_filters_of_the_config_are_applied(tmp_path: Path) -> None:
    raw = write_arrhythmia(tmp_path / "raw", [SINUS_RHYTHM])
    filters = {"band_pass_hz": [0.5, 40.0], "notch_hz": 50.0, "baseline": "median"}
    found = run(raw, tmp_path / "out", arrhythmia_settings(), filters=filters)
    expected = resample(
        apply_filters(digital_ecg(1).T / 1000.0, 500, Filtering.model_validate(filters)), 500, 100, 1000
    )
    np.testing.assert_allclose(found.signals[0], expected, atol=1e-6)


def test_a_patient_in_two_folds_ends_the_run(tmp_path: Path) -> None:
    raw = write_ptbxl(tmp_path / "raw", [ptbxl_row(1, patient="5.0", fold="1"), ptbxl_row(2, patient="5.0", fold="10")])
    with pytest.raises(ValueError, match="more than one split, among them 5"):
        run(raw, tmp_path / "out", ptbxl_settings())
    assert not (tmp_path / "out" / "signals.npy").exists()


def test_longer_records_are_cropped(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    digital = write_record(raw / "WFDBRecords" / "01" / "010", digital=digital_ecg(1, 100, 14.0), rate=100)
    found = run(raw, tmp_path / "out", arrhythmia_settings())
    assert np.array_equal(found.signals[0], (digital[:1000].T / 1000).astype(np.float32))


def test_what_ends_the_run_is_named(tmp_path: Path) -> None:
    raw = write_arrhythmia(tmp_path / "raw", ["59118001"])
    with pytest.raises(ValueError, match=r"none of 1 records .* \(no_study_rhythm 1\)"):
        run(raw, tmp_path / "out", arrhythmia_settings())
    with pytest.raises(ValueError, match="no record below WFDBRecords/"):
        run(raw, tmp_path / "out", arrhythmia_settings(), files=pd.DataFrame({"path": ["RECORDS"]}))
    for text in ("", "AcronymName,FullName\nSR,x\n"):
        (raw / "ConditionNames_SNOMED-CT.csv").write_text(text)
        with pytest.raises(ValueError, match=r"ConditionNames_SNOMED-CT.csv is not the dictionary of SNOMED-CT codes"):
            run(raw, tmp_path / "out", arrhythmia_settings())
    only_scp = tmp_path / "map.csv"
    only_scp.write_text("class,system,code,acronym\nA,SCP,SR,\nB,SCP,AFIB,\n")
    with pytest.raises(ValueError, match="has no SNOMED-CT code"):
        run(raw, tmp_path / "out", arrhythmia_settings(), label_map=str(only_scp))
    ptbxl = write_ptbxl(tmp_path / "ptbxl", [ptbxl_row(1), ptbxl_row(1)])
    with pytest.raises(ValueError, match=r"ptbxl_database.csv has ecg_id 1 .* twice"):
        run(ptbxl, tmp_path / "out", ptbxl_settings())
    (ptbxl / "ptbxl_database.csv").write_text("<html>")
    with pytest.raises(ValueError, match=r"ptbxl_database.csv is not PTB-XL's table"):
        run(ptbxl, tmp_path / "out", ptbxl_settings())
    (ptbxl / "ptbxl_database.csv").unlink()
    with pytest.raises(ValueError, match=r"ptbxl_database.csv is missing"):
        run(ptbxl, tmp_path / "out", ptbxl_settings())
    with pytest.raises(ValueError, match="is a merge"):
        run(raw, tmp_path / "out", DatasetSettings(merge=["a", "b"]))


def test_merging_keeps_every_record_and_tells_the_sources_apart(tmp_path: Path) -> None:
    raw = write_arrhythmia(tmp_path / "a", [SINUS_RHYTHM, "59118001"])
    first = run(raw, tmp_path / "one", arrhythmia_settings(), name="one")
    raw = write_arrhythmia(tmp_path / "b", [SINUS_BRADYCARDIA] * 40, seed=100)
    second = run(raw, tmp_path / "two", arrhythmia_settings(), name="two")
    merge({"one": tmp_path / "one", "two": tmp_path / "two"}, tmp_path / "both")
    both = Dataset.load(tmp_path / "both")
    assert np.array_equal(both.signals, np.concatenate([first.signals, second.signals]))
    assert not both.records.duplicated(["source", "record"]).any()
    assert list(both.records["patient"][:2]) == ["one/JS00001", "two/JS00001"]
    assert list(both.records["split"]) == [*first.records["split"], *second.records["split"]]
    excluded = pd.read_parquet(tmp_path / "both" / "excluded.parquet")
    assert excluded[["source", "record", "reason"]].to_numpy().tolist() == [["one", "JS00002", "no_study_rhythm"]]
    told = summary(tmp_path / "both")
    assert (told["read"], told["kept"], told["excluded"]) == (42, 41, 1)
    assert told["members"] == ["one", "two"]
    assert sum(told["counts"]["train"].values()) == (both.records["split"] == "train").sum()


def test_sets_that_share_a_recording_are_not_merged(tmp_path: Path) -> None:
    for name, codes in (("one", [SINUS_RHYTHM, SINUS_BRADYCARDIA]), ("two", [SINUS_RHYTHM])):
        run(write_arrhythmia(tmp_path / f"raw_{name}", codes), tmp_path / name, arrhythmia_settings())
    with pytest.raises(ValueError, match=r"JS00001 of one and JS00001 of two have the same signals, .* 1 pairs in all"):
        merge({"one": tmp_path / "one", "two": tmp_path / "two"}, tmp_path / "both")
    assert not (tmp_path / "both").exists()


def test_sets_of_different_form_are_not_merged(tmp_path: Path) -> None:
    raw = write_arrhythmia(tmp_path / "raw", [SINUS_RHYTHM])
    run(raw, tmp_path / "slow", arrhythmia_settings())
    run(raw, tmp_path / "fast", arrhythmia_settings(), signal=SignalSettings(rate=250))
    with pytest.raises(ValueError, match=r"slow and .*fast do not fit together \(rate: 100\.0 and 250\.0"):
        merge({"slow": tmp_path / "slow", "fast": tmp_path / "fast"}, tmp_path / "both")
