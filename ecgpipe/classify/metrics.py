"""How well class probabilities fit labels: one long table and a confusion matrix.

A class is predicted by its highest probability (the first one, if equal). A class without a record in ``labels`` has no
metric: its value is NaN, with a note, and macro averages are taken over the classes that have one. All definitions are
those of scikit-learn (a class that is never predicted has precision 0); calibration error is that of Guo et al. (2017).
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score, roc_auc_score

CALIBRATION_BINS = 15
ALL, MACRO = "all", "macro"


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


def _mean_of_defined(values: np.ndarray) -> float:
    """Average without NaN; NaN where nothing else is."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else float("nan")


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
    hits, support, called = np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
    absent = support == 0
    with np.errstate(invalid="ignore", divide="ignore"):
        per_class = {
            "precision": np.where(called > 0, hits / called, 0.0),
            "recall": hits / support,
            "f1": 2 * hits / (support + called),
            "roc_auc": np.array(
                [
                    np.nan if support[k] in (0, n) else roc_auc_score(labels == k, probabilities[:, k])
                    for k in range(len(classes))
                ]
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
        rows.append((metric, MACRO, _mean_of_defined(values), n, _macro_note(values, classes)))
    recall = per_class["recall"]
    rows += [
        ("accuracy", ALL, hits.sum() / n, n, ""),
        ("balanced_accuracy", ALL, _mean_of_defined(recall), n, _macro_note(recall, classes)),
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
