"""TrRTeR and the simple baselines: networks trained from scratch on shares of the real training records."""

from __future__ import annotations

from ecgpipe.classify.grid import Training
from ecgpipe.classify.records import RealData
from ecgpipe.classify.train_and_test import Task


def task(training: Training, data: RealData, *, keep: bool = False) -> Task:
    """Return one training; its outcome may ``keep`` what rebuilds the network."""
    return Task(training, data.real_only(training.fraction, training.seed), keep=keep)
