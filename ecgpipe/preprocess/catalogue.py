"""The records of a raw folder, by its format, and what is known of them before their signals are read."""

from __future__ import annotations

import ast
import math
import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from ecgpipe.config import DatasetSettings
from ecgpipe.layouts import (
    ARRHYTHMIA_RECORDS,
    DATA_EXTENSIONS,
    PTBXL_DATABASE,
    SCP_DICTIONARY,
    SNOMED_DICTIONARY,
    Subset,
    files_by_record,
    ptbxl_records,
    subset_of,
)
from ecgpipe.preprocess.comments import NINETY_OR_OVER, Sex, parse_age, parse_sex
from ecgpipe.preprocess.reasons import InvalidRecord
from ecgpipe.preprocess.splits import FOLDS, by_fold, folds_of

CODE_SYSTEM = {"ptbxl": "SCP", "ecg_arrhythmia": "SNOMED-CT", "challenge": "SNOMED-CT"}
"""Code system of each format."""

CORRECT = "correct the file in the dataset's source, of which this is a verified copy, and run again"
_DATABASE_COLUMNS = ("ecg_id", "patient_id", "age", "sex", "scp_codes", "strat_fold", "filename_lr", "filename_hr")
_DICTIONARIES = {"SCP": (SCP_DICTIONARY, 0), "SNOMED-CT": (SNOMED_DICTIONARY, "Snomed_CT")}
_PTBXL_SEXES: dict[str, Sex] = {"0": "male", "1": "female"}


class Stated(NamedTuple):
    """What a table or a header says of a patient, as text."""

    age: str = ""
    sex: str = ""


NOTHING_STATED = Stated()


@dataclass(frozen=True)
class Entry:
    """A record to read; what only its header tells is None until that is read."""

    record: str
    stem: str
    """Path of its files in the raw folder, without extension."""
    patient: str
    split: str | None = None
    fold: int | None = None
    """PTB-XL's own."""
    age: float = math.nan
    sex: Sex = "unknown"
    codes: tuple[str, ...] | None = None
    stated: Stated = NOTHING_STATED


@dataclass(frozen=True)
class Excluded:
    """A record that is left out, and why; a row of ``excluded.parquet``."""

    record: str
    reason: str
    detail: str
    """What was found and where: the lead, the value, the limit."""
    codes: str
    split: str = ""
    """The split it would have been in; empty without a fold."""


@dataclass(frozen=True)
class Catalogue:
    """All records of a raw folder, in order of their names."""

    entries: list[Entry]
    excluded: list[Excluded]
    not_requested: int
    """Records of the data set that the study did not ask for, because a subset was fetched or configured."""


def list_records(raw: Path, manifest: pd.DataFrame, dataset: DatasetSettings, rate: int) -> Catalogue:
    """List the records of a raw folder, whose files are in ``manifest``, for a study at ``rate`` Hz.

    Raises:
        ValueError: if the manifest has no record, or a table of the data set is unusable.
    """
    if dataset.format == "ptbxl":
        return ptbxl(raw, manifest, rate, folds_of(dataset))
    if dataset.format == "challenge":
        return challenge(raw, manifest, dataset.folder)
    return ecg_arrhythmia(raw, manifest, dataset.subset)


def ptbxl(raw: Path, manifest: pd.DataFrame, rate: int, folds: Mapping[str, Collection[int]] = FOLDS) -> Catalogue:
    """List PTB-XL's records, of its 100 Hz or its 500 Hz copy; ``folds`` are those of each split.

    PTB-XL stores an age above 89 as 300, for privacy; here it is 90.0, which therefore means "90 or over".
    A code counts whatever its likelihood: of rhythms, 0 means that none was given.

    Raises:
        ValueError: if ``ptbxl_database.csv`` is missing or unusable, or the manifest has no record of the rate.
    """
    copy = ptbxl_records(rate)
    files = _files_by_stem(manifest, f"{copy.folder}/")
    if not files:
        raise ValueError(f"{raw}: the manifest has no record below {copy.folder}/, which `signal.rate` {rate} needs")
    rows = _database(raw / PTBXL_DATABASE, copy.column)
    by_name = {Path(stem).name: row for stem, row in rows.items()}  # of copies without the folders of a thousand
    builder = _CatalogueBuilder()
    for stem, extensions in files.items():
        row = rows.get(stem) or by_name.get(Path(stem).name)
        if row is None:
            name = Path(stem).name.removesuffix(copy.suffix)
            builder.exclude(name, InvalidRecord("not_in_database", f"{stem} is not in {PTBXL_DATABASE}"))
            continue
        name = f"{_whole(row['ecg_id']):05d}"
        codes: tuple[str, ...] = ()
        try:
            codes = _scp_codes(row["scp_codes"])
            _check_files(stem, extensions)
            stated = Stated(row["age"], row["sex"])
            split = _split(row, folds)
            fold = _whole(row["strat_fold"])
            entry = Entry(name, stem, _patient(row), split, fold, _ptbxl_age(row), _ptbxl_sex(row), codes, stated)
        except InvalidRecord as invalid:
            builder.exclude(name, invalid, codes, _split_if_any(row, folds))
            continue
        builder.add(entry)
    return builder.finish(not_requested=len(by_name.keys() - {Path(stem).name for stem in files}))


def ecg_arrhythmia(raw: Path, manifest: pd.DataFrame, subset: Subset | None) -> Catalogue:
    """List the records of ecg-arrhythmia, one a patient; age, sex and codes stand in their headers.

    Raises:
        ValueError: if the manifest has no record.
    """
    files = _files_by_stem(manifest, f"{ARRHYTHMIA_RECORDS}/")
    if not files:
        raise ValueError(f"{raw}: the manifest has no record below {ARRHYTHMIA_RECORDS}/; fetch the records first")
    chosen = {stem: found for stem, found in files.items() if subset in (None, subset_of(Path(stem).name))}
    return _one_record_a_patient(chosen, not_requested=len(files) - len(chosen))


def challenge(raw: Path, manifest: pd.DataFrame, folder: str | None) -> Catalogue:
    """List the records below ``folder`` (or anywhere) of a PhysioNet/CinC Challenge 2021 folder.

    Age, sex and codes stand in their headers. These do not tell patients apart, so each record counts as a patient.
    Where records of several folders have one name, as ``ecg`` of each in a folder a patient, their paths tell them
    apart, and all in a folder count as one patient: also those of another name, unless nine in ten have one.

    Raises:
        ValueError: if the manifest has no record.
    """
    below = "" if folder is None else f"{folder}/"
    files = _files_by_stem(manifest, below)
    if not files:
        raise ValueError(f"{raw}: the manifest has no record{' below ' + below if below else ''}; check `folder`")
    same_name = Counter(Path(stem).name for stem in files)
    shared = {stem: stem.removeprefix(below) for stem in files if same_name[Path(stem).name] > 1}
    size = Counter(Path(stem).parent for stem in files)
    sharing = Counter(Path(stem).parent for stem in shared)
    of_patients = {folder for folder, number in sharing.items() if 10 * number >= size[folder]}
    patients = {
        stem: str(Path(stem.removeprefix(below)).parent)
        for stem in files
        if "/" in stem.removeprefix(below) and (stem in shared or Path(stem).parent in of_patients)
    }
    return _one_record_a_patient(files, not_requested=0, names=shared, patients=patients)


def _one_record_a_patient(
    files: dict[str, set[str]],
    not_requested: int,
    names: Mapping[str, str] | None = None,
    patients: Mapping[str, str] | None = None,
) -> Catalogue:
    """List records of which all else stands in their headers; each counts as a patient of its own.

    Records in ``names`` and ``patients``, by path, have that name instead of their file's, and that patient.
    """
    builder = _CatalogueBuilder()
    for stem, extensions in files.items():
        name = (names or {}).get(stem, Path(stem).name)
        try:
            _check_files(stem, extensions)
        except InvalidRecord as invalid:
            builder.exclude(name, invalid)
            continue
        builder.add(Entry(name, stem, (patients or {}).get(stem, name)))
    return builder.finish(not_requested)


def dictionary(raw: Path, system: str) -> frozenset[str] | None:
    """Return the codes of ``system`` in the data set's own dictionary, or None if it has none.

    Raises:
        ValueError: if the dictionary cannot be read.
    """
    name, column = _DICTIONARIES[system]
    path = raw / name
    if not path.exists():
        return None
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
        codes = table.iloc[:, column] if isinstance(column, int) else table[column]
    except (ValueError, KeyError, IndexError) as error:  # pandas' parser errors are ValueErrors
        raise ValueError(f"{path} is not the dictionary of {system} codes; {CORRECT}") from error
    return frozenset(code.strip() for code in codes)


class _CatalogueBuilder:
    """Collects entries and exclusions; a second record of the same name is excluded."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._excluded: list[Excluded] = []

    def add(self, entry: Entry) -> None:
        if entry.record in self._entries:
            first = self._entries[entry.record].stem
            duplicate = InvalidRecord("duplicate_record", f"{entry.stem} has the name of {first}")
            self.exclude(entry.record, duplicate, entry.codes or (), entry.split or "")
        else:
            self._entries[entry.record] = entry

    def exclude(self, record: str, invalid: InvalidRecord, codes: tuple[str, ...] = (), split: str = "") -> None:
        self._excluded.append(Excluded(record, invalid.reason, invalid.detail, ",".join(codes), split))

    def finish(self, not_requested: int) -> Catalogue:
        entries = sorted(self._entries.values(), key=lambda entry: entry.record)
        return Catalogue(entries, self._excluded, not_requested)


def _files_by_stem(manifest: pd.DataFrame, folder: str) -> dict[str, set[str]]:
    """Return the extensions of each record's files, in lower case, by path without extension, in order of the paths."""
    endings = tuple(f".{extension}" for extension in ("hea", *DATA_EXTENSIONS))
    found = files_by_record(
        path for path in manifest["path"] if path.startswith(folder) and path.lower().endswith(endings)
    )
    return {stem: {path.rpartition(".")[2].lower() for path in own} for stem, own in found.items()}


def _check_files(stem: str, extensions: set[str]) -> None:
    """Check that the manifest lists both files of a record: a file that is not listed was not verified.

    Raises:
        InvalidRecord: ``missing_header`` or ``missing_data``.
    """
    if "hea" not in extensions:
        raise InvalidRecord("missing_header", f"{stem}.hea is not in the manifest")
    if len(extensions) < 2:
        allowed = " or ".join(f".{extension}" for extension in DATA_EXTENSIONS)
        raise InvalidRecord("missing_data", f"{stem}{allowed} is not in the manifest")


def _database(path: Path, column: str) -> dict[str, dict[str, str]]:
    """Return the rows of ptbxl_database.csv by the path of their record."""
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, usecols=list(_DATABASE_COLUMNS))
    except FileNotFoundError as error:
        raise ValueError(f"{path} is missing: it holds PTB-XL's codes, patients and folds") from error
    except ValueError as error:  # pandas' parser errors are ValueErrors
        raise ValueError(f"{path} is not PTB-XL's table ({_separator(path) or error}); {CORRECT}") from error
    bad = table.loc[~table["ecg_id"].str.fullmatch(r"[0-9]{1,9}(\.0*)?"), "ecg_id"]
    if len(bad):
        raise ValueError(f"{path}: ecg_id {bad.iloc[0]!r} is no number; {CORRECT}")
    twice = table.loc[table[column].duplicated() | table["ecg_id"].duplicated(), "ecg_id"]
    if len(twice):
        raise ValueError(f"{path} has ecg_id {twice.iloc[0]} or its {column} twice; {CORRECT}")
    rows: list[dict[str, str]] = table.to_dict("records")  # type: ignore[assignment]
    return {row[column]: row for row in rows}


def _separator(path: Path) -> str:
    """Say that a table has other separators than commas, as spreadsheets of some countries write it."""
    with open(path, encoding="utf-8", errors="replace") as handle:
        first = handle.readline(10_000)
    found = next((name for name, mark in (("semicolons", ";"), ("tabs", "\t")) if first.count(mark) > 3), "")
    return f"its columns are separated by {found} in place of commas" if found and "," not in first else ""


def _scp_codes(text: str) -> tuple[str, ...]:
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise InvalidRecord("unreadable_codes", f"scp_codes {text[:60]!r}") from error
    if not isinstance(value, dict) or not all(isinstance(code, str) for code in value):
        raise InvalidRecord("unreadable_codes", f"scp_codes {text[:60]!r}")
    return tuple(code.strip() for code in value)


def _patient(row: dict[str, str]) -> str:
    if not re.fullmatch(r"[0-9]+(\.0*)?", row["patient_id"]):
        raise InvalidRecord("no_patient", f"patient_id {row['patient_id']!r}")
    return str(int(row["patient_id"].split(".")[0]))


def _split(row: dict[str, str], folds: Mapping[str, Collection[int]]) -> str:
    try:
        return by_fold(_whole(row["strat_fold"]), folds)
    except ValueError as error:
        raise InvalidRecord("no_fold", f"strat_fold {row['strat_fold']!r}") from error


def _split_if_any(row: dict[str, str], folds: Mapping[str, Collection[int]]) -> str:
    try:
        return _split(row, folds)
    except InvalidRecord:
        return ""


def _ptbxl_age(row: dict[str, str]) -> float:
    """Return the age; PTB-XL states none above 89, so that an age above that can only be 90 or over."""
    return min(parse_age(row["age"]), NINETY_OR_OVER)  # of NaN and 90, NaN, which comes first


def _whole(text: str) -> int:
    """Return a whole number that a spreadsheet may have written as ``1.0``.

    Raises:
        ValueError: if it is none.
    """
    return int(re.sub(r"\.0*$", "", text.strip()))


def _ptbxl_sex(row: dict[str, str]) -> Sex:
    return _PTBXL_SEXES.get(row["sex"].removesuffix(".0")) or parse_sex(row["sex"])
