"""Simulated records as the raw data of a dataset: a folder that appears whole or not at all."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from ecgpipe.acquire.errors import AcquireError, disk_error
from ecgpipe.acquire.lock import locked
from ecgpipe.config import SimulatedSource
from ecgpipe.layouts import LICENSE
from ecgpipe.simulator.output import LICENSE_TEXT
from ecgpipe.simulator.run import simulate


def acquire_simulated(source: SimulatedSource, format: str, rate: int, folder: Path) -> pd.DataFrame:
    """Simulate the records of a dataset into ``folder``, which appears whole or not at all.

    An older simulation in its place is replaced. Arguments and manifest are those of
    :func:`ecgpipe.simulator.run.simulate`.

    Raises:
        AcquireError: if ``folder`` holds anything but simulated records, or the disk refuses.
    """
    try:
        with _replaced(folder) as new:
            return simulate(source, format, rate, new)
    except OSError as error:
        raise disk_error(folder, error) from error


@contextlib.contextmanager
def _replaced(folder: Path) -> Iterator[Path]:
    """Yield the path of a new folder that replaces ``folder`` on success and is removed on any error.

    A run that was killed leaves its scratch folder behind; the next run removes it.

    Raises:
        AcquireError: if ``folder`` holds anything but a simulation; downloads take too long to be overwritten.
    """
    if folder.exists() and not (folder.is_dir() and (_is_simulated(folder) or not any(folder.iterdir()))):
        raise AcquireError(
            f"{folder} holds files that were not simulated and would be lost. Move it away, or give the dataset "
            "another name or `raw_dir` another place."
        )
    with locked(folder):
        scratch = folder.with_name(f".{folder.name}.scratch")
        _remove(scratch)
        scratch.mkdir()
        new = scratch / "new"
        try:
            yield new
            if folder.exists():
                folder.rename(scratch / "old")
            new.rename(folder)
        finally:
            _remove(scratch)


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)


def _is_simulated(folder: Path) -> bool:
    license = folder / LICENSE
    return license.is_file() and license.read_text(encoding="utf-8", errors="replace") == LICENSE_TEXT
