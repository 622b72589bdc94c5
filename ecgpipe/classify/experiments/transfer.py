"""Transfer: pre-trained networks go on learning from shares of the real training records.

Compare with TrRTeR at the same fraction and seed, which learns from the same records.
"""

from __future__ import annotations

from ecgpipe.classify.grid import Training
from ecgpipe.classify.pretrained import Pretrained
from ecgpipe.classify.records import RealData
from ecgpipe.classify.train_and_test import Task
from ecgpipe.vocabulary import NO_GENERATOR, REAL_SOURCE


def source(start: Pretrained) -> str:
    """Name in the tables what networks were pre-trained on: a generator, or another dataset's real records."""
    return f"{REAL_SOURCE}{start.dataset}" if start.generator == NO_GENERATOR else start.generator


def task(training: Training, data: RealData, start: Pretrained) -> Task:
    """Return one training of all weights (``finetuned``), or of a head (``frozen``, ``probe``)."""
    return Task(training, data.real_only(training.fraction, training.seed), start)
