"""``SHA256SUMS.txt``, the list of a PhysioNet project's files: how it is read, and whether it is whole.

That file is the complete list. ``RECORDS`` is not: in ecg-arrhythmia it lists folders, and in one copy of PTB-XL two of
its lines are joined. But what ``RECORDS`` names must be in the list, unless the list was cut short.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from ecgpipe.acquire.errors import AcquireError
from ecgpipe.folders import abbreviate
from ecgpipe.layouts import CHECKSUMS, PTBXL_DATABASE, Format, ptbxl_records

RECORDS = "RECORDS"
"""A project's list of its records or of their folders; a folder of records may have one of its own."""
MAX_LIST_BYTES = 64 << 20
"""Bytes of the longest list that is read: half a million files. PTB-XL's has 9 MB."""

_LINE = re.compile(r"(?P<sum>[0-9A-Fa-f]{64})[ \t]+\*?(?P<path>\S.*)")
_UNSAFE = re.compile(r"[\x00-\x1f\x7f\\]|^[A-Za-z]:|^/|(?:^|/)\.\.(?:/|$)")


class ProjectFile(NamedTuple):
    """A file of a project."""

    path: str
    """Where it goes: below the project's folder, with slashes, in the spelling of its format."""
    sha256: str
    """In lower-case hex."""
    spelled: str = ""
    """Its path at the source, if that is spelled otherwise (``A0001.HEA``)."""

    @property
    def source_path(self) -> str:
        """Its path at the source."""
        return self.spelled or self.path


def parse(raw: bytes) -> list[ProjectFile]:
    """Parse a ``SHA256SUMS.txt``: lines of a checksum, blanks, an optional asterisk and a path.

    Raises:
        ValueError: if it is no list of checksums, or ends within a line.
        AcquireError: if a path would leave the folder it is downloaded to, or is listed with two checksums.
    """
    files: dict[str, ProjectFile] = {}
    text = raw.decode("utf-8-sig")
    for number, line in enumerate(text.split("\n"), start=1):
        line = line.rstrip()
        if not line:
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
    if not text.endswith("\n"):
        raise ValueError(
            f"its last line {line[-80:]!r} has no end, so that the list may have been cut short; end it with a line "
            "break if it is whole"
        )
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
            f"{CHECKSUMS}, line {number}: the path {path!r} would leave the download folder, or has backslashes; "
            "nothing was fetched. Do not trust this source."
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


def not_listed(folder: Path, files: Sequence[ProjectFile], format: Format, rate: int, below: str = "") -> list[str]:
    """Return the records that a project's own tables name and its list does not: the list was cut short.

    Beside what :func:`named_elsewhere` finds, this is a ``RECORDS``: folders of records have one of their own in
    ecg-arrhythmia, and if all have one but the last of the list, the list ends within that folder.
    """
    return [*named_elsewhere(folder, files, format, rate, below), *_ends_within(files)]


def named_elsewhere(
    folder: Path, files: Sequence[ProjectFile], format: Format, rate: int, below: str = "", plain: bool = False
) -> list[str]:
    """Return the records that a project's own tables name and that are not among its files.

    Read are ``RECORDS`` and, of PTB-XL, ``ptbxl_database.csv``, as far as they are there. A line that is no record of
    the format counts for nothing.

    Args:
        folder: holds the tables.
        files: all files of the list, in its order.
        format: of the project.
        rate: the study's sampling rate in Hz.
        below: folder of the project outside which nothing is asked for; empty: none.
        plain: whether a line of ``RECORDS`` may be a name without a folder.
    """
    listed = {file.path for file in files}
    folders = {path.rpartition("/")[0] + "/" for path in listed}
    named = list(_records_lines(folder / RECORDS, plain))
    if format == "ptbxl":
        copy = ptbxl_records(rate)
        record = re.compile(rf"{copy.folder}/[0-9]+/[0-9]+{copy.suffix}")
        named += _database_column(folder / PTBXL_DATABASE, copy.column)
        named = [name for name in named if record.fullmatch(name)]
    return [
        name
        for name in dict.fromkeys(named)
        if name.startswith(below) and f"{name}.hea" not in listed and not any(p.startswith(name) for p in folders)
    ]


def _ends_within(files: Sequence[ProjectFile]) -> list[str]:
    """Return the ``RECORDS`` that the list's last folder of records lacks, if all others have one."""
    places = list(dict.fromkeys(file.path.rpartition("/")[0] for file in files if file.path.endswith(".hea")))
    own = {file.path.rpartition("/")[0] for file in files if file.path.endswith(f"/{RECORDS}")}
    lacking = [place for place in places if place not in own]
    return [f"{places[-1]}/{RECORDS}"] if len(places) > 1 and lacking == places[-1:] else []


def _records_lines(path: Path, plain: bool) -> Iterator[str]:
    """Yield the lines of a ``RECORDS`` that are a path of a record or a folder, and not two joined."""
    if not path.is_file():
        return
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        top, slash, rest = line.strip().partition("/")
        if (
            (slash or plain)
            and re.fullmatch(r"\w[\w.-]*(/[\w.-]+)*/?", line.strip(), re.ASCII)
            and f"{top}/" not in rest
        ):
            yield line.strip()


def _database_column(path: Path, column: str) -> Iterator[str]:
    """Yield a column of PTB-XL's database, nothing if it is not there."""
    if not path.is_file():
        return
    try:
        with open(path, encoding="utf-8", errors="replace", newline="") as handle:
            yield from ((row.get(column) or "").strip() for row in csv.DictReader(handle))
    except csv.Error:  # no table: preprocessing says so
        return


def cut_short(missing: Sequence[str], source: object) -> AcquireError:
    """Return the error for a list that lacks what the project's own tables name."""
    return AcquireError(
        f"{CHECKSUMS} of {source} lacks {len(missing):,} of the records that the project's own tables name "
        f"({abbreviate(list(missing), 3)}), so it was probably cut short. Run again; if that changes nothing, set "
        "`base_url` to another mirror, or `records` to what you want of this one."
    )
