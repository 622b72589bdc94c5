"""Noise schedules: how much signal and how much noise a record holds at each level.

Every schedule is variance preserving, x_t = alpha x_0 + sigma noise with alpha^2 + sigma^2 = 1, so that one sampler and
one loss serve all. The noise-to-signal deviation of the EDM literature is sigma / alpha.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

TERMINAL_LIMIT = 0.1
"""Largest deviation of the signal, relative to that of the noise, at a schedule's last level. Above it training never
shows the network what sampling starts from, and "the loss converged but the samples are noise"."""


class ScheduleError(ValueError):
    """A schedule that cannot work for the data's scale."""


class Levels(NamedTuple):
    """Noise levels of a batch, each ``(b,)`` float32: what the network is told, and the weights of signal and noise."""

    time: torch.Tensor
    alpha: torch.Tensor
    sigma: torch.Tensor


@dataclass(frozen=True)
class Grid:
    """The levels a sampler visits, noisiest first."""

    time: np.ndarray
    """What the network is told, ``(n,)``, one an evaluation."""
    alpha: np.ndarray
    """Weight of the signal, ``(n + 1,)``; the last is 1, the finished record."""
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
    """Shift and scale sqrt(alpha_bar) so that nothing of the signal is left at the last step (arXiv 2305.08891, alg. 1)."""
    root = np.sqrt(alpha_bar)
    root = (root - root[-1]) * root[0] / (root[0] - root[-1])
    return np.asarray(root**2)


@dataclass(frozen=True)
class DiscreteSchedule:
    """Steps 0 ... T-1 with a given alpha_bar; the network is told the step."""

    alpha_bar: np.ndarray

    def levels(self, uniform: torch.Tensor) -> Levels:
        """Map numbers in [0, 1), ``(b,)``, to the noise levels a network is trained on: evenly drawn steps."""
        steps = len(self.alpha_bar)
        step = (uniform * steps).long().clamp_(max=steps - 1)
        alpha_bar = torch.from_numpy(self.alpha_bar).to(uniform.device)[step]
        return Levels(step.float(), alpha_bar.sqrt().float(), (1 - alpha_bar).sqrt().float())

    def grid(self, evaluations: int) -> Grid:
        """Return the levels of a sampler of so many evaluations: evenly spaced steps that start exactly at T-1.

        Raises:
            ValueError: if there are fewer steps than evaluations.
        """
        steps = len(self.alpha_bar)
        if evaluations > steps:
            raise ValueError(
                f"`evaluations` is {evaluations}, but the model was trained with {steps} diffusion steps; choose at most {steps}"
            )
        time = np.round(steps - np.arange(evaluations) * (steps / evaluations)).astype(np.int64) - 1
        alpha_bar = np.append(self.alpha_bar[time], 1.0)
        return Grid(time.astype(np.float64), np.sqrt(alpha_bar), np.sqrt(1 - alpha_bar))


@dataclass(frozen=True)
class EDMSchedule:
    """Continuous levels of EDM (arXiv 2206.00364) for data of deviation 1; s = sigma / alpha is the noise deviation.

    Trained on ln s ~ N(log_mean, log_deviation^2), sampled through the grid of eq. 5 with rho = 7. With v-prediction this
    is EDM's preconditioning and loss weight exactly: c_skip, c_out and c_in of its table 1 are those of v for data of
    deviation 1. The network is told ln s, brought to 0 ... 1000.
    """

    log_mean: float = -1.2
    log_deviation: float = 1.2
    smallest: float = 0.002
    largest: float = 80.0
    rho: float = 7.0

    def _at(self, s: torch.Tensor) -> Levels:
        span = math.log(self.largest / self.smallest)
        alpha = 1 / torch.sqrt(1 + s**2)
        return Levels(((s / self.smallest).log() * (1000 / span)).float(), alpha.float(), (s * alpha).float())

    def levels(self, uniform: torch.Tensor) -> Levels:
        """Map numbers in [0, 1), ``(b,)``, to the noise levels a network is trained on: log-normal deviations."""
        normal = torch.special.ndtri(uniform.double().clamp(1e-6, 1 - 1e-6))
        return self._at((self.log_mean + self.log_deviation * normal).exp().clamp(self.smallest, self.largest))

    def grid(self, evaluations: int) -> Grid:
        """Return the levels of a sampler of so many evaluations: EDM's eq. 5, from ``largest`` to ``smallest``."""
        ramp = np.linspace(0, 1, evaluations)
        first, last = self.largest ** (1 / self.rho), self.smallest ** (1 / self.rho)
        s = torch.from_numpy((first + ramp * (last - first)) ** self.rho)
        alpha = (1 / torch.sqrt(1 + s**2)).numpy()
        sigma = s.numpy() * alpha
        return Grid(self._at(s).time.double().numpy(), np.append(alpha, 1.0), np.append(sigma, 0.0))


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
            f"the noise schedule ends too early: sqrt(alpha_bar_T) = {alpha:.3f}, so signals of deviation {data_deviation:g} still have {ratio:.2f} times"
            f" the noise's deviation at the last step (at most {TERMINAL_LIMIT:g}), and samples would start from what the network never saw; use"
            " `schedule: cosine`, or `zero_terminal_snr: true` with `prediction: v`, or more `diffusion_steps`, or a smaller `data_deviation`"
        )
