"""All tables of a small study: what they say, and that they say it again."""

import numpy as np
import pandas as pd
import pytest

from ecgpipe.config import Statistics
from ecgpipe.dataset import SignalSpec, save_records
from ecgpipe.files import sha256, write_parquet
from ecgpipe.tables.cells import Cell
from ecgpipe.tables.comparisons import comparisons_table, with_records
from ecgpipe.tables.draws import Draws
from ecgpipe.tables.names import TABLES
from ecgpipe.tables.run import Parameters, build_tables, training_table

SEEDS = tuple(range(8))


@pytest.fixture(scope="module")
def parameters():
    return Parameters(
        statistics=Statistics(bootstrap=200),
        settings=["TrRTeR", "TrSTeR", "TrRSTeR"],
        baselines=[],
        repetitions=1,
        fractions=[0.2, 1.0],
        transfer=[0.5],
        merged=[],
        partial=[],
        simulated=[],
        seed=7,
    )


@pytest.fixture(scope="module")
def study(tmp_path_factory, write, make):
    """Augmentation helps at 20 % (skill 0 to 3), does nothing at 100 % (the same networks); synthetic alone harms."""
    tmp_path = tmp_path_factory.mktemp("study")
    real = write(*(make("TrRTeR", "none", f, k, seeds=SEEDS) for f, k in ((0.2, 0.0), (0.5, 1.0), (1.0, 3.0))))
    augmented = write(
        make("TrRSTeR", "good", 0.2, 3.0, seeds=SEEDS, stream=1),
        make("TrRSTeR", "good", 1.0, 3.0, seeds=SEEDS),
        make("TrSTeR", "good", 0.0, 0.0, seeds=SEEDS, stream=2),
    )
    transfer = write(make("frozen", "good", 0.5, 1.0, seeds=SEEDS, stream=3))
    records = make("TrRTeR", "none", 1.0, 1.0, seeds=(0,))[["record", "patient", "label"]]
    records = records.assign(split="test", source="a", age=50.0, sex="male", codes="")
    save_records(tmp_path / "data" / "a", records, SignalSpec(100.0, 1000, ("SR", "AFIB", "SVTAC")))
    write_parquet(tmp_path / "data" / "a" / "excluded.parquet", pd.DataFrame({"record": ["x"], "reason": ["nan"]}))
    trained = [("TrRSTeR", 0.2, "all", 4, 30), ("TrRSTeR", 1.0, "all", 20, 30), ("TrSTeR", 0.0, "none", 0, 30)]
    columns = ["setting", "fraction", "ratio", "n_real", "n_synthetic"]
    training = pd.DataFrame(trained, columns=columns).assign(dataset="a", generator="good", seed=0)
    write_parquet(tmp_path / "training.parquet", training)
    benchmark = tmp_path / "benchmarks" / "classify" / "a-good.jsonl"
    benchmark.parent.mkdir(parents=True)
    benchmark.write_text('{"s": 1.5, "cpu_time": 1.0, "max_rss": 300.0}\n')
    return {
        "predictions": [real, augmented, transfer],
        "trainings": [tmp_path / "training.parquet"],
        "data": {"a": tmp_path / "data" / "a"},
        "jobs": [(benchmark, tmp_path / "provenance.json")],
    }


@pytest.fixture(scope="module")
def folder(study, parameters, tmp_path_factory):
    out = tmp_path_factory.mktemp("tables")
    build_tables(parameters, **study, out=out)
    return out


@pytest.fixture(scope="module")
def tables(folder):
    return {name: pd.read_parquet(folder / f"{name}.parquet") for name in TABLES}


def test_tables_hold_every_cell_once(tables):
    classification = tables["classification"]
    cells = set(classification[["setting", "fraction"]].itertuples(index=False, name=None))
    assert cells == {("TrRTeR", 0.2), ("TrRTeR", 1.0), ("TrRSTeR", 0.2), ("TrRSTeR", 1.0), ("TrSTeR", 0.0)}
    keys = ["dataset", "setting", "generator", "fraction", "ratio", "tested", "seed", "class", "metric"]
    assert not classification.duplicated(keys).any()
    assert set(classification["seed"]) == set(SEEDS)
    transfer = tables["transfer"]
    assert set(transfer[["method", "setting", "fraction"]].itertuples(index=False, name=None)) == {
        ("scratch", "TrRTeR", 0.5),
        ("frozen", "frozen", 0.5),
    }
    summary = tables["summary"].set_index(["setting", "fraction", "class", "metric"])
    assert not summary.index.duplicated().any()
    row = summary.loc[("TrRTeR", 0.2, "macro", "f1")]
    values = classification.query("setting == 'TrRTeR' and fraction == 0.2 and `class` == 'macro' and metric == 'f1'")[
        "value"
    ]
    assert row["mean"] == pytest.approx(values.mean())
    assert row["sd"] == pytest.approx(values.std(ddof=1))
    assert row["low"] < row["mean"] < row["high"]
    assert (row["seeds"], row["support"]) == (8, 56)
    assert summary.loc[("TrRTeR", 0.2, "SVTAC", "f1"), "note"].endswith("only 8 test records")
    calibration = summary.loc[("TrRTeR", 0.2, "all", "calibration_error")]
    assert np.isnan(calibration["low"])
    assert calibration["note"] == "no interval: resampling biases it"
    assert tables["training"]["n_real"].tolist() == [4, 20, 0]
    assert tables["exclusions"]["records"].tolist() == [1]
    assert tables["runtime"]["generator"].tolist() == ["good"]


def test_comparisons_say_what_was_planted(tables):
    rows = tables["comparisons"].set_index(["experiment", "fraction", "metric"])
    helps = rows.loc[("augmentation", 0.2, "macro_f1")]
    assert helps["verdict"] == "helps"
    assert 0 < helps["low"] < helps["difference"] < helps["high"]
    assert (helps["high"] - helps["low"]) / 2 < helps["smallest_effect"] < helps["high"] - helps["low"]
    assert helps["value"] - helps["reference"] == pytest.approx(helps["difference"])
    nothing = rows.loc[("augmentation", 1.0, "macro_f1")]
    assert nothing["difference"] == 0  # the very same answers: nothing to judge by, and no interval of no width
    assert np.isnan([nothing["low"], nothing["high"], nothing["p_value"], nothing["smallest_effect"]]).all()
    assert nothing["verdict"] == "cannot tell"
    assert "the same in every seed" in nothing["note"]
    assert rows.loc[("synthetic only", 1.0, "macro_f1"), "verdict"] == "harms"
    assert rows.loc[("transfer", 0.5, "macro_f1"), "verdict"] == "no difference shown"
    assert helps["family"] == 1  # the other one of its family has no p-value
    assert helps["p_holm"] == pytest.approx(helps["p_value"])
    assert helps["p_swap"] >= 2**-7
    verdicts = tables["verdicts"].set_index("conclusion")["verdict"]
    assert verdicts.tolist() == ["cannot tell"] * 4


def test_confusion_counts_every_test_record(tables):
    cells = tables["confusion"].groupby(["setting", "fraction", "true"])["mean"].sum()
    for (_, _, true), count in cells.items():
        assert count == pytest.approx({"SR": 24, "AFIB": 24, "SVTAC": 8}[true])


def test_rare_rhythms_leave_macro_averages_of_comparisons_and_are_named(tables):
    rows = tables["comparisons"].query("experiment == 'augmentation' and fraction == 0.2").set_index("metric")
    assert set(rows.index) == {"macro_f1", "macro_roc_auc", "macro_precision", "balanced_accuracy", "accuracy"}
    assert rows.loc["macro_f1", "left_out"] == "SVTAC (4)"
    assert rows.loc["macro_f1", "note"] == "judged without SVTAC (4): fewer than 10 test patients"
    assert (rows.loc["accuracy", "left_out"], rows.loc["accuracy", "note"]) == ("", "")
    f1 = (
        tables["summary"]
        .query("setting == 'TrRSTeR' and fraction == 0.2 and metric == 'f1'")
        .set_index("class")["mean"]
    )
    assert rows.loc["macro_f1", "value"] == pytest.approx(f1[["SR", "AFIB"]].mean())
    assert rows.loc["macro_f1", "value"] != pytest.approx(f1["macro"])


def test_a_gain_is_set_beside_the_best_simple_baseline(study, parameters, tmp_path, write, make):
    """One baseline does as well as synthetic records at 20 %, and none of them anything at the full share."""
    baselines = write(
        make("mixup", "none", 0.2, 3.0, seeds=SEEDS, stream=4),
        make("class_weights", "none", 0.2, 1.0, seeds=SEEDS, stream=5),
        *(make(name, "none", 1.0, 0.5, seeds=SEEDS, stream=6) for name in ("class_weights", "mixup")),
    )
    others = [write(make("TrRSTeR", f"good@{name}", 0.2, 3.0, seeds=SEEDS, stream=1)) for name in ("b",)]
    files = [*study["predictions"], *others, baselines]
    with_them = parameters.model_copy(update={"baselines": ["class_weights", "mixup"]})
    build_tables(with_them, **{**study, "predictions": files}, out=tmp_path)
    rows = pd.read_parquet(tmp_path / "comparisons.parquet").query("metric == 'macro_f1'")
    found = rows.set_index(["experiment", "fraction", "setting", "against"])["verdict"].to_dict()
    assert found == {
        ("augmentation", 0.2, "TrRSTeR", "real only"): "helps",
        ("augmentation", 1.0, "TrRSTeR", "real only"): "cannot tell",
        ("cross-set", 0.2, "TrRSTeR", "real only"): "helps",
        ("transfer", 0.5, "frozen", "real only"): "no difference shown",
        ("synthetic only", 1.0, "TrSTeR", "real only"): "harms",
        ("simple baseline", 0.2, "mixup", "real only"): "helps",
        ("simple baseline", 0.2, "class_weights", "real only"): "helps",
        ("simple baseline", 1.0, "mixup", "real only"): "harms",
        ("simple baseline", 1.0, "class_weights", "real only"): "harms",
        ("against simple baseline", 0.2, "TrRSTeR", "mixup"): "no difference shown",
        ("against simple baseline", 0.2, "TrRSTeR", "class_weights"): "helps",
        ("against simple baseline", 1.0, "TrRSTeR", "mixup"): "helps",
        ("against simple baseline", 1.0, "TrRSTeR", "class_weights"): "helps",
    }
    beside = rows[["experiment", "fraction", "best_baseline", "against_best_baseline"]]
    told = beside[beside["best_baseline"] != ""]
    assert told["experiment"].tolist() == ["augmentation"] * 2
    assert told.iloc[0, 1:].tolist() == [0.2, "mixup", "no difference shown"]
    assert told.iloc[1]["against_best_baseline"] == "helps"
    against = rows[rows["experiment"] == "against simple baseline"].set_index(["fraction", "against"]).sort_index()
    values = rows.set_index(["experiment", "fraction", "setting"])["value"].sort_index()
    assert against.loc[(0.2, "mixup"), "reference"] == pytest.approx(values["simple baseline", 0.2, "mixup"])
    assert set(against["family"]) == {4}
    summary = pd.read_parquet(tmp_path / "summary.parquet")
    assert {"mixup", "class_weights"} <= set(summary["setting"])
    without = tmp_path / "without"
    build_tables(parameters, **{**study, "predictions": files}, out=without)  # not asked for: not reported
    assert not {"mixup", "class_weights"} & set(pd.read_parquet(without / "summary.parquet")["setting"])
    alone = pd.read_parquet(without / "comparisons.parquet").query("metric == 'macro_f1'")
    kept = rows[~rows["experiment"].isin(["simple baseline", "against simple baseline"])]
    pd.testing.assert_series_equal(  # families of their own: no other verdict is changed
        kept["p_holm"].reset_index(drop=True), alone["p_holm"].reset_index(drop=True)
    )


def test_claims_are_not_about_a_dataset_of_which_records_are_left_out(study, parameters, tmp_path, write, make):
    augmented = write(make("TrRSTeR", "diffwave", 1.0, 3.0, seeds=SEEDS, stream=9))
    files = {**study, "predictions": [*study["predictions"], augmented]}
    build_tables(parameters, **files, out=tmp_path / "whole")
    build_tables(parameters.model_copy(update={"partial": ["a"]}), **files, out=tmp_path / "partial")
    found = [
        pd.read_parquet(tmp_path / name / "verdicts.parquet")["comparisons"].tolist() for name in ("whole", "partial")
    ]
    assert found == [[1, 0, 0, 0], [0, 0, 0, 0]]
    whole, partial = (pd.read_parquet(tmp_path / name / "comparisons.parquet") for name in ("whole", "partial"))
    pd.testing.assert_frame_equal(whole, partial)


def test_networks_of_one_repetition_of_a_generator_count_as_one(study, parameters, tmp_path):
    build_tables(parameters, **study, out=tmp_path / "one")
    build_tables(parameters.model_copy(update={"repetitions": 4}), **study, out=tmp_path / "four")
    keys = ["experiment", "fraction", "metric"]
    one, four = (pd.read_parquet(tmp_path / name / "comparisons.parquet").set_index(keys) for name in ("one", "four"))
    assert set(one["repetitions"]) == {1}
    assert set(four["repetitions"]) == {4}
    pd.testing.assert_series_equal(one["difference"], four["difference"])
    first = ("synthetic only", 1.0, "macro_f1")
    assert four.loc[first, "seeds"] == 8
    assert four.loc[first, "degrees_of_freedom"] < one.loc[first, "degrees_of_freedom"]
    evidence = [pd.read_parquet(tmp_path / name / "verdicts.parquet")["evidence"] for name in ("one", "four")]
    assert not any("trained and sampled from once" in text for text in evidence[1])


def test_too_few_test_patients_describe_and_do_not_judge(study, parameters, tmp_path, write, make):
    for labels, note in (("S" * 8 + "A" * 8, "only 8 test patients: 10 are needed"), ("S" * 24 + "A" * 6, "SR")):
        files = [
            write(make("TrRTeR", "none", 1.0, 0.0, labels=labels)),
            write(make("TrRSTeR", "good", 1.0, 9.0, stream=1, labels=labels)),
        ]
        build_tables(parameters, **{**study, "predictions": files}, out=tmp_path / "tables")
        rows = pd.read_parquet(tmp_path / "tables" / "comparisons.parquet").set_index("metric")
        row = rows.loc["macro_f1"]
        assert row["difference"] > 0.3
        assert (row["verdict"], row["left_out"]) == ("cannot tell", "")
        assert np.isnan(row[["low", "p_value", "smallest_effect"]].astype(float)).all()
        assert row["note"].startswith(note) or row["note"].startswith("nothing can be told: too many rhythms are rare")
    assert rows.loc["accuracy", "verdict"] == "helps"  # 15 patients, whatever their rhythm


def test_generators_are_compared_directly_with_the_same_seeds_and_patients(study, parameters, tmp_path, write, make):
    files = [
        write(make("TrRTeR", "none", 0.5, 2.0, seeds=SEEDS)),
        write(
            make("frozen", "b", 0.5, 4.0, seeds=SEEDS, stream=1),
            make("frozen", "a", 0.5, 0.0, seeds=SEEDS, stream=2),
            make("frozen", "real:x", 0.5, 2.0, seeds=SEEDS, stream=3),
        ),
    ]
    build_tables(parameters, **{**study, "predictions": files}, out=tmp_path / "tables")
    table = pd.read_parquet(tmp_path / "tables" / "comparisons.parquet").query("metric == 'macro_f1'")
    found = table.set_index(["experiment", "generator", "against"])
    direct = found.loc["between generators"]
    assert direct.index.tolist() == [("a", "b")]
    against_real = found.loc["transfer"].droplevel("against")["difference"]
    assert direct["difference"].item() == pytest.approx(against_real["a"] - against_real["b"])
    assert direct["verdict"].item() == "harms"
    assert len(found.loc["against real pre-training"]) == 2


def test_same_input_same_bytes_and_the_order_of_files_does_not_matter(study, parameters, folder, tmp_path):
    build_tables(parameters, **study, out=tmp_path / "again")
    for name in TABLES:
        assert sha256(folder / f"{name}.parquet") == sha256(tmp_path / "again" / f"{name}.parquet"), name
    build_tables(parameters, **{**study, "predictions": study["predictions"][::-1]}, out=tmp_path / "reversed")
    keys = ["experiment", "fraction", "metric"]
    one, other = (pd.read_parquet(f / "comparisons.parquet").sort_values(keys) for f in (folder, tmp_path / "reversed"))
    pd.testing.assert_frame_equal(one.reset_index(drop=True), other.reset_index(drop=True))


def test_a_class_without_test_records_is_missing_with_a_note_and_not_dropped(study, parameters, tmp_path, write, make):
    labels = "S" * 24 + "A" * 24
    files = [
        write(make("TrRTeR", "none", 1.0, 1.0, seeds=SEEDS, labels=labels)),
        write(make("TrRSTeR", "good", 1.0, 2.0, seeds=SEEDS, labels=labels, stream=1)),
    ]
    build_tables(parameters, **{**study, "predictions": files}, out=tmp_path / "tables")
    summary = pd.read_parquet(tmp_path / "tables" / "summary.parquet").set_index(["setting", "class", "metric"])
    absent = summary.loc[("TrRTeR", "SVTAC", "f1")]
    assert np.isnan(absent[["mean", "low", "high"]].astype(float)).all()
    assert (absent["support"], absent["note"]) == (0, "no test record of this class")
    macro = summary.loc[("TrRTeR", "macro", "f1")]
    assert macro["mean"] > 0
    assert "without SVTAC" in macro["note"]
    comparisons = pd.read_parquet(tmp_path / "tables" / "comparisons.parquet").set_index("metric")
    assert comparisons.loc["macro_f1", "note"] == "judged without SVTAC (0): fewer than 10 test patients"
    assert comparisons.loc["accuracy", "note"] == ""


def test_one_rhythm_only_gives_no_auc_and_no_verdict_on_it(study, parameters, tmp_path, write, make):
    files = [
        write(make("TrRTeR", "none", 1.0, 1.0, seeds=SEEDS, labels="S" * 24)),
        write(make("TrRSTeR", "good", 1.0, 2.0, seeds=SEEDS, labels="S" * 24, stream=1)),
    ]
    build_tables(parameters, **{**study, "predictions": files}, out=tmp_path / "tables")
    rows = pd.read_parquet(tmp_path / "tables" / "comparisons.parquet").set_index("metric")
    assert rows.loc["macro_roc_auc", "verdict"] == "cannot tell"
    assert np.isnan(rows.loc["macro_roc_auc", "p_holm"])
    assert rows.loc["macro_roc_auc", "note"].endswith("not defined on these test records")


def test_three_seeds_show_a_difference_that_is_plain(study, parameters, tmp_path, write, make):
    files = [
        write(make("TrRTeR", "none", 1.0, 0.0)),
        write(make("TrRSTeR", "good", 1.0, 9.0, stream=1)),
    ]
    build_tables(parameters, **{**study, "predictions": files}, out=tmp_path / "tables")
    row = pd.read_parquet(tmp_path / "tables" / "comparisons.parquet").set_index("metric").loc["macro_f1"]
    assert row["low"] > 0
    assert row["p_swap"] == 0.25
    assert row["p_value"] < 0.05
    assert row["verdict"] == "helps"


def test_one_seed_gives_no_verdict(study, parameters, tmp_path, write, make):
    files = [
        write(make("TrRTeR", "none", 1.0, 0.0, seeds=(4,))),
        write(make("TrRSTeR", "good", 1.0, 9.0, stream=1, seeds=(4,))),
    ]
    build_tables(parameters, **{**study, "predictions": files}, out=tmp_path / "tables")
    row = pd.read_parquet(tmp_path / "tables" / "comparisons.parquet").set_index("metric").loc["macro_f1"]
    assert row["difference"] > 0.3
    assert np.isnan(row[["low", "high", "p_value", "p_holm", "smallest_effect"]].astype(float)).all()
    assert (row["verdict"], row["note"]) == (
        "cannot tell",
        "judged without SVTAC (4): fewer than 10 test patients; one seed: the chance in training is not known",
    )


def test_one_seed_has_intervals_over_patients_only_and_says_so(study, parameters, tmp_path, write, make):
    files = [write(make("TrRTeR", "none", 1.0, 1.0, seeds=(4,)))]
    build_tables(parameters, **{**study, "predictions": files}, out=tmp_path / "tables")
    row = pd.read_parquet(tmp_path / "tables" / "summary.parquet").set_index(["class", "metric"]).loc[("macro", "f1")]
    assert np.isnan(row["sd"])
    assert row["low"] < row["high"]
    assert "one seed" in row["note"]
    assert pd.read_parquet(tmp_path / "tables" / "comparisons.parquet").empty


def test_cells_without_a_partner_are_left_out_and_other_seeds_refused(study, parameters, tmp_path, write, make, caplog):
    files = [write(make("TrRTeR", "none", 0.2, 1.0)), write(make("TrRSTeR", "good", 1.0, 2.0))]
    build_tables(parameters, **{**study, "predictions": files}, out=tmp_path / "tables")
    assert pd.read_parquet(tmp_path / "tables" / "comparisons.parquet").empty
    assert "no real-only cell of fraction 1" in caplog.text
    files = [write(make("TrRTeR", "none", 1.0, 1.0)), write(make("TrRSTeR", "good", 1.0, 2.0, seeds=(0, 1)))]
    with pytest.raises(ValueError, match=r"seeds \[0, 1\].*\[0, 1, 2\].*cannot be paired"):
        build_tables(parameters, **{**study, "predictions": files}, out=tmp_path / "tables")


def test_missing_trainings_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"t\.parquet is missing"):
        training_table([tmp_path / "t.parquet"])


def test_every_question_has_a_family_of_its_own(study, parameters, tmp_path, write, make):
    """Ratios, other hospitals, ways of fine-tuning and real pre-training, each against what it is compared with."""
    labels = "S" * 24 + "A" * 24 + "V" * 24
    real = [make("TrRTeR", "none", 1.0, 1.0, seeds=SEEDS), make("TrRTeR", "none", 0.5, 1.0, seeds=SEEDS)]
    away = make("TrRTeR", "none", 1.0, 0.0, seeds=SEEDS, tested="b", labels=labels)
    augmented = [
        make("TrRSTeR", "good", 1.0, 1.0, seeds=SEEDS, stream=1),
        make("TrRSTeR", "good", 1.0, 9.0, seeds=SEEDS, stream=2, ratio="0.5"),
        make("TrRSTeR", "good@b", 1.0, 9.0, seeds=SEEDS, stream=3),
        make("TrRSTeR", "good@b", 1.0, 9.0, seeds=SEEDS, stream=4, tested="b", labels=labels),
    ]
    synthetic = [
        make("TrSTeS", "good", 0.0, 9.0, seeds=SEEDS, stream=5, tested="a/good", labels="SAV" * 4),
        make("TrRTeS", "good", 1.0, 0.0, seeds=SEEDS, stream=6, tested="a/good", labels="SAV" * 4),
    ]
    transferred = [
        make(setting, source, 0.5, skill, seeds=SEEDS, stream=7 + place)
        for place, (setting, source, skill) in enumerate(
            [("frozen", "good", 0.0), ("finetuned", "good", 9.0), ("probe", "good", 1.0), ("frozen", "real:b", 9.0)]
        )
    ]
    wanted = parameters.model_copy(update={"settings": ["TrRTeR", "TrRSTeR", "TrSTeS", "TrRTeS"], "fractions": [1.0]})
    files = [write(*real, away), write(*augmented, *synthetic), write(*transferred)]
    build_tables(wanted, **{**study, "predictions": files}, out=tmp_path / "tables")
    comparisons = pd.read_parquet(tmp_path / "tables" / "comparisons.parquet").query("metric == 'macro_f1'")
    keys = ["experiment", "generator", "ratio", "tested", "against"]
    found = comparisons.set_index(keys)["verdict"].to_dict()
    assert found == {
        ("augmentation", "good", "all", "a", "real only"): "no difference shown",
        ("augmentation", "good", "0.5", "a", "real only"): "helps",
        ("cross-set", "good@b", "all", "a", "real only"): "helps",
        ("cross-set", "good@b", "all", "b", "real only"): "helps",
        ("transfer", "good", "none", "a", "real only"): "harms",
        ("full fine-tuning", "good", "none", "a", "real only"): "helps",
        ("linear probe", "good", "none", "a", "real only"): "no difference shown",
        ("real pre-training", "real:b", "none", "a", "real only"): "helps",
        ("against real pre-training", "good", "none", "a", "real:b"): "harms",
    }
    sizes = comparisons.groupby("experiment")["family"].first().to_dict()
    assert (sizes["augmentation"], sizes["cross-set"], sizes["transfer"]) == (2, 2, 1)
    summary = pd.read_parquet(tmp_path / "tables" / "summary.parquet").query("metric == 'f1' and `class` == 'macro'")
    on_synthetic = summary[summary["tested"] == "a/good"].set_index("setting")
    assert on_synthetic["mean"]["TrSTeS"] > 0.9 > on_synthetic["mean"]["TrRTeS"]
    assert set(on_synthetic["support"]) == {12}


@pytest.mark.parametrize("counts", [(52, 16, 3), (40, 30, 33), (101, 13, 29)])
def test_networks_that_answer_one_class_each_give_no_verdict_out_of_rounding(counts):
    labels, rng = np.repeat(np.arange(3), counts), np.random.default_rng(0)
    names = np.array([f"{i:03d}" for i in range(len(labels))])

    def always(answer, setting, generator, ratio):
        scores = rng.random((3, len(labels), 3)).astype(np.float32)
        scores[:, :, answer] += 20
        scores /= scores.sum(axis=2, keepdims=True)
        return Cell("d", setting, generator, 1.0, ratio, "d", tuple("ABC"), (0, 1, 2), names, names, labels, scores)

    cells = [always(0, "TrRTeR", "none", "none"), always(1, "TrRSTeR", "g", "all")]
    table = comparisons_table(cells, [1.0], [], Draws(500, 1), 0.95).set_index("metric")
    by_answer = table.loc[["macro_f1", "balanced_accuracy", "accuracy"]]
    assert by_answer["difference"].abs().max() > 0.05  # the answers differ, yet nothing is known of the chance in that
    assert set(by_answer["verdict"]) == {"cannot tell"}
    assert by_answer[["low", "high", "p_value", "p_holm", "smallest_effect"]].isna().all(axis=None)
    assert table.loc["macro_roc_auc", "p_value"] > 0


def test_a_smallest_effect_that_no_metric_can_reach_is_missing_and_said():
    labels = np.repeat(np.arange(3), 10)
    names = np.array([f"{i:02d}" for i in range(30)])

    def cell(setting, generator, ratio, *answers):
        scores = np.eye(3, dtype=np.float32)[np.array(answers)]
        return Cell("d", setting, generator, 1.0, ratio, "d", tuple("ABC"), (0, 1), names, names, labels, scores)

    half = np.where(np.arange(30) % 2, labels, (labels + 1) % 3)
    cells = [
        cell("TrRTeR", "none", "none", half, half),
        cell("TrRSTeR", "g", "all", labels, (labels + 1) % 3),  # right in one seed, wrong in the other
    ]
    row = comparisons_table(cells, [1.0], [], Draws(200, 1), 0.95).set_index("metric").loc["macro_f1"]
    assert np.isnan(row["smallest_effect"])
    assert row["p_value"] > 0.5
    assert row["note"].startswith("so few seeds or patients")


def test_each_datasets_tables_are_the_same_beside_another(study, parameters, tmp_path, write, make):
    """Also beside one without comparisons, and whatever the order of files."""
    labels = "S" * 24 + "A" * 24 + "V" * 24
    real, other = (
        write(make("TrRTeR", "none", 1.0, 1.0)),
        write(make("TrRTeR", "none", 1.0, 1.0, dataset="b", labels=labels)),
    )
    augmented = write(make("TrRSTeR", "good", 1.0, 9.0, stream=1))
    build_tables(parameters, **{**study, "predictions": [real, other, augmented]}, out=tmp_path / "both")
    build_tables(parameters, **{**study, "predictions": [real, augmented]}, out=tmp_path / "one")
    for name in ("comparisons", "summary", "classification"):
        both, one = (pd.read_parquet(tmp_path / folder / f"{name}.parquet") for folder in ("both", "one"))
        pd.testing.assert_frame_equal(both[both["dataset"] == "a"].reset_index(drop=True), one)
    assert set(both["dataset"]) == {"a", "b"}
    elsewhere = write(make("TrRTeR", "none", 1.0, 1.0, dataset="b", tested="a", labels=labels))
    with pytest.raises(ValueError, match="not tested on the same records"):
        build_tables(parameters, **{**study, "predictions": [real, elsewhere]}, out=tmp_path / "wrong")


def test_rhythms_that_could_not_be_filled_up_are_noted():
    key = {"dataset": "a", "setting": "TrRSTeR", "generator": "good", "fraction": 0.5}
    compared = pd.DataFrame([{**key, "ratio": ratio, "note": "rough"} for ratio in ("all", "balance")])
    counts = {"n_real": 15, "n_synthetic": 12, "n_train_SR": 12, "n_train_AFIB": 12, "n_train_SVTAC": 3}
    training = pd.DataFrame([{**key, "ratio": "balance", "seed": seed, **counts} for seed in (0, 1)])
    noted = with_records(compared, training)["note"].tolist()
    assert noted == ["rough", "rough; too few synthetic records to balance: SVTAC 3 of 12"]
    filled = with_records(compared, training.assign(n_train_SVTAC=12))["note"].tolist()
    assert filled == ["rough", "rough"]
    numbers = with_records(compared, training)[["n_real", "n_synthetic"]]
    np.testing.assert_array_equal(numbers, [[np.nan, np.nan], [15, 12]])
