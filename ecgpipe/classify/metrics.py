"""How well class probabilities fit labels: one long table, a confusion matrix, and a fast form for the bootstrap.

A class is predicted by its highest probability (the first one, if equal). A class without a record in ``labels`` has no
metric: its value is NaN, with a note, and macro averages are taken over the classes that have one. All definitions are
those of scikit-learn (a class that is never predicted has precision 0); calibration error is that of Guo et al. (2017).
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.metrics import average_precision_score

CALIBRATION_BINS = 15
ALL, MACRO = "all", "macro"


def _check(labels: np.ndarray, probabilities: np.ndarray, weights: np.ndarray) -> None:
    """Refuse what has no metric: see :func:`weighted_metrics`."""
    n, classes = probabilities.shape[1:]
    if labels.shape != (n,) or weights.shape[1:] != (n,) or n == 0:
        raise ValueError(
            f"need as many labels and weights as records, at least one: labels {labels.shape}, "
            f"probabilities {probabilities.shape}, weights {weights.shape}"
        )
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(f"labels must be 0 to {classes - 1}, got {labels.min()} to {labels.max()}")
    if not np.isfinite(probabilities).all():
        raise ValueError("probabilities hold NaN or infinite values")


def confusion(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Count records by true class (rows) and predicted class (columns): int64 ``(classes, classes)``.

    Args:
        labels: class ids ``(n,)``.
        probabilities: ``(n, classes)``.
    """
    classes = probabilities.shape[1]
    pairs = labels * classes + probabilities.argmax(axis=1)
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)


def calibration_error(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Return the expected calibration error: mean |accuracy - confidence| over 15 equal bins of confidence.

    Source: Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks", ICML 2017, equation 5.
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    correct = probabilities.argmax(axis=1) == labels
    bins = np.clip(np.ceil(confidence * CALIBRATION_BINS).astype(np.int64) - 1, 0, CALIBRATION_BINS - 1)
    gap = np.bincount(bins, weights=correct - confidence, minlength=CALIBRATION_BINS)
    return float(np.abs(gap).sum() / len(labels))


def _indicator(rows: np.ndarray, columns: np.ndarray, shape: tuple[int, int]) -> sparse.csr_array:
    """Return the sparse matrix that is 1 at these places: multiplied by weights, it sums them row by row."""
    return sparse.csr_array((np.ones(len(rows)), (rows, columns)), shape=shape)


def _roc_auc(scores: np.ndarray, positive: np.ndarray, weights: np.ndarray, total: np.ndarray) -> np.ndarray:
    """Return the area under the ROC curve of one class for each draw: ``(b,)``, NaN without positives or negatives.

    The weighted Mann-Whitney statistic, from the mid-ranks of the side (positives or negatives) with fewer records:
    U = sum of w R over that side - W^2 / 2, where R is the weight of all records with a lower score and half of that
    with an equal one, and W the side's weight. Weights between successive scores of the side are summed by a sparse
    product, so that running sums are as short as that side.

    Args:
        scores: ``(n,)``.
        positive: ``(n,)``, bool.
        weights: ``(n, b)``, float64.
        total: their sum over the records, ``(b,)``.
    """
    n = len(scores)
    fewer_positives = 2 * positive.sum() <= n
    side = positive if fewer_positives else ~positive
    steps = np.unique(scores[side])
    if len(steps) == 0:
        return np.full(weights.shape[1], np.nan)
    above = np.searchsorted(steps, scores, side="right")  # the first step that a record's score is below
    lower = np.flatnonzero(above < len(steps))
    tied = np.flatnonzero(np.isin(scores, steps))
    mine = np.flatnonzero(side)
    shape = (len(steps), n)
    ranks = np.cumsum(_indicator(above[lower], lower, shape) @ weights, axis=0)
    ranks += (_indicator(above[tied] - 1, tied, shape) @ weights) / 2
    at_step = _indicator(above[mine] - 1, mine, shape) @ weights
    of_side = at_step.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        area: np.ndarray = (np.einsum("gb,gb->b", at_step, ranks) - of_side**2 / 2) / (of_side * (total - of_side))
    return area if fewer_positives else 1 - area


def _mean_of_defined(values: np.ndarray) -> np.ndarray:
    """Average over the first axis without NaN; NaN where nothing else is."""
    defined = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        mean: np.ndarray = np.where(defined, values, 0.0).sum(axis=0) / defined.sum(axis=0)
    return mean


def weighted_metrics(labels: np.ndarray, probabilities: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Compute the main metrics for many repetitions and many bootstrap draws of the test records at once.

    A weight is the number of times a record is in a draw. Macro averages are over the classes present in the draw.

    Args:
        labels: class ids ``(n,)``.
        probabilities: of each repetition, ``(s, n, classes)``.
        weights: of each draw, ``(b, n)``, not negative.

    Returns:
        ``accuracy``, ``balanced_accuracy``, ``macro_f1``, ``macro_roc_auc``, each ``(b, s)``; NaN where undefined.

    Raises:
        ValueError: if shapes do not agree, there is no record, a label is not a class, or a probability not finite.
    """
    _check(labels, probabilities, weights)
    repetitions, _, classes = probabilities.shape
    weights = np.asarray(weights, dtype=np.float64)
    by_record = np.ascontiguousarray(weights.T)
    total = by_record.sum(axis=0)
    predicted = probabilities.argmax(axis=2)
    recall = np.empty((classes, len(weights), repetitions))
    f1, auc = np.empty_like(recall), np.empty_like(recall)
    hits = np.zeros(recall.shape[1:])
    for k in range(classes):
        mine = labels == k
        support = weights[:, mine].sum(axis=1)[:, None]
        hit = weights[:, mine] @ (predicted[:, mine] == k).T.astype(np.float64)
        called = weights @ (predicted == k).T.astype(np.float64)
        hits += hit
        with np.errstate(invalid="ignore"):
            recall[k] = hit / support
            f1[k] = np.where(support > 0, 2 * hit / (support + called), np.nan)
        for s in range(repetitions):
            auc[k, :, s] = _roc_auc(probabilities[s, :, k], mine, by_record, total)
    with np.errstate(invalid="ignore"):
        accuracy = hits / total[:, None]
    return {
        "accuracy": accuracy,
        "balanced_accuracy": _mean_of_defined(recall),
        "macro_f1": _mean_of_defined(f1),
        "macro_roc_auc": _mean_of_defined(auc),
    }


def classification_metrics(labels: np.ndarray, probabilities: np.ndarray, classes: tuple[str, ...]) -> pd.DataFrame:
    """Compute every metric of one repetition.

    Per class and as macro average over the classes present: precision, recall, f1, roc_auc (one class against the
    rest), average_precision. Over all records (class ``all``): accuracy, balanced_accuracy (the mean recall of the
    classes present), cohen_kappa, calibration_error.

    Args:
        labels: class ids ``(n,)``.
        probabilities: ``(n, len(classes))``.
        classes: class names.

    Returns:
        A row a metric and class: metric, class, value, support (test records of that class, or all of them), note
        (why a value is missing or what an average leaves out; else empty).

    Raises:
        ValueError: as :func:`weighted_metrics`.
    """
    _check(labels, probabilities[None], np.ones((1, len(labels))))
    n = len(labels)
    matrix = confusion(labels, probabilities)
    hits, support, called = np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
    absent = support == 0
    ones = np.ones((n, 1))
    with np.errstate(invalid="ignore", divide="ignore"):
        per_class = {
            "precision": np.where(called > 0, hits / called, 0.0),
            "recall": hits / support,
            "f1": 2 * hits / (support + called),
            "roc_auc": np.array(
                [_roc_auc(probabilities[:, k], labels == k, ones, ones.sum(axis=0))[0] for k in range(len(classes))]
            ),
            "average_precision": np.array(
                [
                    np.nan if absent[k] else average_precision_score(labels == k, probabilities[:, k])
                    for k in range(len(classes))
                ]
            ),
        }
        chance = (support * called).sum() / n**2
        kappa = (hits.sum() / n - chance) / (1 - chance)
    rows: list[tuple[str, str, float, int, str]] = []
    for metric, values in per_class.items():
        values[absent] = np.nan
        for k, name in enumerate(classes):
            rows.append((metric, name, values[k], support[k], _class_note(metric, absent[k], values[k], called[k])))
        rows.append((metric, MACRO, float(_mean_of_defined(values)), n, _macro_note(values, classes)))
    recall = per_class["recall"]
    rows += [
        ("accuracy", ALL, hits.sum() / n, n, ""),
        ("balanced_accuracy", ALL, float(_mean_of_defined(recall)), n, _macro_note(recall, classes)),
        ("cohen_kappa", ALL, kappa, n, "one class only, and nothing else predicted" if np.isnan(kappa) else ""),
        ("calibration_error", ALL, calibration_error(labels, probabilities), n, ""),
    ]
    table = pd.DataFrame(rows, columns=["metric", "class", "value", "support", "note"])
    return table.astype({"value": "float64", "support": "int64"})


def _class_note(metric: str, absent: bool, value: float, called: int) -> str:
    if absent:
        return "no test record of this class"
    if np.isnan(value):
        return "no test record of another class"
    if metric == "precision" and called == 0:
        return "never predicted"
    return ""


def _macro_note(values: np.ndarray, classes: tuple[str, ...]) -> str:
    left_out = [name for name, value in zip(classes, values, strict=True) if np.isnan(value)]
    if not left_out:
        return ""
    return f"over {len(classes) - len(left_out)} of {len(classes)} classes, without {', '.join(left_out)}"
