"""Acquire a dataset's raw records, from wherever its settings say, and write their manifest."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from ecgpipe import files
from ecgpipe.acquire.errors import AcquireError
from ecgpipe.acquire.physionet import Download, DownloadPlan
from ecgpipe.config import DatasetSettings, FolderSource, PhysioNetSource, SignalSettings, SimulatedSource
from ecgpipe.layouts import Format


def acquire(settings: DatasetSettings, signal: SignalSettings, folder: str | Path) -> pd.DataFrame:
    """Fetch or simulate the records of one dataset into ``folder``, in PhysioNet's layout.

    Args:
        settings: a dataset with a source.
        signal: its rate decides which files of PTB-XL are fetched.
        folder: folder of this dataset alone.

    Returns:
        The manifest, a row a file: path (below ``folder``), bytes, sha256. Only these files belong to the dataset,
        whatever else an earlier run left in the folder.

    Raises:
        AcquireError: if the dataset is a merge, or its records cannot be acquired.
    """
    source, format = settings.source, settings.format
    if source is None or format is None:
        raise AcquireError("a merged dataset has no records of its own to acquire; acquire its members")
    if isinstance(source, SimulatedSource):
        from ecgpipe.acquire.simulated import acquire_simulated  # downloads do without the simulator's imports

        return acquire_simulated(source, format, signal.rate, Path(folder))
    return _download(source, format, settings, signal, folder).fetch()


def plan_download(settings: DatasetSettings, signal: SignalSettings, folder: str | Path) -> DownloadPlan:
    """Return what :func:`acquire` would fetch now, and write nothing; simulated records need no download.

    Raises:
        AcquireError: if the list of files cannot be read.
    """
    source, format = settings.source, settings.format
    if source is None or format is None or isinstance(source, SimulatedSource):
        return DownloadPlan(0, 0, True, 0)
    return _download(source, format, settings, signal, folder).plan()


def _download(
    source: PhysioNetSource | FolderSource,
    format: Format,
    settings: DatasetSettings,
    signal: SignalSettings,
    folder: str | Path,
) -> Download:
    return Download(source, format, signal.rate, Path(folder), subset=settings.subset or settings.folder)


def manifest_path(folder: str | Path) -> Path:
    """Return where the manifest of a folder of raw records lies: beside it."""
    folder = Path(folder)
    return folder.with_name(f"{folder.name}.parquet")


def write_manifest(folder: str | Path, manifest: pd.DataFrame) -> Path:
    """Write what :func:`acquire` returned beside ``folder``, as the sign that the folder is complete and verified."""
    path = manifest_path(folder)
    files.write_parquet(path, manifest)
    return path
