"""Transfer: pre-trained networks go on learning from shares of the real training records.

Compare with TrRTeR at the same fraction and seed, which learns from the same records.
"""

from __future__ import annotations

from ecgpipe.classify.experiments import Experiment
from ecgpipe.classify.grid import Training
from ecgpipe.classify.pretrained import Pretrained
from ecgpipe.classify.records import RealData
from ecgpipe.classify.results import Outcome
from ecgpipe.classify.train_and_test import train_head, train_network
from ecgpipe.vocabulary import FINETUNED, NO_GENERATOR, REAL_SOURCE


def source(start: Pretrained) -> str:
    """Name in the tables what networks were pre-trained on: a generator, or another dataset's real records."""
    return f"{REAL_SOURCE}{start.dataset}" if start.generator == NO_GENERATOR else start.generator


def train(training: Training, data: RealData, start: Pretrained, experiment: Experiment) -> Outcome:
    """Fine-tune all weights of a network (``finetuned``), or train a head on it (``frozen``, ``probe``)."""
    records = data.real_only(training.fraction, training.seed)
    if training.setting == FINETUNED:
        return train_network(training, data, records, experiment, start=start)
    return train_head(training, data, records, experiment, start)
