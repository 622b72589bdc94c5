"""One training and its tests: standardise, fit, predict, and tell what the network learnt from."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ecgpipe.classify.experiments import Experiment
from ecgpipe.classify.grid import Training
from ecgpipe.classify.inputs import Inputs, Standardizer, standardized
from ecgpipe.classify.pretrained import Pretrained, network_tensors
from ecgpipe.classify.records import RealData, TestSet, TrainingRecords
from ecgpipe.classify.results import Outcome
from ecgpipe.classify.training import Fit, build, convolution_features, fit, linear_probe, predict
from ecgpipe.vocabulary import BASELINES, PROBE, TRAINING_RECORDS


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


def train_network(
    training: Training,
    data: RealData,
    records: TrainingRecords,
    experiment: Experiment,
    *,
    tests: Sequence[TestSet] | None = None,
    start: Pretrained | None = None,
    keep: bool = False,
) -> Outcome:
    """Train all weights of a network and test it.

    Args:
        training: which one; a simple baseline is trained by its rule.
        data: the real dataset.
        records: what it learns from and validates on.
        experiment: classifier and device.
        tests: test sets; those of ``data`` if not given.
        start: networks whose weights it starts from; without, it is trained from scratch.
        keep: whether the outcome holds what rebuilds the network.
    """
    started, device = time.perf_counter(), torch.device(experiment.device)
    settings = experiment.classifier
    standardizer = Standardizer.fit(records.train)
    train, validation = (standardized(part, standardizer, device) for part in (records.train, records.validation))
    model = start.network(training.seed) if start else build(data.dataset.spec, settings, training.seed)
    baseline = training.setting if training.setting in BASELINES else None
    result = fit(model, train, validation, settings, training.seed, device, baseline)
    probabilities = {
        test.name: predict_test_set(training, model, test, standardized(test.records, standardizer, device))
        for test in (data.tests if tests is None else tests)
    }
    row = _row(training, data, records, result, model, time.perf_counter() - started)
    return Outcome(row, probabilities, network_tensors(model, standardizer) if keep else {})


def train_head(
    training: Training, data: RealData, records: TrainingRecords, experiment: Experiment, start: Pretrained
) -> Outcome:
    """Train the dense head of a pre-trained network, or a new linear one, on frozen convolutions, and test it.

    The output of the convolutions is computed once.
    """
    started, device = time.perf_counter(), torch.device(experiment.device)
    standardizer = Standardizer.fit(records.train)
    model = start.network(training.seed).to(device)
    train, validation, *tests = (
        convolution_features(model, standardized(part, standardizer, device))
        for part in (records.train, records.validation, *(test.records for test in data.tests))
    )
    probe = training.setting == PROBE
    head = linear_probe(train, data.dataset.spec, training.seed) if probe else model.head
    result = fit(head, train, validation, experiment.classifier, training.seed, device)
    probabilities = {
        test.name: predict_test_set(training, head, test, features)
        for test, features in zip(data.tests, tests, strict=True)
    }
    return Outcome(_row(training, data, records, result, head, time.perf_counter() - started), probabilities, {})
