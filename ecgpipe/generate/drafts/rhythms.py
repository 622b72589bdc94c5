"""What concerns a record as a whole, and is drawn for its class before its beats.

Median interval and irregularity have the quantiles of their class; atrial rates are Gaussian in each class; whether
there are ectopic beats is drawn once for a record, since they come together, and in few records. Sizes of the beats
follow a Gaussian process in time: breath, and noise.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import scipy.optimize
import scipy.special
import scipy.stats
import torch
from torch import Tensor

from ecgpipe.generate.drafts.plans import ECTOPIC, Plans

USUAL_INTERVAL = 0.8
"""Median interval of a record without intervals, s."""
EVEN = 0.005
"""Added to the deviation of log intervals: below it, no rhythm is more regular than another."""
QUANTILES = 65


def rhythm(plans: Plans) -> Tensor:
    """Return the log of the median interval in s, and the log deviation of log intervals, ``(n, 2)``.

    Of the intervals between two normal beats, or of all in a record with fewer than three such.
    """
    happens, normal = plans.happens, plans.kinds != ECTOPIC
    every = happens[:, 1:]
    between = every & normal[:, 1:] & normal[:, :-1]
    use = torch.where(between.sum(dim=1, keepdim=True) >= 3, between, every)
    logs = torch.diff(plans.times, dim=1).clamp(min=0.05).log()
    number = use.sum(dim=1)
    ordered = torch.where(use, logs, torch.inf).sort(dim=1).values
    median = ordered.gather(1, ((number - 1).clamp(min=0) // 2)[:, None])[:, 0]
    mean = torch.where(use, logs, 0.0).sum(dim=1) / number.clamp(min=1)
    variance = torch.where(use, (logs - mean[:, None]).square(), 0.0).sum(dim=1) / (number - 1).clamp(min=1)
    enough = number > 0
    usual = torch.tensor(USUAL_INTERVAL, device=logs.device).log()
    return torch.stack([torch.where(enough, median, usual), (variance.sqrt() + EVEN).log()], dim=1)


class Rhythms(NamedTuple):
    """Ectopic beats, median intervals and irregularity of each class.

    The two figures of :func:`rhythm` have their class's quantiles, interpolated, so that a limit in the definition of a
    rhythm, such as 100 beats a minute, stays one. A Gaussian copula joins them. Records whose beats are locked to
    atrial waves have figures of their own.
    """

    ectopic: Tensor
    """Share of records with ectopic beats, ``(classes,)``."""
    quantiles: Tensor
    """Of each figure, evenly spaced from the least to the greatest: free and locked, ``(classes, 2, 2, QUANTILES)``."""
    correlation: Tensor
    """Of the copula, free and locked, ``(classes, 2)``."""

    def draw(self, label: int, locked: int, rng: np.random.Generator) -> tuple[float, float, float]:
        """Return whether there are ectopic beats, and the two figures of :func:`rhythm`."""
        some = float(rng.random() < float(self.ectopic[label]))
        a, b = rng.standard_normal(2)
        r = float(self.correlation[label, locked])
        places = scipy.special.ndtr([a, r * a + math.sqrt(1 - r * r) * b])
        grid = np.linspace(0, 1, QUANTILES)
        quantiles = self.quantiles[label, locked].double().numpy()
        figures = [np.interp(u, grid, q) for u, q in zip(places, quantiles, strict=True)]
        return some, float(figures[0]), float(figures[1])


def no_rhythms(classes: int) -> Rhythms:
    """Return rhythms of nothing but the usual interval."""
    quantiles = torch.tensor([math.log(USUAL_INTERVAL), math.log(0.03)])[:, None].repeat(classes, 2, 1, QUANTILES)
    return Rhythms(torch.zeros(classes), quantiles, torch.zeros(classes, 2))


def fit_rhythms(plans: Plans, labels: np.ndarray, classes: int) -> Rhythms:
    """Take the quantiles of each class's records, and Spearman's correlation, turned into a Gaussian copula's."""
    out = no_rhythms(classes)
    figures = rhythm(plans).double().numpy()
    some = (plans.kinds == ECTOPIC).any(dim=1).numpy()
    locked = plans.atrial_locked.numpy() > 0
    for c in np.unique(labels):
        out.ectopic[c] = float(some[labels == c].mean())
        for kind in np.unique(locked[labels == c]).astype(int):
            own = figures[(labels == c) & (locked == kind)]
            out.quantiles[c, kind] = torch.from_numpy(np.quantile(own, np.linspace(0, 1, QUANTILES), axis=0).T)
            if len(own) > 3 and (own.std(axis=0) > 0).all():
                spearman = float(scipy.stats.spearmanr(*own.T).statistic)
                out.correlation[c, kind] = 2 * math.sin(math.pi / 6 * spearman)
    return out


class Atria(NamedTuple):
    """Atrial waves of each class: how often they are free of the beats or locked to them, and their log rates."""

    shares: Tensor
    """``(classes, 2)``: of records with free, and with locked waves."""
    means: Tensor
    """Of the log of the rate in Hz, ``(classes, 2)``."""
    deviations: Tensor

    def draw(self, label: int, rng: np.random.Generator) -> tuple[float, float, float]:
        """Return rate (Hz), phase (turns) and whether locked, as in :class:`~ecgpipe.generate.drafts.plans.Plans`."""
        u, z, phase = rng.random(), rng.standard_normal(), rng.random()
        free, locked = (float(v) for v in self.shares[label])
        if u >= free + locked:
            return 0.0, 0.0, 0.0
        kind = int(u >= free)
        rate = math.exp(float(self.means[label, kind]) + float(self.deviations[label, kind]) * z)
        return rate, phase, float(kind)


def no_atria(classes: int) -> Atria:
    """Return atria without waves."""
    return Atria(*torch.zeros(3, classes, 2).unbind())


def fit_atria(plans: Plans, labels: np.ndarray, classes: int) -> Atria:
    """Count and average; a class without such waves has the share 0."""
    out = no_atria(classes)
    for c in range(classes):
        own = torch.from_numpy(np.flatnonzero(labels == c))
        for kind in range(2):
            has = (plans.atrial_rate[own] > 0) & (plans.atrial_locked[own] == kind)
            if not has.any():
                continue
            logs = plans.atrial_rate[own][has].log()
            out.shares[c, kind] = float(has.sum()) / len(own)
            out.means[c, kind] = logs.mean()
            out.deviations[c, kind] = logs.std() if len(logs) > 3 else 0.08
    return out


class Sizes(NamedTuple):
    """Gaussian process of the logarithm of beats' sizes, with a period (breath) and noise.

    K(u) = s^2 (w exp(-u / decay) cos(2 pi f u) + (1 - w) [u = 0]).
    """

    log_deviation: float
    """Mean over records of the log of s."""
    spread: float
    """Deviation of that logarithm between records."""
    breath: float
    """w: share of the variance that is shared by near beats."""
    frequency: float
    """f, Hz."""
    decay: float
    """s."""

    def draw(self, times: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Draw the sizes of beats at ``times`` ``(k,)``: positive, mean 1 in the logarithm."""
        lag = np.abs(times[:, None] - times)
        shared = self.breath * np.exp(-lag / self.decay) * np.cos(2 * np.pi * self.frequency * lag)
        values, vectors = np.linalg.eigh(shared + (1 - self.breath) * np.eye(len(times)))
        deviation = np.exp(self.log_deviation + self.spread * rng.standard_normal())
        z = vectors @ (np.sqrt(values.clip(min=0)) * rng.standard_normal(len(times)))
        return np.asarray(np.clip(np.exp(min(deviation, 0.25) * z), 0.5, 1.6))


NO_SIZES = Sizes(math.log(0.02), 0.0, 0.0, 0.25, 5.0)
"""Sizes that hardly vary, of records too short to tell."""


def fit_sizes(plans: Plans) -> Sizes:
    """Fit :class:`Sizes` to the autocovariance of the normal beats' sizes, each record scaled to its own deviation."""
    deviations, lags, products = [0.02], [], []
    usable = plans.happens & (plans.kinds != ECTOPIC)
    for times, gains, use in zip(plans.times.numpy(), plans.gains.numpy(), usable.numpy(), strict=True):
        t, z = times[use][1:-1], np.log(gains[use][1:-1])
        if len(z) < 4 or not (s := float(z.std())) > 0:
            continue
        deviations.append(s)
        i, j = np.triu_indices(len(z), 1)
        z = (z - z.mean()) / s
        lags.append(t[j] - t[i])
        products.append(z[i] * z[j])
    logs = np.log(np.clip(deviations, 0.003, 0.25))
    if len(lags) < 8:
        return Sizes(float(logs.mean()), 0.0, 0.0, 0.25, 5.0)
    lag, product = np.concatenate(lags), np.concatenate(products)
    # Sizes are taken relative to their own mean, which lowers all products by about the variance of that mean.
    bins = np.arange(0.2, 8.0, 0.2)
    place = np.digitize(lag, bins)
    counts = np.bincount(place, minlength=len(bins) + 1)[1:-1]
    means = np.bincount(place, product, minlength=len(bins) + 1)[1:-1] / counts.clip(min=1)
    middle, enough = bins[:-1] + 0.1, counts >= 20

    def misfit(p: np.ndarray) -> np.ndarray:
        model = p[0] * np.exp(-middle / p[2]) * np.cos(2 * np.pi * p[1] * middle) + p[3]
        return np.asarray(((model - means) * np.sqrt(counts))[enough])

    low, high = [0.0, 0.1, 0.5, -0.5], [0.95, 0.5, 20.0, 0.2]
    if enough.sum() < 5:
        return Sizes(float(logs.mean()), float(logs.std()), 0.0, 0.25, 5.0)
    fits = [scipy.optimize.least_squares(misfit, [0.4, f, 4.0, 0.0], bounds=(low, high)) for f in (0.15, 0.25, 0.35)]
    best = min(fits, key=lambda fit: fit.cost).x
    return Sizes(float(logs.mean()), float(logs.std()), *(float(v) for v in best[:3]))
