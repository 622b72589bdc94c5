"""Shares of the training records: nested, stratified by class, the same for every method at the same seed."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ecgpipe.vocabulary import ALL_SYNTHETIC, BALANCE


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


def synthetic_subset(real: np.ndarray, synthetic: np.ndarray, ratio: str | float, seed: int) -> np.ndarray:
    """Choose the synthetic records that are added to real ones; for one seed more are a superset of fewer.

    Args:
        real: class ids of the real training records in use, ``(n,)``.
        synthetic: class ids of the synthetic training records, ``(m,)``.
        ratio: ``all``; so many for each real record, stratified by class; or ``balance``: as many of each class as it
            lacks to be as common as the commonest (as far as there are).
        seed: seed of the random order.

    Returns:
        Positions in ``synthetic``, ascending.

    Raises:
        ValueError: if there are fewer synthetic records than ``ratio`` asks for.
    """
    if ratio == ALL_SYNTHETIC:
        return np.arange(len(synthetic))
    if ratio != BALANCE:
        if (wanted := float(ratio) * len(real)) > len(synthetic):
            raise ValueError(f"ratio {ratio} wants {wanted:g} synthetic records, there are {len(synthetic)}")
        return subset(synthetic, wanted / len(synthetic), seed)
    counts = np.bincount(real, minlength=synthetic.max(initial=0) + 1)
    chosen = [np.empty(0, dtype=np.int64)]
    for label in np.unique(synthetic):
        members = np.flatnonzero(synthetic == label)
        order = np.random.default_rng([seed, int(label)]).permutation(members)
        chosen.append(order[: counts.max() - counts[label]])
    return np.sort(np.concatenate(chosen))


def feasible_ratios(ratios: Iterable[str], real: np.ndarray, synthetic: np.ndarray) -> list[str]:
    """Return those of the ratios of :func:`synthetic_subset` that there are enough synthetic records for.

    A ratio whose records are just those of ``all``, or of a ratio named before it, is left out too, and ``balance``
    where there is nothing to fill: it would be the same experiment under another name.

    Args:
        ratios: ``all``, ``balance`` and numbers.
        real: class ids of the real training records in use, ``(n,)``.
        synthetic: class ids of the synthetic training records, ``(m,)``.
    """
    chosen = list(ratios)
    counts = {len(synthetic)} if ALL_SYNTHETIC in chosen else set()
    kept = []
    for ratio in chosen:
        if ratio not in (ALL_SYNTHETIC, BALANCE):
            if float(ratio) * len(real) > len(synthetic):
                continue
            count = len(synthetic_subset(real, synthetic, ratio, 0))  # more are a superset of fewer
            if count in counts:
                continue
            counts.add(count)
        if ratio == BALANCE and not len(synthetic_subset(real, synthetic, ratio, 0)):
            continue
        kept.append(ratio)
    return kept
