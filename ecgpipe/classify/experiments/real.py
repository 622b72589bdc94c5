"""TrRTeR and the simple baselines: networks trained from scratch on shares of the real training records."""

from __future__ import annotations

from ecgpipe.classify.experiments import Experiment
from ecgpipe.classify.grid import Training
from ecgpipe.classify.records import RealData
from ecgpipe.classify.results import Outcome
from ecgpipe.classify.train_and_test import train_network


def train(training: Training, data: RealData, experiment: Experiment, *, keep: bool = False) -> Outcome:
    """Train one network; ``keep`` what rebuilds it."""
    records = data.real_only(training.fraction, training.seed)
    return train_network(training, data, records, experiment, keep=keep)
