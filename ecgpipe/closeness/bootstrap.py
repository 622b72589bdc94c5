"""Bootstrap over patients, as weights: each record's features are computed once, and every draw only weights them."""

from __future__ import annotations

import numpy as np
import scipy.stats

_NONE = 1e-9
"""A share below this counts as 0, since sums of weights are rounded."""


def bootstrap_weights(n: int, patients: np.ndarray | None, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Return how often each record is drawn, ``(1 + draws, n)``, float32; row 0 takes each record once.

    Patients are drawn with replacement, each with all of its records (cluster bootstrap).

    Args:
        n: number of records.
        patients: patient of each record, ``(n,)``; None if every record has a patient of its own.
        draws: number of bootstrap draws.
        rng: source of randomness.
    """
    unit = np.arange(n) if patients is None else np.unique(patients, return_inverse=True)[1]
    units = int(unit.max()) + 1
    picks = rng.integers(units, size=(draws, units)) + units * np.arange(draws)[:, None]
    counts = np.bincount(picks.ravel(), minlength=draws * units).reshape(draws, units)
    return np.concatenate([np.ones((1, n)), counts[:, unit]]).astype(np.float32)


def bootstrap_interval(
    values: np.ndarray, confidence: float, bounds: tuple[float, float], records: int | None = None
) -> tuple[float, float, float]:
    """Return a statistic's value and its percentile bootstrap interval, corrected for bias: value, low, high.

    Distances between two samples are biased upwards, and on bootstrap samples once more. The draws are therefore
    shifted so that their mean is the value, and the interval is clipped to the statistic's range. It is NaN if the
    value or all but one of the draws are not finite.

    Args:
        values: the statistic on the data, then on each draw, ``(1 + draws,)``.
        confidence: level of the interval.
        bounds: range of the statistic.
        records: number of independent records behind a share; None if the statistic is no share. When all records
            or none have a property, bootstrap draws do not vary. The interval then reaches at least as far as the
            binomial one (Clopper and Pearson, 1934).
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
