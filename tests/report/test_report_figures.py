"""Plots: well-formed, repeatable, and able to show what is missing."""

import xml.etree.ElementTree as ET

import numpy as np
import pandas as pd
import pytest

from ecgpipe.report import effects, figures, forest, heatmap
from ecgpipe.report.answer import effects_figure
from ecgpipe.report.answers import at_most_real, repetitions
from ecgpipe.report.inputs import Inputs

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


def with_two_shares(summary):
    """Add a second share to the pre-trained networks: one is no curve."""
    tuned = summary[summary["setting"] == "frozen"]
    return pd.concat([summary, tuned.assign(fraction=0.2)])


def test_learning_curves_show_every_method(summary):
    svg = figures.learning_curves(with_two_shares(summary), "macro_f1")
    tuned = "Synthetic pre-training, then fine-tuning"
    assert {"real only", "gen", "synthetic records only", "macro F1", tuned} <= set(words(svg))
    assert words(svg).count("gen") == 1  # one legend for both panels
    assert tuned not in words(figures.learning_curves(summary, "macro_f1"))
    assert svg == figures.learning_curves(with_two_shares(summary), "macro_f1")
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


def test_training_curves_have_a_panel_for_each_stage_with_a_curve():
    history = pd.DataFrame(
        {
            "stage": ["vq", "vq", "prior"],
            "step": [1, 2, 1],
            "train_loss": [2.0, 1.0, 3.0],
            "validation_loss": [2.0, 1.5, 3.0],
        }
    )
    other = history.assign(train_loss=1.0)
    found = words(figures.training_curves([("a", "gen", history), ("a", "twin", history), ("b", "gen", other)]))
    assert {"a: vq", "gen, twin", "b: vq", "gen"} <= set(found)
    assert found.count("a: vq") == 1
    assert not any("prior" in word for word in found)
    assert figures.training_curves([("a", "gen", history[2:])]) is None


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
    groups = {"a": effects.heading(rows, patients=True)}
    assert groups["a"].startswith("a: 30 test records, 30 patients; real only 0.")
    drawn = effects.draw(panels, groups)
    found = words(drawn)
    assert {"gen", "other", "added", "tuned", groups["a"], "cannot tell", "real records only"} <= set(found)
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


FLOORED = {"value": 1.0, "low": np.nan, "high": np.nan, "floor": 1.0, "floor_low": 0.8, "floor_high": 1.2}


@pytest.mark.parametrize(
    ("changes", "widths", "shade"),
    [
        ({}, 0.0, heatmap.AT_FLOOR),
        ({"value": 1.4}, 0.5, "#fbdcb2"),
        ({"value": 2.0}, 2.0, "#f5a45f"),
        ({"value": 9.0}, 19.5, heatmap.WORST[0]),
        ({"value": 9.0, "low": 1.1, "high": 12.0}, 19.5, heatmap.AT_FLOOR),
        ({"value": 0.4}, -1.0, heatmap.BETTER),
        ({"value": 0.5, "direction": "higher"}, 0.75, "#fbdcb2"),
        ({"value": 2.0, "direction": "higher"}, -2.0, heatmap.BETTER),
        ({"value": 0.5, "direction": "floor"}, 0.75, "#fbdcb2"),
        ({"value": 1.04, "floor_low": np.nan, "floor_high": np.nan}, 2.0, "#f5a45f"),
        ({"value": np.nan}, np.nan, heatmap.NOT_COMPUTED),
    ],
)
def test_cells_of_the_closeness_map_are_coloured_by_the_floor(changes, widths, shade):
    row = {**FLOORED, "direction": "lower", **changes}
    if not np.isnan(widths):
        assert heatmap.widths_beyond(row) == pytest.approx(widths)
    assert heatmap.colour(row) == shade


def test_closeness_map_has_a_cell_for_each_measure_and_set():
    rows = pd.DataFrame(
        [
            {"measure": "mmd", "generator": "gen", "unit": "mV", "direction": "lower", **FLOORED, "value": 1.25},
            {
                "measure": "mmd",
                "generator": "control: noise",
                "unit": "mV",
                "direction": "lower",
                **FLOORED,
                "value": 7,
            },
            {"measure": "c2st", "generator": "gen", "unit": "", "direction": "lower", **FLOORED, "value": 0.5},
        ]
    )
    found = words(heatmap.draw(rows, {"mmd": "MMD", "c2st": "test"}, ["gen"], ["control: noise"]))
    assert {"MMD (mV)", "test", "floor", "gen", "noise", "1.25", "7", "0.5", "–"} <= set(found)


def test_generators_are_repeated_as_often_as_the_table_says(results):
    comparisons = pd.read_parquet(results.tables / "comparisons.parquet").drop(columns="repetitions", errors="ignore")
    assert repetitions(comparisons) == repetitions(comparisons[:0]) == 1
    assert repetitions(comparisons.assign(repetitions=3)) == 3


def test_simple_baselines_stand_beside_the_generators(results, tmp_path):
    comparisons = pd.read_parquet(results.tables / "comparisons.parquet")
    own = comparisons[(comparisons["experiment"] == "augmentation") & (comparisons["fraction"] == 1)]
    baseline = own.assign(experiment="simple baseline", setting="class_weights", generator="none", ratio="none")
    pd.concat([comparisons, baseline]).to_parquet(tmp_path / "comparisons.parquet")
    inputs = Inputs(results.config, tmp_path, results.data, results.samples, results.models, None)
    found = words(effects_figure(inputs)["wide"])
    assert found.count("class weights") == found.count("gen") == 1
    plain = Inputs(results.config, results.tables, results.data, results.samples, results.models, None)
    titles = [" ".join(words(effects_figure(own)["wide"])) for own in (inputs, plain)]
    assert ["and simple baselines" in title for title in titles] == [True, False]
