"""Intervals of single networks where their generator was trained and sampled from several times."""

import itertools

import numpy as np
import pytest
from scipy import stats

from ecgpipe.tables.cells import Cell
from ecgpipe.tables.classification import metrics_of, summary_table
from ecgpipe.tables.draws import Draws

SEEDS = tuple(range(12))
REPEATED = 80


def cell(answers, labels, setting="TrRSTeR", generator="g", classes=None):
    """Return the cell of networks that give these answers, ``(s, n)``, for certain; each record has its own patient."""
    names = np.array([f"{i:03d}" for i in range(len(labels))])
    number = classes or int(labels.max()) + 1
    letters = tuple("ABCDEFGHIJKL"[:number])
    scores = np.eye(number, dtype=np.float32)[np.asarray(answers)]
    ratio = "all" if setting == "TrRSTeR" else "none"
    return Cell("d", setting, generator, 1.0, ratio, "d", letters, SEEDS, names, names, labels, scores)


def row_of(one, repetitions, draws=1000):
    table = summary_table(metrics_of([one]), [one], Draws(draws, 3, repetitions), 0.95)
    return table.set_index("metric").loc["accuracy"]


@pytest.fixture
def wrong_in_some():
    """Answers of networks in turn on three repetitions: wrong on all records of no, one and two of twelve classes.

    No choice of patients within classes changes anything, so that all of the chance is in the repetitions.
    """
    labels = np.repeat(np.arange(12), 3)
    return [np.where(labels < k % 3, (labels + 1) % 12, labels) for k in range(12)], labels


def test_the_interval_is_that_of_the_repetitions(wrong_in_some):
    row = row_of(cell(*wrong_in_some), 3)
    assert (row["seeds"], row["repetitions"]) == (12, 3)
    accuracy = np.array([1, 11 / 12, 10 / 12])
    assert row["mean"] == pytest.approx(accuracy.mean())
    # Two of the three repetitions are drawn: all nine pairs, independently of the code.
    means = [np.mean(pair) for pair in itertools.product(accuracy, repeat=2)]
    least = np.quantile(means, 0.025, method="inverted_cdf")
    # Two degrees of freedom: all of the variance is that between repetitions.
    assert np.var(means) == pytest.approx(accuracy.var(ddof=1) / 3)
    factor = stats.t.ppf(0.975, 2) / stats.norm.ppf(0.975)
    assert row["low"] == pytest.approx(accuracy.mean() - factor * (accuracy.mean() - least), abs=0.01)
    assert row["high"] == 1.0


def test_repetitions_count_only_where_synthetic_records_were_learnt_from(wrong_in_some):
    for setting, generator in (("TrRTeR", "none"), ("TrRTeS", "g"), ("frozen", "real:b"), ("oversampling", "none")):
        one, three = (row_of(cell(*wrong_in_some, setting, generator), number) for number in (1, 3))
        assert three["repetitions"] == 1
        assert three.equals(one)


def test_one_repetition_covers_less_and_is_told(wrong_in_some):
    one, three = (row_of(cell(*wrong_in_some), number) for number in (1, 3))
    assert one["repetitions"] == 1
    assert one["low"] > three["low"] + 0.05


def test_intervals_over_repetitions_cover_the_chance_in_generators():
    """Twelve networks learn from three repetitions, each of which makes all of its networks better or worse."""
    rng, covered, level = np.random.default_rng(1), {1: 0, 3: 0}, 0.7
    labels = np.repeat(np.arange(2), 40)
    for _ in range(REPEATED):
        of_repetition = np.tile(rng.normal(scale=0.1, size=3), 4)[:, None]
        right = rng.random((12, len(labels))) < level + of_repetition
        networks = cell(np.where(right, labels, 1 - labels), labels)
        for repetitions in covered:
            row = row_of(networks, repetitions, 100)
            covered[repetitions] += row["low"] < level < row["high"]
    assert covered[1] / REPEATED < 0.8
    assert covered[3] / REPEATED > 0.85
