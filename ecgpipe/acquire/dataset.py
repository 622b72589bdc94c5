"""Bring a dataset's raw records here, from wherever its settings say."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from ecgpipe import files
from ecgpipe.acquire import physionet
from ecgpipe.acquire.errors import AcquireError
from ecgpipe.acquire.physionet import Plan
from ecgpipe.config import DatasetSettings, SignalSettings, SimulatedSource


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
        AcquireError: if the dataset is a merge, or its records cannot be had.
    """
    source, format = settings.source, settings.format
    if source is None or format is None:
        raise AcquireError("a merged dataset has no records of its own to acquire; acquire its members")
    if isinstance(source, SimulatedSource):
        from ecgpipe.acquire.simulated import acquire_simulated  # the simulator is of no use to those who fetch

        return acquire_simulated(source, format, signal.rate, Path(folder))
    return physionet.fetch(source, format, signal.rate, folder, subset=settings.subset or settings.folder)


def planned(settings: DatasetSettings, signal: SignalSettings, folder: str | Path) -> Plan:
    """Say what :func:`acquire` would fetch now, and write nothing; simulated records cost nothing."""
    source = settings.source
    if source is None or settings.format is None or isinstance(source, SimulatedSource):
        return Plan(0, 0, True, 0)
    return physionet.planned(source, settings.format, signal.rate, folder, subset=settings.subset or settings.folder)


def described(plan: Plan) -> str:
    """Say a plan in words: ``43,602 files, about 536.1 MB; 0 files are here already``."""
    size = "size not told" if plan.bytes is None else f"{'' if plan.exact else 'about '}{plan.bytes / 1e6:,.1f} MB"
    word = "file" if plan.files == 1 else "files"
    return f"{plan.files:,} {word}, {size}; {plan.here:,} files are here already"


def manifest_path(folder: str | Path) -> Path:
    """Return where the manifest of a folder of raw records lies: beside it."""
    folder = Path(folder)
    return folder.with_name(f"{folder.name}.parquet")


def write_manifest(folder: str | Path, manifest: pd.DataFrame) -> Path:
    """Write what :func:`acquire` returned beside ``folder``; that this file is there says that the folder is complete and true."""
    path = manifest_path(folder)
    files.write_parquet(path, manifest)
    return path
