"""Training and use of a classifier: AdamW, early stopping on the validation loss, best weights kept."""

from __future__ import annotations

import contextlib
import functools
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ecgpipe.classify.baselines import passes, reader
from ecgpipe.classify.cnn import RhythmCNN
from ecgpipe.classify.inputs import InMemory, Inputs
from ecgpipe.classify.network import Network
from ecgpipe.classify.registry import own_network
from ecgpipe.classify.resnets import ResNetWang, XResNet
from ecgpipe.config import (
    AnyClassifier,
    ClassifierSettings,
    ClassifierTraining,
    Loss,
    OwnClassifierSettings,
    WangSettings,
)
from ecgpipe.dataset import SignalSpec
from ecgpipe.vocabulary import CLASS_WEIGHTS

VALIDATIONS = 10
"""How often the validation loss is computed in a training of a fixed number of steps."""

EVALUATION_BATCH = 64
"""Records that are passed through a network at once when nothing is learnt."""
_WARM_UP = 0.25
_INITIAL, _SHUFFLE, DROPOUT, _CHANGES = range(4)

Losses = Callable[[Tensor, Tensor], Tensor]
"""From logits ``(n, classes)`` and labels ``(n,)`` to a loss for each record, ``(n,)``."""


@dataclass(frozen=True)
class Fit:
    """How a training went.

    Attributes:
        steps: optimiser steps taken.
        best_step: the step (from 1) whose weights were kept.
        validation_loss: mean loss of the validation records with these weights.
    """

    steps: int
    best_step: int
    validation_loss: float


class NeverFiniteError(ValueError):
    """The validation loss of a network was never finite."""


@contextlib.contextmanager
def seeded(device: torch.device, *entropy: int) -> Iterator[None]:
    """Seed torch's own generators within the block and leave them as they were after it."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(int(np.random.SeedSequence(entropy).generate_state(1)[0]))
        yield


def build(spec: SignalSpec, settings: AnyClassifier, seed: int) -> Network:
    """Return an untrained network for signals of this form, its initial weights a function of ``seed``.

    Raises:
        ValueError: if the records are too short for the number of blocks.
        ClassifierError: if a class of the user's own cannot be had, or does not take its settings.
    """
    leads, classes = len(spec.leads), len(spec.classes)
    with seeded(torch.device("cpu"), seed, _INITIAL):
        if isinstance(settings, ClassifierSettings):
            return RhythmCNN(
                leads,
                spec.length,
                classes,
                blocks=settings.blocks,
                channels=settings.channels,
                kernel=settings.kernel,
                width=settings.width,
                dense_layers=settings.dense_layers,
                dropout=settings.dropout,
            )
        if isinstance(settings, WangSettings):
            return ResNetWang(leads, classes, channels=settings.channels)
        if isinstance(settings, OwnClassifierSettings):
            return own_network(settings.class_, settings.network, spec)
        return XResNet(leads, classes, depth=settings.depth, channels=settings.channels, dropout=settings.dropout)


def linear_probe(features: Inputs, spec: SignalSpec, seed: int) -> nn.Linear:
    """Return one untrained linear layer from convolution features ``(n, f)`` to logits, a function of ``seed``."""
    with seeded(torch.device("cpu"), seed, _INITIAL):
        return nn.Linear(features.batch(np.zeros(1, dtype=np.int64)).shape[1], len(spec.classes))


def _outputs(function: Callable[[Tensor], Tensor], inputs: Inputs) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the function's outputs and the labels for all inputs, in order, without gradients."""
    n = len(inputs.labels)
    with torch.no_grad():
        for start in range(0, n, EVALUATION_BATCH):
            positions = np.arange(start, min(start + EVALUATION_BATCH, n))
            yield function(inputs.batch(positions)), inputs.labels[start : start + EVALUATION_BATCH]


def _cross_entropy(logits: Tensor, labels: Tensor, smoothing: float = 0.0) -> Tensor:
    return F.cross_entropy(logits, labels, reduction="none", label_smoothing=smoothing)


def _focal(logits: Tensor, labels: Tensor, smoothing: float = 0.0) -> Tensor:
    """Cross-entropy that counts less the surer a right answer is: (1 - p)^2 times it (Lin et al., ICCV 2017)."""
    p = torch.exp(-_cross_entropy(logits, labels))
    focused: Tensor = (1 - p) ** 2 * _cross_entropy(logits, labels, smoothing)
    return focused


def losses(kind: Loss, train: Tensor, smoothing: float = 0.0) -> Losses:
    """Return the loss of a record.

    Args:
        kind: ``cross_entropy``; ``weighted``, the same times n / (classes present * records of the class) of the
            training records (0 for a class without any), so that classes weigh alike and the mean weight is 1; or
            ``focal``.
        train: class ids of the training records, ``(n,)``.
        smoothing: of the labels: a share of 1 that is spread evenly over all classes (Szegedy et al., CVPR 2016, arXiv
            1512.00567, section 7).
    """
    if kind != "weighted":
        return functools.partial(_focal if kind == "focal" else _cross_entropy, smoothing=smoothing)
    counts = torch.bincount(train)
    present = counts > 0
    known = torch.where(present, len(train) / (counts.clamp(min=1) * present.sum()), 0.0)

    def weighted(logits: Tensor, labels: Tensor) -> Tensor:
        weights = F.pad(known, (0, logits.shape[1] - len(counts)))
        return _cross_entropy(logits, labels, smoothing) * weights[labels]

    return weighted


def mean_loss(model: nn.Module, inputs: Inputs, loss: Losses = _cross_entropy) -> float:
    """Return the mean loss over all inputs, dropout off."""
    model.eval()
    return sum(float(loss(logits, labels).sum()) for logits, labels in _outputs(model, inputs)) / len(inputs.labels)


def predict(model: nn.Module, inputs: Inputs) -> np.ndarray:
    """Return class probabilities, float32 ``(n, classes)``, of all inputs, dropout off."""
    model.eval()
    probabilities: np.ndarray = torch.cat([F.softmax(z, dim=1) for z, _ in _outputs(model, inputs)]).cpu().numpy()
    return probabilities


def convolution_features(model: Network, inputs: Inputs) -> InMemory:
    """Run the convolutions over all inputs once; the result is what the network's dense head reads."""
    return InMemory(torch.cat([features for features, _ in _outputs(model.features, inputs)]), inputs.labels)


def _batches(n: int, batch: int) -> list[slice]:
    """Cut ``n`` records into batches; one left over goes with those before it, for batch norm needs two."""
    starts = list(range(0, n, batch))
    if n % batch == 1 and n > 1:
        starts.pop()
    return [slice(start, end) for start, end in itertools.pairwise([*starts, n])]


class EarlyStopping:
    """Keeps the weights with the best validation loss, and says when to stop.

    A validation loss is better if it is lower than the best one by more than ``min_delta``.

    Args:
        patience: validations in a row without a better loss after which training stops.
        min_delta: least fall of the loss that counts.
    """

    def __init__(self, patience: int, min_delta: float) -> None:
        self.patience, self.min_delta = patience, min_delta
        self.validation = self.best_validation = 0
        self.best_loss = math.inf
        self.best: dict[str, Tensor] = {}

    def update(self, loss: float, weights: Mapping[str, Tensor]) -> None:
        """Take the loss of the next validation, and the weights if it is better."""
        self.validation += 1
        if loss < self.best_loss - self.min_delta:
            self.best = {name: value.detach().clone() for name, value in weights.items()}
            self.best_validation, self.best_loss = self.validation, loss

    @property
    def stop(self) -> bool:
        """Whether training is to end."""
        return self.validation - self.best_validation >= self.patience


def _validation_steps(settings: ClassifierTraining, batches: int) -> list[int]:
    """Return the steps after which the validation loss is computed, ascending from 0, where it is not."""
    number = min(VALIDATIONS, settings.steps) if settings.steps else settings.epochs
    total = settings.steps or number * batches
    return [total * validation // number for validation in range(number + 1)]


class Course:
    """One training without its network: the batches in their order, how they weigh, and what is kept.

    Args:
        train: inputs to learn from.
        validation: inputs that choose the weights.
        settings: loss, batch, epochs, steps, patience, min_delta.
        seed: seed of record order and changes.
        baseline: as in :func:`fit`.

    Attributes:
        steps: after which the validation loss is computed, ascending from 0, where it is not.
        losses: of a record.
        stopping: keeps the best weights.

    Raises:
        ValueError: if there is no training or validation record.
    """

    def __init__(
        self, train: Inputs, validation: Inputs, settings: ClassifierTraining, seed: int, baseline: str | None
    ) -> None:
        n = len(train.labels)
        if n == 0 or len(validation.labels) == 0:
            raise ValueError(
                f"training needs records to learn from and to validate on, got {n} and {len(validation.labels)}"
            )
        self._labels, self._learning_rate = train.labels, settings.learning_rate
        cuts = _batches(n, settings.batch)
        self.steps = _validation_steps(settings, len(cuts))
        orders = passes(baseline, train.labels.cpu().numpy(), np.random.default_rng([seed, _SHUFFLE]))
        self._positions = (order[cut] for order in orders for cut in cuts)
        self._read = reader(baseline, train, np.random.default_rng([seed, _CHANGES]))
        kind: Loss = "weighted" if baseline == CLASS_WEIGHTS else settings.loss
        self.losses = losses(kind, train.labels, settings.label_smoothing)
        self.stopping = EarlyStopping(settings.patience, settings.min_delta)

    def batches(self, number: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the inputs and labels of the next batches."""
        for positions in itertools.islice(self._positions, number):
            yield self._read(positions), self._labels[torch.from_numpy(positions).to(self._labels.device)]

    def end(self, model: nn.Module) -> Fit:
        """Give the network its best weights, and tell how the training went.

        Raises:
            NeverFiniteError: if the validation loss was never finite.
        """
        stopping, steps = self.stopping, self.steps
        if not stopping.best:
            raise NeverFiniteError(
                f"the validation loss was never finite in {steps[stopping.validation]} steps (learning rate "
                f"{self._learning_rate}): lower the learning rate, or look for NaN in the validation records"
            )
        model.load_state_dict(stopping.best)
        model.eval()
        return Fit(steps[stopping.validation], steps[stopping.best_validation], stopping.best_loss)


class Optimizer:
    """AdamW with torch's default weight decay (0.01); with a number of steps, at a one-cycle learning rate."""

    def __init__(self, parameters: Iterable[Tensor], settings: ClassifierTraining) -> None:
        self.adamw = torch.optim.AdamW(parameters, lr=settings.learning_rate, fused=True)
        self._schedule: torch.optim.lr_scheduler.OneCycleLR | None = None
        if settings.steps:
            self._schedule = torch.optim.lr_scheduler.OneCycleLR(
                self.adamw, settings.learning_rate, settings.steps, pct_start=_WARM_UP, cycle_momentum=False
            )

    def step(self, loss: Tensor) -> None:
        """Change the parameters once."""
        self.adamw.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.adamw.step()
        if self._schedule:
            self._schedule.step()


def fit(
    model: nn.Module,
    train: Inputs,
    validation: Inputs,
    settings: ClassifierTraining,
    seed: int,
    device: torch.device,
    baseline: str | None = None,
) -> Fit:
    """Train a network in place; it ends on ``device`` with the weights that were best on the validation records.

    AdamW (torch's default weight decay, 0.01). Every record is seen once before any is seen again, in an order drawn
    from ``seed``. A simple baseline (:mod:`ecgpipe.classify.baselines`) changes how the training records are drawn,
    read or weighed.

    Without ``steps`` the validation loss is computed after every epoch, for ``epochs`` epochs at most, and the learning
    rate is constant. With ``steps`` every training takes that number of steps, however many records it has, so that
    methods with more records do not also learn for longer: the learning rate rises to ``learning_rate`` over the first
    quarter and falls to nothing (one cycle: Smith and Topin, arXiv 1708.07120), with :data:`VALIDATIONS` validations.

    Training ends before that by :class:`EarlyStopping`. On CPUs the result is a function of the arguments alone; on
    GPUs it repeats to rounding.

    Args:
        model: network from inputs to logits.
        train: inputs to learn from.
        validation: inputs that choose the weights.
        settings: loss, learning rate, batch, epochs, steps, patience, min_delta.
        seed: seed of record order and dropout.
        device: where to train; the inputs are there already.
        baseline: one of :data:`ecgpipe.vocabulary.BASELINES`; None for plain training.

    Raises:
        ValueError: if there is no training or validation record.
        NeverFiniteError: if the validation loss was never finite.
    """
    course = Course(train, validation, settings, seed, baseline)
    optimizer = Optimizer(model.to(device).parameters(), settings)
    with seeded(device, seed, DROPOUT):
        for before, after in itertools.pairwise(course.steps):
            model.train()
            for inputs, labels in course.batches(after - before):
                optimizer.step(course.losses(model(inputs), labels).mean())
            course.stopping.update(mean_loss(model, validation, course.losses), model.state_dict())
            if course.stopping.stop:
                break
    return course.end(model)
