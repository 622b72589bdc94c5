"""What ``import ecgpipe`` offers: a study's datasets, models and tables, and the judgement of synthetic ECGs."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ecgpipe.closeness import comparison
from ecgpipe.closeness.reading import records_of
from ecgpipe.closeness.records import Records
from ecgpipe.closeness.settings import Settings
from ecgpipe.closeness.units import check_unit, standardised
from ecgpipe.dataset import Dataset


def load_dataset(folder: str | Path) -> Dataset:
    """Open a dataset or a synthetic set of a study; its signals stay on disk until they are used.

    Args:
        folder: with ``signals.npy`` and ``records.parquet``, as ``results/data/<dataset>/`` and
            ``results/samples/<dataset>/<generator>/``.

    Returns:
        Its ``signals`` ``(n, 12, length)`` in mV, ``records`` (a row each) and ``spec`` (rate, leads, classes).

    Raises:
        FileNotFoundError: if one of the two files is missing.
        ValueError: if a file is damaged, or the files do not belong together.
    """
    return Dataset.load(folder)


def evaluate(
    real: Dataset | Records | np.ndarray,
    synthetic: Dataset | Records | np.ndarray,
    *,
    rate: float | None = None,
    train: Dataset | Records | np.ndarray | None = None,
    labels: Sequence[Sequence[str]] | None = None,
    level: str = "quick",
    seed: int = 0,
) -> pd.DataFrame:
    """Say how close synthetic ECGs come to real ones, measure by measure.

    Args:
        real: held-out real records. Of a dataset its validation and test records are taken, and its training records
            make the floor.
        synthetic: what is judged. Arrays are ``(n, 12, length)`` in mV, leads in the order of ecgpipe.leads.LEADS.
        rate: sampling rate of arrays, Hz.
        train: real records that the generator was trained on, for the floor; without, halves of ``real`` make it. Of a
            dataset its training records are taken.
        labels: class names of the records of arrays: those of real, synthetic and, if given, training records.
        level: ``quick`` or ``full`` set of measures.
        seed: of choice, bootstrap and tests.

    Returns:
        The table of :func:`ecgpipe.closeness.evaluate`: value, interval and floor by class, measure and
        lead.

    Raises:
        UnitError: if signals cannot be in mV.
        ValueError: if the sets do not fit together.
    """
    if level not in ("quick", "full"):
        raise ValueError(f"level must be quick or full, got {level!r}")
    if isinstance(real, Dataset) and train is None and len(real.indices("train")):
        train = real
    given: dict[str, Any] = {"real": real, "synthetic": synthetic, "train": train}
    sets: dict[str, Records] = {}
    wanted = [name for name, one in given.items() if one is not None]
    if labels is not None and len(labels) != len(wanted):
        raise ValueError(f"labels must be those of {', '.join(wanted)}: {len(wanted)} lists, got {len(labels)}")
    own_labels: Sequence[Sequence[str] | None] = [None] * len(wanted) if labels is None else labels
    for name, own in zip(wanted, own_labels, strict=True):
        sets[name] = _records(given[name], name, rate, own)
        check_unit(sets[name].signals, f"the {name} records", "records in mV, not")
        if (how := standardised(sets[name].signals)) is not None:
            warnings.warn(f"the {name} records are {how}: measures in mV mean nothing", stacklevel=2)
    settings = Settings(level="full" if level == "full" else "quick", seed=seed)
    return comparison.evaluate(sets["real"], sets["synthetic"], train=sets.get("train"), settings=settings)


def _records(given: Any, name: str, rate: float | None, labels: Sequence[str] | None) -> Records:
    if isinstance(given, Dataset):
        given = records_of(given, name, f"the {name} dataset")
    if not isinstance(given, Records):
        if rate is None:
            raise ValueError(f"the {name} array does not say its sampling rate: give rate=… in Hz")
        return Records(np.asarray(given), rate, None if labels is None else np.asarray(labels, dtype=object))
    if rate is not None and rate != given.rate:
        raise ValueError(f"the {name} records are at {given.rate:g} Hz, not at {rate:g} Hz")
    return given


class Results(Mapping[str, pd.DataFrame]):
    """The tables of a study, by name; each is read when it is asked for.

    Args:
        folder: of the Parquet files.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._paths = {path.stem: path for path in sorted(folder.glob("*.parquet"))}

    def __getitem__(self, name: str) -> pd.DataFrame:
        if name not in self._paths:
            raise KeyError(f"no table {name!r} in {self.folder}; there are {', '.join(self._paths)}")
        return pd.read_parquet(self._paths[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths)

    def __len__(self) -> int:
        return len(self._paths)

    def __repr__(self) -> str:
        return f"Results({str(self.folder)!r}: {', '.join(self._paths)})"


def results(folder: str | Path = "results") -> Results:
    """Return the tables of a finished study: ``ecgpipe.results("results")["comparisons"]``.

    Args:
        folder: the study's results, or their folder of tables.

    Returns:
        A mapping from a table's name to its frame in long form.

    Raises:
        FileNotFoundError: if there are no tables.
    """
    for place in (Path(folder) / "tables", Path(folder)):
        if any(place.glob("*.parquet")):
            return Results(place)
    raise FileNotFoundError(f"{Path(folder) / 'tables'} has no tables: run the study first, or name its results folder")
