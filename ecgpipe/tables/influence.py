"""How much each test patient moves the compared metrics: values and influences, for every network at once.

The influence of a record is the derivative of a metric by the record's weight; that of a patient is the sum over the
records of that patient. Influences add up to 0 over the test set, and the variance that the choice of patients gives a
metric is the sum over patients of their squares (infinitesimal jackknife: Efron and Stein, The jackknife estimate of
variance, Annals of Statistics 1981; for ROC-AUC this is DeLong, DeLong and Clarke-Pearson, Biometrics 44:837, 1988).

Macro averages are taken over rhythms with :data:`FEWEST` test patients or more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ecgpipe.classify.metrics import count_metrics
from ecgpipe.vocabulary import COMPARED

FEWEST = 10
"""Fewest test patients of a rhythm that counts in a comparison's macro averages; docs/statistics.md says why."""


@dataclass(frozen=True)
class Influences:
    """What a cell's networks reach in the metrics of :data:`ecgpipe.vocabulary.COMPARED`, and what it hangs on."""

    values: np.ndarray
    """Of each network on all test records, ``(s, m)``; NaN where a metric is not defined."""
    of_patients: np.ndarray
    """Influence of each patient, ``(m, s, patients)``, patients in the order of their sorted names."""
    swings: np.ndarray
    """What one patient of a class who is read the other way does to a metric, mean over networks, ``(m, k)``; 0 where
    that is a matter of degree (ROC-AUC)."""


@dataclass(frozen=True)
class Rhythms:
    """The rhythms that macro averages of a comparison are taken over."""

    ids: np.ndarray
    """Class ids: those with :data:`FEWEST` test patients or more; all that are present if there are not two of them."""
    enough: bool
    """Whether there are two with enough patients; without, nothing can be told from a macro average."""
    left_out: str
    """The others, each with its number of test patients."""

    @classmethod
    def of(cls, patients: np.ndarray, labels: np.ndarray, classes: Sequence[str]) -> Rhythms:
        """Count patients ``(n,)`` by class id ``(n,)`` of the test records."""
        counts = np.array([len(np.unique(patients[labels == k])) for k in range(len(classes))])
        few = ", ".join(f"{name} ({n})" for name, n in zip(classes, counts, strict=True) if n < FEWEST)
        enough = int((counts >= FEWEST).sum()) > 1
        return cls(np.flatnonzero(counts >= (FEWEST if enough else 1)), enough, few)


def gradients(counts: np.ndarray, rhythms: np.ndarray) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return metrics that follow from a confusion matrix, and their derivatives by each of its counts.

    Args:
        counts: records by true and predicted class, ``(..., k, k)``.
        rhythms: classes that macro averages are taken over; each must have a record.

    Returns:
        Values ``(...)`` and derivatives ``(..., k, k)``, by metric.
    """
    k = counts.shape[-1]
    hits = np.diagonal(counts, axis1=-2, axis2=-1)
    support, predicted, total = counts.sum(axis=-1), counts.sum(axis=-2), counts.sum(axis=(-2, -1))
    found = count_metrics(hits, support, predicted, total)
    chosen = np.isin(np.arange(k), rhythms) / max(1, len(rhythms))
    with np.errstate(divide="ignore"):
        by_support, by_predicted = (chosen * np.where(n > 0, 1 / n, 0.0) for n in (support, predicted))
        by_both = chosen * np.where(support + predicted > 0, 1 / (support + predicted), 0.0)
    right = np.eye(k)
    f1, precision, recall = (np.where(chosen > 0, found[name], 0.0) for name in ("f1", "precision", "recall"))
    of_f1 = -f1 * by_both
    values = {
        "macro_f1": (chosen * f1).sum(axis=-1),
        "macro_precision": (chosen * precision).sum(axis=-1),
        "balanced_accuracy": (chosen * recall).sum(axis=-1),
        "accuracy": np.asarray(found["accuracy"]),
    }
    slopes = {
        "macro_f1": of_f1[..., :, None] + of_f1[..., None, :] + 2 * right * by_both[..., None, :],
        "macro_precision": (right - precision[..., None, :]) * by_predicted[..., None, :],
        "balanced_accuracy": (right - recall[..., :, None]) * by_support[..., :, None],
        "accuracy": (right - values["accuracy"][..., None, None]) / total[..., None, None],
    }
    return values, slopes


def swings(counts: np.ndarray, rhythms: np.ndarray) -> dict[str, np.ndarray]:
    """Return what one record of each class, read the other way, does to a metric at most: ``(k,)``, mean over networks.

    Args:
        counts: records by true and predicted class, ``(s, k, k)``.
        rhythms: classes that macro averages are taken over.
    """
    support, predicted = counts.sum(axis=2), counts.sum(axis=1)
    chosen = np.isin(np.arange(counts.shape[1]), rhythms) / max(1, len(rhythms))
    return {
        "macro_f1": (2 * chosen / np.maximum(1, support + predicted)).mean(axis=0),
        "macro_precision": (chosen / np.maximum(1, predicted)).mean(axis=0),
        "balanced_accuracy": (chosen / np.maximum(1, support)).mean(axis=0),
        "accuracy": (1 / counts.sum(axis=(1, 2)).mean()) * np.ones(counts.shape[1]),
    }


def _auc(scores: np.ndarray, positive: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the ROC-AUC of one class against the rest and each record's influence, ``(n,)``."""
    mine, others = np.sort(scores[positive]), np.sort(scores[~positive])
    influence = np.empty(len(scores))
    above = np.searchsorted(others, scores[positive], "left") + np.searchsorted(others, scores[positive], "right")
    below = np.searchsorted(mine, scores[~positive], "left") + np.searchsorted(mine, scores[~positive], "right")
    with np.errstate(invalid="ignore"):
        won, beaten = above / (2 * len(others)), 1 - below / (2 * len(mine))
    value = float(won.mean()) if len(others) else float("nan")
    influence[positive], influence[~positive] = (won - value) / len(mine), (beaten - value) / len(others)
    return value, influence


def influences(labels: np.ndarray, probabilities: np.ndarray, patients: np.ndarray, rhythms: np.ndarray) -> Influences:
    """Compute values and influences.

    Args:
        labels: class ids ``(n,)``.
        probabilities: of each network, ``(s, n, k)``.
        patients: patient of each record, ``(n,)``.
        rhythms: ids of the classes that macro averages are taken over.
    """
    networks, _, k = probabilities.shape
    predicted = probabilities.argmax(axis=2)
    pairs = labels * k + predicted
    counts = np.stack([np.bincount(row, minlength=k * k) for row in pairs]).reshape(networks, k, k)
    values, slopes = gradients(counts, rhythms)
    by_record = {name: np.take_along_axis(s.reshape(networks, -1), pairs, axis=1) for name, s in slopes.items()}
    found = [[_auc(p[:, c], labels == c) for c in rhythms] for p in probabilities]
    values["macro_roc_auc"] = np.array([np.mean([value for value, _ in row]) for row in found])
    by_record["macro_roc_auc"] = np.array([np.mean([influence for _, influence in row], axis=0) for row in found])
    names, patient = np.unique(patients, return_inverse=True)
    of_patients = np.zeros((len(COMPARED), networks, len(names)))
    for place, metric in enumerate(COMPARED):
        for s in range(networks):
            of_patients[place, s] = np.bincount(patient, weights=by_record[metric][s], minlength=len(names))
    flips, none = swings(counts, rhythms), np.zeros(k)
    patients_of = np.array([len(np.unique(patients[labels == c])) for c in range(k)])
    records = np.bincount(labels, minlength=k) / np.maximum(1, patients_of)
    return Influences(
        np.stack([values[name] for name in COMPARED], axis=1),
        of_patients,
        np.stack([records * flips.get(name, none) for name in COMPARED]),
    )
