"""Time-Diffusion: conditions, lengths, preconditioning, training that resumes, sampling, files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.fft
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from ecgpipe.dataset import Dataset
from ecgpipe.generate.layers import patchify, unpatchify
from ecgpipe.generate.preconditioning import (
    SpectralPreconditioning,
    Spectrum,
    estimate_class_spectra,
    estimate_spectrum,
    mirrored_irfft,
    mirrored_rfft,
    white_spectrum,
)
from ecgpipe.generate.protocol import Signals
from ecgpipe.generate.schedules import DiscreteSchedule, EDMSchedule, cosine_alpha_bar
from ecgpipe.generate.time_diffusion import TimeDiffusion, TimeDiffusionSettings, UNet

TINY: dict[str, Any] = {
    "draft": "none",
    "patch": 4,
    "widths": (32, 32),
    "attention_levels": 1,
    "embedding": 16,
    "steps": 8,
    "batch": 6,
    "warmup": 2,
    "validate_every": 4,
}
DRAW = TimeDiffusion.SampleSettings(evaluations=3)


def settings(**changes: Any) -> TimeDiffusionSettings:
    return TimeDiffusionSettings.model_validate({**TINY, **changes})


def unet(**changes: Any) -> UNet:
    """A U-Net whose zero-initialised layers are drawn at random, so that there is something to see."""
    torch.manual_seed(0)
    out = UNet(8, 3, settings(**changes))
    for parameter in out.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.1)
    return out


def fitted(sines: Dataset, state_dir: Path, **changes: Any) -> TimeDiffusion:
    out = TimeDiffusion(settings(**changes), sines.spec)
    train, validation = Signals.of(sines, "train"), Signals.of(sines, "validation")
    out.fit(train, validation, seed=3, state_dir=state_dir, device="cpu", progress=False)
    return out


@pytest.fixture(scope="module")
def trained(sines: Dataset, tmp_path_factory: pytest.TempPathFactory) -> TimeDiffusion:
    return fitted(sines, tmp_path_factory.mktemp("state"))


def draw(generator: TimeDiffusion, places: slice = slice(None), **changes: Any) -> np.ndarray:
    labels, seeds = np.array([0, 1, 2, 1, 0]), np.arange(5) + 9
    chosen = DRAW.model_copy(update=changes)
    return generator.sample(labels[places], settings=chosen, seeds=seeds[places], device="cpu")


def test_an_untrained_network_predicts_nothing() -> None:
    network = UNet(8, 3, settings())
    assert not network(torch.randn(2, 8, 64), torch.tensor([1.0, 900.0]), torch.tensor([0, 3])).any()


@pytest.mark.parametrize("number", [1, 2])
def test_every_block_is_told_noise_level_and_class(number: int) -> None:
    network = unet(blocks=number)
    x = torch.randn(1, 8, 64)
    time, label = torch.tensor([100.0]), torch.tensor([1])
    seen: dict[str, Tensor] = {}
    blocks = {name: m for name, m in network.named_modules() if hasattr(m, "film")}
    assert len(blocks) == 5 * number  # one level down, three times as many in the deepest, one level up
    for name, block in blocks.items():
        block.film.register_forward_hook(lambda _m, _i, out, name=name: seen.update({name: out}))
    one = network(x, time, label)
    first = dict(seen)
    for other in (network(x, time + 50, label), network(x, time, label + 1)):
        assert (other - one).abs().max() > 1e-3
        assert all((seen[name] - first[name]).abs().max() > 1e-4 for name in blocks)


@pytest.mark.parametrize("length", [1, 7, 64, 65])
@pytest.mark.parametrize("levels", [1, 3])
def test_any_length_goes_through_and_padding_is_not_seen(length: int, levels: int) -> None:
    network = unet(widths=(32,) * levels)
    x = torch.randn(2, 8, length)
    time, label = torch.tensor([3.0, 400.0]), torch.tensor([0, 2])
    out = network(x, time, label)
    assert out.shape == x.shape
    whole = torch.nn.functional.pad(x, (0, -length % network.multiple))
    torch.testing.assert_close(network(whole, time, label)[..., :length], out)


def test_patches_keep_order_of_samples_and_leads() -> None:
    network = unet(widths=(32,), attention_levels=0)
    x = torch.randn(1, 8, 16, requires_grad=True)
    network.stem(patchify(x, 4, 4))[0, 0, 0, 2].backward()
    assert x.grad is not None
    assert x.grad[..., 8:12].all()
    assert not x.grad[..., :8].any()
    assert not x.grad[..., 12:].any()
    assert torch.equal(unpatchify(patchify(x[..., :14], 4, 8), 4, 14), x[..., :14])


def test_class_channels_show_the_class_without_the_blocks() -> None:
    network = unet(class_channels=6)
    nn.init.zeros_(network.label[3].weight)
    x, time = torch.randn(1, 8, 64), torch.tensor([5.0])
    assert not torch.allclose(network(x, time, torch.tensor([0])), network(x, time, torch.tensor([1])))


def test_spectrum_is_that_of_the_cosine_transform() -> None:
    x = torch.randn(3, 2, 50, dtype=torch.float64)
    torch.testing.assert_close(mirrored_irfft(mirrored_rfft(x)), x)
    cosine = scipy.fft.dct(x.numpy(), norm="ortho")
    power = mirrored_rfft(x).abs().square().numpy()[..., :-1] / (2 * 50)
    power[..., 0] /= 2
    assert np.allclose(power, cosine**2)


def test_measured_spectrum_of_known_records() -> None:
    generator = torch.Generator().manual_seed(0)
    white = torch.randn(2000, 2, 40, generator=generator, dtype=torch.float64)
    mix = torch.tensor([[0.8, -0.6], [0.6, 0.8]], dtype=torch.float64)
    known = torch.tensor([0.4, 1.6], dtype=torch.float64)
    x = torch.einsum("kc,bkn->bcn", mix, white * known.sqrt()[:, None])
    found = estimate_spectrum(x.split(300))
    assert torch.allclose((found.directions.double() @ mix.T).abs(), torch.eye(2, dtype=torch.float64), atol=0.03)
    assert torch.allclose(found.variance.double(), known[:, None].expand(2, 41), rtol=0.1)


def test_spectra_of_classes_are_shrunk_to_that_of_all() -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(3000) % 2
    size = torch.tensor([0.5, 1.5])[labels].sqrt()
    x = torch.randn(3000, 2, 40, generator=generator, dtype=torch.float64) * size[:, None, None]
    read = list(zip(x.split(300), labels.split(300), strict=True))
    one = estimate_spectrum(x.split(300))
    each = estimate_class_spectra(read, 3, 0.0)
    assert each.variance.shape == (4, 2, 41)
    torch.testing.assert_close(each.directions.abs(), one.directions.abs(), atol=1e-4, rtol=0)
    torch.testing.assert_close(each.variance[3], one.variance, atol=1e-5, rtol=0)
    torch.testing.assert_close(each.variance[2], one.variance, atol=1e-5, rtol=0)  # a class without records
    assert float(each.variance[0].mean()) == pytest.approx(0.5, abs=0.03)
    assert float(each.variance[1].mean()) == pytest.approx(1.5, abs=0.03)
    half = estimate_class_spectra(read, 3, 1500.0)
    torch.testing.assert_close(half.variance[:2], (each.variance[:2] + one.variance) / 2, atol=1e-4, rtol=0)


def test_a_preconditioned_network_filters_each_class_by_its_own_spectrum() -> None:
    torch.manual_seed(0)
    schedule, x = EDMSchedule(), torch.randn(2, 8, 50)
    variance = torch.stack([torch.full((8, 51), v) for v in (0.25, 4.0, 1.0)])
    wrapped = SpectralPreconditioning(Constant(torch.zeros(2, 8, 50)), Spectrum(torch.eye(8), variance), schedule)
    levels = schedule.levels(torch.tensor([0.5, 0.5]))
    velocity = wrapped(x, levels.time, torch.tensor([0, 1]))
    for row, own in enumerate((0.25, 4.0)):
        alpha, sigma = levels.alpha[row], levels.sigma[row]
        expected = alpha * own / (alpha**2 * own + sigma**2) * x[row]
        torch.testing.assert_close(alpha * x[row] - sigma * velocity[row], expected, atol=1e-5, rtol=1e-4)
    start = wrapped.start(torch.randn(2, 8, 50), torch.tensor([0, 1]), 0.6, 0.8)
    for row, own in enumerate((0.25, 4.0)):
        assert float(start[row].std()) == pytest.approx((0.36 * own + 0.64) ** 0.5, rel=0.12)


class Constant(nn.Module):
    """Gives the same correction whatever it sees."""

    def __init__(self, correction: Tensor) -> None:
        super().__init__()
        self.correction = correction

    def forward(self, x: Tensor, time: Tensor, label: Tensor) -> Tensor:
        self.seen = x
        return self.correction


@pytest.mark.parametrize("schedule", [EDMSchedule(), DiscreteSchedule(cosine_alpha_bar(100))])
def test_preconditioning_without_a_spectrum_is_that_of_edm(schedule: EDMSchedule | DiscreteSchedule) -> None:
    torch.manual_seed(0)
    x, correction = torch.randn(4, 8, 50), torch.randn(4, 8, 50)
    network = Constant(correction)
    levels = schedule.levels(torch.tensor([0.1, 0.4, 0.7, 0.95]))
    wrapped = SpectralPreconditioning(network, white_spectrum(8, 50), schedule)
    torch.testing.assert_close(wrapped(x, levels.time, torch.zeros(4).long()), -correction, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(network.seen, x, atol=1e-5, rtol=1e-4)


def test_preconditioned_network_gives_the_expected_record_of_gaussian_data() -> None:
    """With no correction it is the best estimate there is; the correction is in units of what is left to know."""
    torch.manual_seed(0)
    variance = 2 * torch.rand(2, 41, dtype=torch.float64).sort(descending=True).values + 0.01
    variance /= variance[:, :-1].mean()
    known = Spectrum(torch.eye(2), variance.float())
    schedule = EDMSchedule()
    levels = schedule.levels(torch.full((3000,), 0.8))
    alpha, sigma = levels.alpha[0].double(), levels.sigma[0].double()
    z = torch.randn(3000, 2, 40, dtype=torch.float64) * variance[:, :-1].sqrt()
    x0 = torch.from_numpy(scipy.fft.idct(z.numpy(), norm="ortho"))
    noise = torch.randn_like(x0)
    x = (alpha * x0 + sigma * noise).float()
    wrapped = SpectralPreconditioning(Constant(torch.zeros(3000, 2, 40)), known, schedule)
    velocity = wrapped(x, levels.time, torch.zeros(3000).long()).double()
    left = scipy.fft.dct((alpha * x.double() - sigma * velocity - x0).numpy(), norm="ortho").var(axis=0)
    s = variance[:, :-1].numpy()
    assert np.allclose(left, sigma.item() ** 2 * s / (alpha.item() ** 2 * s + sigma.item() ** 2), rtol=0.15)


def test_settings_refuse_what_cannot_be_built() -> None:
    for wrong, message in (
        ({"kernel": 4}, "odd"),
        ({"attention_levels": 3}, "only 2 levels"),
        ({"widths": (40,)}, "multiples of 32"),
        ({"snr_weighted": True}, "prediction: x0"),
        ({"prediction": "x0"}, "`spectral` is for"),
        ({"dim": 24}, "dim"),
    ):
        with pytest.raises(ValidationError, match=message):
            settings(**wrong)


def test_presets_have_the_sizes_of_their_sources() -> None:
    def parameters(preset: str, *, told: bool) -> float:
        chosen = TimeDiffusionSettings.model_validate({"preset": preset})
        with torch.device("meta"):
            network = UNet(12 if chosen.leads == "all12" else 8, 7, chosen)
        conditions = ("time", "label", "film")
        return sum(p.numel() for n, p in network.named_parameters() if told or not set(n.split(".")) & {*conditions})

    # The authors' network, diffusers' UNet1DModel with these widths, has 10.396 million and is not told what ours is.
    assert parameters("paper", told=False) == pytest.approx(10.4e6, rel=0.02)
    assert parameters("full", told=True) == pytest.approx(15e6, rel=0.1)
    assert parameters("small", told=True) < 1.1e6


def test_paper_is_the_study() -> None:
    paper = TimeDiffusionSettings.model_validate({"preset": "paper"})
    assert (paper.widths, paper.kernel, paper.blocks, paper.attention_levels) == ((32, 64, 128, 256), 5, 3, 2)
    assert (paper.prediction, paper.schedule, paper.diffusion_steps) == ("x0", "linear", 1000)
    assert (paper.beta_end, paper.zero_terminal_snr, paper.snr_weighted) == (1e-2, True, True)
    assert (paper.batch, paper.learning_rate, paper.betas, paper.ema_decay) == (128, 1e-4, (0.95, 0.999), 0.9999)
    assert (paper.class_channels, paper.leads, paper.patch) == (6, "all12", 1)


@pytest.mark.parametrize(
    "changes",
    [
        {"prediction": "x0", "spectral": False, "schedule": "linear", "zero_terminal_snr": True, "snr_weighted": True},
        {"schedule": "cosine"},
        {"precision": "bf16"},
        {"prediction": "noise", "spectral": False, "schedule": "cosine", "leads": "all12"},
    ],
)
def test_other_predictions_and_schedules_train_and_draw(
    sines: Dataset, tmp_path: Path, changes: dict[str, Any]
) -> None:
    x = draw(fitted(sines, tmp_path, steps=2, **changes))
    assert x.shape == (5, 12, 64)
    assert np.isfinite(x).all()


def test_snr_weight_is_each_records_own(sines: Dataset) -> None:
    plain = {"prediction": "x0", "spectral": False, "schedule": "linear", "zero_terminal_snr": True}
    alpha, sigma = torch.tensor([0.8, 0.0])[:, None, None], torch.tensor([0.6, 1.0])[:, None, None]
    weighted = TimeDiffusion(settings(**plain, snr_weighted=True), sines.spec).weight(alpha, sigma)
    assert weighted.flatten().tolist() == pytest.approx([16 / 9, 1.0])
    assert TimeDiffusion(settings(**plain), sines.spec).weight(alpha, sigma).flatten().tolist() == [1.0, 1.0]


def test_training_that_goes_on_ends_in_the_same_bits(
    sines: Dataset, tmp_path: Path, trained: TimeDiffusion, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0
    batch = Signals.batch

    def interrupted(self: Signals, indices: np.ndarray) -> tuple[Tensor, Tensor]:
        nonlocal calls
        calls += 1
        if calls == 10:
            raise KeyboardInterrupt
        return batch(self, indices)

    with monkeypatch.context() as patch:
        patch.setattr(Signals, "batch", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fitted(sines, tmp_path, checkpoint_seconds=0.0)
    assert list(tmp_path.iterdir())
    again = fitted(sines, tmp_path, checkpoint_seconds=0.0)
    for (name, one), two in zip(trained.module.state_dict().items(), again.module.state_dict().values(), strict=True):
        assert torch.equal(one, two), name


def test_guidance_one_is_the_conditional_model(trained: TimeDiffusion) -> None:
    near = draw(trained, guidance=1.0 + 1e-6)  # two passes, mixed
    np.testing.assert_allclose(near, draw(trained), atol=1e-4 * np.abs(near).max())
    assert not np.allclose(draw(trained, guidance=3.0), near, atol=1e-3 * np.abs(near).max())
