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
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import filelock
import pandas as pd
from tqdm import tqdm

from ecgpipe import files
from ecgpipe.acquire import listing
from ecgpipe.acquire.errors import AcquireError, disk_error
from ecgpipe.acquire.listing import SUMS, Entry, Format, Subset
from ecgpipe.acquire.mirror import POLITE, FileFailed, Mirror, Transfer, open_mirror
from ecgpipe.config import PhysioNetSource

logger = logging.getLogger(__name__)

T = TypeVar("T", bound=int | None)

DEFAULT_URL = "https://physionet.org"
ENVIRONMENT_VARIABLE = "ECGPIPE_PHYSIONET"
MOST_FAILURES = 10
"""Files that may fail before the rest is not tried any more."""
BATCH = 256
"""Files verified by one task of the thread pool."""
REPORT_EVERY = 60.0
"""Seconds between two lines of progress in the log."""


def resolve_base_url(source: PhysioNetSource) -> str:
    """Return the address or folder that holds ``files/<slug>/<version>/``: of the config, of the environment or PhysioNet's."""
    return source.base_url or os.environ.get(ENVIRONMENT_VARIABLE) or DEFAULT_URL


def fetch(
    source: PhysioNetSource,
    format: Format,
    rate: int,
    folder: str | Path,
    *,
    subset: Subset | None = None,
    policy: Transfer = POLITE,
) -> pd.DataFrame:
    """Bring what a dataset needs of a PhysioNet project to ``folder``; a second run at once waits for the first.

    Args:
        source: the project, where it is, and which of its records.
        format: layout of the project.
        rate: the study's sampling rate in Hz; decides which of PTB-XL's two folders is fetched.
        folder: gets the project's layout and its ``SHA256SUMS.txt``.
        subset: of ecg_arrhythmia, Chapman's or Ningbo's records.
        policy: time-outs and retries over HTTP.

    Returns:
        A row a file, sorted by path: path (below ``folder``), bytes, sha256. All are there and true.

    Raises:
        AcquireError: if a file cannot be had, is not what the list says, or would lie outside ``folder``.
    """
    folder = Path(folder)
    mirror = _mirror(source, policy)
    with _disk_errors(folder), _locked(folder):
        raw, wanted = asyncio.run(_read_listing(mirror, source, format, rate, subset))
        listing.refuse_links(folder, (entry.path for entry in wanted))
        _write_if_new(folder / SUMS, raw)
        sizes = _verified(folder, wanted)
        lacking = [entry for entry in wanted if entry.path not in sizes]
        logger.info(
            "%s: %d of %d files are here and true; %d to fetch from %s into %s",
            source.slug,
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
    return pd.DataFrame(
        {
            "path": [e.path for e in wanted],
            "bytes": [sizes[e.path] for e in wanted],
            "sha256": [e.sha256 for e in wanted],
        }
    )


def planned(
    source: PhysioNetSource,
    format: Format,
    rate: int,
    folder: str | Path,
    *,
    subset: Subset | None = None,
    policy: Transfer = POLITE,
) -> tuple[int, int | None]:
    """Say what :func:`fetch` would bring now, and write nothing.

    Returns:
        The number of files, and their bytes or None if the server does not tell the size of each.

    Raises:
        AcquireError: as :func:`fetch`.
    """
    folder = Path(folder)
    mirror = _mirror(source, policy)
    with _disk_errors(folder):
        _, wanted = asyncio.run(_read_listing(mirror, source, format, rate, subset))
        here = _verified(folder, wanted)
        lacking = [entry for entry in wanted if entry.path not in here]
        sizes = asyncio.run(_each(mirror, lacking, source.connections, "sizes", lambda entry: mirror.size(entry.path)))
    known = [size for size in sizes.values() if size is not None]
    return len(lacking), sum(known) if len(known) == len(lacking) else None


def _mirror(source: PhysioNetSource, policy: Transfer) -> Mirror:
    return open_mirror(resolve_base_url(source), f"{source.slug}/{source.version}", source.connections, policy)


async def _read_listing(
    mirror: Mirror, source: PhysioNetSource, format: Format, rate: int, subset: Subset | None
) -> tuple[bytes, list[Entry]]:
    """Return the project's ``SHA256SUMS.txt`` as it is, and the files needed of it."""
    try:
        async with mirror:
            raw, entries = await mirror.read(SUMS, lambda raw: (raw, listing.parse(raw)))
    except FileFailed as error:
        raise AcquireError(
            f"{SUMS} of {mirror} could not be read: {error}. Check `base_url`, `slug` and `version`."
        ) from error
    return raw, listing.needed(entries, format, rate, subset=subset, names=source.records, limit=source.limit)


@contextlib.contextmanager
def _disk_errors(folder: Path) -> Iterator[None]:
    """Turn what the disk refuses into one clear message."""
    try:
        yield
    except OSError as error:
        raise disk_error(Path(error.filename2 or error.filename or folder), error) from error


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other runs off the folder; the lock falls with the process, however that ends."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(folder.with_name(f".{folder.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        logger.warning("another run is fetching into %s; waiting for it", folder)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


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
