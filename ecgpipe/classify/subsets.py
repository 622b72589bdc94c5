"""Shares of the training records: nested, stratified by class, the same for every method at the same seed."""

from __future__ import annotations

import numpy as np


def subset(labels: np.ndarray, fraction: float, seed: int) -> np.ndarray:
    """Choose a share of the records, class by class.

    For one seed the choices are nested (20 % ⊂ 40 % ⊂ ...): each class is put in a random order once, and a share is
    the first part of that order, rounded to whole records. A class that has a record keeps at least one.

    Args:
        labels: class ids of the training records, ``(n,)``.
        fraction: share in (0, 1]; 1 takes all.
        seed: seed of the random order.

    Returns:
        Positions in ``labels``, ascending.

    Raises:
        ValueError: if ``fraction`` is not in (0, 1].
    """
    if not 0 < fraction <= 1:
        raise ValueError(f"fraction must be above 0 and at most 1, got {fraction}")
    chosen = [np.empty(0, dtype=np.int64)]
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        order = np.random.default_rng([seed, int(label)]).permutation(members)
        chosen.append(order[: max(1, int(np.floor(fraction * len(members) + 0.5)))])
    return np.sort(np.concatenate(chosen))
