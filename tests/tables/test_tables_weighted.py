"""Weighted metrics against the plain ones with records written several times."""

import numpy as np
import pytest

from ecgpipe.classify.metrics import classification_metrics
from ecgpipe.tables.weighted import metric_names, weighted_table

CLASSES = ("A", "B", "C", "D")


def check(labels, probabilities, weights):
    got = weighted_table(labels, probabilities, weights)
    assert got.shape == (len(weights), len(probabilities), len(metric_names(CLASSES)))
    for b, row in enumerate(weights):
        chosen = np.repeat(np.arange(len(labels)), row.astype(int))
        for s, p in enumerate(probabilities):
            plain = classification_metrics(labels[chosen], p[chosen], CLASSES).set_index(["class", "metric"])["value"]
            for m, name in enumerate(metric_names(CLASSES)):
                np.testing.assert_allclose(got[b, s, m], plain[name], atol=1e-12, err_msg=str(name))


def cases():
    rng = np.random.default_rng(0)
    labels = rng.integers(4, size=40)
    probabilities = rng.dirichlet(np.ones(4), size=(2, 40))
    weights = rng.integers(4, size=(5, 40))
    yield "plain", labels, probabilities, weights
    yield "ties", labels, probabilities.round(1), weights
    yield "constant scores", labels, np.full((2, 40, 4), 0.25), weights
    yield "absent class", labels % 3, probabilities, weights
    yield "one class", labels * 0, probabilities, weights
    absent_in_a_draw = weights.copy()
    absent_in_a_draw[0, labels == 2] = 0
    yield "class absent from a draw", labels, probabilities, absent_in_a_draw


@pytest.mark.parametrize(("labels", "probabilities", "weights"), [pytest.param(*c[1:], id=c[0]) for c in cases()])
def test_weights_count_records_several_times(labels, probabilities, weights):
    check(labels, probabilities, weights)
