"""Statistics behind the measures of closeness.

A measure compares two samples of equal size: ``a`` (real) and ``b`` (synthetic, or other real records for the floor).
Each function here takes such a :class:`Pair`, or makes a function that does, computes once what is costly, and returns
a :data:`Statistic` of bootstrap weights.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import numpy as np

from ecgpipe.closeness import clinical, distances, signals, twosample
from ecgpipe.closeness.dtw import BAND_SECONDS, banded_dtw
from ecgpipe.closeness.feature_cache import NotComputed, Sample
from ecgpipe.leads import INDEPENDENT

Statistic = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""From weights of ``a`` ``(draws, n)`` and of ``b`` ``(draws, m)`` to values ``(draws,)``, or ``(draws, 1 + leads)``:
the mean over leads, then each lead."""

FEWEST_FIGURES = 5
"""Fewest records a side in which a clinical figure was measured."""

DTW_CANDIDATES = 5
"""Nearest real records by Euclidean distance among which the nearest by dynamic time warping is searched for."""

_LEAST_POWER = 1e-8
"""mV²/Hz; about that of rounding to a microvolt, so that constant leads have a level in dB."""

_SUMMED = 1024
"""Records summed at a time."""


@dataclass(frozen=True)
class Pair:
    """Two samples that are compared, and what several measures share."""

    a: Sample
    b: Sample
    seed: int
    _shared: dict[str, Any] = field(default_factory=dict)

    def features(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Return a feature of both sides."""
        return self.a.feature(name), self.b.feature(name)

    def manifold(self) -> dict[str, np.ndarray]:
        """Return :func:`ecgpipe.closeness.distances.manifold_scores` of the random-kernel features."""
        if "manifold" not in self._shared:
            self._shared["manifold"] = distances.manifold_scores(*self.features("kernel components"))
        found: dict[str, np.ndarray] = self._shared["manifold"]
        return found


def weighted_mean(weights: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return weighted means over records: ``(draws, n)`` and ``(n, ...)`` to ``(draws, ...)``, float64."""
    weights = weights.astype(np.float64)
    weights /= weights.sum(axis=1, keepdims=True)
    flat = x.reshape(len(x), -1)
    total = np.zeros((len(weights), flat.shape[1]))
    for start in range(0, len(flat), _SUMMED):
        rows = slice(start, start + _SUMMED)
        total += weights[:, rows] @ flat[rows].astype(np.float64)
    return total.reshape(len(weights), *x.shape[1:])


def _mean_and_leads(by_lead: np.ndarray) -> np.ndarray:
    """Put the mean over leads before the leads: ``(draws, leads)`` to ``(draws, 1 + leads)``."""
    return np.concatenate([by_lead.mean(axis=1, keepdims=True), by_lead], axis=1)


# -- distances between the features of both sides --------------------------------------------------------------------


def feature_distance(feature: str, distance: Callable[..., np.ndarray]) -> Callable[[Pair], Statistic]:
    """Return the statistic that is a distance of :mod:`ecgpipe.closeness.distances` between a feature of both sides."""
    return lambda pair: partial(distance, *pair.features(feature))


def manifold(name: str, side: Literal["a", "b"]) -> Callable[[Pair], Statistic]:
    """Return the mean over one side of precision, recall, density or coverage."""

    def prepared(pair: Pair) -> Statistic:
        scores = pair.manifold()[name]
        return lambda wa, wb: weighted_mean(wa if side == "a" else wb, scores)

    return prepared


def mmd_p_value(pair: Pair) -> float:
    """Return the p-value of the permutation test of MMD², which exchanges patients."""
    a, b = pair.features("kernel components")
    patients = pair.a.records.patients, pair.b.records.patients
    return distances.mmd_p_value(a, b, np.random.default_rng([pair.seed, 1]), *patients)


# -- distances between mean statistics of the signals, by lead -------------------------------------------------------


def interlead_correlation(pair: Pair) -> Statistic:
    """Return the mean absolute difference of each lead's mean correlations with the others."""
    a, b = pair.features("correlation")
    leads = a.shape[1]
    if leads < 2:
        raise NotComputed("there is one lead only")

    def statistic(wa: np.ndarray, wb: np.ndarray) -> np.ndarray:
        return _mean_and_leads(np.abs(weighted_mean(wa, a) - weighted_mean(wb, b)).sum(axis=2) / (leads - 1))

    return statistic


def autocorrelation(pair: Pair) -> Statistic:
    """Return the mean absolute difference of the mean autocorrelations."""
    a, b = pair.features("autocorrelation")
    return lambda wa, wb: _mean_and_leads(np.abs(weighted_mean(wa, a) - weighted_mean(wb, b)).mean(axis=2))


def decibels(power: np.ndarray) -> np.ndarray:
    """Return a power density in mV²/Hz as dB."""
    return np.asarray(10 * np.log10(np.maximum(power, _LEAST_POWER)))


def spectrum(pair: Pair) -> Statistic:
    """Return the mean absolute difference of the mean Welch spectra, dB."""
    a, b = pair.features("spectrum")

    def statistic(wa: np.ndarray, wb: np.ndarray) -> np.ndarray:
        difference = decibels(weighted_mean(wa, a)) - decibels(weighted_mean(wb, b))
        return _mean_and_leads(np.abs(difference).mean(axis=2))

    return statistic


def amplitude(pair: Pair) -> Statistic:
    """Return the 1-Wasserstein distance between the amplitude histograms, mV."""
    a, b = pair.features("histogram")
    step = signals.AMPLITUDE_STEP / pair.a.records.signals.shape[2]

    def statistic(wa: np.ndarray, wb: np.ndarray) -> np.ndarray:
        difference = np.cumsum(weighted_mean(wa, a) - weighted_mean(wb, b), axis=2)
        return _mean_and_leads(np.abs(difference).sum(axis=2) * step)

    return statistic


# -- classifier two-sample tests -------------------------------------------------------------------------------------


def ridge_two_sample(pair: Pair) -> Statistic:
    """Return the score of the two-sample test by a cross-validated ridge classifier."""
    patients = pair.a.records.patients, pair.b.records.patients
    return partial(twosample.score, *twosample.ridge_correct(*pair.features("kernels"), pair.seed, *patients))


def cnn_two_sample(pair: Pair) -> Statistic:
    """Return the score of the two-sample test by a small CNN, on the records that were tested at least once."""
    correct = twosample.cnn_correct(pair.a.records, pair.b.records, pair.seed)
    tested = [~np.isnan(part) for part in correct]
    a, b = (part[there] for part, there in zip(correct, tested, strict=True))
    return lambda wa, wb: twosample.score(a, b, wa[:, tested[0]], wb[:, tested[1]])


# -- means over the synthetic side -----------------------------------------------------------------------------------


def mean_of(feature: str, missing: str) -> Callable[[Pair], Statistic]:
    """Return the mean of a feature ``(n,)`` of ``b`` alone; ``missing`` says why it may be NaN."""

    def prepared(pair: Pair) -> Statistic:
        values = pair.b.feature(feature)
        if np.isnan(values).any():
            raise NotComputed(missing)
        return lambda wa, wb: weighted_mean(wb, values)

    return prepared


def share_without(feature: str) -> Callable[[Pair], Statistic]:
    """Return the share of records of ``b`` that lack a figure of :mod:`ecgpipe.closeness.clinical`."""

    def prepared(pair: Pair) -> Statistic:
        missing = np.isnan(pair.b.feature(feature)).any(axis=1).astype(np.float64)
        return lambda wa, wb: weighted_mean(wb, missing)

    return prepared


def nearest_distance(pair: Pair) -> Statistic:
    """Return the mean root mean square difference of ``b`` to the nearest of ``a``, mV."""
    distance = signals.nearest_distance(pair.b.records, pair.a.records)
    return lambda wa, wb: weighted_mean(wb, distance)


def dtw_distance(pair: Pair) -> Statistic:
    """Return the mean DTW distance of ``b`` to the nearest of ``a`` of the same class, on the independent leads, mV."""
    real, synthetic = (sample.records.take(np.arange(len(sample))) for sample in (pair.a, pair.b))
    a, b = (side.signals[:].reshape(len(side), -1) for side in (real, synthetic))
    leads = real.leads
    chosen = [leads.index(n) for n in INDEPENDENT] if set(INDEPENDENT) <= set(leads) else list(range(len(leads)))
    a_labels, b_labels = _labels(pair.a), _labels(pair.b)
    distance = np.full(len(b), np.nan)
    for label in np.unique(b_labels):
        ours, theirs = np.flatnonzero(b_labels == label), np.flatnonzero(a_labels == label)
        k = min(DTW_CANDIDATES, len(theirs))
        candidates = theirs[distances.nearest_neighbours(b[ours], a[theirs], k)[0]]
        x = synthetic.signals[np.repeat(ours, k)][:, chosen]
        y = real.signals[candidates.ravel()][:, chosen]
        distance[ours] = banded_dtw(x, y, round(BAND_SECONDS * real.rate)).reshape(-1, k).min(axis=1)
    return lambda wa, wb: weighted_mean(wb, distance)


def _labels(sample: Sample) -> np.ndarray:
    labels = sample.records.labels
    return np.zeros(len(sample), dtype=np.int64) if labels is None else labels


# -- distributions of clinical figures -------------------------------------------------------------------------------


def clinical_figure(name: str) -> Callable[[Pair], Statistic]:
    """Return the 1-Wasserstein distance between the distributions of a figure of :mod:`ecgpipe.closeness.clinical`."""
    feature, names = ("beats", clinical.BEATS) if name in clinical.BEATS else ("waves", clinical.WAVES)

    def prepared(pair: Pair) -> Statistic:
        a, b = (values[:, names.index(name)] for values in pair.features(feature))
        known = min(int((~np.isnan(a)).sum()), int((~np.isnan(b)).sum()))
        if known < FEWEST_FIGURES:
            raise NotComputed(f"could be measured in {known} records of one side, {FEWEST_FIGURES} are needed")
        if name == "axis":
            # An angle: both sides are rotated so that the circular mean of the real axes is 0.
            middle = np.degrees(np.angle(np.nanmean(np.exp(1j * np.radians(a)))))
            a, b = ((values - middle + 180) % 360 - 180 for values in (a, b))
        return partial(distances.wasserstein, a, b)

    return prepared
