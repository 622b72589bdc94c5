"""Training, validation and test split, with no patient in two of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd

from ecgpipe.dataset import SPLITS

SHARE = 0.1
"""Share of the validation split and of the test split; the rest is the training split."""

TRAIN, VALIDATION, TEST = SPLITS


def by_fold(fold: int) -> str:
    """Return the split of a PTB-XL record: folds 1-8 training, 9 validation, 10 test (Wagner et al. 2020).

    Raises:
        ValueError: if there is no such fold.
    """
    if not 1 <= fold <= 10:
        raise ValueError(f"fold {fold} is not between 1 and 10")
    return {9: VALIDATION, 10: TEST}.get(fold, TRAIN)


def stratified(patients: Sequence[str], labels: Sequence[str], seed: int) -> list[str]:
    """Split 80/10/10 by patient, class by class, and return each record's split.

    A patient counts for the rarest class among its records. A class of three patients or more has some in every split;
    of two, one is in the training and one in the test split. The result depends on the set of patients, their labels
    and the seed alone, not on the order of the records.
    """
    size = Counter(labels)
    stratum: dict[str, str] = {}
    for patient, label in zip(patients, labels, strict=True):
        known = stratum.get(patient, label)
        stratum[patient] = min(known, label, key=lambda name: (size[name], name))
    split: dict[str, str] = {}
    for label in sorted(size):
        members = sorted(patient for patient, own in stratum.items() if own == label)
        generator = np.random.default_rng([seed, *label.encode()])
        shuffled = [members[i] for i in generator.permutation(len(members))]
        each = max(1, int(SHARE * len(members) + 0.5))
        test = each if len(members) >= 2 else 0
        validation = each if len(members) >= 3 else 0
        names = [TEST] * test + [VALIDATION] * validation
        names += [TRAIN] * (len(members) - len(names))
        split.update(zip(shuffled, names, strict=True))
    return [split[patient] for patient in patients]


def check_patients(records: pd.DataFrame) -> None:
    """Check that each patient (column ``patient``) is in one split (column ``split``) only.

    Raises:
        ValueError: naming the first patients that are not.
    """
    places = records.groupby("patient")["split"].nunique()
    crossing = places.index[places > 1]
    if len(crossing):
        some = ", ".join(crossing[:5])
        raise ValueError(
            f"{len(crossing)} patients are in more than one split, among them {some}: test results would be false"
        )
