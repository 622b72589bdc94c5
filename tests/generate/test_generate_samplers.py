"""Samplers on Gaussians, whose denoiser is known, against each other and against diffusers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from ecgpipe.generate.guidance import classifier_free_guidance
from ecgpipe.generate.samplers import Denoiser, RecordNoise, Sampler, run_sampler
from ecgpipe.generate.schedules import (
    DiscreteSchedule,
    EDMSchedule,
    Grid,
    Schedule,
    cosine_alpha_bar,
    linear_alpha_bar,
    rescale_to_zero_terminal_snr,
)

MEAN, DEVIATION = 0.7, 0.4
SCHEDULES: dict[str, Schedule] = {
    "linear": DiscreteSchedule(linear_alpha_bar(1000, 1e-4, 0.02)),
    "cosine": DiscreteSchedule(cosine_alpha_bar(1000)),
    "zero": DiscreteSchedule(rescale_to_zero_terminal_snr(linear_alpha_bar(1000, 1e-4, 1e-2))),
    "edm": EDMSchedule(),
}


def gaussian(grid: Grid) -> Denoiser:
    """The exact E[x_0 | x] for x_0 ~ N(MEAN, DEVIATION^2)."""

    def denoise(x: torch.Tensor, i: int) -> torch.Tensor:
        alpha, sigma = float(grid.alpha[i]), float(grid.sigma[i])
        gain = alpha * DEVIATION**2 / (alpha**2 * DEVIATION**2 + sigma**2)
        return MEAN + gain * (x - alpha * MEAN)

    return denoise


def normals(shape: tuple[int, ...], seed: int = 0) -> Callable[[], torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return lambda: torch.randn(shape, generator=generator)


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize(
    ("sampler", "evaluations", "tolerance"), [("ddim", 250, 0.01), ("dpmpp_2m", 50, 0.01), ("ancestral", 500, 0.01)]
)
def test_samples_have_mean_and_deviation_of_the_gaussian(
    name: str, sampler: Sampler, evaluations: int, tolerance: float
) -> None:
    grid = SCHEDULES[name].grid(evaluations)
    x = run_sampler(gaussian(grid), grid, normals((20000,)), sampler)
    assert float(x.mean()) == pytest.approx(MEAN, abs=tolerance)
    assert float(x.std()) == pytest.approx(DEVIATION, abs=tolerance)


@pytest.mark.parametrize("name", SCHEDULES)
def test_deterministic_samplers_agree_as_steps_grow(name: str) -> None:
    def at(sampler: Sampler, evaluations: int) -> torch.Tensor:
        grid = SCHEDULES[name].grid(evaluations)
        return run_sampler(gaussian(grid), grid, normals((500,)), sampler)

    apart = [float((at("ddim", n) - at("dpmpp_2m", n)).abs().max()) for n in (40, 160, 640)]
    assert apart[0] > 2 * apart[1] > 4 * apart[2], "a method of first order halves its error with twice the steps"
    assert apart[2] < 0.02


@pytest.mark.parametrize("name", ["cosine", "edm"])
def test_second_order_is_more_exact_than_first_at_equal_evaluations(name: str) -> None:
    fine = SCHEDULES[name].grid(1000)
    exact = run_sampler(gaussian(fine), fine, normals((500,)), "ddim")
    grid = SCHEDULES[name].grid(20)
    error = {
        s: float((run_sampler(gaussian(grid), grid, normals((500,)), s) - exact).abs().max())
        for s in ("ddim", "dpmpp_2m")
    }  # type: ignore[arg-type]
    assert error["dpmpp_2m"] < error["ddim"] / 2


# -- against diffusers, on the same noise and a denoiser that is not linear ------------------------------------------


def _network(x: torch.Tensor, t: float) -> torch.Tensor:
    return torch.tanh(x * (1.2 - t / 2000)) * 0.9 + 0.05 * torch.sin(3 * x)


def _ours(alpha_bar: np.ndarray, evaluations: int, sampler: Sampler, prediction: str) -> torch.Tensor:
    grid = DiscreteSchedule(alpha_bar).grid(evaluations)

    def denoise(x: torch.Tensor, i: int) -> torch.Tensor:
        predicted, alpha, sigma = _network(x, float(grid.time[i])), float(grid.alpha[i]), float(grid.sigma[i])
        return alpha * x - sigma * predicted if prediction == "v_prediction" else (x - sigma * predicted) / alpha

    return run_sampler(denoise, grid, normals((4, 8, 16)), sampler)


def _theirs(scheduler: object, evaluations: int, generator: bool = False) -> torch.Tensor:
    scheduler.set_timesteps(evaluations)  # type: ignore[attr-defined]
    noise = torch.Generator().manual_seed(0)
    x = torch.randn((4, 8, 16), generator=noise)
    more = {"generator": noise} if generator else {}
    for t in scheduler.timesteps:  # type: ignore[attr-defined]
        x = scheduler.step(_network(x, float(t)), t, x, **more).prev_sample  # type: ignore[attr-defined]
    return x


COMMON = {"num_train_timesteps": 1000, "beta_start": 1e-4, "beta_end": 0.02, "timestep_spacing": "trailing"}


@pytest.mark.parametrize("prediction", ["v_prediction", "epsilon"])
@pytest.mark.parametrize("evaluations", [1, 5, 20, 50])
def test_ddim_is_that_of_diffusers(prediction: str, evaluations: int) -> None:
    diffusers = pytest.importorskip("diffusers")
    scheduler = diffusers.DDIMScheduler(**COMMON, clip_sample=False, prediction_type=prediction)
    # Its own table is a product of a thousand float32, whose rounding noise prediction magnifies; ours is tested
    # against it elsewhere.
    scheduler.alphas_cumprod = torch.from_numpy(linear_alpha_bar(1000, 1e-4, 0.02)).float()
    theirs = _theirs(scheduler, evaluations)
    ours = _ours(linear_alpha_bar(1000, 1e-4, 0.02), evaluations, "ddim", prediction)
    assert float((ours - theirs).abs().max() / theirs.abs().max()) < 1e-5


@pytest.mark.parametrize("evaluations", [2, 5, 20, 50])
def test_dpm_solver_is_that_of_diffusers(evaluations: int) -> None:
    diffusers = pytest.importorskip("diffusers")
    scheduler = diffusers.DPMSolverMultistepScheduler(
        **COMMON, solver_order=2, prediction_type="v_prediction", final_sigmas_type="zero"
    )
    ours = _ours(linear_alpha_bar(1000, 1e-4, 0.02), evaluations, "dpmpp_2m", "v_prediction")
    torch.testing.assert_close(ours, _theirs(scheduler, evaluations), atol=1e-5, rtol=1e-5)


def test_ancestral_sampling_at_all_steps_is_ddpm_of_diffusers() -> None:
    diffusers = pytest.importorskip("diffusers")
    settings = {**COMMON, "num_train_timesteps": 100, "beta_end": 0.2}
    scheduler = diffusers.DDPMScheduler(
        **settings, variance_type="fixed_small", clip_sample=False, prediction_type="v_prediction"
    )
    ours = _ours(linear_alpha_bar(100, 1e-4, 0.2), 100, "ancestral", "v_prediction")
    torch.testing.assert_close(ours, _theirs(scheduler, 100, generator=True), atol=1e-5, rtol=1e-5)


# -- noise and guidance ---------------------------------------------------------------------------------------------


def test_a_records_noise_depends_on_its_seed_alone() -> None:
    together = RecordNoise(np.array([5, 6, 7]), (3, 4), "cpu")
    alone = RecordNoise(np.array([6]), (3, 4), "cpu")
    for _ in range(3):
        torch.testing.assert_close(together()[1:2], alone(), atol=0, rtol=0)
    many = RecordNoise(np.arange(200), (100,), "cpu")()
    assert float(many.std()) == pytest.approx(1, abs=0.02)
    assert float((many[:-1] * many[1:]).mean()) == pytest.approx(0, abs=0.03)


def test_guidance_one_is_the_conditional_and_one_pass() -> None:
    def refuse() -> torch.Tensor:
        raise AssertionError("the unconditional pass is not needed")

    conditional, unconditional = torch.randn(5), torch.randn(5)
    assert classifier_free_guidance(lambda: conditional, refuse, 1.0) is conditional
    torch.testing.assert_close(classifier_free_guidance(lambda: conditional, lambda: unconditional, 0.0), unconditional)
    torch.testing.assert_close(
        classifier_free_guidance(lambda: conditional, lambda: unconditional, 3.0),
        unconditional + 3 * (conditional - unconditional),
    )


@pytest.mark.parametrize("sampler", ["dpmpp_2m", "ddim", "ancestral"])
def test_a_start_as_wide_as_the_data_keeps_the_variance_at_any_highest_level(sampler: Sampler) -> None:
    """Of data of deviation 3, a white start at sigma / alpha = 10 loses a tenth of the noisy records' variance."""
    grid = EDMSchedule(sigma_max=10.0).grid(200)
    wide, alpha, sigma = 3.0, float(grid.alpha[0]), float(grid.sigma[0])

    def denoise(x: torch.Tensor, i: int) -> torch.Tensor:
        a, s = float(grid.alpha[i]), float(grid.sigma[i])
        return a * wide**2 / (a**2 * wide**2 + s**2) * x

    def start(noise: torch.Tensor) -> torch.Tensor:
        return noise * (alpha**2 * wide**2 + sigma**2) ** 0.5

    drawn = run_sampler(denoise, grid, normals((40000,)), sampler, start)
    assert float(drawn.std()) == pytest.approx(wide, rel=0.02)
    if sampler != "ancestral":
        assert float(run_sampler(denoise, grid, normals((40000,)), sampler).std()) < 0.97 * wide
