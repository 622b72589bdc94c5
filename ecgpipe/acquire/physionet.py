"""Download the files of a PhysioNet project to a local folder, verified by the project's ``SHA256SUMS.txt``.

A file arrives as ``<name>.part`` and is renamed once its checksum is verified. A run may therefore be interrupted at
any moment; the next one verifies what is there and fetches the rest.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

import pandas as pd
from tqdm import tqdm

from ecgpipe import files
from ecgpipe.acquire import listing
from ecgpipe.acquire.archive import ZipMirror
from ecgpipe.acquire.errors import AcquireError, disk_error
from ecgpipe.acquire.listing import ProjectFile
from ecgpipe.acquire.lock import locked
from ecgpipe.acquire.mirror import Mirror
from ecgpipe.acquire.retry import DEFAULT_POLICY, FileFailed, RetryPolicy
from ecgpipe.acquire.sources import open_mirror
from ecgpipe.config import FolderSource, PhysioNetSource
from ecgpipe.layouts import CHECKSUMS, Format

logger = logging.getLogger(__name__)

T = TypeVar("T", bound=int | None)

MAX_FAILURES = 10
"""Files that may fail before the rest is not tried any more."""
BATCH = 256
"""Files that one task of the thread pool verifies."""
REPORT_INTERVAL = 60.0
"""Seconds between two lines of progress in the log."""
SIZE_SAMPLES = 20
"""Files of one kind whose sizes a plan asks for; the sizes of the others are estimated from these."""


class DownloadPlan(NamedTuple):
    """What a download would fetch now."""

    files: int
    """Files, or 1 for an archive."""
    bytes: int | None
    """Their total size; None if the mirror does not tell sizes."""
    exact: bool
    """Whether ``bytes`` is exact; otherwise it is an estimate from a sample of each kind of file."""
    present: int
    """Files that are present and verified already."""

    def __str__(self) -> str:
        size = "size not told" if self.bytes is None else f"{'' if self.exact else 'about '}{self.bytes / 1e6:,.1f} MB"
        word = "file" if self.files == 1 else "files"
        return f"{self.files:,} {word}, {size}; {self.present:,} files are here already"


@dataclass(frozen=True)
class Download:
    """The files that a dataset needs of a PhysioNet project, and the folder that they are downloaded to."""

    source: PhysioNetSource | FolderSource
    """The project, where it is, and which of its records."""
    format: Format
    """Layout of the project."""
    rate: int
    """The study's sampling rate in Hz; decides which of PTB-XL's two folders is fetched."""
    folder: Path
    """Gets the project's layout and its ``SHA256SUMS.txt``."""
    subset: str | None = None
    """Of ecg_arrhythmia, ``chapman`` or ``ningbo``; of challenge, the folder that holds the records."""
    policy: RetryPolicy = DEFAULT_POLICY
    """Time-outs and retries over the network."""

    def fetch(self) -> pd.DataFrame:
        """Fetch what is missing, and verify all files; a second run at the same time waits for the first.

        Returns:
            The manifest, a row a file, sorted by path: path (below ``folder``), bytes, sha256.

        Raises:
            AcquireError: if a file cannot be fetched, has another checksum than listed, or would lie outside
                ``folder``.
        """
        folder, mirror = self.folder, self._mirror()
        with _disk_errors(folder), locked(folder):
            unpacked = self._unpacked_before(mirror)
            if unpacked is not None:
                return _manifest(*unpacked)
            raw, wanted = asyncio.run(self._read_listing(mirror))
            listing.check_symlinks(folder, (file.path for file in wanted))
            _write_if_changed(folder / CHECKSUMS, raw)
            sizes = _verify(folder, wanted)
            missing = [file for file in wanted if file.path not in sizes]
            logger.info(
                "%d of %d files are present and verified; fetching %d from %s into %s",
                len(sizes),
                len(wanted),
                len(missing),
                mirror,
                folder,
            )
            for parent in sorted({(folder / file.path).parent for file in missing}):
                parent.mkdir(parents=True, exist_ok=True)
            sizes |= asyncio.run(
                self._for_each(mirror, missing, "fetch", lambda file: mirror.fetch(file, folder / file.path))
            )
            if isinstance(mirror, ZipMirror):
                mirror.remove_download()
        return _manifest(wanted, sizes)

    def plan(self) -> DownloadPlan:
        """Return what :meth:`fetch` would fetch now; write nothing.

        Of a kind of files (one folder at the top, one extension) with more than :data:`SIZE_SAMPLES`, only that many
        sizes are asked for: no server should be asked 40,000 times for an estimate.

        Raises:
            AcquireError: as :meth:`fetch`.
        """
        mirror = self._mirror()
        with _disk_errors(self.folder):
            unpacked = self._unpacked_before(mirror)
            if unpacked is not None:
                return DownloadPlan(0, 0, True, len(unpacked[0]))
            if isinstance(mirror, ZipMirror) and not mirror.is_local:
                try:
                    return DownloadPlan(1, asyncio.run(mirror.archive_size()), True, 0)
                except FileFailed as error:
                    raise AcquireError(f"{mirror}: {error}. Check `base_url`, `slug` and `version`.") from error
            _, wanted = asyncio.run(self._read_listing(mirror))
            present = _verify(self.folder, wanted)
            missing = [file for file in wanted if file.path not in present]
            kinds = defaultdict(list)
            for file in missing:
                kinds[file.path.partition("/")[0], Path(file.path).suffix].append(file)
            sampled = [file for kind in kinds.values() for file in _sample(kind)]
            sizes = asyncio.run(self._for_each(mirror, sampled, "sizes", lambda file: mirror.size(file.path)))
        total = 0.0
        for kind in kinds.values():
            known = [size for file in _sample(kind) if (size := sizes[file.path]) is not None]
            if len(known) < len(_sample(kind)):
                return DownloadPlan(len(missing), None, False, len(present))
            total += len(kind) * sum(known) / len(known)
        return DownloadPlan(len(missing), round(total), len(sampled) == len(missing), len(present))

    def _mirror(self) -> Mirror:
        return open_mirror(self.source, self.folder, self.policy)

    def _select(self, files: Sequence[ProjectFile]) -> list[ProjectFile]:
        """Return which of the project's files the dataset needs."""
        return listing.select_files(
            files, self.format, self.rate, subset=self.subset, names=self.source.records, limit=self.source.limit
        )

    def _unpacked_before(self, mirror: Mirror) -> tuple[list[ProjectFile], dict[str, int]] | None:
        """Return files and sizes if an earlier run unpacked all that is needed, so that no archive is needed."""
        sums = self.folder / CHECKSUMS
        if not isinstance(mirror, ZipMirror) or mirror.is_local or not sums.is_file():
            return None
        try:
            wanted = self._select(listing.parse(sums.read_bytes()))
        except (ValueError, AcquireError):
            return None
        sizes = _verify(self.folder, wanted)
        return (wanted, sizes) if len(sizes) == len(wanted) else None

    async def _read_listing(self, mirror: Mirror) -> tuple[bytes, list[ProjectFile]]:
        """Return the project's ``SHA256SUMS.txt`` as it is, and the files needed of it."""
        try:
            async with mirror:
                raw, files = await mirror.read(CHECKSUMS, lambda raw: (raw, listing.parse(raw)))
        except FileFailed as error:
            raise AcquireError(
                f"{CHECKSUMS} of {mirror} could not be read: {error}. Check `base_url`, `slug` and `version`, or the "
                "folder's `path`."
            ) from error
        return raw, self._select(files)

    async def _for_each(
        self, mirror: Mirror, files: Sequence[ProjectFile], verb: str, operation: Callable[[ProjectFile], Awaitable[T]]
    ) -> dict[str, T]:
        """Await ``operation``, which returns a file's size in bytes, for each file, a few at a time; return the sizes.

        Raises:
            AcquireError: naming the files that failed; up to :data:`MAX_FAILURES` failures do not stop the rest.
        """
        done: dict[str, T] = {}
        failed: dict[str, str] = {}
        queue = iter(files)
        progress = _Progress(verb, len(files))

        async def work() -> None:
            while len(failed) < MAX_FAILURES and (file := next(queue, None)) is not None:
                try:
                    done[file.path] = await operation(file)
                except FileFailed as error:
                    logger.error("%s: %s", file.path, error)
                    failed[file.path] = str(error)
                else:
                    progress.add(done[file.path])

        with progress:
            async with mirror:
                try:
                    async with asyncio.TaskGroup() as group:
                        for _ in range(min(self.source.connections, len(files))):
                            group.create_task(work())
                except ExceptionGroup as errors:  # the first reason is enough for a reader
                    raise errors.exceptions[0] from None
        if failed:
            raise AcquireError(_failure_message(failed, len(files) - len(done) - len(failed), mirror))
        return done


def _sample(files: Sequence[ProjectFile]) -> Sequence[ProjectFile]:
    """Return at most :data:`SIZE_SAMPLES` files, evenly spaced."""
    if len(files) <= SIZE_SAMPLES:
        return files
    return [files[index * len(files) // SIZE_SAMPLES] for index in range(SIZE_SAMPLES)]


def _manifest(wanted: Sequence[ProjectFile], sizes: dict[str, int]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "path": [file.path for file in wanted],
            "bytes": [sizes[file.path] for file in wanted],
            "sha256": [file.sha256 for file in wanted],
        }
    )


@contextlib.contextmanager
def _disk_errors(folder: Path) -> Iterator[None]:
    """Turn an OSError into one clear message."""
    try:
        yield
    except OSError as error:
        raise disk_error(Path(error.filename2 or error.filename or folder), error) from error


def _write_if_changed(path: Path, raw: bytes) -> None:
    """Write a file unless it is there already, so that a complete folder may be read-only."""
    if not path.is_file() or path.read_bytes() != raw:
        with files.atomic_path(path) as temporary:
            temporary.write_bytes(raw)


def _verify(folder: Path, wanted: Sequence[ProjectFile]) -> dict[str, int]:
    """Return the size in bytes of each file that is in ``folder`` with the listed checksum."""
    batches = [wanted[start : start + BATCH] for start in range(0, len(wanted), BATCH)]
    found: dict[str, int] = {}
    # Threads are enough: hashing and reading release the GIL.
    with (
        ThreadPoolExecutor(os.cpu_count()) as pool,
        tqdm(total=len(wanted), desc="verify", unit="file", disable=None) as bar,
    ):
        for batch, sizes in zip(batches, pool.map(lambda batch: _verify_batch(folder, batch), batches), strict=True):
            found |= sizes
            bar.update(len(batch))
    return found


def _verify_batch(folder: Path, batch: Iterable[ProjectFile]) -> dict[str, int]:
    sizes = {}
    for file in batch:
        path = folder / file.path
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            if files.sha256(path) == file.sha256:
                sizes[file.path] = path.stat().st_size
    return sizes


def _failure_message(failed: dict[str, str], untried: int, mirror: Mirror) -> str:
    lines = [
        f"{len(failed)} files of {mirror} could not be fetched:",
        *(f"  - {path}: {reason}" for path, reason in sorted(failed.items())),
    ]
    if untried:
        lines.append(f"{untried} further files were not tried.")
    lines.append(
        "Verified files are kept and not fetched again. Run again later, or set `base_url` to another mirror or to a "
        "folder with a downloaded copy."
    )
    return "\n".join(lines)


class _Progress:
    """Files and bytes done so far: a bar on a terminal, a line every minute in the log."""

    def __init__(self, verb: str, total: int) -> None:
        self._verb, self._total = verb, total
        self._files = self._bytes = 0

    def __enter__(self) -> None:
        self._began = self._reported = time.monotonic()
        self._bar = tqdm(total=self._total, desc=self._verb, unit="file", disable=None)

    def __exit__(self, *_: object) -> None:
        self._bar.close()
        self._report()

    def add(self, size: int | None) -> None:
        """Count one file of ``size`` bytes."""
        self._files += 1
        self._bytes += size or 0
        self._bar.set_postfix_str(f"{self._bytes / 1e6:.1f} MB", refresh=False)
        self._bar.update()
        if time.monotonic() - self._reported > REPORT_INTERVAL:
            self._report()

    def _report(self) -> None:
        self._reported = time.monotonic()
        logger.info(
            "%s: %d of %d files, %.1f MB in %.1f s",
            self._verb,
            self._files,
            self._total,
            self._bytes / 1e6,
            self._reported - self._began,
        )
