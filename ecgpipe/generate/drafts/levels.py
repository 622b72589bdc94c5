"""How large what a draft leaves of a record is: baseline wander, tremor and noise, in bands of frequency.

Recordings differ much in their noise. A short training makes all of them alike, as noisy as their mean, and in that
noise P waves drown. So the *levels* of a record are taken off before a generator learns, and are given back to what it
draws: what is learned is :meth:`LevelsModel.evened`, about equally large in all records and bands.

A level is the logarithm of the median size in a band. The median passes over QRS complexes, where a draft errs most.
Noise is stronger in some leads than in others (a loose electrode, a trembling arm). Each lead has two more levels: the
logarithms of its slow and of its fast noise, relative to the mean of the leads. In the bands between, where drafts err,
leads have none.

Levels to be drawn follow a linear regression on class, size of the draft and heart rate; what that leaves has the
quantiles of the training records, joined by a Gaussian copula.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import scipy.special
import torch
from torch import Tensor

from ecgpipe.generate.drafts.analysis import LEADS
from ecgpipe.generate.preconditioning import Spectrum, mirrored_irfft, mirrored_rfft

CENTRES = (0.1, 0.3, 1.0, 3.0, 8.0, 15.0, 25.0, 35.0, 45.0)
"""Middles of the bands, Hz. Each falls to nothing at the next one's; the outer ones go on to the ends."""
BANDS = len(CENTRES)
SLOW, FAST = slice(0, 2), slice(5, BANDS)
"""Bands in which leads have levels of their own."""
LEVELS = BANDS + 2 * LEADS
"""Levels of a record: of the bands, of slow noise in each lead, and of fast noise in each lead."""
NORMAL_MEDIAN = 0.6745
"""Median size of a standard normal number."""
SMALLEST = 5e-4
"""Added to sizes before their logarithm is taken, mV."""
QUANTILES = 33
_RIDGE = 5.0
"""A class's levels are averaged with those of all, which weigh as much as so many records."""
_LIMIT = 1.6
"""Levels count as at most so far from the mean: what a quiet record has of QRS complexes would become too large."""
_LEAD_LIMIT = 1.0
"""The same for a lead's own levels."""
_STREAM = 0xBEAA


def bands(length: int, rate: float) -> Tensor:
    """Return the weights of bands, of sum 1, at the frequencies of ``mirrored_rfft``: ``(BANDS, length + 1)``."""
    frequency = np.arange(length + 1) * rate / (2 * length)
    places = np.interp(np.log(np.maximum(frequency, 1e-3)), np.log(CENTRES), np.arange(BANDS))
    return torch.from_numpy(np.clip(1 - np.abs(places - np.arange(BANDS)[:, None]), 0, 1)).float()


class LevelsModel:
    """Levels of records of one length and rate, and how they are drawn."""

    def __init__(self, length: int, rate: float, classes: int, *, used: bool = True) -> None:
        """Take length and rate of records and the number of classes; ``used``: False leaves all records as they are."""
        self.limit = torch.tensor([_LIMIT] * BANDS + [_LEAD_LIMIT] * (2 * LEADS)) * used
        self.weights = bands(length, rate)
        self.middle = torch.zeros(LEVELS)
        """Mean levels of training records: a record that has these is left as it is."""
        self.slopes = torch.zeros(classes + 2, LEVELS)
        """Of the regression: on each class, on the draft's log size, and on the log median interval."""
        self.centre = torch.zeros(2)
        """Means of the last two."""
        self.quantiles = torch.zeros(LEVELS, QUANTILES)
        """Of what the regression leaves."""
        self.factor = torch.eye(LEVELS)
        """Cholesky factor of the copula's correlation."""

    def _split(self, x: Tensor) -> Iterator[Tensor]:
        """Yield what records ``(n, leads, length)`` hold in each band, of the same shape."""
        coefficients = mirrored_rfft(x)
        return (mirrored_irfft(coefficients * weight) for weight in self.weights.to(x.device))

    def measure(self, rest: Tensor) -> Tensor:
        """Return the levels ``(n, LEVELS)`` of what drafts leave, ``(n, 8, length)`` mV.

        First those of the bands, the mean over leads; then the slow and the fast levels of each lead, less their mean.
        """
        sizes = torch.stack([band.abs().median(dim=-1).values for band in self._split(rest)], dim=2)
        logs = (sizes + SMALLEST).log()
        every = logs.mean(dim=1)
        each = logs - every[:, None]
        return torch.cat([every, each[..., SLOW].mean(dim=2), each[..., FAST].mean(dim=2)], dim=1)

    def fit(self, levels: Tensor, labels: np.ndarray, figures: Tensor) -> None:
        """Learn from levels ``(n, LEVELS)`` of records, their class ids ``(n,)`` and figures ``(n, 2)``.

        The figures are the logarithms of a draft's size in mV and of its median interval in s.
        """
        self.middle, self.centre = levels.mean(dim=0), figures.mean(dim=0)
        x = self._design(labels, figures).double()
        y = (levels - self.middle).double()
        slopes = torch.linalg.solve(x.T @ x + _RIDGE * torch.eye(x.shape[1]), x.T @ y)
        self.slopes = slopes.float()
        left = y - x @ slopes
        self.quantiles = torch.quantile(left, torch.linspace(0, 1, QUANTILES).double(), dim=0).T.float()
        ranks = left.argsort(dim=0).argsort(dim=0)
        normal = torch.special.ndtri((ranks + 0.5) / len(ranks))
        # Few records tell little of the correlation.
        kept = 0.98 * len(normal) / (len(normal) + LEVELS)
        correlation = torch.corrcoef(normal.T) if len(normal) > 2 else torch.eye(LEVELS).double()
        self.factor = torch.linalg.cholesky(kept * correlation + (1 - kept) * torch.eye(LEVELS)).float()

    def _design(self, labels: np.ndarray, figures: Tensor) -> Tensor:
        classes = torch.nn.functional.one_hot(torch.from_numpy(labels).long(), len(self.slopes) - 2)
        return torch.cat([classes.float(), figures - self.centre], dim=1)

    def draw(self, labels: np.ndarray, figures: Tensor, seeds: np.ndarray) -> Tensor:
        """Draw levels ``(n, LEVELS)`` for class ids and figures, each record's from its own seed."""
        streams = (np.random.default_rng([_STREAM, int(seed)]) for seed in seeds)
        normal = np.stack([s.standard_normal(LEVELS) for s in streams]) @ self.factor.double().numpy().T
        grid = np.linspace(0, 1, QUANTILES)
        left = [
            np.interp(scipy.special.ndtr(z), grid, q) for z, q in zip(normal.T, self.quantiles.numpy(), strict=True)
        ]
        # In double precision: what is drawn then does not depend on the company in a batch.
        expected = self.middle.double() + self._design(labels, figures).double() @ self.slopes.double()
        return (expected + torch.from_numpy(np.stack(left, axis=1))).float()

    def steadiness(self, evened: Iterable[tuple[Tensor, Tensor]], classes: int, shrinkage: float) -> Tensor:
        """Return which share of a band's variance a Gaussian of the same median size has, ``(classes + 1, BANDS)``.

        It is 1 for steady white noise, and less the more of the variance comes in bursts, as at beats that the draft
        misses. Of each class, and last of all. A class without records has that of all.

        Args:
            evened: of :meth:`evened` with class ids, in batches, ``(b, leads, length)`` and ``(b,)``.
            classes: their number.
            shrinkage: a class is averaged with all, which weigh as much as so many records.
        """
        sums, number = torch.zeros(2, classes, BANDS, dtype=torch.float64), 0
        for x, labels in evened:
            for one, sizes in zip(sums, self._sizes(x), strict=True):
                one.index_add_(0, labels, sizes)
            number += len(labels)
        every = sums.sum(dim=1, keepdim=True)
        medians, powers = torch.cat([sums + every * max(shrinkage, 1e-6) / number, every], dim=1)
        # In a slow band a record is too short for its median to be that of a Gaussian.
        noise = torch.randn(64, 8, self.weights.shape[1] - 1, generator=torch.Generator().manual_seed(0))
        white = torch.div(*(sizes.mean(dim=0) for sizes in self._sizes(noise)))
        share: Tensor = (medians / powers.clamp(min=1e-12) / white).float()
        return share

    def _sizes(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the variance in bands that the median size suggests, and the variance, ``(n, BANDS)`` float64 each."""
        medians, powers = [], []
        for band in self._split(x):
            medians.append((band.abs().median(dim=-1).values / NORMAL_MEDIAN).square().mean(dim=1))
            powers.append(band.square().mean(dim=(1, 2)))
        return torch.stack(medians, dim=1).double(), torch.stack(powers, dim=1).double()

    def between_beats(self, spectrum: Spectrum, share: Tensor) -> Spectrum:
        """Return a spectrum of what lies between the beats, given :meth:`steadiness`."""
        weights = torch.exp(share.clamp(1e-3, 1.0).log() @ self.weights)
        by_class = spectrum.variance.dim() == 3
        return Spectrum(spectrum.directions, spectrum.variance * (weights[:, None] if by_class else weights[-1]))

    def shown(self, levels: Tensor) -> Tensor:
        """Return how far the levels of bands are from the mean ones, within limits, ``(n, BANDS)``.

        Those of leads are not shown to networks: they are taken off, and do not change what drafts leave.
        """
        return self._away(levels)[:, :BANDS]

    def _away(self, levels: Tensor) -> Tensor:
        limit = self.limit.to(levels.device)
        out: Tensor = torch.clamp(levels - self.middle.to(levels.device), -limit, limit)
        return out

    def _filtered(self, rest: Tensor, levels: Tensor, sign: float) -> Tensor:
        # Full precision: Fourier transforms have no bfloat16.
        with torch.autocast(rest.device.type, enabled=False):
            weights = self.weights.to(rest.device)
            every, slow, fast = self._away(levels).tensor_split([BANDS, BANDS + LEADS], dim=1)
            gain = (every @ weights)[:, None] + slow[:, :, None] * weights[SLOW].sum(dim=0)
            gain = gain + fast[:, :, None] * weights[FAST].sum(dim=0)
            out: Tensor = mirrored_irfft(mirrored_rfft(rest.float()) * torch.exp(sign * gain))
            return out

    def evened(self, rest: Tensor, levels: Tensor) -> Tensor:
        """Take levels ``(n, LEVELS)`` off what drafts leave, ``(n, 8, length)``: what has the mean levels stays."""
        return self._filtered(rest, levels, -1.0)

    def restored(self, evened: Tensor, levels: Tensor) -> Tensor:
        """Undo :meth:`evened`."""
        return self._filtered(evened, levels, 1.0)

    def tensors(self) -> dict[str, Tensor]:
        """Return all that :meth:`load_tensors` needs."""
        return {name: getattr(self, name) for name in ("middle", "slopes", "centre", "quantiles", "factor")}

    def load_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Take what :meth:`tensors` gave."""
        for name, value in tensors.items():
            setattr(self, name, value)
