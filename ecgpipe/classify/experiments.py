"""The study's classification experiments: which records each network learns from, stops on and is tested on.

Tr = train on, Te = test on, R = real, S = synthetic.

=========  ==========================================  ====================  ====================================
setting    learns from                                 stops on validation   fraction
=========  ==========================================  ====================  ====================================
TrRTeR     share of real training records              real                  share of real training records
TrSTeR     all synthetic training records              synthetic             0 (no real record is learnt from)
TrRSTeR    that share and synthetic ones, see ratio    real                  share of real training records
frozen     that share; from a pre-trained network,     real                  share of real training records
           dense head only
probe      that share; from a pre-trained network, a   real                  share of real training records
           new linear layer on its convolutions only
finetuned  that share; from a pre-trained network,     real                  share of real training records
           all weights
TrSTeS     is TrSTeR's network tested on synthetic test records, TrRTeS the one of TrRTeR
=========  ==========================================  ====================  ====================================

At one seed and fraction all settings use the same real records. The z-score of each network is fitted on the records it
learns from. Names of dataset and generator in the tables are those of the folders; ``generator`` is ``g@other`` for
synthetic records made after another dataset, and ``real:other`` for networks pre-trained on another dataset's real
records. ``tested`` is the dataset, or ``dataset/generator`` for synthetic test records.

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
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from tqdm import tqdm

from ecgpipe import checkpoints
from ecgpipe.classify.inputs import Inputs, Selection, Standardizer, select, standardized
from ecgpipe.classify.pretrained import Pretrained, network_tensors
from ecgpipe.classify.subsets import companions, fillable, subset
from ecgpipe.classify.training import Fit, build, convolution_features, fit, linear_probe, predict
from ecgpipe.config import AnyClassifier, ClassifierTraining, Method, Ratio, Setting
from ecgpipe.dataset import SPLITS, Dataset, SignalSpec, require_distinct, require_same_form
from ecgpipe.files import write_parquet

log = logging.getLogger(__name__)

REAL = "none"
"""Generator's name in the rows of networks that saw no synthetic record."""

NO_RATIO = "none"
"""Ratio in the rows of networks that did not learn from both."""

_KEY = "ecgpipe"
_COUNT = "n_train_"
_TESTED = "probabilities."


@dataclass(frozen=True)
class _Cell:
    """One training."""

    setting: str
    generator: str
    fraction: float
    ratio: str
    seed: int

    def __str__(self) -> str:
        ratio = "" if self.ratio in (NO_RATIO, "all") else f" ratio {self.ratio}"
        return f"{self.setting} {self.generator} fraction {self.fraction}{ratio} seed {self.seed}"

    @property
    def state(self) -> str:
        """Name of the file that keeps a finished training."""
        return f"{self.setting}-{self.fraction!r}-{self.ratio}-{self.seed}.safetensors"


@dataclass(frozen=True)
class _Outcome:
    """What is kept of a training: its row of training.parquet, probabilities by test set, and what rebuilds the network."""

    row: dict[str, Any]
    probabilities: dict[str, Tensor]
    network: dict[str, Tensor]

    def save(self, path: Path) -> None:
        tested = {_TESTED + name: values for name, values in self.probabilities.items()}
        with checkpoints.writing(path) as temporary:
            save_file({**tested, **self.network}, temporary, {_KEY: json.dumps(self.row)})

    @classmethod
    def load(cls, path: Path) -> _Outcome:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # not iterable
            tested = {name: tensors.pop(name) for name in list(tensors) if name.startswith(_TESTED)}
            row = json.loads(file.metadata()[_KEY])
        return cls(row, {name.removeprefix(_TESTED): values for name, values in tested.items()}, tensors)


@dataclass(frozen=True)
class _Test:
    """Records to test on."""

    name: str
    dataset: Dataset
    records: Selection
    synthetic: bool = False

    def setting(self, trained: str) -> str:
        """Name the setting of a network, trained as named, that is tested here."""
        return f"{trained[:-1]}S" if self.synthetic else trained


@dataclass(frozen=True)
class _Real:
    """The real records of an experiment, by split; ``tests`` are those of the dataset itself and of others."""

    name: str
    dataset: Dataset
    train: Selection
    validation: Selection
    tests: tuple[_Test, ...]

    @classmethod
    def open(cls, folder: str | Path, also_test: Sequence[str | Path]) -> _Real:
        dataset, (train, validation, _) = _open(folder, SPLITS)
        require_distinct({_name(other): Path(other) for other in (folder, *also_test)})
        tests = []
        for other in (folder, *also_test):
            opened, (records,) = _open(other, ("test",))
            require_same_form({str(folder): dataset.spec, str(other): opened.spec})
            tests.append(_Test(_name(other), opened, records))
        return cls(_name(folder), dataset, train, validation, tuple(tests))

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


def _cells(
    setting: str,
    generator: str,
    fractions: Sequence[float],
    seeds: Sequence[int],
    ratios: Sequence[str] = (NO_RATIO,),
) -> list[_Cell]:
    return [
        _Cell(setting, generator, fraction, ratio, seed)
        for fraction in sorted(set(fractions))
        for ratio in ratios
        for seed in sorted(set(seeds))
    ]


def _ratio(ratio: Ratio) -> str:
    """Write a ratio: ``all``, ``balance``, ``0.5``."""
    return ratio if isinstance(ratio, str) else f"{ratio:g}"


def _open(folder: str | Path, splits: Sequence[str]) -> tuple[Dataset, list[Selection]]:
    """Open a dataset whose ``splits`` must all have records."""
    dataset = Dataset.load(folder)
    selections = [select(dataset, split) for split in splits]
    empty = [split for split, records in zip(splits, selections, strict=True) if len(records) == 0]
    if empty:
        raise ValueError(f"{folder} has no {' and no '.join(empty)} record: more records are needed")
    return dataset, selections


def _name(folder: str | Path) -> str:
    return Path(folder).resolve().name


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
    outcomes, there = {}, checkpoints.versions(state_dir)
    with _one_thread():
        for cell in tqdm(cells, desc="trainings", unit="training", disable=None):
            path = state_dir / cell.state
            if (version := next(checkpoints.sound(path, there), None)) is not None:
                log.info("%s: done before, kept", cell)
                outcomes[cell] = _Outcome.load(version)
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
        "n_test": len(data.tests[0].records),
        **{f"{_COUNT}{name}": int(count) for name, count in zip(data.dataset.spec.classes, counts, strict=True)},
    }


def _tested(cell: _Cell, model: nn.Module, test: _Test, inputs: Inputs) -> Tensor:
    """Return the class probabilities of test records, ``(n, classes)``."""
    probabilities = predict(model, inputs)
    wrong = np.flatnonzero(~np.isfinite(probabilities).all(axis=1))
    if len(wrong):
        record = test.dataset.records["record"].iloc[test.records.signals.rows[wrong[0]]]
        raise ValueError(
            f"{test.name}: test record {record} has no finite prediction ({cell}); look for NaN or huge values in its signals"
        )
    return torch.from_numpy(probabilities)


def _train_network(
    cell: _Cell,
    data: _Real,
    records: _Records,
    tests: Sequence[_Test],
    settings: AnyClassifier,
    device: torch.device,
    *,
    start: Pretrained | None = None,
    keep: bool = False,
) -> _Outcome:
    """Train all weights of a network, from scratch or from those of ``start``; ``keep`` what rebuilds it."""
    started = time.perf_counter()
    standardizer = Standardizer.fit(records.train)
    train, validation = (standardized(part, standardizer, device) for part in (records.train, records.validation))
    model = start.network(cell.seed) if start else build(data.dataset.spec, settings, cell.seed)
    result = fit(model, train, validation, settings, cell.seed, device)
    probabilities = {
        test.name: _tested(cell, model, test, standardized(test.records, standardizer, device)) for test in tests
    }
    row = _row(cell, data, records, result, model, time.perf_counter() - started)
    return _Outcome(row, probabilities, network_tensors(model, standardizer) if keep else {})


def _train_head(
    cell: _Cell,
    data: _Real,
    records: _Records,
    start: Pretrained,
    settings: AnyClassifier,
    device: torch.device,
) -> _Outcome:
    """Fine-tune the dense head of a pre-trained network, or a new linear one; the convolutions' output is computed once."""
    started = time.perf_counter()
    standardizer = Standardizer.fit(records.train)
    model = start.network(cell.seed).to(device)
    train, validation, *tests = (
        convolution_features(model, standardized(part, standardizer, device))
        for part in (records.train, records.validation, *(test.records for test in data.tests))
    )
    head = linear_probe(train, data.dataset.spec, cell.seed) if cell.setting == "probe" else model.head
    result = fit(head, train, validation, settings, cell.seed, device)
    probabilities = {
        test.name: _tested(cell, head, test, features) for test, features in zip(data.tests, tests, strict=True)
    }
    return _Outcome(_row(cell, data, records, result, head, time.perf_counter() - started), probabilities, {})


def _finish(
    out: str | Path,
    data: _Real,
    tests: Sequence[_Test],
    outcomes: dict[_Cell, _Outcome],
    state_dir: Path,
    untrained: dict[_Cell, dict[str, Tensor]] | None = None,
) -> None:
    """Write predictions.parquet (a row a test record, test set and training) and training.parquet (a row a training).

    ``untrained`` are predictions of networks that were trained elsewhere. The state is deleted.
    """
    out, classes = Path(out), data.dataset.spec.classes
    metadata = {"classes": list(classes)}
    predicted = {cell: outcome.probabilities for cell, outcome in outcomes.items()} | (untrained or {})
    frames = []
    for test in tests:
        tested = test.dataset.records.iloc[test.records.signals.rows][["record", "patient", "label"]].reset_index(
            drop=True
        )
        for cell, probabilities in predicted.items():
            if test.name not in probabilities:
                continue
            keys = {"dataset": data.name, **asdict(cell), "setting": test.setting(cell.setting), "tested": test.name}
            values = pd.DataFrame(probabilities[test.name].numpy(), columns=[f"p_{name}" for name in classes])
            frames.append(pd.concat([tested.assign(**keys)[[*keys, *tested.columns]], values], axis=1))
    write_parquet(out / "predictions.parquet", pd.concat(frames, ignore_index=True), metadata)
    write_parquet(out / "training.parquet", pd.DataFrame([outcome.row for outcome in outcomes.values()]), metadata)
    shutil.rmtree(state_dir)


def _save_networks(
    path: Path,
    data: _Real,
    spec: SignalSpec,
    settings: AnyClassifier,
    outcomes: dict[_Cell, _Outcome],
    kept: Sequence[_Cell],
) -> None:
    networks = {cell.seed: outcomes[cell].network for cell in kept}
    Pretrained(data.name, kept[0].generator, kept[0].fraction, spec, settings, networks).save(path)


def real(
    data: str | Path,
    out: str | Path,
    settings: AnyClassifier,
    fractions: Sequence[float],
    seeds: Sequence[int],
    *,
    also_test: Sequence[str | Path] = (),
    state_dir: str | Path,
    device: str = "cpu",
) -> None:
    """Run TrRTeR: train from scratch on shares of the real training records.

    The networks of the largest share are also written, to ``pretrained.safetensors``.

    Args:
        data: folder of the real dataset.
        out: folder for the tables and the networks.
        settings: the network and its training.
        fractions: shares of the training records, those of transfer among them.
        seeds: one repetition for each.
        also_test: folders of further datasets whose test records are tested on.
        state_dir: folder for finished trainings; deleted at the end.
        device: ``cpu`` or ``cuda``.

    Raises:
        FileNotFoundError, ValueError: if a folder is no dataset, one of its splits is empty, or the datasets differ in form.
    """
    real_set = _Real.open(data, also_test)
    cells = _cells("TrRTeR", REAL, fractions, seeds)
    kept = [cell for cell in cells if cell.fraction == max(fractions)]

    def train(cell: _Cell) -> _Outcome:
        records = _Records(real_set.share(cell.fraction, cell.seed), real_set.share(0, cell.seed), real_set.validation)
        keep = cell in kept
        return _train_network(cell, real_set, records, real_set.tests, settings, torch.device(device), keep=keep)

    outcomes = _run(cells, train, Path(state_dir))
    _save_networks(Path(out) / "pretrained.safetensors", real_set, real_set.dataset.spec, settings, outcomes, kept)
    _finish(out, real_set, real_set.tests, outcomes, Path(state_dir))


def augmentation(
    data: str | Path,
    samples: str | Path,
    out: str | Path,
    settings: AnyClassifier,
    which: Sequence[Setting],
    fractions: Sequence[float],
    seeds: Sequence[int],
    *,
    ratios: Sequence[Ratio] = ("all",),
    name: str | None = None,
    real_networks: str | Path | None = None,
    also_test: Sequence[str | Path] = (),
    state_dir: str | Path,
    device: str = "cpu",
) -> None:
    """Run what learns from synthetic records, alone (TrSTeR) or added to shares of real ones (TrRSTeR), or is tested on them.

    With TrSTeR among ``which``, its networks are also written to ``pretrained.safetensors`` for :func:`transfer`.

    Args:
        data: folder of the real dataset.
        samples: folder of the synthetic dataset.
        out: folder for the tables and the networks.
        settings: the network and its training.
        which: settings to run; TrRTeR is not among them, TrSTeS comes with TrSTeR only.
        fractions: shares of the real training records in TrRSTeR.
        seeds: one repetition for each.
        ratios: synthetic records in TrRSTeR, see :func:`ecgpipe.classify.subsets.companions`; at each share those
            that :func:`ecgpipe.classify.subsets.fillable` leaves.
        name: generator's name in the tables; that of the folder if not given.
        real_networks: ``pretrained.safetensors`` of :func:`real`, needed for TrRTeS.
        also_test: folders of further datasets whose test records are tested on.
        state_dir: folder for finished trainings; deleted at the end.
        device: ``cpu`` or ``cuda``.

    Raises:
        FileNotFoundError, ValueError: if a folder is no dataset, they differ in leads, rate, length or classes, or a
            split that is needed is empty.
    """
    real_set = _Real.open(data, also_test)
    on_synthetic = {"TrSTeS", "TrRTeS"} & set(which)
    synthetic, (train_part, validation_part, *test_part) = _open(samples, SPLITS if on_synthetic else SPLITS[:2])
    require_same_form({str(data): real_set.dataset.spec, str(samples): synthetic.spec})
    generator = name or _name(samples)
    where = torch.device(device)
    synthetic_test = [_Test(f"{real_set.name}/{generator}", synthetic, part, True) for part in test_part]

    def train(cell: _Cell) -> _Outcome:
        share = real_set.share(cell.fraction, cell.seed)
        if cell.setting == "TrRSTeR":
            added = train_part.subset(companions(share.labels, train_part.labels, cell.ratio, cell.seed))
            records = _Records(share, added, real_set.validation)
            return _train_network(cell, real_set, records, real_set.tests, settings, where)
        tests = [*real_set.tests, *(synthetic_test if "TrSTeS" in which else [])]
        return _train_network(
            cell, real_set, _Records(share, train_part, validation_part), tests, settings, where, keep=True
        )

    pretraining = _cells("TrSTeR", generator, [0.0], seeds) if "TrSTeR" in which else []
    augmented = []
    for fraction in sorted(set(fractions)) if "TrRSTeR" in which else []:
        wanted = [_ratio(ratio) for ratio in ratios]
        filled = fillable(wanted, real_set.share(fraction, seeds[0]).labels, train_part.labels)
        if left := [ratio for ratio in wanted if ratio not in filled]:
            log.info(
                "TrRSTeR %s fraction %g is left out with ratio %s: %d synthetic records are too few, or it would be the same as another or add nothing",
                generator,
                fraction,
                ", ".join(left),
                len(train_part),
            )
        augmented += _cells("TrRSTeR", generator, [fraction], seeds, filled)
    outcomes = _run([*pretraining, *augmented], train, Path(state_dir))
    if pretraining:
        path = Path(out) / "pretrained.safetensors"
        _save_networks(path, real_set, synthetic.spec, settings, outcomes, pretraining)
    untrained: dict[_Cell, dict[str, Tensor]] = {}
    if "TrRTeS" in which:
        if real_networks is None:
            raise ValueError("TrRTeS needs the networks of the real experiment: give its pretrained.safetensors")
        start = _pretrained(real_networks, data, real_set, settings, seeds)
        for cell in _cells("TrRTeR", generator, [start.fraction], seeds):
            model, standardizer = start.network(cell.seed).to(where), start.standardizer(cell.seed)
            untrained[cell] = {
                test.name: _tested(cell, model, test, standardized(test.records, standardizer, where))
                for test in synthetic_test
            }
    _finish(out, real_set, [*real_set.tests, *synthetic_test], outcomes, Path(state_dir), untrained)


def _pretrained(
    path: str | Path, data: str | Path, real_set: _Real, settings: AnyClassifier, seeds: Sequence[int]
) -> Pretrained:
    """Open networks that must be of these settings' architecture, for such signals and of these seeds."""
    start = Pretrained.load(path)
    require_same_form({str(data): real_set.dataset.spec, str(path): start.spec})
    for key in ("kind", *(key for key in type(settings).model_fields if key not in ClassifierTraining.model_fields)):
        trained = getattr(start.settings, key, None)
        if getattr(settings, key) != trained:
            raise ValueError(
                f"{path} was trained with {key} {trained}, the settings say {getattr(settings, key)}: "
                "run the experiment it comes from anew"
            )
    if missing := sorted(set(seeds) - set(start.networks)):
        raise ValueError(
            f"{path} has no network of seed {', '.join(map(str, missing))}: run the experiment it comes from with them"
        )
    return start


def transfer(
    data: str | Path,
    pretrained: str | Path,
    out: str | Path,
    settings: AnyClassifier,
    fractions: Sequence[float],
    seeds: Sequence[int],
    *,
    methods: Sequence[Method] = ("frozen",),
    origin: str | Path | None = None,
    state_dir: str | Path,
    device: str = "cpu",
) -> None:
    """Go on with pre-trained networks on shares of the real training records.

    Compare with TrRTeR at the same fraction and seed, which learns from the same records.

    Args:
        data: folder of the real dataset.
        pretrained: ``pretrained.safetensors`` of :func:`augmentation`, or of :func:`real` on another dataset.
        out: folder for the two tables.
        settings: the network, as it was pre-trained, and how to fine-tune it.
        fractions: shares of the real training records.
        seeds: one repetition for each; each starts from the network of its own seed.
        methods: ``frozen``, ``finetuned``, ``probe``.
        origin: folder of the real dataset that the networks learnt from, if they learnt from one.
        state_dir: folder for finished trainings; deleted at the end.
        device: ``cpu`` or ``cuda``.

    Raises:
        FileNotFoundError, ValueError: if a file is missing, one of the dataset's splits is empty, or the networks were
            made for other signals, another architecture or other seeds, or learnt from recordings of the dataset.
    """
    real_set = _Real.open(data, ())
    if origin is not None:
        require_distinct({_name(folder): Path(folder) for folder in (data, origin)})
    start = _pretrained(pretrained, data, real_set, settings, seeds)
    source = f"real:{start.dataset}" if start.generator == REAL else start.generator
    where = torch.device(device)

    def train(cell: _Cell) -> _Outcome:
        records = _Records(real_set.share(cell.fraction, cell.seed), real_set.share(0, cell.seed), real_set.validation)
        if cell.setting == "finetuned":
            return _train_network(cell, real_set, records, real_set.tests, settings, where, start=start)
        return _train_head(cell, real_set, records, start, settings, where)

    cells = [cell for method in methods for cell in _cells(method, source, fractions, seeds)]
    _finish(out, real_set, real_set.tests, _run(cells, train, Path(state_dir)), Path(state_dir))
