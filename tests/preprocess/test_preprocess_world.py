"""Situations of the world, a row each: records that are there twice, gains, headers, codes, ages, tables, splits."""

from __future__ import annotations

import codecs
import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import wfdb
from raw_records import (
    ATRIAL_FIBRILLATION,
    SINUS_BRADYCARDIA,
    SINUS_RHYTHM,
    challenge_settings,
    digital_ecg,
    manifest,
    ptbxl_row,
    ptbxl_settings,
    signal_lines,
    write_ptbxl,
    write_record,
)
from scipy.signal import butter, filtfilt, iirnotch, sosfiltfilt

from ecgpipe.config import DatasetSettings, Preprocess, SignalSettings
from ecgpipe.leads import LEADS
from ecgpipe.manifest import NAMED, PASSED_OVER
from ecgpipe.preprocess.comments import parse_age, parse_codes, parse_comments, parse_sex
from ecgpipe.preprocess.reasons import KEYS, REASONS
from ecgpipe.preprocess.run import preprocess


class Done:
    """What became of a raw folder."""

    def __init__(self, raw: Path, settings: DatasetSettings | None = None, **quality: Any) -> None:
        out, files = raw.parent / "out", manifest(raw)
        preprocess(
            raw, files, settings or challenge_settings(), SignalSettings(),
            Preprocess.model_validate({"quality": quality}), out, source_name="set", workers=1,
        )  # fmt: skip
        self.records = pd.read_parquet(out / "records.parquet").set_index("record")
        self.excluded = pd.read_parquet(out / "excluded.parquet").set_index("record")
        self.summary = json.loads((out / "summary.json").read_text())

    @property
    def reasons(self) -> dict[str, str]:
        """Why each excluded record was excluded."""
        return {str(record): str(reason) for record, reason in self.excluded["reason"].items()}


def store(raw: Path, name: str, millivolts: np.ndarray, gain: float = 1000, code: str = SINUS_RHYTHM) -> None:
    digital = np.clip(np.round(millivolts * gain), -32767, 32767).astype(np.int16)
    write_record(raw, name, digital, scale=f"{gain:g}/mV", comments=[f"#Dx: {code}"])


ECGS = [digital_ecg(900 + number, seconds=20) / 1000 for number in range(4)]


def plain(raw: Path) -> None:
    for number, ecg in enumerate(ECGS):
        store(raw, f"R{number}", ecg[:5000], code=(SINUS_RHYTHM, SINUS_BRADYCARDIA)[number % 2])


# A. The same recording twice


def _diagnostic(ecg: np.ndarray) -> np.ndarray:
    band = butter(2, [0.05, 150], "band", fs=500, output="sos")
    found: np.ndarray = filtfilt(*iirnotch(50, 30, 500), sosfiltfilt(band, ecg, axis=0), axis=0)
    return found


TWINS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "the whole of which the other is the first ten seconds": lambda ecg: ecg,
    "a copy that begins 0.1 s later": lambda ecg: ecg[50:5050],
    "a copy with a diagnostic filter": lambda ecg: _diagnostic(ecg[:5000]),
    "a copy of half the amplitude": lambda ecg: ecg[:5000] / 2,
}


@pytest.mark.parametrize("copy", TWINS)
def test_a_copy_is_found(tmp_path: Path, copy: str) -> None:
    plain(tmp_path / "raw")
    store(tmp_path / "raw", "X", TWINS[copy](ECGS[2]))
    done = Done(tmp_path / "raw")
    assert done.reasons == {"X": "duplicate_recording"}
    assert done.excluded.loc["X", "detail"].startswith("the same as R2 (correlation ")


def test_two_cuts_of_one_long_recording_are_two_recordings(tmp_path: Path) -> None:
    plain(tmp_path / "raw")
    store(tmp_path / "raw", "X", ECGS[2][5000:])
    assert Done(tmp_path / "raw").reasons == {}


def test_a_copy_in_other_leads_order_and_names_is_found(tmp_path: Path) -> None:
    plain(tmp_path / "raw")
    order = [*range(6, 12), *range(6)]
    names = [f"Lead {LEADS[place]}" for place in order]
    write_record(tmp_path / "raw", "X", np.round(ECGS[1][:5000, order] * 1000).astype(np.int16), leads=names)
    assert Done(tmp_path / "raw").reasons == {"X": "duplicate_recording"}


@pytest.mark.parametrize(
    "spoil", [lambda ecg: ecg * np.r_[np.ones(8), 0, np.ones(3)], lambda ecg: ecg * 5], ids=["flat lead", "wrong gain"]
)
def test_of_two_copies_the_sound_one_is_kept(tmp_path: Path, spoil: Callable[[np.ndarray], np.ndarray]) -> None:
    plain(tmp_path / "raw")
    store(tmp_path / "raw", "A", spoil(ECGS[0][:5000]), gain=200)
    done = Done(tmp_path / "raw")
    assert set(done.reasons) == {"A"}
    assert len(done.records) == 4


def test_a_corrected_diagnosis_in_a_copy_is_told(tmp_path: Path) -> None:
    plain(tmp_path / "raw")
    store(tmp_path / "raw", "X", ECGS[0][:5000], code=ATRIAL_FIBRILLATION)
    done = Done(tmp_path / "raw")
    assert done.excluded.loc["X", "detail"].endswith("; SR, here AFIB)")
    assert done.summary["duplicate_recordings"]["other_label"] == 1
    assert done.summary["losses"]["lost_classes"] == ["AFIB"]


def test_all_records_of_a_patients_folder_are_one_patients(tmp_path: Path) -> None:
    """The second recording of patient 1 has a name that no other folder has."""
    for patient in range(3):
        write_record(tmp_path / "raw" / f"p{patient}", "ecg", digital_ecg(patient))
    write_record(tmp_path / "raw" / "p1", "ecg2", digital_ecg(9))
    for number in range(11):  # a folder of many records, one of which has a common name
        write_record(tmp_path / "raw" / "ward", f"W{number:02d}", digital_ecg(20 + number))
    write_record(tmp_path / "raw" / "ward", "ecg", digital_ecg(50))
    patients = Done(tmp_path / "raw").records["patient"]
    assert patients[["p0/ecg", "p1/ecg", "ecg2", "p2/ecg"]].tolist() == ["p0", "p1", "p1", "p2"]
    assert patients[["W00", "W10", "ward/ecg"]].tolist() == ["W00", "W10", "ward"]


# D. Gains

GAINS: dict[str, tuple[float, str]] = {
    "4.88 uV a unit": (204.918, "204.918/mV"),
    "nanovolts": (1000, "0.001/nV"),
    "microvolts": (200, "0.2/uV"),
    "in capitals": (400, "400(0)/MV"),
    "1e3": (1000, "1e3/mV"),
}


@pytest.mark.parametrize("form", GAINS)
def test_amplitudes_are_read_at_any_scale(tmp_path: Path, form: str) -> None:
    gain, scale = GAINS[form]
    plain(tmp_path / "raw")
    digital = np.round(digital_ecg(5) / 1000 * gain).astype(np.int16)
    write_record(tmp_path / "raw", "X", digital, scale=scale)
    assert Done(tmp_path / "raw").reasons == {}


def test_a_baseline_far_from_nought_counts(tmp_path: Path) -> None:
    plain(tmp_path / "raw")
    write_record(tmp_path / "raw", "X", np.round(digital_ecg(5) * 0.2 + 1024).astype(np.int16), scale="200(1024)/mV")
    assert Done(tmp_path / "raw").reasons == {}


def test_an_offset_of_the_electrodes_is_told_as_one(tmp_path: Path) -> None:
    plain(tmp_path / "raw")
    wfdb.wrsamp(
        "X", 500, ["mV"] * 12, list(LEADS), p_signal=digital_ecg(5) / 1000 + np.linspace(-150, 200, 12),
        fmt=["24"] * 12, comments=[f"Dx: {SINUS_RHYTHM}"], write_dir=str(tmp_path / "raw"),
    )  # fmt: skip
    done = Done(tmp_path / "raw")
    assert done.reasons == {"X": "amplitude"}
    assert "but around a constant offset of up to 200." in done.excluded.loc["X", "detail"]
    assert "`preprocess.quality.max_abs_mv`" in done.excluded.loc["X", "detail"]


@pytest.mark.parametrize(("size", "told"), [(0.2, True), (0.6, False), (1.0, False), (3.0, True)])
def test_one_wrong_gain_in_all_headers_is_told_also_if_it_is_the_usual(tmp_path: Path, size: float, told: bool) -> None:
    for number in range(12):
        store(tmp_path / "raw", f"R{number:02d}", digital_ecg(number, 500) / 1000 * size)
    doubts = Done(tmp_path / "raw").summary["doubtful_gains"]
    assert bool(doubts) == told
    assert not told or ("the median amplitude of its records is" in doubts[0] and "usual_gain" in doubts[0])
    assert Done(tmp_path / "raw", usual_gain=None).summary["doubtful_gains"] == []


# E. Losses


def test_every_reason_says_what_mends_it() -> None:
    assert KEYS.keys() == REASONS.keys()


@pytest.mark.parametrize(
    ("folds", "codes", "said"),
    [
        (["10"], ["SR", "SBRAD"], ["in the train split: nothing can be trained", "in the validation split"]),
        (["1", "2"], ["SR", "SBRAD"], ["in the validation split: ", "in the test split: nothing can be tested"]),
        (["1", "9", "10"], ["SR"], ["Every record is of class SR: there is nothing to tell apart."]),
        (["1", "9", "10"], ["SR", "SBRAD"], []),
    ],
)
def test_an_empty_split_and_a_set_of_one_class_are_told(
    tmp_path: Path, folds: list[str], codes: list[str], said: list[str]
) -> None:
    rows = [
        ptbxl_row(number, codes=f"{{'{codes[number % len(codes)]}': 0.0}}", fold=folds[number % len(folds)])
        for number in range(1, 7)
    ]
    done = Done(write_ptbxl(tmp_path / "raw", rows), ptbxl_settings())
    found = done.summary["losses"]["sentences"]
    assert len(found) == len(said)
    assert all(part in sentence for part, sentence in zip(said, found, strict=True))


# H. Headers, codes, ages

NAME = "X"
DIGITAL = digital_ecg(5)
LINES = signal_lines(f"{NAME}.mat", DIGITAL)
COMMENTS = ["#Age: 61", f"#Dx: {SINUS_RHYTHM}"]
HEADERS: dict[str, bytes] = {
    "UTF-16 of Windows": codecs.BOM_UTF16_LE + "\r\n".join(["X 12 500 5000", *LINES, *COMMENTS]).encode("utf-16-le"),
    "UTF-16, the other way round": codecs.BOM_UTF16_BE + "\n".join(["X 12 500", *LINES, *COMMENTS]).encode("utf-16-be"),
    "filled up with noughts": "\n".join(["X 12 500 5000", *LINES, *COMMENTS, "\0\0\0"]).encode(),
    "filled up with noughts and a line end": "\n".join(["X 12 500 5000", *LINES, *COMMENTS, "\0\0\n"]).encode(),
    "end of file of DOS": "\r\n".join(["X 12 500 5000", *LINES, *COMMENTS, "\x1a"]).encode(),
    "line ends of old Macs": "\r".join(["X 12 500 5000", *LINES, *COMMENTS]).encode(),
    "tabs": "\n".join(["X\t12\t500\t5000", *(line.replace(" ", "\t") for line in LINES), *COMMENTS]).encode(),
    "./ before the data file": "\n".join(["X 12 500 5000", *(f"./{line}" for line in LINES), *COMMENTS]).encode(),
    "comments first": "\n".join([*COMMENTS, "X 12 500 5000", *LINES]).encode(),
    "another name in the record line": "\n".join(["old 12 500 5000", *LINES, *COMMENTS]).encode(),
    "a thirteenth signal elsewhere": "\n".join(
        ["X 13 500 5000", *LINES, "X_ann.dat 16x2 1/NU 16 0 0 0 0 ANN", *COMMENTS]
    ).encode(),
    "no colon": "\n".join(["X 12 500 5000", *LINES, "#Age 61", f"# Dx {SINUS_RHYTHM}"]).encode(),
}


@pytest.mark.parametrize("form", HEADERS)
def test_headers_of_the_world_are_read(tmp_path: Path, form: str) -> None:
    plain(tmp_path / "raw")
    write_record(tmp_path / "raw", NAME, DIGITAL)
    (tmp_path / "raw" / f"{NAME}.hea").write_bytes(HEADERS[form])
    done = Done(tmp_path / "raw")
    assert done.reasons == {}
    assert done.records.loc[NAME, ["label", "age"]].tolist() == ["SR", 61.0]


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("426783006;59118001", ("426783006", "59118001")),
        ("426783006 59118001", ("426783006", "59118001")),
        ("426783006 |Sinus rhythm|, 59118001 |RBBB|", ("426783006", "59118001")),
        ("426783006 (sinus, normal)", ("426783006",)),
        ("426783006.0,59118001.0", ("426783006", "59118001")),
        ("['426783006', '59118001']", ("426783006", "59118001")),
        ('"426783006"', ("426783006",)),
        ("sinus rhythm", ("sinus rhythm",)),
        ("1.5", ("1.5",)),
    ],
)
def test_codes_as_people_write_them(text: str, codes: tuple[str, ...]) -> None:
    assert parse_codes(text) == codes


@pytest.mark.parametrize(
    ("text", "years"),
    [("61 J.", 61), ("61 ans", 61), ("61 años", 61), ("61 anos", 61), ("89 and over", 90), ("90 or older", 90)],
)
def test_ages_in_other_words(text: str, years: float) -> None:
    assert parse_age(text) == years


@pytest.mark.parametrize(("text", "years"), [("6 mois", 0.5), ("6 meses", 0.5), ("12 jours", 12 / 365.25)])
def test_ages_of_infants_in_other_words(text: str, years: float) -> None:
    assert parse_age(text) == pytest.approx(years)


def test_a_bare_j_may_be_days_or_years() -> None:
    assert np.isnan(parse_age("12 j"))


@pytest.mark.parametrize(
    ("text", "sex"),
    [("weiblich", "female"), ("Femme", "female"), ("mujer", "female"), ("hombre", "male"), ("Männlich", "male"),
     ("H", "unknown"), ("1", "unknown"), ("diverse", "unknown")],
)  # fmt: skip
def test_sexes_in_other_words(text: str, sex: str) -> None:
    assert parse_sex(text) == sex


def test_a_sentence_is_no_key() -> None:
    assert parse_comments(["#sex and gender are self-reported", "#Dx is by two readers", "#aged 61"]) == {}


# PTB-XL's table


def _flat(raw: Path) -> None:
    for path in (raw / "records100" / "00000").iterdir():
        path.rename(raw / "records100" / path.name)


def _with_mark(raw: Path) -> None:
    table = raw / "ptbxl_database.csv"
    table.write_bytes(codecs.BOM_UTF8 + table.read_bytes())


def _words(raw: Path) -> None:
    table = raw / "ptbxl_database.csv"
    table.write_text(table.read_text().replace(",56.0,1,", ",56,female,"))


@pytest.mark.parametrize("change", [_flat, _with_mark, _words])
def test_copies_of_ptbxl_are_read(tmp_path: Path, change: Callable[[Path], None]) -> None:
    raw = write_ptbxl(tmp_path / "raw", [ptbxl_row(number) for number in range(1, 4)])
    change(raw)
    done = Done(raw, ptbxl_settings())
    assert done.reasons == {}
    assert done.records["sex"].tolist() == ["female"] * 3
    assert done.summary["not_requested"] == 0


@pytest.mark.parametrize(("mark", "word"), [(";", "semicolons"), ("\t", "tabs")])
def test_a_table_with_other_separators_is_told_as_one(tmp_path: Path, mark: str, word: str) -> None:
    raw = write_ptbxl(tmp_path / "raw", [ptbxl_row(1)])
    table = raw / "ptbxl_database.csv"
    with open(table, newline="") as handle:
        rows = list(csv.reader(handle))
    with open(table, "w", newline="") as handle:
        csv.writer(handle, delimiter=mark).writerows(rows)
    with pytest.raises(ValueError, match=f"separated by {word} in place of commas"):
        Done(raw, ptbxl_settings())


def test_what_is_missing_of_ptbxl_was_not_left_out_by_choice(tmp_path: Path) -> None:
    rows = [ptbxl_row(number) for number in range(1, 7)]
    raw = write_ptbxl(tmp_path / "raw", rows[:4])
    (raw / "ptbxl_database.csv").write_text("\n".join([(raw / "ptbxl_database.csv").read_text().rstrip(), *rows[4:]]))
    files = manifest(raw)
    assert _not_requested(raw, files, tmp_path / "asked") == 2  # as with a limit
    files.attrs[PASSED_OVER] = [[f"records100/00000/0000{number}_lr", NAMED] for number in (5, 6)]
    assert _not_requested(raw, files, tmp_path / "cut") == 0


def _not_requested(raw: Path, files: pd.DataFrame, out: Path) -> int:
    preprocess(
        raw, files, ptbxl_settings(), SignalSettings(), Preprocess(), out, source_name="set", workers=1
    )  # fmt: skip
    return int(json.loads((out / "summary.json").read_text())["not_requested"])
