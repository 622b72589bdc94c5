"""Samplers: from noise to a record, for every diffusion model, given its denoiser.

A denoiser D(x, level) returns the expected clean record. In the variance-preserving form x = alpha x_0 + sigma noise of
:mod:`ecgpipe.generate.schedules`, with lambda = log(alpha / sigma) and a step from (alpha, sigma) to (alpha', sigma'):

* ``ddim`` (arXiv 2010.02502, eta = 0; Euler's method): x' = (sigma'/sigma) x + (alpha' - alpha sigma'/sigma) D.
* ``dpmpp_2m`` (DPM-Solver++(2M), arXiv 2211.01095, alg. 2): the same with (1 + 1/2r) D - (1/2r) D_previous in place
  of D, r = h_previous / h, h = lambda' - lambda; the first and the last step are of first order.
* ``ancestral`` (DDPM, arXiv 2006.11239): a draw from q(x' | x, x_0 = D). With as many evaluations as the schedule has
  steps it is the faithful reference.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import numpy as np
import torch

from ecgpipe.generate.schedules import Grid

Sampler = Literal["dpmpp_2m", "ddim", "ancestral"]
Denoiser = Callable[[torch.Tensor, int], torch.Tensor]
"""D(x ``(n, ...)``, place in the grid) -> expected clean records ``(n, ...)``."""


class RecordNoise:
    """Standard normal noise with a random stream for each record.

    A record's noise depends on its seed alone, not on the records drawn beside it nor on the device.
    """

    def __init__(self, seeds: np.ndarray, shape: tuple[int, ...], device: str | torch.device) -> None:
        """Take one seed a record ``(n,)`` and the shape of a record."""
        self._streams = [np.random.default_rng(int(seed)) for seed in seeds]
        self._shape = shape
        self._device = device

    def __call__(self) -> torch.Tensor:
        """Return the next noise, ``(n, *shape)``, float32."""
        out = np.empty((len(self._streams), *self._shape), dtype=np.float32)
        for place, stream in enumerate(self._streams):
            stream.standard_normal(dtype=np.float32, out=out[place])
        return torch.from_numpy(out).to(self._device)


def _log_snr(grid: Grid) -> list[float]:
    """Return lambda = log(alpha / sigma) for each level; -inf and +inf at the ends where they are reached."""
    with np.errstate(divide="ignore"):
        return [float(v) for v in np.log(grid.alpha) - np.log(grid.sigma)]


def _second_order(clean: torch.Tensor, previous: torch.Tensor | None, log_snr: list[float], i: int) -> torch.Tensor:
    """Extrapolate the denoised record over a step from level ``i``, where three levels allow it."""
    if previous is None or math.isinf(log_snr[i + 1]) or math.isinf(log_snr[i - 1]):
        return clean
    half_over_r = 0.5 * (log_snr[i + 1] - log_snr[i]) / (log_snr[i] - log_snr[i - 1])
    return torch.lerp(previous, clean, 1 + half_over_r)


@torch.no_grad()
def run_sampler(
    denoise: Denoiser,
    grid: Grid,
    noise: Callable[[], torch.Tensor],
    sampler: Sampler,
    start: Callable[[torch.Tensor], torch.Tensor] | None = None,
) -> torch.Tensor:
    """Draw records by denoising through a grid of noise levels.

    Args:
        denoise: the model's denoiser.
        grid: levels, noisiest first.
        noise: returns standard normal ``(n, ...)``; called once at the start, and by ``ancestral`` once a step.
        sampler: see the module.
        start: makes of the first noise what sampling starts from; None: the noise itself.

    Returns:
        Records ``(n, ...)``.
    """
    x = noise() if start is None else start(noise())
    log_snr = _log_snr(grid)
    previous: torch.Tensor | None = None
    for i in range(len(grid.time)):
        clean = denoise(x, i)
        alpha, sigma, alpha_next, sigma_next = (
            float(v) for v in (grid.alpha[i], grid.sigma[i], grid.alpha[i + 1], grid.sigma[i + 1])
        )
        if sampler == "ancestral":
            # Variance of q(x' | x, x_0); what is left of sigma' is taken along the noise that x already holds.
            variance = (sigma_next / sigma) ** 2 * (1 - (alpha / alpha_next) ** 2)
            along = math.sqrt(max(sigma_next**2 - variance, 0.0)) / sigma
            x = along * x + (alpha_next - alpha * along) * clean
            if sigma_next > 0:
                x = x + math.sqrt(variance) * noise()
            continue
        target = clean
        if sampler == "dpmpp_2m":
            target = _second_order(clean, previous, log_snr, i)
            previous = clean
        x = (sigma_next / sigma) * x + (alpha_next - alpha * sigma_next / sigma) * target
    return x
