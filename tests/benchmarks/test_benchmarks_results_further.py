"""The sections of the results page about seven rhythms and rotated folds say what the tables of their runs say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest
from comparison_rows import HARMS, NONE, SUMMARY, table

from ecgpipe.config import Config
from ecgpipe.config import load as load_config

ROOT = Path(__file__).resolve().parents[2]
NUMBERS = {"dataset": "ptbxl", "n_real": 50.0, "n_synthetic": 80.0, "smallest_effect": 0.06}
LESS = {"best_baseline": "mixup", "against_best_baseline": "no difference shown"}
SIMPLE = {"experiment": "simple baseline", "generator": "none", "ratio": "none"}
TEST_PATIENTS = {"AFIB": 51, "AFLT": 3, "SR": 780, "SVTAC": 1}
ABOUT = pd.DataFrame({"key": ["commit", "ended"], "value": ["abc1234", "2026-11-26"]})
RUNTIME = pd.DataFrame([{"stage": "classify", "seconds": 4000.0, "cpu_seconds": 3600.0}])


def counts(patients: dict[str, int]) -> pd.DataFrame:
    """Records and patients by split and rhythm: twice as many records as patients, in each split as in the test."""
    rows = [
        ("ptbxl", split, name, 2 * n, n)
        for split in ("train", "validation", "test")
        for name, n in (*patients.items(), ("all", sum(patients.values())))
    ]
    rows += [("ptbxl", "all", name, 6 * n, 3 * n) for name, n in (*patients.items(), ("all", sum(patients.values())))]
    return pd.DataFrame(rows, columns=["dataset", "split", "class", "records", "patients"])


def by_rhythm(generators: list[str]) -> pd.DataFrame:
    """F1 of single rhythms, without synthetic records and with those of each generator."""
    rows = [
        ("ptbxl", setting, generator, 1.0, ratio, "ptbxl", name, "f1", mean, mean - 0.1, mean + 0.1)
        for setting, generator, ratio, mean in (
            ("TrRTeR", "none", "none", 0.5),
            *(("TrRSTeR", generator, "all", 0.6) for generator in generators),
        )
        for name in TEST_PATIENTS
    ]
    return pd.DataFrame(rows, columns=SUMMARY)


@pytest.fixture
def seven_config() -> Config:
    return load_config(ROOT / "configs" / "ptbxl_derived_seven.yaml")


def test_rare_rhythms_cannot_be_told(load: Callable[[str], ModuleType], seven_config: Config) -> None:
    further = load("results_further")
    comparisons = table(
        {**NUMBERS, **LESS, **NONE, "fraction": 0.2},
        {**NUMBERS, **LESS, **HARMS, "generator": "class_mean_pca"},
        {**NUMBERS, **SIMPLE, "setting": "mixup"},
        {**NUMBERS, **HARMS, "experiment": "synthetic only", "setting": "TrSTeR", "ratio": "none"},
    )
    run = {
        "comparisons": comparisons,
        "data": counts(TEST_PATIENTS),
        "summary": by_rhythm(seven_config.generators),
        "verdicts": pd.DataFrame([{"conclusion": 1, "claim": "A gain.", "verdict": "agrees", "evidence": "+0.030"}]),
        "privacy": pd.DataFrame(
            [
                ("ptbxl", "diffwave", "all", "exact_copies", 0.0, None, None, "copies"),
                ("ptbxl", "diffwave", "all", "near_copies", 3.0, None, None, "copies"),
                ("ptbxl", "diffwave", "SVTAC", "near_copies", 2.0, None, None, "copies"),
                ("ptbxl", "diffwave", "SR", "near_copies", 1.0, None, None, "copies"),
                ("ptbxl", "diffwave", "all", "near_share_signal", 0.05, 0.01, 0.1, "copies"),
                ("ptbxl", "diffwave", "all", "membership_auc_signal", 0.52, 0.46, 0.56, "copies"),
            ],
            columns=["dataset", "generator", "class", "measure", "value", "low", "high", "verdict"],
        ),
        "runtime": RUNTIME,
        "about": ABOUT,
    }
    assert further.rare(run) == {"AFLT": 3, "SVTAC": 1}
    other = {"about": ABOUT.replace("abc1234", "def5678")}
    said = "Its generators are those of commit abc1234, not those of the run above (def5678)"
    assert said in further.seven(run, other, seven_config)
    text = further.seven(run, {"about": ABOUT}, seven_config)
    assert said not in text
    for sentence in (
        "`configs/ptbxl_derived_seven.yaml`, commit abc1234, 1.0 hours of CPU time)",
        "5 seeds, the shares 20 % and 100 %",
        "**Whether synthetic records help to recognise AFLT and SVTAC, these records cannot tell**: AFLT has 6 "
        "training records and 3 test patients and SVTAC has 2 training records and 1 test patient.",
        "a rhythm needs 10 test patients for a verdict.",
        "The macro averages that are compared below, in this section, are those of the other 2.",
        "* **No gain by synthetic records was shown** at any share of the real training records.",
        "| SVTAC | 2 | 2 | 2 | 1 | cannot tell | 0.50 [0.40, 0.60] | 0.60 [0.50, 0.70] |",
        "| AFIB | 102 | 102 | 102 | 51 | compared | 0.50 [0.40, 0.60] |",
        "| diffwave | 0 | 3 | 0.05 [0.01, 0.10] | 0.52 [0.46, 0.56] | copies |",
        "Of the 3 exact and near copies, 2 are samples of AFLT and SVTAC.",
        "| 1 | A gain. | agrees |",
        "(data/results_seven/comparisons.csv)",
    ):
        assert sentence in text, sentence
    assert "F1 + `class_mean_pca`" not in text
    assert further.in_short({"seven": run}) == [
        "**With all seven rhythms** ([a run of its own](#all-seven-rhythms)), adding synthetic records is not shown to "
        "differ in 1 of 1 against real records alone; AFLT and SVTAC are too rare to tell."
    ]
    enough = counts(dict.fromkeys(TEST_PATIENTS, 20))
    with_all = further.seven({**run, "data": enough}, {"about": ABOUT}, seven_config)
    assert "All rhythms have 10 test patients or more" in with_all
    assert "| cannot tell |" not in with_all
    assert "exact and near copies, " not in with_all


def test_rotated_folds_stand_beside_one_test_split(load: Callable[[str], ModuleType]) -> None:
    further = load("results_further")
    config = load_config(ROOT / "configs" / "ptbxl_derived_rotated.yaml")
    every = {**NUMBERS, "generator": "time_diffusion", "support": 2220, "patients": 2100}
    run = {
        "comparisons": table(
            {**every, **NONE, "difference": 0.004, "smallest_effect": 0.03},
            {**every, **SIMPLE, "setting": "oversampling"},
            {**every, **NONE, "experiment": "against simple baseline", "against": "oversampling"},
            {**every, **HARMS, "metric": "macro_precision"},
            {**every, **NONE, "metric": "accuracy"},
        ),
        "data": counts({"AFIB": 40, "SR": 700}),
        "runtime": RUNTIME,
        "about": ABOUT,
    }
    whole = {
        "about": ABOUT,
        "comparisons": table({**every, "difference": -0.0123, "smallest_effect": 0.08}, {**every, "fraction": 0.05}),
        "data": counts({"AFIB": 20, "SR": 400}),
    }
    text = further.rotated(run, whole, config)
    for sentence in (
        "Above, 840 of the 2,520 records are tested.",
        "`configs/ptbxl_derived_rotated.yaml`, commit abc1234, 1.0 hours of CPU",
        "the folds rotate 5 times, so that all 2,220 records of 2,100 patients are tested",
        "about 1,480 records, which\nis more than the 840 above",
        "There are 5 seeds and one\ngenerator (`time_diffusion`)",
        "the only simple baseline is oversampling",
        "+0.004 [−0.010, +0.012], no difference shown. A gain above 0.012 lies outside of the 95 % interval.",
        "* macro precision, + `time_diffusion`, all against real only: −0.050 [−0.080, −0.020], worse.\n\n",
        "| 0.080 |\n",
        "−0.012 [",
    ):
        assert sentence in text, sentence
    rows = [line for line in text.splitlines() if line.startswith("| ") and "→ 0" in line]
    assert [row.split(" | ")[:2] for row in rows] == [
        ["| + `time_diffusion`, all", "real only"],
        ["| oversampling", "real only"],
        ["| + `time_diffusion`, all", "oversampling"],
    ]
    assert rows[0].split(" | ")[4] == "0.030"
    assert rows[2].endswith("| – | – |")  # the page's run of this test has no such comparison
    [short] = further.in_short({"rotated": run})
    assert "to all real ones changes macro F1 by +0.004 [−0.010, +0.012]: no difference shown." in short
    primary = run["comparisons"][run["comparisons"]["metric"] == "macro_f1"]
    told = further.rotated({**run, "comparisons": primary}, whole, config)
    assert "In the four other metrics no difference was shown." in told
