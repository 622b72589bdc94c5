"""Right sign, right words, no more than the figures say."""

import re

import pandas as pd
import pytest
from comparison_rows import BASE, HARMS, NONE, table

from ecgpipe.config import validate
from ecgpipe.prose import answers, findings, methods, wording
from ecgpipe.prose.conclusions import MERGED_DATASETS, ONE_DATASET, TRANSFER_BELOW_REAL
from ecgpipe.report.answers import answers as all_answers


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
            "but it cannot be compared with the best simple baseline (mixup)",
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
            "macro F1 went from 0.500 to 0.530 (+0.030 [+0.025, +0.040], p not defined), but the study cannot tell "
            "whether this is chance",
        ),
        (
            {"verdict": "cannot tell", "difference": float("nan"), "note": "not defined"},
            "the effect on macro F1 cannot be estimated (not defined)",
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


def seen(*rows):
    """Return comparisons with the smallest effects that would have been seen."""
    return table(*({"smallest_effect": 0.2, **row} for row in rows))


FEW = {
    "verdict": "cannot tell",
    "dataset": "few",
    "smallest_effect": float("nan"),
    "note": "nothing can be told: too many rhythms are rare, SVTAC (4): fewer than 10 test patients",
}


def test_no_gain_comes_with_the_gains_that_could_have_been_seen():
    one = seen({**NONE, "smallest_effect": 0.561})
    assert answers.headline(one) == "No gain was shown."
    assert answers.detail(one) == "This study could only have seen gains of 0.56 macro F1 or more."
    two = seen(NONE, {**NONE, "generator": "other", "smallest_effect": 0.5})
    assert answers.detail(two) == (
        "This study could only have seen gains of 0.20 macro F1 or more with diffwave, and of 0.50 or more with other."
    )
    blind = seen(NONE, {**NONE, "generator": "other", "smallest_effect": float("nan")})
    assert answers.detail(blind).endswith("with diffwave, and none at all with other.")
    assert "No possible gain" in answers.detail(seen({**NONE, "smallest_effect": float("nan")}))


def test_gains_and_losses_are_counted_and_the_largest_named():
    rows = seen({}, {"difference": 0.1, "generator": "other"}, HARMS, NONE)
    assert answers.headline(rows) == "Gains were shown in 2 of 4 comparisons, losses in 1."
    assert answers.detail(rows).startswith(
        "The largest gain is 0.10 macro F1 with other. The loss is 0.05 macro F1 with diffwave."
    )
    assert answers.headline(seen({}, {})) == "A gain was shown in all 2 comparisons."
    assert answers.headline(seen({})) == "A gain was shown."
    assert answers.detail(seen({})) == "The gain is 0.03 macro F1 with diffwave."
    assert answers.headline(seen(HARMS, NONE)) == "A loss was shown in 1 of 2 comparisons, and no gain."


def test_what_cannot_be_judged_is_named_with_its_reason():
    assert answers.headline(seen(FEW)) == "This study cannot tell."
    assert answers.detail(seen(FEW)) == "It cannot tell for few: too few test patients."
    both = seen(NONE, FEW)
    assert answers.headline(both) == "No gain was shown."
    assert answers.detail(both).endswith("0.20 macro F1 or more. It cannot tell for few: too few test patients.")
    lone = seen(NONE, {**FEW, "dataset": "a", "generator": "other", "seeds": 1, "note": "one seed"})
    assert "It cannot tell for other: one seed" in answers.detail(lone)
    assert "one seed does not show how much chance there is in training" in answers.detail(lone)


def test_the_best_generator_is_judged_against_each_other():
    rows = [{"rival": "b"}, {"rival": "c"}]
    assert answers.headline_of_best(seen(*rows)) == "It was shown to be better than each of the others."
    assert answers.headline_of_best(seen(rows[0], {**NONE, **rows[1]})) == (
        "It was shown to be better in 1 of 2 comparisons, not in all."
    )
    assert answers.headline_of_best(seen(rows[0], {**HARMS, **rows[1]})) == "No: it was shown to be worse than c."
    assert answers.headline_of_best(seen({**NONE, **rows[0]})) == "It was not shown to be better."


def test_repetitions_are_written_as_said():
    assert [answers.times(n) for n in (1, 3)] == ["once", "3 times"]


def test_gains_are_set_beside_the_best_simple_baseline():
    beside = {"best_baseline": "class_weights", "against_best_baseline": "helps"}
    assert answers.beside_baselines(seen({})) == ""
    assert answers.beside_baselines(seen({**NONE, **beside})) == ""
    assert answers.detail(seen(beside)).endswith("It was also shown to beat the best simple baseline (class weights).")
    other = {**beside, "against_best_baseline": "no difference shown"}
    assert "It was not shown to beat" in answers.beside_baselines(seen(other))
    assert answers.beside_baselines(seen(beside, other)) == ("Of these 2 gains, 1 also beat the best simple baseline.")
    assert "none was shown to beat" in answers.beside_baselines(seen(other, other))


def test_answers_leave_out_datasets_that_no_claim_is_about():
    rows = table({}, {"dataset": "part", "tested": "part", **HARMS}).assign(smallest_effect=0.02)
    verdicts = pd.DataFrame([{"claim": ONE_DATASET, "verdict": "disagrees", "evidence": ""}])
    assert "losses" in all_answers(rows, verdicts, ["diffwave"], [], [])[0].headline
    assert all_answers(rows, verdicts, ["diffwave"], [], ["part"])[0].headline == "A gain was shown."


def test_answers_say_what_the_smallest_share_of_the_real_records_shows():
    few = {"fraction": 0.05, "generator": "diffwave"}
    rows = table(NONE, {**NONE, "fraction": 0.2}, few, {**few, **NONE, "generator": "time_vqvae"})
    rows = rows.assign(smallest_effect=0.02)
    verdicts = pd.DataFrame(
        [
            {"claim": claim, "verdict": "agrees", "evidence": ""}
            for claim in (ONE_DATASET, MERGED_DATASETS, TRANSFER_BELOW_REAL)
        ]
    )
    own, merged, transfer = all_answers(rows, verdicts, ["diffwave", "time_vqvae"], [], [])
    assert own.headline == "No gain was shown."
    assert own.fewer == (
        "With 5 % of the real records, and generators that learned from all of them, a gain was shown in 1 of 2 "
        "comparisons."
    )
    assert merged.fewer == transfer.fewer == ""
    assert all_answers(rows[rows["fraction"] == 1], verdicts, ["diffwave"], [], [])[0].fewer == ""
    assert all_answers(rows[rows["fraction"] < 0.1], verdicts, ["diffwave"], [], [])[0].fewer == ""


def paragraph(dataset=None, classifier=None, repetitions=1, **experiments):
    ptbxl = {"kind": "physionet", "slug": "ptb-xl", "version": "1.0.3"}
    config = validate(
        {
            "datasets": ["a", "b"],
            "dataset_settings": {
                "a": {"format": "ptbxl", "source": ptbxl, **(dataset or {})},
                "b": {"format": "challenge", "source": {"kind": "folder", "path": "/b"}},
            },
            "generators": ["diffwave", "time_vqvae"],
            "classifiers": {"cnn": classifier or {}},
            "experiments": {"seeds": [0, 1, 2, 3], "generator_repetitions": repetitions, **experiments},
        }
    )
    versions = {"ecgpipe": "1", "snakemake": "9", "torch": "2"}
    return methods.methods(config, {"a": (90, 80, 9), "b": (70, 70, 7)}, versions, "0", repetitions)


def test_methods_say_how_long_a_training_was():
    from ecgpipe.classify.training import VALIDATIONS

    assert methods.VALIDATIONS == VALIDATIONS
    text = paragraph(classifier={"steps": 600, "learning_rate": 0.001})
    assert "600 optimiser steps with a one-cycle learning rate (at most 0.001); of 10 validations" in text
    assert "epochs" not in text
    assert "stopped" not in text  # ten validations, patience ten
    assert "stopped after 3 in a row" in paragraph(classifier={"steps": 600, "patience": 3})
    assert "stopped" not in paragraph(classifier={"steps": 600, "patience": 9})  # at the last one
    text = paragraph(classifier={"epochs": 50, "loss": "focal"})
    assert "(focal loss, batches of 32) for at most 50 epochs" in text
    assert "stopped after 10 in a row" in text
    text = paragraph(classifier={"loss": "weighted", "label_smoothing": 0.1})
    assert "(cross-entropy with classes weighed alike, labels smoothed by 0.1, batches of 32)" in text


def test_methods_name_baselines_ratios_and_readers():
    text = paragraph(baselines=["oversampling", "mixup"], ratios=[0.5, "balance", 2.0])
    assert "oversampling (records of rare classes are repeated) and mixup (" in text
    assert "rare classes up to the most common one or 0.5 or 2 times as many synthetic records as real ones add" in text
    assert "all synthetic training records" not in text
    assert "seeds as readers" in text
    assert "all synthetic training records added" in paragraph()
    assert "imple baselines" not in paragraph()
    text = paragraph(repetitions=2)
    assert "the repetitions of a generator as readers" in text
    assert "draws over seeds, or the repetitions of the generator that networks learned from, and test patients" in text
    assert "each with 4 seeds, over which the 2 repetitions of each generator were divided" in text


def test_methods_claim_patients_only_where_they_are_known():
    text = paragraph({"training_share": 0.1})
    assert "(90 records of 80 patients, 9 of them for testing)" in text
    assert "(70 records, 7 of them for testing)" in text
    assert "No patient of a is in two of" in text
    assert re.search(r"Which records of b are of one patient is not known", text)
    assert "only 10 % of each class were used" in text
    assert "9 for validation and 10 for testing" in text
    assert "(80 %, 10 % and 10 % for training, validation and testing)" in text
    folds = {"train": [1, 2, 3, 4, 5, 6], "validation": [7], "test": [8, 9, 10]}
    text = paragraph({"folds": folds})
    assert "folds 1, 2, 3, 4, 5 and 6 for training, 7 for validation and 8, 9 and 10 for testing" in text
    assert "were used" not in text
