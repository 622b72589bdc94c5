"""The paper's conclusions beside what was found: no verdict says more than the comparisons do."""

import pandas as pd
import pytest
from comparison_rows import HARMS, NONE, WIDE, table

from ecgpipe.tables.comparisons import COLUMNS
from ecgpipe.tables.verdicts import verdicts_table


def verdicts(comparisons, merged=(), simulated=()):
    return verdicts_table(comparisons, merged, simulated)["verdict"].tolist()


@pytest.mark.parametrize(
    ("row", "verdict"),
    [
        ({}, "disagrees"),
        (HARMS, "disagrees"),
        (NONE, "agrees"),
        (WIDE, "cannot tell"),
        ({"low": 0.01, "high": 0.05}, "cannot tell"),
        ({**HARMS, "difference": -0.03, "low": -0.05, "high": -0.01}, "cannot tell"),
        ({**HARMS, "difference": -0.003, "low": -0.005, "high": -0.001}, "agrees"),
        ({**NONE, "verdict": "cannot tell"}, "cannot tell"),
    ],
)
def test_first_conclusion_is_a_barely_noticeable_gain(row, verdict):
    small_share = {"fraction": 0.2, "difference": 0.3, "low": 0.2, "high": 0.4}
    assert verdicts(table(row, small_share))[0] == verdict
    assert verdicts(table(row), merged=["a"])[0] == "cannot tell"


@pytest.mark.parametrize(
    ("rows", "verdict"),
    [
        ([{}, {"metric": "accuracy"}], "agrees"),
        ([{}, {"metric": "accuracy", **NONE}], "cannot tell"),
        ([HARMS, {"metric": "accuracy", **NONE}], "disagrees"),
        ([NONE, {"metric": "accuracy", **NONE}], "cannot tell"),
        ([{"generator": g, "metric": m} for g in "xyz" for m in ("macro_f1", "accuracy")], "agrees"),
        ([{"generator": "x"}, {"generator": "y", **NONE}], "cannot tell"),
        ([{"generator": "x"}, {"generator": "y", **HARMS}, {"generator": "z", **HARMS}], "disagrees"),
    ],
)
def test_second_conclusion_is_a_gain_in_all_metrics_on_merged_sets(rows, verdict):
    assert verdicts(table(*rows), merged=["a"])[1] == verdict
    assert verdicts(table(*rows))[1] == "cannot tell"


@pytest.mark.parametrize(
    ("rows", "verdict"), [([HARMS, HARMS], "agrees"), ([HARMS, {}], "disagrees"), ([HARMS, NONE], "cannot tell")]
)
def test_third_conclusion_is_that_transfer_stays_below(rows, verdict):
    named = [{"experiment": "transfer", "ratio": "none", "generator": f"g{i}", **row} for i, row in enumerate(rows)]
    assert verdicts(table(*named))[2] == verdict


@pytest.mark.parametrize("experiment", ["full fine-tuning", "linear probe"])
def test_third_conclusion_takes_every_way_of_fine_tuning(experiment):
    row = {"experiment": experiment, "ratio": "none"}
    found = verdicts_table(table({**row, **HARMS}), [], []).iloc[2]
    assert found.verdict == "agrees"
    assert f"a with gen ({experiment})" in found.evidence
    assert verdicts(table({**row, "experiment": "transfer", **HARMS}, row))[2] == "disagrees"
    assert verdicts(table({**row, "experiment": "real pre-training", **HARMS}))[2] == "cannot tell"


def transfer_from(**intervals):
    """Comparisons of transfer from some generators, each with the bounds of its difference."""
    rows = [
        {**HARMS, "experiment": "transfer", "ratio": "none", "generator": name, "low": low, "high": high}
        | {"difference": (low + high) / 2}
        for name, (low, high) in intervals.items()
    ]
    return verdicts_table(table(*rows), [], []).iloc[3]


def test_which_generator_is_best_is_judged_apart():
    low, middle, high = (-0.30, -0.20), (-0.19, -0.10), (-0.05, -0.01)
    worst = transfer_from(diffwave=high, time_diffusion=middle, time_vqvae=low)
    assert worst.verdict == "disagrees"
    assert "best first: diffwave −0.030, time_diffusion −0.145, time_vqvae −0.250" in worst.evidence
    assert transfer_from(diffwave=low, time_diffusion=middle, time_vqvae=high).verdict == "agrees"
    assert transfer_from(diffwave=low, time_diffusion=(-0.15, -0.02), time_vqvae=high).verdict == "cannot tell"
    assert transfer_from(time_vqvae=high, all=low).verdict == "cannot tell"
    assert transfer_from(diffwave=high, time_diffusion=low).verdict == "cannot tell"


def test_without_all_another_ratio_is_judged_and_named():
    found = verdicts_table(table({"ratio": "0.5", **NONE}, {"ratio": "4"}), [], []).iloc[0]
    assert found.verdict == "agrees"
    assert "a with gen (ratio 0.5)" in found.evidence
    assert "4" not in found.evidence
    merged = verdicts_table(table({"ratio": "1"}, {"ratio": "1", "metric": "accuracy"}), ["a"], []).iloc[1]
    assert merged.verdict == "agrees"


def test_a_share_of_the_real_records_is_not_the_papers_study():
    for place, row in ((0, NONE), (1, {}), (2, {"experiment": "transfer", **HARMS})):
        whole, part = table(row), table({**row, "fraction": 0.05})
        merged = ["a"] if place == 1 else []
        assert verdicts(whole, merged)[place] == "agrees"
        found = verdicts_table(part, merged, []).iloc[place]
        assert found.verdict == "cannot tell"
        assert found.evidence.endswith("with 5% of the real records at most; the paper used all.")


def test_of_many_differences_the_extremes_are_told():
    rows = [{"generator": f"g{i}", **NONE, "difference": i / 1000} for i in range(12)]
    evidence = verdicts_table(table(*rows), [], []).iloc[0].evidence
    assert "from a with g0 0.000" in evidence
    assert "to a with g11 +0.011" in evidence
    assert "of 12 comparisons 12 no difference shown" in evidence
    assert "g5" not in evidence


def test_simulated_records_never_agree_or_disagree_with_a_paper_on_patients():
    comparisons = table(NONE, {"experiment": "transfer", **HARMS})
    assert verdicts(comparisons)[0] == "agrees"
    for _, conclusion in verdicts_table(comparisons, [], ["a"]).iterrows():
        assert conclusion.verdict == "cannot tell"
        assert conclusion.evidence.startswith("Simulated records say nothing about patients.")


def test_a_study_without_comparisons_cannot_tell():
    table = verdicts_table(pd.DataFrame(columns=list(COLUMNS)), [], [])
    assert table["conclusion"].tolist() == [1, 2, 3, 3]
    assert set(table["verdict"]) == {"cannot tell"}
