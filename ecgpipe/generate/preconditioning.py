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

With S_k = 1 this is v = -N: EDM. The network sees the linear estimate, brought to deviation 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
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
    return torch.fft.rfft(torch.cat([x, x.flip(-1)], dim=-1))


def signal(coefficients: Tensor) -> Tensor:
    """Undo :func:`spectrum`: ``(..., n + 1)`` to ``(..., n)``."""
    n = coefficients.shape[-1] - 1
    return torch.fft.irfft(coefficients, 2 * n)[..., :n]


class SpectralPreconditioning(nn.Module):
    """A network within the linear estimate; predicts the velocity of records ``(b, channels, length)``."""

    directions: Tensor
    variance: Tensor
    _log_ratio: Tensor

    def __init__(self, network: nn.Module, channels: int, length: int, schedule: EDMSchedule | DiscreteSchedule) -> None:
        """Wrap module(x, time, class); variances are 1, so that it changes nothing, until :meth:`measure`."""
        super().__init__()
        self.network = network
        self.schedule = schedule
        self.register_buffer("directions", torch.eye(channels))
        self.register_buffer("variance", torch.ones(channels, length + 1))

    @torch.no_grad()
    def measure(self, batches: Iterable[Tensor]) -> None:
        """Take directions and variances from the training records, ``(b, channels, length)`` of deviation 1, in two passes."""
        covariance, number = torch.zeros(self.directions.shape, dtype=torch.float64), 0
        power = torch.zeros(self.variance.shape, dtype=torch.float64)
        batches = list(batches)
        for x in batches:
            covariance += torch.einsum("bcn,bdn->cd", x.double(), x.double())
        self.directions.copy_(torch.linalg.eigh(covariance).eigenvectors.T)
        for x in batches:
            power += spectrum(self.directions.double() @ x.double()).abs().square().sum(dim=0)
            number += len(x)
        variance = power / (2 * (self.variance.shape[1] - 1) * number)
        variance[:, 0] /= 2
        variance[:, -1] = variance[:, -2]
        reach = SMOOTHED // 2
        padded = torch.nn.functional.pad(variance, (reach, reach), mode="replicate")
        smooth = padded.unfold(-1, SMOOTHED, 1).mean(dim=-1)
        self.variance.copy_((smooth / smooth[:, :-1].mean()).clamp(min=FLOOR))

    def levels(self, time: Tensor) -> tuple[Tensor, Tensor]:
        """Return alpha and sigma of what the network is told, ``(b, 1, 1)`` each."""
        if isinstance(self.schedule, EDMSchedule):
            s = self.schedule.smallest * torch.exp(time * (math.log(self.schedule.largest / self.schedule.smallest) / 1000))
            alpha = 1 / torch.sqrt(1 + s**2)
            sigma = s * alpha
        else:
            alpha_bar = torch.from_numpy(self.schedule.alpha_bar).to(time.device)[time.long()]
            alpha, sigma = alpha_bar.sqrt().float(), (1 - alpha_bar).sqrt().float()
        return alpha[:, None, None], sigma[:, None, None]

    def forward(self, x: Tensor, time: Tensor, label: Tensor) -> Tensor:
        """Map records, noise levels and classes to the velocity."""
        alpha, sigma = self.levels(time)
        total = alpha**2 * self.variance + sigma**2
        coefficients = spectrum(self.directions @ x.float())
        linear = self.variance / total
        seen = linear / (self.variance * linear)[..., :-1].mean(dim=(1, 2), keepdim=True).sqrt()
        correction = self.network(signal(coefficients * seen), time, label).float()
        velocity = alpha * sigma * (1 - self.variance) / total * coefficients - linear.sqrt() * spectrum(correction)
        return self.directions.T @ signal(velocity)
