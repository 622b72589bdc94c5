"""Networks of one form trained together, as one stack of parameters: on a GPU one small network is too little work.

Every network keeps its records and their order, its changes and dropout masks, its batch norm and its early stopping.
So its result is that of :func:`ecgpipe.classify.training.fit` but for the rounding of other matrix products.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state

from ecgpipe.classify.inputs import Inputs
from ecgpipe.classify.training import (
    DROPOUT,
    EVALUATION_BATCH,
    Course,
    Fit,
    Losses,
    NeverFiniteError,
    Optimizer,
    seeded,
)
from ecgpipe.config import ClassifierTraining


class _Masked(nn.Module):
    """Dropout by a mask that it is given, ``(n, ...)``: 0, or the inverse of the probability to be kept."""

    mask: Tensor

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p, self.shape = p, torch.Size()
        self.register_buffer("mask", torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            return x * self.mask
        self.shape = x.shape[1:]
        return x


class _Masks:
    """Draws the dropout masks of each network as it would draw them itself, from a generator of its own.

    Args:
        model: whose dropouts are replaced, on the device ``meta``. They are in the order of their use.
        record: shape of one record.
        seeds: of the networks' dropout.
        device: of the masks.
    """

    def __init__(self, model: nn.Module, record: torch.Size, seeds: Sequence[int], device: torch.device) -> None:
        self._random = torch.cuda if device.type == "cuda" else torch
        self._device, self.states = device, []
        for seed in seeds:
            with seeded(device, seed, DROPOUT):
                self.states.append(self._random.get_rng_state())
        self._layers: dict[str, _Masked] = {}
        for name, module in list(model.named_modules()):
            if isinstance(module, nn.Dropout):
                self._layers[name] = _Masked(module.p)
                model.set_submodule(name, self._layers[name])
        model.eval()(torch.empty((1, *record), device="meta"))  # which tells the masks' shapes

    def draw(self, records: int) -> dict[str, Tensor]:
        """Return the masks of one step by name, ``(networks, records, ...)``."""
        if not self._layers:
            return {}
        drawn: dict[str, list[Tensor]] = {f"{name}.mask": [] for name in self._layers}
        for network, state in enumerate(self.states):
            self._random.set_rng_state(state)
            for name, layer in self._layers.items():
                kept = torch.ones((records, *layer.shape), device=self._device)
                drawn[f"{name}.mask"].append(F.dropout(kept, layer.p))
            self.states[network] = self._random.get_rng_state()
        return {name: torch.stack(masks) for name, masks in drawn.items()}


class _Stack:
    """The networks that are still in training: stacked parameters and buffers, and what changes them."""

    def __init__(
        self,
        models: Sequence[nn.Module],
        record: torch.Size,
        settings: ClassifierTraining,
        seeds: Sequence[int],
        device: torch.device,
    ) -> None:
        self._model = copy.deepcopy(models[0]).to("meta")
        self._masks = _Masks(self._model, record, seeds, device)
        parameters, buffers = stack_module_state(list(models))
        self._parameters = {name: value.detach().to(device).requires_grad_() for name, value in parameters.items()}
        self._buffers = {name: value.to(device) for name, value in buffers.items()}
        self._optimizer = Optimizer(self._parameters.values(), settings)

    def _logits(self, inputs: Tensor, masks: dict[str, Tensor]) -> Tensor:
        """Return logits ``(networks * n, classes)`` of inputs ``(networks, n, ...)``."""

        def call(parameters: dict[str, Tensor], buffers: dict[str, Tensor], own: Tensor) -> Tensor:
            logits: Tensor = functional_call(self._model, (parameters, buffers), (own,))
            return logits

        return torch.vmap(call)(self._parameters, {**self._buffers, **masks}, inputs).flatten(0, 1)

    def step(self, inputs: Tensor, labels: Tensor, losses: Losses) -> None:
        """Learn from a batch of each network: inputs ``(networks, n, ...)``, labels ``(networks, n)``."""
        self._model.train()
        loss = losses(self._logits(inputs, self._masks.draw(inputs.shape[1])), labels.flatten())
        self._optimizer.step(loss.view(labels.shape).mean(dim=1).sum())

    def mean_losses(self, validations: Sequence[Inputs], losses: Losses) -> list[float]:
        """Return each network's mean loss over its own inputs, dropout off."""
        self._model.eval()
        n, sums = len(validations[0].labels), []
        with torch.no_grad():
            for start in range(0, n, EVALUATION_BATCH):
                positions = np.arange(start, min(start + EVALUATION_BATCH, n))
                inputs = torch.stack([validation.batch(positions) for validation in validations])
                labels = torch.stack(
                    [validation.labels[start : start + EVALUATION_BATCH] for validation in validations]
                )
                loss = losses(self._logits(inputs, {}), labels.flatten())
                sums.append(loss.view(labels.shape).sum(dim=1).double())
        found: list[float] = (torch.stack(sums).sum(dim=0) / n).tolist()
        return found

    def weights(self, network: int) -> dict[str, Tensor]:
        """Return the parameters and buffers of one network."""
        return {name: value[network] for name, value in {**self._parameters, **self._buffers}.items()}

    def keep(self, networks: Sequence[int]) -> None:
        """Go on with these networks alone."""
        chosen = list(networks)  # tensors take a list, not any sequence
        self._masks.states = [self._masks.states[network] for network in chosen]
        self._buffers = {name: value[chosen] for name, value in self._buffers.items()}
        for parameter in self._parameters.values():
            parameter.grad = None
            parameter.data = parameter.data[chosen]
            moments = self._optimizer.adamw.state[parameter]
            moments.update({name: moments[name][chosen] for name in ("exp_avg", "exp_avg_sq")})


def _end(course: Course, model: nn.Module) -> Fit | NeverFiniteError:
    try:
        return course.end(model)
    except NeverFiniteError as error:
        return error.with_traceback(None)


def fit_together(
    models: Sequence[nn.Module],
    trains: Sequence[Inputs],
    validations: Sequence[Inputs],
    settings: ClassifierTraining,
    seeds: Sequence[int],
    device: torch.device,
    baseline: str | None = None,
) -> list[Fit | NeverFiniteError]:
    """Train networks in place, each as :func:`ecgpipe.classify.training.fit` would with its own inputs and seed.

    A network that stops early leaves the stack. On CPUs this is slower than one after another.

    Args:
        models: networks of one class of this package, with the same settings.
        trains: what each learns from; all have as many records of each class.
        validations: what chooses each one's weights; all have as many records.
        settings: as for one network.
        seeds: of each network's record order and dropout.
        device: where to train; the inputs are there already.
        baseline: as for one network.

    Returns:
        How each training went; of a network whose validation loss was never finite the error, so that the others are
        not lost.

    Raises:
        ValueError: if there is no training or validation record, or numbers of records differ.
    """
    counts = {tuple(torch.bincount(train.labels).tolist()) for train in trains}
    if len(counts) > 1 or len({len(validation.labels) for validation in validations}) > 1:
        raise ValueError("networks that are trained together need as many records of each class")
    courses = [
        Course(train, validation, settings, seed, baseline)
        for train, validation, seed in zip(trains, validations, seeds, strict=True)
    ]
    steps, losses = courses[0].steps, courses[0].losses
    record = trains[0].batch(np.zeros(1, dtype=np.int64)).shape[1:]
    stack, going = _Stack(models, record, settings, seeds, device), list(range(len(models)))
    with seeded(device, 0):  # what draws the masks is left as it was
        for before, after in itertools.pairwise(steps):
            for batch in zip(*(courses[network].batches(after - before) for network in going), strict=True):
                inputs, labels = (torch.stack(parts) for parts in zip(*batch, strict=True))
                stack.step(inputs, labels, losses)
            found = stack.mean_losses([validations[network] for network in going], losses)
            for place, network in enumerate(going):
                courses[network].stopping.update(found[place], stack.weights(place))
            places = [place for place, network in enumerate(going) if not courses[network].stopping.stop]
            if not places:
                break
            if len(places) < len(going):
                stack.keep(places)
                going = [going[place] for place in places]
    return [_end(course, model.to(device)) for course, model in zip(courses, models, strict=True)]
