"""Finished trainings: kept one by one until all are done, then written as tables and networks."""

from __future__ import annotations

import contextlib
import json
import logging
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor
from tqdm import tqdm

from ecgpipe import checkpoints
from ecgpipe.classify.experiments import Experiment
from ecgpipe.classify.grid import Training
from ecgpipe.classify.pretrained import Pretrained
from ecgpipe.classify.records import RealData, TestSet
from ecgpipe.dataset import SignalSpec
from ecgpipe.files import write_parquet
from ecgpipe.vocabulary import PROBABILITY, TRAINING_RECORDS

log = logging.getLogger(__name__)

_KEY = "ecgpipe"
_TESTED = "probabilities."


@dataclass(frozen=True)
class Outcome:
    """What is kept of a training.

    Attributes:
        row: its row of training.parquet.
        probabilities: class probabilities ``(n, classes)`` of each test set, by name.
        network: the tensors that rebuild the network; empty if it is not needed again.
    """

    row: dict[str, Any]
    probabilities: dict[str, Tensor]
    network: dict[str, Tensor]

    def save(self, path: Path) -> None:
        """Write everything to one safetensors file."""
        tested = {_TESTED + name: values for name, values in self.probabilities.items()}
        with checkpoints.writing(path) as temporary:
            save_file({**tested, **self.network}, temporary, {_KEY: json.dumps(self.row)})

    @classmethod
    def load(cls, path: Path) -> Outcome:
        """Read a file written by :meth:`save`."""
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # not iterable
            tested = {name: tensors.pop(name) for name in list(tensors) if name.startswith(_TESTED)}
            row = json.loads(file.metadata()[_KEY])
        return cls(row, {name.removeprefix(_TESTED): values for name, values in tested.items()}, tensors)


Outcomes = Mapping[Training, Outcome]


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def run_trainings(
    trainings: Sequence[Training],
    train: Callable[[Sequence[Training]], Iterable[tuple[Training, Outcome]]],
    state_dir: Path,
) -> dict[Training, Outcome]:
    """Do the trainings that ``state_dir`` does not hold yet; return all, in the order of ``trainings``.

    Trainings on CPUs use one thread, whatever the machine has: the number of threads changes the last bits of sums and
    thereby the result.

    Args:
        trainings: all of them.
        train: does those that it is given and yields each as it is done.
        state_dir: folder for finished trainings.

    Raises:
        ValueError: if there is none.
    """
    if not trainings:
        raise ValueError("there is nothing to train: give at least one setting, fraction and seed")
    outcomes, there = {}, checkpoints.versions(state_dir)
    with _one_thread(), tqdm(total=len(trainings), desc="trainings", unit="training", disable=None) as progress:
        for training in trainings:
            if (version := next(checkpoints.sound(state_dir / training.state, there), None)) is not None:
                log.info("%s: done before, kept", training)
                outcomes[training] = Outcome.load(version)
                progress.update()
        for training, outcome in train([training for training in trainings if training not in outcomes]):
            outcome.save(state_dir / training.state)
            _log(training, outcome.row)
            outcomes[training] = outcome
            progress.update()
    return {training: outcomes[training] for training in trainings}


def _log(training: Training, row: dict[str, Any]) -> None:
    counts = {key: count for key, count in row.items() if key.startswith(TRAINING_RECORDS)}
    absent = [key.removeprefix(TRAINING_RECORDS) for key, count in counts.items() if count == 0]
    log.info(
        "%s: %d records, %d steps (best %d), validation loss %.5f, %.1f s%s",
        training,
        row["n_train"],
        row["steps"],
        row["best_step"],
        row["validation_loss"],
        row["seconds"],
        f"; no training record of {', '.join(absent)}" if absent else "",
    )


def save_networks(
    experiment: Experiment, data: RealData, spec: SignalSpec, outcomes: Outcomes, kept: Sequence[Training]
) -> None:
    """Write the networks of some trainings, one a seed, to ``pretrained.safetensors``."""
    networks = {training.seed: outcomes[training].network for training in kept}
    pretrained = Pretrained(data.name, kept[0].generator, kept[0].fraction, spec, experiment.classifier, networks)
    pretrained.save(Path(experiment.out) / "pretrained.safetensors")


def write_tables(
    experiment: Experiment,
    data: RealData,
    tests: Sequence[TestSet],
    outcomes: Outcomes,
    untrained: Mapping[Training, dict[str, Tensor]] | None = None,
) -> None:
    """Write predictions.parquet (a row a test record, test set and training) and training.parquet (a row a training).

    ``untrained`` are predictions of networks that were trained elsewhere. The state is deleted.
    """
    out, classes = Path(experiment.out), data.dataset.spec.classes
    metadata = {"classes": list(classes)}
    predicted = {training: outcome.probabilities for training, outcome in outcomes.items()} | dict(untrained or {})
    frames = []
    for test in tests:
        rows = test.records.signals.rows
        tested = test.dataset.records.iloc[rows][["record", "patient", "label"]].reset_index(drop=True)
        for training, probabilities in predicted.items():
            if test.name not in probabilities:
                continue
            setting = test.setting(training.setting)
            keys = {"dataset": data.name, **asdict(training), "setting": setting, "tested": test.name}
            columns = [f"{PROBABILITY}{name}" for name in classes]
            values = pd.DataFrame(probabilities[test.name].numpy(), columns=columns)
            frames.append(pd.concat([tested.assign(**keys)[[*keys, *tested.columns]], values], axis=1))
    write_parquet(out / "predictions.parquet", pd.concat(frames, ignore_index=True), metadata)
    write_parquet(out / "training.parquet", pd.DataFrame([outcome.row for outcome in outcomes.values()]), metadata)
    shutil.rmtree(experiment.state_dir)
