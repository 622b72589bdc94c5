"""Intervals and p-values that cover both sources of chance: the seed of a training and the patients of the test set.

Seeds and patients are crossed (every network is tested on every patient), so a draw of the bootstrap takes seeds and
patients anew, independently of each other, and the same ones for all cells that are compared (Owen, The pigeonhole
bootstrap, Annals of Applied Statistics 2007). Patients are drawn within classes, because test sets are made
class by class. From m units m - 1 are drawn and weighted by m / (m - 1), which makes the variance of a mean unbiased
even for a handful of units (Rao and Wu, JASA 1988).

A paired difference is judged as in radiology, where a few readers read the same cases with two methods: seeds are the
readers, patients the cases, see :func:`paired_test`. What patients do to it comes from their influences
(:mod:`ecgpipe.tables.influence`). Swapping the methods of whole seeds (:func:`swap_p_value`) assumes
less, but can show nothing with fewer than six seeds.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import optimize, special, stats

SWAPS = 20_000
"""Random swaps behind a p-value, which is therefore never below 1 / 20,001."""

ROUNDING = 1e-10
"""A standard error below this is rounding: one record more or less moves a metric by more."""

CAUTION = 0.95
"""Level of the interval for the variance between seeds whose upper end gives the degrees of freedom."""

DISSENT = 0.5
"""A stratum's covariance is at least this share of what one patient who is read the other way would give it."""


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


def strata(patients: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the stratum of each patient, a class id, ``(patients,)``, in the order of the sorted names.

    It is the class of the patient's that is rarest in the test set. A class of one patient is joined with the next
    rarest (collapsed strata: Cochran, Sampling Techniques, 5A.12), or the luck of having met just that patient would
    count for nothing.

    Args:
        patients: patient of each record, ``(n,)``.
        labels: class id of each record, ``(n,)``.
    """
    _, patient = np.unique(patients, return_inverse=True)
    sizes = np.bincount(labels)
    order = np.argsort(sizes, kind="stable")
    rarity = np.empty(len(sizes), dtype=np.int64)
    rarity[order] = np.arange(len(sizes))
    stratum = np.full(patient.max() + 1, len(sizes))
    np.minimum.at(stratum, patient, rarity[labels])
    for value in range(len(sizes) - 1):
        if (stratum == value).sum() == 1:
            stratum[stratum == value] = stratum[stratum > value].min(initial=len(sizes))
    if (stratum == (last := stratum.max())).sum() == 1 and len(stratum) > 1:
        stratum[stratum == last] = stratum[stratum < last].max()
    return np.asarray(order[np.minimum(stratum, len(sizes) - 1)])


def patient_weights(patients: np.ndarray, labels: np.ndarray, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Return weights of test records, ``(draws, n)``; all records of a patient weigh the same.

    Patients are drawn within their stratum, see :func:`strata`.

    Args:
        patients: patient of each record, ``(n,)``.
        labels: class id of each record, ``(n,)``.
        draws: number of draws.
        rng: source of randomness.
    """
    _, patient = np.unique(patients, return_inverse=True)
    stratum, sizes = strata(patients, labels), np.bincount(labels)
    weights = np.empty((draws, len(stratum)))
    for value in sorted(set(stratum), key=lambda k: (sizes[k], k)):
        members = np.flatnonzero(stratum == value)
        weights[:, members] = _counts(len(members), draws, rng)
    return weights[:, patient]


def over_seeds(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Average values ``(b, s, ...)`` with weights ``(b, s)`` over seeds, to ``(b, ...)``, without undefined values."""
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


@dataclass(frozen=True)
class PairedTest:
    """A mean difference between two methods with the same seeds and patients."""

    difference: float
    error: float
    """Its standard error over seeds and patients."""
    freedom: float
    """Degrees of freedom of the error."""

    def interval(self, confidence: float) -> tuple[float, float]:
        """Return the t interval."""
        reach = float(stats.t.ppf((1 + confidence) / 2, self.freedom)) * self.error
        return self.difference - reach, self.difference + reach

    @property
    def p_value(self) -> float:
        """Two-sided; NaN where the error is unknown."""
        return float(2 * stats.t.sf(abs(self.difference) / self.error, self.freedom))

    def detectable(self, alpha: float, power: float = 0.8) -> float:
        """Return the difference that a two-sided test at level ``alpha`` would have found with this probability.

        NaN where the error is unknown; see :func:`detectable`.
        """
        return detectable(self.error, self.freedom, alpha, power)


@functools.cache
def _quadrature() -> tuple[np.ndarray, np.ndarray]:
    """Return places and weights of Gauss and Legendre's rule on (-1, 1)."""
    return np.polynomial.legendre.leggauss(100)


def detectable(error: float, freedom: float, alpha: float, power: float = 0.8) -> float:
    """Return the true difference that a two-sided t test shows with probability ``power``; NaN without an error.

    The statistic is noncentral t, and its probability of exceeding the critical value is integrated over what the error
    may be estimated to be, since SciPy's own has no value at small levels. The other tail, below 1e-6, is left out.
    """
    if np.isnan(error) or np.isnan(freedom):
        return float("nan")
    critical = float(stats.t.ppf(1 - alpha / 2, freedom))
    places, weights = _quadrature()
    bars = critical * np.sqrt(2 * special.gammaincinv(freedom / 2, (places + 1) / 2) / freedom)

    def lacking(shift: float) -> float:
        return float(weights @ special.ndtr(shift - bars)) / 2 - power

    return error * float(optimize.brentq(lacking, 0.0, float(bars.max()) + 10, xtol=1e-6))


class OfPatients(NamedTuple):
    """What the choice of patients does to several networks."""

    shared: np.ndarray
    """Mean covariance between two networks, by stratum ``(h,)``."""
    sizes: np.ndarray
    """Patients of each stratum, ``(h,)``."""
    alone: float
    """Mean variance of one network."""


def covariances(influence: np.ndarray, stratum: np.ndarray) -> OfPatients:
    """Return what the choice of patients does to several networks, from the influences of patients.

    Within a stratum of n patients the covariance between two networks is n / (n - 1) times the sum over patients of the
    product of their influences, each about its mean in the stratum.

    Args:
        influence: of each patient on each network, ``(s, patients)``.
        stratum: of each patient, ``(patients,)``; strata of one patient are left out.
    """
    networks = len(influence)
    shared, sizes, alone = [], [], 0.0
    for value in np.unique(stratum):
        members = influence[:, stratum == value]
        if (n := members.shape[1]) < 2:
            continue
        members = members - members.mean(axis=1, keepdims=True)
        own = n / (n - 1) * float(np.square(members).sum())
        together = n / (n - 1) * float(np.square(members.sum(axis=0)).sum())
        shared.append((together - own) / (networks * (networks - 1)))
        sizes.append(n)
        alone += own / networks
    return OfPatients(np.array(shared), np.array(sizes), alone)


def upper_limit(variance: float, seeds: int) -> float:
    """Return the upper limit of what a variance may be that a few seeds were found to have.

    It is that of a one-sided interval at level :data:`CAUTION`: 19.5 times the variance of three seeds, 1.9 times that
    of twenty.
    """
    return variance * (seeds - 1) / _low_quantile(seeds - 1)


@functools.cache
def _low_quantile(freedom: int) -> float:
    """Return the quantile 1 - :data:`CAUTION` of chi squared."""
    return float(stats.chi2.ppf(1 - CAUTION, freedom))


def paired_test(
    differences: np.ndarray, influence: np.ndarray, stratum: np.ndarray, swing: np.ndarray | None = None
) -> PairedTest:
    """Judge the mean difference of two methods over seeds and patients that are both a sample of what there could be.

    Obuchowski and Rockette's model for readers and cases: with S2 the variance of the difference from seed to seed, C
    the covariance that the choice of patients gives the differences of two seeds (at least 0), and s seeds, the mean's
    squared error is (S2 + s C) / s. S2 has s - 1 degrees of freedom. C is a sum over strata, and the part C_h of n_h
    patients has n_h - 1: what hangs on a few patients of a rare rhythm is known as badly as they are few. The degrees
    of freedom of the sum are Satterthwaite's, as Hillis (Statistics in Medicine 26:596, 2007) chose them, who has C
    known. Three seeds are enough where chance lies in the patients; where it lies in the training, they count as three.

    By chance a few seeds agree far too well, and the sum would then be given the many degrees of freedom of C. The
    degrees of freedom are therefore those of a sum whose first part is what S2 may well be: its :func:`upper_limit`,
    and no less than what patients do to one seed apart from the others (their variance less C). The error itself is not
    raised: with these degrees of freedom the t test allows for that already.

    Nor is a stratum without variance known for certain: where all of ten patients are read rightly by one method and
    wrongly by the other, an eleventh need not be. C_h is therefore at least :data:`DISSENT` of what it would be if one
    patient were read the other way.

    Args:
        differences: of each seed on all patients, ``(s,)``.
        influence: of each patient on the difference of each seed, ``(s, patients)``.
        stratum: of each patient, ``(patients,)``, see :func:`strata`.
        swing: what a patient who is read the other way does to the difference, by stratum in ascending order of those
            with two patients or more, ``(h,)``; None sets no floor.

    Returns:
        The test; its error is NaN with one seed, whose chance in training is not known, an undefined difference, or one
        that is the same in every seed and hangs on no patient, as when both methods always answer with one class.
    """
    difference = float(differences.mean())
    if np.isnan(difference) or len(differences) < 2 or influence.shape[1] < 2:
        return PairedTest(difference, float("nan"), float("nan"))
    return judged(differences, covariances(influence, stratum), swing)


def judged(differences: np.ndarray, patients: OfPatients, swing: np.ndarray | None = None) -> PairedTest:
    """Judge differences of two seeds or more as :func:`paired_test` does, from what patients do to them."""
    seeds, difference = len(differences), float(differences.mean())
    shared, sizes, alone = patients
    of_seeds = float(differences.var(ddof=1)) / seeds
    of_patients = max(0.0, float(shared.sum()))
    if of_seeds + of_patients < ROUNDING**2:
        return PairedTest(difference, float("nan"), float("nan"))
    apart = max(0.0, alone - of_patients) / seeds
    if swing is not None:
        shared = np.maximum(shared, DISSENT * np.square(swing))
        of_patients = max(0.0, float(shared.sum()))
    least = max(upper_limit(of_seeds, seeds), apart)
    uncertainty = least**2 / (seeds - 1) + float((np.maximum(shared, 0.0) ** 2 / (sizes - 1)).sum())
    return PairedTest(difference, (of_seeds + of_patients) ** 0.5, (least + of_patients) ** 2 / uncertainty)


def by_repetition(values: np.ndarray, repetitions: int) -> np.ndarray:
    """Average values of seeds, ``(s, ...)``, over those of each repetition of a generator; seed k has number k mod r.

    Seeds that learnt from one generator's records share the chance in it. Their means are the sample to judge by: they
    differ by the chance in generators, in their draws and in the seeds, all of it once for each repetition.

    Returns:
        ``(repetitions, ...)``.
    """
    means: np.ndarray = values.reshape(-1, repetitions, *values.shape[1:]).mean(axis=0)
    return means


def widened(
    low: np.ndarray, high: np.ndarray, mean: np.ndarray, by_seed: np.ndarray, draws: np.ndarray, confidence: float
) -> tuple[np.ndarray, np.ndarray]:
    """Widen percentile intervals to what so few seeds can vouch for.

    Percentiles take the deviation seen between seeds for known. Their distance from the mean is stretched by the ratio
    of the t to the normal quantile, with Satterthwaite's degrees of freedom of a variance of which the part from seed
    to seed has as many as there are seeds but one.

    Args:
        low, high: of :func:`interval`, ``(m,)``.
        mean: over seeds, ``(m,)``.
        by_seed: values of each seed, ``(s, m)``.
        draws: bootstrap draws of the mean, ``(b, m)``.
        confidence: level of the interval.
    """
    factor = np.ones(len(mean))
    tail = (1 + confidence) / 2
    for m in range(len(mean)):
        values = by_seed[~np.isnan(by_seed[:, m]), m]
        if len(values) > 1 and (of_seeds := values.var(ddof=1) / len(values)) > 0:
            whole = max(float(np.nanvar(draws[:, m])), of_seeds)
            freedom = (len(values) - 1) * (whole / of_seeds) ** 2
            factor[m] = stats.t.ppf(tail, freedom) / stats.norm.ppf(tail)
    return mean - factor * np.maximum(mean - low, 0), mean + factor * np.maximum(high - mean, 0)


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
