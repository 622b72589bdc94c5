"""Another rotation of a dataset's folds: the same records and signals, with other splits."""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path

import pandas as pd

from ecgpipe.dataset import SignalSpec, save_records
from ecgpipe.files import atomic_path, read_parquet_metadata
from ecgpipe.preprocess import splits

log = logging.getLogger(__name__)


def rotate(dataset: Path, number: int, of: int, out: Path) -> None:
    """Write a rotation of a dataset into ``out``: its records with the splits of that rotation, and its signals.

    Where the file system can, ``signals.npy`` is another name of the dataset's file and takes no room.

    Args:
        dataset: folder of the dataset; its records have the column ``fold``.
        number: of the rotation, from 1.
        of: rotations.
        out: folder of the rotation.

    Raises:
        ValueError: if the records have no folds, or a patient is in two folds.
    """
    path = dataset / "records.parquet"
    records = pd.read_parquet(path)
    if "fold" not in records.columns:
        raise ValueError(f"{path} has no column `fold`: make the dataset again with `rotate` in its settings")
    folds = splits.rotation(number, of)
    records["split"] = [splits.by_fold(int(fold), folds) for fold in records["fold"]]
    splits.check_patients(records)
    with atomic_path(out / "signals.npy", durable=False) as unfinished:
        unfinished.unlink()
        _same_file(dataset / "signals.npy", unfinished)
    save_records(out, records, SignalSpec.from_json(read_parquet_metadata(path)))
    counts = records["split"].value_counts()
    log.info("%s: rotation %d of %d, %s", out.name, number, of, ", ".join(f"{n} {s}" for s, n in counts.items()))


def _same_file(source: Path, target: Path) -> None:
    """Give a file a second name; copy it where that cannot be."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
