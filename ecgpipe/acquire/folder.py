"""A user's own folder as a source: which of its files are taken, what is passed over, and what to say of it.

The folder may have a ``SHA256SUMS.txt``. Then only files that it lists are taken, and each is verified.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ecgpipe.acquire import listing
from ecgpipe.acquire.errors import AcquireError
from ecgpipe.acquire.hints import no_folder
from ecgpipe.acquire.listing import MAX_LIST_BYTES, ProjectFile
from ecgpipe.acquire.selection import Layout, Selection, layout, select_files
from ecgpipe.config import FolderSource
from ecgpipe.folders import EXPECTED, FolderError, Found, PassedOver, abbreviate, summary, walk
from ecgpipe.layouts import ARRHYTHMIA_RECORDS, CHECKSUMS, PTBXL_DATABASE, Format, ptbxl_records
from ecgpipe.manifest import NAMED, NOT_THERE
from ecgpipe.redaction import without_secrets_of

NOT_LISTED = f"not in the folder's {CHECKSUMS}"
ANYWHERE = "`format: challenge` reads records with SNOMED-CT codes in their headers wherever they lie"


@dataclass(frozen=True)
class Scan:
    """What a dataset takes of a folder."""

    folder: Path
    chosen: Selection
    """Its files are without a checksum where the folder has no list."""
    status: dict[str, os.stat_result]
    """Of each of these files, by path."""
    sums: bytes | None
    """The folder's ``SHA256SUMS.txt``."""
    passed_over: list[PassedOver]
    """What was found, or listed, and is not taken."""
    links: list[str]
    """Links to folders that were followed."""

    @property
    def looks_like_ptbxl(self) -> bool:
        """Whether its records, taken one by one, are those of PTB-XL, whose codes stand in a table."""
        return PTBXL_DATABASE not in self.status and (self.folder / PTBXL_DATABASE).is_file()

    @property
    def notable(self) -> list[PassedOver]:
        """What is passed over and a user may not expect."""
        return [entry for entry in self.passed_over if entry.reason not in EXPECTED]


def expanded(path: str, key: str) -> Path:
    """Return a path with the home folder for its ``~``.

    Raises:
        AcquireError: naming ``key`` if that is the home of nobody.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise AcquireError(f"`{key}` {path!r}: this machine has no such user; write the whole path") from None


def scan(source: FolderSource, format: Format, rate: int, subset: str | None, raw: Path) -> Scan:
    """Find out what a dataset takes of a folder; no record is read.

    Args:
        source: the folder, and which of its records.
        format: its layout.
        rate: the study's sampling rate in Hz.
        subset: of ecg_arrhythmia, ``chapman`` or ``ningbo``; of challenge, the folder that holds the records.
        raw: the folder that the records are copied to. It, and the others beside it, may lie below the source.

    Raises:
        AcquireError: if the folder cannot be read, or holds no records of the format; the message names the folder that
            was probably meant.
    """
    if "://" in source.path or source.path.startswith("file:"):
        raise AcquireError(
            f"`source.path` {without_secrets_of(source.path)!r} is an address: give a folder, or `kind: physionet` "
            "with `base_url`, `slug` and `version`"
        )
    folder = expanded(source.path, "source.path")
    if not folder.is_dir():
        raise AcquireError(no_folder(folder, source.path))
    try:
        found = walk(folder, [raw, raw.parent])
    except FolderError as error:
        raise AcquireError(str(error)) from error
    passed_over = list(found.passed_over)
    sums = _sums(folder, found)
    form = layout(format, rate)
    if sums is None:
        files: Iterable[ProjectFile] = (ProjectFile(path, "") for path in found.files)
    else:
        files = _listed(folder, sums, found, form.spelling, passed_over)
    place = FolderPlace(folder, found, sum(entry.reason == NOT_LISTED for entry in passed_over))
    chosen = select_files(files, format, rate, subset=subset, names=source.records, limit=source.limit, place=place)
    for file in chosen.files:
        if not file.source_path.isprintable():  # a line break, or bytes that are not UTF-8
            raise AcquireError(
                f"{folder}: the file name {file.source_path!r} cannot stand in a list of files; rename or remove it"
            )
    named = [] if source.records is not None else _named_and_missing(folder, found, sums, form, format, rate, subset)
    return Scan(
        folder,
        chosen,
        {file.path: found.files[file.source_path] for file in chosen.files},
        sums,
        sorted([*passed_over, *chosen.passed_over, *named]),
        found.links,
    )


def _named_and_missing(
    folder: Path, found: Found, sums: bytes | None, form: Layout, format: Format, rate: int, subset: str | None
) -> list[PassedOver]:
    """Return the records that the folder's own tables name, and that neither it nor its list has."""
    paths = [*found.files, *(file.path for file in (listing.parse(sums) if sums is not None else []))]
    known = [ProjectFile(form.spelling(path) or path, "") for path in paths]
    below = f"{subset}/" if format == "challenge" and subset else form.folder
    there = {PurePosixPath(file.path).name for file in known}
    named = listing.named_elsewhere(folder, known, format, rate, below, plain=format == "challenge")
    return [PassedOver(name, NAMED) for name in named if f"{PurePosixPath(name).name}.hea" not in there]


def _sums(folder: Path, found: Found) -> bytes | None:
    """Return the folder's own list, None if it has none; its name may be in small letters."""
    name = next((path for path in found.files if path.lower() == CHECKSUMS.lower()), None)
    if name is None:
        return None
    if found.files[name].st_size > MAX_LIST_BYTES:
        raise AcquireError(f"{folder / name} has more than {MAX_LIST_BYTES >> 20} MB: that is no list of files")
    return (folder / name).read_bytes()


def _listed(
    folder: Path, sums: bytes, found: Found, spelling: Callable[[str], str | None], passed_over: list[PassedOver]
) -> list[ProjectFile]:
    """Return the listed files that are there; the others, and those that are not listed, are passed over."""
    try:
        listed = {spelling(file.path) or file.path: file for file in listing.parse(sums)}
    except (ValueError, AcquireError) as error:
        raise AcquireError(
            f"{folder / CHECKSUMS} is no whole list: {error}. Correct it, or remove it: a folder needs none."
        ) from None
    there = {spelling(path) or path: path for path in found.files}
    passed_over += [
        PassedOver(path, NOT_LISTED)
        for name, path in there.items()
        if name not in listed and spelling(path) is not None
    ]
    passed_over += [
        PassedOver(file.path, NOT_THERE)
        for name, file in listed.items()
        if name not in there and spelling(file.path) is not None
    ]
    return [ProjectFile(there[name], file.sha256) for name, file in listed.items() if name in there]


@dataclass(frozen=True)
class FolderPlace:
    """A folder, as messages speak of it."""

    folder: Path
    found: Found
    not_listed: int
    """Files of the format that its list lacks."""

    def __str__(self) -> str:
        return str(self.folder)

    def lacks_tables(self, absent: Sequence[str], format: Format) -> str:
        """Say which tables are not there, and where they are."""
        return f"{self.folder} holds no {' and no '.join(absent)}{self._elsewhere(absent[0], format)}"

    def lacks_records(self, format: Format, rate: int, subset: str | None) -> str:
        """Say that there is no record, and what there is."""
        start = f"{self.folder} holds no record of format {format}"
        if self.not_listed:
            return (
                f"{start} that its {CHECKSUMS} lists, but {self.not_listed:,} files that it does not list: correct the "
                "list, or remove it: a folder needs none"
            )
        if format == "ptbxl":
            wanted, other = ptbxl_records(rate), ptbxl_records(100 if rate > 100 else 500)
            number = sum(path.lower().startswith(f"{other.folder}/") for path in self.found.files)
            if number:
                keys = "100 or less" if other.rate == 100 else "more than 100"
                return (
                    f"{self.folder} holds no records in {wanted.folder} ({wanted.rate} Hz), which `signal.rate` {rate} "
                    f"needs, but {number:,} files in {other.folder} ({other.rate} Hz): copy {wanted.folder} too, or "
                    f"set `signal.rate` to {keys}"
                )
            return f"{start}: there is no record below {wanted.folder}"
        if subset is not None and format == "challenge":
            places = dict.fromkeys(
                str(PurePosixPath(path).parent) for path in self.found.files if path.lower().endswith(".hea")
            )
            return f"{start} below `folder` {subset}; its records are in {abbreviate(places) or 'no folder'}"
        if subset is not None:
            return f"{start} and subset {subset}; check `subset`, and that records are called as in JS00001"
        kinds = Counter(PurePosixPath(path).suffix.lower() or "without ending" for path in self.found.files)
        held = ", ".join(f"{number:,} {kind}" for kind, number in kinds.most_common(4)) or "no file"
        odd = f" (passed over: {'; '.join(summary(self.found.passed_over))})" if self.found.passed_over else ""
        if format == "ecg_arrhythmia" and kinds[".hea"]:
            odd = f"; none of them lies below {ARRHYTHMIA_RECORDS}, where this format has its records. {ANYWHERE}"
        packed = ": unpack it" if kinds.keys() & {".zip", ".tar", ".gz", ".tgz", ".7z"} else ""
        return f"{start} (a header .hea, and .mat or .dat): it holds {held}{packed}{odd}; check `path` and `format`"

    def _elsewhere(self, table: str, format: Format) -> str:
        """Say where a table lies instead: below the folder, or above it."""
        below = sorted(
            {path.rpartition("/")[0] for path in self.found.files if path.lower().endswith(f"/{table.lower()}")}
        )
        above = [parent for parent in list(self.folder.resolve().parents)[:2] if (parent / table).is_file()]
        places = [*(self.folder / place for place in below if place), *above]
        if places:
            return f"; it is in {abbreviate(map(str, places), 3)}: set the source's `path` to that"
        others = [other for other in ("ptbxl", "ecg_arrhythmia") if other != format and self._is(other)]
        if others:
            return f"; it looks like format {others[0]}: check `format` and `path`"
        if headers := sum(path.lower().endswith(".hea") for path in self.found.files):
            return f", which format {format} needs, but {headers:,} headers. {ANYWHERE}; check `path` and `format`"
        return f", which format {format} needs; check `path` and `format`"

    def _is(self, format: Format) -> bool:
        form = layout(format, 100)
        return all(name in self.found.files for name in form.required[:1])
