"""Intervals and p-values that cover both sources of chance: the seed of a training and the patients of the test set.

Seeds and patients are crossed (every network is tested on every patient), so a draw of the bootstrap takes seeds and
patients anew, independently of each other, and the same ones for all cells that are compared (Owen, The pigeonhole
bootstrap, Annals of Applied Statistics 2007). Patients are drawn within classes, because test sets are made
class by class. From m units m - 1 are drawn and weighted by m / (m - 1), which makes the variance of a mean unbiased
even for a handful of units (Rao and Wu, JASA 1988).

The p-value of a paired difference comes from swapping the two methods, see :func:`swap_p_value`.
"""

from __future__ import annotations

import numpy as np

SWAPS = 20_000
"""Random swaps behind a p-value, which is therefore never below 1 / 20,001."""


def _counts(units: int, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Weights ``(draws, units)`` of a Rao-Wu bootstrap; a single unit always weighs 1."""
    if units == 1:
        return np.ones((draws, 1))
    picks = rng.integers(units, size=(draws, units - 1))
    picks += np.arange(draws)[:, None] * units
    return np.bincount(picks.ravel(), minlength=draws * units).reshape(draws, units) * (units / (units - 1))


def seed_weights(seeds: int, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Return weights of the repetitions, ``(draws, seeds)``, each row of sum 1."""
    return _counts(seeds, draws, rng) / seeds


def patient_weights(patients: np.ndarray, labels: np.ndarray, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Return weights of test records, ``(draws, n)``, float32; all records of a patient weigh the same.

    Patients are drawn within the class of theirs that is rarest in the test set, so that every draw has every class.

    Args:
        patients: patient of each record, ``(n,)``.
        labels: class id of each record, ``(n,)``.
        draws: number of draws.
        rng: source of randomness.
    """
    _, patient = np.unique(patients, return_inverse=True)
    sizes = np.bincount(labels)
    rarity = np.empty(len(sizes), dtype=np.int64)
    rarity[np.argsort(sizes, kind="stable")] = np.arange(len(sizes))
    stratum = np.full(patient.max() + 1, len(sizes))
    np.minimum.at(stratum, patient, rarity[labels])
    weights = np.empty((draws, len(stratum)), dtype=np.float32)
    for value in np.unique(stratum):
        members = np.flatnonzero(stratum == value)
        weights[:, members] = _counts(len(members), draws, rng)
    return weights[:, patient]


def over_seeds(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Average over seeds: values ``(b, s, ...)`` with weights ``(b, s)`` give ``(b, ...)``; undefined values are left out."""
    w = weights.reshape(*weights.shape, *(1,) * (values.ndim - 2))
    known = ~np.isnan(values)
    total = np.where(known, w, 0.0).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(known, values * w, 0.0).sum(axis=1) / total)


def interval(draws: np.ndarray, confidence: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the percentile intervals of draws ``(b, m)``: two arrays ``(m,)``; undefined draws are left out."""
    tail = (1 - confidence) / 2
    bounds = np.full((2, draws.shape[1]), np.nan)
    known = ~np.isnan(draws).all(axis=0)
    if known.any():
        bounds[:, known] = np.nanquantile(draws[:, known], [tail, 1 - tail], axis=0)
    return bounds[0], bounds[1]


def smallest_p_value(seeds: int) -> float:
    """Return the smallest two-sided p-value that swapping ``seeds`` repetitions can give."""
    return float(max(2.0 ** (1 - seeds), 1 / (SWAPS + 1)))


def swap_p_value(differences: np.ndarray, by_patient: np.ndarray, rng: np.random.Generator) -> float:
    """Return the two-sided p-value of the mean difference of two methods with the same seeds and test patients.

    If a method does nothing, the two networks of a seed could as well have changed places: the mean difference is
    compared with those after swapping random halves of the seeds, which is exact whatever the distribution. That alone
    speaks of these test patients only, and two methods may differ by the luck of the patients, alike in every seed. So
    a draw of that luck is added to every swap: the patients' bootstrap, centred, and scaled to the variance it has
    beyond what is seen from seed to seed already (variance over patients common to all seeds, less that of each seed
    apart, as in two-way clustering: Cameron, Gelbach, Miller, Robust inference with multiway clustering, JBES 2011).
    The p-value is never below that of the seeds alone.

    Args:
        differences: of each repetition ``(s,)``.
        by_patient: bootstrap draws of each repetition's difference over test patients, ``(b, s)``.
        rng: source of randomness.

    Returns:
        p in (0, 1]; NaN where the difference is undefined.
    """
    if np.isnan(differences).any():
        return float("nan")
    seeds = len(differences)
    observed = abs(differences.mean()) * (1 - 1e-9)
    every_pattern = 2**seeds <= SWAPS
    if every_pattern:
        patterns = np.arange(SWAPS // 2**seeds * 2**seeds) % 2**seeds
        signs = 1.0 - 2.0 * (patterns[:, None] >> np.arange(seeds) & 1)
    else:
        signs = 1.0 - 2.0 * rng.integers(2, size=(SWAPS, seeds))
    from_seeds = signs @ differences / seeds
    luck = _luck_of_patients(by_patient)
    added = rng.choice(luck, len(signs)) * rng.choice([-1.0, 1.0], len(signs))
    beyond = max((np.abs(from_seeds) >= observed).sum(), (np.abs(from_seeds + added) >= observed).sum())
    unswapped = 0 if every_pattern else 1
    return float((unswapped + beyond) / (unswapped + len(signs)))


def _luck_of_patients(by_patient: np.ndarray) -> np.ndarray:
    """Return centred draws ``(b,)`` of what the choice of patients does to all seeds alike, from draws ``(b, s)``."""
    by_patient = by_patient[~np.isnan(by_patient).any(axis=1)]
    if not len(by_patient):
        return np.zeros(1)
    joint = by_patient.mean(axis=1)
    apart = by_patient.var(axis=0).sum() / by_patient.shape[1] ** 2
    variance = joint.var()
    share = max(0.0, 1 - apart / variance) if variance > 0 else 0.0
    return np.asarray((joint - joint.mean()) * np.sqrt(share))


def holm(p_values: np.ndarray) -> np.ndarray:
    """Adjust a family of p-values ``(m,)`` by Holm's step-down method; NaN stays NaN and does not count.

    Source: Holm, A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 1979.
    """
    adjusted = np.full(len(p_values), np.nan)
    known = np.flatnonzero(~np.isnan(p_values))
    order = known[np.argsort(p_values[known], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    adjusted[order] = (
        np.minimum(1.0, np.maximum.accumulate(p_values[order] * factors)) if len(order) else adjusted[order]
    )
    return adjusted
