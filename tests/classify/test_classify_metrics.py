from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn import metrics as sk

from ecgpipe.classify.metrics import calibration_error, classification_metrics, confusion

CLASSES = ("SBRAD", "SR", "AFIB", "STACH")
MAIN = {
    "accuracy": ("accuracy", "all"),
    "balanced_accuracy": ("balanced_accuracy", "all"),
    "macro_f1": ("f1", "macro"),
    "macro_roc_auc": ("roc_auc", "macro"),
}


def case(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Labels ``(80,)`` and probabilities ``(80, 4)`` of a random or degenerate test."""
    rng = np.random.default_rng(3)
    labels = rng.choice(4, 80, p=[0.1, 0.6, 0.2, 0.1])
    probabilities = rng.dirichlet(np.ones(4) + 2 * np.eye(4)[1], size=80) + np.eye(4)[labels] * rng.random((80, 1)) / 2
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    if name == "ties":
        probabilities = np.round(probabilities * 4) / 4
    elif name == "constant":
        probabilities = np.full((80, 4), 0.25)
    elif name == "absent":
        labels = np.where(labels == 3, 0, labels)
    elif name == "one class":
        labels = np.full(80, 2)
    elif name == "one class, all right":
        labels, probabilities = np.full(80, 2), np.tile([0.1, 0.1, 0.7, 0.1], (80, 1))
    elif name == "one record":
        labels, probabilities = labels[:1], probabilities[:1]
    elif name == "never predicted":
        probabilities = probabilities * [1, 1, 1e-6, 1]
    elif name == "perfect":
        probabilities = np.eye(4)[labels]
    return labels, probabilities.astype(np.float32)


CASES = [
    "random",
    "ties",
    "constant",
    "absent",
    "one class",
    "one class, all right",
    "one record",
    "never predicted",
    "perfect",
]


def expected(labels: np.ndarray, probabilities: np.ndarray) -> dict[tuple[str, str], float]:
    """The same table by scikit-learn, class by class; NaN where a class has no record or nothing to compare with."""
    predicted = probabilities.argmax(axis=1)
    present = np.unique(labels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        values = {
            ("accuracy", "all"): sk.accuracy_score(labels, predicted),
            ("balanced_accuracy", "all"): sk.balanced_accuracy_score(labels, predicted),
            ("cohen_kappa", "all"): sk.cohen_kappa_score(labels, predicted),
        }
        precision, recall, f1, _ = sk.precision_recall_fscore_support(
            labels, predicted, labels=range(4), zero_division=0
        )
    per_class = {
        "precision": precision,
        "recall": recall,
        "f1": f1,
        "roc_auc": np.zeros(4),
        "average_precision": np.zeros(4),
    }
    for k in present:
        several = len(present) > 1
        per_class["roc_auc"][k] = sk.roc_auc_score(labels == k, probabilities[:, k]) if several else np.nan
        per_class["average_precision"][k] = sk.average_precision_score(labels == k, probabilities[:, k])
    for metric, by_class in per_class.items():
        by_class = np.where(np.isin(np.arange(4), present), by_class, np.nan)
        values |= {(metric, name): by_class[k] for k, name in enumerate(CLASSES)}
        defined = by_class[~np.isnan(by_class)]
        values[metric, "macro"] = defined.mean() if len(defined) else np.nan
    return values


@pytest.mark.parametrize("name", CASES)
def test_table_agrees_with_scikit_learn(name):
    labels, probabilities = case(name)
    table = classification_metrics(labels, probabilities, CLASSES)
    found = table.set_index(["metric", "class"])["value"].to_dict()
    assert found.pop(("calibration_error", "all")) == calibration_error(labels, probabilities)
    wanted = expected(labels, probabilities)
    assert found.keys() == wanted.keys()
    for key, value in wanted.items():
        assert found[key] == pytest.approx(value, abs=1e-12, nan_ok=True), key


def test_absent_class_is_missing_and_said():
    labels, probabilities = case("absent")
    table = classification_metrics(labels, probabilities, CLASSES).set_index(["metric", "class"])
    for metric in ("precision", "recall", "f1", "roc_auc", "average_precision"):
        row = table.loc[(metric, "STACH")]
        assert np.isnan(row["value"])
        assert row["support"] == 0
        assert row["note"] == "no test record of this class"
        assert table.loc[(metric, "macro"), "note"] == "over 3 of 4 classes, without STACH"
        assert table.loc[(metric, "macro"), "support"] == len(labels)
        assert table.loc[(metric, "SR"), "support"] == (labels == 1).sum()
        assert table.loc[(metric, "SR"), "note"] == ""


def test_notes_of_other_degenerate_tests():
    table = classification_metrics(*case("never predicted"), CLASSES).set_index(["metric", "class"])
    assert table.loc[("precision", "AFIB"), "note"] == "never predicted"
    table = classification_metrics(*case("one class, all right"), CLASSES).set_index(["metric", "class"])
    assert table.loc[("roc_auc", "AFIB"), "note"] == "no test record of another class"
    assert table.loc[("cohen_kappa", "all"), "note"] == "one class only, and nothing else predicted"


def test_confusion_has_true_classes_in_rows():
    labels, probabilities = case("random")
    wanted = sk.confusion_matrix(labels, probabilities.argmax(axis=1), labels=range(4))
    assert (confusion(labels, probabilities) == wanted).all()
    only = confusion(np.array([2]), np.array([[0.1, 0.7, 0.1, 0.1]]))
    assert only[2, 1] == only.sum() == 1


def test_calibration_error():
    confident = np.tile([0.9, 0.1], (10, 1))
    assert calibration_error(np.repeat([0, 1], [9, 1]), confident) == pytest.approx(0)
    assert calibration_error(np.repeat([0, 1], [4, 6]), confident) == pytest.approx(0.5)
    assert calibration_error(np.zeros(5, dtype=int), np.tile([1.0, 0.0], (5, 1))) == 0
    # half sure by 0.6 and wrong, half by 0.9 and right: bins do not cancel
    mixed = np.array([[0.6, 0.4]] * 5 + [[0.9, 0.1]] * 5)
    assert calibration_error(np.repeat([1, 0], 5), mixed) == pytest.approx(0.5 * 0.6 + 0.5 * 0.1)


def test_refuses_what_has_no_metric():
    labels, probabilities = case("random")
    with pytest.raises(ValueError, match="as many labels"):
        classification_metrics(labels[:-1], probabilities, CLASSES)
    with pytest.raises(ValueError, match="at least one"):
        classification_metrics(labels[:0], probabilities[:0], CLASSES)
    with pytest.raises(ValueError, match="labels must be 0 to 3, got 0 to 4"):
        classification_metrics(np.where(labels == 3, 4, labels), probabilities, CLASSES)
    probabilities[3, 1] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        classification_metrics(labels, probabilities, CLASSES)
