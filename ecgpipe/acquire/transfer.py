"""Many files at once: verified where they are, fetched where they are not, with progress and failures told."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from tqdm import tqdm

from ecgpipe import files
from ecgpipe.acquire.errors import AcquireError
from ecgpipe.acquire.listing import ProjectFile
from ecgpipe.acquire.mirror import FolderMirror, Mirror
from ecgpipe.acquire.retry import FileFailed

logger = logging.getLogger(__name__)

T = TypeVar("T", bound=int | None)

MAX_FAILURES = 10
"""Files that may fail before the rest is not tried any more."""
BATCH = 256
"""Files that one task of the thread pool reads."""
REPORT_INTERVAL = 60.0
"""Seconds between two lines of progress in the log."""


def checksums(folder: Path, paths: Sequence[str], verb: str) -> dict[str, tuple[str, int]]:
    """Return SHA-256 and size in bytes of those files that are in ``folder``, by path."""
    batches = [paths[start : start + BATCH] for start in range(0, len(paths), BATCH)]
    found: dict[str, tuple[str, int]] = {}
    # Threads are enough: hashing and reading release the GIL.
    with (
        ThreadPoolExecutor(os.cpu_count()) as pool,
        tqdm(total=len(paths), desc=verb, unit="file", disable=None) as bar,
    ):
        for batch, sums in zip(batches, pool.map(lambda batch: _checksums(folder, batch), batches), strict=True):
            found |= sums
            bar.update(len(batch))
    return found


def _checksums(folder: Path, batch: Iterable[str]) -> dict[str, tuple[str, int]]:
    sums = {}
    for name in batch:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            sums[name] = files.sha256(folder / name), (folder / name).stat().st_size
    return sums


def verify(folder: Path, wanted: Sequence[ProjectFile]) -> dict[str, int]:
    """Return the size in bytes of each file that is in ``folder`` with the listed checksum."""
    found = checksums(folder, [file.path for file in wanted], "verify")
    return {f.path: found[f.path][1] for f in wanted if f.path in found and found[f.path][0] == f.sha256}


def complete(
    mirror: Mirror, folder: Path, wanted: Sequence[ProjectFile], verb: str, connections: int
) -> dict[str, int]:
    """Verify the files that are in a folder, and bring those from a mirror that are missing or changed.

    Args:
        mirror: where files come from.
        folder: where they go.
        wanted: all files that are to be there.
        verb: ``copy`` or ``fetch``, for the log and the bar.
        connections: files at a time.

    Returns:
        The size in bytes of each file, by path.

    Raises:
        AcquireError: as :func:`for_each`.
    """
    sizes = verify(folder, wanted)
    missing = [file for file in wanted if file.path not in sizes]
    logger.info(
        "%d of %d files are present and verified; %sing %d from %s into %s",
        *(len(sizes), len(wanted), verb, len(missing), mirror, folder),
    )
    for parent in sorted({(folder / file.path).parent for file in missing}):
        parent.mkdir(parents=True, exist_ok=True)
    fetched = for_each(mirror, missing, verb, lambda file: mirror.fetch(file, folder / file.path), connections)
    return sizes | asyncio.run(fetched)


async def for_each(
    mirror: Mirror,
    wanted: Sequence[ProjectFile],
    verb: str,
    operation: Callable[[ProjectFile], Awaitable[T]],
    connections: int,
) -> dict[str, T]:
    """Await ``operation``, which returns a file's size in bytes, for each file, a few at a time; return the sizes.

    Raises:
        AcquireError: naming the files that failed; up to :data:`MAX_FAILURES` failures do not stop the rest.
    """
    done: dict[str, T] = {}
    failed: dict[str, str] = {}
    queue = iter(wanted)
    progress = _Progress(verb, len(wanted))

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
                    for _ in range(min(connections, len(wanted))):
                        group.create_task(work())
            except ExceptionGroup as errors:  # the first reason is enough for a reader
                raise errors.exceptions[0] from None
    if failed:
        raise AcquireError(_failure_message(failed, len(wanted) - len(done) - len(failed), mirror))
    return done


def _failure_message(failed: dict[str, str], untried: int, mirror: Mirror) -> str:
    lines = [
        f"{len(failed)} files of {mirror} could not be fetched:",
        *(f"  - {path}: {reason}" for path, reason in sorted(failed.items())),
    ]
    if untried:
        lines.append(f"{untried} further files were not tried.")
    kept = "Verified files are kept and not fetched again."
    if isinstance(mirror, FolderMirror):
        lines.append(f"{kept} Put these files right in {mirror}, and run again.")
    else:
        lines.append(
            f"{kept} Run again later, or set `base_url` to another mirror or to a folder with a downloaded copy."
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
