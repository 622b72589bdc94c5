"""Muon: orthogonal steps, which parameters it takes, its AdamW against torch's, and exact resume in the loop."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from ecgpipe.dataset import Dataset
from ecgpipe.generate import training
from ecgpipe.generate.muon import LEARNING_RATE_RATIO, MOMENTUM, Muon, muon_parameters, newton_schulz
from ecgpipe.generate.protocol import Signals
from ecgpipe.generate.training import TrainingSettings


@pytest.mark.parametrize("shape", [(12, 12), (12, 40), (40, 12)])
def test_directions_are_kept_and_singular_values_brought_near_one(shape: tuple[int, int]) -> None:
    given = torch.randn(3, *shape, generator=torch.Generator().manual_seed(0))
    out = newton_schulz(given)
    values = torch.linalg.svdvals(out)
    assert float(values.min()) > 0.5
    assert float(values.max()) < 1.3
    u, _, vh = torch.linalg.svd(given, full_matrices=False)
    nearest = u @ vh  # the polar factor
    assert float((out - nearest).norm() / nearest.norm()) < 0.35
    torch.testing.assert_close(newton_schulz(given[1:2]), out[1:2], atol=1e-5, rtol=1e-4)


def test_a_step_is_that_of_the_definition() -> None:
    torch.manual_seed(0)
    weight, gradients = torch.randn(20, 10), torch.randn(2, 20, 10)
    p = nn.Parameter(weight.clone())
    optimizer = Muon([p], [], betas=(0.9, 0.999), weight_decay=0.1)
    optimizer.param_groups[0]["lr"] = 0.01
    average = torch.zeros(20, 10)
    for gradient in gradients:
        p.grad = gradient.clone()
        optimizer.step()
        average = MOMENTUM * average + (1 - MOMENTUM) * gradient
        update = MOMENTUM * average + (1 - MOMENTUM) * gradient
        weight = weight * (1 - 0.001) - 0.01 * LEARNING_RATE_RATIO * 2**0.5 * newton_schulz(update[None])[0]
    torch.testing.assert_close(p.detach(), weight)


def test_the_rest_is_trained_as_by_torchs_adamw() -> None:
    torch.manual_seed(0)
    start, gradients = torch.randn(7), torch.randn(5, 7)
    one, two = nn.Parameter(start.clone()), nn.Parameter(start.clone())
    ours = Muon([], [one], betas=(0.8, 0.95), weight_decay=0.3)
    theirs = torch.optim.AdamW([two], lr=1e-3, betas=(0.8, 0.95), weight_decay=0.3)
    for gradient in gradients:
        for p, optimizer in ((one, ours), (two, theirs)):
            p.grad = gradient.clone()
            optimizer.step()
    torch.testing.assert_close(one, two)


def test_embeddings_norms_and_small_matrices_are_left_to_adamw() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.dense = nn.Linear(16, 32)
            self.image = nn.Conv2d(16, 16, (1, 3))
            self.table = nn.Embedding(50, 16)
            self.norm = nn.LayerNorm(16)
            self.narrow = nn.Linear(16, 8)

    net = Net()
    assert [id(p) for p in muon_parameters(net)] == [id(net.dense.weight), id(net.image.weight)]
    optimizer = training.make_optimizer(net, TrainingSettings(optimizer="muon"))
    assert [len(g["params"]) for g in optimizer.param_groups] == [2, 7]
    assert isinstance(training.make_optimizer(net, TrainingSettings()), torch.optim.AdamW)


def test_training_that_goes_on_ends_in_the_same_bits(sines: Dataset, tmp_path: Path) -> None:
    settings = TrainingSettings(
        optimizer="muon", steps=8, batch=6, warmup=2, validate_every=8, learning_rate=1e-2, checkpoint_seconds=0.0
    )

    def loss(module: nn.Module, x: torch.Tensor, y: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        out: torch.Tensor = nn.functional.cross_entropy(module(x.flatten(1)), y)
        return out

    class Cut(Exception):
        pass

    def run(folder: Path, stop: int | None) -> dict[str, torch.Tensor]:
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(12 * 64, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 3))
        calls = 0

        def cut(*given: object) -> torch.Tensor:
            nonlocal calls
            calls += 1
            if calls == stop:
                raise Cut
            return loss(*given)  # type: ignore[arg-type]

        sets = Signals.of(sines, "train"), Signals.of(sines, "validation")
        training.train(net, cut, *sets, settings, seed=1, device="cpu", state_dir=folder, progress=False)
        return net.state_dict()

    whole = run(tmp_path / "whole", None)
    with pytest.raises(Cut):
        run(tmp_path / "cut", 5)
    again = run(tmp_path / "cut", None)
    assert all(torch.equal(again[name], value) for name, value in whole.items())
    assert np.isfinite(whole["0.weight"].numpy()).all()
