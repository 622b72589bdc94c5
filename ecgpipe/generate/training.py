"""The training loop of every generator: AdamW or Muon, warm-up and cosine, clipped gradients, moving average, exact resume.

Everything random in a step is a function of (seed, stage, step): which records, the noise, the dropout. A run that was
killed and goes on from its checkpoint therefore ends, on a CPU, in the same bits as one that was not.

Started by torchrun, several processes divide each batch (:mod:`ecgpipe.generate.processes`). Noise and records are those
of one process, so the result is the same up to rounding; a network with dropout draws other masks.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import math
import resource
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import numpy as np
import pandas as pd
import torch
from pydantic import Field
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from ecgpipe import checkpoints
from ecgpipe.generate import processes
from ecgpipe.generate.muon import Muon, matrices_of
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
"""Columns of a history; a stage with measures of its own adds theirs behind them."""

FLUSH_EVERY = 20
"""Steps between looks at the losses: asking for each would make a GPU wait for the CPU at every step."""

Decay = Annotated[float, Field(ge=0, lt=1)]

Loss = Callable[[nn.Module, torch.Tensor, torch.Tensor, torch.Generator], torch.Tensor]
"""loss(module, signals ``(b, 12, length)`` in mV, labels ``(b,)``, generator on the device) -> scalar.

The module takes tensors ``(b, ...)`` and gives one, or a tuple of them or of scalars. Random numbers come from the
generator, and weights are reached by calling the module only: it may be one that divides its work among processes.
"""


class TrainingError(RuntimeError):
    """Training that cannot go on; the message says at which step and why."""


class TrainingSettings(Settings):
    """How a network is trained."""

    steps: int = Field(2000, ge=1, description="Training steps.")
    batch: int = Field(64, ge=1, description="Records a training step.")
    optimizer: Literal["adamw", "muon"] = Field(
        "adamw",
        description="`adamw`, or `muon`: orthogonalised momentum for weight matrices, AdamW for the rest. Short trainings get further with muon.",
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
        description="Decay of the moving average of the weights, which is what is kept; less while few steps are done.",
    )
    balanced: bool = Field(
        False, description="Draw every class equally often in training (true), or as often as it occurs (false)."
    )
    validate_every: int = Field(200, ge=1, description="Steps between two looks at the validation loss.")
    validation_records: int = Field(256, ge=1, description="Validation records to compute that loss on, at most.")
    patience: int | None = Field(
        None,
        ge=1,
        description="Stop after so many looks without a better validation loss, and keep the best weights; null: train to the end.",
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


def learning_rate_at(step: int, settings: TrainingSettings) -> float:
    """Return the learning rate of a step (counted from 0): linear warm-up, then a cosine to zero."""
    if step < settings.warmup:
        return settings.learning_rate * (step + 1) / settings.warmup
    done = (step - settings.warmup) / max(1, settings.steps - settings.warmup)
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * done))


def optimizer_of(module: nn.Module, settings: TrainingSettings) -> torch.optim.Optimizer:
    """Return the optimiser of a module's parameters that the settings name; the loop sets its learning rate."""
    if settings.optimizer == "adamw":
        return torch.optim.AdamW(
            module.parameters(), betas=settings.betas, weight_decay=settings.weight_decay, fused=True
        )
    matrices = matrices_of(module)
    turned = {id(p) for p in matrices}
    others = [p for p in module.parameters() if id(p) not in turned]
    return Muon(matrices, others, betas=settings.betas, weight_decay=settings.weight_decay)


class BatchOrder:
    """Which records make the batch of a step: a function of (seed, step) alone.

    Unbalanced, the steps walk through one permutation of all records after another, so that none is left out of an
    epoch. Balanced, each place of a batch first draws a class, then a record of it.
    """

    def __init__(self, labels: np.ndarray, batch: int, seed: list[int], balanced: bool) -> None:
        self._number, self._batch, self._seed = len(labels), batch, seed
        self._by_class = [np.flatnonzero(labels == c) for c in np.unique(labels)] if balanced else None
        self._permutations: dict[int, np.ndarray] = {}

    def __call__(self, step: int) -> np.ndarray:
        """Return places among the training records, ``(batch,)``."""
        if self._by_class is not None:
            rng = np.random.default_rng([*self._seed, 1, step])
            chosen = rng.integers(len(self._by_class), size=self._batch)
            return np.array([rng.choice(self._by_class[c]) for c in chosen])
        epochs, places = np.divmod(np.arange(step * self._batch, (step + 1) * self._batch), self._number)
        self._permutations = {e: self._permutation(e) for e in range(int(epochs[0]), int(epochs[-1]) + 1)}
        return np.array([self._permutations[int(e)][p] for e, p in zip(epochs, places, strict=True)])

    def _permutation(self, epoch: int) -> np.ndarray:
        if epoch in self._permutations:
            return self._permutations[epoch]
        return np.random.default_rng([*self._seed, 0, epoch]).permutation(self._number)


@dataclass
class _Progress:
    """What a checkpoint says besides tensors."""

    step: int = 0
    seconds: float = 0.0
    loss_sum: float = 0.0
    loss_count: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    best_loss: float = math.inf
    looks_since_best: int = 0
    stopped: bool = False


class _Run:
    """One training: module, moving average, optimiser, and where it stands."""

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
        self.order = BatchOrder(train.labels, settings.batch, self.seed, settings.balanced)
        self.dtype = autocast_dtype(settings.precision, device)
        self.generator = torch.Generator(device)
        self.ema = AveragedModel(module).requires_grad_(False)
        compiled = cast(nn.Module, torch.compile(module)) if settings.compile else module
        self.network = processes.divided(compiled, device)
        self.optimizer = optimizer_of(module, settings)
        self.best: dict[str, torch.Tensor] = {}
        self.progress = _Progress()
        self.pending: list[torch.Tensor] = []
        """Losses not looked at yet: asking for each would make a GPU wait for the CPU at every step."""
        self.clock = self.last_look = time.perf_counter()
        self.step_of_last_look = 0

    @property
    def finished(self) -> bool:
        return self.progress.step >= self.settings.steps or self.progress.stopped

    def step(self) -> None:
        """Take one training step, all of whose randomness is that of its number."""
        number = self.progress.step
        noise_seed, *dropout_seeds = np.random.SeedSequence([*self.seed, 2, number]).generate_state(
            2 + processes.rank()
        )
        self.generator.manual_seed(int(noise_seed))
        torch.manual_seed(int(dropout_seeds[-1]))
        x, y = self.train.batch(self.order(number))
        self.module.train()
        with torch.autocast(self.device.type, dtype=self.dtype, enabled=self.dtype is not None):
            value = self.loss(self.network, x.to(self.device), y.to(self.device), self.generator)
        self.optimizer.zero_grad(set_to_none=True)
        (value * processes.count()).backward()  # type: ignore[no-untyped-call]  # see processes.divided
        nn.utils.clip_grad_norm_(self.module.parameters(), self.settings.gradient_clip)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate_at(number, self.settings)
        self.optimizer.step()
        # A long average of few steps would be mostly the random start.
        decay = min(self.settings.ema_decay, (1 + number) / (10 + number))
        self.ema.multi_avg_fn = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
        self.ema.update_parameters(self.module)
        self.pending.append(value.detach())
        self.progress.step += 1
        if len(self.pending) == FLUSH_EVERY:
            self.flush()

    def flush(self) -> None:
        """Look at the pending losses.

        Raises:
            TrainingError: at one that is not finite.
        """
        first = self.progress.step - len(self.pending)
        for place, value in enumerate(torch.stack(self.pending).tolist() if self.pending else []):
            if not math.isfinite(value):
                raise TrainingError(
                    f"{self.stage}: the loss is {value} at step {first + place}; lower `learning_rate` (now {self.settings.learning_rate:g})"
                    " or use `precision: fp32`"
                )
            self.progress.loss_sum += value
            self.progress.loss_count += 1
        self.pending.clear()

    def look(self, measures: Callable[[nn.Module], dict[str, float]] | None) -> None:
        """Compute the validation loss with the averaged weights, and add a row to the history."""
        self.flush()
        state = self.progress
        rate = (state.step - self.step_of_last_look) * self.settings.batch / (time.perf_counter() - self.last_look)
        average = self.ema.module
        found, more = math.nan, {}
        if processes.rank() == 0:
            found = validation_loss(average, self.loss, self.validation, self.settings, self.seed[1], self.device)
            more = measures(average) if measures is not None else {}
        # All must agree on when to stop.
        found = float(processes.take_from_first(torch.tensor(found, dtype=torch.float64, device=self.device)))
        self.tick()
        row = {
            "stage": self.stage,
            "step": state.step,
            "epoch": state.step * self.settings.batch / len(self.train),
            "train_loss": state.loss_sum / state.loss_count,
            "validation_loss": found,
            "learning_rate": learning_rate_at(state.step - 1, self.settings),
            "seconds": state.seconds,
            "records_per_second": rate,
            "peak_memory_mb": _peak_memory_mb(self.device),
            **more,
        }
        log.info("%s", ", ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items()))
        state.history.append(row)
        state.loss_sum, state.loss_count = 0.0, 0
        self.last_look, self.step_of_last_look = self.clock, state.step
        if self.settings.patience is not None:
            self._watch(found, self.settings.patience)

    def _watch(self, loss: float, patience: int) -> None:
        """Keep the best averaged weights; stop when they have not become better for ``patience`` looks."""
        state = self.progress
        if loss < state.best_loss:
            state.best_loss, state.looks_since_best = loss, 0
            self.best = {k: v.detach().clone() for k, v in self.ema.module.state_dict().items()}
        else:
            state.looks_since_best += 1
            state.stopped = state.looks_since_best >= patience

    def tick(self) -> None:
        """Add the time since the last tick to the seconds this training took, over all its starts."""
        now = time.perf_counter()
        self.progress.seconds += now - self.clock
        self.clock = now

    def save(self, path: Path, digest: str) -> None:
        """Write a checkpoint: tensors, and the rest as JSON in the same file."""
        self.flush()
        self.tick()
        tensors = {f"module/{k}": v for k, v in self.module.state_dict().items()}
        tensors |= {f"ema/{k}": v for k, v in self.ema.state_dict().items()}
        tensors |= {f"best/{k}": v for k, v in self.best.items()}
        for name, parameter in self.module.named_parameters():
            tensors |= {f"optimizer/{k}/{name}": v for k, v in self.optimizer.state[parameter].items()}
        metadata = {"digest": digest, "progress": json.dumps(vars(self.progress))}
        with checkpoints.writing(path, keep=2) as temporary:
            save_file({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, temporary, metadata=metadata)

    def resume(self, path: Path, digest: str) -> None:
        """Go on from a checkpoint if there is one of this very training; else start anew, and say why."""
        version = next(checkpoints.sound(path), None)
        if version is None:
            return
        try:
            with safe_open(version, framework="pt") as handle:
                metadata = handle.metadata() or {}
                tensors = {name: handle.get_tensor(name) for name in handle.keys()}  # noqa: SIM118 - no mapping
        except SafetensorError as error:
            log.warning("%s is damaged (%s); starting anew", path, error)
            return
        if metadata.get("digest") != digest:
            log.warning(
                "%s is the checkpoint of another training (other settings, seed, data or torch); starting anew", path
            )
            return

        def part(prefix: str) -> dict[str, torch.Tensor]:
            return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}

        self.module.load_state_dict(part("module/"))
        self.ema.load_state_dict(part("ema/"))
        self.best = {k: v.to(self.device) for k, v in part("best/").items()}
        parameters = dict(self.module.named_parameters())
        for name, count in part("optimizer/step/").items():
            like = parameters[name]
            moments = {
                k: torch.zeros_like(like).copy_(tensors[saved])
                for k in ("exp_avg", "exp_avg_sq")
                if (saved := f"optimizer/{k}/{name}") in tensors
            }
            self.optimizer.state[like] = {"step": count.to(self.device), **moments}
        self.progress = _Progress(**json.loads(metadata["progress"]))
        self.step_of_last_look = self.progress.step
        log.info("%s: going on from step %d, found in %s", self.stage, self.progress.step, path)


def _digest(
    module: nn.Module,
    train: Signals,
    validation: Signals,
    settings: TrainingSettings,
    seed: int,
    stage: str,
    identity: str,
) -> str:
    """Name a training: a checkpoint is taken up only by the training that wrote it."""
    facts = {
        "settings": settings.model_dump(mode="json", exclude={"checkpoint_seconds"}),
        "seed": seed,
        "stage": stage,
        "identity": identity,
        "torch": torch.__version__,
        "spec": train.spec.to_json(),
        "train": hashlib.sha256(train.labels.tobytes()).hexdigest(),
        "validation": hashlib.sha256(validation.labels.tobytes()).hexdigest(),
        "parameters": {name: list(p.shape) for name, p in module.named_parameters()},
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _peak_memory_mb(device: torch.device) -> float:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e6
    kilobyte = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * kilobyte / 1e6


@contextlib.contextmanager
def _own_randomness(device: torch.device) -> Iterator[None]:
    """Leave torch's global generators as they were: the loop seeds them at every step (dropout draws from them)."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        yield


def validation_rows(labels: np.ndarray, number: int) -> np.ndarray:
    """Choose at most ``number`` places, evenly spaced over the records sorted by class, so that each class has its share."""
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
        loss: of a batch; it gets the module to use, since the moving average and a compiled form are other modules.
        train: records to learn from.
        validation: records to watch the loss on, with the averaged weights and fixed noise.
        settings: see :class:`TrainingSettings`.
        seed: of everything random here.
        device: ``"cpu"``, ``"cuda"``, ``"cuda:1"``.
        state_dir: folder of the checkpoint ``<stage>.safetensors`` (see :mod:`ecgpipe.checkpoints`), from which a
            killed run goes on. It stays there; a finished stage found there is not trained again.
        progress: show a bar (on a terminal).
        stage: name of this training among those of a generator that has several.
        identity: any text that must be equal for a checkpoint to be taken up (the generator's own settings).
        measures: computed on the averaged module at every look at the validation loss; each becomes a history column.

    Returns:
        History with the columns :data:`HISTORY`, one row a look at the validation loss.

    Raises:
        TrainingError: if a loss is not finite.
        ValueError: if there are no training or no validation records, or a batch cannot be divided among the processes.
    """
    if settings.batch % processes.count():
        raise ValueError(
            f"a `batch` of {settings.batch} records cannot be divided evenly among {processes.count()} processes; change one of the two"
        )
    for name, signals in (("training", train), ("validation", validation)):
        if not len(signals):
            raise ValueError(f"there are no {name} records to train a generator with")
    run = _Run(module, loss, train, validation, settings, seed=seed, device=torch.device(device), stage=stage)
    checkpoint = state_dir / f"{stage}.safetensors"
    digest = _digest(module, train, validation, settings, seed, stage, identity)
    run.resume(checkpoint, digest)
    first = processes.rank() == 0
    bar = tqdm(
        total=settings.steps,
        initial=run.progress.step,
        desc=stage,
        unit="step",
        disable=None if progress and first else True,
    )
    with bar, _own_randomness(run.device):
        saved = time.perf_counter()
        while not run.finished:
            run.step()
            bar.update()
            if run.progress.step % settings.validate_every == 0 or run.finished:
                run.look(measures)
            if first and (run.finished or time.perf_counter() - saved >= settings.checkpoint_seconds):
                run.save(checkpoint, digest)
                saved = time.perf_counter()
    module.load_state_dict(run.best or run.ema.module.state_dict())
    for tensor in module.state_dict().values():
        processes.take_from_first(tensor)  # buffers follow the records that a process saw
    module.eval()
    history = run.progress.history
    return pd.DataFrame(history, columns=[*HISTORY, *(c for c in history[0] if c not in HISTORY)])
