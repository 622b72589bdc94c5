"""Which files of a project or folder a dataset needs: its tables, and the files of its records."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import NamedTuple, Protocol

from ecgpipe.acquire.errors import AcquireError
from ecgpipe.acquire.listing import RECORDS, ProjectFile
from ecgpipe.folders import PassedOver, abbreviate
from ecgpipe.layouts import (
    ARRHYTHMIA_RECORDS,
    CHECKSUMS,
    LICENSE,
    PTBXL_DATABASE,
    SCP_DICTIONARY,
    SNOMED_DICTIONARY,
    Format,
    files_by_record,
    ptbxl_records,
    subset_of,
)

logger = logging.getLogger(__name__)

OPTIONAL = (SNOMED_DICTIONARY, LICENSE, RECORDS)
"""Files of any format that are fetched where a project has them."""
_TABLES = {name.lower(): name for name in (PTBXL_DATABASE, SCP_DICTIONARY, *OPTIONAL)}
_ENDINGS = r"\.(?:hea|mat|dat|flac)"


@dataclass(frozen=True)
class Layout:
    """Which files a format has, and where its records lie."""

    required: tuple[str, ...]
    folder: str
    """Folder of the records; empty: anywhere."""
    record: re.Pattern[str]
    """Matches a record's header and data file, in capitals or not; group ``name`` is the record's name."""
    example: str
    """How a record's name is spelled."""
    lower: bool = False
    """Whether all paths of records are in lower case."""
    place: str = ""
    """Path of a header, as messages speak of it."""

    def is_other_copy(self, path: str) -> bool:
        """Return whether a path is that of a record in PTB-XL's copy of another rate."""
        start = path.lower()
        return self.lower and start.startswith(("records100/", "records500/")) and not start.startswith(self.folder)

    def spelling(self, path: str) -> str | None:
        """Return a path as the format spells it, or None if it is none of the format's files.

        Copies that went through other file systems have endings, tables and folders in capitals.
        """
        if (table := _TABLES.get(path.lower())) in (*self.required, *OPTIONAL):
            return table
        if self.record.fullmatch(path) is None:
            return None
        stem, dot, ending = path.rpartition(".")
        if self.lower:
            return path.lower()
        return self.folder + stem[len(self.folder) :] + dot + ending.lower()

    def name(self, path: str) -> str | None:
        """Return the name of the record that a file belongs to; None if it is no record's."""
        match = self.record.fullmatch(path)
        return None if match is None else match["name"]


def layout(format: Format, rate: int) -> Layout:
    """Return the layout of ``format`` for signals at ``rate`` Hz.

    Records of the PhysioNet/CinC Challenge 2021 may lie anywhere, each a header with codes and a data file.
    """
    if format == "ptbxl":
        files = ptbxl_records(rate)
        record = rf"{files.folder}/(?:.+/)?(?P<name>[^/]+){files.suffix}{_ENDINGS}"
        place = f"{files.folder}/00000/00001{files.suffix}.hea"
        tables = (PTBXL_DATABASE, SCP_DICTIONARY)
        found = Layout(tables, f"{files.folder}/", _pattern(record), "00001", lower=True, place=place)
    elif format == "challenge":
        found = Layout((), "", _pattern(rf"(?:.+/)?(?P<name>[^/]+){_ENDINGS}"), "E00001")
    else:
        record = rf"{ARRHYTHMIA_RECORDS}/(?:.+/)?(?P<name>[^/]+){_ENDINGS}"
        place = f"{ARRHYTHMIA_RECORDS}/01/010/JS00001.hea"
        found = Layout((SNOMED_DICTIONARY,), f"{ARRHYTHMIA_RECORDS}/", _pattern(record), "JS00001", place=place)
    return found


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text, re.IGNORECASE)


class Place(Protocol):
    """Where files were looked for, as messages speak of it."""

    def lacks_tables(self, absent: Sequence[str], format: Format) -> str:
        """Say that required tables are not there."""
        ...

    def lacks_records(self, format: Format, rate: int, subset: str | None) -> str:
        """Say that there is no record."""
        ...

    def __str__(self) -> str: ...


class ListedPlace:
    """A project with a list of its files."""

    def __str__(self) -> str:
        return CHECKSUMS

    def lacks_tables(self, absent: Sequence[str], format: Format) -> str:
        return (
            f"{CHECKSUMS} does not list {', '.join(absent)}: this is no project of format {format}, or the list was "
            "cut short; check `slug`, `version` and `format`"
        )

    def lacks_records(self, format: Format, rate: int, subset: str | None) -> str:
        of_subset = f" and subset {subset}" if subset else ""
        return (
            f"{CHECKSUMS} lists no record of format {format}{of_subset} for {rate} Hz; check `slug`, `version`, "
            "`format` and `subset`"
        )


class Selection(NamedTuple):
    """The files that a dataset needs, and what was left out."""

    files: list[ProjectFile]
    """Sorted by path."""
    halves: list[str]
    """Records that have no header, no data file, or data files in two formats."""
    not_requested: int
    """Records that ``records``, ``limit`` or a subset leave out."""
    passed_over: list[PassedOver]
    """Files that differ from another only in capitals, and headers that lie elsewhere than the format's records."""
    other: Counter[str]
    """Files that are no part of the format, by ending."""

    def tell_halves(self) -> None:
        """Warn of records that have no header, no data file, or data files in two formats."""
        if self.halves:
            logger.warning(
                "records with other files than one header and one data file: %d: %s",
                len(self.halves),
                abbreviate(self.halves),
            )


def select_files(
    files: Iterable[ProjectFile],
    format: Format,
    rate: int,
    *,
    subset: str | None = None,
    names: Sequence[str] | None = None,
    limit: int | None = None,
    place: Place | None = None,
) -> Selection:
    """Return the files that a dataset needs: its tables and both files of each record.

    Args:
        files: all files of the project.
        rate: the study's sampling rate in Hz.
        subset: of ecg_arrhythmia, ``chapman`` or ``ningbo``; of challenge, the folder that holds the records.
        names: only these records.
        limit: of those, only the first so many in the order of their names.
        place: where they were looked for; None: in a list.

    Raises:
        AcquireError: if a table or a named record is not listed, or no record is left.
    """
    form, place = layout(format, rate), place or ListedPlace()
    known, passed_over, other = _spelled(files, form)
    if absent := [path for path in form.required if path not in known]:
        raise AcquireError(place.lacks_tables(absent, format))
    every = _by_record(known, form, by_path=format == "challenge")
    chosen = _subset_filter(format, subset)
    records = {name: mine for name, own in every.items() if (mine := [f for f in own if chosen(f.path, name)])}
    if names is not None and records:
        records = _select_named(records, names, form.example, place)
    kept = sorted(records)[:limit]
    if not kept:
        raise AcquireError(place.lacks_records(format, rate, subset))
    halves = [name for name in kept if len({PurePosixPath(file.path).suffix for file in records[name]}) != 2]
    tables = [known[path] for path in dict.fromkeys((*form.required, *OPTIONAL)) if path in known]
    needed = sorted([*tables, *(file for name in kept for file in records[name])])
    return Selection(needed, halves, len(every) - len(kept), passed_over, other)


def _by_record(known: Mapping[str, ProjectFile], form: Layout, by_path: bool) -> dict[str, list[ProjectFile]]:
    """Return the files of each record by its name.

    Args:
        known: files by path.
        form: of the project.
        by_path: whether records of one name, such as ``ecg`` in a folder a patient, are told apart by their paths.
    """
    own = files_by_record(path for path in known if form.name(path) is not None)
    names = {stem: str(form.name(paths[0])) for stem, paths in own.items()}
    times = Counter(names.values())
    every: dict[str, list[ProjectFile]] = {}
    for stem, paths in own.items():
        name = stem if by_path and times[names[stem]] > 1 else names[stem]
        every.setdefault(name, []).extend(known[path] for path in paths)
    return every


def _spelled(
    files: Iterable[ProjectFile], form: Layout
) -> tuple[dict[str, ProjectFile], list[PassedOver], Counter[str]]:
    """Return the format's files by their path in its spelling, those that differ only in capitals, and the others."""
    known: dict[str, ProjectFile] = {}
    passed_over: list[PassedOver] = []
    other: Counter[str] = Counter()
    for file in files:
        path = form.spelling(file.path)
        if path is None:
            ending = PurePosixPath(file.path).suffix.lower()
            other[ending or "without ending"] += 1
            if ending == ".hea" and not form.is_other_copy(file.path):
                passed_over.append(PassedOver(file.path, f"no record of the format: those lie as {form.place}"))
            continue
        found = file if path == file.path else ProjectFile(path, file.sha256, file.path)
        other_one = known.get(path)
        if other_one is not None:
            kept, left = (other_one, found) if found.spelled else (found, other_one)
            passed_over.append(PassedOver(left.source_path, f"the same as {kept.source_path} but for capitals"))
            found = kept
        known[path] = found
    return known, passed_over, other


def _subset_filter(format: Format, subset: str | None) -> Callable[[str, str], bool]:
    """Return the function that tells, from a record's path and name, whether it belongs to the subset."""
    if subset is None:
        return lambda path, name: True
    if format == "challenge":
        return lambda path, name: path.startswith(f"{subset.strip('/')}/")
    return lambda path, name: subset_of(name) == subset


def _select_named(
    records: dict[str, list[ProjectFile]], names: Sequence[str], example: str, place: Place
) -> dict[str, list[ProjectFile]]:
    if unknown := sorted(set(names) - set(records)):
        raise AcquireError(
            f"`records` names {abbreviate(unknown)}, not among the {len(records)} records of this dataset in {place}; "
            f"names are spelled like {example}"
        )
    return {name: records[name] for name in names}
