"""Right sign, right words, no more than the figures say."""

import pytest
from comparison_rows import BASE, HARMS, NONE, table

from ecgpipe.prose import findings, wording


def test_numbers_have_their_sign_and_a_true_minus():
    assert wording.signed(0.0304) == "+0.030"
    assert wording.signed(-0.0304) == "−0.030"
    assert wording.signed(-0.0001) == wording.signed(0.0001) == "0.000"
    assert wording.number(float("nan")) == "–"
    assert wording.bounds(-0.1, 0.2) == "[−0.100, +0.200]"
    assert [findings.probability(p) for p in (0.0004, 0.0421, 0.3, 1.0)] == [
        "p < 0.001",
        "p = 0.042",
        "p = 0.30",
        "p = 1.00",
    ]
    assert [findings.share(f) for f in (0.05, 0.2, 1.0)] == ["5 %", "20 %", "all"]
    assert wording.listed(["a", "b", "c"]) == "a, b and c"
    assert [findings.plural(n, "seed") for n in (1, 2000)] == ["1 seed", "2,000 seeds"]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({}, "macro F1 rose from 0.500 to 0.530 (+0.030 [+0.025, +0.040], p = 0.012)"),
        (
            {"best_baseline": "class_weights", "against_best_baseline": "helps"},
            "macro F1 rose from 0.500 to 0.530 (+0.030 [+0.025, +0.040], p = 0.012), "
            "and it also beats the best simple baseline (class weights)",
        ),
        (
            {"best_baseline": "mixup", "against_best_baseline": "no difference shown"},
            "macro F1 rose from 0.500 to 0.530 (+0.030 [+0.025, +0.040], p = 0.012), "
            "but no difference from the best simple baseline (mixup) was shown",
        ),
        (
            {"best_baseline": "mixup", "against_best_baseline": "harms"},
            "macro F1 rose from 0.500 to 0.530 (+0.030 [+0.025, +0.040], p = 0.012), "
            "but the best simple baseline (mixup) is better",
        ),
        (
            {"best_baseline": "mixup", "against_best_baseline": "cannot tell"},
            "macro F1 rose from 0.500 to 0.530 (+0.030 [+0.025, +0.040], p = 0.012), "
            "but nothing can be told beside the best simple baseline (mixup)",
        ),
        (HARMS, "macro F1 fell from 0.500 to 0.450 (−0.050 [−0.080, −0.020], p = 0.012)"),
        (NONE, "no difference in macro F1 was shown (+0.001 [−0.010, +0.012], p = 0.80)"),
        (
            {
                "verdict": "cannot tell",
                "seeds": 1,
                "p_holm": float("nan"),
                "note": "one seed: the chance in training is not known",
            },
            "macro F1 went from 0.500 to 0.530 (+0.030 [+0.025, +0.040], p not defined): one seed: "
            "the chance in training is not known",
        ),
        (
            {"verdict": "cannot tell", "difference": float("nan"), "note": "not defined"},
            "the effect on macro F1 cannot be told (not defined)",
        ),
    ],
)
def test_each_verdict_has_its_words(row, words):
    assert findings.finding({**BASE, **row}) == words


def test_sentences_name_the_smallest_and_the_largest_share():
    rows = table({}, {"fraction": 0.2, **HARMS}, {"fraction": 0.6, **NONE})
    sentence = findings.experiment_sentence(rows, "augmentation", "gen")
    assert sentence.startswith(
        "Adding synthetic records of gen to the real ones: with 20 % of the real training records, macro F1 fell"
    )
    assert "; with all real training records, macro F1 rose" in sentence
    assert "60 %" not in sentence
    assert findings.experiment_sentence(table(NONE), "transfer", "gen").startswith(
        "Pre-training on synthetic records of gen, against training from scratch: with all real training records, "
        "no difference"
    )
    assert findings.experiment_sentence(table(HARMS), "synthetic only", "gen").startswith(
        "Training on synthetic records of gen alone, against all real ones: macro F1 fell"
    )


def test_tally_counts_every_verdict():
    rows = table({}, {}, HARMS, NONE, {"verdict": "cannot tell"})
    assert findings.tally(rows, "augmentation") == (
        "Augmentation helps in 2, harms in 1, is not shown to differ in 1 and cannot be judged in 1 of 5 comparisons "
        "with real records only."
    )
    assert findings.tally(table(NONE), "transfer") == (
        "Synthetic pre-training is not shown to differ in 1 of 1 comparison with real records only."
    )
    assert findings.tally(table(HARMS), "between generators") == (
        "Pre-training on one generator's records, against another's that follows by name, harms in 1 of 1 comparison."
    )
