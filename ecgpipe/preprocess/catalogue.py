"""Which records a raw folder holds, by its format, and what is known of them without their signals."""

from __future__ import annotations

import ast
import math
import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd

from ecgpipe.preprocess.headers import Sex
from ecgpipe.preprocess.reasons import Refusal
from ecgpipe.preprocess.splits import by_fold

LAST_CHAPMAN = 10646
"""Records of ecg-arrhythmia up to this number are of Chapman University and Shaoxing hospital, the rest of Ningbo."""

OLDEST_KNOWN = 89.0
"""PTB-XL's ages above this are stored as 300."""

NINETY_OR_OVER = 90.0
"""What such an age becomes here."""

Subset = Literal["chapman", "ningbo"]
CODE_SYSTEM = {"ptbxl": "SCP", "ecg_arrhythmia": "SNOMED-CT", "challenge": "SNOMED-CT"}
"""Code system of each format."""

_DATABASE_COLUMNS = ("ecg_id", "patient_id", "age", "sex", "scp_codes", "strat_fold", "filename_lr", "filename_hr")
_DICTIONARIES = {"SCP": ("scp_statements.csv", 0), "SNOMED-CT": ("ConditionNames_SNOMED-CT.csv", "Snomed_CT")}
_PTBXL_SEXES: dict[str, Sex] = {"0": "male", "1": "female"}


@dataclass(frozen=True)
class Entry:
    """A record to read. What only its header tells is None until that is read."""

    record: str
    stem: str
    """Path of its files in the raw folder, without ending."""
    patient: str
    split: str | None = None
    age: float = math.nan
    sex: Sex = "unknown"
    codes: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Excluded:
    """A record that is left out, and why; a row of ``excluded.parquet``."""

    record: str
    reason: str
    detail: str
    """What was found and where: the lead, the measure, the limit."""
    codes: str
    split: str = ""
    """Where it would have been; empty if it comes without a fold."""


@dataclass(frozen=True)
class Catalogue:
    """All records of a raw folder, in order of their names."""

    entries: list[Entry]
    excluded: list[Excluded]
    not_requested: int
    """Records that the data set has but the study did not ask for (a subset was fetched or configured)."""


def ptbxl(raw: Path, manifest: pd.DataFrame, rate: int) -> Catalogue:
    """List PTB-XL's records; those of 100 Hz serve a study of 100 Hz and below, those of 500 Hz any other.

    An age above 89 is stored as 300 there, for privacy; here it is 90.0, which therefore means "90 or over".
    A statement counts whatever its likelihood: 0 stands for "not stated" with rhythms.

    Raises:
        ValueError: if ``ptbxl_database.csv`` is missing or unfit, or no record of the rate is in the manifest.
    """
    low = rate <= 100
    folder, suffix, column = ("records100/", "_lr", "filename_lr") if low else ("records500/", "_hr", "filename_hr")
    files = _files_by_stem(manifest, folder)
    if not files:
        raise ValueError(f"{raw}: the manifest has no record below {folder}; fetch the records of that rate first")
    rows = _database(raw / "ptbxl_database.csv", column)
    listing = _Listing()
    for stem, endings in files.items():
        row = rows.get(stem)
        if row is None:
            name = Path(stem).name.removesuffix(suffix)
            listing.exclude(name, Refusal("not_in_database", f"{stem} is not in ptbxl_database.csv"))
            continue
        name = f"{int(row['ecg_id']):05d}"
        codes: tuple[str, ...] = ()
        try:
            codes = _scp_codes(row["scp_codes"])
            _check_files(stem, endings)
            entry = Entry(name, stem, _patient(row), _split(row), _ptbxl_age(row), _ptbxl_sex(row), codes)
        except Refusal as refusal:
            listing.exclude(name, refusal, codes, _split_if_any(row))
            continue
        listing.add(entry)
    return listing.finish(not_requested=len(rows.keys() - files.keys()))


def ecg_arrhythmia(raw: Path, manifest: pd.DataFrame, subset: Subset | None) -> Catalogue:
    """List the records of ecg-arrhythmia (one a patient); age, sex and codes stand in their headers.

    Raises:
        ValueError: if the manifest has no record.
    """
    files = _files_by_stem(manifest, "WFDBRecords/")
    if not files:
        raise ValueError(f"{raw}: the manifest has no record below WFDBRecords/; fetch the records first")
    listing = _Listing()
    not_requested = 0
    for stem, endings in files.items():
        name = Path(stem).name
        if subset is not None and _hospital(name) != subset:
            not_requested += 1
            continue
        try:
            _check_files(stem, endings)
        except Refusal as refusal:
            listing.exclude(name, refusal)
            continue
        listing.add(Entry(name, stem, name))
    return listing.finish(not_requested)


def challenge(raw: Path, manifest: pd.DataFrame, folder: str | None) -> Catalogue:
    """List the records below ``folder`` (or anywhere) of a PhysioNet/CinC Challenge 2021 folder.

    Age, sex and codes stand in their headers. These do not tell patients apart, so that each record counts as one.

    Raises:
        ValueError: if the manifest has no record.
    """
    below = "" if folder is None else f"{folder}/"
    files = _files_by_stem(manifest, below)
    if not files:
        raise ValueError(f"{raw}: the manifest has no record{' below ' + below if below else ''}; check `folder`")
    listing = _Listing()
    for stem, endings in files.items():
        name = Path(stem).name
        try:
            _check_files(stem, endings)
        except Refusal as refusal:
            listing.exclude(name, refusal)
            continue
        listing.add(Entry(name, stem, name))
    return listing.finish(not_requested=0)


def dictionary(raw: Path, system: str) -> frozenset[str] | None:
    """Return the codes of ``system`` that the data set itself explains, or None if it came with no dictionary.

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
        raise ValueError(f"{path} is not the dictionary of {system} codes; delete it and fetch it again") from error
    return frozenset(code.strip() for code in codes)


class _Listing:
    """Entries and exclusions as they are found; a name that comes again is excluded."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._excluded: list[Excluded] = []

    def add(self, entry: Entry) -> None:
        if entry.record in self._entries:
            first = self._entries[entry.record].stem
            duplicate = Refusal("duplicate_record", f"{entry.stem} has the name of {first}")
            self.exclude(entry.record, duplicate, entry.codes or (), entry.split or "")
        else:
            self._entries[entry.record] = entry

    def exclude(self, record: str, refusal: Refusal, codes: tuple[str, ...] = (), split: str = "") -> None:
        self._excluded.append(Excluded(record, refusal.reason, refusal.detail, ",".join(codes), split))

    def finish(self, not_requested: int) -> Catalogue:
        entries = sorted(self._entries.values(), key=lambda entry: entry.record)
        return Catalogue(entries, self._excluded, not_requested)


def _files_by_stem(manifest: pd.DataFrame, folder: str) -> dict[str, set[str]]:
    """Return the endings of each record's files, by path without ending, in order of the paths."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in sorted(manifest["path"]):
        stem, dot, ending = path.rpartition(".")
        if path.startswith(folder) and dot and ending in ("hea", "dat", "mat"):
            found[stem].add(ending)
    return found


def _check_files(stem: str, endings: set[str]) -> None:
    """Refuse a record of which the manifest lists one file only: what is not listed was not verified."""
    if "hea" not in endings:
        raise Refusal("missing_header", f"{stem}.hea is not in the manifest")
    if len(endings) < 2:
        raise Refusal("missing_data", f"{stem}.dat or .mat is not in the manifest")


def _database(path: Path, column: str) -> dict[str, dict[str, str]]:
    """Return the rows of ptbxl_database.csv by the path of their record."""
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, usecols=list(_DATABASE_COLUMNS))
    except FileNotFoundError as error:
        raise ValueError(f"{path} is missing: PTB-XL's codes, patients and folds stand there") from error
    except ValueError as error:  # pandas' parser errors are ValueErrors
        raise ValueError(f"{path} is not PTB-XL's table ({error}); delete it and fetch it again") from error
    bad = table.loc[~table["ecg_id"].str.fullmatch("[0-9]{1,9}"), "ecg_id"]
    if len(bad):
        raise ValueError(f"{path}: ecg_id {bad.iloc[0]!r} is no number; delete the file and fetch it again")
    twice = table.loc[table[column].duplicated() | table["ecg_id"].duplicated(), "ecg_id"]
    if len(twice):
        raise ValueError(f"{path} has ecg_id {twice.iloc[0]} or its {column} twice; delete the file and fetch it again")
    rows: list[dict[str, str]] = table.to_dict("records")  # type: ignore[assignment]
    return {row[column]: row for row in rows}


def _scp_codes(text: str) -> tuple[str, ...]:
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise Refusal("unreadable_codes", f"scp_codes {text[:60]!r}") from error
    if not isinstance(value, dict) or not all(isinstance(code, str) for code in value):
        raise Refusal("unreadable_codes", f"scp_codes {text[:60]!r}")
    return tuple(code.strip() for code in value)


def _patient(row: dict[str, str]) -> str:
    if not re.fullmatch(r"[0-9]+(\.0*)?", row["patient_id"]):
        raise Refusal("no_patient", f"patient_id {row['patient_id']!r}")
    return str(int(row["patient_id"].split(".")[0]))


def _split(row: dict[str, str]) -> str:
    try:
        return by_fold(int(row["strat_fold"]))
    except ValueError as error:
        raise Refusal("no_fold", f"strat_fold {row['strat_fold']!r}") from error


def _split_if_any(row: dict[str, str]) -> str:
    try:
        return _split(row)
    except Refusal:
        return ""


def _ptbxl_age(row: dict[str, str]) -> float:
    try:
        age = float(row["age"])
    except ValueError:
        return math.nan
    if age > OLDEST_KNOWN:
        return NINETY_OR_OVER
    return age if age >= 0 else math.nan


def _ptbxl_sex(row: dict[str, str]) -> Sex:
    return _PTBXL_SEXES.get(row["sex"].removesuffix(".0"), "unknown")


def _hospital(record: str) -> Subset | None:
    match = re.fullmatch(r"JS([0-9]{1,9})", record)
    if match is None:
        return None
    return "chapman" if int(match[1]) <= LAST_CHAPMAN else "ningbo"
