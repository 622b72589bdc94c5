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
    ],
)
def test_second_conclusion_is_a_gain_in_all_metrics_on_merged_sets(rows, verdict):
    assert verdicts(table(*rows), merged=["a"])[1] == verdict
    assert verdicts(table(*rows))[1] == "cannot tell"


@pytest.mark.parametrize(
    ("rows", "verdict"), [([HARMS, HARMS], "agrees"), ([HARMS, {}], "disagrees"), ([HARMS, NONE], "cannot tell")]
)
def test_third_conclusion_is_that_transfer_stays_below(rows, verdict):
    named = [{"experiment": "transfer", "generator": f"g{i}", **row} for i, row in enumerate(rows)]
    found = verdicts_table(table(*named), [], []).iloc[2]
    assert found.verdict == verdict
    assert "Largest mean over data sets: g" in found.evidence
    alone = verdicts_table(table(named[0]), [], []).iloc[2]
    assert "nothing can be said about which is best" in alone.evidence


def test_simulated_records_never_agree_or_disagree_with_a_paper_on_patients():
    comparisons = table(NONE, {"experiment": "transfer", **HARMS})
    assert verdicts(comparisons)[0] == "agrees"
    for _, conclusion in verdicts_table(comparisons, [], ["a"]).iterrows():
        assert conclusion.verdict == "cannot tell"
        assert conclusion.evidence.startswith("Simulated records say nothing about patients.")


def test_a_study_without_comparisons_cannot_tell():
    table = verdicts_table(pd.DataFrame(columns=list(COLUMNS)), [], [])
    assert table["conclusion"].tolist() == [1, 2, 3]
    assert set(table["verdict"]) == {"cannot tell"}
