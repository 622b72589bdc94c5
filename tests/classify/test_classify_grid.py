"""How many networks a job trains, from its parameters alone."""

from __future__ import annotations

import pytest

from ecgpipe.classify.grid import count_trainings, grid

COMMON = {"fractions": [0.5, 1.0], "seeds": [0, 1, 2]}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, 6),
        ({"methods": ["frozen", "finetuned"]}, 12),
        ({"baselines": ["mixup", "oversampling"]}, 12),
        ({"settings": ["TrSTeR"], "ratios": ["all"]}, 3),
        ({"settings": ["TrSTeR", "TrSTeS", "TrRTeS"], "ratios": ["all"]}, 3),
        ({"settings": ["TrSTeR", "TrRSTeR"], "ratios": ["all", 1.0]}, 15),
    ],
)
def test_trainings_are_counted(settings, expected):
    assert count_trainings({**COMMON, **settings}) == expected


def test_ratios_that_there_are_too_few_samples_for_are_not_counted():
    settings = {**COMMON, "fractions": [0.1, 1.0], "settings": ["TrRSTeR"], "ratios": ["all", 4.0, "balance"]}
    assert count_trainings(settings, real=100, synthetic=56) == 3 * 5  # with all real records 400 are wanted


def test_grid_is_in_order_and_without_repetitions():
    trainings = grid("TrRSTeR", "g", [1.0, 0.5, 1.0], [4, 1, 4], ["all", "0.5"])
    assert [(t.fraction, t.ratio, t.seed) for t in trainings] == [
        (fraction, ratio, seed) for fraction in (0.5, 1.0) for ratio in ("all", "0.5") for seed in (1, 4)
    ]
    assert str(trainings[0]) == "TrRSTeR g fraction 0.5 seed 1"
    assert str(trainings[2]) == "TrRSTeR g fraction 0.5 ratio 0.5 seed 1"
    assert len({t.state for t in trainings}) == len(trainings)
