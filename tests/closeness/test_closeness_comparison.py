"""The whole table: floors, controls, invariances, and what cannot be computed."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from ecgpipe.closeness import twosample
from ecgpipe.closeness.comparison import COLUMNS, evaluate
from ecgpipe.closeness.controls import CONTROLS
from ecgpipe.closeness.feature_maps import FeatureMaps
from ecgpipe.closeness.measures import MEASURES
from ecgpipe.closeness.names import CLASS_MIX
from ecgpipe.closeness.records import Records
from ecgpipe.closeness.settings import Settings
from ecgpipe.closeness.stratified import split_halves
from ecgpipe.vocabulary import ALL

FAST = Settings(draws=60)
QUICK = [name for name, measure in MEASURES.items() if measure.level == "quick"]
WITHOUT_JUDGE = [name for name in QUICK if name not in ("frechet_classifier", "class_fidelity")]


def pooled(table):
    return table[(table["class"] == ALL) & (table["lead"] == ALL)].set_index("measure")


def worse(rows):
    """Say where a value's interval lies beyond the floor's, on the wrong side."""
    above, below = rows["low"] > rows["floor_high"], rows["high"] < rows["floor_low"]
    return above.where(rows["direction"] == "lower", below.where(rows["direction"] == "higher", above | below))


@pytest.fixture(scope="module")
def maps(train):
    return FeatureMaps.fit(train, None)


@pytest.fixture(scope="module")
def at_floor(held_out, train, fresh, maps):
    return evaluate(held_out, fresh, train=train, settings=FAST, maps=maps)


@pytest.fixture(scope="module")
def controls(held_out, train, maps):
    rows = {}
    for name in ("noise", "surrogates", "shuffled_leads", "copies"):
        made = replace(CONTROLS[name](train, np.random.default_rng(0)), labels=None)
        rows[name] = pooled(evaluate(held_out, made, train=train, settings=FAST, maps=maps, only=QUICK))["value"]
    return pd.DataFrame(rows)


def test_table_is_whole(at_floor, held_out):
    assert tuple(at_floor.columns) == COLUMNS
    assert set(pooled(at_floor).index) == {*QUICK, CLASS_MIX}
    for label in set(held_out.labels):
        assert set(at_floor.loc[at_floor["class"] == label, "measure"]) == set(QUICK)
    known = at_floor.dropna(subset=["value"])
    assert (known["note"] == "").all()
    assert (known["low"] <= known["value"] + 1e-12).all()
    assert (known["value"] <= known["high"] + 1e-12).all()
    assert (at_floor.loc[at_floor["value"].isna(), "note"] != "").all()
    assert set(at_floor.loc[at_floor["measure"] == "spectrum", "lead"]) == {ALL, *held_out.leads}


def test_fresh_records_are_at_the_floor(at_floor):
    """What a perfect generator draws: no measure finds it worse than other real records."""
    rows = pooled(at_floor).dropna(subset=["value"])
    assert not worse(rows).any(), rows[worse(rows)]
    assert rows.loc["mmd", "p_value"] > 0.05


_BY_FEATURES = ["frechet_kernels", "mmd", "recall", "coverage", "c2st"]
SEEN = {
    "noise": [
        *_BY_FEATURES,
        *("interlead_correlation", "autocorrelation", "spectrum", "amplitude", "limb_residual", "rr_variation"),
    ],
    "surrogates": [*_BY_FEATURES, "amplitude", "rr_variation"],
    "shuffled_leads": [
        *_BY_FEATURES,
        *("interlead_correlation", "autocorrelation", "spectrum", "amplitude", "limb_residual"),
    ],
}


@pytest.mark.parametrize(("control", "measure"), [(c, m) for c, measures in SEEN.items() for m in measures])
def test_measure_sees_a_control(controls, at_floor, control, measure):
    floor = pooled(at_floor).loc[measure]
    value = controls.loc[measure, control]
    if MEASURES[measure].better == "higher":
        assert value < floor["floor_low"]
    else:
        assert value > floor["floor_high"]


BLIND = {"surrogates": ["interlead_correlation", "autocorrelation", "limb_residual"], "copies": WITHOUT_JUDGE}


@pytest.mark.parametrize(("control", "measure"), [(c, m) for c, measures in BLIND.items() for m in measures])
def test_measure_is_blind_to_a_control_as_its_description_says(controls, at_floor, control, measure):
    floor = pooled(at_floor).loc[measure]
    value, margin = controls.loc[measure, control], 0.5 * (floor["floor_high"] - floor["floor_low"]) + 1e-6
    assert floor["floor_low"] - margin <= value <= floor["floor_high"] + margin


def test_wrong_labels_are_seen_within_classes(held_out, train, maps):
    swapped = CONTROLS["other_class"](train, np.random.default_rng(0))
    table = evaluate(held_out, swapped, train=train, settings=FAST, maps=maps, only=["mmd", "heart_rate"])
    rows = table[table["class"] == "STACH"].set_index("measure")
    assert rows.loc["mmd", "p_value"] < 0.01
    assert rows.loc["heart_rate", "value"] > 3 * rows.loc["heart_rate", "floor"]
    assert pooled(table).loc["mmd", "p_value"] > 0.05


def test_same_again_and_the_floor_does_not_depend_on_the_synthetic_records(held_out, fresh, maps):
    only = ["spectrum", "amplitude", "precision", "mmd"]
    a, b = (Records(r.signals[:120], r.rate) for r in (held_out, fresh))
    first = evaluate(a, b, settings=FAST, maps=maps, only=only)
    pd.testing.assert_frame_equal(first, evaluate(a, b, settings=FAST, maps=maps, only=only))
    louder = evaluate(a, replace(b, signals=2 * b.signals), settings=FAST, maps=maps, only=only)
    assert (pooled(louder)["floor"] == pooled(first)["floor"]).all()
    assert (pooled(louder)["value"] > pooled(first)["value"])[["spectrum", "amplitude", "mmd"]].all()


def test_order_of_the_records_changes_no_value(held_out, fresh, train, maps):
    only = [name for name in WITHOUT_JUDGE if name != "c2st"]  # its folds go by order
    settings, n = replace(FAST, draws=2), len(held_out)
    sets = [replace(records, labels=None) for records in (held_out, fresh.take(np.arange(n)), train)]
    values = []
    for order in (np.arange(n), np.random.default_rng(0).permutation(n)):
        a, b = (records.take(order) for records in sets[:2])
        values.append(pooled(evaluate(a, b, train=sets[2], settings=settings, maps=maps, only=only))["value"])
    assert set(values[0].index) == set(only)
    pd.testing.assert_series_equal(*values, rtol=1e-5, atol=1e-6)  # MMD² adds float32


def test_too_few_records_is_a_missing_value_with_its_reason(held_out, fresh, train, maps):
    few = pooled(evaluate(held_out.take(np.arange(12)), fresh, train=train, settings=FAST, maps=maps))
    assert np.isnan(few.loc["frechet_kernels", "value"])
    assert few.loc["frechet_kernels", "note"] == "needs 64 records a side, has 12"
    assert few.loc["class_fidelity", "note"] == "no classifier was given"


def test_class_missing_on_one_side_is_told(held_out, fresh, train, maps):
    without = fresh.take(np.flatnonzero(fresh.labels != "AFIB"))
    table = evaluate(held_out, without, train=train, settings=FAST, maps=maps, only=["mmd", CLASS_MIX])
    row = table[table["class"] == "AFIB"].iloc[0]
    assert np.isnan(row["value"])
    assert row["note"] == "no synthetic record of AFIB"
    assert "no synthetic record of AFIB" in pooled(table).loc["mmd", "note"]
    assert pooled(table).loc[CLASS_MIX, "value"] == pytest.approx(1 / 3)


def test_constant_signals_give_finite_values(held_out, train, maps):
    flat = replace(held_out, signals=np.zeros_like(held_out.signals))
    table = pooled(evaluate(held_out, replace(flat, labels=None), train=train, settings=FAST, maps=maps))
    assert table.loc["faulty_share", "value"] == pytest.approx(1)
    assert table.loc["faulty_share", "low"] == pytest.approx(0.025 ** (1 / 120))
    assert table.loc["beatless_share", "value"] == pytest.approx(1)
    for name in ("spectrum", "autocorrelation", "interlead_correlation", "mmd", "frechet_kernels", "c2st"):
        assert np.isfinite(table.loc[name, "value"])
    assert "could be measured in 0 records" in table.loc["heart_rate", "note"]


def test_nan_is_named(held_out):
    signals = held_out.signals.copy()
    signals[7, 3, 5] = np.nan
    with pytest.raises(ValueError, match="record 7 has NaN"):
        Records(signals, 100.0)
    with pytest.raises(ValueError, match="record xyz has NaN"):
        Records(signals, 100.0, names=np.array(["xyz"] * len(signals)))


@pytest.mark.parametrize(
    ("change", "words"),
    [({"rate": 500.0}, r"rate 100\.0 and 500\.0"), ({"leads": tuple(f"x{i}" for i in range(12))}, "leads")],
)
def test_sets_of_other_form_are_refused(held_out, fresh, change, words):
    with pytest.raises(ValueError, match=words):
        evaluate(held_out, replace(fresh, **change))


def test_wrong_shape_and_empty_sets_are_refused(held_out):
    with pytest.raises(ValueError, match="expected"):
        Records(held_out.signals.transpose(0, 2, 1), 100.0)
    with pytest.raises(ValueError, match="0 synthetic records"):
        evaluate(held_out, held_out.take(np.empty(0, dtype=np.int64)))


def test_no_more_records_than_asked_for(held_out, fresh, train, maps):
    table = evaluate(held_out, fresh, train=train, settings=replace(FAST, most=31), maps=maps, only=["spectrum"])
    assert pooled(table).loc["spectrum", "n"] == 30


def test_halves_keep_a_patients_records_together(held_out):
    patients = np.arange(len(held_out)) // 3
    first, second = split_halves(replace(held_out, patients=patients), np.random.default_rng(0))
    assert not set(patients[first]) & set(patients[second])
    assert sorted([*first, *second]) == list(range(len(held_out)))


def test_full_level_computes_every_measure(held_out, fresh, train, maps, monkeypatch):
    monkeypatch.setattr(twosample, "CNN_SEEDS", 1)
    monkeypatch.setattr(twosample, "CNN", twosample.CNN.model_copy(update={"epochs": 2}))
    only = [name for name, measure in MEASURES.items() if measure.level == "full"]
    settings = replace(FAST, level="full", most=105)
    unlabelled = [replace(records, labels=None) for records in (held_out, fresh, train)]
    rows = pooled(evaluate(*unlabelled[:2], train=unlabelled[2], settings=settings, maps=maps, only=only))
    assert set(rows.index) == set(only)
    assert rows["value"].notna().all()
    assert not worse(rows).any(), rows[worse(rows)]


def test_small_cnn_tells_noise_from_ecgs(held_out, monkeypatch):
    monkeypatch.setattr(twosample, "CNN_SEEDS", 1)
    few = held_out.take(np.arange(60))
    a, b = twosample.cnn_correct(few, CONTROLS["noise"](few, np.random.default_rng(0)), 0)
    assert np.isnan(a).sum() == 36  # learnt from or stopped on
    assert np.nanmean([*a, *b]) > 0.9
