"""Whether a device computes what the CPU computes, and computes it again alike, for `device.py` and its tests."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from ecgpipe.dataset import Dataset
from ecgpipe.generate import training
from ecgpipe.generate.protocol import Generator, Signals
from ecgpipe.generate.registry import load_class

STEPS = 12
_LEARNING = {"steps": STEPS, "batch": 8, "warmup": 2, "validate_every": 6, "validation_records": 16}
_PRIOR = {**_LEARNING, "width": 16, "layers": 1, "heads": 2}
_STAGES = {"stage1": _LEARNING, "lf_prior": _PRIOR, "hf_prior": _PRIOR, "reconstruction_bound": 1e9, "hidden": 16}
_DRAFTS = {"draft": "beats", "draft_models": {"beats": {**_LEARNING, "width": 16}, "mean_beat": _LEARNING}}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "diffwave": ("diffwave", {"preset": "paper", "channels": 16, "layers": 2, **_LEARNING}),
    "diffwave, drafts": ("diffwave", {"channels": 16, "layers": 2, **_LEARNING, **_DRAFTS}),
    "time_diffusion": ("time_diffusion", {"preset": "paper", "widths": (32, 32), "blocks": 1, **_LEARNING}),
    "time_diffusion, drafts": ("time_diffusion", {"widths": (32, 32), **_LEARNING, **_DRAFTS}),
    "time_vqvae": ("time_vqvae", {"preset": "paper", "res_blocks": 1, "enhancer": _LEARNING, **_STAGES}),
    "time_vqvae, drafts": ("time_vqvae", {**_STAGES, **_DRAFTS}),
}
"""Small networks with all the parts that the presets `paper` and `small` have."""


class Killed(Exception):
    """What the training is killed by."""


def make(case: str, dataset: Dataset, **changes: Any) -> Generator:
    """Return the untrained generator of a case."""
    name, settings = CASES[case]
    cls = load_class(name, None)
    return cls(cls.Settings.model_validate({**settings, **changes}), dataset.spec)


def fit(generator: Generator, dataset: Dataset, device: str, state: Path) -> None:
    """Train a generator."""
    train, validation = (Signals.of(dataset, split) for split in ("train", "validation"))
    generator.fit(train, validation, seed=3, state_dir=state, device=device, progress=False)


def weights(generator: Any) -> dict[str, Tensor]:
    """Return all that a model file would hold, on the CPU."""
    return {name: value.detach().cpu().clone() for name, value in generator.tensors().items()}


def apart(a: dict[str, Tensor], b: dict[str, Tensor]) -> float:
    """Return the largest difference of two sets of weights; 0 only if all bits are equal."""
    return max(float((a[k].double() - b[k].double()).abs().max()) for k in a if a[k].numel())


@contextlib.contextmanager
def deterministic() -> Iterator[None]:
    """Let torch choose deterministic algorithms where it has them."""
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


def repeated(case: str, dataset: Dataset, device: str) -> float:
    """Return by how much the weights of two equal trainings differ."""
    found = []
    for _ in range(2):
        generator = make(case, dataset)
        with tempfile.TemporaryDirectory() as state:
            fit(generator, dataset, device, Path(state))
        found.append(weights(generator))
    return apart(*found)


def resumed(case: str, dataset: Dataset, device: str) -> float:
    """Return by how much weights differ if the training is killed again and again, and goes on each time."""
    whole = make(case, dataset, **_every_step(case))
    with tempfile.TemporaryDirectory() as state:
        fit(whole, dataset, device, Path(state))
    real = training._Trainer.step
    taken = 0

    def step(trainer: training._Trainer) -> None:
        nonlocal taken
        taken += 1
        if taken % 9 == 0:
            raise Killed
        real(trainer)

    with tempfile.TemporaryDirectory() as state, mock.patch.object(training._Trainer, "step", step):
        for _ in range(100):
            broken = make(case, dataset, **_every_step(case))
            with contextlib.suppress(Killed):
                fit(broken, dataset, device, Path(state))
                break
        else:
            raise RuntimeError(f"{case}: the training does not go on from its checkpoints")
    return apart(weights(whole), weights(broken))


def _every_step(case: str) -> dict[str, Any]:
    """Return the case's settings with a checkpoint after each step of each stage."""

    def changed(values: dict[str, Any]) -> dict[str, Any]:
        inner = {k: changed(v) if isinstance(v, dict) else v for k, v in values.items()}
        return {**inner, "checkpoint_seconds": 0.0} if "steps" in values else inner

    return {k: v for k, v in changed(CASES[case][1]).items() if isinstance(v, dict) or k == "checkpoint_seconds"}


# -- the same on two devices -------------------------------------------------------------------------------------------


class Stage(NamedTuple):
    """A stage of a training as it starts, and its first loss."""

    weights: dict[str, Tensor]
    batch: tuple[Tensor, Tensor]
    loss: float
    gradient: Tensor


@contextlib.contextmanager
def noise_of_the_cpu(seed: int) -> Iterator[None]:
    """Draw torch's random numbers on the CPU, whatever device they are for."""
    cpu = torch.Generator().manual_seed(seed)

    def on_cpu(real: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def draw(*size: Any, generator: object = None, device: Any = None, **options: Any) -> Tensor:
            return real(*size, generator=cpu, **options).to(device or "cpu")

        return draw

    with contextlib.ExitStack() as stack:
        for name in ("rand", "randn", "randint"):
            stack.enter_context(mock.patch.object(torch, name, on_cpu(getattr(torch, name))))
        yield


def first_losses(case: str, dataset: Dataset, device: str, known: dict[str, Stage] | None = None) -> dict[str, Stage]:
    """Return the loss and gradient of each stage, in float32, on random weights in which no layer is zero.

    Args:
        case: of :data:`CASES`.
        dataset: records.
        device: where to compute.
        known: the stages on another device, whose weights and batch are taken.
    """
    found: dict[str, Stage] = {}

    def once(
        module: nn.Module, loss: training.Loss, train: Signals, *_: Any, device: str, stage: str = "train", **__: Any
    ) -> pd.DataFrame:
        module.to(device).eval()  # without dropout, whose masks a device draws itself
        if known is None:
            random = torch.Generator().manual_seed(len(found))
            with torch.no_grad():
                for p in module.parameters():
                    p.add_(0.02 * torch.randn(p.shape, generator=random).to(device))
            batch = train.batch(np.arange(8))
        else:
            module.load_state_dict(known[stage].weights)
            batch = known[stage].batch
        state = {k: v.detach().cpu().clone() for k, v in module.state_dict().items()}
        x, y = (t.to(device) for t in batch)
        with noise_of_the_cpu(5):
            value = loss(module, x, y, torch.Generator(device))
        value.backward()  # type: ignore[no-untyped-call]
        gradients = [p.grad.flatten().double().cpu() for p in module.parameters() if p.grad is not None]
        found[stage] = Stage(state, batch, float(value.detach()), torch.cat(gradients))
        module.zero_grad(set_to_none=True)
        return pd.DataFrame({"stage": [stage]})

    with mock.patch.object(training, "train", once), tempfile.TemporaryDirectory() as state:
        fit(make(case, dataset), dataset, device, Path(state))
    return found


def beside_the_cpu(case: str, dataset: Dataset, device: str) -> tuple[float, float]:
    """Return the largest relative difference, over a case's stages, of the loss and of the gradient from the CPU's."""
    on_cpu = first_losses(case, dataset, "cpu")
    here = first_losses(case, dataset, device, on_cpu)
    losses = [abs(here[k].loss - on_cpu[k].loss) / abs(on_cpu[k].loss) for k in on_cpu]
    gradients = [float((here[k].gradient - on_cpu[k].gradient).norm() / on_cpu[k].gradient.norm()) for k in on_cpu]
    return max(losses), max(gradients)


def drawn_beside_the_cpu(case: str, dataset: Dataset, device: str) -> float:
    """Return the relative difference of records drawn on the device and on the CPU: the median over records."""
    generator = make(case, dataset)
    with tempfile.TemporaryDirectory() as state:
        fit(generator, dataset, "cpu", Path(state))
    known = generator.SampleSettings.model_fields
    quick = {k: v for k, v in {"evaluations": 10, "sampler": "dpmpp_2m"}.items() if k in known}
    settings = generator.SampleSettings.model_validate(quick)
    labels = np.arange(14) % len(dataset.spec.classes)
    cpu, here = (
        generator.sample(labels, settings=settings, seeds=np.arange(14), device=where) for where in ("cpu", device)
    )
    off = np.sqrt(np.square(here - cpu, dtype=np.float64).mean(axis=(1, 2)))
    return float(np.median(off / np.sqrt(np.square(cpu, dtype=np.float64).mean(axis=(1, 2)))))
