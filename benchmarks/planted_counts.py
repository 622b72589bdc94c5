"""Does the test of a difference hold its level where rhythms are rare? Networks' answers drawn, no network trained.

A patient is harder or easier to read for everybody (``PATIENT``), for one method's networks (``METHOD``) and for one
network (``NETWORK``); a network is better or worse at a rhythm (``SEED``). These parts add up to a normal number, and
the network is right where it exceeds a threshold that gives the rhythm's accuracy. A patient who is read wrongly is
always taken for the same other rhythm. So 20 networks of each of two methods are drawn in a millisecond or two, and the
composition of the test set is free.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats
from tqdm import tqdm

from ecgpipe.tables.influence import FEWEST, gradients
from ecgpipe.tables.resampling import paired_test

RHYTHMS = ("SR", "AFIB", "STACH", "SARRH", "SBRAD", "AFLT", "SVTAC")
FOLD_TEN = (1674, 152, 82, 77, 64, 7, 3)
"""Test patients of PTB-XL's fold 10 by rhythm: a tenth of the published counts, one record a patient."""
BALANCED = (40,) * 7
KNOWN = (0.97, 0.85, 0.85, 0.60, 0.75, 0.50, 0.60)
"""Accuracy in each rhythm of a method that knows all."""
CONFUSED = np.array(
    [
        [0, 3, 3, 6, 6, 0.3, 0.15],
        [6, 0, 1, 3, 0.3, 1, 0.2],
        [6, 1, 0, 0.3, 0.1, 0.4, 0.6],
        [8, 2, 0.1, 0, 1, 0.1, 0.05],
        [8, 0.5, 0.1, 1, 0, 0.1, 0.05],
        [2, 4, 2, 0.2, 0.2, 0, 0.5],
        [2, 2, 4, 0.1, 0.1, 0.5, 0],
    ]
)
"""What a rhythm (row) is taken for, relative frequencies."""
PARTS = {"soft": (1.0, 1.0, 0.3, 1.0), "hard": (2.0, 1.0, 0.2, 0.5)}
"""Standard deviations (PATIENT, METHOD, SEED, NETWORK): networks of a method differ much, or nearly agree."""
METRICS = ("macro_f1", "macro_precision", "balanced_accuracy", "accuracy")
LEVELS = (0.05, 0.01, 0.001)


@dataclass(frozen=True)
class Case:
    """Two methods, and a test set.

    Attributes:
        name: of the case.
        patients: test patients by rhythm.
        ours, theirs: accuracy of the methods in each rhythm.
    """

    name: str
    patients: tuple[int, ...]
    ours: tuple[float, ...]
    theirs: tuple[float, ...]


def cases() -> list[Case]:
    """Return the cases of the committed table."""
    learnt, unlearnt = (*KNOWN[:6], 0.8), (*KNOWN[:6], 0.02)
    return [
        Case("both know all rhythms", FOLD_TEN, KNOWN, KNOWN),
        Case("one learns SVTAC", FOLD_TEN, learnt, unlearnt),
        Case("balanced, 40 of each", BALANCED, KNOWN, KNOWN),
    ]


def answers(rng: np.random.Generator, case: Case, seeds: int, parts: tuple[float, ...]) -> tuple[np.ndarray, ...]:
    """Draw a test set and what both methods' networks answer.

    Returns:
        Labels ``(n,)`` and predicted class of each network of ours and theirs, ``(seeds, n)``.
    """
    of_patient, of_method, of_seed, of_network = parts
    labels = np.repeat(np.arange(len(RHYTHMS)), case.patients)
    n = len(labels)
    odds = np.cumsum(CONFUSED / CONFUSED.sum(axis=1, keepdims=True), axis=1)
    taken_for = (rng.random(n)[:, None] > odds[labels]).sum(axis=1)
    everybody = of_patient * rng.standard_normal(n)
    drawn = []
    for accuracy in (case.ours, case.theirs):
        threshold = stats.norm.ppf(accuracy) * np.sqrt(np.square(parts).sum())
        ease = threshold[labels] + everybody + of_method * rng.standard_normal(n)
        skill = of_seed * rng.standard_normal((seeds, len(RHYTHMS)))
        noise = of_network * rng.standard_normal((seeds, n), dtype=np.float32)
        drawn.append(np.where(ease + skill[:, labels] + noise > 0, labels, taken_for))
    return labels, *drawn


def judged_answers(
    labels: np.ndarray, predicted: np.ndarray, rhythms: np.ndarray
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return values ``(seeds,)`` and influences ``(seeds, n)`` of the metrics of networks that answer like this."""
    k = len(RHYTHMS)
    pairs = labels * k + predicted
    pairs_by_seed = pairs + k * k * np.arange(len(pairs))[:, None]
    counts = np.bincount(pairs_by_seed.ravel(), minlength=len(pairs) * k * k).reshape(-1, k, k)
    values, slopes = gradients(counts, rhythms)
    return values, {m: slopes[m].reshape(len(pairs), -1).ravel()[pairs_by_seed] for m in METRICS}
