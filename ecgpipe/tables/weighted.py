"""The metrics of a cell for many weightings of its test records at once: what the bootstrap needs.

Definitions and names are those of :func:`ecgpipe.classify.metrics.classification_metrics`, with a record of weight w
counted w times; a test holds the two to each other. Calibration error is left out: records drawn twice make any network
look worse calibrated, so that its bootstrap interval may not even hold the value itself.
"""

from __future__ import annotations

import numpy as np

from ecgpipe.classify.metrics import ALL, MACRO

CLASS_METRICS: tuple[str, ...] = ("precision", "recall", "f1", "roc_auc", "average_precision")
OVERALL_METRICS: tuple[str, ...] = ("accuracy", "balanced_accuracy", "cohen_kappa")


def metric_names(classes: tuple[str, ...]) -> list[tuple[str, str]]:
    """Return (class, metric) of each column of :func:`weighted_table`."""
    return [(name, metric) for metric in CLASS_METRICS for name in (*classes, MACRO)] + [
        (ALL, m) for m in OVERALL_METRICS
    ]


def _ranking(scores: np.ndarray, positive: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return ROC-AUC and average precision of one class, one against the rest, for each weighting.

    With F(x) the weight of all records that score below x, half of those at x counted, AUC is the weighted
    Mann-Whitney statistic (sum of w F over positives - P^2 / 2) / (P N). Average precision is the mean over positives
    of the precision among all records that score as high or higher.

    Args:
        scores: ``(n,)``.
        positive: ``(n,)``, bool.
        weights: ``(n, b)``, float64.

    Returns:
        Two arrays ``(b,)``, NaN where undefined.
    """
    order = np.argsort(scores, kind="stable")
    ordered, by_score = scores[order], weights[order]
    hits, mine = ordered[positive[order]], by_score[positive[order]]
    below = np.empty((len(scores) + 1, weights.shape[1]))
    below[0] = 0.0
    np.cumsum(by_score, axis=0, out=below[1:])
    first = below[np.searchsorted(ordered, hits, side="left")]
    last = below[np.searchsorted(ordered, hits, side="right")]
    hits_below = np.zeros((len(hits) + 1, weights.shape[1]))
    np.cumsum(mine, axis=0, out=hits_below[1:])
    total, positives = below[-1], hits_below[-1]
    with np.errstate(invalid="ignore", divide="ignore"):
        area = (np.einsum("pb,pb->b", mine, first + last) / 2 - positives**2 / 2) / (positives * (total - positives))
        precision = (positives - hits_below[np.searchsorted(hits, hits, side="left")]) / (total - first)
        average = np.where(mine > 0, mine * precision, 0.0).sum(axis=0) / positives
    return area, average


def _mean_of_defined(values: np.ndarray) -> np.ndarray:
    """Average over the last axis without NaN."""
    known = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(known, values, 0.0).sum(axis=-1) / known.sum(axis=-1))


def weighted_table(labels: np.ndarray, probabilities: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Compute the metrics.

    Args:
        labels: class ids ``(n,)``.
        probabilities: of each repetition, ``(s, n, k)``.
        weights: of each draw, ``(b, n)``, not negative.

    Returns:
        ``(b, s, m)`` with the metrics of :func:`metric_names`; NaN where undefined.
    """
    repetitions, _, classes = probabilities.shape
    weights = np.asarray(weights, dtype=np.float64)
    by_record = np.ascontiguousarray(weights.T)
    predicted = probabilities.argmax(axis=2)
    total = weights.sum(axis=1)[:, None]
    shape = (len(weights), repetitions, classes)
    support, hits, called = np.empty(shape), np.empty(shape), np.empty(shape)
    auc, average = np.empty(shape), np.empty(shape)
    for k in range(classes):
        mine = labels == k
        support[:, :, k] = weights[:, mine].sum(axis=1)[:, None]
        hits[:, :, k] = weights[:, mine] @ (predicted[:, mine] == k).T.astype(np.float64)
        called[:, :, k] = weights @ (predicted == k).T.astype(np.float64)
        for s in range(repetitions):
            auc[:, s, k], average[:, s, k] = _ranking(probabilities[s, :, k], mine, by_record)
    absent = support == 0
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = np.where(called > 0, hits / called, 0.0)
        recall, f1 = hits / support, 2 * hits / (support + called)
        accuracy = hits.sum(axis=2) / total
        chance = (support * called).sum(axis=2) / total**2
        kappa = (accuracy - chance) / (1 - chance)
    per_class = []
    for values in (precision, recall, f1, auc, average):
        values[absent] = np.nan
        per_class.append(np.concatenate([values, _mean_of_defined(values)[:, :, None]], axis=2))
    overall = np.stack([accuracy, _mean_of_defined(recall), kappa], axis=2)
    return np.concatenate([*per_class, overall], axis=2)
