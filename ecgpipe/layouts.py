"""The layouts of the raw data sets: what their files are called, where records lie, and which hospital made them.

Acquisition fetches these files, preprocessing reads them, the simulator writes them.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from typing import Literal, NamedTuple

Format = Literal["ptbxl", "ecg_arrhythmia", "challenge"]
Subset = Literal["chapman", "ningbo"]

CHECKSUMS = "SHA256SUMS.txt"
"""A PhysioNet project's list of all its files and their SHA-256 sums."""

LICENSE = "LICENSE.txt"

PTBXL_DATABASE = "ptbxl_database.csv"
"""PTB-XL's table of records: codes, patients, folds."""

SCP_DICTIONARY = "scp_statements.csv"
"""PTB-XL's dictionary of SCP codes."""

SNOMED_DICTIONARY = "ConditionNames_SNOMED-CT.csv"
"""The dictionary of SNOMED-CT codes in ecg-arrhythmia."""

ARRHYTHMIA_RECORDS = "WFDBRecords"
"""Folder of all records in ecg-arrhythmia."""

DATA_EXTENSIONS = ("dat", "mat", "flac")
"""Ends of the names of the data files from which the twelve leads are read."""

LAST_CHAPMAN = 10646
"""Records of ecg-arrhythmia up to JS10646 were made by Chapman University and Shaoxing hospital, the rest by Ningbo."""

_JS_NUMBER = re.compile(r"JS([0-9]+)")


class PtbxlRecords(NamedTuple):
    """One of the two copies of PTB-XL's records."""

    rate: int
    """Sampling rate, Hz."""
    folder: str
    suffix: str
    """End of the records' names in this folder."""
    column: str
    """Column of ``ptbxl_database.csv`` that holds the records' paths."""


def ptbxl_records(rate: float) -> PtbxlRecords:
    """Return the copy that serves a study at ``rate`` Hz: 100 Hz where that is enough, otherwise 500 Hz."""
    if rate <= 100:
        return PtbxlRecords(100, "records100", "_lr", "filename_lr")
    return PtbxlRecords(500, "records500", "_hr", "filename_hr")


def files_by_record(paths: Iterable[str]) -> dict[str, list[str]]:
    """Return the files of each record, in order, by the path that they share.

    That is their path without ending; of a header without a data file of its name also ``<record>_1.dat`` and so on.
    """
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted(paths):
        found[path.rpartition(".")[0]].append(path)
    alone = {stem for stem, own in found.items() if all(path.lower().endswith(".hea") for path in own)}
    for stem in [stem for stem, own in found.items() if not any(path.lower().endswith(".hea") for path in own)]:
        whole = re.sub(r"_[0-9]{1,2}$", "", stem)
        if whole != stem and whole in alone:
            found[whole] += found.pop(stem)
    return dict(found)


def subset_of(record: str) -> Subset | None:
    """Return which part of ecg-arrhythmia a record belongs to, by its name (``JS00001``); None for any other name."""
    match = _JS_NUMBER.fullmatch(record.upper())
    if match is None:
        return None
    return "chapman" if int(match[1]) <= LAST_CHAPMAN else "ningbo"
