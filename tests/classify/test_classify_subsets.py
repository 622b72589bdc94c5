from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecgpipe.classify.subsets import subset

FRACTIONS = (0.01, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0)


@given(st.lists(st.integers(0, 6), min_size=1, max_size=200), st.integers(0, 2**31))
def test_nested_stratified_and_no_class_lost(labels, seed):
    labels = np.array(labels)
    smaller: set[int] = set()
    for fraction in FRACTIONS:
        chosen = subset(labels, fraction, seed)
        assert (np.diff(chosen) > 0).all()
        assert smaller <= set(chosen)
        smaller = set(chosen)
        for label in np.unique(labels):
            count, share = (labels[chosen] == label).sum(), fraction * (labels == label).sum()
            assert count >= 1
            assert count == 1 or abs(count - share) <= 0.5
    assert smaller == set(range(len(labels)))


def test_a_function_of_the_seed():
    labels = np.repeat([0, 1, 2], 30)
    assert (subset(labels, 0.2, 3) == subset(labels, 0.2, 3)).all()
    assert (subset(labels, 0.2, 3) != subset(labels, 0.2, 4)).any()


def test_choice_within_a_class_does_not_depend_on_the_others():
    alone, together = subset(np.zeros(50, dtype=int), 0.3, 5), subset(np.repeat([0, 1], [50, 9]), 0.3, 5)
    assert (together[together < 50] == alone).all()


@pytest.mark.parametrize("fraction", [0, -0.1, 1.01, float("nan")])
def test_wrong_fraction(fraction):
    with pytest.raises(ValueError, match="fraction must be above 0 and at most 1"):
        subset(np.zeros(3, dtype=int), fraction, 0)
