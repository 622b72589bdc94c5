"""Beats are found where the simulator put them, in all rhythms, and only there."""

from __future__ import annotations

import numpy as np
import pytest
from generate.drafts.conftest import Records

from ecgpipe.generate.drafts.analysis import analyse, conduction
from ecgpipe.generate.drafts.detection import detect
from ecgpipe.generate.drafts.plans import ECTOPIC
from ecgpipe.leads import independent_from_twelve

WITHIN = 0.15
"""Window of ANSI/AAMI EC57, s."""


def missed(times: np.ndarray, truth: np.ndarray, seconds: float = 10.0) -> int:
    """Count the true beats, not at the very ends, without a found one near."""
    truth = truth[(truth > 0.1) & (truth < seconds - 0.1)]
    return int((np.abs(truth[:, None] - times).min(axis=1, initial=np.inf) > WITHIN).sum())


def test_beats_are_found_where_they_are(records: Records) -> None:
    dataset, truth, kinds = records
    found = detect(independent_from_twelve(dataset.signals), 100.0)
    lost = sum(missed(f, t[k == 0]) for f, t, k in zip(found, truth, kinds, strict=True))
    extra = sum(missed(t, f) for f, t in zip(found, truth, strict=True))
    assert lost == 0
    assert extra == 0
    # Between samples: no further away than a few ms, whatever a patient's complex looks like on average.
    away = [
        np.abs(t[:, None] - f).min(axis=1).std() for f, t, k in zip(found, truth, kinds, strict=True) if not k.any()
    ]
    assert np.median(away) < 0.004


def test_scale_and_wander_do_not_matter(records: Records) -> None:
    signals = independent_from_twelve(records[0].signals[:14])
    wander = np.sin(2 * np.pi * 0.3 * np.arange(1000) / 100)
    for one, two in zip(detect(signals, 100.0), detect(3 * signals + wander.astype(np.float32), 100.0), strict=True):
        np.testing.assert_allclose(one, two, atol=1e-3)


def test_an_artefact_in_one_lead_is_no_beat(records: Records) -> None:
    signals = independent_from_twelve(records[0].signals[1:2]).copy()
    before = detect(signals, 100.0)[0]
    middle = float((before[3] + before[4]) / 2)
    signals[0, 2] += 3 * np.exp(-0.5 * ((np.arange(1000) / 100 - middle) / 0.015) ** 2)
    np.testing.assert_allclose(detect(signals, 100.0)[0], before, atol=0.02)


def test_a_sampling_rate_without_the_band_is_refused() -> None:
    with pytest.raises(ValueError, match="40 Hz"):
        detect(np.zeros((1, 8, 400)), 40.0)


def test_ectopic_beats_are_told(records: Records) -> None:
    dataset, truth, kinds = records
    plans = analyse(independent_from_twelve(dataset.signals), 100.0).plans
    wrong = 0
    for row, (times, kind) in enumerate(zip(truth, kinds, strict=True)):
        found = plans.beats(row)[plans.kinds[row, plans.happens[row]].numpy() == ECTOPIC]
        wrong += missed(found, times[kind == 1]) + missed(times[kind == 1], found)
    assert sum(int(k.sum()) for k in kinds) >= 3
    assert wrong <= 1


def test_conduction_ratios_are_found_in_the_intervals() -> None:
    rng = np.random.default_rng(0)
    ratios = rng.choice([2, 3, 4], size=14, p=[0.3, 0.2, 0.5])
    times = 0.3 + np.cumsum([0, *ratios / 4.9]) + rng.normal(0, 0.006, 15)
    rate, found = conduction(times)
    assert rate == pytest.approx(4.9, abs=0.05)
    np.testing.assert_array_equal(found, ratios)


def test_rhythms_of_another_cause_have_no_conduction_ratio() -> None:
    rng = np.random.default_rng(0)
    constant = conduction(0.3 + np.arange(15) * 2 / 4.9 + rng.normal(0, 0.006, 15))
    few = conduction(np.cumsum([0.3, 2 / 4.9, 4 / 4.9]))
    assert constant[0] == few[0] == 0
    fibrillating = [conduction(np.cumsum(rng.lognormal(np.log(0.65), 0.2, 15)))[0] for _ in range(300)]
    breathing = [
        conduction(np.cumsum(0.85 * np.exp(0.13 * np.sin(2 * np.pi * (0.25 * np.arange(13) + rng.random())))))[0]
        for _ in range(100)
    ]
    assert np.mean(np.array(fibrillating) > 0) < 0.02
    assert np.mean(np.array(breathing) > 0) < 0.05


def test_flutter_with_changing_conduction_is_found(records: Records) -> None:
    dataset, truth, _ = records
    plans = analyse(independent_from_twelve(dataset.signals), 100.0).plans
    flutter = dataset.labels == list(dataset.spec.classes).index("AFLT")
    irregular = np.array([np.std(np.diff(t)) / np.mean(np.diff(t)) > 0.1 for t in truth])
    locked = plans.atrial_locked.numpy() > 0
    assert (flutter & irregular).sum() >= 2
    assert locked[flutter & irregular].all()
    assert locked[~flutter].mean() < 0.05
    assert ((plans.atrial_rate.numpy() > 3.9) & (plans.atrial_rate.numpy() < 6.2))[locked].all()


@pytest.mark.parametrize(
    ("signals", "reason"),
    [(np.zeros((1, 8, 1000)), "beats found"), (np.zeros((1, 8, 64)), "beats found"), (None, "alike")],
)
def test_records_without_beats_say_why(signals: np.ndarray | None, reason: str) -> None:
    if signals is None:
        signals = np.random.default_rng(0).standard_normal((1, 8, 1000))
    found = analyse(signals, 100.0)
    assert reason in found.reasons[0]
    assert found.plans.known[0] == 0
    assert not found.plans.happens.any()
    assert not found.mean_beats.any()
