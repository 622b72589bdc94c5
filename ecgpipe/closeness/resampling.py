"""Bootstrap by weights: what was computed once from the signals is weighted anew, never computed anew."""

from __future__ import annotations

import numpy as np
import scipy.stats

_NONE = 1e-9
"""A share below this is one of no record: sums of weights are rounded."""


def bootstrap_weights(n: int, patients: np.ndarray | None, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Return how often each record is taken, ``(1 + draws, n)``, float32; row 0 takes each once.

    Patients are drawn with replacement, and all records of a patient with it.

    Args:
        n: number of records.
        patients: patient of each record, ``(n,)``; None if each is of another one.
        draws: number of bootstrap draws.
        rng: source of randomness.
    """
    unit = np.arange(n) if patients is None else np.unique(patients, return_inverse=True)[1]
    units = int(unit.max()) + 1
    picks = rng.integers(units, size=(draws, units)) + units * np.arange(draws)[:, None]
    counts = np.bincount(picks.ravel(), minlength=draws * units).reshape(draws, units)
    return np.concatenate([np.ones((1, n)), counts[:, unit]]).astype(np.float32)


def interval(
    values: np.ndarray, confidence: float, bounds: tuple[float, float], records: int | None = None
) -> tuple[float, float, float]:
    """Return value and interval from a statistic's values ``(1 + draws,)``, the first of them on the data as they are.

    Distances between two samples are biased upwards, and on bootstrap samples once more. So the draws are moved to have
    their mean at the value (percentiles of the moved draws), and cut to the measure's range.

    Args:
        values: on the data, and on each draw.
        confidence: level.
        bounds: range of the statistic.
        records: of a share of independent records, their number: draws from records that are all alike do not vary, though the
            share of all records might be another. The interval then reaches at least as far as the binomial one (Clopper and Pearson, 1934) of a
            share of 0 or 1. None: the statistic is no share.
    """
    value, draws = float(values[0]), values[1:]
    draws = draws[np.isfinite(draws)]
    if not np.isfinite(value) or len(draws) < 2:
        return value, float("nan"), float("nan")
    tail = (1 - confidence) / 2
    low, high = np.quantile(draws - draws.mean() + value, [tail, 1 - tail])
    if records is not None:
        beyond = float(scipy.stats.beta.ppf(1 - tail, 1, records))
        if value < _NONE:
            high = max(high, beyond)
        elif value > 1 - _NONE:
            low = min(low, 1 - beyond)
    return value, float(np.clip(low, *bounds)), float(np.clip(high, *bounds))
