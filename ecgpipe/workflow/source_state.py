"""Whether a source that is a folder is still as it was when its records were taken.

A job's parameters hold the folder's state, so that a change of the folder reruns the acquisition. Compared are the
files that the dataset takes, by name, size and time stamp. A file whose time stamp alone is new is read, once, and
compared by its SHA-256: a copied or touched folder has not changed. A folder that is not there, or is empty as where a
disk is not mounted, is compared with nothing.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ecgpipe import manifest
from ecgpipe.acquire.copying import record
from ecgpipe.acquire.errors import AcquireError
from ecgpipe.acquire.folder import Scan, scan
from ecgpipe.acquire.origin import Seen, read_record, write_record
from ecgpipe.acquire.transfer import checksums
from ecgpipe.config import DatasetSettings, FolderSource, SignalSettings
from ecgpipe.files import read_json
from ecgpipe.folders import NOWHERE, abbreviate
from ecgpipe.layouts import DATA_EXTENSIONS
from ecgpipe.workflow.checksums import ChangedFileError
from ecgpipe.workflow.jobs import PROVENANCE

log = logging.getLogger(__name__)

ENDINGS = tuple(f".{ending}" for ending in ("hea", *DATA_EXTENSIONS))
STATE = "state"
"""Key of the state among a job's parameters."""


@dataclass(frozen=True)
class Change:
    """How a folder differs from what was taken of it; records are named without the endings of their files."""

    records_more: list[str]
    records_fewer: list[str]
    files_more: list[str]
    files_fewer: list[str]
    files_changed: list[str]

    def __bool__(self) -> bool:
        return any((self.records_more, self.records_fewer, self.files_more, self.files_fewer, self.files_changed))

    def __str__(self) -> str:
        """Say it: ``6 records more (A0010, A0011, A0012 and 3 more), 1 file changed (A0003.hea)``."""
        return ", ".join(
            [
                *_said(self.records_more, "record", "more"),
                *_said(self.records_fewer, "record", "fewer"),
                *_said(self.files_more, "file", "more"),
                *_said(self.files_fewer, "file", "fewer"),
                *_said(self.files_changed, "file", "changed"),
            ]
        )


def _split(paths: Iterable[str], others: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return records all of whose files are among ``paths``, and paths that belong to none of them.

    Args:
        paths: of files that are on one side only.
        others: of all files of the other side.
    """
    half = {_stem(path) for path in others}
    whole = {path: _stem(path) for path in paths if path.endswith(ENDINGS) and _stem(path) not in half}
    return list(dict.fromkeys(whole.values())), [path for path in paths if path not in whole]


def _stem(path: str) -> str:
    return path.rpartition(".")[0]


def _said(names: Sequence[str], what: str, word: str) -> list[str]:
    plural = "" if len(names) == 1 else "s"
    return [f"{len(names):,} {what}{plural} {word} ({abbreviate(names, 3)})"] if names else []


@dataclass(frozen=True)
class FolderState:
    """The source folder of a dataset, compared with what was taken of it.

    Attributes:
        dataset: one whose source is a folder.
        signal: its rate decides which of PTB-XL's files are taken.
        raw: the folder of its raw records.
    """

    dataset: DatasetSettings
    signal: SignalSettings
    raw: Path

    def parameter(self) -> Any:
        """Return what stands for the folder's state among the parameters of its acquisition.

        It is that of the last acquisition as long as the folder has not changed since.

        Raises:
            ChangedFileError: if records were taken of the folder, and it no longer can be used. The acquisition would
                fail as well, but not before Snakemake has removed its results.
        """
        before = self._then
        try:
            now = self._scan()
        except AcquireError as error:
            if before is None:
                return {"unusable": str(error)}  # the job says so
            if not self._is_gone:
                raise ChangedFileError(f"{error}. Records were taken of this folder before; put it right") from error
            log.warning("%s; the records that were taken of it are used as they are", error)
            return before
        noted = self._noted() if before is not None else None
        if noted is not None and not change(now, noted, self.raw):
            return before
        if lost := _not_mounted(now, noted or {}):
            raise ChangedFileError(
                f"{now.folder / lost} is a link that leads nowhere, and records were taken below it before; mount what "
                "it leads to, or remove the link"
            )
        files = sorted((path, seen.bytes, seen.mtime_ns) for path, seen in record(now, {}).items())
        digest = hashlib.sha256(json.dumps(files).encode()).hexdigest()
        return {
            "files": len(now.chosen.files),
            "bytes": sum(s.st_size for s in now.status.values()),
            "digest": digest[:20],
        }

    def changed(self, read_all: bool = False) -> str | None:
        """Say how the folder differs from what was taken of it; None if it does not, or nothing is noted of it.

        Args:
            read_all: compare every file by its SHA-256, also where size and time stamp are as they were.
        """
        noted = self._noted()
        if noted is None or self._is_gone:
            return None
        try:
            now = self._scan()
        except AcquireError as error:
            return str(error)
        differs = change(now, noted, self.raw, read_all)
        return f"{now.folder} has changed since its records were taken: {differs}" if differs else None

    def _scan(self) -> Scan:
        assert isinstance(self.dataset.source, FolderSource)
        assert self.dataset.format is not None
        subset = self.dataset.subset or self.dataset.folder
        return scan(self.dataset.source, self.dataset.format, self.signal.rate, subset, self.raw)

    @property
    def _is_gone(self) -> bool:
        """Whether the folder is not there, or holds nothing."""
        assert isinstance(self.dataset.source, FolderSource)
        path = Path(self.dataset.source.path).expanduser()
        return not path.exists() or (path.is_dir() and not any(path.iterdir()))

    @property
    def _then(self) -> Any:
        """The state that the last acquisition was made with; None if there is none."""
        try:
            return read_json(self.raw.with_name(f"{self.raw.name}.{PROVENANCE}"))["settings"][STATE]
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _noted(self) -> dict[str, Seen] | None:
        """Return what was noted of the folder; if that is lost, the manifest, with time stamps that no file has."""
        noted, path = read_record(self.raw), manifest.path_of(self.raw)
        if noted is not None or not path.exists():
            return noted
        table = manifest.read(path)
        rows = zip(table["path"], table["bytes"], table["sha256"], strict=True)
        return {path: Seen(int(size), -1, digest) for path, size, digest in rows} | {
            f"{path} ({reason})": Seen(-1, -1, "") for path, reason in table.attrs.get(manifest.PASSED_OVER, [])
        }


def change(now: Scan, noted: Mapping[str, Seen], folder: Path, read_all: bool = False) -> Change:
    """Find out how a folder differs from what was noted of it.

    Args:
        now: the folder as it is.
        noted: what was taken of it.
        folder: the folder of raw records; new time stamps of unchanged files are noted beside it.
        read_all: compare every file by its SHA-256.
    """
    files = record(now, {})
    more, files_more = _split(sorted(files.keys() - noted.keys()), noted)
    fewer, files_fewer = _split(sorted(noted.keys() - files.keys()), files)
    both = [path for path in files if path in noted]
    changed = [path for path in both if files[path].bytes != noted[path].bytes]
    unsure = [
        path
        for path in both
        if files[path].bytes == noted[path].bytes and (read_all or files[path].mtime_ns != noted[path].mtime_ns)
    ]
    unsure = [path for path in unsure if path in now.status]  # not what is passed over
    if unsure:
        spelled = {file.path: file.source_path for file in now.chosen.files}
        sums = checksums(now.folder, [spelled[path] for path in unsure], "compare")
        same = [path for path in unsure if sums.get(spelled[path], ("", 0))[0] == noted[path].sha256]
        changed += sorted(set(unsure) - set(same))
        _remember(folder, noted, {path: files[path]._replace(sha256=noted[path].sha256) for path in same})
    return Change(more, fewer, files_more, files_fewer, sorted(changed))


def _not_mounted(now: Scan, noted: Mapping[str, Seen]) -> str | None:
    """Return a link that leads nowhere now and below which files were taken, as where a disk is not mounted."""
    links = [entry.path for entry in now.passed_over if entry.reason.startswith(NOWHERE)]
    return next((link for link in links if any(path.startswith(f"{link}/") for path in noted)), None)


def _remember(folder: Path, noted: Mapping[str, Seen], same: Mapping[str, Seen]) -> None:
    """Note the new time stamps of files that have not changed, so that they are read just once."""
    if any(noted[path] != seen for path, seen in same.items()):
        try:
            write_record(folder, {**noted, **same})
        except OSError as error:
            log.info("%s: %s; the next start reads the source's files again", folder, error)
