"""Trainings and their tests: standardise, fit, predict, and tell what each network learnt from."""

from __future__ import annotations

import gc
import itertools
import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, astuple, dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ecgpipe.classify.experiments import Experiment
from ecgpipe.classify.grid import Training
from ecgpipe.classify.inputs import Inputs, Selection, Standardizer, shared, standardized
from ecgpipe.classify.pretrained import Pretrained, network_tensors
from ecgpipe.classify.records import RealData, TestSet, TrainingRecords
from ecgpipe.classify.results import Outcome
from ecgpipe.classify.stacked import fit_together
from ecgpipe.classify.training import Fit, NeverFiniteError, build, convolution_features, fit, linear_probe, predict
from ecgpipe.config import OwnClassifierSettings
from ecgpipe.vocabulary import BASELINES, FROZEN, PROBE, TRAINING_RECORDS

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Task:
    """One training, and what it is given.

    Attributes:
        training: which one; a simple baseline is trained by its rule.
        records: what it learns from and validates on.
        start: networks whose weights it starts from; without, it is trained from scratch.
        tests: test sets; those of the real dataset if None.
        keep: whether the outcome holds what rebuilds the network.
    """

    training: Training
    records: TrainingRecords
    start: Pretrained | None = None
    tests: Sequence[TestSet] | None = None
    keep: bool = False

    @property
    def head_only(self) -> bool:
        """Whether the convolutions are frozen."""
        return self.training.setting in (FROZEN, PROBE)

    @property
    def form(self) -> tuple[object, ...]:
        """What is the same of trainings that can be done together: all but the seed, and numbers of records."""
        counts = np.bincount(self.records.train.labels)
        return (*astuple(replace(self.training, seed=0)), *counts, len(self.records.validation))


def _row(
    training: Training, data: RealData, records: TrainingRecords, result: Fit, trained: nn.Module, seconds: float
) -> dict[str, Any]:
    """Return a training's row of training.parquet; ``trained`` is the network or, of a frozen one, its head."""
    classes = data.dataset.spec.classes
    counts = np.bincount(records.train.labels, minlength=len(classes))
    return {
        "dataset": data.name,
        **asdict(training),
        **asdict(result),
        "seconds": seconds,
        "parameters": sum(parameter.numel() for parameter in trained.parameters()),
        "n_train": len(records.train),
        "n_real": len(records.real),
        "n_synthetic": len(records.synthetic),
        "n_validation": len(records.validation),
        "n_test": len(data.tests[0].records),
        **{f"{TRAINING_RECORDS}{name}": int(count) for name, count in zip(classes, counts, strict=True)},
    }


def predict_test_set(training: Training, model: nn.Module, test: TestSet, inputs: Inputs) -> Tensor:
    """Return the class probabilities of test records, ``(n, classes)``.

    Raises:
        ValueError: if one is not finite, naming the record.
    """
    probabilities = predict(model, inputs)
    wrong = np.flatnonzero(~np.isfinite(probabilities).all(axis=1))
    if len(wrong):
        record = test.dataset.records["record"].iloc[test.records.signals.rows[wrong[0]]]
        raise ValueError(
            f"{test.name}: test record {record} has no finite prediction ({training}); "
            "look for NaN or huge values in its signals"
        )
    return torch.from_numpy(probabilities)


def train_all(tasks: Iterable[Task], data: RealData, experiment: Experiment) -> Iterator[tuple[Training, Outcome]]:
    """Train and test networks, those that differ in the seed alone together; yield the outcome of each, in order.

    How many are trained together is :attr:`Experiment.stack_size`.
    """
    size = experiment.stack_size
    if isinstance(experiment.classifier, OwnClassifierSettings) and (experiment.stacked or 1) > 1:
        log.info("networks of a class of your own are trained one after another (`compute.stacked`)")
    for _, alike in itertools.groupby(tasks, key=lambda task: task.form):
        group = list(alike)
        for start in range(0, len(group), size):
            yield from _train(group[start : start + size], data, experiment)


def _z_scores(parts: Sequence[Selection]) -> list[Standardizer]:
    """Fit a z-score to each network's training records; networks with the same records share one."""
    found: dict[tuple[object, ...], Standardizer] = {}
    keys = []
    for part in parts:
        reader = part.signals
        keys.append((*map(id, reader.arrays), reader.array.tobytes(), reader.rows.tobytes()))
        if keys[-1] not in found:
            found[keys[-1]] = Standardizer.fit(part)
    return [found[key] for key in keys]


class _Member:
    """A network of a stack, and how it reads records."""

    def __init__(self, task: Task, standardizer: Standardizer, data: RealData, experiment: Experiment) -> None:
        self.task, self.standardizer, self._device = task, standardizer, torch.device(experiment.device)
        seed, spec = task.training.seed, data.dataset.spec
        self.network = task.start.network(seed) if task.start else build(spec, experiment.classifier, seed)
        self.trained: nn.Module = self.network
        if task.head_only:
            self.trained = self.network.to(self._device).head

    def inputs(self, records: Selection) -> Inputs:
        """Return what the trained part reads: signals, or of a frozen network the features, computed once."""
        signals = standardized(records, self.standardizer, self._device)
        return convolution_features(self.network, signals) if self.task.head_only else signals

    def outcome(self, data: RealData, result: Fit, seconds: float) -> Outcome:
        """Test the trained network; ``seconds`` is its share of what was done before."""
        started, task = time.perf_counter(), self.task
        probabilities = {
            test.name: predict_test_set(task.training, self.trained, test, self.inputs(test.records))
            for test in (data.tests if task.tests is None else task.tests)
        }
        seconds += time.perf_counter() - started
        row = _row(task.training, data, task.records, result, self.trained, seconds)
        return Outcome(row, probabilities, network_tensors(self.network, self.standardizer) if task.keep else {})


def _inputs(members: Sequence[_Member], parts: Sequence[Selection], device: torch.device) -> list[Inputs] | None:
    """Return what each network reads; None if the signals of all do not fit into the device's memory."""
    if len(members) == 1 or members[0].task.head_only:
        return [member.inputs(part) for member, part in zip(members, parts, strict=True)]
    return shared(parts, [member.standardizer for member in members], device)


def _others(tasks: Sequence[Task]) -> str:
    return "seeds " + ", ".join(str(task.training.seed) for task in tasks[1:])


def _fit(
    tasks: Sequence[Task], data: RealData, experiment: Experiment
) -> list[tuple[_Member, Fit | NeverFiniteError]] | None:
    """Train networks, together if there are several; None if the signals of all do not fit into memory."""
    device, settings, first = torch.device(experiment.device), experiment.classifier, tasks[0].training
    standardizers = _z_scores([task.records.train for task in tasks])
    members = [_Member(task, own, data, experiment) for task, own in zip(tasks, standardizers, strict=True)]
    trains = _inputs(members, [task.records.train for task in tasks], device)
    validations = _inputs(members, [task.records.validation for task in tasks], device) if trains else None
    if trains is None or validations is None:
        return None
    if first.setting == PROBE:
        for member, train in zip(members, trains, strict=True):
            member.trained = linear_probe(train, data.dataset.spec, member.task.training.seed)
    baseline = first.setting if first.setting in BASELINES else None
    seeds, models = [task.training.seed for task in tasks], [member.trained for member in members]
    results: list[Fit | NeverFiniteError]
    if len(tasks) > 1:
        log.info("%s: trained together with %s", first, _others(tasks))
        results = fit_together(models, trains, validations, settings, seeds, device, baseline)
    else:
        try:
            results = [fit(models[0], trains[0], validations[0], settings, seeds[0], device, baseline)]
        except NeverFiniteError as error:
            results = [error]
    return list(zip(members, results, strict=True))


def _fit_several(
    tasks: Sequence[Task], data: RealData, experiment: Experiment
) -> list[tuple[_Member, Fit | NeverFiniteError]] | None:
    """Train several networks together; None, with nothing of them left in memory, if that is too small.

    Raises:
        ValueError: if the device's memory runs out, and the user said how many to train together.
    """
    first, what = tasks[0].training, "records"
    try:
        if (found := _fit(tasks, data, experiment)) is not None:
            return found
    except torch.OutOfMemoryError as error:
        if experiment.stacked:
            raise ValueError(
                f"{first}: {len(tasks)} networks together do not fit into the GPU's memory: lower `compute.stacked`"
            ) from error
        what = "network"
    log.info("%s: trained alone, since its %s and those of %s do not fit into memory", first, what, _others(tasks))
    gc.collect()  # of what the error led to, too
    torch.cuda.empty_cache()
    return None


def _train(tasks: Sequence[Task], data: RealData, experiment: Experiment) -> Iterator[tuple[Training, Outcome]]:
    """Train networks, together if there are several and memory lasts, and test each.

    Raises:
        NeverFiniteError: of the first network whose validation loss was never finite, after the others.
    """
    started = time.perf_counter()
    found = _fit(tasks, data, experiment) if len(tasks) == 1 else _fit_several(tasks, data, experiment)
    if found is None:
        for task in tasks:
            yield from _train([task], data, experiment)
        return
    seconds = (time.perf_counter() - started) / len(tasks)
    for member, result in found:
        if not isinstance(result, NeverFiniteError):
            yield member.task.training, member.outcome(data, result, seconds)
    for member, result in found:
        if isinstance(result, NeverFiniteError):
            raise NeverFiniteError(f"{member.task.training}: {result}") from result
