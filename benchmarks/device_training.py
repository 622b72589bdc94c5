"""Training steps and sampling of the generators on a device, timed in the package's own loop, for `device.py`."""

from __future__ import annotations

import contextlib
import gc
import math
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd
import torch
from device_table import Table
from torch.utils.flop_counter import FlopCounterMode

from ecgpipe.dataset import Dataset, SignalSpec
from ecgpipe.generate import training
from ecgpipe.generate.protocol import Generator, Signals
from ecgpipe.generate.registry import load_class
from ecgpipe.simulator.ecg import simulate_ecg
from ecgpipe.simulator.hospitals import HOSPITALS, RHYTHMS
from ecgpipe.simulator.patients import draw_patient

FP32, TF32, BF16, COMPILED = "fp32", "fp32 with TF32", "bf16", "bf16, compiled"
WAYS: dict[str, dict[str, Any]] = {
    FP32: {"precision": "fp32"},
    TF32: {"precision": "fp32"},
    BF16: {"precision": "bf16"},
    COMPILED: {"precision": "bf16", "compile": True},
}
"""Settings of training by the name of the way; with TF32, torch may round the factors of products to 10 bits."""
GENERATORS = ("diffwave", "time_diffusion", "time_vqvae")
FIRST_STEPS = training.CHECK_LOSSES_EVERY
"""Steps before the timed ones, whose mean loss is kept."""
WINDOWS = 3
_TRAINING = {"steps": 1000, "batch": 4}
SMOKE: dict[str, dict[str, Any]] = {
    "diffwave": {**_TRAINING, "channels": 16, "layers": 2},
    "time_diffusion": {**_TRAINING, "widths": (32, 32), "blocks": 1},
    "time_vqvae": {
        "hidden": 8,
        "res_blocks": 1,
        **{stage: {**_TRAINING, "warmup": 2} for stage in ("stage1", "lf_prior", "hf_prior", "enhancer")},
    },
}
"""Small networks with the parts of the presets, to try the benchmark itself."""


def simulated_records(number: int, different: int = 140) -> Dataset:
    """Return simulated ECGs of 10 s at 100 Hz in memory, seven rhythms; an eighth is to validate.

    Only so many are ``different``; the others are these, made a little larger or smaller.
    """
    different = min(number, different)
    hospital = HOSPITALS["a"]
    drawn = np.empty((different, 12, 1000), dtype=np.float32)
    for i in range(different):
        rng, rhythm = np.random.default_rng([7, i]), RHYTHMS[i % 7]
        drawn[i] = simulate_ecg(rng, rhythm, hospital, draw_patient(rng, hospital, rhythm), 100.0, 10.0)
    place = np.arange(number)
    size = np.float32(1) + np.float32(0.2) * (place // different % 5).astype(np.float32)
    names = [RHYTHMS[i % different % 7] for i in place]
    records = pd.DataFrame({"label": names, "split": np.where(place // 7 % 8 == 7, "validation", "train")})
    return Dataset(drawn[place % different] * size[:, None, None], records, SignalSpec(100.0, 1000, RHYTHMS))


@contextlib.contextmanager
def tf32(way: str) -> Iterator[None]:
    """Allow TF32, or not, in the two ways that are about it; leave torch's defaults in the others."""
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    if way in (FP32, TF32):
        matmul.allow_tf32 = cudnn.allow_tf32 = way == TF32
    try:
        yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = before


def clock(device: torch.device) -> float:
    """Return the time in seconds when the device has done all it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


@dataclass(frozen=True)
class Cell:
    """What is trained, how, and with batches how many times as large as the preset's."""

    generator: str
    preset: str
    way: str
    times: int = 1


def _window(trainer: training._Trainer, steps: int) -> float:
    """Return the seconds a step."""
    started = clock(trainer.device)
    for _ in range(steps):
        trainer.step()
    return (clock(trainer.device) - started) / steps


def _kernel_seconds(trainer: training._Trainer) -> float:
    """Return how long the GPU computes and copies in a step."""
    activities = [torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=activities) as profile:
        _window(trainer, 1)
    return sum(event.self_device_time_total for event in profile.key_averages()) / 1e6


def time_steps(trainer: training._Trainer, table: Table, seconds: float, counts: bool) -> dict[str, object]:
    """Time steps of a training for about so many seconds, after :data:`FIRST_STEPS` steps; the fastest window counts.

    Args:
        trainer: new.
        table: whose lock is taken while steps are timed.
        seconds: for all windows.
        counts: whether to count floating-point operations and the kernels' time; not in a compiled network.
    """
    device = trainer.device
    first = _window(trainer, 1)
    latest = time.perf_counter() + 10 * seconds
    while trainer.state.progress.step < FIRST_STEPS and time.perf_counter() < latest:
        trainer.step()
    progress = trainer.state.progress
    loss = progress.loss_sum / progress.loss_count if progress.loss_count else math.nan
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    with table.alone():
        steps = max(1, min(200, round(seconds / WINDOWS / _window(trainer, 1))))
        step = min(_window(trainer, steps) for _ in range(WINDOWS))
        row: dict[str, object] = {
            "batch": trainer.settings.batch,
            "value": trainer.settings.steps,
            "records_per_second": trainer.settings.batch / step,
            "step_ms": 1000 * step,
            "first_step_s": first,
            "peak_mb": training._peak_memory_mb(device),
            "loss": loss,
        }
        if device.type == "cuda":
            with contextlib.suppress(RuntimeError):  # a driver without profiling
                row["busy"] = _kernel_seconds(trainer) / step
    if counts:
        with FlopCounterMode(display=False) as counter:
            trainer.step()
        row["gigaflops"] = counter.get_total_flops() / 1e9
    return row


def make(generator: str, preset: str, spec: SignalSpec, smoke: bool) -> Generator:
    """Return an untrained generator with a preset's settings; it goes on to draw however little it learned."""
    cls = load_class(generator, None)
    settings = {"preset": preset, **(SMOKE[generator] if smoke else {})}
    if generator == "time_vqvae":
        settings["reconstruction_bound"] = 1e9
    return cls(cls.Settings.model_validate(settings), spec)


def time_training(
    cell: Cell, dataset: Dataset, table: Table, *, device: str, seconds: float, smoke: bool = False
) -> Generator:
    """Train a generator stage after stage, each only as long as it takes to time it; add a row for each.

    The generator's own ``fit`` runs, with the training loop replaced by one that times the steps of the same trainer.
    """
    about = {"kind": "training", "name": cell.generator, "preset": cell.preset, "way": cell.way}

    def timed(
        module: torch.nn.Module,
        loss: training.Loss,
        train: Signals,
        validation: Signals,
        settings: training.TrainingSettings,
        *,
        seed: int,
        device: str,
        stage: str = "train",
        **_: object,
    ) -> pd.DataFrame:
        changed = settings.model_copy(update={**WAYS[cell.way], "batch": cell.times * settings.batch})
        module.to(device)
        row = {**about, "stage": stage, "batch": changed.batch}
        if table.seconds_left < 2:
            table.add(**row, note="left out: no time")
            return pd.DataFrame({"stage": [stage]})
        try:
            with tf32(cell.way), training._fork_rng(torch.device(device)):
                trainer = training._Trainer(
                    module, loss, train, validation, changed, seed=seed, device=torch.device(device), stage=stage
                )
                row |= time_steps(trainer, table, seconds, cell.way == BF16)
        except RuntimeError as error:  # out of memory; another stage may fit
            row["note"] = f"failed: {str(error)[:150]}"
        table.add(**row)
        module.zero_grad(set_to_none=True)
        module.eval()
        return pd.DataFrame({"stage": [stage]})

    free(device)
    generator = make(cell.generator, cell.preset, dataset.spec, smoke)
    fit_with(timed, generator, dataset, device)
    return generator


def fit_with(train: Callable[..., pd.DataFrame], generator: Generator, dataset: Dataset, device: str) -> None:
    """Call a generator's ``fit`` with another training loop, ``train``, in the place of the package's."""
    with mock.patch.object(training, "train", train), tempfile.TemporaryDirectory() as state:
        generator.fit(
            Signals.of(dataset, "train"),
            Signals.of(dataset, "validation"),
            seed=1,
            state_dir=Path(state),
            device=device,
            progress=False,
        )


def free(device: str) -> None:
    """Give back the memory of what was measured before."""
    gc.collect()
    if torch.device(device).type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def time_sampling(
    generator: Generator,
    sample: dict[str, Any],
    table: Table,
    *,
    number: int,
    device: str,
    seconds: float,
    **about: str,
) -> None:
    """Time how fast records are drawn, and add a row.

    Args:
        generator: a trained one.
        sample: its settings of sampling. With many evaluations, only some are timed: their cost does not differ.
        table: to add to.
        number: records drawn at a time.
        device: where to draw.
        seconds: how long to draw, about.
        about: name and preset, for the row.
    """
    labels = np.arange(number) % 7
    wanted = sample.get("evaluations")

    def draw(evaluations: int | None) -> float:
        settings = {**sample, **({} if evaluations is None else {"evaluations": evaluations})}
        started = clock(torch.device(device))
        chosen = generator.SampleSettings.model_validate(settings)
        drawn = generator.sample(labels, settings=chosen, seeds=np.arange(number), device=device)
        taken = clock(torch.device(device)) - started
        if not np.isfinite(drawn).all():
            raise RuntimeError("what was drawn is not finite")
        return taken

    free(device)
    few = None if wanted is None else min(2, wanted)
    draw(few)
    with table.alone():
        taken = draw(few)
        if wanted is not None and few is not None:
            timed = min(wanted, max(few, round(few * seconds / taken)))
            taken = draw(timed) * wanted / timed
    note = "" if wanted is None else f"{timed} of {wanted} evaluations timed"
    peak = training._peak_memory_mb(torch.device(device))
    table.add(kind="sampling", batch=number, records_per_second=number / taken, peak_mb=peak, note=note, **about)
