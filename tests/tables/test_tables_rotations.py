"""The tables of a dataset whose folds rotate are those of one prediction for each record and seed."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import f1_score, roc_auc_score

from ecgpipe.config import Statistics
from ecgpipe.dataset import SignalSpec, save_records
from ecgpipe.files import write_parquet
from ecgpipe.tables.cells import read_predictions
from ecgpipe.tables.rotations import by_dataset, inflation, pooled, read_rotations
from ecgpipe.tables.run import Parameters, build_tables

CLASSES = ["SR", "AFIB", "SVTAC"]
LABELS = "S" * 24 + "A" * 24 + "V" * 24


def _rotation(make, number: int, setting: str, generator: str, skill: float, **options) -> pd.DataFrame:
    """Return the predictions of one rotation: patients and records of its own."""
    name = "a" if number == 1 else f"a-{number}"
    stream = 10 * number + (setting == "TrRSTeR")
    frame = make(setting, generator, 1.0, skill, dataset=name, labels=LABELS, stream=stream, **options)
    return frame.assign(record=f"r{number}" + frame["record"], patient=f"p{number}" + frame["patient"])


@pytest.fixture(scope="module")
def rotations(make):
    """Three rotations; each has real-only and augmented networks, and a cell tested on synthetic records."""
    return {
        number: pd.concat(
            [
                _rotation(make, number, "TrRTeR", "none", 1.0),
                _rotation(make, number, "TrRSTeR", "g", 1.6),
                _rotation(make, number, "TrSTeS", "g", 1.6, tested="a/g" if number == 1 else f"a-{number}/g"),
            ]
        )
        for number in (1, 2, 3)
    }


@pytest.fixture(scope="module")
def tables(tmp_path_factory, write, rotations):
    folder = tmp_path_factory.mktemp("rotated")
    first = rotations[1]
    every = pd.concat(rotations.values()).drop_duplicates("record")
    split = np.where(every["record"].isin(first["record"]), "test", "train")
    records = every[["record", "patient", "label"]].assign(split=split, source="a", age=50.0, sex="male", codes="")
    save_records(folder / "a", records, SignalSpec(100.0, 1000, tuple(CLASSES)))
    write_parquet(folder / "a" / "excluded.parquet", pd.DataFrame({"record": ["x"], "reason": ["nan"]}))
    trainings = []
    for number in rotations:
        row = {"dataset": "a" if number == 1 else f"a-{number}", "setting": "TrRSTeR", "generator": "g"}
        trainings.append(folder / f"{number}.parquet")
        row |= {"fraction": 1.0, "ratio": "all", "seed": 0, "n_real": 100 + number, "n_synthetic": 7}
        write_parquet(trainings[-1], pd.DataFrame([row]))
    parameters = Parameters(
        statistics=Statistics(bootstrap=100),
        settings=["TrRTeR", "TrRSTeR", "TrSTeS"],
        baselines=[],
        repetitions=1,
        fractions=[1.0],
        transfer=[],
        rotate={"a": 3},
        merged=[],
        partial=[],
        simulated=[],
        seed=7,
    )
    # The order of files is no matter.
    predictions = [write(rotations[number]) for number in (2, 1, 3)]
    build_tables(
        parameters,
        predictions=predictions,
        trainings=trainings,
        data={"a": folder / "a"},
        jobs=[],
        out=folder / "tables",
    )
    return lambda name: pd.read_parquet(folder / "tables" / f"{name}.parquet")


def test_each_record_is_tested_once_with_each_seed_and_there_is_one_dataset(tables, rotations):
    whole = sum(len(LABELS) for _ in rotations)
    rows = tables("classification").query("setting != 'TrSTeS' and metric == 'accuracy'")
    assert set(rows["support"]) == {whole}
    assert len(rows) == 2 * 3
    for name in ("classification", "comparisons", "summary", "confusion", "training", "data"):
        assert set(tables(name)["dataset"]) == {"a"}
    assert set(tables("comparisons")["patients"]) == {whole // 2}
    assert set(tables("confusion").query("setting == 'TrRTeR'").groupby("true")["mean"].sum()) == {whole / 3}


def test_metrics_are_those_of_all_predictions_together(tables, rotations):
    """The metrics of scikit-learn on the predictions as they were written."""
    every = pd.concat(rotations.values())
    for setting in ("TrRTeR", "TrRSTeR"):
        for seed in (0, 1, 2):
            mine = every[(every["setting"] == setting) & (every["seed"] == seed)]
            scores = mine[[f"p_{name}" for name in CLASSES]].to_numpy(dtype=np.float64)
            answered = [CLASSES[place] for place in scores.argmax(axis=1)]
            f1 = f1_score(mine["label"], answered, average="macro")
            auc = np.mean([roc_auc_score(mine["label"] == name, mine[f"p_{name}"]) for name in CLASSES])
            rows = tables("classification").query("setting == @setting and seed == @seed and `class` == 'macro'")
            found = rows.set_index("metric")["value"]
            assert found["f1"] == pytest.approx(f1)
            assert found["roc_auc"] == pytest.approx(auc, abs=1e-6)


def test_a_comparison_is_obuchowski_and_rocketts_on_all_patients(tables, rotations):
    """Accuracy, whose influences are elementary: standard error and difference computed from the written files."""
    every = pd.concat(rotations.values())
    every["right"] = every[[f"p_{name}" for name in CLASSES]].to_numpy().argmax(axis=1) == [
        CLASSES.index(name) for name in every["label"]
    ]
    by_setting = every[every["tested"].str.count("/") == 0].pivot_table(
        index=["patient", "label"], columns=["setting", "seed"], values="right", aggfunc="sum"
    )
    gained = (by_setting["TrRSTeR"] - by_setting["TrRTeR"]).astype(float)
    number = len(every["record"].unique())
    differences = gained.sum() / number
    # Influence of a patient with two records on an accuracy: what it gains less what two records gain on the average.
    influence = (gained - 2 * differences) / number
    within = [part - part.mean() for _, part in influence.groupby("label")]
    covariances, one_patient = [], 2 / number
    for part in within:
        n = len(part)
        products = part.T @ part * n / (n - 1)
        # A rhythm's is at least half of what one patient who is read the other way would make it.
        covariances.append(max((products.to_numpy().sum() - np.trace(products)) / (3 * 2), one_patient**2 / 2))
    overlap = 1 + 4 / 5 + 3 / 6 + 3 / 6  # of three rotations of ten folds, one of which validates
    error = np.sqrt(differences.var(ddof=1) / 3 + overlap * sum(covariances))
    row = tables("comparisons").query("metric == 'accuracy' and generator == 'g'").iloc[0]
    assert row["difference"] == pytest.approx(differences.mean())
    assert row["p_value"] == pytest.approx(
        2 * stats.t.sf(abs(row["difference"]) / row["standard_error"], row["degrees_of_freedom"])
    )
    assert row["standard_error"] == pytest.approx(error)


@pytest.mark.parametrize(("number", "wanted"), [(1, 1.0), (2, 1 + 2 * 5 / 4), (5, 1 + 5 * 2 / 7), (10, 1 + 10 / 8)])
def test_patients_add_what_nadeau_and_bengio_say(number, wanted):
    assert inflation(number) == pytest.approx(wanted)


def test_synthetic_test_records_are_those_of_the_first_rotation(tables):
    rows = tables("classification").query("setting == 'TrSTeS' and metric == 'accuracy'")
    assert set(rows["tested"]) == {"a/g"}
    assert set(rows["support"]) == {len(LABELS)}


def test_trainings_say_their_rotation_and_counts_are_those_of_the_first(tables):
    assert tables("training")["rotation"].tolist() == [1, 2, 3]
    assert set(tables("comparisons").query("generator == 'g'")["n_real"]) == {101}


def test_all_records_of_a_rotated_dataset_are_for_testing(tables):
    counts = tables("data").query("`class` == 'all'").set_index("split")["records"]
    assert counts["test"] == counts["all"] == 3 * len(LABELS)
    assert counts["train"] == 2 * len(LABELS)


def _cells(write, *frames):
    return [read_predictions(write(frame.assign(dataset="a", tested="a"))) for frame in frames]


def test_a_patient_tested_in_two_rotations_is_refused(write, make):
    one, two = (_rotation(make, number, "TrRTeR", "none", 1.0) for number in (1, 2))
    poisoned = two.assign(patient=two["patient"].where(two["record"] != "r2r003", "p1p007"))
    with pytest.raises(ValueError, match="patient p1p007 was tested in more than one rotation"):
        pooled(_cells(write, one, poisoned))
    with pytest.raises(ValueError, match="was tested in more than one rotation"):
        pooled(_cells(write, one, one))


def test_rotations_with_other_seeds_are_refused(write, make):
    one = _rotation(make, 1, "TrRTeR", "none", 1.0)
    two = _rotation(make, 2, "TrRTeR", "none", 1.0, seeds=(0, 1))
    with pytest.raises(ValueError, match=r"other seeds or classes: \[0, 1, 2\], \[0, 1\]"):
        pooled(_cells(write, one, two))


def test_what_one_rotation_lacks_is_left_out_with_a_warning(write, make, caplog):
    one = pd.concat([_rotation(make, 1, setting, g, 1.0) for setting, g in (("TrRTeR", "none"), ("TrRSTeR", "g"))])
    two = _rotation(make, 2, "TrRTeR", "none", 1.0)
    with caplog.at_level(logging.WARNING):
        (cell,) = read_rotations([[write(one)], [write(two)]], "a", 2)
    assert cell.setting == "TrRTeR"
    assert "a, TrRSTeR, g, 1.0, all, a: not all rotations have it" in caplog.text


def test_a_dataset_without_all_of_its_rotations_has_no_cells(write, make, caplog):
    second = write(_rotation(make, 2, "TrRTeR", "none", 1.0))
    (files,) = by_dataset({"a-2": [second]}, {"a": 2}).values()
    with caplog.at_level(logging.WARNING):
        assert read_rotations(files, "a", 2) == []
    assert "a is left out: 1 of its 2 rotations have been tested" in caplog.text
