"""Which files of a PhysioNet project a dataset needs, read from the project's ``SHA256SUMS.txt``.

That file is the complete list. ``RECORDS`` is not: in ecg-arrhythmia it lists folders, and in one copy of PTB-XL two of
its lines are joined.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from ecgpipe.acquire.errors import AcquireError
from ecgpipe.layouts import (
    ARRHYTHMIA_RECORDS,
    CHECKSUMS,
    LICENSE,
    PTBXL_DATABASE,
    SCP_DICTIONARY,
    SNOMED_DICTIONARY,
    Format,
    ptbxl_records,
    subset_of,
)

logger = logging.getLogger(__name__)

_LINE = re.compile(r"(?P<sum>[0-9A-Fa-f]{64})[ \t]+\*?(?P<path>\S.*)")
_UNSAFE = re.compile(r"[\x00-\x1f\x7f\\]|^[A-Za-z]:|^/|(?:^|/)\.\.(?:/|$)")


class ProjectFile(NamedTuple):
    """A file of a project: its path below the project's folder, with slashes, and its SHA-256 in lower-case hex."""

    path: str
    sha256: str


@dataclass(frozen=True)
class Layout:
    """Which files a format has, and where its records lie."""

    required: tuple[str, ...]
    record: re.Pattern[str]
    """Matches a record's header and data file; group ``name`` is the record's name."""
    example: str
    """How a record's name is spelled."""


def layout(format: Format, rate: int) -> Layout:
    """Return the layout of ``format`` for signals at ``rate`` Hz.

    Records of the PhysioNet/CinC Challenge 2021 may lie anywhere, each a header with codes and a data file.
    """
    if format == "ptbxl":
        files = ptbxl_records(rate)
        record = re.compile(rf"{files.folder}/(?:.+/)?(?P<name>[^/]+){files.suffix}\.(?:hea|dat)")
        return Layout((PTBXL_DATABASE, SCP_DICTIONARY), record, "00001")
    if format == "challenge":
        return Layout((), re.compile(r"(?:.+/)?(?P<name>[^/]+)\.(?:hea|mat|dat)"), "E00001")
    record = re.compile(rf"{ARRHYTHMIA_RECORDS}/(?:.+/)?(?P<name>[^/]+)\.(?:hea|mat)")
    return Layout((SNOMED_DICTIONARY,), record, "JS00001")


OPTIONAL = (SNOMED_DICTIONARY, LICENSE, "RECORDS")
"""Files of any format that are fetched where a project has them."""


def parse(raw: bytes) -> list[ProjectFile]:
    """Parse a ``SHA256SUMS.txt``: lines of a checksum, blanks, an optional asterisk and a path.

    Raises:
        ValueError: if it is no list of checksums.
        AcquireError: if a path would leave the folder it is downloaded to, or is listed with two checksums.
    """
    files: dict[str, ProjectFile] = {}
    for number, line in enumerate(raw.decode("utf-8-sig").split("\n"), start=1):
        line = line.removesuffix("\r")
        if not line.strip():
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise ValueError(f"line {number} is no `<64 hex digits> <path>`: {line[:80]!r}")
        file = ProjectFile(_normalised(match["path"], number), match["sum"].lower())
        if files.setdefault(file.path, file) != file:
            raise AcquireError(
                f"{CHECKSUMS}, line {number}: {file.path} is listed with two different sums, so that neither can be "
                "trusted"
            )
    if not files:
        raise ValueError("it lists no files")
    return list(files.values())


def leaves_folder(path: str) -> bool:
    """Return whether a path with slashes could lie outside the folder it is relative to, on any system."""
    return _UNSAFE.search(path) is not None


def _normalised(path: str, number: int) -> str:
    """Return the path in its plain form.

    Raises:
        AcquireError: if it would lie outside the download folder.
    """
    parts = PurePosixPath(path)
    if leaves_folder(path) or not parts.parts:
        raise AcquireError(
            f"{CHECKSUMS}, line {number}: the path {path!r} would leave the download folder; nothing was fetched. "
            "Do not trust this source."
        )
    return str(parts)


def check_symlinks(folder: Path, paths: Iterable[str]) -> None:
    """Check that no symbolic link inside ``folder`` leads a path out of it.

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
        f"{path} is a symbolic link to {os.path.realpath(path)}; nothing was fetched. Remove the link, or link the "
        "dataset's whole folder instead."
    )


def select_files(
    files: Sequence[ProjectFile],
    format: Format,
    rate: int,
    *,
    subset: str | None = None,
    names: Sequence[str] | None = None,
    limit: int | None = None,
) -> list[ProjectFile]:
    """Return the files that a dataset needs, sorted by path: its tables and both files of each record.

    Args:
        files: all files of the project.
        rate: the study's sampling rate in Hz.
        subset: of ecg_arrhythmia, ``chapman`` or ``ningbo``; of challenge, the folder that holds the records.
        names: only these records.
        limit: of those, only the first so many in the order of their names.

    Raises:
        AcquireError: if a table or a named record is not listed, or no record is left.
    """
    form = layout(format, rate)
    paths = {file.path for file in files}
    if absent := [path for path in form.required if path not in paths]:
        raise AcquireError(
            f"{CHECKSUMS} does not list {', '.join(absent)}: this is no project of format {format}; check `slug`, "
            "`version` and `format`"
        )
    records = _group_by_record(files, form, _subset_filter(format, subset))
    if names is not None:
        records = _select_named(records, names, form.example)
    kept = sorted(records)[:limit]
    if not kept:
        raise AcquireError(
            f"{CHECKSUMS} lists no record of format {format}"
            + (f" and subset {subset}" if subset else "")
            + f" for {rate} Hz; check `slug`, `version`, `format` and `subset`"
        )
    if halves := [name for name in kept if len(records[name]) != 2]:
        logger.warning(
            "%d records are not listed as one header and one data file: %s", len(halves), _abbreviate(halves)
        )
    tables = [file for file in files if file.path in (*form.required, *OPTIONAL)]
    return sorted([*tables, *(file for name in kept for file in records[name])])


def _subset_filter(format: Format, subset: str | None) -> Callable[[str, str], bool]:
    """Return the function that tells, from a record's path and name, whether it belongs to the subset."""
    if subset is None:
        return lambda path, name: True
    if format == "challenge":
        return lambda path, name: path.startswith(f"{subset.strip('/')}/")
    return lambda path, name: subset_of(name) == subset


def _group_by_record(
    files: Iterable[ProjectFile], form: Layout, chosen: Callable[[str, str], bool]
) -> dict[str, list[ProjectFile]]:
    """Return the files of each chosen record, by its name."""
    records: dict[str, list[ProjectFile]] = {}
    for file in files:
        match = form.record.fullmatch(file.path)
        if match and chosen(file.path, match["name"]):
            records.setdefault(match["name"], []).append(file)
    return records


def _select_named(
    records: dict[str, list[ProjectFile]], names: Sequence[str], example: str
) -> dict[str, list[ProjectFile]]:
    if unknown := sorted(set(names) - set(records)):
        raise AcquireError(
            f"`records` names {_abbreviate(unknown)}, not among the {len(records)} records {CHECKSUMS} lists for this "
            f"dataset; names are spelled like {example}"
        )
    return {name: records[name] for name in names}


def _abbreviate(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
