"""Bring the files of a PhysioNet project to a local folder, each true to the project's ``SHA256SUMS.txt``.

Whole files only: a file arrives as ``<name>.part`` and is renamed when its sum is right. A run may therefore be
interrupted at any moment; the next one verifies what is there and fetches the rest.
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
from pathlib import Path
from typing import NamedTuple, TypeVar

import pandas as pd
from tqdm import tqdm

from ecgpipe import files
from ecgpipe.acquire import listing
from ecgpipe.acquire.archive import ZipMirror
from ecgpipe.acquire.errors import AcquireError, disk_error
from ecgpipe.acquire.listing import SUMS, Entry, Format
from ecgpipe.acquire.lock import locked
from ecgpipe.acquire.mirror import POLITE, FileFailed, Mirror, Transfer
from ecgpipe.acquire.places import open_mirror
from ecgpipe.config import FolderSource, PhysioNetSource

logger = logging.getLogger(__name__)

T = TypeVar("T", bound=int | None)

MOST_FAILURES = 10
"""Files that may fail before the rest is not tried any more."""
BATCH = 256
"""Files verified by one task of the thread pool."""
REPORT_EVERY = 60.0
"""Seconds between two lines of progress in the log."""
ASKED = 20
"""Files of one kind whose size is asked for a plan; those of more are estimated from these."""


class Plan(NamedTuple):
    """What a run would fetch now."""

    files: int
    """Files, or 1 for an archive."""
    bytes: int | None
    """Their bytes; None if the place does not tell sizes."""
    exact: bool
    """Whether ``bytes`` was counted; otherwise it was estimated from some files of each kind."""
    here: int
    """Files that are here already and true."""


def fetch(
    source: PhysioNetSource | FolderSource,
    format: Format,
    rate: int,
    folder: str | Path,
    *,
    subset: str | None = None,
    policy: Transfer = POLITE,
) -> pd.DataFrame:
    """Bring what a dataset needs of a project to ``folder``; a second run at once waits for the first.

    Args:
        source: the project, where it is, and which of its records.
        format: layout of the project.
        rate: the study's sampling rate in Hz; decides which of PTB-XL's two folders is fetched.
        folder: gets the project's layout and its ``SHA256SUMS.txt``.
        subset: of ecg_arrhythmia, Chapman's or Ningbo's records; of challenge, the folder that holds the records.
        policy: time-outs and retries over HTTP.

    Returns:
        A row a file, sorted by path: path (below ``folder``), bytes, sha256. All are there and true.

    Raises:
        AcquireError: if a file cannot be had, is not what the list says, or would lie outside ``folder``.
    """
    folder = Path(folder)
    mirror = open_mirror(source, folder, policy)

    def needed(entries: Sequence[Entry]) -> list[Entry]:
        return listing.needed(entries, format, rate, subset=subset, names=source.records, limit=source.limit)

    with _disk_errors(folder), locked(folder):
        unpacked = _unpacked(mirror, folder, needed)
        if unpacked is not None:
            return _manifest(*unpacked)
        raw, wanted = asyncio.run(_read_listing(mirror, needed))
        listing.refuse_links(folder, (entry.path for entry in wanted))
        _write_if_new(folder / SUMS, raw)
        sizes = _verified(folder, wanted)
        lacking = [entry for entry in wanted if entry.path not in sizes]
        logger.info(
            "%d of %d files are here and true; %d to fetch from %s into %s",
            len(sizes),
            len(wanted),
            len(lacking),
            mirror,
            folder,
        )
        for parent in sorted({(folder / entry.path).parent for entry in lacking}):
            parent.mkdir(parents=True, exist_ok=True)
        sizes |= asyncio.run(
            _each(mirror, lacking, source.connections, "fetch", lambda entry: mirror.fetch(entry, folder / entry.path))
        )
        if isinstance(mirror, ZipMirror):
            mirror.discard()
    return _manifest(wanted, sizes)


def planned(
    source: PhysioNetSource | FolderSource,
    format: Format,
    rate: int,
    folder: str | Path,
    *,
    subset: str | None = None,
    policy: Transfer = POLITE,
) -> Plan:
    """Say what :func:`fetch` would bring now, and write nothing.

    Of a kind of files (one folder at the top, one ending) that has more than :data:`ASKED`, only so many are asked for
    their size: a server should not be asked 40,000 times for a forecast.

    Raises:
        AcquireError: as :func:`fetch`.
    """
    folder = Path(folder)
    mirror = open_mirror(source, folder, policy)

    def needed(entries: Sequence[Entry]) -> list[Entry]:
        return listing.needed(entries, format, rate, subset=subset, names=source.records, limit=source.limit)

    with _disk_errors(folder):
        unpacked = _unpacked(mirror, folder, needed)
        if unpacked is not None:
            return Plan(0, 0, True, len(unpacked[0]))
        if isinstance(mirror, ZipMirror) and not mirror.here:
            try:
                return Plan(1, asyncio.run(mirror.archive_size()), True, 0)
            except FileFailed as error:
                raise AcquireError(f"{mirror}: {error}. Check `base_url`, `slug` and `version`.") from error
        _, wanted = asyncio.run(_read_listing(mirror, needed))
        here = _verified(folder, wanted)
        lacking = [entry for entry in wanted if entry.path not in here]
        kinds = defaultdict(list)
        for entry in lacking:
            kinds[entry.path.partition("/")[0], Path(entry.path).suffix].append(entry)
        asked = [entry for kind in kinds.values() for entry in _spread(kind)]
        sizes = asyncio.run(_each(mirror, asked, source.connections, "sizes", lambda entry: mirror.size(entry.path)))
    total = 0.0
    for kind in kinds.values():
        known = [size for entry in _spread(kind) if (size := sizes[entry.path]) is not None]
        if len(known) < len(_spread(kind)):
            return Plan(len(lacking), None, False, len(here))
        total += len(kind) * sum(known) / len(known)
    return Plan(len(lacking), round(total), len(asked) == len(lacking), len(here))


def _spread(entries: Sequence[Entry]) -> Sequence[Entry]:
    """Return at most :data:`ASKED` entries, evenly spaced."""
    if len(entries) <= ASKED:
        return entries
    return [entries[place * len(entries) // ASKED] for place in range(ASKED)]


def _manifest(wanted: Sequence[Entry], sizes: dict[str, int]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "path": [e.path for e in wanted],
            "bytes": [sizes[e.path] for e in wanted],
            "sha256": [e.sha256 for e in wanted],
        }
    )


def _unpacked(
    mirror: Mirror, folder: Path, needed: Callable[[Sequence[Entry]], list[Entry]]
) -> tuple[list[Entry], dict[str, int]] | None:
    """Return files and sizes if an archive need not be fetched, as all of it that is needed was unpacked before."""
    if not isinstance(mirror, ZipMirror) or mirror.here or not (folder / SUMS).is_file():
        return None
    try:
        wanted = needed(listing.parse((folder / SUMS).read_bytes()))
    except (ValueError, AcquireError):
        return None
    sizes = _verified(folder, wanted)
    return (wanted, sizes) if len(sizes) == len(wanted) else None


async def _read_listing(mirror: Mirror, needed: Callable[[Sequence[Entry]], list[Entry]]) -> tuple[bytes, list[Entry]]:
    """Return the project's ``SHA256SUMS.txt`` as it is, and the files needed of it."""
    try:
        async with mirror:
            raw, entries = await mirror.read(SUMS, lambda raw: (raw, listing.parse(raw)))
    except FileFailed as error:
        raise AcquireError(
            f"{SUMS} of {mirror} could not be read: {error}. Check `base_url`, `slug` and `version`, or the folder's `path`."
        ) from error
    return raw, needed(entries)


@contextlib.contextmanager
def _disk_errors(folder: Path) -> Iterator[None]:
    """Turn what the disk refuses into one clear message."""
    try:
        yield
    except OSError as error:
        raise disk_error(Path(error.filename2 or error.filename or folder), error) from error


def _write_if_new(path: Path, raw: bytes) -> None:
    """Write a file unless it is there already, so that a complete folder may be read-only."""
    if not path.is_file() or path.read_bytes() != raw:
        with files.atomic_path(path) as temporary:
            temporary.write_bytes(raw)


def _verified(folder: Path, entries: Sequence[Entry]) -> dict[str, int]:
    """Return the bytes of each file that is in ``folder`` and true to its sum."""
    batches = [entries[start : start + BATCH] for start in range(0, len(entries), BATCH)]
    found: dict[str, int] = {}
    # Threads, as hashing and reading let go of the interpreter.
    with (
        ThreadPoolExecutor(os.cpu_count()) as pool,
        tqdm(total=len(entries), desc="verify", unit="file", disable=None) as bar,
    ):
        for batch, sizes in zip(batches, pool.map(lambda batch: _verified_batch(folder, batch), batches), strict=True):
            found |= sizes
            bar.update(len(batch))
    return found


def _verified_batch(folder: Path, batch: Iterable[Entry]) -> dict[str, int]:
    sizes = {}
    for entry in batch:
        path = folder / entry.path
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            if files.sha256(path) == entry.sha256:
                sizes[entry.path] = path.stat().st_size
    return sizes


async def _each(
    mirror: Mirror, entries: Sequence[Entry], connections: int, verb: str, operation: Callable[[Entry], Awaitable[T]]
) -> dict[str, T]:
    """Do ``operation``, which returns a file's bytes, for each file, a few at a time; return its results by path.

    Raises:
        AcquireError: naming the files that failed; up to ``MOST_FAILURES`` failures do not stop the rest.
    """
    done: dict[str, T] = {}
    failed: dict[str, str] = {}
    queue = iter(entries)
    progress = _Progress(verb, len(entries))

    async def work() -> None:
        while len(failed) < MOST_FAILURES and (entry := next(queue, None)) is not None:
            try:
                done[entry.path] = await operation(entry)
            except FileFailed as error:
                logger.error("%s: %s", entry.path, error)
                failed[entry.path] = str(error)
            else:
                progress.add(done[entry.path])

    with progress:
        async with mirror:
            try:
                async with asyncio.TaskGroup() as group:
                    for _ in range(min(connections, len(entries))):
                        group.create_task(work())
            except ExceptionGroup as errors:  # one reason is enough, and all that a reader wants
                raise errors.exceptions[0] from None
    if failed:
        raise AcquireError(_failures(failed, len(entries) - len(done) - len(failed), mirror))
    return done


def _failures(failed: dict[str, str], untried: int, mirror: Mirror) -> str:
    lines = [
        f"{len(failed)} files of {mirror} could not be had:",
        *(f"  - {path}: {reason}" for path, reason in sorted(failed.items())),
    ]
    if untried:
        lines.append(f"{untried} further files were not tried.")
    lines.append(
        "What is true is kept and not fetched again. Run again later, or set `base_url` to another mirror or to a folder with a downloaded copy."
    )
    return "\n".join(lines)


class _Progress:
    """Files and bytes done so far: a bar on a terminal, a line a minute in the log."""

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
        if time.monotonic() - self._reported > REPORT_EVERY:
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
