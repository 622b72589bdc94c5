"""The study's classification experiments: which records each network learns from, stops on and is tested on.

Tr = train on, Te = test on, R = real, S = synthetic. Every network is tested on the real test records.

========  ===================================  ====================  ==================================
setting   learns from                          stops on validation   fraction
========  ===================================  ====================  ==================================
TrRTeR    share of real training records       real                  share of real training records
TrSTeR    all synthetic training records       synthetic             0 (no real record is learnt from)
TrRSTeR   that share and all synthetic ones    real                  share of real training records
frozen    that share; from TrSTeR's network,   real                  share of real training records
          convolutions frozen
========  ===================================  ====================  ==================================

At one seed and fraction all settings use the same real records. The z-score of each network is fitted on the records it
learns from. Names of dataset and generator in the tables are those of the folders.

Each function runs all its trainings in one process, writes ``predictions.parquet`` and ``training.parquet`` and keeps
finished trainings in ``state_dir`` until both are written: after a kill it goes on from there. The caller gives a
``state_dir`` of its own to each combination of data, settings and code. Trainings on CPUs use one thread, whatever the
machine has, since the number of threads changes the last bits of sums and thereby the result.
"""

from __future__ import annotations

import contextlib
import json
import logging
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from tqdm import tqdm

from ecgpipe.classify.inputs import Inputs, Selection, Standardizer, select, standardized
from ecgpipe.classify.pretrained import Pretrained, network_tensors
from ecgpipe.classify.subsets import subset
from ecgpipe.classify.training import Fit, build, convolution_features, fit, predict
from ecgpipe.config import ClassifierSettings
from ecgpipe.dataset import SPLITS, Dataset, SignalSpec
from ecgpipe.files import atomic_path, write_parquet

log = logging.getLogger(__name__)

REAL = "none"
"""Generator's name in the rows of networks that saw no synthetic record."""

_NETWORK = ("blocks", "channels", "kernel", "width", "dense_layers", "dropout")

_KEY = "ecgpipe"
_COUNT = "n_train_"


@dataclass(frozen=True)
class _Cell:
    """One training."""

    setting: str
    generator: str
    fraction: float
    seed: int

    def __str__(self) -> str:
        return f"{self.setting} {self.generator} fraction {self.fraction} seed {self.seed}"


@dataclass(frozen=True)
class _Outcome:
    """What is kept of a training: its row of training.parquet, test probabilities, and what rebuilds the network."""

    row: dict[str, Any]
    probabilities: Tensor
    network: dict[str, Tensor]

    def save(self, path: Path) -> None:
        with atomic_path(path) as temporary:
            save_file({"probabilities": self.probabilities, **self.network}, temporary, {_KEY: json.dumps(self.row)})

    @classmethod
    def load(cls, path: Path) -> _Outcome:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # not iterable
            return cls(json.loads(file.metadata()[_KEY]), tensors.pop("probabilities"), tensors)


@dataclass(frozen=True)
class _Real:
    """The real records of an experiment, by split."""

    name: str
    dataset: Dataset
    train: Selection
    validation: Selection
    test: Selection

    def share(self, fraction: float, seed: int) -> Selection:
        """Return a share of the training records: the same one for every setting; 0 is none."""
        positions = subset(self.train.labels, fraction, seed) if fraction else np.empty(0, dtype=np.int64)
        return self.train.subset(positions)


@dataclass(frozen=True)
class _Records:
    """What one training learns from and stops on."""

    real: Selection
    synthetic: Selection
    validation: Selection

    @property
    def train(self) -> Selection:
        return self.real + self.synthetic


def _cells(setting: str, generator: str, fractions: Sequence[float], seeds: Sequence[int]) -> list[_Cell]:
    return [
        _Cell(setting, generator, fraction, seed) for fraction in sorted(set(fractions)) for seed in sorted(set(seeds))
    ]


def _open(folder: str | Path, splits: Sequence[str]) -> tuple[Dataset, list[Selection]]:
    """Open a dataset whose ``splits`` must all have records."""
    dataset = Dataset.load(folder)
    selections = [select(dataset, split) for split in splits]
    empty = [split for split, records in zip(splits, selections, strict=True) if len(records) == 0]
    if empty:
        raise ValueError(f"{folder} has no {' and no '.join(empty)} record: more records are needed")
    return dataset, selections


def _open_real(folder: str | Path) -> _Real:
    dataset, (train, validation, test) = _open(folder, SPLITS)
    return _Real(_name(folder), dataset, train, validation, test)


def _name(folder: str | Path) -> str:
    return Path(folder).resolve().name


def _require_same_form(first: str | Path, one: SignalSpec, second: str | Path, two: SignalSpec) -> None:
    """Refuse to mix signals whose leads, rate, length or classes differ."""
    a, b = one.to_json(), two.to_json()
    differences = [f"{key}: {a[key]} and {b[key]}" for key in a if a[key] != b[key]]
    if differences:
        raise ValueError(
            f"{first} and {second} do not fit together ({'; '.join(differences)}): make both with the same config"
        )


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _run(cells: Sequence[_Cell], train: Callable[[_Cell], _Outcome], state_dir: Path) -> dict[_Cell, _Outcome]:
    """Do the trainings that ``state_dir`` does not hold yet; return all, in the order of ``cells``."""
    if not cells:
        raise ValueError("there is nothing to train: give at least one setting, fraction and seed")
    outcomes = {}
    with _one_thread():
        for cell in tqdm(cells, desc="trainings", unit="training", disable=None):
            path = state_dir / f"{cell.setting}-{cell.fraction!r}-{cell.seed}.safetensors"
            if path.exists():
                log.info("%s: done before, kept", cell)
                outcomes[cell] = _Outcome.load(path)
            else:
                outcomes[cell] = train(cell)
                outcomes[cell].save(path)
                _log(cell, outcomes[cell].row)
    return outcomes


def _log(cell: _Cell, row: dict[str, Any]) -> None:
    absent = [key.removeprefix(_COUNT) for key, count in row.items() if key.startswith(_COUNT) and count == 0]
    log.info(
        "%s: %d records, %d steps (best %d), validation loss %.5f, %.1f s%s",
        cell,
        row["n_train"],
        row["steps"],
        row["best_step"],
        row["validation_loss"],
        row["seconds"],
        f"; no training record of {', '.join(absent)}" if absent else "",
    )


def _row(
    cell: _Cell, data: _Real, records: _Records, result: Fit, trained: nn.Module, seconds: float
) -> dict[str, Any]:
    """Return a training's row of training.parquet; ``trained`` is the network or, of a frozen one, its head."""
    counts = np.bincount(records.train.labels, minlength=len(data.dataset.spec.classes))
    return {
        "dataset": data.name,
        **asdict(cell),
        **asdict(result),
        "seconds": seconds,
        "parameters": sum(parameter.numel() for parameter in trained.parameters()),
        "n_train": len(records.train),
        "n_real": len(records.real),
        "n_synthetic": len(records.synthetic),
        "n_validation": len(records.validation),
        "n_test": len(data.test),
        **{f"{_COUNT}{name}": int(count) for name, count in zip(data.dataset.spec.classes, counts, strict=True)},
    }


def _test(cell: _Cell, data: _Real, model: nn.Module, inputs: Inputs) -> Tensor:
    """Return the class probabilities of the real test records, ``(n, classes)``."""
    probabilities = predict(model, inputs)
    wrong = np.flatnonzero(~np.isfinite(probabilities).all(axis=1))
    if len(wrong):
        record = data.dataset.records["record"].iloc[data.test.row[wrong[0]]]
        raise ValueError(
            f"{data.name}: test record {record} has no finite prediction ({cell}); look for NaN or huge values in its signals"
        )
    return torch.from_numpy(probabilities)


def _train_network(
    cell: _Cell, data: _Real, records: _Records, settings: ClassifierSettings, device: torch.device
) -> _Outcome:
    """Train a network from scratch."""
    started = time.perf_counter()
    standardizer = Standardizer.fit(records.train)
    train, validation, test = (
        standardized(part, standardizer, device) for part in (records.train, records.validation, data.test)
    )
    model = build(data.dataset.spec, settings, cell.seed)
    result = fit(model, train, validation, settings, cell.seed, device)
    probabilities = _test(cell, data, model, test)
    row = _row(cell, data, records, result, model, time.perf_counter() - started)
    network = network_tensors(model, standardizer) if cell.setting == "TrSTeR" else {}  # transfer starts from it
    return _Outcome(row, probabilities, network)


def _train_head(
    cell: _Cell,
    data: _Real,
    records: _Records,
    pretrained: Pretrained,
    settings: ClassifierSettings,
    device: torch.device,
) -> _Outcome:
    """Fine-tune the dense head of a pre-trained network; its convolutions' output is computed once."""
    started = time.perf_counter()
    standardizer = Standardizer.fit(records.train)
    model = pretrained.network(cell.seed).to(device)
    train, validation, test = (
        convolution_features(model, standardized(part, standardizer, device))
        for part in (records.train, records.validation, data.test)
    )
    result = fit(model.head, train, validation, settings, cell.seed, device)
    probabilities = _test(cell, data, model.head, test)
    row = _row(cell, data, records, result, model.head, time.perf_counter() - started)
    return _Outcome(row, probabilities, {})


def _write_tables(out: Path, data: _Real, outcomes: dict[_Cell, _Outcome]) -> None:
    """Write predictions.parquet (a row a test record and training) and training.parquet (a row a training)."""
    classes = data.dataset.spec.classes
    metadata = {"classes": list(classes)}
    tested = data.dataset.records.iloc[data.test.row][["record", "patient", "label"]].reset_index(drop=True)
    frames = []
    for cell, outcome in outcomes.items():
        frame = tested.assign(dataset=data.name, **asdict(cell))[["dataset", *asdict(cell), *tested.columns]]
        probabilities = pd.DataFrame(outcome.probabilities.numpy(), columns=[f"p_{name}" for name in classes])
        frames.append(pd.concat([frame, probabilities], axis=1))
    write_parquet(out / "predictions.parquet", pd.concat(frames, ignore_index=True), metadata)
    write_parquet(out / "training.parquet", pd.DataFrame([outcome.row for outcome in outcomes.values()]), metadata)


def real(
    data: str | Path,
    out: str | Path,
    settings: ClassifierSettings,
    fractions: Sequence[float],
    seeds: Sequence[int],
    *,
    state_dir: str | Path,
    device: str = "cpu",
) -> None:
    """Run TrRTeR: train from scratch on shares of the real training records.

    Args:
        data: folder of the real dataset.
        out: folder for the two tables.
        settings: the network and its training.
        fractions: shares of the training records, those of transfer among them.
        seeds: one repetition for each.
        state_dir: folder for finished trainings; deleted at the end.
        device: ``cpu`` or ``cuda``.

    Raises:
        FileNotFoundError, ValueError: if ``data`` is no dataset or one of its splits is empty.
    """
    real_set = _open_real(data)

    def train(cell: _Cell) -> _Outcome:
        records = _Records(real_set.share(cell.fraction, cell.seed), real_set.share(0, cell.seed), real_set.validation)
        return _train_network(cell, real_set, records, settings, torch.device(device))

    cells = _cells("TrRTeR", REAL, fractions, seeds)
    _write_tables(Path(out), real_set, _run(cells, train, Path(state_dir)))
    shutil.rmtree(state_dir)


def augmentation(
    data: str | Path,
    samples: str | Path,
    out: str | Path,
    settings: ClassifierSettings,
    which: Sequence[Literal["TrSTeR", "TrRSTeR"]],
    fractions: Sequence[float],
    seeds: Sequence[int],
    *,
    state_dir: str | Path,
    device: str = "cpu",
) -> None:
    """Run TrSTeR and TrRSTeR: train on synthetic records, alone or added to shares of the real training records.

    With TrSTeR among ``which``, its networks are also written to ``pretrained.safetensors`` for :func:`transfer`.

    Args:
        data: folder of the real dataset.
        samples: folder of the synthetic dataset.
        out: folder for the tables and the networks.
        settings: the network and its training.
        which: settings to run.
        fractions: shares of the real training records in TrRSTeR.
        seeds: one repetition for each.
        state_dir: folder for finished trainings; deleted at the end.
        device: ``cpu`` or ``cuda``.

    Raises:
        FileNotFoundError, ValueError: if a folder is no dataset, the two differ in leads, rate, length or classes, or a
            split that is needed is empty.
    """
    real_set = _open_real(data)
    synthetic, (synthetic_train, synthetic_validation) = _open(samples, ("train", "validation"))
    _require_same_form(data, real_set.dataset.spec, samples, synthetic.spec)
    generator = _name(samples)

    def train(cell: _Cell) -> _Outcome:
        validation = synthetic_validation if cell.setting == "TrSTeR" else real_set.validation
        records = _Records(real_set.share(cell.fraction, cell.seed), synthetic_train, validation)
        return _train_network(cell, real_set, records, settings, torch.device(device))

    pretraining = _cells("TrSTeR", generator, [0.0], seeds) if "TrSTeR" in which else []
    augmented = _cells("TrRSTeR", generator, fractions, seeds) if "TrRSTeR" in which else []
    outcomes = _run([*pretraining, *augmented], train, Path(state_dir))
    if pretraining:
        networks = {cell.seed: outcomes[cell].network for cell in pretraining}
        pretrained = Pretrained(real_set.name, generator, synthetic.spec, settings, networks)
        pretrained.save(Path(out) / "pretrained.safetensors")
    _write_tables(Path(out), real_set, outcomes)
    shutil.rmtree(state_dir)


def transfer(
    data: str | Path,
    pretrained: str | Path,
    out: str | Path,
    settings: ClassifierSettings,
    fractions: Sequence[float],
    seeds: Sequence[int],
    *,
    state_dir: str | Path,
    device: str = "cpu",
) -> None:
    """Fine-tune the dense head of TrSTeR's networks on shares of the real training records (setting ``frozen``).

    Compare with TrRTeR at the same fraction and seed, which learns from the same records.

    Args:
        data: folder of the real dataset.
        pretrained: ``pretrained.safetensors`` of :func:`augmentation`.
        out: folder for the two tables.
        settings: the network, as it was pre-trained, and how to fine-tune it.
        fractions: shares of the real training records.
        seeds: one repetition for each; each starts from the network of its own seed.
        state_dir: folder for finished trainings; deleted at the end.
        device: ``cpu`` or ``cuda``.

    Raises:
        FileNotFoundError, ValueError: if a file is missing, one of the dataset's splits is empty, or the networks were
            made for other signals, another architecture or other seeds.
    """
    real_set = _open_real(data)
    start = Pretrained.load(pretrained)
    _require_same_form(data, real_set.dataset.spec, pretrained, start.spec)
    for key in _NETWORK:
        if getattr(settings, key) != getattr(start.settings, key):
            raise ValueError(
                f"{pretrained} was trained with {key} {getattr(start.settings, key)}, the settings say {getattr(settings, key)}: "
                "run the augmentation experiment anew"
            )
    if missing := sorted(set(seeds) - set(start.networks)):
        raise ValueError(
            f"{pretrained} has no network of seed {', '.join(map(str, missing))}: run the augmentation experiment with them"
        )

    def train(cell: _Cell) -> _Outcome:
        records = _Records(real_set.share(cell.fraction, cell.seed), real_set.share(0, cell.seed), real_set.validation)
        return _train_head(cell, real_set, records, start, settings, torch.device(device))

    cells = _cells("frozen", start.generator, fractions, seeds)
    _write_tables(Path(out), real_set, _run(cells, train, Path(state_dir)))
    shutil.rmtree(state_dir)
