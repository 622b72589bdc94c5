"""Values of the measures, against cases whose answer is known and against other implementations."""

import inspect
import re
from dataclasses import replace
from pathlib import Path

import neurokit2
import numpy as np
import pytest
import scipy.spatial
import scipy.stats

import ecgpipe.closeness
from ecgpipe.closeness import clinical, twosample
from ecgpipe.closeness.feature_cache import FeatureCache, Sample
from ecgpipe.closeness.measures import MEASURES
from ecgpipe.closeness.records import Records
from ecgpipe.closeness.statistics import Pair
from ecgpipe.leads import LEADS

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "closeness.md"


def value(name, a, b):
    """Return a measure of all records, each counting once."""
    pair = Pair(*(Sample(FeatureCache(records, None), np.arange(len(records))) for records in (a, b)), 0)
    return MEASURES[name].statistic(pair)(np.ones((1, len(a))), np.ones((1, len(b))))[0]


@pytest.fixture(scope="module")
def few(held_out, fresh):
    return held_out.take(np.arange(10)), fresh.take(np.arange(10))


def test_interlead_correlation_as_by_numpy(few):
    a, b = (np.mean([np.corrcoef(record) for record in side.signals.astype(float)], axis=0) for side in few)
    by_lead = np.abs(a - b).sum(axis=1) / 11
    np.testing.assert_allclose(value("interlead_correlation", *few), [by_lead.mean(), *by_lead], atol=1e-5)


def test_autocorrelation_as_by_numpy(few):
    def of(lead):
        lead = lead - lead.mean()
        return (np.correlate(lead, lead, "full") / (lead @ lead))[len(lead) : len(lead) + 150]

    a, b = (np.mean([[of(x) for x in record] for record in side.signals.astype(float)], axis=0) for side in few)
    by_lead = np.abs(a - b).mean(axis=1)
    np.testing.assert_allclose(value("autocorrelation", *few), [by_lead.mean(), *by_lead], atol=1e-5)


def test_twice_the_amplitude_is_six_decibels_everywhere(few):
    louder = replace(few[0], signals=2 * few[0].signals)
    np.testing.assert_allclose(value("spectrum", few[0], louder), 20 * np.log10(2), rtol=1e-3)


def test_amplitude_as_by_scipy(few):
    a, b = (side.signals.transpose(1, 0, 2).reshape(12, -1) for side in few)
    by_lead = [scipy.stats.wasserstein_distance(x, y) for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(value("amplitude", *few)[1:], by_lead, atol=0.002)


def test_nearest_distance_as_by_scipy(few):
    a, b = (side.signals.reshape(len(side), -1).astype(float) for side in few)
    expected = scipy.spatial.distance.cdist(b, a).min(axis=1).mean() / np.sqrt(12000)
    assert value("nearest_distance", *few) == pytest.approx(expected, rel=1e-5)


def test_limb_residual_is_what_was_added_to_a_lead(few):
    signals = few[1].signals.copy()
    signals[3, 2] += 0.5
    assert value("limb_residual", few[0], replace(few[1], signals=signals)) == pytest.approx(0.05, abs=1e-4)


def test_two_sample_accuracy_is_that_of_gaussians_two_deviations_apart():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2000, 5)), rng.standard_normal((2000, 5))
    b[:, 0] += 2
    correct = twosample.ridge_correct(a, b, 0)
    assert np.mean(correct) == pytest.approx(scipy.stats.norm.cdf(1), abs=0.02)
    once = np.ones((1, 2000))
    assert twosample.score(*correct, once, once)[0] == pytest.approx(2 - 2 * np.mean(correct))


def test_two_sample_folds_keep_patients_together():
    rng = np.random.default_rng(0)
    patients = np.repeat(np.arange(23), 3)[rng.permutation(69)]
    folds = twosample.patient_folds(patients, 69, 5, rng)
    assert all(len(set(folds[patients == p])) == 1 for p in range(23))
    assert sorted(np.bincount([folds[patients == p][0] for p in range(23)])) == [4, 4, 5, 5, 5]
    assert sorted(np.bincount(twosample.patient_folds(None, 69, 5, rng))) == [13, 14, 14, 14, 14]


def test_equals_with_several_records_a_patient_cannot_be_told_apart():
    rng = np.random.default_rng(1)
    right = {"patients": [], "records": []}
    for _ in range(6):
        own = np.repeat(rng.standard_normal((80, 40)), 4, axis=0) + 0.3 * rng.standard_normal((320, 40))
        patients = np.repeat(np.arange(40), 4)
        right["patients"].append(np.mean(twosample.ridge_correct(own[:160], own[160:], 0, patients, patients)))
        right["records"].append(np.mean(twosample.ridge_correct(own[:160], own[160:], 0)))
    assert np.mean(right["patients"]) == pytest.approx(0.5, abs=0.08)
    assert np.mean(right["records"]) > 0.65  # folds by record know the patients of the other folds


def test_beats_of_intervals_that_take_turns():
    rate, variation = clinical.beats(np.cumsum([50, 80, 100, 80, 100, 80]), 100.0)
    assert rate == pytest.approx(75)
    assert variation == pytest.approx(200)


def test_waves_are_read_where_they_are(monkeypatch):
    """Places of the waves are given: 0.8 s between beats, waves around each, one P wave not found, one left out."""
    peaks = np.arange(100, 900, 80)
    record = np.full((12, 1000), 0.02)
    places = {"P_Onsets": -20, "P_Peaks": -15, "R_Onsets": -4, "R_Offsets": 5, "T_Peaks": 25, "T_Offsets": 36}
    found = {f"ECG_{name}": (peaks + place).astype(float) for name, place in places.items()}
    found["ECG_P_Onsets"][2] = found["ECG_P_Peaks"][2] = np.nan
    found["ECG_P_Onsets"] = found["ECG_P_Onsets"][1:]  # as neurokit2 does where a wave begins at sample 0
    for offset, height in ((-15, 0.15), (25, 0.3), (11, -0.05)):
        record[LEADS.index("II"), peaks + offset] += height
    for lead, area in (("I", np.cos(np.radians(40))), ("aVF", np.sin(np.radians(40)) * np.sqrt(3) / 2)):
        record[LEADS.index(lead), peaks] += area
    monkeypatch.setattr(neurokit2, "ecg_delineate", lambda *_, **__: (None, found))
    expected = [160, 90, 400, 400 / np.cbrt(0.8), 0.15, 0.3, -0.05, 40]
    np.testing.assert_allclose(clinical.waves(record, peaks, record[1], LEADS, 100.0), expected, rtol=1e-6)


@pytest.fixture
def given_figures(monkeypatch):
    """Return records whose every figure of the waves is the number given."""
    monkeypatch.setattr(clinical, "r_peaks", lambda lead, rate: np.zeros(len(lead)))
    monkeypatch.setattr(clinical, "wave_figures", lambda x, *_: np.repeat(x[:, 0, :1], len(clinical.WAVES), axis=1))
    numbers = iter(([178.0] * 6, [-178.0] * 6, [1.0, np.nan, 2.0, np.nan, 3.0]))

    def records():
        signals = np.repeat(np.array(next(numbers))[:, None, None], 12, axis=1)
        return Records(signals, 100.0, checked=True)

    return [records() for _ in range(3)]


def test_axis_goes_round_and_missing_figures_are_counted(given_figures):
    a, b, incomplete = given_figures
    assert value("axis", a, b) == pytest.approx(4)
    assert value("qt_interval", a, b) == pytest.approx(356)
    assert value("undelineated_share", a, incomplete) == pytest.approx(0.4)


def test_arrays_are_evaluated_as_the_document_says(held_out, fresh, train):
    (code,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    names = {}
    for name, records in (("real", held_out), ("synthetic", fresh), ("train", train)):
        names |= {name: records.signals[:24], f"{name}_rhythms": list(records.labels[:24])}
    exec(code, names)  # noqa: S102 - the document's own
    table = names["table"]
    assert set(table["class"]) == {"all", *held_out.labels[:24]}
    assert table.loc[table["measure"] == "amplitude", "value"].notna().all()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "give rate="),
        ({"rate": 100.0, "labels": (["SR"] * 10,)}, "2 sets and labels of 1"),
        ({"rate": 100.0, "labels": (["SR"] * 10, ["SR"] * 9)}, "10 records and 9 labels"),
    ],
)
def test_arrays_without_what_they_need_are_refused(few, arguments, words):
    with pytest.raises(ValueError, match=words):
        ecgpipe.closeness.evaluate(few[0].signals, few[1].signals, **arguments)


def test_records_have_their_own_rate(few):
    with pytest.raises(ValueError, match="with arrays only"):
        ecgpipe.closeness.evaluate(*few, rate=100.0)


def test_package_has_no_other_names():
    assert inspect.isfunction(ecgpipe.closeness.evaluate)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = ecgpipe.closeness.nothing
