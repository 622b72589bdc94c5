"""The paper's conclusions beside what was found: no verdict says more than the comparisons do."""

import numpy as np
import pandas as pd
import pytest
from comparison_rows import HARMS, NONE, WIDE, table
from scipy import stats
from statsmodels.stats.power import TTestPower

from ecgpipe.tables.comparisons import COLUMNS
from ecgpipe.tables.verdicts import GENERATORS, verdicts_table


def verdicts(comparisons, merged=(), simulated=()):
    return verdicts_table(comparisons, merged, simulated, 0.95)["verdict"].tolist()


@pytest.mark.parametrize(
    ("row", "verdict"),
    [
        ({}, "disagrees"),
        ({**HARMS, "low": -0.075, "high": -0.025}, "disagrees"),
        (NONE, "agrees"),
        (WIDE, "cannot tell"),
        ({"low": 0.01, "high": 0.05}, "cannot tell"),
        ({**HARMS, "difference": -0.03, "low": -0.05, "high": -0.01}, "cannot tell"),
        ({**HARMS, "difference": -0.003, "low": -0.005, "high": -0.001}, "agrees"),
        ({**NONE, "standard_error": float("nan"), "low": float("nan")}, "cannot tell"),
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
        ([{"generator": g, "metric": m} for g in GENERATORS for m in ("macro_f1", "accuracy")], "agrees"),
        ([{}, {"generator": "time_vqvae", **NONE}], "cannot tell"),
        ([{}, {"generator": "time_vqvae", **HARMS}, {"generator": "time_diffusion", **HARMS}], "disagrees"),
    ],
)
def test_second_conclusion_is_a_gain_in_all_metrics_on_merged_sets(rows, verdict):
    assert verdicts(table(*rows), merged=["a"])[1] == verdict
    assert verdicts(table(*rows))[1] == "cannot tell"


def test_claims_say_whether_generators_were_trained_once():
    once = "Each generator was trained and sampled from only once, and no interval covers the chance in that."
    assert once in verdicts_table(table({}), [], [], 0.95)["evidence"][0]
    assert once not in verdicts_table(table({"repetitions": 3}), [], [], 0.95)["evidence"][0]


def test_gains_are_told_beside_every_simple_baseline_which_decides_nothing():
    bar = {"experiment": "against simple baseline"}
    better, worse = {**bar, "against": "mixup"}, {**bar, "against": "oversampling", **HARMS}
    second = {"generator": "time_vqvae"}
    alone, both = table({}, second), table({}, second, better, worse, {**better, **second}, {**worse, **second, **NONE})
    for merged, place in (([], 0), (["a"], 1)):
        assert verdicts(both, merged) == verdicts(alone, merged)
        told = verdicts_table(both, merged, [], 0.95)["evidence"][place]
        assert "Shown to beat every simple baseline (mixup and oversampling): none." in told
        told = verdicts_table(alone, merged, [], 0.95)["evidence"][place]
        assert "No simple baseline, such as oversampling, was trained to compare with." in told
    winner = table({}, second, better, {**better, "against": "oversampling"}, {**better, **second, **NONE})
    told = verdicts_table(winner, [], [], 0.95)["evidence"][0]
    assert "Shown to beat every simple baseline (mixup and oversampling): a with diffwave." in told
    single = verdicts_table(table({}, better), [], [], 0.95)["evidence"][0]
    assert "Shown to beat the simple baseline (mixup): a with diffwave." in single


@pytest.mark.parametrize(
    ("rows", "verdict"), [([HARMS, HARMS], "agrees"), ([HARMS, {}], "disagrees"), ([HARMS, NONE], "cannot tell")]
)
def test_third_conclusion_is_that_transfer_stays_below(rows, verdict):
    named = [
        {"experiment": "transfer", "ratio": "none", "generator": g, **row}
        for g, row in zip(GENERATORS, rows, strict=False)
    ]
    assert verdicts(table(*named))[2] == verdict


@pytest.mark.parametrize("experiment", ["full fine-tuning", "linear probe"])
def test_third_conclusion_takes_other_ways_of_fine_tuning_without_the_papers(experiment):
    row = {"experiment": experiment, "ratio": "none"}
    found = verdicts_table(table({**row, **HARMS}), [], [], 0.95).iloc[2]
    assert found.verdict == "agrees"
    assert f"a with diffwave ({experiment})" in found.evidence
    assert verdicts(table({**row, "experiment": "transfer", **HARMS}, row))[2] == "agrees"  # the paper's way was run
    assert verdicts(table({**row, "experiment": "real pre-training", **HARMS}))[2] == "cannot tell"


def between(*pairs):
    """Direct comparisons of transfer, each ``(generator, against, low, high)``; return the conclusion on the best."""
    rows = [
        {"experiment": "between generators", "setting": "frozen", "ratio": "none", "generator": one, "against": other}
        | {"low": low, "high": high, "difference": (low + high) / 2}
        for one, other, low, high in pairs
    ]
    return verdicts_table(table(*rows), [], [], 0.95).iloc[3]


def test_which_generator_is_best_is_judged_by_direct_comparisons():
    above, around, below = (0.01, 0.09), (-0.04, 0.05), (-0.09, -0.01)
    best = between(("time_diffusion", "time_vqvae", *below), ("diffwave", "time_vqvae", *below))
    assert best.verdict == "agrees"
    assert best.comparisons == 2
    assert "a with time_vqvae against diffwave +0.050 [+0.010, +0.090]" in best.evidence
    assert (
        between(("time_diffusion", "time_vqvae", *below), ("diffwave", "time_vqvae", *around)).verdict == "cannot tell"
    )
    beaten = (0.06, 0.10)
    assert between(("time_diffusion", "time_vqvae", *below), ("diffwave", "time_vqvae", *beaten)).verdict == "disagrees"
    assert between(("diffwave", "time_diffusion", *above)).verdict == "cannot tell"
    assert between(("time_vqvae", "time_diffusion", *above), ("class_mean_pca", "time_vqvae", *above)).comparisons == 1


def test_other_rows_change_no_verdict():
    """More ratios, shares, generators: Holm's p-values of the grid grow, but the claims do not look at them."""
    row = {"p_holm": 1.0, "verdict": "no difference shown"}
    grid = [{"ratio": f"{r}", "generator": g, **WIDE} for r in (0.5, 1, 2) for g in (*GENERATORS, "mine")]
    assert verdicts(table({**row}, *grid), ["a"])[1] == verdicts(table({**row}), ["a"])[1] == "agrees"
    assert verdicts(table({**row}, *grid))[0] == verdicts(table({**row}))[0] == "disagrees"


def test_all_of_them_is_not_corrected_and_any_of_them_is():
    """p = 0.04 in each of six rows: enough for all of them, not for any of them (6 x 0.04)."""
    transfer = {"experiment": "transfer", "setting": "frozen", "ratio": "none", "p_value": 0.04}
    six = [{**transfer, "dataset": d, "generator": g} for d in "ab" for g in GENERATORS]
    assert verdicts(table(*({**row, **HARMS} for row in six)))[2] == "agrees"
    assert verdicts(table({**six[0], "p_value": 0.04}, *({**row, **WIDE} for row in six[1:])))[2] == "cannot tell"
    assert verdicts(table({**six[0], "p_value": 0.008}, *({**row, **WIDE} for row in six[1:])))[2] == "disagrees"


def test_what_could_be_shown_is_told_and_is_right():
    found = verdicts_table(table(NONE, {**NONE, "generator": "time_vqvae"}), [], [], 0.95).iloc[0]
    error = table(NONE)["standard_error"][0]
    rng = np.random.default_rng(0)
    errors = error * np.sqrt(rng.chisquare(9, 200_000) / 9)
    differences = error * rng.standard_normal(200_000)
    inside = (np.abs(differences) + stats.t.ppf(0.95, 9) * errors < found.smallest_effect).mean()
    assert inside == pytest.approx(0.8, abs=0.03)
    assert found.comparisons == 2
    assert f"by less than {found.smallest_effect:.3f} with a probability of 80 %" in found.evidence
    harmed = verdicts_table(table({"experiment": "transfer", **HARMS}), [], [], 0.95).iloc[2]
    wanted = TTestPower().solve_power(nobs=10, alpha=0.05, power=0.8) * np.sqrt(10) * table(HARMS)["standard_error"][0]
    assert harmed.smallest_effect == pytest.approx(wanted, rel=1e-3)
    left_out = verdicts_table(table({**NONE, "left_out": "SVTAC (3)"}), [], [], 0.95).iloc[0]
    assert left_out.evidence.endswith("leave out rhythms with too few test patients: SVTAC (3).")


def test_control_own_generators_and_pooled_samples_decide_nothing():
    transfer = {"experiment": "transfer", "ratio": "none"}
    for other in ("class_mean_pca", "mine", "all"):
        assert verdicts(table({"generator": other}))[0] == "cannot tell"
        assert verdicts(table(NONE, {"generator": other}))[0] == "agrees"
        assert verdicts(table({}, {"generator": other, **HARMS}), merged=["a"])[1] == "agrees"
        assert verdicts(table({**transfer, **HARMS}, {**transfer, "generator": other}))[2] == "agrees"


@pytest.mark.parametrize(
    ("place", "row"),
    [
        (0, {"difference": 0.071, "low": 0.021, "high": 0.121}),
        (1, {**HARMS, "difference": -0.051, "low": -0.101, "high": -0.001}),
        (2, {"experiment": "transfer", "ratio": "none", "difference": 0.051, "low": 0.001, "high": 0.101}),
    ],
)
def test_the_luckiest_of_many_differences_does_not_disagree(place, row):
    """A difference that is shown by itself, but not as one of twelve."""
    others = [{**row, "dataset": f"d{i}", **WIDE} for i in range(11)]
    merged = ["a", *(other["dataset"] for other in others)] if place == 1 else []
    assert verdicts(table(row), merged)[place] == "disagrees"
    assert verdicts(table(row, *others), merged)[place] == "cannot tell"


def test_without_all_another_ratio_is_judged_and_named():
    found = verdicts_table(table({"ratio": "0.5", **NONE}, {"ratio": "4"}), [], [], 0.95).iloc[0]
    assert found.verdict == "agrees"
    assert "a with diffwave (ratio 0.5)" in found.evidence
    assert "4" not in found.evidence
    merged = verdicts_table(table({"ratio": "1"}, {"ratio": "1", "metric": "accuracy"}), ["a"], [], 0.95).iloc[1]
    assert merged.verdict == "agrees"


def test_a_share_of_the_real_records_is_not_the_papers_study():
    for place, row in ((0, NONE), (1, {}), (2, {"experiment": "transfer", **HARMS})):
        whole, part = table(row), table({**row, "fraction": 0.05})
        merged = ["a"] if place == 1 else []
        assert verdicts(whole, merged)[place] == "agrees"
        found = verdicts_table(part, merged, [], 0.95).iloc[place]
        assert found.verdict == "cannot tell"
        assert found.evidence.endswith("used at most 5% of the real records; the paper used all of them.")


def test_of_many_differences_the_extremes_are_told():
    rows = [{"dataset": f"d{i}", **NONE, "difference": i / 1000} for i in range(12)]
    evidence = verdicts_table(table(*rows), [], [], 0.95).iloc[0].evidence
    assert "from d0 with diffwave 0.000" in evidence
    assert "to d11 with diffwave +0.011" in evidence
    assert "of 12 comparisons 12 no difference shown" in evidence
    assert "d5" not in evidence


def test_simulated_records_never_agree_or_disagree_with_a_paper_on_patients():
    comparisons = table(NONE, {"experiment": "transfer", **HARMS})
    assert verdicts(comparisons)[0] == "agrees"
    for _, conclusion in verdicts_table(comparisons, [], ["a"], 0.95).iterrows():
        assert conclusion.verdict == "cannot tell"
        assert conclusion.evidence.startswith("Simulated records say nothing about patients.")


def test_a_study_without_comparisons_cannot_tell():
    table = verdicts_table(pd.DataFrame(columns=list(COLUMNS)), [], [], 0.95)
    assert table["conclusion"].tolist() == [1, 2, 3, 3]
    assert set(table["verdict"]) == {"cannot tell"}
