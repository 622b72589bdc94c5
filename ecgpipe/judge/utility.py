"""Do synthetic ECGs help a classifier? Networks with and without them, tested on the same real patients."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from sklearn.model_selection import StratifiedGroupKFold
from tqdm import tqdm

from ecgpipe.arrays import SignalReader
from ecgpipe.classify.inputs import Selection, Standardizer, standardized
from ecgpipe.classify.training import build, fit, predict
from ecgpipe.closeness.records import Records, require_same_form
from ecgpipe.config import ClassifierSettings
from ecgpipe.config.derived import shortest_length
from ecgpipe.dataset import SignalSpec
from ecgpipe.tables.resampling import interval, over_seeds, patient_weights, seed_weights, widened
from ecgpipe.tables.weighted import metric_names, weighted_table
from ecgpipe.vocabulary import CANNOT_TELL, MACRO

REAL_ONLY, SYNTHETIC_ONLY, BOTH = "real", "synthetic", "real and synthetic"
METRICS = {(MACRO, "f1"): "macro F1", (MACRO, "roc_auc"): "macro ROC-AUC"}
FOLDS = 5
"""A fifth of the patients validates and, without training records of their own, a fifth is tested on."""
DRAWS, CONFIDENCE = 1000, 0.95


def classifier(length: int, steps: int) -> ClassifierSettings:
    """Return the network and its training: the residual CNN of the study, smaller where records are short."""
    blocks = max(number for number in range(1, 6) if number == 1 or shortest_length(number) <= length)
    return ClassifierSettings(
        blocks=blocks, channels=16, width=64, dense_layers=1, dropout=0.0, learning_rate=3e-3, batch=32, steps=steps,
        patience=5,
    )  # fmt: skip


def utility(
    real: Records,
    synthetic: Records,
    train: Records | None,
    *,
    steps: int = 400,
    repetitions: int = 5,
    seed: int = 0,
    device: str = "cpu",
) -> pd.DataFrame:
    """Train on real records, on synthetic ones, and on both; test all on the same real records.

    Every network takes the same number of steps, so that one with more records does not learn for longer. Weights are
    chosen on validation records: real ones, except for the network that sees synthetic records only. Intervals are
    over repetitions and test patients.

    Args:
        real: with labels, and none that the generator learned from. Tested on; without ``train`` it is split by
            patient into training, validation and test records.
        synthetic: with labels.
        train: other real records, with labels, to train and validate on.
        steps: optimiser steps of every training.
        repetitions: trainings of each kind, from different seeds; at least 2.
        seed: of splits, trainings and intervals.
        device: where to train.

    Returns:
        A row for each kind of training and metric: ``trained_on``, ``metric``, ``value`` with ``low`` and ``high``,
        ``difference`` to real records only with its interval and ``verdict``, and the numbers of records.

    Raises:
        ValueError: if labels are missing, or there are too few records or patients of a class.
    """
    sets = {"real": real, "synthetic": synthetic, **({} if train is None else {"train": train})}
    for name, records in sets.items():
        if records.labels is None:
            raise ValueError(f"--utility trains a classifier and needs the labels of every set: give --{name}-labels")
        require_same_form(real, records, f"real and {name} records")
    classes = tuple(np.unique(np.asarray(real.labels, dtype=str)).tolist())
    if len(classes) < 2:
        raise ValueError(f"--utility needs two classes or more; the real records have {', '.join(classes)} only")
    synthetic, train = _of(synthetic, classes), None if train is None else _of(train, classes)
    spec = SignalSpec(real.rate, real.signals.shape[2], classes, real.leads)
    if train is None:
        learn, validate, test = _parts(real, "real", classes, ("learn from", "validate on", "test on"), seed)
    else:
        test = real
        learn, validate = _parts(train, "train", classes, ("learn from", "validate on"), seed)
    own_learn, own_validate = _parts(synthetic, "synthetic", classes, ("learn from", "validate on"), seed)
    parts = {
        REAL_ONLY: ([learn], [validate]),
        BOTH: ([learn, synthetic], [validate]),
        SYNTHETIC_ONLY: ([own_learn], [own_validate]),
    }
    torch.set_num_threads(1)  # sums depend on the number of threads in their last bits
    tested = _selection([test], classes)
    probabilities = {
        name: _train(
            _selection(to_learn, classes),
            _selection(to_validate, classes),
            tested,
            spec,
            steps,
            repetitions,
            seed,
            device,
        )
        for name, (to_learn, to_validate) in parts.items()
    }
    counts = {name: sum(len(part) for part in to_learn) for name, (to_learn, _) in parts.items()}
    return _table(probabilities, tested.labels, _patients(test), classes, counts, seed)


def _patients(records: Records) -> np.ndarray:
    return np.arange(len(records)).astype(str) if records.patients is None else records.patients.astype(str)


def _of(records: Records, classes: tuple[str, ...]) -> Records:
    """Return the records of the classes; those of others are left out."""
    return records.view(np.flatnonzero(np.isin(np.asarray(records.labels, dtype=str), classes)))


def _folds(labels: np.ndarray, patients: np.ndarray, name: str, seed: int) -> np.ndarray:
    """Return the fold of each record ``(n,)``: by patient, with the classes' shares."""
    names, counts = np.unique(labels, return_counts=True)
    if (few := counts < FOLDS).any():
        raise ValueError(
            f"--utility needs at least {FOLDS} records of each class; there are {counts[few][0]} of {names[few][0]}"
            f" among the {name} records"
        )
    fold = np.empty(len(labels), dtype=np.int64)
    splitter = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    for number, (_, rows) in enumerate(splitter.split(labels, labels, patients)):
        fold[rows] = number
    return fold


def _parts(
    records: Records, name: str, classes: tuple[str, ...], uses: tuple[str, ...], seed: int
) -> tuple[Records, ...]:
    """Return a part of the records for each use: a fold each, and the rest for the first use.

    Raises:
        ValueError: if a part lacks a class. Synthetic records may lack a class altogether, real ones may not.
    """
    labels = np.asarray(records.labels, dtype=str)
    wanted = np.unique(labels) if name == "synthetic" and len(labels) else np.array(classes)
    if missing := sorted({*wanted} - {*labels}):
        raise ValueError(f"--utility: there is no {missing[0]} among the {name} records: give such records too")
    use_of = (_folds(labels, _patients(records), name, seed) + 1) % FOLDS
    use_of[use_of >= len(uses)] = 0
    for number, use in enumerate(uses):
        if missing := sorted({*wanted} - {*labels[use_of == number]}):
            raise ValueError(
                f"--utility: split by patient, the {name} records leave no {missing[0]} to {use}:"
                f" give records of at least {FOLDS} patients with it"
            )
    return tuple(records.view(np.flatnonzero(use_of == number)) for number in range(len(uses)))


def _selection(parts: Sequence[Records], classes: tuple[str, ...]) -> Selection:
    """Return records of the classes as a classifier reads them."""
    found: Selection | None = None
    for records in parts:
        signals = records.signals
        ids = np.searchsorted(classes, np.asarray(records.labels, dtype=str)).astype(np.int64)
        own = Selection(signals if isinstance(signals, SignalReader) else SignalReader.of(signals), ids)
        found = own if found is None else found + own
    assert found is not None
    return found


def _train(
    learn: Selection, validate: Selection, test: Selection, spec: SignalSpec, steps: int, repetitions: int, seed: int,
    device: str,
) -> np.ndarray:  # fmt: skip
    """Return class probabilities of the test records by each repetition, ``(s, n, classes)``."""
    settings, where, standardizer = classifier(spec.length, steps), torch.device(device), Standardizer.fit(learn)
    inputs = [standardized(part, standardizer, where) for part in (learn, validate, test)]
    found = []
    for repetition in tqdm(range(repetitions), desc="utility", unit="training", disable=None):
        network = build(spec, settings, seed + repetition)
        fit(network, inputs[0], inputs[1], settings, seed + repetition, where)
        found.append(predict(network, inputs[2]))
    return np.stack(found)


def _table(
    probabilities: dict[str, np.ndarray], labels: np.ndarray, patients: np.ndarray, classes: tuple[str, ...],
    counts: dict[str, int], seed: int,
) -> pd.DataFrame:  # fmt: skip
    rng = np.random.default_rng([seed, *b"utility"])
    of_patients = patient_weights(patients, labels, DRAWS, rng)
    of_seeds = seed_weights(len(next(iter(probabilities.values()))), DRAWS, rng)
    columns = [metric_names(classes).index(metric) for metric in METRICS]
    ones = np.ones((1, len(labels)))
    by_seed = {name: weighted_table(labels, p, ones)[0][:, columns] for name, p in probabilities.items()}
    drawn = {name: weighted_table(labels, p, of_patients)[:, :, columns] for name, p in probabilities.items()}
    rows = []
    for name in probabilities:
        own = _with_interval(by_seed[name], drawn[name], of_seeds)
        gain = _with_interval(by_seed[name] - by_seed[REAL_ONLY], drawn[name] - drawn[REAL_ONLY], of_seeds)
        for place, metric in enumerate(METRICS.values()):
            value, low, high = (part[place] for part in own)
            difference, difference_low, difference_high = (part[place] for part in gain)
            rows.append(
                {
                    "trained_on": name,
                    "metric": metric,
                    "value": value,
                    "low": max(low, 0.0),
                    "high": min(high, 1.0),
                    "difference": difference,
                    "difference_low": difference_low,
                    "difference_high": difference_high,
                    "verdict": "" if name == REAL_ONLY else _verdict(difference_low, difference_high),
                    "training_records": counts[name],
                    "test_records": len(labels),
                    "repetitions": len(by_seed[name]),
                }
            )
    return pd.DataFrame(rows)


def _with_interval(
    by_seed: np.ndarray, drawn: np.ndarray, seeds: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return mean and interval of each metric, from values ``(s, m)`` and draws ``(b, s, m)``."""
    mean, draws = np.nanmean(by_seed, axis=0), over_seeds(drawn, seeds)
    low, high = widened(*interval(draws, CONFIDENCE), mean, by_seed, draws, CONFIDENCE)
    return mean, low, high


def _verdict(low: float, high: float) -> str:
    if np.isnan(low) or np.isnan(high):
        return CANNOT_TELL
    if low > 0:
        return "they help"
    return "they harm" if high < 0 else "no difference was shown"
