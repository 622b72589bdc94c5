"""Spectral preconditioning: a network need only learn what a linear filter cannot do.

EDM's preconditioning (arXiv 2206.00364, table 1) scales a network's input and output (c_in, c_skip, c_out) by the
data's standard deviation, one number for all. Much more is known of ECGs: nearly all their variance lies in three
directions of the leads and below 15 Hz. Here the deviation is that of each coefficient k in a basis of the leads'
principal directions and cosines in time, where coefficients are nearly uncorrelated. With variance S_k of the data
(mean 1 over all k), x_t = alpha x_0 + sigma noise, and T_k = alpha^2 S_k + sigma^2 the variance of x_t, the expected
record is

    D_k = (alpha S_k / T_k) x_k + sigma sqrt(S_k / T_k) N_k,

the linear estimate (Wiener filter) and the network's correction N, in units of that estimate's deviation. In terms of
the velocity v = (alpha x - D) / sigma, with which the model is trained and sampled,

    v_k = alpha sigma (1 - S_k) / T_k x_k - sqrt(S_k / T_k) N_k.

The variances may be those of each class (``S_k`` then depends on the record's class; "no class" has those of all).
With drafts they are those of what lies between the beats, and the data are larger at the beats.

With S_k = 1 this is v = -N: EDM. The network's input is sqrt(S_k / T_k) x_k, which at every noise level has the
variances of the data. (At high noise the linear estimate itself is little but baseline wander, in which no beat can be
seen.)
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ecgpipe.generate.schedules import Schedule

SMOOTHING = 3
"""Neighbouring coefficients that variances are averaged over."""
FLOOR = 1e-6
"""Least variance of a coefficient."""


def mirrored_rfft(x: Tensor) -> Tensor:
    """Fourier transform of records continued by their mirror image: ``(..., n)`` to ``(..., n + 1)``, complex.

    Up to phase these are the coefficients of the cosine transform (DCT-II), for which, unlike for the Fourier
    transform, the end of a record is not the neighbour of its beginning.
    """
    out: Tensor = torch.fft.rfft(torch.cat([x, x.flip(-1)], dim=-1))
    return out


def mirrored_irfft(coefficients: Tensor) -> Tensor:
    """Undo :func:`mirrored_rfft`: ``(..., n + 1)`` to ``(..., n)``."""
    n = coefficients.shape[-1] - 1
    out: Tensor = torch.fft.irfft(coefficients, 2 * n)[..., :n]
    return out


class Spectrum(NamedTuple):
    """What is known of the data: principal directions of the leads, and the variance along each at every frequency."""

    directions: Tensor
    """``(channels, channels)``, one a row."""
    variance: Tensor
    """S_k, ``(channels, length + 1)``, or of each class and then of all, ``(classes + 1, channels, length + 1)``."""


def white_spectrum(channels: int, length: int, classes: int | None = None) -> Spectrum:
    """Return the spectrum of white noise, all variances 1, of each of some classes or of all: EDM's preconditioning."""
    shape = (channels, length + 1)
    return Spectrum(torch.eye(channels), torch.ones(shape if classes is None else (classes + 1, *shape)))


def _cross(x: Tensor) -> Tensor:
    """Return the sum over records ``(b, channels, length)`` of the leads' cross spectra, ``(length + 1, c, c)``."""
    z = mirrored_rfft(x.double())
    return torch.einsum("bcf,bdf->fcd", z, z.conj()).real


def _variance(cross: Tensor, directions: Tensor) -> Tensor:
    """Return the variance along directions, averaged over neighbouring coefficients, ``(channels, length + 1)``."""
    variance = torch.einsum("kc,fcd,kd->kf", directions, cross, directions)
    padded = F.pad(variance, (SMOOTHING // 2, SMOOTHING // 2), mode="replicate")
    return padded.unfold(-1, SMOOTHING, 1).mean(dim=-1)


def _mend_ends(cross: Tensor) -> Tensor:
    # The first coefficient of a cosine transform of unit length is half as large, the last one is not there.
    cross[0] /= 2
    cross[-1] = cross[-2]
    return cross


def _directions(cross: Tensor) -> Tensor:
    out: Tensor = torch.linalg.eigh(cross[:-1].sum(dim=0)).eigenvectors.T
    return out


def estimate_spectrum(batches: Iterable[Tensor]) -> Spectrum:
    """Estimate the spectrum of records ``(b, channels, length)``, read once."""
    cross = _mend_ends(sum(map(_cross, batches)))  # type: ignore[arg-type]
    directions = _directions(cross)
    variance = _variance(cross, directions)
    return Spectrum(directions.float(), (variance / variance[:, :-1].mean()).clamp(min=FLOOR).float())


def estimate_class_spectra(batches: Iterable[tuple[Tensor, Tensor]], classes: int, shrinkage: float) -> Spectrum:
    """Estimate the spectrum of each class, in the principal directions of all.

    Args:
        batches: records ``(b, channels, length)`` and class ids ``(b,)``, read once.
        classes: their number.
        shrinkage: a class's variances are averaged with those of all, which weigh as much as so many records.
    """
    crosses: list[Tensor | None] = [None] * classes
    counts = torch.zeros(classes, dtype=torch.float64)
    for x, labels in batches:
        for c in sorted(set(labels.tolist())):
            own = _cross(x[labels == c])
            before = crosses[c]
            crosses[c] = own if before is None else before + own
            counts[c] += int((labels == c).sum())
    mended = [None if cross is None else _mend_ends(cross) for cross in crosses]
    total: Tensor = sum(cross for cross in mended if cross is not None)  # type: ignore[assignment]
    directions = _directions(total)
    pooled = _variance(total, directions) / counts.sum()
    unit = pooled[:, :-1].mean()
    each = [
        pooled if cross is None else (_variance(cross, directions) + shrinkage * pooled) / (number + shrinkage)
        for cross, number in zip(mended, counts, strict=True)
    ]
    return Spectrum(directions.float(), (torch.stack([*each, pooled]) / unit).clamp(min=FLOOR).float())


def coloured(noise: Tensor, directions: Tensor, spread: Tensor) -> Tensor:
    """Filter white noise ``(b, channels, length)`` to deviations ``([b,] channels, length + 1)`` along directions."""
    return directions.T @ mirrored_irfft(mirrored_rfft(noise) * spread)


class SpectralPreconditioning(nn.Module):
    """A network that corrects the linear estimate; returns the velocity v of records ``(b, channels, length)``."""

    directions: Tensor
    variance: Tensor

    def __init__(self, network: nn.Module, known: Spectrum, schedule: Schedule) -> None:
        """Wrap ``network(x, time, class, ...)``, which returns the correction N, of the shape of x."""
        super().__init__()
        self.network = network
        self.schedule = schedule
        self.register_buffer("directions", known.directions)
        self.register_buffer("variance", known.variance)

    def variance_of(self, label: Tensor) -> Tensor:
        """Return S_k of the records' classes ``(b,)``; all in one, if classes do not differ."""
        return self.variance[label] if self.variance.dim() == 3 else self.variance

    def start(self, noise: Tensor, label: Tensor, alpha: float, sigma: float) -> Tensor:
        """Widen white noise ``(b, channels, length)`` to the variances that records have at a noise level.

        The highest level is not infinite: what is slow and large, as baseline wander, still stands out of it.
        """
        spread = (alpha**2 * self.variance_of(label) + sigma**2).sqrt()
        return coloured(noise, self.directions, spread)

    def forward(self, x: Tensor, time: Tensor, label: Tensor, *shown: Tensor) -> Tensor:
        """Map records, noise levels and classes to the velocity; what the network is ``shown`` besides is passed on."""
        # The filters keep full precision even where the network does not: Fourier transforms have no bfloat16.
        with torch.autocast(x.device.type, enabled=False):
            alpha, sigma = (level[:, None, None] for level in self.schedule.alpha_sigma(time))
            variance = self.variance_of(label)
            total = alpha**2 * variance + sigma**2
            spread = (variance / total).sqrt()
            coefficients = mirrored_rfft(self.directions @ x.float())
            scaled = mirrored_irfft(coefficients * spread)
        correction = self.network(scaled, time, label, *shown)
        with torch.autocast(x.device.type, enabled=False):
            known = alpha * sigma * (1 - variance) / total * coefficients
            return self.directions.T @ mirrored_irfft(known - spread * mirrored_rfft(correction.float()))
