"""Predictions of one cell of the study: a dataset, a setting, a generator and a share of the real training records.

Every table starts from cells. All cells of a test set must hold the same records, or nothing in the
tables could be compared; that is checked here, once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from ecgpipe.files import read_parquet_metadata
from ecgpipe.vocabulary import (
    NO_GENERATOR,
    PROBABILITY,
    REAL_ON_SYNTHETIC,
    REAL_SOURCE,
    SYNTHETIC,
    SYNTHETIC_ON_SYNTHETIC,
)

KEYS: tuple[str, ...] = ("dataset", "setting", "generator", "fraction", "ratio", "tested")

Key = tuple[str, str, str, float, str, str]


@dataclass(frozen=True)
class Cell:
    """Test predictions of all repetitions of one experiment.

    Records are in ascending order of their names.

    Two members of a merge may have records of the same name; their patients' names then tell them apart.
    """

    dataset: str
    setting: str
    generator: str
    fraction: float
    """Share of the real training records used, 0 for synthetic only."""
    ratio: str
    """Synthetic records for each real one: a number, ``all``, ``balance``; ``none`` without augmentation."""
    tested: str
    """The dataset whose test records they are, or ``dataset/generator`` for synthetic ones."""
    classes: tuple[str, ...]
    seeds: tuple[int, ...]
    records: np.ndarray
    """Names, ``(n,)``."""
    patients: np.ndarray
    """Names, ``(n,)``."""
    labels: np.ndarray
    """Class ids, ``(n,)``, int64."""
    probabilities: np.ndarray
    """``(seeds, n, classes)``, float32."""

    @property
    def key(self) -> Key:
        """The values of :data:`KEYS`."""
        return self.dataset, self.setting, self.generator, self.fraction, self.ratio, self.tested

    @property
    def has_synthetic(self) -> bool:
        """Whether its networks learnt from synthetic records."""
        of_a_generator = self.generator != NO_GENERATOR and not self.generator.startswith(REAL_SOURCE)
        return of_a_generator and self.setting != REAL_ON_SYNTHETIC

    @property
    def at_home(self) -> bool:
        """Whether the test records are those of the dataset whose records were learnt from."""
        return self.tested == self.dataset

    def __str__(self) -> str:
        return f"{self.dataset}, {self.setting}, generator {self.generator}, fraction {self.fraction:g}"


def _read_frame(path: Path) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Read a ``predictions.parquet`` with the names of its classes, and check its columns and labels."""
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing: the classifiers have not run; the tables cannot be made")
    classes = tuple(read_parquet_metadata(path).get("classes", ()))
    frame = pd.read_parquet(path)
    scores = [f"{PROBABILITY}{name}" for name in classes]
    missing = [name for name in (*KEYS, "seed", "record", "patient", "label", *scores) if name not in frame.columns]
    if not classes or missing:
        what = "column " + ", ".join(missing) if missing else "the list of classes in its metadata"
        raise ValueError(f"{path} lacks {what}; delete it and run the classifiers again")
    if frame.empty:
        raise ValueError(f"{path} has no predictions; delete it and run the classifiers again")
    unknown = sorted(set(frame["label"].astype(str)) - set(classes))
    if unknown:
        raise ValueError(f"{path} has labels {unknown}, which are none of its classes {list(classes)}")
    return frame, classes


def _cell(path: Path, key: Key, rows: pd.DataFrame, classes: tuple[str, ...]) -> Cell:
    """Make a cell of its rows, and check that every seed was tested on the same records."""
    dataset, setting, generator, fraction, ratio, tested = key
    where = f"{path}: {dataset}, {setting}, {generator}, fraction {fraction:g}"
    rows = rows.sort_values(["seed", "record", "patient"], kind="stable")
    seeds = tuple(int(seed) for seed in rows["seed"].unique())
    if len(rows) % len(seeds) or rows.groupby("seed").size().nunique() != 1:
        raise ValueError(f"{where}: the seeds were tested on different numbers of records")
    facts = [rows[name].astype(str).to_numpy().reshape(len(seeds), -1) for name in ("record", "patient", "label")]
    for values in facts:
        if (values != values[0]).any():
            raise ValueError(f"{where}: the seeds were tested on different records")
    records, patients, labels = (values[0] for values in facts)
    if len(set(zip(records, patients, strict=True))) != len(records):
        raise ValueError(f"{where}: a record was tested more than once with the same seed")
    scores = rows[[f"{PROBABILITY}{name}" for name in classes]].to_numpy(dtype=np.float32)
    probabilities = scores.reshape(len(seeds), len(records), len(classes))
    if not ((probabilities >= 0) & (probabilities <= 1)).all():
        raise ValueError(f"{where}: a class probability is missing or not between 0 and 1")
    names = str(dataset), str(setting), str(generator), float(fraction), str(ratio), str(tested)
    label_ids = np.array([classes.index(name) for name in labels], dtype=np.int64)
    return Cell(*names, classes, seeds, records, patients, label_ids, probabilities)


def read_predictions(path: str | Path) -> list[Cell]:
    """Read a ``predictions.parquet`` into its cells.

    Raises:
        FileNotFoundError: if the file is missing.
        ValueError: if a column is missing, a label is unknown, a probability is not in [0, 1], or the repetitions of a
            cell were not tested on the same records; the message names the file.
    """
    frame, classes = _read_frame(Path(path))
    groups = frame.groupby(list(KEYS), sort=True)
    return [_cell(Path(path), cast(Key, key), rows, classes) for key, rows in groups]


def by_dataset(paths: Iterable[str | Path]) -> dict[str, list[Path]]:
    """Sort files of predictions by the dataset that their first row names; what cannot be read stands under ``""``.

    All cells of a dataset's files have its name: the experiments write one file a dataset and generator.
    """
    found: dict[str, list[Path]] = {}
    for path in map(Path, paths):
        try:
            first = next(pq.ParquetFile(path).iter_batches(1, columns=["dataset"])).to_pydict()["dataset"][0]
        except (FileNotFoundError, StopIteration, KeyError):
            first = ""
        found.setdefault(first, []).append(path)
    return found


def read_all(paths: Iterable[str | Path], known: dict[str, Cell] | None = None) -> list[Cell]:
    """Read several files and check that they belong together, see :func:`matching`.

    Raises:
        FileNotFoundError, ValueError: as :func:`read_predictions` and :func:`matching`.
    """
    return matching([cell for path in paths for cell in read_predictions(path)], known)


def matching(cells: list[Cell], known: dict[str, Cell] | None = None) -> list[Cell]:
    """Check that cells belong together, and return them.

    Args:
        cells: of several files.
        known: a cell of each test set met before, which these must be tested like; those of these files are added.

    Raises:
        ValueError: if a cell stands there twice, or two cells of a dataset were tested on different records, labels or
            classes.
    """
    first = {} if known is None else known
    seen: set[Key] = set()
    for cell in cells:
        if cell.key in seen:
            raise ValueError(f"two files of predictions hold the same cell ({cell})")
        seen.add(cell.key)
        other = first.setdefault(cell.tested, cell)
        same = cell.classes == other.classes and all(
            np.array_equal(a, b)
            for a, b in (
                (cell.records, other.records),
                (cell.patients, other.patients),
                (cell.labels, other.labels),
            )
        )
        if not same:
            raise ValueError(
                f"({cell}) and ({other}) were not tested on the same records, so they cannot be compared; "
                f"delete the classifier results of {cell.dataset} and run again"
            )
    return cells


def selected(cells: Sequence[Cell], settings: Sequence[str], fractions: Sequence[float]) -> list[Cell]:
    """Return the cells of some settings; fractions count for cells that have real training and real test records."""
    free = (SYNTHETIC, SYNTHETIC_ON_SYNTHETIC, REAL_ON_SYNTHETIC)
    return [c for c in cells if c.setting in settings and (c.setting in free or c.fraction in set(fractions))]
