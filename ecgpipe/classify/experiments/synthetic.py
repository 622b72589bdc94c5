"""TrSTeR: networks trained on synthetic records alone; and tests on synthetic records.

TrSTeR's networks tested on synthetic test records are TrSTeS, those of TrRTeR are TrRTeS.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ecgpipe.classify.experiments import Experiment
from ecgpipe.classify.grid import Training, grid
from ecgpipe.classify.inputs import standardized
from ecgpipe.classify.pretrained import Pretrained
from ecgpipe.classify.records import RealData, SyntheticData, TestSet, TrainingRecords
from ecgpipe.classify.train_and_test import Task, predict_test_set
from ecgpipe.vocabulary import REAL


def task(training: Training, data: RealData, synthetic: SyntheticData, tests: Sequence[TestSet]) -> Task:
    """Return one training of TrSTeR, whose outcome holds what rebuilds the network."""
    records = TrainingRecords(data.share(0, training.seed), synthetic.train, synthetic.validation)
    return Task(training, records, tests=tests, keep=True)


def real_networks_on_synthetic(
    networks: Pretrained, synthetic: SyntheticData, experiment: Experiment
) -> dict[Training, dict[str, Tensor]]:
    """Test networks of TrRTeR on synthetic records (TrRTeS); return probabilities by test set."""
    device, predicted = torch.device(experiment.device), {}
    for training in grid(REAL, synthetic.generator, [networks.fraction], experiment.seeds):
        model, standardizer = networks.network(training.seed).to(device), networks.standardizer(training.seed)
        predicted[training] = {
            test.name: predict_test_set(training, model, test, standardized(test.records, standardizer, device))
            for test in synthetic.tests
        }
    return predicted
