"""The training loop: exact resume, what it refuses, what it records."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from ecgpipe.dataset import Dataset
from ecgpipe.generate.protocol import Signals
from ecgpipe.generate.training import (
    HISTORY,
    BatchSampler,
    TrainingError,
    TrainingSettings,
    autocast_dtype,
    learning_rate_schedule,
    pick_device,
    train,
    validation_rows,
)


class Net(nn.Module):
    """Small, with everything a checkpoint must carry: weights, dropout, and a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(12, 12, 3, padding=1)
        self.drop = nn.Dropout(0.2)
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))
        self.seen: torch.Tensor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training:
            self.seen += len(x)
        return self.conv(self.drop(x))  # type: ignore[no-any-return]


def loss(module: nn.Module, x: torch.Tensor, y: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    noise = 0.1 * torch.randn(x.shape, generator=generator)
    return (module(x + noise) - x * (1 + y[:, None, None])).square().mean()


def net() -> Net:
    torch.manual_seed(0)
    return Net()


SETTINGS = {"steps": 30, "batch": 8, "learning_rate": 0.02, "warmup": 3, "validate_every": 7, "checkpoint_seconds": 0.0}


class Killed(Exception):
    pass


def run(
    module: nn.Module, data: Dataset, state_dir: Path, die_at: int | None = None, the_loss: Any = loss, **changes: Any
) -> Any:
    calls = [0]

    def counted(m: nn.Module, *args: Any) -> torch.Tensor:
        if m.training:
            calls[0] += 1
            if calls[0] == die_at:
                raise Killed
        return the_loss(m, *args)  # type: ignore[no-any-return]

    settings = TrainingSettings.model_validate({**SETTINGS, **changes})
    history = train(
        module,
        counted,
        Signals.of(data, "train"),
        Signals.of(data, "validation"),
        settings,
        seed=3,
        device="cpu",
        state_dir=state_dir,
        progress=False,
    )
    return history, calls[0]


def assert_same(one: nn.Module, two: nn.Module) -> None:
    for (name, a), b in zip(one.state_dict().items(), two.state_dict().values(), strict=True):
        assert torch.equal(a, b), name


@pytest.mark.parametrize("balanced", [False, True])
@pytest.mark.parametrize("patience", [None, 2])
def test_a_killed_training_ends_in_the_same_bits(
    sines: Dataset, tmp_path: Path, balanced: bool, patience: int | None
) -> None:
    whole, parts = net(), net()
    expected, _ = run(whole, sines, tmp_path / "whole", balanced=balanced, patience=patience)
    for die_at in (12, 9):
        with pytest.raises(Killed):
            run(parts, sines, tmp_path / "parts", die_at, balanced=balanced, patience=patience)
        parts = net()
    history, steps = run(parts, sines, tmp_path / "parts", balanced=balanced, patience=patience)
    assert steps < 30 - 11
    assert_same(whole, parts)
    timings = ["seconds", "records_per_second", "peak_memory_mb"]
    assert history.drop(columns=timings).equals(expected.drop(columns=timings))


def test_a_finished_training_is_not_done_again(sines: Dataset, tmp_path: Path) -> None:
    first, again = net(), net()
    history, _ = run(first, sines, tmp_path)
    repeated, steps = run(again, sines, tmp_path)
    assert steps == 0
    assert_same(first, again)
    assert repeated.equals(history)


@pytest.mark.parametrize("change", [{"learning_rate": 0.01}, {"batch": 4}, {"balanced": True}])
def test_the_checkpoint_of_another_training_is_not_taken_up(
    sines: Dataset, tmp_path: Path, change: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    run(net(), sines, tmp_path)
    _, steps = run(net(), sines, tmp_path, **change)
    assert steps == 30
    assert "is the checkpoint of another training" in caplog.text


@pytest.mark.parametrize("damaged", [1, 2])
@pytest.mark.parametrize("cut", [0, 100])
def test_a_damaged_checkpoint_is_set_aside_and_training_goes_on_from_the_one_before(
    sines: Dataset, tmp_path: Path, damaged: int, cut: int, caplog: pytest.LogCaptureFixture
) -> None:
    whole, parts = net(), net()
    run(whole, sines, tmp_path / "whole")
    with pytest.raises(Killed):
        run(parts, sines, tmp_path, die_at=20)
    files = sorted(tmp_path.glob("train.*.safetensors"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    assert len(files) == 2
    for file in files[:damaged]:
        content = file.read_bytes()
        # One bit in the last weight, or an end that is missing.
        file.write_bytes(content[:-cut] if cut else content[:-1] + bytes([content[-1] ^ 1]))
    parts = net()
    _, steps = run(parts, sines, tmp_path)
    assert steps == (30 - 18 if damaged == 1 else 30)
    assert_same(whole, parts)
    for file in files[:damaged]:
        assert f"{file} is damaged" in caplog.text
        assert file.with_name(f"{file.name}.damaged").exists()


def test_history_has_its_columns_and_the_loss_falls(sines: Dataset, tmp_path: Path) -> None:
    history, _ = run(net(), sines, tmp_path, steps=60, validate_every=15, checkpoint_seconds=1e9)
    assert tuple(history.columns) == HISTORY
    assert history["step"].tolist() == [15, 30, 45, 60]
    assert history["epoch"].iloc[-1] == pytest.approx(60 * 8 / 36)
    assert history["validation_loss"].iloc[-1] < 0.8 * history["validation_loss"].iloc[0]
    assert (history["seconds"].diff().iloc[1:] > 0).all()
    assert (history["records_per_second"] > 0).all()
    assert (history["peak_memory_mb"] > 10).all()


def test_measures_become_columns(sines: Dataset, tmp_path: Path) -> None:
    history = train(
        net(),
        loss,
        Signals.of(sines, "train"),
        Signals.of(sines, "validation"),
        TrainingSettings(steps=4, batch=4, validate_every=2),
        seed=0,
        device="cpu",
        state_dir=tmp_path,
        progress=False,
        measures=lambda module: {"weight": float(sum(p.abs().sum() for p in module.parameters()))},
    )
    assert history.columns[-1] == "weight"
    assert history["weight"].notna().all()


def test_a_loss_that_is_not_finite_ends_training_with_its_step(sines: Dataset, tmp_path: Path) -> None:
    def breaks(module: nn.Module, x: torch.Tensor, y: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        value = loss(module, x, y, generator)
        assert isinstance(module, Net)
        return value * math.nan if module.training and int(module.seen) == 8 * 12 else value

    with pytest.raises(TrainingError, match=r"train: the loss is nan at step 11; lower `learning_rate`"):
        run(net(), sines, tmp_path, the_loss=breaks, checkpoint_seconds=1e9)


def test_no_records_is_an_error(sines: Dataset, tmp_path: Path) -> None:
    empty, some = Signals(sines, np.array([], dtype=np.int64)), Signals.of(sines, "train")
    for train_set, validation, word in ((empty, some, "training"), (some, empty, "validation")):
        with pytest.raises(ValueError, match=f"no {word} records"):
            train(
                net(),
                loss,
                train_set,
                validation,
                TrainingSettings(),
                seed=0,
                device="cpu",
                state_dir=tmp_path,
                progress=False,
            )


def test_patience_stops_and_keeps_the_best_weights(sines: Dataset, tmp_path: Path) -> None:
    module = net()
    losses = iter([3.0, 1.0, 2.0, 2.5, 0.1])
    weights: list[torch.Tensor] = []

    def scripted(m: nn.Module, x: torch.Tensor, y: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        if m.training:
            return loss(m, x, y, generator)
        weights.append(m.state_dict()["conv.weight"].clone())
        return torch.tensor(next(losses))

    history, _ = run(module, sines, tmp_path, the_loss=scripted, patience=2, validate_every=5, validation_records=8)
    assert history["validation_loss"].tolist() == [3.0, 1.0, 2.0, 2.5]
    assert torch.equal(module.conv.weight, weights[1])


def test_the_moving_average_is_what_is_kept(sines: Dataset, tmp_path: Path) -> None:
    module = net()
    seen: list[torch.Tensor] = []

    def watched(m: nn.Module, *args: Any) -> torch.Tensor:
        if m.training:
            seen.append(m.state_dict()["conv.bias"].clone())
        return loss(m, *args)

    run(module, sines, tmp_path, the_loss=watched, steps=6, ema_decay=0.5, validate_every=100)
    # seen[k] are the weights after k steps; those after the last step are not seen, so leave it out of both.
    again = net()
    run(again, sines, tmp_path / "longer", the_loss=watched, steps=6, ema_decay=0.0, validate_every=100)
    history = [*seen[1:6], again.conv.bias.detach()]
    average = history[0]
    for step, weights in enumerate(history[1:], start=1):
        decay = min(0.5, (1 + step) / (10 + step))
        average = decay * average + (1 - decay) * weights
    torch.testing.assert_close(module.conv.bias.detach(), average)


def test_torchs_own_generator_is_left_alone(sines: Dataset, tmp_path: Path) -> None:
    module = net()
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    run(module, sines, tmp_path, steps=3)
    assert torch.equal(torch.rand(3), expected)


def test_compile_trains_the_compiled_form(sines: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[nn.Module] = []

    def wrap(module: nn.Module) -> nn.Module:
        compiled.append(nn.Sequential(module))
        return compiled[0]

    monkeypatch.setattr(torch, "compile", wrap)
    used: set[int] = set()

    def watched(m: nn.Module, *args: Any) -> torch.Tensor:
        used.add(id(m))
        return loss(m, *args)

    plain, other = net(), net()
    run(plain, sines, tmp_path / "plain")
    run(other, sines, tmp_path / "compiled", the_loss=watched, compile=True)
    assert id(compiled[0]) in used
    assert_same(plain, other)


def test_an_epoch_shows_every_record_once() -> None:
    order = BatchSampler(np.zeros(10, dtype=np.int64), 4, [1], balanced=False)
    seen = np.concatenate([order(step) for step in range(5)])
    assert Counter(seen[:10].tolist()) == Counter(range(10))
    assert Counter(seen[10:].tolist()) == Counter(range(10))
    assert seen[:10].tolist() != seen[10:].tolist()
    assert np.array_equal(BatchSampler(np.zeros(10, dtype=np.int64), 4, [1], balanced=False)(3), seen[12:16])


def test_balanced_batches_show_rare_classes_as_often() -> None:
    labels = np.array([0] * 97 + [1] * 2 + [4])
    order = BatchSampler(labels, 50, [1], balanced=True)
    drawn = Counter(labels[np.concatenate([order(step) for step in range(60)])].tolist())
    assert set(drawn) == {0, 1, 4}
    assert all(abs(count - 1000) < 120 for count in drawn.values())


def test_validation_records_have_each_class_in_its_share() -> None:
    labels = np.array([0, 1, 1, 1] * 25)
    rows = validation_rows(labels, 20)
    assert len(set(rows.tolist())) == 20
    assert 4 <= (labels[rows] == 0).sum() <= 6
    assert validation_rows(labels, 500).tolist() == np.argsort(labels, kind="stable").tolist()


def test_learning_rate_warms_up_and_falls() -> None:
    settings = TrainingSettings(steps=100, warmup=10, learning_rate=1.0)
    rates = [learning_rate_schedule(step, settings) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[9] == rates[10] == 1.0
    assert rates[55] == pytest.approx(0.5)
    assert all(a > b for a, b in itertools.pairwise(rates[10:]))
    assert rates[-1] < 0.001


def test_precision_is_float32_where_the_cpu_has_no_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = torch.device("cpu")
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True, "avx512_bf16": False})
    assert autocast_dtype("auto", cpu) is None
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    assert autocast_dtype("auto", cpu) is torch.bfloat16
    assert autocast_dtype("fp32", cpu) is None
    assert autocast_dtype("bf16", cpu) is torch.bfloat16


def test_bfloat16_trains_nearly_the_same(sines: Dataset, tmp_path: Path) -> None:
    one, two = net(), net()
    run(one, sines, tmp_path / "a", precision="fp32")
    run(two, sines, tmp_path / "b", precision="bf16")
    torch.testing.assert_close(one.conv.weight, two.conv.weight, atol=0.02, rtol=0)
    assert not torch.equal(one.conv.weight, two.conv.weight)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_an_error() -> None:
    assert pick_device("auto") == "cpu"
    with pytest.raises(ValueError, match="torch sees no GPU"):
        pick_device("cuda")
