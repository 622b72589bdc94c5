"""TrRSTeR: networks trained on shares of the real training records with synthetic ones added.

The cross-set experiment is the same with synthetic records made after another dataset.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from ecgpipe.classify.experiments import Experiment
from ecgpipe.classify.grid import Training, augmented_trainings, ratio_name
from ecgpipe.classify.records import RealData, SyntheticData, TrainingRecords
from ecgpipe.classify.subsets import feasible_ratios, synthetic_subset
from ecgpipe.classify.train_and_test import Task
from ecgpipe.config import Ratio

log = logging.getLogger(__name__)


def trainings(
    data: RealData, synthetic: SyntheticData, experiment: Experiment, ratios: Sequence[Ratio]
) -> list[Training]:
    """Return the trainings; ratios that are not feasible at a share are left out there, and logged."""
    wanted, by_fraction = [ratio_name(ratio) for ratio in ratios], {}
    for fraction in sorted(set(experiment.fractions)):
        real = data.share(fraction, experiment.seeds[0])
        by_fraction[fraction] = feasible_ratios(wanted, real.labels, synthetic.train.labels)
        if left_out := [ratio for ratio in wanted if ratio not in by_fraction[fraction]]:
            log.info(
                "TrRSTeR %s fraction %g is left out with ratio %s: %d synthetic records are too few, "
                "or it would be the same as another or add nothing",
                synthetic.generator,
                fraction,
                ", ".join(left_out),
                len(synthetic.train),
            )
    return augmented_trainings(synthetic.generator, by_fraction, experiment.seeds)


def task(training: Training, data: RealData, synthetic: SyntheticData) -> Task:
    """Add synthetic records to a share of the real ones, for one network to learn from both."""
    real = data.share(training.fraction, training.seed)
    added = synthetic_subset(real.labels, synthetic.train.labels, training.ratio, training.seed)
    return Task(training, TrainingRecords(real, synthetic.train.subset(added), data.validation))
