"""Which files of a PhysioNet project a dataset needs, read from the project's ``SHA256SUMS.txt``.

That file is the complete list; ``RECORDS`` is not (in ecg-arrhythmia it lists folders, and one copy of PTB-XL's runs lines together).
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal, NamedTuple

from ecgpipe.acquire.errors import AcquireError

logger = logging.getLogger(__name__)

Format = Literal["ptbxl", "ecg_arrhythmia", "challenge"]

SUMS = "SHA256SUMS.txt"
LAST_CHAPMAN = 10646
"""Recordings up to JS10646 are from Chapman University, the later ones from Ningbo First Hospital."""

_LINE = re.compile(r"(?P<sum>[0-9A-Fa-f]{64})[ \t]+\*?(?P<path>\S.*)")
_UNSAFE = re.compile(r"[\x00-\x1f\x7f\\]|^[A-Za-z]:")
_JS_NUMBER = re.compile(r"JS([0-9]+)", re.ASCII)


class Entry(NamedTuple):
    """A file of a project: its path below the project's folder, with slashes, and its SHA-256 in lower-case hex."""

    path: str
    sha256: str


@dataclass(frozen=True)
class Layout:
    """Where the files of one format lie."""

    required: tuple[str, ...]
    record: re.Pattern[str]
    """Matches a record's files, both header and data; group ``name`` is the record's name."""
    example: str


def layout(format: Format, rate: int) -> Layout:
    """Return the layout of ``format`` for signals at ``rate`` Hz.

    PTB-XL comes at 100 and 500 Hz; the lower one is taken where it is enough. A folder of the PhysioNet/CinC Challenge
    2021 has its records anywhere, a header with codes and a data file each.
    """
    if format == "ptbxl":
        folder, suffix = ("records100", "lr") if rate <= 100 else ("records500", "hr")
        record = re.compile(rf"{folder}/(?:.+/)?(?P<name>[^/]+)_{suffix}\.(?:hea|dat)")
        return Layout(("ptbxl_database.csv", "scp_statements.csv"), record, "00001")
    if format == "challenge":
        return Layout((), re.compile(r"(?:.+/)?(?P<name>[^/]+)\.(?:hea|mat|dat)"), "E00001")
    record = re.compile(r"WFDBRecords/(?:.+/)?(?P<name>[^/]+)\.(?:hea|mat)")
    return Layout(("ConditionNames_SNOMED-CT.csv",), record, "JS00001")


OPTIONAL = ("ConditionNames_SNOMED-CT.csv", "LICENSE.txt", "RECORDS")


def parse(raw: bytes) -> list[Entry]:
    """Read a ``SHA256SUMS.txt``: lines of a sum, blanks, an optional asterisk and a path.

    Raises:
        ValueError: if it is no list of sums.
        AcquireError: if a path would leave the folder it is downloaded to, or stands there with two sums.
    """
    entries: dict[str, Entry] = {}
    for number, line in enumerate(raw.decode("utf-8-sig").split("\n"), start=1):
        line = line.removesuffix("\r")
        if not line.strip():
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise ValueError(f"line {number} is no `<64 hex digits> <path>`: {line[:80]!r}")
        entry = Entry(_safe(match["path"], number), match["sum"].lower())
        if entries.setdefault(entry.path, entry) != entry:
            raise AcquireError(
                f"{SUMS}, line {number}: {entry.path} is listed with two different sums, so that neither can be trusted"
            )
    if not entries:
        raise ValueError("it lists no files")
    return list(entries.values())


def _safe(path: str, number: int) -> str:
    """Return the path in its plain form, or refuse one that could lie outside the folder."""
    parts = PurePosixPath(path)
    if _UNSAFE.search(path) or parts.is_absolute() or ".." in parts.parts or not parts.parts:
        raise AcquireError(
            f"{SUMS}, line {number}: the path {path!r} would leave the download folder; nothing was fetched. Do not trust this source."
        )
    return str(parts)


def refuse_links(folder: Path, paths: Iterable[str]) -> None:
    """Refuse to write through symbolic links inside ``folder`` that lead out of it.

    Raises:
        AcquireError: naming the path that would be written outside.
    """
    root = os.path.realpath(folder)
    inside: set[str] = set()
    for path in paths:
        parent, name = os.path.split(os.path.join(folder, path))
        if parent not in inside:
            if os.path.commonpath([root, os.path.realpath(parent)]) != root:
                raise _outside(parent)
            inside.add(parent)
        for candidate in (os.path.join(parent, name), os.path.join(parent, f"{name}.part")):
            if os.path.islink(candidate):
                raise _outside(candidate)


def _outside(path: str) -> AcquireError:
    return AcquireError(
        f"{path} is a symbolic link to {os.path.realpath(path)}; nothing was fetched. Remove the link, or link the dataset's whole folder instead."
    )


def needed(
    entries: Sequence[Entry],
    format: Format,
    rate: int,
    *,
    subset: str | None = None,
    names: Sequence[str] | None = None,
    limit: int | None = None,
) -> list[Entry]:
    """Return the files a dataset needs, sorted by path: its tables and both files of each record.

    Args:
        entries: all files of the project.
        rate: the study's sampling rate in Hz.
        subset: of ecg_arrhythmia, Chapman's records (up to JS10646) or Ningbo's (``chapman``, ``ningbo``); of
            challenge, the folder that holds the records.
        names: only these records.
        limit: of those, only the first so many in the order of their names.

    Raises:
        AcquireError: if a table or a named record is not listed, or no record is left.
    """
    form = layout(format, rate)
    paths = {entry.path for entry in entries}
    if absent := [path for path in form.required if path not in paths]:
        raise AcquireError(
            f"{SUMS} does not list {', '.join(absent)}: this is no project of format {format}; check `slug`, `version` and `format`"
        )
    records = _records(entries, form, _chosen(format, subset))
    if names is not None:
        records = _named(records, names, form.example)
    kept = sorted(records)[:limit]
    if not kept:
        raise AcquireError(
            f"{SUMS} lists no record of format {format}"
            + (f" and subset {subset}" if subset else "")
            + f" for {rate} Hz; check `slug`, `version`, `format` and `subset`"
        )
    if halves := [name for name in kept if len(records[name]) != 2]:
        logger.warning("%d records are not listed as one header and one data file: %s", len(halves), _some(halves))
    tables = [entry for entry in entries if entry.path in (*form.required, *OPTIONAL)]
    return sorted([*tables, *(entry for name in kept for entry in records[name])])


def _chosen(format: Format, subset: str | None) -> Callable[[str, str], bool]:
    """Return what says, by a record's path and name, whether it belongs to the subset."""
    if subset is None:
        return lambda path, name: True
    if format == "challenge":
        return lambda path, name: path.startswith(f"{subset.strip('/')}/")
    return lambda path, name: _hospital(name) == subset


def _records(entries: Iterable[Entry], form: Layout, chosen: Callable[[str, str], bool]) -> dict[str, list[Entry]]:
    """Group the records' files by record name."""
    records: dict[str, list[Entry]] = {}
    for entry in entries:
        match = form.record.fullmatch(entry.path)
        if match and chosen(entry.path, match["name"]):
            records.setdefault(match["name"], []).append(entry)
    return records


def _hospital(name: str) -> str:
    number = _JS_NUMBER.fullmatch(name)
    return "chapman" if number and int(number[1]) <= LAST_CHAPMAN else "ningbo"


def _named(records: dict[str, list[Entry]], names: Sequence[str], example: str) -> dict[str, list[Entry]]:
    if unknown := sorted(set(names) - set(records)):
        raise AcquireError(
            f"`records` names {_some(unknown)}, not among the {len(records)} records {SUMS} lists for this dataset; names are spelled like {example}"
        )
    return {name: records[name] for name in names}


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
