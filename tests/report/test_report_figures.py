"""Plots: well-formed, repeatable, and able to show what is missing."""

import xml.etree.ElementTree as ET

import numpy as np
import pandas as pd
import pytest

from ecgpipe.report import effects, figures, forest
from ecgpipe.report.answers import at_most_real

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


def test_effects_name_every_generator_and_mark_what_cannot_be_judged(results):
    comparisons = pd.read_parquet(results.tables / "comparisons.parquet")
    rows = at_most_real(comparisons, "augmentation", ["gen"])
    assert rows["fraction"].tolist() == [1.0]
    silent = rows.assign(generator="other", verdict="cannot tell", low=np.nan, high=np.nan, smallest_effect=np.nan)
    panels = [effects.Panel("added", pd.concat([rows, silent])), effects.Panel("tuned", rows)]
    groups = {"a": effects.heading(rows)}
    assert groups["a"].startswith("a: 30 test records, 30 patients; real only 0.")
    drawn = effects.draw(panels, groups)
    found = words(drawn)
    assert {"gen", "other", "added", "tuned", groups["a"], "cannot be judged", "real records only"} <= set(found)
    assert drawn == effects.draw(panels, groups)
    assert drawn.pdf().startswith(b"%PDF")
    narrow = effects.draw(panels, groups, narrow=True)
    assert words(narrow).count("gen") == 2
    width = [float(ET.fromstring(d).get("viewBox").split()[2]) for d in (drawn, narrow)]  # noqa: S314
    assert width[1] < 0.6 * width[0]


def test_other_shares_ratios_and_opponents_are_no_answer(results):
    comparisons = pd.read_parquet(results.tables / "comparisons.parquet")
    more = comparisons.assign(against="oversampling")
    both = pd.concat([comparisons, more, comparisons.assign(ratio="1"), comparisons.assign(generator="elsewhere")])
    assert (
        len(at_most_real(both, "augmentation", ["gen"])) == len(at_most_real(comparisons, "augmentation", ["gen"])) == 1
    )
