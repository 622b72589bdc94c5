"""The records of an experiment: what its networks learn from, validate on and are tested on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ecgpipe.classify.inputs import Selection, select
from ecgpipe.classify.subsets import subset
from ecgpipe.dataset import SPLITS, Dataset, require_distinct, require_same_form


@dataclass(frozen=True)
class TestSet:
    """Records to test on, under the name that the tables give them."""

    name: str
    dataset: Dataset
    records: Selection
    synthetic: bool = False

    def setting(self, trained: str) -> str:
        """Name the setting of a network, trained as named, that is tested here."""
        return f"{trained[:-1]}S" if self.synthetic else trained


@dataclass(frozen=True)
class TrainingRecords:
    """What one training learns from and validates on."""

    real: Selection
    synthetic: Selection
    validation: Selection

    @property
    def train(self) -> Selection:
        """Real records, then synthetic ones."""
        return self.real + self.synthetic


@dataclass(frozen=True)
class RealData:
    """A real dataset, by split; ``tests`` are its own test records and those of other datasets."""

    folder: Path
    name: str
    dataset: Dataset
    train: Selection
    validation: Selection
    tests: tuple[TestSet, ...]

    @classmethod
    def open(cls, folder: Path, also_test: Sequence[Path] = ()) -> RealData:
        """Open a dataset, and others to test on too.

        Raises:
            FileNotFoundError, ValueError: if a folder is no dataset, one of its splits is empty, or the datasets differ
                in form or share recordings.
        """
        dataset, (train, validation, _) = _open(folder, SPLITS)
        require_distinct({folder_name(other): Path(other) for other in (folder, *also_test)})
        tests = []
        for other in (folder, *also_test):
            opened, (records,) = _open(other, ("test",))
            require_same_form({str(folder): dataset.spec, str(other): opened.spec})
            tests.append(TestSet(folder_name(other), opened, records))
        return cls(folder, folder_name(folder), dataset, train, validation, tuple(tests))

    def share(self, fraction: float, seed: int) -> Selection:
        """Return a share of the training records: the same one for every setting; 0 is none."""
        positions = subset(self.train.labels, fraction, seed) if fraction else np.empty(0, dtype=np.int64)
        return self.train.subset(positions)

    def real_only(self, fraction: float, seed: int) -> TrainingRecords:
        """Return a share of the training records, to train without synthetic ones."""
        return TrainingRecords(self.share(fraction, seed), self.share(0, seed), self.validation)


@dataclass(frozen=True)
class SyntheticData:
    """A generator's samples, by split; ``tests`` is empty unless they are tested on."""

    generator: str
    dataset: Dataset
    train: Selection
    validation: Selection
    tests: tuple[TestSet, ...]

    @classmethod
    def open(cls, folder: Path, real: RealData, *, generator: str | None = None, test: bool = False) -> SyntheticData:
        """Open samples of the form of the real dataset.

        Args:
            folder: of the samples.
            real: the real dataset.
            generator: name in the tables; that of the folder if not given.
            test: whether networks are tested on them, so that there must be test records.

        Raises:
            FileNotFoundError, ValueError: if the folder is no dataset, differs in leads, rate, length or classes, or a
                split that is needed is empty.
        """
        dataset, (train, validation, *rest) = _open(folder, SPLITS if test else SPLITS[:2])
        require_same_form({str(real.folder): real.dataset.spec, str(folder): dataset.spec})
        name = generator or folder_name(folder)
        tests = tuple(TestSet(f"{real.name}/{name}", dataset, records, synthetic=True) for records in rest)
        return cls(name, dataset, train, validation, tests)


def _open(folder: str | Path, splits: Sequence[str]) -> tuple[Dataset, list[Selection]]:
    """Open a dataset whose ``splits`` must all have records."""
    dataset = Dataset.load(folder)
    selections = [select(dataset, split) for split in splits]
    empty = [split for split, records in zip(splits, selections, strict=True) if len(records) == 0]
    if empty:
        raise ValueError(f"{folder} has no {' and no '.join(empty)} record: more records are needed")
    return dataset, selections


def folder_name(folder: str | Path) -> str:
    """Return the name that the tables give a dataset or generator: that of its folder."""
    return Path(folder).resolve().name
