"""Bring a dataset's raw records here, from wherever its settings say."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from ecgpipe import files
from ecgpipe.acquire import physionet
from ecgpipe.acquire.errors import AcquireError
from ecgpipe.config import DatasetSettings, PhysioNetSource, SignalSettings


def acquire(
    settings: DatasetSettings, signal: SignalSettings, folder: str | Path, *, base_url: str | None = None
) -> pd.DataFrame:
    """Fetch or simulate the records of one dataset into ``folder``, in PhysioNet's layout.

    Args:
        settings: a dataset with a source.
        signal: its rate decides which files of PTB-XL are fetched.
        folder: folder of this dataset alone.
        base_url: replaces that of a PhysioNet source.

    Returns:
        The manifest, a row a file: path (below ``folder``), bytes, sha256. Only these files belong to the dataset,
        whatever else an earlier run left in the folder.

    Raises:
        AcquireError: if the dataset is a merge, or its records cannot be had.
    """
    source, format = settings.source, settings.format
    if source is None or format is None:
        raise AcquireError("a merged dataset has no records of its own to acquire; acquire its members")
    if isinstance(source, PhysioNetSource):
        return physionet.fetch(_at(source, base_url), format, signal.rate, folder, subset=settings.subset)
    from ecgpipe.acquire.simulated import simulate  # the heart model is of no use to those who fetch

    return simulate(source, format, signal.rate, Path(folder))


def planned(
    settings: DatasetSettings, signal: SignalSettings, folder: str | Path, *, base_url: str | None = None
) -> tuple[int, int | None]:
    """Say how many files, and bytes if known, :func:`acquire` would fetch now; simulated records cost none."""
    if isinstance(settings.source, PhysioNetSource) and settings.format is not None:
        return physionet.planned(
            _at(settings.source, base_url), settings.format, signal.rate, folder, subset=settings.subset
        )
    return 0, 0


def _at(source: PhysioNetSource, base_url: str | None) -> PhysioNetSource:
    return source if base_url is None else source.model_copy(update={"base_url": base_url})


def manifest_path(folder: str | Path) -> Path:
    """Return where the manifest of a folder of raw records lies: beside it."""
    folder = Path(folder)
    return folder.with_name(f"{folder.name}.parquet")


def write_manifest(folder: str | Path, manifest: pd.DataFrame) -> Path:
    """Write what :func:`acquire` returned beside ``folder``; that this file is there says that the folder is complete and true."""
    path = manifest_path(folder)
    files.write_parquet(path, manifest)
    return path
