"""The training loop of every neural generator.

AdamW or Muon, linear warm-up and cosine learning-rate schedule, gradient clipping, an exponential moving average (EMA)
of the weights, validation, early stopping, and exact resume from checkpoints (:mod:`ecgpipe.generate.checkpoint`).

Everything random in a step is a function of (seed, stage, step): which records, the noise, the dropout. A run that was
killed and goes on from its checkpoint therefore ends, on a CPU, in the same bits as one that was not.

Several processes, started by torchrun, divide each batch (:mod:`ecgpipe.generate.distributed`). Noise and records are
those of one process, so the result is the same up to rounding; a network with dropout draws other masks.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import math
import resource
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Literal, cast

import numpy as np
import pandas as pd
import torch
from pydantic import Field
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from ecgpipe.generate import distributed
from ecgpipe.generate.checkpoint import TrainingState, load_checkpoint, save_checkpoint, training_digest
from ecgpipe.generate.muon import Muon, muon_parameters
from ecgpipe.generate.protocol import Settings, Signals

log = logging.getLogger(__name__)

HISTORY: tuple[str, ...] = (
    "stage",
    "step",
    "epoch",
    "train_loss",
    "validation_loss",
    "learning_rate",
    "seconds",
    "records_per_second",
    "peak_memory_mb",
)
"""Columns of a training history; a stage with metrics of its own adds theirs behind them."""

CHECK_LOSSES_EVERY = 20
"""Steps after which the losses are read: reading each would make a GPU wait for the CPU at every step."""

Decay = Annotated[float, Field(ge=0, lt=1)]

Loss = Callable[[nn.Module, torch.Tensor, torch.Tensor, torch.Generator], torch.Tensor]
"""loss(module, signals ``(b, 12, length)`` in mV, labels ``(b,)``, generator on the device) -> scalar.

The module takes tensors ``(b, ...)`` and returns one, or a tuple of them or of scalars. Random numbers come from the
generator. The loss only calls the module and reads no weights of it: the module may be one that divides its work among
processes.
"""


class TrainingError(RuntimeError):
    """Training that cannot go on; the message says at which step and why."""


class TrainingSettings(Settings):
    """How a network is trained."""

    steps: int = Field(2000, ge=1, description="Training steps.")
    batch: int = Field(64, ge=1, description="Records a training step.")
    optimizer: Literal["adamw", "muon"] = Field(
        "adamw",
        description="`adamw`, or `muon`: orthogonalised momentum for weight matrices, AdamW for the rest."
        " Short trainings get further with muon.",
    )
    learning_rate: float = Field(
        1e-3, gt=0, description="Highest learning rate, reached after the warm-up; a cosine to zero follows."
    )
    warmup: int = Field(100, ge=0, description="Steps over which the learning rate rises from zero.")
    weight_decay: float = Field(0.01, ge=0, description="Weight decay of AdamW.")
    betas: tuple[Decay, Decay] = Field((0.9, 0.999), strict=False, description="Decay rates of AdamW's two moments.")
    gradient_clip: float = Field(1.0, gt=0, description="Gradients of a larger norm are scaled down to this.")
    ema_decay: float = Field(
        0.999,
        ge=0,
        lt=1,
        description="Decay of the exponential moving average (EMA) of the weights, which is what is kept; less while"
        " few steps are done.",
    )
    balanced: bool = Field(
        False, description="Draw every class equally often in training (true), or as often as it occurs (false)."
    )
    validate_every: int = Field(200, ge=1, description="Training steps from one validation to the next.")
    validation_records: int = Field(256, ge=1, description="Validation records that the loss is computed on, at most.")
    patience: int | None = Field(
        None,
        ge=1,
        description="Early stopping: stop after so many validations without a lower loss, and keep the best weights;"
        " null: train to the end.",
    )
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto",
        description="Arithmetic of training: `fp32`, `bf16` (autocast), or `auto`: bf16 where the hardware has it.",
    )
    compile: bool = Field(
        False, description="Compile the network with torch.compile; pays on a GPU and in long trainings."
    )
    checkpoint_seconds: float = Field(60.0, ge=0, description="Seconds between two checkpoints.")


def pick_device(name: str) -> str:
    """Return ``name``, or for ``"auto"`` a CUDA device if there is one and else the CPU.

    Raises:
        ValueError: if a CUDA device is asked for and there is none.
    """
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if torch.device(name).type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device {name!r} was asked for, but torch sees no GPU; use `cpu` or `auto`")
    return name


def autocast_dtype(precision: str, device: torch.device) -> torch.dtype | None:
    """Return the type to compute in, or None for plain float32.

    ``auto`` is bfloat16 only where hardware multiplies it: on a CPU without it training gets several times slower.
    """
    if precision == "bf16":
        return torch.bfloat16
    if precision == "fp32":
        return None
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else None
    able = torch.cpu.get_capabilities()
    return torch.bfloat16 if able.get("avx512_bf16") or able.get("amx_bf16") else None


def learning_rate_schedule(step: int, settings: TrainingSettings) -> float:
    """Return the learning rate of a step (counted from 0): linear warm-up, then cosine annealing to zero."""
    if step < settings.warmup:
        return settings.learning_rate * (step + 1) / settings.warmup
    done = (step - settings.warmup) / max(1, settings.steps - settings.warmup)
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * done))


def make_optimizer(module: nn.Module, settings: TrainingSettings) -> torch.optim.Optimizer:
    """Make the optimiser that the settings name, for all parameters of a module; the loop sets its learning rate."""
    if settings.optimizer == "adamw":
        return torch.optim.AdamW(
            module.parameters(), betas=settings.betas, weight_decay=settings.weight_decay, fused=True
        )
    matrices = muon_parameters(module)
    chosen = {id(p) for p in matrices}
    others = [p for p in module.parameters() if id(p) not in chosen]
    return Muon(matrices, others, betas=settings.betas, weight_decay=settings.weight_decay)


class BatchSampler:
    """Which records make the batch of a step: a function of (seed, step) alone.

    Unbalanced, the steps walk through one permutation of all records after another, so that an epoch leaves none out.
    Balanced, each item of a batch first draws a class, then a record of it.
    """

    def __init__(self, labels: np.ndarray, batch: int, seed: list[int], balanced: bool) -> None:
        self._number, self._batch, self._seed = len(labels), batch, seed
        self._by_class = [np.flatnonzero(labels == c) for c in np.unique(labels)] if balanced else None
        self._permutations: dict[int, np.ndarray] = {}

    def __call__(self, step: int) -> np.ndarray:
        """Return the indices of the training records of a step, ``(batch,)``."""
        if self._by_class is not None:
            rng = np.random.default_rng([*self._seed, 1, step])
            chosen = rng.integers(len(self._by_class), size=self._batch)
            return np.array([rng.choice(self._by_class[c]) for c in chosen])
        epochs, positions = np.divmod(np.arange(step * self._batch, (step + 1) * self._batch), self._number)
        self._permutations = {e: self._permutation(e) for e in range(int(epochs[0]), int(epochs[-1]) + 1)}
        return np.array([self._permutations[int(e)][p] for e, p in zip(epochs, positions, strict=True)])

    def _permutation(self, epoch: int) -> np.ndarray:
        if epoch in self._permutations:
            return self._permutations[epoch]
        return np.random.default_rng([*self._seed, 0, epoch]).permutation(self._number)


class _Trainer:
    """One training: the loop's state, and the steps, validations and checkpoints that it is made of."""

    def __init__(
        self,
        module: nn.Module,
        loss: Loss,
        train: Signals,
        validation: Signals,
        settings: TrainingSettings,
        *,
        seed: int,
        device: torch.device,
        stage: str,
    ) -> None:
        self.module = module.to(device)
        self.loss = loss
        self.train = train
        self.validation = validation
        self.settings = settings
        self.device = device
        self.stage = stage
        self.seed = [seed, int.from_bytes(hashlib.sha256(stage.encode()).digest()[:4], "big")]
        self.batches = BatchSampler(train.labels, settings.batch, self.seed, settings.balanced)
        self.dtype = autocast_dtype(settings.precision, device)
        self.generator = torch.Generator(device)
        ema = AveragedModel(module).requires_grad_(False)
        compiled = cast(nn.Module, torch.compile(module)) if settings.compile else module
        self.network = distributed.data_parallel(compiled, device)
        self.state = TrainingState(module, ema, make_optimizer(module, settings))
        self.unchecked_losses: list[torch.Tensor] = []
        self.clock = self.last_validation = time.perf_counter()
        self.step_of_last_validation = 0

    @property
    def finished(self) -> bool:
        return self.state.progress.step >= self.settings.steps or self.state.progress.stopped

    def step(self) -> None:
        """Take one training step, all of whose randomness is that of its number."""
        state, number = self.state, self.state.progress.step
        noise_seed, *dropout_seeds = np.random.SeedSequence([*self.seed, 2, number]).generate_state(
            2 + distributed.rank()
        )
        self.generator.manual_seed(int(noise_seed))
        torch.manual_seed(int(dropout_seeds[-1]))
        x, y = self.train.batch(self.batches(number))
        self.module.train()
        with torch.autocast(self.device.type, dtype=self.dtype, enabled=self.dtype is not None):
            value = self.loss(self.network, x.to(self.device), y.to(self.device), self.generator)
        state.optimizer.zero_grad(set_to_none=True)
        (value * distributed.world_size()).backward()  # type: ignore[no-untyped-call]  # see data_parallel
        nn.utils.clip_grad_norm_(self.module.parameters(), self.settings.gradient_clip)
        for group in state.optimizer.param_groups:
            group["lr"] = learning_rate_schedule(number, self.settings)
        state.optimizer.step()
        # A long average of few steps would be mostly the random initial weights.
        decay = min(self.settings.ema_decay, (1 + number) / (10 + number))
        state.ema.multi_avg_fn = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
        state.ema.update_parameters(self.module)
        self.unchecked_losses.append(value.detach())
        state.progress.step += 1
        if len(self.unchecked_losses) == CHECK_LOSSES_EVERY:
            self.check_losses()

    def check_losses(self) -> None:
        """Read the losses of the last steps from the device, and add them to the running mean.

        Raises:
            TrainingError: at one that is not finite.
        """
        progress = self.state.progress
        first = progress.step - len(self.unchecked_losses)
        values = torch.stack(self.unchecked_losses).tolist() if self.unchecked_losses else []
        for step, value in enumerate(values, start=first):
            if not math.isfinite(value):
                raise TrainingError(
                    f"{self.stage}: the loss is {value} at step {step}; lower `learning_rate` (now"
                    f" {self.settings.learning_rate:g}) or use `precision: fp32`"
                )
            progress.loss_sum += value
            progress.loss_count += 1
        self.unchecked_losses.clear()

    def validate(self, measures: Callable[[nn.Module], dict[str, float]] | None) -> None:
        """Compute the validation loss with the averaged weights, and add a row to the history."""
        self.check_losses()
        progress, average = self.state.progress, self.state.ema.module
        records = (progress.step - self.step_of_last_validation) * self.settings.batch
        rate = records / (time.perf_counter() - self.last_validation)
        loss, metrics = math.nan, {}
        if distributed.rank() == 0:
            loss = validation_loss(average, self.loss, self.validation, self.settings, self.seed[1], self.device)
            metrics = measures(average) if measures is not None else {}
        # All processes must agree on when to stop.
        loss = float(distributed.broadcast(torch.tensor(loss, dtype=torch.float64, device=self.device)))
        self.tick()
        row = {
            "stage": self.stage,
            "step": progress.step,
            "epoch": progress.step * self.settings.batch / len(self.train),
            "train_loss": progress.loss_sum / progress.loss_count,
            "validation_loss": loss,
            "learning_rate": learning_rate_schedule(progress.step - 1, self.settings),
            "seconds": progress.seconds,
            "records_per_second": rate,
            "peak_memory_mb": _peak_memory_mb(self.device),
            **metrics,
        }
        log.info("%s", ", ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items()))
        progress.history.append(row)
        progress.loss_sum, progress.loss_count = 0.0, 0
        self.last_validation, self.step_of_last_validation = self.clock, progress.step
        if self.settings.patience is not None:
            self._early_stopping(loss, self.settings.patience)

    def _early_stopping(self, loss: float, patience: int) -> None:
        """Keep the best averaged weights; stop when ``patience`` validations have not found better ones."""
        progress = self.state.progress
        if loss < progress.best_loss:
            progress.best_loss, progress.validations_since_best = loss, 0
            self.state.best = {k: v.detach().clone() for k, v in self.state.ema.module.state_dict().items()}
        else:
            progress.validations_since_best += 1
            progress.stopped = progress.validations_since_best >= patience

    def tick(self) -> None:
        """Add the time since the last tick to the seconds this training took, over all its starts."""
        now = time.perf_counter()
        self.state.progress.seconds += now - self.clock
        self.clock = now

    def save(self, path: Path, digest: str) -> None:
        """Write a checkpoint; see :func:`ecgpipe.generate.checkpoint.save_checkpoint`."""
        self.check_losses()
        self.tick()
        save_checkpoint(path, digest, self.state)

    def resume(self, path: Path, digest: str) -> None:
        """Go on from a checkpoint if there is one of this very training; else start anew, and say why."""
        if load_checkpoint(path, digest, self.state, self.device):
            self.step_of_last_validation = self.state.progress.step
            log.info("%s: going on from step %d, found in %s", self.stage, self.state.progress.step, path)


def _peak_memory_mb(device: torch.device) -> float:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e6
    kilobyte = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * kilobyte / 1e6


@contextlib.contextmanager
def _fork_rng(device: torch.device) -> Iterator[None]:
    """Leave torch's global generators as they were: the loop seeds them at every step (dropout draws from them)."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        yield


def validation_rows(labels: np.ndarray, number: int) -> np.ndarray:
    """Choose at most ``number`` records, stratified by class: evenly spaced over the records sorted by class."""
    by_class = np.argsort(labels, kind="stable")
    return by_class[np.linspace(0, len(labels) - 1, min(number, len(labels))).round().astype(np.int64)]


@torch.no_grad()
def validation_loss(
    module: nn.Module, loss: Loss, signals: Signals, settings: TrainingSettings, seed: int, device: torch.device
) -> float:
    """Return the mean loss of a module on validation records, with the same noise at every call."""
    rows = validation_rows(signals.labels, settings.validation_records)
    dtype = autocast_dtype(settings.precision, device)
    generator = torch.Generator(device).manual_seed(seed)
    module.eval()
    total = 0.0
    for first in range(0, len(rows), settings.batch):
        x, y = signals.batch(rows[first : first + settings.batch])
        with torch.autocast(device.type, dtype=dtype, enabled=dtype is not None):
            total += len(y) * float(loss(module, x.to(device), y.to(device), generator))
    return total / len(rows)


def train(
    module: nn.Module,
    loss: Loss,
    train: Signals,
    validation: Signals,
    settings: TrainingSettings,
    *,
    seed: int,
    device: str,
    state_dir: Path,
    progress: bool,
    stage: str = "train",
    identity: str = "",
    measures: Callable[[nn.Module], dict[str, float]] | None = None,
) -> pd.DataFrame:
    """Train ``module`` in place; it ends with the averaged weights (the best of them, if ``patience`` is set).

    Args:
        module: on any device; moved to ``device``.
        loss: of a batch. It gets the module to call, since the moving average and a compiled form are other modules.
        train: records to learn from.
        validation: records for the validation loss, which is that of the averaged weights with fixed noise.
        settings: see :class:`TrainingSettings`.
        seed: of everything random here.
        device: ``"cpu"``, ``"cuda"``, ``"cuda:1"``.
        state_dir: folder of the checkpoint ``<stage>.safetensors``, from which a killed run goes on. It stays there; a
            finished stage found there is not trained again.
        progress: show a bar (on a terminal).
        stage: name of this training among those of a generator that has several.
        identity: any text that must be equal for a checkpoint to be taken up (the generator's own settings).
        measures: metrics to compute on the averaged module at every validation; each becomes a history column.

    Returns:
        History with the columns :data:`HISTORY`, one row a validation.

    Raises:
        TrainingError: if a loss is not finite.
        ValueError: if there are no training or no validation records, or a batch cannot be divided among the processes.
    """
    if settings.batch % distributed.world_size():
        raise ValueError(
            f"a `batch` of {settings.batch} records cannot be divided evenly among {distributed.world_size()}"
            " processes; change one of the two"
        )
    for name, signals in (("training", train), ("validation", validation)):
        if not len(signals):
            raise ValueError(f"there are no {name} records to train a generator with")
    trainer = _Trainer(module, loss, train, validation, settings, seed=seed, device=torch.device(device), stage=stage)
    checkpoint = state_dir / f"{stage}.safetensors"
    digest = training_digest(module, train, validation, settings, seed, stage, identity)
    trainer.resume(checkpoint, digest)
    state = trainer.state
    writes = distributed.rank() == 0
    bar = tqdm(
        total=settings.steps,
        initial=state.progress.step,
        desc=stage,
        unit="step",
        disable=None if progress and writes else True,
    )
    with bar, _fork_rng(trainer.device):
        saved = time.perf_counter()
        while not trainer.finished:
            trainer.step()
            bar.update()
            if state.progress.step % settings.validate_every == 0 or trainer.finished:
                trainer.validate(measures)
            if writes and (trainer.finished or time.perf_counter() - saved >= settings.checkpoint_seconds):
                trainer.save(checkpoint, digest)
                saved = time.perf_counter()
    module.load_state_dict(state.best or state.ema.module.state_dict())
    for tensor in module.state_dict().values():
        distributed.broadcast(tensor)  # buffers depend on the shards that a process saw
    module.eval()
    history = state.progress.history
    return pd.DataFrame(history, columns=[*HISTORY, *(c for c in history[0] if c not in HISTORY)])
