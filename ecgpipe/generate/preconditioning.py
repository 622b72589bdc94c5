"""Spectral preconditioning: a network need only learn what a linear filter cannot do.

EDM (arXiv 2206.00364, table 1) scales a network's input and output by what is known of the data beforehand: one
deviation for all. Much more is known of ECGs: nearly all their variance lies in three directions of the leads and below
15 Hz. Here the deviation is that of each coefficient k in a basis of the leads' principal directions and cosines in
time, where coefficients are nearly uncorrelated. With variance S_k of the data (mean 1 over all k), x_t = alpha x_0 +
sigma noise, and T_k = alpha^2 S_k + sigma^2 the variance of x_t, the expected record is

    D_k = (alpha S_k / T_k) x_k + sigma sqrt(S_k / T_k) N_k,

the linear (Wiener) estimate and the network's correction N in units of that estimate's deviation. In terms of the
velocity v = (alpha x - D) / sigma, which is what is trained and sampled with,

    v_k = alpha sigma (1 - S_k) / T_k x_k - sqrt(S_k / T_k) N_k.

With S_k = 1 this is v = -N: EDM. The network sees sqrt(S_k / T_k) x_k, which at every noise level has the variances of
the data. (The linear estimate itself is at high noise little but baseline wander, in which no beat can be seen.)
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ecgpipe.generate.schedules import DiscreteSchedule, EDMSchedule

SMOOTHED = 9
"""Neighbouring coefficients that variances are averaged over."""
FLOOR = 1e-6
"""Least variance of a coefficient."""


def spectrum(x: Tensor) -> Tensor:
    """Transform records continued by their mirror image: ``(..., n)`` to ``(..., n + 1)``, complex.

    Up to phase these are the coefficients of the cosine transform (DCT-II), which unlike Fourier's does not take the
    end of a record for the neighbour of its beginning.
    """
    out: Tensor = torch.fft.rfft(torch.cat([x, x.flip(-1)], dim=-1))
    return out


def signal(coefficients: Tensor) -> Tensor:
    """Undo :func:`spectrum`: ``(..., n + 1)`` to ``(..., n)``."""
    n = coefficients.shape[-1] - 1
    out: Tensor = torch.fft.irfft(coefficients, 2 * n)[..., :n]
    return out


class Spectrum(NamedTuple):
    """Principal directions of the leads, ``(channels, channels)``, one a row, and the variances S_k ``(channels, length + 1)``."""

    directions: Tensor
    variance: Tensor


def no_spectrum(channels: int, length: int) -> Spectrum:
    """Return the spectrum of which nothing is known: all variances 1."""
    return Spectrum(torch.eye(channels), torch.ones(channels, length + 1))


def measured(batches: Iterable[Tensor]) -> Spectrum:
    """Measure the spectrum of records ``(b, channels, length)``, read once."""
    cross: Tensor = sum(torch.einsum("bcf,bdf->fcd", z, z.conj()).real for z in (spectrum(x.double()) for x in batches))  # type: ignore[assignment]
    # The first coefficient of a cosine transform of unit length is half as large, the last one is not there.
    cross[0] /= 2
    cross[-1] = cross[-2]
    directions = torch.linalg.eigh(cross[:-1].sum(dim=0)).eigenvectors.T
    variance = torch.einsum("kc,fcd,kd->kf", directions, cross, directions)
    padded = F.pad(variance, (SMOOTHED // 2, SMOOTHED // 2), mode="replicate")
    variance = padded.unfold(-1, SMOOTHED, 1).mean(dim=-1)
    return Spectrum(directions.float(), (variance / variance[:, :-1].mean()).clamp(min=FLOOR).float())


class SpectralPreconditioning(nn.Module):
    """A network behind the linear estimate; gives the velocity of records ``(b, channels, length)``."""

    directions: Tensor
    variance: Tensor

    def __init__(self, network: nn.Module, known: Spectrum, schedule: DiscreteSchedule | EDMSchedule) -> None:
        """Wrap module(x, time, class) -> like x, the correction N."""
        super().__init__()
        self.network = network
        self.schedule = schedule
        self.register_buffer("directions", known.directions)
        self.register_buffer("variance", known.variance)

    def levels(self, time: Tensor) -> tuple[Tensor, Tensor]:
        """Return alpha and sigma of what the network is told, ``(b, 1, 1)`` each."""
        schedule = self.schedule
        if isinstance(schedule, DiscreteSchedule):
            alpha_bar = torch.from_numpy(schedule.alpha_bar).to(time.device)[time.long()]
            alpha, sigma = alpha_bar.sqrt().float(), (1 - alpha_bar).sqrt().float()
        else:
            s = schedule.smallest * torch.exp(time * (math.log(schedule.largest / schedule.smallest) / 1000))
            alpha = 1 / torch.sqrt(1 + s**2)
            sigma = s * alpha
        return alpha[:, None, None], sigma[:, None, None]

    def forward(self, x: Tensor, time: Tensor, label: Tensor) -> Tensor:
        """Map records, noise levels and classes to the velocity."""
        # Filters keep full precision where the network does without: Fourier transforms know no bfloat16.
        with torch.autocast(x.device.type, enabled=False):
            alpha, sigma = self.levels(time)
            total = alpha**2 * self.variance + sigma**2
            spread = (self.variance / total).sqrt()
            coefficients = spectrum(self.directions @ x.float())
            seen = signal(coefficients * spread)
        correction = self.network(seen, time, label)
        with torch.autocast(x.device.type, enabled=False):
            known = alpha * sigma * (1 - self.variance) / total * coefficients
            return self.directions.T @ signal(known - spread * spectrum(correction.float()))
