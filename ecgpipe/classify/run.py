"""Run the classification experiments of one dataset: what the workflow calls.

Each function runs all its trainings in one process, writes ``predictions.parquet`` and ``training.parquet`` and keeps
finished trainings in ``state_dir`` until both are written: after a kill it goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from ecgpipe.classify.experiments import Experiment, augmentation, real, synthetic, transfer
from ecgpipe.classify.grid import (
    Training,
    baseline_trainings,
    real_trainings,
    synthetic_trainings,
    transfer_trainings,
)
from ecgpipe.classify.pretrained import Pretrained, load_matching
from ecgpipe.classify.records import RealData, SyntheticData, folder_name
from ecgpipe.classify.results import Outcome, run_trainings, save_networks, write_tables
from ecgpipe.classify.train_and_test import Task, train_all
from ecgpipe.config import Baseline, Method, Ratio, Setting
from ecgpipe.duplicates import require_distinct
from ecgpipe.vocabulary import AUGMENTED, REAL_ON_SYNTHETIC, SYNTHETIC, SYNTHETIC_ON_SYNTHETIC


def _pretrained(path: Path, data: RealData, experiment: Experiment) -> Pretrained:
    return load_matching(path, data.folder, data.dataset.spec, experiment.classifier, experiment.seeds)


def _run(
    trainings: Sequence[Training], task: Callable[[Training], Task], data: RealData, experiment: Experiment
) -> dict[Training, Outcome]:
    """Do all trainings that are not done yet; ``task`` says what each is given."""

    def train(missing: Sequence[Training]) -> Iterator[tuple[Training, Outcome]]:
        return train_all(map(task, missing), data, experiment)

    return run_trainings(trainings, train, Path(experiment.state_dir))


def _open_repetitions(
    samples: Sequence[Path], data: RealData, *, generator: str | None = None, test: bool = False
) -> list[SyntheticData]:
    """Open the synthetic sets of a generator's repetitions, all under the name of the first."""
    name = generator or folder_name(samples[0])
    opened = [
        SyntheticData.open(folder, data, generator=name, test=test and folder == samples[0]) for folder in samples
    ]
    counts = {folder: np.bincount(drawn.train.labels).tolist() for folder, drawn in zip(samples, opened, strict=True)}
    if len(set(map(tuple, counts.values()))) > 1:
        told = ", ".join(f"{folder} {numbers}" for folder, numbers in counts.items())
        raise ValueError(f"repetitions of a generator differ in training records by class: {told}; sample them again")
    return opened


def run_real(experiment: Experiment) -> None:
    """Run TrRTeR: train from scratch on shares of the real training records.

    The networks of the largest share are also written, to ``pretrained.safetensors``.

    Args:
        experiment: its fractions include those of transfer.

    Raises:
        FileNotFoundError, ValueError: if a folder is no dataset, one of its splits is empty, or the datasets differ in
            form.
    """
    data = RealData.open(experiment.data, experiment.also_test)
    trainings = real_trainings(experiment.fractions, experiment.seeds)
    kept = [training for training in trainings if training.fraction == max(experiment.fractions)]

    def task(training: Training) -> Task:
        return real.task(training, data, keep=training in kept)

    outcomes = _run(trainings, task, data, experiment)
    save_networks(experiment, data, data.dataset.spec, outcomes, kept)
    write_tables(experiment, data, data.tests, outcomes)


def run_baselines(experiment: Experiment, baselines: Sequence[Baseline]) -> None:
    """Run simple baselines: train from scratch on the same shares of the real training records as TrRTeR.

    Args:
        experiment: its fractions are those of TrRTeR that are reported.
        baselines: which ones, see :mod:`ecgpipe.classify.baselines`.

    Raises:
        FileNotFoundError, ValueError: as :func:`run_real`.
    """
    data = RealData.open(experiment.data)

    def task(training: Training) -> Task:
        return real.task(training, data)

    trainings = baseline_trainings(baselines, experiment.fractions, experiment.seeds)
    write_tables(experiment, data, data.tests, _run(trainings, task, data, experiment))


def run_augmentation(
    experiment: Experiment,
    samples: Sequence[Path],
    settings: Sequence[Setting],
    *,
    ratios: Sequence[Ratio] = ("all",),
    real_networks: Path | None = None,
) -> None:
    """Run everything with one generator's samples: networks that learn from them, alone or added to real records.

    With TrSTeR among the settings, its networks are also written to ``pretrained.safetensors``, for transfer.

    Args:
        experiment: its fractions are those of TrRSTeR.
        samples: folder of the synthetic dataset of each of the generator's repetitions. Networks take turns to learn
            from them (:meth:`Experiment.repetition`); the first gives its name and the synthetic test records.
        settings: what to run; TrRTeR is not among them, TrSTeS comes with TrSTeR only.
        ratios: synthetic records in TrRSTeR, see :func:`ecgpipe.classify.subsets.synthetic_subset`; at each share those
            that :func:`ecgpipe.classify.subsets.feasible_ratios` leaves.
        real_networks: ``pretrained.safetensors`` of :func:`run_real`, needed for TrRTeS.

    Raises:
        FileNotFoundError, ValueError: if a folder is no dataset, they differ in leads, rate, length or classes, or a
            split that is needed is empty.
    """
    on_synthetic = SYNTHETIC_ON_SYNTHETIC in settings or REAL_ON_SYNTHETIC in settings
    data = RealData.open(experiment.data, experiment.also_test)
    drawn, *others = _open_repetitions(samples, data, test=on_synthetic)
    untrained = {}
    if REAL_ON_SYNTHETIC in settings:
        if real_networks is None:
            raise ValueError("TrRTeS needs the networks of the real experiment: give its pretrained.safetensors")
        networks = _pretrained(real_networks, data, experiment)
        untrained = synthetic.real_networks_on_synthetic(networks, drawn, experiment)
    tests = [*data.tests, *(drawn.tests if SYNTHETIC_ON_SYNTHETIC in settings else [])]

    def task(training: Training) -> Task:
        learnt = [drawn, *others][experiment.repetition(training.seed, 1 + len(others))]
        if training.setting == SYNTHETIC:
            return synthetic.task(training, data, learnt, tests)
        return augmentation.task(training, data, learnt)

    alone = synthetic_trainings(drawn.generator, experiment.seeds) if SYNTHETIC in settings else []
    added = augmentation.trainings(data, drawn, experiment, ratios) if AUGMENTED in settings else []
    outcomes = _run([*alone, *added], task, data, experiment)
    if alone:
        save_networks(experiment, data, drawn.dataset.spec, outcomes, alone)
    write_tables(experiment, data, [*data.tests, *drawn.tests], outcomes, untrained)


def run_cross_set(
    experiment: Experiment, samples: Sequence[Path], generator: str, *, ratios: Sequence[Ratio] = ("all",)
) -> None:
    """Run TrRSTeR with synthetic records made after another dataset.

    Args:
        experiment: ``also_test`` holds the other dataset, whose test records are tested on too.
        samples: folder of the synthetic dataset of each repetition, as in :func:`run_augmentation`.
        generator: name in the tables, ``g@other``.
        ratios: as in :func:`run_augmentation`.

    Raises:
        FileNotFoundError, ValueError: as :func:`run_augmentation`.
    """
    data = RealData.open(experiment.data, experiment.also_test)
    drawn = _open_repetitions(samples, data, generator=generator)

    def task(training: Training) -> Task:
        learnt = drawn[experiment.repetition(training.seed, len(drawn))]
        return augmentation.task(training, data, learnt)

    trainings = augmentation.trainings(data, drawn[0], experiment, ratios)
    write_tables(experiment, data, data.tests, _run(trainings, task, data, experiment))


def run_transfer(
    experiment: Experiment, pretrained: Path, *, methods: Sequence[Method] = ("frozen",), origin: Path | None = None
) -> None:
    """Go on with pre-trained networks on shares of the real training records.

    Args:
        experiment: its classifier is the network as it was pre-trained, with the settings of fine-tuning; each seed
            starts from the network of its own.
        pretrained: ``pretrained.safetensors`` of :func:`run_augmentation`, or of :func:`run_real` on another dataset.
        methods: ``frozen``, ``finetuned``, ``probe``.
        origin: folder of the real dataset that the networks learnt from, if they learnt from one.

    Raises:
        FileNotFoundError, ValueError: if a file is missing, one of the dataset's splits is empty, or the networks were
            made for other signals, another architecture or other seeds, or learnt from recordings of the dataset.
    """
    data = RealData.open(experiment.data)
    if origin is not None:
        require_distinct({folder_name(folder): Path(folder) for folder in (experiment.data, origin)})
    start = _pretrained(pretrained, data, experiment)

    def task(training: Training) -> Task:
        return transfer.task(training, data, start)

    trainings = transfer_trainings(methods, transfer.source(start), experiment.fractions, experiment.seeds)
    write_tables(experiment, data, data.tests, _run(trainings, task, data, experiment))
