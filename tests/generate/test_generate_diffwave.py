"""DiffWave and what all diffusion generators share: fit, sample, save, load."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from sine_records import LENGTH  # type: ignore[import-not-found]

from ecgpipe.dataset import Dataset
from ecgpipe.files import sha256
from ecgpipe.generate.diffwave import DiffWave, DiffWaveNetwork, DilatedLayer
from ecgpipe.generate.layers import sinusoidal_embedding
from ecgpipe.generate.protocol import Signals
from ecgpipe.leads import limb_lead_residual

TINY = {
    "draft": "none",
    "channels": 8,
    "layers": 2,
    "cycle": 2,
    "patch": 1,
    "spectral": False,
    "steps": 12,
    "batch": 6,
    "warmup": 2,
    "validate_every": 6,
    "checkpoint_seconds": 0.0,
}
SHORT = DiffWave.SampleSettings(evaluations=3)
LABELS = np.array([0, 1, 2, 0, 1, 2, 2])
SEEDS = np.arange(7) + 100


def fitted(data: Dataset, state_dir: Path, **changes: Any) -> DiffWave:
    generator = DiffWave(DiffWave.Settings.model_validate({**TINY, **changes}), data.spec)
    generator.fit(
        Signals.of(data, "train"),
        Signals.of(data, "validation"),
        seed=1,
        state_dir=state_dir,
        device="cpu",
        progress=False,
    )
    return generator


@pytest.fixture(scope="module")
def model(sines: Dataset, tmp_path_factory: pytest.TempPathFactory) -> DiffWave:
    return fitted(sines, tmp_path_factory.mktemp("state"))


def sample(generator: DiffWave, places: slice = slice(None), settings: Any = SHORT) -> np.ndarray:
    return generator.sample(LABELS[places], settings=settings, seeds=SEEDS[places], device="cpu")


# -- the network ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("conditioning", ["added", "film"])
def test_a_layer_is_that_of_figure_2_but_for_how_it_is_entered(conditioning: str) -> None:
    torch.manual_seed(0)
    layer = DilatedLayer(DiffWave.Settings(draft="none", conditioning=conditioning, channels=8, embedding=16), 2)
    h, step, label = torch.randn(3, 8, 1, 20), torch.randn(3, 16), torch.randn(3, 16)
    if conditioning == "added":
        entered = h[:, :, 0] + layer.enter.step(step)[:, :, None]
    else:  # a group is one channel here
        mean, variance = h[:, :, 0].mean(2, keepdim=True), h[:, :, 0].var(2, keepdim=True, correction=0)
        scale, shift = layer.enter.film(torch.nn.functional.silu(step + label))[:, :, None].chunk(2, dim=1)
        entered = (h[:, :, 0] - mean) / (variance + 1e-5).sqrt() * (1 + scale) + shift
    shifted = torch.nn.functional.pad(entered, (2, 2))
    weight = layer.dilated.weight[:, :, 0]
    y = sum(torch.einsum("oc,bcl->bol", weight[:, :, k], shifted[:, :, 2 * k : 2 * k + 20]) for k in range(3))
    y = y + layer.dilated.bias[None, :, None] + layer.label(label)[:, :, None]
    gated = torch.sigmoid(y[:, :8]) * torch.tanh(y[:, 8:])
    out = torch.einsum("oc,bcl->bol", layer.out.weight[:, :, 0, 0], gated) + layer.out.bias[None, :, None]
    residual, skip = layer(h, step, label)
    kept = 2**-0.5 if conditioning == "added" else 1
    torch.testing.assert_close(residual[:, :, 0], (h[:, :, 0] + out[:, :8]) * kept)
    torch.testing.assert_close(skip[:, :, 0], out[:, 8:])


def test_step_embedding_is_that_of_the_paper() -> None:
    embedded = sinusoidal_embedding(torch.tensor([0.0, 7.0]))
    assert embedded.shape == (2, 128)
    assert float(embedded[1, 0]) == pytest.approx(np.sin(7.0), abs=1e-6)
    assert float(embedded[1, 64 + 63]) == pytest.approx(np.cos(7.0 * 1e-4), abs=1e-6)
    assert float(embedded[0].sum()) == 64


@pytest.mark.parametrize(("patch", "reach"), [(1, 1 + 2 * (1 + 2 + 4 + 1)), (4, 4 * (1 + 2 * (1 + 2 + 4 + 1)))])
def test_the_network_starts_at_zero_and_sees_as_far_as_it_should(patch: int, reach: int) -> None:
    torch.manual_seed(0)
    network = DiffWaveNetwork(
        8, 3, DiffWave.Settings(draft="none", conditioning="added", channels=16, layers=4, cycle=3, patch=patch)
    )
    x = torch.randn(2, 8, 101, requires_grad=True)
    out = network(x, torch.tensor([1.0, 2.0]), torch.tensor([0, 3]))
    assert out.shape == x.shape
    assert not out.any()
    torch.nn.init.normal_(network.outward.weight)
    network(x, torch.tensor([1.0, 2.0]), torch.tensor([0, 3]))[0, :, 48].sum().backward()
    assert x.grad is not None
    seen = x.grad[0].abs().sum(0).nonzero()
    assert int(seen.max() - seen.min()) + 1 == reach


def test_paper_and_full_have_the_sizes_of_their_sources() -> None:
    def convolutions(preset: str) -> int:
        settings = DiffWave.Settings.model_validate({"preset": preset})
        with torch.device("meta"):
            network = DiffWaveNetwork(12 if settings.leads == "all12" else 8, 7, settings)
        return sum(p.numel() for p in network.parameters() if p.dim() == 4)

    c = 128  # layers of a dilated and a 1x1 convolution
    assert convolutions("full") == 30 * (2 * c * c * 3 + 2 * c * c) + 2 * 8 * c + c * c
    # Layers of a convolution, two mixes of 2c channels and two 1x1 convolutions; S4's parameters are no images.
    c = 256
    s4 = 2 * (2 * c) * (32 * 2)
    assert convolutions("paper") == 36 * (2 * c * c * 3 + 2 * (2 * c) ** 2 + 2 * c * c + 2 * s4) + 2 * 12 * c + c * c


def test_paper_is_sssd_ecg() -> None:
    paper = DiffWave.Settings.model_validate({"preset": "paper"})
    assert (paper.backbone, paper.channels, paper.layers, paper.states) == ("s4", 256, 36, 64)
    assert (paper.prediction, paper.schedule, paper.diffusion_steps, paper.beta_end) == ("noise", "linear", 200, 0.02)
    assert (paper.batch, paper.learning_rate, paper.ema_decay, paper.leads) == (8, 2e-4, 0.0, "all12")


def test_with_s4_every_layer_is_told_step_and_class_and_sees_the_whole_record() -> None:
    torch.manual_seed(0)
    network = DiffWaveNetwork(
        8, 3, DiffWave.Settings(draft="none", backbone="s4", states=8, channels=16, layers=2, patch=1)
    )
    x = torch.randn(1, 8, 101, requires_grad=True)
    time, label = torch.tensor([5.0]), torch.tensor([0])
    assert not network(x, time, label).any()
    torch.nn.init.normal_(network.outward.weight)
    network(x, time, label)[0, :, 50].sum().backward()
    assert x.grad is not None
    assert bool(x.grad[0].abs().sum(0).all())
    seen: dict[str, torch.Tensor] = {}
    for i, layer in enumerate(network.layers):
        layer.register_forward_hook(lambda _m, _i, out, i=i: seen.update({f"{i}": out[1].detach()}))
    network(x, time, label)
    first = dict(seen)
    for changed in ((time + 50, label), (time, label + 1)):
        network(x, *changed)
        assert all((seen[i] - first[i]).abs().max() > 1e-4 for i in first)


# -- settings ------------------------------------------------------------------------------------------------------


def test_given_keys_replace_those_of_a_preset() -> None:
    paper = DiffWave.Settings.model_validate({"preset": "paper", "channels": 32})
    assert (paper.channels, paper.layers, paper.prediction, paper.leads) == (32, 36, "noise", "all12")
    assert DiffWave.Settings().preset == "small"
    again = DiffWave.Settings.model_validate_json(paper.model_dump_json())
    assert again == paper


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"preset": "huge"}, "preset"),
        ({"schedule": "linear", "diffusion_steps": 200, "beta_end": 0.02}, r"sqrt\(alpha_bar_T\) = 0.36"),
        ({"schedule": "edm", "prediction": "noise", "spectral": False}, "needs `prediction: v`"),
        (
            {"schedule": "edm", "data_deviation": 0.5, "spectral": False},
            "`schedule: edm` is defined for `data_deviation: 1`",
        ),
        ({"channels": 12}, "`channels` to be a multiple of 8, not 12"),
        ({"spectral": True, "prediction": "x0"}, "`spectral` is for `prediction: v`"),
        ({"schedule": "cosine", "zero_terminal_snr": True}, "`zero_terminal_snr` is for"),
        ({"schedule": "linear", "beta_start": 0.1, "beta_end": 0.01}, "must not exceed"),
    ],
)
def test_settings_that_cannot_work_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        DiffWave.Settings.model_validate(given)


# -- training and sampling -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schedule", "prediction"), [("edm", "v"), ("edm", "x0"), ("cosine", "v"), ("cosine", "x0"), ("linear", "noise")]
)
def test_a_perfect_network_has_no_loss_and_denoises_exactly(sines: Dataset, schedule: str, prediction: str) -> None:
    generator = DiffWave(
        DiffWave.Settings.model_validate({**TINY, "schedule": schedule, "prediction": prediction}), sines.spec
    )
    generator.scale = 0.2
    signals, labels = Signals.of(sines, "train").batch(np.arange(6))
    x0 = generator.to_network(signals)
    levels: dict[str, Any] = {}
    draw_levels = generator.schedule.levels

    class Oracle(torch.nn.Module):
        def forward(self, x: torch.Tensor, time: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            alpha, sigma = levels["alpha"][:, None, None], levels["sigma"][:, None, None]
            noise = (x - alpha * x0) / sigma
            return {"noise": noise, "v": alpha * noise - sigma * x0, "x0": x0}[prediction]

    class Watched:
        def levels(self, uniform: torch.Tensor) -> Any:
            out = draw_levels(uniform)
            levels.update(out._asdict())
            return out

    generator.schedule = Watched()  # type: ignore[assignment]
    value = generator.loss(Oracle(), signals, labels, torch.Generator().manual_seed(0))
    assert float(value) < 1e-4
    alpha, sigma = 0.6, 0.8
    noise = torch.randn(x0.shape)
    x = alpha * x0 + sigma * noise
    predicted = {"noise": noise, "v": alpha * noise - sigma * x0, "x0": x0}[prediction]
    torch.testing.assert_close(generator.clean(x, predicted, alpha, sigma), x0, atol=1e-5, rtol=0)


def test_class_is_dropped_in_training_only(sines: Dataset) -> None:
    generator = DiffWave(DiffWave.Settings.model_validate({**TINY, "class_dropout": 0.5}), sines.spec)
    generator.scale = 1.0
    signals, labels = Signals.of(sines, "train").batch(np.repeat(np.arange(30), 20))
    shown: list[torch.Tensor] = []

    class Watch(torch.nn.Module):
        def forward(self, x: torch.Tensor, time: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            shown.append(y)
            return x

    watch = Watch()
    generator.loss(watch.train(), signals, labels, torch.Generator().manual_seed(0))
    generator.loss(watch.eval(), signals, labels, torch.Generator().manual_seed(0))
    assert float((shown[0] == 3).float().mean()) == pytest.approx(0.5, abs=0.07)
    assert torch.equal(shown[0][shown[0] != 3], labels[shown[0] != 3])
    assert torch.equal(shown[1], labels)


def test_scale_is_the_deviation_of_the_training_records(sines: Dataset, model: DiffWave) -> None:
    rows = sines.indices("train")
    eight = np.asarray(sines.signals)[rows][:, [0, 1, 6, 7, 8, 9, 10, 11]]
    assert model.scale == pytest.approx(float(eight.std(dtype=np.float64)), rel=1e-6)
    assert model.facts["training_records"] == {"SLOW": 12, "FAST": 12, "FLAT": 12}


def test_spectral_preconditioning_is_measured_on_the_training_records_and_kept(sines: Dataset, tmp_path: Path) -> None:
    generator = fitted(sines, tmp_path / "state", spectral=True, class_spectrum=None)
    variance = generator.module.variance
    assert float(variance[:, :-1].mean()) == pytest.approx(1)
    # The sines have six cycles, twelve half cycles, at most; variances are averaged over nine neighbours.
    assert float(variance[:, 20:].max()) < float(variance[:, :16].max()) / 50
    generator.save(tmp_path / "model")
    assert np.array_equal(sample(DiffWave.load(tmp_path / "model")), sample(generator))
    assert not np.allclose(sample(generator), sample(fitted(sines, tmp_path / "plain")), atol=0.01)


def test_guidance_is_confined_to_its_levels(model: DiffWave) -> None:
    def drawn(**settings: Any) -> np.ndarray:
        return sample(model, settings=DiffWave.SampleSettings.model_validate({"evaluations": 3, **settings}))

    everywhere, nowhere = drawn(guidance=2.0), drawn(guidance=1.0)
    assert np.array_equal(drawn(guidance=2.0, guidance_levels=[0.0, 1e6]), everywhere)
    assert np.array_equal(drawn(guidance=2.0, guidance_levels=[1e5, 1e6]), nowhere)
    between = drawn(guidance=2.0, guidance_levels=[0.5, 10.0])
    assert not np.array_equal(between, everywhere)
    assert not np.array_equal(between, nowhere)
    with pytest.raises(ValidationError, match="must ascend"):
        drawn(guidance_levels=[3.0, 0.1])


def test_a_coloured_start_is_for_spectral_networks(sines: Dataset, tmp_path: Path) -> None:
    coloured = DiffWave.SampleSettings(evaluations=3, coloured_start=True)
    with pytest.raises(ValueError, match="`coloured_start` needs a training with `spectral: true`"):
        DiffWave.check_together(DiffWave.Settings.model_validate({**TINY, "spectral": False}), coloured)
    generator = fitted(sines, tmp_path / "state", spectral=True, class_spectrum=5.0, noise_largest=10.0)
    assert generator.module.variance.shape[0] == 4
    assert not np.allclose(sample(generator, settings=coloured), sample(generator), atol=1e-4)


def test_all12_models_every_lead(sines: Dataset, tmp_path: Path) -> None:
    signals = sample(fitted(sines, tmp_path, leads="all12"))
    assert signals.shape == (7, 12, LENGTH)
    assert limb_lead_residual(signals).min() > 1e-3


@pytest.mark.parametrize("sampler", ["dpmpp_2m", "ddim", "ancestral"])
def test_what_is_drawn_does_not_depend_on_the_chunks(model: DiffWave, sampler: str) -> None:
    settings = DiffWave.SampleSettings.model_validate({"sampler": sampler, "evaluations": 4, "guidance": 1.5})
    whole = sample(model, settings=settings)
    parts = np.concatenate([sample(model, slice(a, b), settings) for a, b in ((0, 1), (1, 4), (4, 7))])
    np.testing.assert_allclose(parts, whole, atol=1e-5)
    assert np.abs(np.diff(whole, axis=0)).max(axis=(1, 2)).min() > 0.01


def test_guidance_one_never_asks_for_no_class(model: DiffWave, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[set[int]] = []
    forward = model.module.forward

    def watched(x: torch.Tensor, time: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        asked.append(set(y.tolist()))
        return forward(x, time, y)  # type: ignore[no-any-return]

    monkeypatch.setattr(model.module, "forward", watched)
    plain = sample(model)
    assert asked == [{0, 1, 2}] * 3
    sample(model, settings=DiffWave.SampleSettings(evaluations=3, guidance=2.0))
    assert asked[3:] == [{3}, {0, 1, 2}] * 3
    close = sample(model, settings=DiffWave.SampleSettings(evaluations=3, guidance=1.0 + 1e-6))
    np.testing.assert_allclose(close, plain, atol=1e-4)


def test_more_evaluations_than_steps_is_an_error(sines: Dataset) -> None:
    generator = DiffWave(
        DiffWave.Settings.model_validate({**TINY, "schedule": "cosine", "diffusion_steps": 10}), sines.spec
    )
    generator.scale = 1.0
    with pytest.raises(ValueError, match=r"`evaluations` is 11.*10 diffusion steps"):
        sample(generator, settings=DiffWave.SampleSettings(evaluations=11))


@pytest.mark.slow
def test_it_learns_which_class_is_which(sines: Dataset, tmp_path: Path) -> None:
    generator = fitted(
        sines,
        tmp_path,
        channels=24,
        layers=6,
        cycle=4,
        patch=4,
        steps=150,
        batch=32,
        validate_every=150,
        checkpoint_seconds=1e9,
        spectral=True,
    )
    labels = np.arange(30) % 3
    signals = generator.sample(labels, settings=DiffWave.SampleSettings(), seeds=np.arange(30), device="cpu")
    power = np.abs(np.fft.rfft(signals[:, 6:], axis=-1))[..., 1:10].mean(axis=1)
    slow, fast = power[:, 1], power[:, 5]  # two and six cycles a record
    assert (slow[labels == 0] > fast[labels == 0]).mean() >= 0.9
    assert (slow[labels == 1] < fast[labels == 1]).mean() >= 0.9
    assert signals.std() == pytest.approx(float(np.asarray(sines.signals).std()), rel=0.3)


# -- a real kill -----------------------------------------------------------------------------------------------------

CHILD = """
import sys
from pathlib import Path
import torch
from ecgpipe.generate.run import train_generator
torch.set_num_threads(1)
data, out, state = sys.argv[1:]
train = {"draft": "none", "channels": 8, "layers": 2, "cycle": 2, "patch": 1, "steps": 40, "batch": 6, "warmup": 2}
train |= {"validate_every": 10, "checkpoint_seconds": 0.0}
train_generator("diffwave", None, train, data, out, seed=5, device="cpu", threads=1, state_dir=state)
"""


@pytest.mark.slow
def test_a_process_killed_with_signal_9_goes_on_to_the_same_weights(sines_folder: Path, tmp_path: Path) -> None:
    def start(name: str) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        return subprocess.Popen(
            [sys.executable, "-c", CHILD, sines_folder, tmp_path / name, tmp_path / f"{name}-state"], env=environment
        )

    child = start("killed")
    while not list((tmp_path / "killed-state").glob("train.*.safetensors")) and child.poll() is None:
        time.sleep(0.002)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    assert not (tmp_path / "killed").exists()
    whole, again = start("whole"), start("killed")
    assert (whole.wait(), again.wait()) == (0, 0)
    for name in ("model.safetensors", "model.json"):
        assert sha256(tmp_path / "killed" / name) == sha256(tmp_path / "whole" / name)
    assert not (tmp_path / "killed-state").exists()
