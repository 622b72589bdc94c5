"""The sets of ECGs that are judged, brought to mV, with their labels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from ecgpipe.closeness.reading import SPLITS_OF, labelled, read_records
from ecgpipe.closeness.records import Records
from ecgpipe.closeness.units import UNITS, check_unit, standardised
from ecgpipe.dataset import SPLITS, Dataset

OWN_SPLITS = (
    "{path} is a dataset: its validation and test records are the real ones, and its training records those that the"
    " generator is taken to have learned from."
)
SEEN_RECORDS = (
    "--utility without --train: the real records must be ones that the generator did not learn from. If it did, the"
    " test records are in what it learned, and the synthetic records seem to help more than they do."
)


@dataclass(frozen=True)
class Source:
    """Where a set of ECGs lies.

    Attributes:
        name: ``real``, ``synthetic`` or ``train``.
        path: a ``.npy`` file, a folder of WFDB records, or a dataset of ecgpipe.
        labels: CSV of record, label (and patient); None takes what the set itself says.
        unit: of arrays: ``mV``, ``uV`` or ``V``.
    """

    name: str
    path: Path
    labels: Path | None = None
    unit: str = "mV"

    @property
    def is_dataset(self) -> bool:
        """Whether this is the folder of a dataset, which has splits."""
        return (self.path / "records.parquet").exists()

    @property
    def described(self) -> str:
        """Where it lies, and which splits are read where not all are."""
        splits = SPLITS_OF[self.name]
        return f"{self.path} ({', '.join(splits)})" if self.is_dataset and splits != SPLITS else str(self.path)


def own_training(real: Source) -> Source | None:
    """Return the training split of a dataset that is given as the real records; None if there is none.

    Raises:
        ValueError: if the dataset is damaged.
    """
    if not real.is_dataset or not len(Dataset.load(real.path).indices("train")):
        return None
    return replace(real, name="train")


def read(source: Source, rate: float, seconds: float) -> tuple[Records, list[str]]:
    """Read a set.

    Of a dataset the splits are read that its name stands for: validation and test of ``real``, ``train`` of ``train``.
    A folder of WFDB records that ``ecgpipe export`` or ``ecgpipe sample`` wrote has its labels in ``records.csv``.

    Args:
        source: where it lies.
        rate: of arrays, or to bring WFDB records to, Hz.
        seconds: length to crop WFDB records to.

    Returns:
        The records in mV, and what a reader of the judgement must know of them.

    Raises:
        FileNotFoundError, ValueError: if it cannot be read or is not in mV; the message names it.
    """
    try:
        records = read_records(source.path, rate, seconds, source.name)
    except ValueError as error:
        named = str(source.path) in str(error)
        raise ValueError(str(error) if named else f"{source.path}: {error}") from error
    if source.unit != "mV":
        if source.path.suffix != ".npy":
            raise ValueError(f"{source.path} says its unit itself: --unit is for .npy files")
        signals = np.asarray(records.signals[:], dtype=np.float32) * np.float32(UNITS[source.unit])
        records = replace(records, signals=signals, checked=True)
    check_unit(records.signals, str(source.path))
    if source.labels is not None:
        records = labelled(records, source.labels)
    elif records.labels is None and source.path.is_dir():
        records = _own_labels(records, source.path / "records.csv")
    how = standardised(records.signals)
    said = f"The {source.name} records are {how}: their amplitude is lost, and measures in mV mean nothing."
    return records, [] if how is None else [said]


def _own_labels(records: Records, table: Path) -> Records:
    """Return WFDB records with the labels of the table that an export has, if there is one of all records."""
    if not table.exists():
        return records
    found = pd.read_csv(table, dtype=str, keep_default_na=False)
    if not {"path", "label", "patient"} <= set(found):
        return records
    mine = found.drop_duplicates("path").set_index("path").reindex([records.name(row) for row in range(len(records))])
    if mine["label"].isna().any():
        return records
    labels, patients = (mine[column].to_numpy(dtype=object) for column in ("label", "patient"))
    return replace(records, labels=labels, patients=patients, checked=True)
