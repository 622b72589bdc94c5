"""Noise schedules: how much signal and how much noise a record holds at each level.

Every schedule is variance preserving, x_t = alpha x_0 + sigma noise with alpha^2 + sigma^2 = 1, so that one sampler and
one loss serve all. EDM and k-diffusion call sigma what is sigma / alpha here, the noise level relative to the signal.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

TERMINAL_LIMIT = 0.1
"""Largest deviation of the signal, relative to that of the noise, at a schedule's last level. Above it, training never
shows the network what sampling starts from: "the loss converged but the samples are noise"."""


class ScheduleError(ValueError):
    """A schedule that cannot work for the data's scale."""


class NoiseLevels(NamedTuple):
    """Noise levels of a batch, each ``(b,)`` float32: the network's timestep, and the weights of signal and noise."""

    time: torch.Tensor
    alpha: torch.Tensor
    sigma: torch.Tensor


@dataclass(frozen=True)
class Grid:
    """The levels a sampler visits, noisiest first."""

    time: np.ndarray
    """The network's timestep, ``(n,)``, one an evaluation."""
    alpha: np.ndarray
    """Weight of the signal, ``(n + 1,)``; the last is 1, the clean record."""
    sigma: np.ndarray
    """Weight of the noise, ``(n + 1,)``; the last is 0."""


def linear_alpha_bar(steps: int, beta_start: float, beta_end: float) -> np.ndarray:
    """Return the cumulative product of 1 - beta for evenly spaced betas, ``(steps,)`` (DDPM, arXiv 2006.11239)."""
    return np.cumprod(1.0 - np.linspace(beta_start, beta_end, steps))


def cosine_alpha_bar(steps: int, offset: float = 0.008, largest_beta: float = 0.999) -> np.ndarray:
    """Return the cosine schedule's alpha_bar, ``(steps,)`` (Improved DDPM, arXiv 2102.09672, eq. 17)."""
    edges = np.cos((np.arange(steps + 1) / steps + offset) / (1 + offset) * math.pi / 2) ** 2
    return np.cumprod(1.0 - np.minimum(1.0 - edges[1:] / edges[:-1], largest_beta))


def rescale_to_zero_terminal_snr(alpha_bar: np.ndarray) -> np.ndarray:
    """Shift and scale sqrt(alpha_bar) so that no signal is left at the last step (arXiv 2305.08891, alg. 1)."""
    root = np.sqrt(alpha_bar)
    root = (root - root[-1]) * root[0] / (root[0] - root[-1])
    return np.asarray(root**2)


@dataclass(frozen=True)
class DiscreteSchedule:
    """Diffusion steps 0 ... T-1 with a given alpha_bar; the network's timestep is the step."""

    alpha_bar: np.ndarray

    def alpha_sigma(self, time: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the weights of signal and noise at timesteps ``(b,)``, ``(b,)`` float32 each."""
        alpha_bar = torch.from_numpy(self.alpha_bar).to(time.device)[time.long()]
        return alpha_bar.sqrt().float(), (1 - alpha_bar).sqrt().float()

    def levels(self, uniform: torch.Tensor) -> NoiseLevels:
        """Map numbers in [0, 1), ``(b,)``, to the noise levels of a training batch: steps drawn evenly."""
        steps = len(self.alpha_bar)
        step = (uniform * steps).long().clamp_(max=steps - 1)
        return NoiseLevels(step.float(), *self.alpha_sigma(step))

    def grid(self, evaluations: int) -> Grid:
        """Return the levels of a sampler of so many evaluations: "trailing" spacing, which starts exactly at T-1.

        Raises:
            ValueError: if there are fewer steps than evaluations.
        """
        steps = len(self.alpha_bar)
        if evaluations > steps:
            raise ValueError(
                f"`evaluations` is {evaluations}, but the model was trained with {steps} diffusion steps;"
                f" choose at most {steps}"
            )
        time = np.round(steps - np.arange(evaluations) * (steps / evaluations)).astype(np.int64) - 1
        alpha_bar = np.append(self.alpha_bar[time], 1.0)
        return Grid(time.astype(np.float64), np.sqrt(alpha_bar), np.sqrt(1 - alpha_bar))


def variance_preserving(s: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the weights of signal and noise, alpha and sigma, where EDM's noise level is s = sigma / alpha."""
    alpha = 1 / torch.sqrt(1 + s**2)
    return alpha, s * alpha


@dataclass(frozen=True)
class EDMSchedule:
    """Continuous noise levels of EDM (Karras et al., arXiv 2206.00364) for data of deviation 1.

    EDM's noise level s = sigma / alpha is trained on ln s ~ N(p_mean, p_std^2) and sampled through the grid of eq. 5,
    from ``sigma_max`` to ``sigma_min`` with rho = 7. With v-prediction this is EDM's preconditioning and loss weight
    exactly: c_skip, c_out and c_in of its table 1 are those of v for data of deviation 1. The network's timestep is
    ln s, mapped to 0 ... 1000.
    """

    p_mean: float = -1.2
    p_std: float = 1.2
    sigma_min: float = 0.002
    sigma_max: float = 80.0
    rho: float = 7.0

    @property
    def _log_range(self) -> float:
        return math.log(self.sigma_max / self.sigma_min)

    def _time(self, s: torch.Tensor) -> torch.Tensor:
        return ((s / self.sigma_min).log() * (1000 / self._log_range)).float()

    def alpha_sigma(self, time: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the weights of signal and noise at timesteps ``(b,)``, ``(b,)`` float32 each."""
        return variance_preserving(self.sigma_min * torch.exp(time * (self._log_range / 1000)))

    def levels(self, uniform: torch.Tensor) -> NoiseLevels:
        """Map numbers in [0, 1), ``(b,)``, to the noise levels of a training batch: s is log-normal."""
        normal = torch.special.ndtri(uniform.double().clamp(1e-6, 1 - 1e-6))
        s = (self.p_mean + self.p_std * normal).exp().clamp(self.sigma_min, self.sigma_max)
        alpha, sigma = variance_preserving(s)
        return NoiseLevels(self._time(s), alpha.float(), sigma.float())

    def grid(self, evaluations: int) -> Grid:
        """Return the levels of a sampler of so many evaluations: EDM's eq. 5 (k-diffusion's ``get_sigmas_karras``)."""
        ramp = np.linspace(0, 1, evaluations)
        first, last = self.sigma_max ** (1 / self.rho), self.sigma_min ** (1 / self.rho)
        s = torch.from_numpy((first + ramp * (last - first)) ** self.rho)
        alpha, sigma = variance_preserving(s)
        return Grid(self._time(s).double().numpy(), np.append(alpha.numpy(), 1.0), np.append(sigma.numpy(), 0.0))


Schedule = DiscreteSchedule | EDMSchedule
"""Noise levels to train on (``levels``) and to sample through (``grid``)."""


def check_terminal_snr(schedule: Schedule, data_deviation: float) -> None:
    """Refuse a schedule whose last level still shows the signal.

    Args:
        schedule: of training and sampling.
        data_deviation: standard deviation of the scaled signals the network sees.

    Raises:
        ScheduleError: if signal over noise at the last level is above :data:`TERMINAL_LIMIT`.
    """
    last = schedule.grid(1)
    alpha, sigma = float(last.alpha[0]), float(last.sigma[0])
    ratio = alpha * data_deviation / sigma
    if ratio > TERMINAL_LIMIT:
        raise ScheduleError(
            f"the noise schedule ends too early: sqrt(alpha_bar_T) = {alpha:.3f}, so signals of deviation"
            f" {data_deviation:g} still have {ratio:.2f} times the noise's deviation at the last step (at most"
            f" {TERMINAL_LIMIT:g}), and samples would start from what the network never saw; use `schedule: cosine`, or"
            " `zero_terminal_snr: true` with `prediction: v`, or more `diffusion_steps`, or a smaller `data_deviation`"
        )
