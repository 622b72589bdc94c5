from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecgpipe.classify.subsets import feasible_ratios, subset, synthetic_subset

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


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60), st.lists(st.integers(0, 4), min_size=1, max_size=60))
def test_synthetic_subset(real, synthetic):
    real, synthetic = np.array(real), np.array(synthetic)
    assert synthetic_subset(real, synthetic, "all", 1).tolist() == list(range(len(synthetic)))
    smaller: set[int] = set()
    for ratio in (0.25, 1.0, 4.0, 100.0):
        share = ratio * len(real) / len(synthetic)
        if share > 1:
            with pytest.raises(ValueError, match=f"ratio {ratio} wants {ratio * len(real):g} synthetic records"):
                synthetic_subset(real, synthetic, ratio, 1)
            continue
        chosen = synthetic_subset(real, synthetic, ratio, 1)
        assert smaller <= set(chosen)
        smaller = set(chosen)
        for label in np.unique(synthetic):
            count, wanted = (synthetic[chosen] == label).sum(), share * (synthetic == label).sum()
            assert count == 1 or abs(count - wanted) <= 0.5
    balanced = synthetic_subset(real, synthetic, "balance", 1)
    counts = np.bincount(real, minlength=5)
    for label in range(5):
        lacking = counts.max() - counts[label]
        assert (synthetic[balanced] == label).sum() == min(lacking, (synthetic == label).sum())


def test_ratios_that_cannot_be_filled_or_are_another_by_name_are_left_out():
    """At the paper's full size: 52,546 real training records and 33,600 synthetic ones."""
    ratios = ["all", "0.25", "0.5", "1", "2", "4", "balance"]
    synthetic = np.arange(33_600) % 7
    few, many = np.arange(525) % 7 // 2, np.arange(52_546) % 7 // 2
    assert feasible_ratios(ratios, few, synthetic) == ratios
    assert feasible_ratios(ratios, many, synthetic) == ["all", "0.25", "0.5", "balance"]
    assert feasible_ratios(["4", "1"], synthetic, synthetic) == ["1"]
    assert feasible_ratios(["1", "all"], synthetic, synthetic) == ["all"]
    assert feasible_ratios(["1", "balance"], synthetic, synthetic) == ["1"]  # as many of each class: nothing to fill
    assert feasible_ratios(["0.25", "0.3"], np.arange(4), synthetic[:70]) == ["0.25"]  # one of each class, either way
