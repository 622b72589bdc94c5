"""Values and influences of the compared metrics, against the bootstrap's weighted metrics and against DeLong."""

import numpy as np
import pytest
from sklearn.metrics import precision_score, roc_auc_score

from ecgpipe.tables.influence import FEWEST, Rhythms, influences, swings
from ecgpipe.tables.weighted import metric_names, weighted_table
from ecgpipe.vocabulary import COMPARED

CLASSES = ("A", "B", "C", "D")


def networks(rng, counts, seeds=3):
    labels = np.repeat(np.arange(4), counts)
    scores = rng.random((seeds, len(labels), 4)).round(2).astype(np.float32)  # with ties
    scores[:, np.arange(len(labels)), labels] += 0.3
    return labels, scores


def test_values_and_influences_are_those_of_the_weighted_metrics():
    rng = np.random.default_rng(0)
    labels, scores = networks(rng, (60, 40, 30, 20))
    patients = np.array([f"p{i // 2:02d}" for i in range(150)])[rng.permutation(150)]
    found = influences(labels, scores, patients, np.arange(4))
    columns = [metric_names(CLASSES).index(name) for name in COMPARED.values()]
    names, patient = np.unique(patients, return_inverse=True)
    step = 1e-4
    weights = np.ones((1 + len(names), 150))
    weights[1:] += step * (patient == np.arange(len(names))[:, None])
    values = weighted_table(labels, scores, weights)[:, :, columns]
    np.testing.assert_allclose(found.values, values[0], atol=1e-12)
    slopes = (values[1:] - values[0]) / step
    np.testing.assert_allclose(found.of_patients, slopes.transpose(2, 1, 0), atol=1e-6)
    np.testing.assert_allclose(found.of_patients.sum(axis=2), 0, atol=1e-12)


def test_variance_of_an_auc_is_delongs():
    rng = np.random.default_rng(1)
    labels, scores = np.repeat([0, 1], [50, 30]), rng.random((1, 80, 2))
    scores[0, 50:, 1] += 0.3
    found = influences(labels, scores, np.arange(80), np.array([0, 1]))
    place = list(COMPARED).index("macro_roc_auc")
    one = scores[0, :, 1]
    wins = (one[50:, None] > one[None, :50]) + 0.5 * (one[50:, None] == one[None, :50])
    other = (scores[0, :50, None, 0] > scores[0, None, 50:, 0]).astype(float)
    mean = (wins.T + other) / 2  # macro AUC of both classes, pair by pair: (negative, positive)
    delong = mean.mean(axis=1).var(ddof=1) / 50 + mean.mean(axis=0).var(ddof=1) / 30
    ours = sum(
        n / (n - 1) * (found.of_patients[place, 0, part] ** 2).sum()
        for n, part in ((50, slice(50)), (30, slice(50, 80)))
    )
    assert ours == pytest.approx(delong)
    assert found.values[0, place] == pytest.approx(
        np.mean([roc_auc_score(labels == k, scores[0, :, k]) for k in (0, 1)])
    )


def test_rare_rhythms_leave_the_macro_averages():
    rng = np.random.default_rng(2)
    labels, scores = networks(rng, (60, 40, FEWEST, FEWEST - 1))
    rhythms = Rhythms.of(np.arange(len(labels)), labels, CLASSES)
    assert (rhythms.ids.tolist(), rhythms.enough, rhythms.left_out) == ([0, 1, 2], True, "D (9)")
    found = influences(labels, scores, np.arange(len(labels)), rhythms.ids)
    for s in range(3):
        wanted = precision_score(labels, scores[s].argmax(axis=1), average=None, zero_division=0)[:3].mean()
        assert found.values[s, list(COMPARED).index("macro_precision")] == pytest.approx(wanted)
    halves = Rhythms.of(np.arange(len(labels)) // 2, labels, CLASSES)  # two records a patient
    assert halves.left_out == "C (5), D (5)"
    few = Rhythms.of(np.arange(25), np.repeat([0, 1, 2], [20, 4, 1]), CLASSES)
    assert (few.ids.tolist(), few.enough) == ([0, 1, 2], False)  # all that are there, to describe and not to judge


def test_swings_are_what_one_record_read_the_other_way_does_at_most():
    rng = np.random.default_rng(3)
    counts = rng.integers(3, 30, (4, 4)) + np.diag([50, 40, 30, 20])
    found = swings(counts[None], np.arange(4))

    def f1(c):
        return np.mean(2 * np.diag(c) / (c.sum(axis=0) + c.sum(axis=1)))

    for k in range(4):
        for j in set(range(4)) - {k}:
            flipped = counts.copy()
            flipped[k, k] -= 1
            flipped[k, j] += 1
            assert f1(counts) - f1(flipped) <= found["macro_f1"][k] * 1.3
            recalls = np.mean(np.diag(counts) / counts.sum(axis=1)) - np.mean(np.diag(flipped) / flipped.sum(axis=1))
            assert recalls == pytest.approx(found["balanced_accuracy"][k])
