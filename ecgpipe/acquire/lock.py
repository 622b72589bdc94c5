"""One run at a time on a folder of raw records."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

import filelock

logger = logging.getLogger(__name__)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other runs off ``folder``; a second one waits. The lock falls with the process, however that ends."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(folder.with_name(f".{folder.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        logger.warning("another run is writing into %s; waiting for it", folder)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
