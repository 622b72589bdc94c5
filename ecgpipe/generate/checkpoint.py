"""Checkpoints of a training: all that exact resume needs, in one safetensors file.

Tensors are those of the module, of its moving average (EMA), of the optimiser, and of the best weights so far; the
rest of the state is JSON in the file's metadata. A digest names the training: no other training takes the file up.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn
from torch.optim.swa_utils import AveragedModel

from ecgpipe import checkpoints
from ecgpipe.generate.protocol import Settings, Signals

log = logging.getLogger(__name__)


@dataclass
class Progress:
    """Where a training stands, besides its tensors."""

    step: int = 0
    seconds: float = 0.0
    loss_sum: float = 0.0
    loss_count: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    best_loss: float = math.inf
    validations_since_best: int = 0
    stopped: bool = False

    def to_json(self) -> str:
        """Return what :meth:`from_json` reads."""
        return json.dumps(vars(self))

    @classmethod
    def from_json(cls, text: str) -> Progress:
        """Read what :meth:`to_json` wrote."""
        return cls(**json.loads(text))


@dataclass
class TrainingState:
    """What a training step changes: weights, their moving average, the optimiser, the best weights, the progress."""

    module: nn.Module
    ema: AveragedModel
    optimizer: torch.optim.Optimizer
    best: dict[str, torch.Tensor] = field(default_factory=dict)
    """Averaged weights with the lowest validation loss; kept for early stopping only."""
    progress: Progress = field(default_factory=Progress)


def training_digest(
    module: nn.Module,
    train: Signals,
    validation: Signals,
    settings: Settings,
    seed: int,
    stage: str,
    identity: str,
) -> str:
    """Return the SHA-256 of all that must be equal for a training to go on from a checkpoint."""
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


def save_checkpoint(path: Path, digest: str, state: TrainingState) -> None:
    """Write a checkpoint; the one before it is kept too."""
    tensors = {f"module/{k}": v for k, v in state.module.state_dict().items()}
    tensors |= {f"ema/{k}": v for k, v in state.ema.state_dict().items()}
    tensors |= {f"best/{k}": v for k, v in state.best.items()}
    for name, parameter in state.module.named_parameters():
        tensors |= {f"optimizer/{k}/{name}": v for k, v in state.optimizer.state[parameter].items()}
    metadata = {"digest": digest, "progress": state.progress.to_json()}
    with checkpoints.writing(path, keep=2) as temporary:
        save_file({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, temporary, metadata=metadata)


def load_checkpoint(path: Path, digest: str, state: TrainingState, device: torch.device) -> bool:
    """Set ``state`` to that of the newest sound checkpoint of this very training; return whether there is one."""
    version = next(checkpoints.sound(path), None)
    if version is None:
        return False
    try:
        with safe_open(version, framework="pt") as handle:
            metadata = handle.metadata() or {}
            tensors = {name: handle.get_tensor(name) for name in handle.keys()}  # noqa: SIM118 - no mapping
    except SafetensorError as error:
        log.warning("%s is damaged (%s); starting anew", path, error)
        return False
    if metadata.get("digest") != digest:
        log.warning(
            "%s is the checkpoint of another training (other settings, seed, data or torch); starting anew", path
        )
        return False

    def part(prefix: str) -> dict[str, torch.Tensor]:
        return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}

    state.module.load_state_dict(part("module/"))
    state.ema.load_state_dict(part("ema/"))
    state.best = {k: v.to(device) for k, v in part("best/").items()}
    parameters = dict(state.module.named_parameters())
    for name, step in part("optimizer/step/").items():
        parameter = parameters[name]
        moments = {
            k: torch.zeros_like(parameter).copy_(tensors[saved])
            for k in ("exp_avg", "exp_avg_sq")
            if (saved := f"optimizer/{k}/{name}") in tensors
        }
        state.optimizer.state[parameter] = {"step": step.to(device), **moments}
    state.progress = Progress.from_json(metadata["progress"])
    return True
