"""How well class probabilities fit labels: one long table and a confusion matrix.

A class is predicted by its highest probability (the first one, if equal). A class without a record in ``labels`` has no
metric: its value is NaN, with a note, and macro averages are taken over the classes that have one. All definitions are
those of scikit-learn (a class that is never predicted has precision 0); calibration error is that of Guo et al. (2017).
:mod:`ecgpipe.tables.weighted` computes the same metrics for the bootstrap.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score, roc_auc_score

from ecgpipe.vocabulary import ALL, CALIBRATION_ERROR, CLASS_METRICS, MACRO, OVERALL_METRICS

CALIBRATION_BINS = 15


def _check(labels: np.ndarray, probabilities: np.ndarray) -> None:
    """Refuse what has no metric."""
    n, classes = probabilities.shape
    if labels.shape != (n,) or n == 0:
        raise ValueError(
            f"need as many labels as records, at least one: labels {labels.shape}, probabilities {probabilities.shape}"
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


def mean_of_defined(values: np.ndarray) -> np.ndarray:
    """Average over the last axis without NaN; NaN where nothing else is."""
    defined = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(defined, values, 0.0).sum(axis=-1) / defined.sum(axis=-1))


def count_metrics(
    hits: np.ndarray, support: np.ndarray, predicted: np.ndarray, total: np.ndarray | int
) -> dict[str, np.ndarray]:
    """Compute the metrics that follow from numbers of records, or from their weights.

    Args:
        hits: records of each class that are predicted as that class, ``(..., classes)``.
        support: records of each class, ``(..., classes)``.
        predicted: records predicted as each class, ``(..., classes)``.
        total: all records, ``(...)``.

    Returns:
        precision, recall, f1, each ``(..., classes)`` and NaN for a class without records; accuracy, balanced_accuracy
        (the mean recall of the classes present), cohen_kappa, each ``(...)``.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = np.where(predicted > 0, hits / predicted, 0.0)
        recall, f1 = hits / support, 2 * hits / (support + predicted)
        accuracy = hits.sum(axis=-1) / total
        chance = (support * predicted).sum(axis=-1) / total**2
        kappa = (accuracy - chance) / (1 - chance)
    for values in (precision, recall, f1):
        values[support == 0] = np.nan
    overall = {"accuracy": accuracy, "balanced_accuracy": mean_of_defined(recall), "cohen_kappa": kappa}
    return {"precision": precision, "recall": recall, "f1": f1, **overall}


def _rank_metrics(labels: np.ndarray, probabilities: np.ndarray, support: np.ndarray) -> dict[str, np.ndarray]:
    """Compute ROC-AUC and average precision of each class against the rest, ``(classes,)``, NaN where undefined."""
    auc, average = np.full(len(support), np.nan), np.full(len(support), np.nan)
    for k, records in enumerate(support):
        if records:
            average[k] = average_precision_score(labels == k, probabilities[:, k])
        if 0 < records < len(labels):
            auc[k] = roc_auc_score(labels == k, probabilities[:, k])
    return {"roc_auc": auc, "average_precision": average}


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
        ValueError: if shapes do not agree, there is no record, a label is not a class, or a probability not finite.
    """
    _check(labels, probabilities)
    n = len(labels)
    matrix = confusion(labels, probabilities)
    support, predicted = matrix.sum(axis=1), matrix.sum(axis=0)
    values = count_metrics(np.diag(matrix), support, predicted, n) | _rank_metrics(labels, probabilities, support)
    rows: list[tuple[str, str, float, int, str]] = []
    for metric in CLASS_METRICS:
        by_class = values[metric]
        for k, name in enumerate(classes):
            note = _class_note(metric, support[k] == 0, by_class[k], predicted[k])
            rows.append((metric, name, by_class[k], support[k], note))
        rows.append((metric, MACRO, float(mean_of_defined(by_class)), n, _macro_note(by_class, classes)))
    undefined = "one class only, and nothing else predicted" if np.isnan(values["cohen_kappa"]) else ""
    notes = {"balanced_accuracy": _macro_note(values["recall"], classes), "cohen_kappa": undefined}
    rows += [(metric, ALL, float(values[metric]), n, notes.get(metric, "")) for metric in OVERALL_METRICS]
    rows.append((CALIBRATION_ERROR, ALL, calibration_error(labels, probabilities), n, ""))
    table = pd.DataFrame(rows, columns=["metric", "class", "value", "support", "note"])
    return table.astype({"value": "float64", "support": "int64"})


def _class_note(metric: str, absent: bool, value: float, predicted: int) -> str:
    if absent:
        return "no test record of this class"
    if np.isnan(value):
        return "no test record of another class"
    if metric == "precision" and predicted == 0:
        return "never predicted"
    return ""


def _macro_note(values: np.ndarray, classes: tuple[str, ...]) -> str:
    left_out = [name for name, value in zip(classes, values, strict=True) if np.isnan(value)]
    if not left_out:
        return ""
    return f"over {len(classes) - len(left_out)} of {len(classes)} classes, without {', '.join(left_out)}"
