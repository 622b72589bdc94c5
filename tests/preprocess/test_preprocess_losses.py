"""Whatever a data set loses is told, with reasons, and stays on disk."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from raw_records import (
    ATRIAL_FIBRILLATION,
    SINUS_BRADYCARDIA,
    SINUS_RHYTHM,
    challenge_settings,
    digital_ecg,
    manifest,
    ptbxl_row,
    ptbxl_settings,
    write_ptbxl,
    write_record,
)

from ecgpipe.config import Preprocess, SignalSettings
from ecgpipe.files import read_json
from ecgpipe.leads import LEADS
from ecgpipe.preprocess.losses import percent
from ecgpipe.preprocess.reasons import KEYS, REASONS, InvalidRecord
from ecgpipe.preprocess.run import merge, preprocess


def run(raw: Path, out: Path, refused: Path | None = None) -> None:
    preprocess(
        raw, manifest(raw), challenge_settings(), SignalSettings(), Preprocess(), out, source_name="set", workers=1,
        refused=refused,
    )  # fmt: skip


def sound(raw: Path, number: int, codes: str = SINUS_RHYTHM) -> None:
    for place in range(number):
        write_record(raw, f"S{place:03d}", digital_ecg(place), comments=[f"#Dx: {codes}"])


def test_where_nothing_is_kept_the_table_is_written_and_the_message_says_why(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    for number in range(3):
        write_record(raw, f"L{number}", digital_ecg(number), leads=["one", *LEADS[1:]])
    write_record(raw, "T", digital_ecg(4)[:3000])
    write_record(raw, "C", digital_ecg(5), comments=["#Dx: 59118001"])
    write_record(raw, "N", digital_ecg(6), comments=["#Age: 55", "# Chagas label: True"])
    table = tmp_path / "logs" / "set.excluded.parquet"
    with pytest.raises(ValueError, match="none of 6 records") as caught:
        run(raw, tmp_path / "out", table)
    lines = str(caught.value).split("\n  ")
    assert lines == [
        f"set: none of 6 records in {raw} could be kept (missing_lead 3, no_study_rhythm 2, too_short 1)",
        f"3 missing_lead (L0: missing lead I; there are one, {', '.join(LEADS[1:])}); {KEYS['missing_lead']}",
        f"2 no_study_rhythm (C: none of its 1 codes means one); {KEYS['no_study_rhythm']}",
        "1 too_short (T: 6.00 s of 10 s (3000 of 5000 samples)); `signal.seconds` is the required length",
        f"codes found: '{SINUS_RHYTHM}' (4), '59118001' (1)",
        f"all records with their reasons: {table}",
    ]
    excluded = pd.read_parquet(table).set_index("record")
    assert len(excluded) == 6
    assert excluded.loc["N", "detail"] == "no codes at all (no #Dx line); comments: #age, #chagas label"
    assert not (tmp_path / "out" / "records.parquet").exists()
    with pytest.raises(ValueError, match=r"out/excluded.parquet"):
        run(raw, tmp_path / "out")
    assert len(pd.read_parquet(tmp_path / "out" / "excluded.parquet")) == 6
    sound(raw, 3)
    run(raw, tmp_path / "out", table)
    assert not table.exists()  # what it says is over


def test_headers_without_a_line_of_codes_are_told_what_is_read(tmp_path: Path) -> None:
    for number in range(2):
        write_record(tmp_path / "raw", f"R{number}", digital_ecg(number), comments=["# Chagas label: True"])
    with pytest.raises(
        ValueError, match=r"no codes at all \(no #Dx line\); comments: #chagas label\); codes are read from"
    ):
        run(tmp_path / "raw", tmp_path / "out")


def test_control_characters_do_not_reach_the_terminal(tmp_path: Path) -> None:
    write_record(tmp_path / "raw", "R", digital_ecg(1), comments=["#Dx: \x1b[2Jrhythm"])
    with pytest.raises(ValueError, match="no_study_rhythm") as caught:
        run(tmp_path / "raw", tmp_path / "out")
    assert "\x1b" not in str(caught.value)


def test_less_than_nine_in_ten_and_lost_classes_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    raw = tmp_path / "raw"
    sound(raw, 9)
    write_record(raw, "S000", digital_ecg(0), comments=[f"#Dx: {ATRIAL_FIBRILLATION}"])
    write_record(raw, "X", digital_ecg(20)[:3000])
    run(raw, tmp_path / "enough")
    assert read_json(tmp_path / "enough" / "summary.json")["losses"] == {
        "kept_share": 0.9, "lost_classes": [], "sentences": [],
    }  # fmt: skip
    assert caplog.messages == []
    write_record(raw, "Y", digital_ecg(21)[:3000], comments=[f"#Dx: {SINUS_BRADYCARDIA}"])
    run(raw, tmp_path / "less")
    told = read_json(tmp_path / "less" / "summary.json")["losses"]
    short = "too_short (X: 6.00 s of 10 s (3000 of 5000 samples))"
    assert told == {
        "kept_share": 0.8182,
        "lost_classes": ["SBRAD"],
        "sentences": [
            f"9 of 11 records were kept (82 %). Left out: 2 {short}.",
            f"No record of class SBRAD is left, of 1. Left out: 1 {short.replace('X', 'Y')}.",
        ],
    }
    assert caplog.messages == [f"set: {sentence}" for sentence in told["sentences"]]


def test_a_merge_says_what_its_members_lost(tmp_path: Path) -> None:
    for name, seed in (("one", 0), ("two", 50)):
        for number in range(6):
            short = digital_ecg(seed + number)[: 3000 if number > 3 else 5000]
            write_record(tmp_path / f"raw_{name}", f"{name}{number}", short)
        run(tmp_path / f"raw_{name}", tmp_path / name)
    merge({"one": tmp_path / "one", "two": tmp_path / "two"}, tmp_path / "both")
    told = read_json(tmp_path / "both" / "summary.json")
    assert told["losses"]["sentences"][0].startswith("8 of 12 records were kept (67 %). Left out: 4 too_short (one4: ")
    assert told["ages"]["one"] == {"known": 4, "not_stated": 0, "not_read": 0, "not_read_texts": {}}


def test_ages_and_sexes_are_counted(tmp_path: Path) -> None:
    said = [("300", "F"), ("-1", "Unknown"), ("abc", "1"), ("abc", "1"), ("56 years", "male"), ("", "")]
    for number, (age, sex) in enumerate(said):
        comments = [f"#Age: {age}", f"#Sex: {sex}", f"#Dx: {SINUS_RHYTHM}"]
        write_record(tmp_path / "raw", f"R{number}", digital_ecg(number), comments=comments)
    run(tmp_path / "raw", tmp_path / "out")
    told = read_json(tmp_path / "out" / "summary.json")
    assert told["ages"] == {"known": 2, "not_stated": 2, "not_read": 2, "not_read_texts": {"abc": 2}}
    assert told["sexes"] == {"known": 2, "not_stated": 2, "not_read": 2, "not_read_texts": {"1": 2}}


def test_numbers_that_a_spreadsheet_wrote_are_read(tmp_path: Path) -> None:
    rows = [ptbxl_row(1, fold="9.0"), ptbxl_row(2, fold=" 10"), ptbxl_row(3, fold="10.5"), ptbxl_row(4, age="300")]
    raw = write_ptbxl(tmp_path / "raw", rows)
    database = raw / "ptbxl_database.csv"
    database.write_text(database.read_text().replace("\n1,", "\n1.0,"))
    preprocess(
        raw,
        manifest(raw),
        ptbxl_settings(),
        SignalSettings(),
        Preprocess(),
        tmp_path / "out",
        source_name="set",
        workers=1,
    )
    found = pd.read_parquet(tmp_path / "out" / "records.parquet")
    assert found[["record", "split"]].to_numpy().tolist() == [
        ["00001", "validation"], ["00002", "test"], ["00004", "train"],
    ]  # fmt: skip
    assert found["age"].tolist() == [56.0, 56.0, 90.0]
    excluded = pd.read_parquet(tmp_path / "out" / "excluded.parquet")
    assert excluded[["record", "reason"]].to_numpy().tolist() == [["00003", "no_fold"]]


def test_an_excluded_record_reads_as_a_sentence() -> None:
    assert str(InvalidRecord("too_short", "6 s of 10 s")) == "too_short, 6 s of 10 s"
    assert set(KEYS) <= set(REASONS)


def test_a_share_is_not_rounded_up_to_all() -> None:
    assert [percent(share) for share in (0.0, 0.555, 0.9999, 1.0)] == ["0 %", "56 %", "99 %", "100 %"]
