"""What the study's records are: counts by split and class, and what was left out and why."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

import pandas as pd

from ecgpipe.dataset import SPLITS, SignalSpec
from ecgpipe.files import read_parquet_metadata
from ecgpipe.vocabulary import ALL

TEST = SPLITS[-1]


def data_table(folders: Mapping[str, Path], rotated: Collection[str] = ()) -> pd.DataFrame:
    """Count records and patients.

    Args:
        folders: folder of each dataset, by name.
        rotated: datasets whose folds rotate, so that all records are tested; their training and validation records are
            those of the first rotation.

    Returns:
        Columns dataset, split, class, records, patients; split and class also ``all``. A class without records has a
        row with 0. Patients with records of several classes count in each, and once in ``all``.

    Raises:
        FileNotFoundError: if a dataset has no ``records.parquet``.
    """
    rows = []
    for name, folder in folders.items():
        path = Path(folder) / "records.parquet"
        if not path.exists():
            raise FileNotFoundError(f"{path} is missing: dataset {name} has not been preprocessed")
        classes = SignalSpec.from_json(read_parquet_metadata(path)).classes
        records = pd.read_parquet(path, columns=["patient", "label", "split"])
        for split in (*SPLITS, ALL):
            whole = split == ALL or (name in rotated and split == TEST)
            in_split = records if whole else records[records["split"] == split]
            for label in (*classes, ALL):
                chosen = in_split if label == ALL else in_split[in_split["label"] == label]
                rows.append((name, split, label, len(chosen), chosen["patient"].nunique()))
    return pd.DataFrame(rows, columns=["dataset", "split", "class", "records", "patients"])


def exclusions_table(folders: Mapping[str, Path]) -> pd.DataFrame:
    """Count the records that were left out, by reason.

    Args:
        folders: folder of each dataset, by name.

    Returns:
        Columns dataset, reason, records; the commonest reason of a dataset first.

    Raises:
        FileNotFoundError: if a dataset has no ``excluded.parquet``.
    """
    frames = []
    for name, folder in folders.items():
        path = Path(folder) / "excluded.parquet"
        if not path.exists():
            raise FileNotFoundError(f"{path} is missing: dataset {name} has not been preprocessed")
        counts = pd.read_parquet(path, columns=["reason"])["reason"].astype(str).value_counts()
        counts = counts.sort_index().sort_values(ascending=False, kind="stable")
        frames.append(pd.DataFrame({"dataset": name, "reason": counts.index.to_numpy(), "records": counts.to_numpy()}))
    table = pd.concat(frames, ignore_index=True)
    return table.astype({"dataset": str, "reason": str, "records": int})
