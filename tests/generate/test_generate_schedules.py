"""Noise schedules against their definitions, diffusers' tables, and what they must refuse."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from ecgpipe.generate.schedules import (
    DiscreteSchedule,
    EDMSchedule,
    Schedule,
    ScheduleError,
    check_terminal_snr,
    cosine_alpha_bar,
    linear_alpha_bar,
    rescale_to_zero_terminal_snr,
)

SCHEDULES: dict[str, Schedule] = {
    "linear": DiscreteSchedule(linear_alpha_bar(1000, 1e-4, 0.02)),
    "cosine": DiscreteSchedule(cosine_alpha_bar(1000)),
    "zero": DiscreteSchedule(rescale_to_zero_terminal_snr(linear_alpha_bar(1000, 1e-4, 1e-2))),
    "edm": EDMSchedule(),
}


def test_alpha_bar_is_that_of_diffusers() -> None:
    diffusers = pytest.importorskip("diffusers")
    linear = diffusers.DDPMScheduler(200, beta_start=1e-4, beta_end=0.02)
    cosine = diffusers.DDPMScheduler(1000, beta_schedule="squaredcos_cap_v2")
    zero = diffusers.DDIMScheduler(1000, beta_start=1e-4, beta_end=1e-2, rescale_betas_zero_snr=True)
    np.testing.assert_allclose(linear_alpha_bar(200, 1e-4, 0.02), linear.alphas_cumprod.numpy(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(cosine_alpha_bar(1000), cosine.alphas_cumprod.numpy(), rtol=1e-5, atol=1e-6)
    ours = rescale_to_zero_terminal_snr(linear_alpha_bar(1000, 1e-4, 1e-2))
    np.testing.assert_allclose(ours, zero.alphas_cumprod.numpy(), atol=1e-5)
    assert ours[-1] == 0


@pytest.mark.parametrize("name", SCHEDULES)
def test_levels_preserve_variance_and_stay_within_the_grid(name: str) -> None:
    schedule = SCHEDULES[name]
    time, alpha, sigma = schedule.levels(torch.linspace(0, 1, 1001)[:-1])
    torch.testing.assert_close(alpha**2 + sigma**2, torch.ones(1000), atol=1e-5, rtol=0)
    assert float(time.min()) >= 0
    assert float(time.max()) <= 1000
    ratio = (alpha / sigma).log()
    assert (ratio.diff() * ratio.diff()[0] >= 0).all(), "levels go one way"


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("evaluations", [1, 2, 7, 20])
def test_grid_starts_at_the_noisiest_level_and_ends_clean(name: str, evaluations: int) -> None:
    schedule = SCHEDULES[name]
    grid = schedule.grid(evaluations)
    assert len(grid.time) == evaluations
    assert grid.time[0] == pytest.approx(1000 if name == "edm" else 999)
    assert (grid.alpha[-1], grid.sigma[-1]) == (1, 0)
    assert (np.diff(grid.alpha) > 0).all()
    np.testing.assert_allclose(grid.alpha**2 + grid.sigma**2, 1)


def test_grid_says_how_many_evaluations_there_can_be() -> None:
    with pytest.raises(ValueError, match=r"`evaluations` is 51.*50 diffusion steps"):
        DiscreteSchedule(cosine_alpha_bar(50)).grid(51)


def test_edm_levels_are_log_normal_and_v_prediction_is_its_preconditioning() -> None:
    schedule = EDMSchedule(p_mean=-1.0, p_std=0.5)
    _, alpha, sigma = schedule.levels((torch.arange(20000) + 0.5) / 20000)
    log_s = (sigma / alpha).log().double()
    assert float(log_s.mean()) == pytest.approx(-1.0, abs=1e-3)
    assert float(log_s.std()) == pytest.approx(0.5, abs=1e-2)
    # Table 1 of arXiv 2206.00364 at sigma_data = 1, for x = x_0 + s noise and the network's input x / sqrt(1 + s^2).
    s = sigma / alpha
    torch.testing.assert_close(alpha, 1 / torch.sqrt(1 + s**2))  # c_in, and c_skip = c_in * alpha
    torch.testing.assert_close(sigma, s / torch.sqrt(1 + s**2))  # -c_out of v
    grid = schedule.grid(18)
    assert grid.sigma[0] / grid.alpha[0] == pytest.approx(80)
    assert grid.sigma[-2] / grid.alpha[-2] == pytest.approx(0.002)


@pytest.mark.parametrize(("steps", "last", "deviation"), [(50, 0.05, 1.0), (50, 0.05, 0.2), (200, 0.02, 1.0)])
def test_a_schedule_that_ends_too_early_is_refused(steps: int, last: float, deviation: float) -> None:
    alpha_bar = linear_alpha_bar(steps, 1e-4, last)
    with pytest.raises(
        ScheduleError, match=rf"sqrt\(alpha_bar_T\) = {math.sqrt(alpha_bar[-1]):.3f}.*cosine.*zero_terminal_snr"
    ):
        check_terminal_snr(DiscreteSchedule(alpha_bar), deviation)


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule_that_ends_in_noise_is_taken(name: str) -> None:
    check_terminal_snr(SCHEDULES[name], 1.0)


def test_a_small_deviation_brings_a_short_schedule_to_noise() -> None:
    check_terminal_snr(DiscreteSchedule(linear_alpha_bar(200, 1e-4, 0.02)), 0.2)
