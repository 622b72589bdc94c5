"""The metrics of a cell for many weightings of its test records at once: what the bootstrap needs.

Names and definitions are those of :func:`ecgpipe.classify.metrics.classification_metrics`, with a record of weight w
counted w times. What follows from counts of records is computed by the same function. ROC-AUC and average precision
have an algorithm of their own here: scikit-learn's sorts the records again for each weighting. A test compares the two.

Calibration error is left out: records drawn twice make any network look worse calibrated, so that its bootstrap
interval may not even hold the value itself.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from ecgpipe.classify.metrics import count_metrics, mean_of_defined
from ecgpipe.vocabulary import ALL, CLASS_METRICS, MACRO, OVERALL_METRICS


def metric_names(classes: tuple[str, ...]) -> list[tuple[str, str]]:
    """Return (class, metric) of each column of :func:`weighted_table`."""
    return [(name, metric) for metric in CLASS_METRICS for name in (*classes, MACRO)] + [
        (ALL, m) for m in OVERALL_METRICS
    ]


_DRAWS_AT_A_TIME = 96
"""Few enough that sums over the test records stay in the processor's cache; the result does not depend on it."""


class _Ranking:
    """ROC-AUC and average precision of one class, one against the rest, for any weighting.

    With the positives' distinct scores in ascending order, m their weights, F the weight of the negatives that score
    below each, T that of those which tie, P and N the weights of all positives and negatives, AUC is the weighted
    Mann-Whitney statistic sum m (F + T / 2) / (P N). Average precision is the mean over positives of the precision
    among all records that score as high or higher. Only sums over runs of the sorted records are needed, and which
    records make a run is the same in every weighting.

    Args:
        scores: ``(n,)``.
        positive: ``(n,)``, bool.
    """

    def __init__(self, scores: np.ndarray, positive: np.ndarray) -> None:
        order = np.argsort(scores, kind="stable")
        self._positives, negatives = order[positive[order]], order[~positive[order]]
        levels, first = np.unique(scores[self._positives], return_index=True)
        below = np.searchsorted(scores[negatives], levels, side="left")
        up_to = np.searchsorted(scores[negatives], levels, side="right")
        self._same = None if len(first) == len(self._positives) else first
        ends, n = len(negatives), len(scores)
        self._between = _runs(negatives, np.concatenate([[0], below, [ends]]), n)
        self._tied: sparse.csr_array | None = None
        if (up_to > below).any():
            alternating = np.stack([below, up_to], axis=1).ravel()
            self._tied = _runs(negatives, np.concatenate([[0], alternating]), n)[1::2]

    def __call__(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return both metrics, ``(b,)``, NaN where undefined, for ``weights`` ``(n, b)``."""
        undefined = np.full(weights.shape[1], np.nan)
        if not len(self._positives):
            return undefined, undefined
        mine = weights[self._positives]
        if self._same is not None:
            mine = np.add.reduceat(mine, self._same, axis=0)
        below = np.cumsum(self._between @ weights, axis=0)
        hits = np.cumsum(mine, axis=0)
        below, negatives, positives = below[:-1], below[-1], hits[-1].copy()
        hits -= mine
        np.subtract(positives, hits, out=hits)  # positives that score as high or higher
        with np.errstate(invalid="ignore", divide="ignore"):
            wins = np.einsum("gb,gb->b", mine, below)
            if self._tied is not None:
                wins += np.einsum("gb,gb->b", mine, self._tied @ weights) / 2
            called = np.subtract(negatives, below, out=below)
            called += hits
            hits /= called
            hits *= mine
            hits[mine == 0] = 0.0
            return wins / (positives * negatives), hits.sum(axis=0) / positives


def _runs(records: np.ndarray, bounds: np.ndarray, n: int) -> sparse.csr_array:
    """Return what sums runs of ``records`` (places of n), each from one of ``bounds`` to the next: ``(runs, n)``."""
    return sparse.csr_array((np.ones(len(records)), records, bounds), shape=(len(bounds) - 1, n))


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
    chunks = [slice(start, start + _DRAWS_AT_A_TIME) for start in range(0, len(weights), _DRAWS_AT_A_TIME)]
    by_record = [np.ascontiguousarray(weights[chunk].T) for chunk in chunks]
    predicted = probabilities.argmax(axis=2)
    total = weights.sum(axis=1)[:, None]
    shape = (len(weights), repetitions, classes)
    support, hits, predicted_as = np.empty(shape), np.empty(shape), np.empty(shape)
    auc, average = np.empty(shape), np.empty(shape)
    for k in range(classes):
        mine = labels == k
        support[:, :, k] = weights[:, mine].sum(axis=1)[:, None]
        hits[:, :, k] = weights[:, mine] @ (predicted[:, mine] == k).T.astype(np.float64)
        predicted_as[:, :, k] = weights @ (predicted == k).T.astype(np.float64)
        for s in range(repetitions):
            ranking = _Ranking(probabilities[s, :, k], mine)
            for chunk, drawn in zip(chunks, by_record, strict=True):
                auc[chunk, s, k], average[chunk, s, k] = ranking(drawn)
    values = count_metrics(hits, support, predicted_as, total) | {"roc_auc": auc, "average_precision": average}
    by_class = [
        np.concatenate([values[metric], mean_of_defined(values[metric])[:, :, None]], axis=2)
        for metric in CLASS_METRICS
    ]
    overall = np.stack([values[metric] for metric in OVERALL_METRICS], axis=2)
    return np.concatenate([*by_class, overall], axis=2)
