"""Training and use of a classifier: AdamW, cross-entropy, early stop on validation loss, best weights kept."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ecgpipe.classify.cnn import RhythmCNN
from ecgpipe.classify.inputs import InMemory, Inputs
from ecgpipe.config import ClassifierSettings
from ecgpipe.dataset import SignalSpec

_EVALUATION_BATCH = 64
_INITIAL, _SHUFFLE, _DROPOUT = range(3)


@dataclass(frozen=True)
class Fit:
    """How a training went.

    Attributes:
        epochs: epochs taken.
        best_epoch: the epoch (from 1) whose weights were kept.
        validation_loss: mean cross-entropy of the validation records with these weights.
    """

    epochs: int
    best_epoch: int
    validation_loss: float


@contextlib.contextmanager
def _seeded(device: torch.device, *entropy: int) -> Iterator[None]:
    """Seed torch's own generators within the block and leave them as they were after it."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(int(np.random.SeedSequence(entropy).generate_state(1)[0]))
        yield


def build(spec: SignalSpec, settings: ClassifierSettings, seed: int) -> RhythmCNN:
    """Return an untrained network for signals of this form, its initial weights a function of ``seed``.

    Raises:
        ValueError: if the records are too short for the number of blocks.
    """
    with _seeded(torch.device("cpu"), seed, _INITIAL):
        return RhythmCNN(
            len(spec.leads),
            spec.length,
            len(spec.classes),
            blocks=settings.blocks,
            channels=settings.channels,
            kernel=settings.kernel,
            width=settings.width,
            dense_layers=settings.dense_layers,
            dropout=settings.dropout,
        )


def _outputs(function: Callable[[Tensor], Tensor], inputs: Inputs) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the function's outputs and the labels for all inputs, in order, without gradients."""
    n = len(inputs.labels)
    with torch.no_grad():
        for start in range(0, n, _EVALUATION_BATCH):
            positions = np.arange(start, min(start + _EVALUATION_BATCH, n))
            yield function(inputs.batch(positions)), inputs.labels[start : start + _EVALUATION_BATCH]


def mean_loss(model: nn.Module, inputs: Inputs) -> float:
    """Return the mean cross-entropy over all inputs, dropout off."""
    model.eval()
    total = sum(float(F.cross_entropy(logits, labels, reduction="sum")) for logits, labels in _outputs(model, inputs))
    return total / len(inputs.labels)


def predict(model: nn.Module, inputs: Inputs) -> np.ndarray:
    """Return class probabilities, float32 ``(n, classes)``, of all inputs, dropout off."""
    model.eval()
    probabilities: np.ndarray = torch.cat([F.softmax(z, dim=1) for z, _ in _outputs(model, inputs)]).cpu().numpy()
    return probabilities


def convolution_features(model: RhythmCNN, inputs: Inputs) -> InMemory:
    """Run the convolutions over all inputs once; the result is what the network's dense head reads."""
    return InMemory(torch.cat([features for features, _ in _outputs(model.features, inputs)]), inputs.labels)


def fit(
    model: nn.Module,
    train: Inputs,
    validation: Inputs,
    settings: ClassifierSettings,
    seed: int,
    device: torch.device,
) -> Fit:
    """Train a network in place; it ends on ``device`` with the weights of its best epoch.

    AdamW (torch's default weight decay, 0.01), cross-entropy without class weights. Every epoch sees every record once,
    in an order drawn from ``seed``, the last batch being as short as it comes. An epoch is better if it lowers the mean
    cross-entropy of the validation records by more than ``min_delta``; training ends when ``patience`` epochs in a row
    are not, or after ``epochs``. On CPUs the result is a function of the arguments alone; on GPUs it repeats to rounding.

    Args:
        model: network from inputs to logits.
        train: inputs to learn from.
        validation: inputs that choose the epoch.
        settings: learning rate, batch, epochs, patience, min_delta.
        seed: seed of record order and dropout.
        device: where to train; the inputs are there already.

    Raises:
        ValueError: if there is no training or validation record, or no epoch has a finite validation loss.
    """
    n = len(train.labels)
    if n == 0 or len(validation.labels) == 0:
        raise ValueError(
            f"training needs records to learn from and to validate on, got {n} and {len(validation.labels)}"
        )
    model.to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=settings.learning_rate, fused=True)
    order = np.random.default_rng([seed, _SHUFFLE])
    best: dict[str, Tensor] = {}
    best_epoch, best_loss, epoch = 0, math.inf, 0
    with _seeded(device, seed, _DROPOUT):
        while epoch < settings.epochs and epoch - best_epoch < settings.patience:
            epoch += 1
            model.train()
            permutation = order.permutation(n)
            for start in range(0, n, settings.batch):
                positions = permutation[start : start + settings.batch]
                loss = F.cross_entropy(
                    model(train.batch(positions)), train.labels[torch.from_numpy(positions).to(device)]
                )
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
            validation_loss = mean_loss(model, validation)
            if validation_loss < best_loss - settings.min_delta:
                best = {name: value.detach().clone() for name, value in model.state_dict().items()}
                best_epoch, best_loss = epoch, validation_loss
    if not best:
        raise ValueError(
            f"the validation loss was never finite in {epoch} epochs (learning rate {settings.learning_rate}): "
            "lower the learning rate, or look for NaN in the validation records"
        )
    model.load_state_dict(best)
    model.eval()
    return Fit(epoch, best_epoch, best_loss)
