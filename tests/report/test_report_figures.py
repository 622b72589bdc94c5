"""Plots: well-formed, repeatable, and able to show what is missing."""

import xml.etree.ElementTree as ET

import numpy as np
import pandas as pd
import pytest

from ecgpipe.report import figures, forest

CLASSES = ("SR", "AFIB", "SVTAC")


@pytest.fixture
def summary(results):
    return pd.read_parquet(results.tables / "summary.parquet")


@pytest.fixture
def confusion(results):
    return pd.read_parquet(results.tables / "confusion.parquet")


def words(svg):
    root = ET.fromstring(svg)  # noqa: S314 - our own drawing
    return ["".join(element.itertext()).strip() for element in root.iter("{http://www.w3.org/2000/svg}text")]


def test_learning_curves_show_every_method(summary):
    svg = figures.learning_curves(summary, "macro_f1")
    assert {"real only", "real + gen", "gen only", "gen, fine-tuned", "macro F1"} <= set(words(svg))
    assert svg == figures.learning_curves(summary, "macro_f1")
    assert figures.learning_curves(summary[summary["setting"] == "TrRTeR"], "macro_f1") is None


def test_simple_baselines_are_drawn_beside_augmentation(summary):
    baseline = summary[summary["setting"] == "TrRTeR"].assign(setting="class_weights")
    found = words(figures.learning_curves(pd.concat([summary, baseline]), "macro_f1"))
    assert found.count("real only, class weights") == 1


def test_low_shares_get_a_logarithmic_axis(summary):
    changed = summary.assign(fraction=summary["fraction"].replace(0.2, 0.01))
    assert {"1", "100"} <= set(words(figures.learning_curves(changed, "macro_f1")))


def test_classes_without_test_records_are_shown_as_such(summary):
    found = words(figures.class_scores(summary, CLASSES))
    assert "no test record" in found
    assert any(w.startswith("AFIB") and w.endswith("(n = 12)") for w in found)
    assert any(w.startswith("SVTAC") and w.endswith("(n = 0)") for w in found)


def test_confusion_matrices_name_both_sides(confusion):
    found = words(figures.confusion_matrices(confusion, CLASSES))
    assert {"real only", "real + gen", "gen only", "true rhythm", "predicted rhythm", *CLASSES} <= set(found)


def test_training_curves_have_a_panel_for_each_stage():
    history = pd.DataFrame(
        {
            "stage": ["vq", "vq", "prior"],
            "step": [1, 2, 1],
            "train_loss": [2.0, 1.0, 3.0],
            "validation_loss": [2.0, 1.5, 3.0],
        }
    )
    found = words(figures.training_curves([("a, gen", history), ("b, gen", history[:2])]))
    assert {"a, gen: vq", "a, gen: prior", "b, gen"} <= set(found)


def test_forest_marks_stand_at_their_values():
    rows = pd.DataFrame({"low": [-0.1, np.nan], "difference": [0.1, np.nan], "high": [0.3, np.nan]})
    limits = forest.axis(rows)
    assert limits[0] < -0.1
    assert limits[1] > 0.3
    drawn = ET.fromstring(forest.row({**rows.iloc[0], "verdict": "no difference shown"}, limits))  # noqa: S314
    zero, whisker = drawn.findall("{*}line") or drawn.findall("line")
    (dot,) = drawn.findall("circle")
    at = {"low": float(whisker.get("x1")), "value": float(dot.get("cx")), "high": float(whisker.get("x2"))}
    millimetres = (at["high"] - at["low"]) / 0.4
    assert at["value"] - float(zero.get("x1")) == pytest.approx(0.1 * millimetres, abs=0.2)
    assert "no" in dot.get("class").split()
    undefined = ET.fromstring(forest.row({**rows.iloc[1], "verdict": "cannot tell"}, limits))  # noqa: S314
    assert undefined.find("circle") is None
    ticks = [t.text for t in ET.fromstring(forest.scale(limits)).iter("text")]  # noqa: S314
    assert "0" in ticks
    assert "0.20" in ticks
