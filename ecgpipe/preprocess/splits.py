"""Training, validation and test split, with no patient in two of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ecgpipe.dataset import SPLITS

if TYPE_CHECKING:
    from ecgpipe.config import DatasetSettings

SHARE = 0.1
"""Share of the validation split and of the test split, unless others are asked for."""

TRAIN, VALIDATION, TEST = SPLITS

FOLDS: Mapping[str, Collection[int]] = {TRAIN: range(1, 9), VALIDATION: (9,), TEST: (10,)}
"""PTB-XL's folds of each split, as its authors recommend (Wagner et al. 2020)."""


NUMBER = 10
"""Folds of a dataset whose folds rotate; PTB-XL has as many."""

_FAR_APART = (0, 5, 2, 7, 4, 9, 1, 6, 3, 8)
"""Order in which folds are dealt."""


def rotation(number: int, of: int) -> dict[str, list[int]]:
    """Return the folds of each split in one of several rotations, which together test each fold once.

    The folds are cut into ``of`` blocks of neighbours, as equal as possible, the last folds first. A rotation tests a
    block, the fold before the block is its validation split, and the others are its training split. The first of ten
    rotations is :data:`FOLDS`.

    Args:
        number: of the rotation, from 1.
        of: rotations, at most :data:`NUMBER`.
    """
    test = [int(fold) for fold in np.array_split(np.arange(NUMBER, 0, -1), of)[number - 1]]
    validation = (min(test) - 2) % NUMBER + 1
    train = [fold for fold in range(1, NUMBER + 1) if fold not in (*test, validation)]
    return {TRAIN: train, VALIDATION: [validation], TEST: sorted(test)}


def folds_of(dataset: DatasetSettings) -> Mapping[str, Collection[int]]:
    """Return the folds of each split of a dataset, in its first rotation if it has several."""
    if dataset.rotate is not None:
        return rotation(1, dataset.rotate)
    return FOLDS if dataset.folds is None else dataset.folds.model_dump()


def by_fold(fold: int, folds: Mapping[str, Collection[int]] = FOLDS) -> str:
    """Return the split of a PTB-XL record.

    Args:
        fold: of the record.
        folds: of each split.

    Raises:
        ValueError: if there is no such fold.
    """
    for split, members in folds.items():
        if fold in members:
            return split
    raise ValueError(f"fold {fold} is not between 1 and 10")


def stratified(
    patients: Sequence[str],
    labels: Sequence[str],
    seed: int,
    *,
    validation: float = SHARE,
    test: float = SHARE,
) -> list[str]:
    """Split by patient, class by class, and return each record's split.

    A patient counts for the rarest class among its records. A class of three patients or more has some in every split;
    of two, one is in the training and one in the test split. The result depends on the set of patients, their labels
    and the seed alone, not on the order of the records.

    Args:
        patients: of each record.
        labels: of each record.
        seed: of the order of patients.
        validation, test: shares of a class's patients in these splits; the rest is the training split.
    """
    split: dict[str, str] = {}
    for shuffled in _shuffled(patients, labels, seed):
        n = len(shuffled)
        tested = min(max(1, int(test * n + 0.5)), max(1, n - 2)) if n >= 2 else 0
        validated = min(max(1, int(validation * n + 0.5)), n - 1 - tested) if n >= 3 else 0
        names = [TEST] * tested + [VALIDATION] * validated
        names += [TRAIN] * (n - len(names))
        split.update(zip(shuffled, names, strict=True))
    return [split[patient] for patient in patients]


def deal(patients: Sequence[str], labels: Sequence[str], seed: int) -> list[int]:
    """Divide records into :data:`NUMBER` folds by patient, class by class, and return each record's fold, from 1.

    A patient counts for the rarest class among its records. The patients of a class are dealt to folds that are far
    apart in turn, beginning anywhere, so that few of them do not all meet in one block of folds.
    """
    fold: dict[str, int] = {}
    for number, shuffled in enumerate(_shuffled(patients, labels, seed)):
        first = int(np.random.default_rng([seed, number]).integers(NUMBER))
        for place, patient in enumerate(shuffled):
            fold[patient] = (first + _FAR_APART[place % NUMBER]) % NUMBER + 1
    return [fold[patient] for patient in patients]


def _shuffled(patients: Sequence[str], labels: Sequence[str], seed: int) -> Iterator[list[str]]:
    """Yield the patients of each class in random order, the classes by name; a patient counts for its rarest class."""
    size = Counter(labels)
    stratum: dict[str, str] = {}
    for patient, label in zip(patients, labels, strict=True):
        known = stratum.get(patient, label)
        stratum[patient] = min(known, label, key=lambda name: (size[name], name))
    for label in sorted(size):
        members = sorted(patient for patient, own in stratum.items() if own == label)
        generator = np.random.default_rng([seed, *label.encode()])
        yield [members[i] for i in generator.permutation(len(members))]


def training_share(splits: Sequence[str], labels: Sequence[str], share: float, seed: int) -> np.ndarray:
    """Choose a share of the training records of each class, at least one, and all other records.

    For one seed smaller shares are part of larger ones.

    Returns:
        Positions, ascending.
    """
    split, label = np.array(splits), np.array(labels)
    chosen = [np.flatnonzero(split != TRAIN)]
    for name in np.unique(label):
        members = np.flatnonzero((split == TRAIN) & (label == name))
        order = np.random.default_rng([seed, *str(name).encode()]).permutation(members)
        chosen.append(order[: max(1, int(share * len(members) + 0.5))])
    return np.sort(np.concatenate(chosen))


def check_patients(records: pd.DataFrame) -> None:
    """Check that each patient (column ``patient``) is in one split (column ``split``) only, and in one fold if any.

    Raises:
        ValueError: naming the first patients that are not.
    """
    for column in ("split", "fold"):
        if column not in records.columns:
            continue
        places = records.groupby("patient")[column].nunique()
        crossing = places.index[places > 1]
        if len(crossing):
            some = ", ".join(crossing[:5])
            raise ValueError(
                f"{len(crossing)} patients are in more than one {column}, among them {some}: test results would be "
                "false"
            )
