"""The results page says what the tables of its run say, and the committed one is made of the tables kept beside it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest
from comparison_rows import HARMS, NONE, SUMMARY, table

from ecgpipe.config import load as load_config
from ecgpipe.files import write_json, write_parquet

ROOT = Path(__file__).resolve().parents[2]
NUMBERS = {"n_real": 50.0, "n_synthetic": 80.0, "smallest_effect": 0.06}
BEATS = {"best_baseline": "mixup", "against_best_baseline": "helps"}
LESS = {"best_baseline": "mixup", "against_best_baseline": "no difference shown"}
SIMPLE = {"experiment": "simple baseline", "generator": "none", "ratio": "none"}


def tables() -> dict[str, pd.DataFrame]:
    """Tables of a run on one data set of two rhythms."""
    comparisons = table(
        {**NUMBERS, **BEATS, "fraction": 0.05},
        {**NUMBERS, **LESS},
        {**NUMBERS, **LESS, **NONE, "generator": "time_vqvae"},
        {**NUMBERS, **LESS, **HARMS, "generator": "class_mean_pca"},
        {**NUMBERS, **SIMPLE, "setting": "mixup", "fraction": 0.05},
        {**NUMBERS, **SIMPLE, **NONE, "setting": "mixup"},
        {**NUMBERS, "experiment": "against simple baseline", "against": "mixup"},
        {**NUMBERS, **HARMS, "experiment": "synthetic only", "setting": "TrSTeR", "ratio": "none"},
        {**NUMBERS, **NONE, "experiment": "transfer", "setting": "frozen", "ratio": "none"},
        {**NUMBERS, **LESS, "metric": "macro_roc_auc"},
    )
    data = pd.DataFrame(
        [
            ("a", split, name, n * (1 if name == "AFIB" else 9), n)
            for split, n in (("train", 10), ("validation", 2), ("test", 3), ("all", 15))
            for name in ("AFIB", "SR")
        ]
        + [("a", split, "all", n, n) for split, n in (("train", 100), ("validation", 20), ("test", 30), ("all", 150))],
        columns=["dataset", "split", "class", "records", "patients"],
    )
    metrics = [("macro", "f1"), ("macro", "roc_auc"), ("all", "balanced_accuracy"), ("AFIB", "f1"), ("SR", "f1")]
    summary = pd.DataFrame(
        [
            ("a", "TrRTeR", "none", share, "none", "a", *name, 0.61, 0.5, 0.7)
            for share in (0.05, 1.0)
            for name in metrics
        ],
        columns=SUMMARY,
    )
    closeness = pd.DataFrame(
        [
            ("a", "diffwave", "all", m, "all", 0.81, 0.7, 0.9, 0.5, 0.4, 0.6)
            for m in ("frechet_classifier", "class_fidelity")
        ],
        columns=[
            "dataset",
            "generator",
            "class",
            "measure",
            "lead",
            "value",
            "low",
            "high",
            "floor",
            "floor_low",
            "floor_high",
        ],
    )
    return {
        "comparisons": comparisons,
        "data": data,
        "summary": summary,
        "closeness": closeness,
        "verdicts": pd.DataFrame([{"conclusion": 1, "claim": "A gain.", "verdict": "agrees", "evidence": "+0.030"}]),
        "privacy": pd.DataFrame(
            [
                ("a", "time_diffusion", "all", "exact_copies", 0.0, None, None, "copies"),
                ("a", "time_diffusion", "all", "near_copies", 3.0, None, None, "copies"),
                ("a", "time_diffusion", "all", "near_share_signal", 0.05, 0.01, 0.1, "copies"),
                ("a", "time_diffusion", "all", "membership_auc_signal", 0.52, 0.46, 0.56, "copies"),
            ],
            columns=["dataset", "generator", "class", "measure", "value", "low", "high", "verdict"],
        ),
        "runtime": pd.DataFrame([{"stage": "classify", "seconds": 4000.0, "cpu_seconds": 3600.0}]),
    }


def test_the_page_says_what_the_tables_say(
    load: Callable[[str], ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page, kept = load("results_page"), load("results_kept")
    place = tmp_path / "kept", page.RUNS["work"].tables
    with pytest.raises(FileNotFoundError, match=r"run `snakemake all --configfile configs/ptbxl_derived.yaml`"):
        kept.keep(tmp_path, *place, page.CONFIG)
    folder = tmp_path / "results" / "tables"
    for name, frame in tables().items():
        write_parquet(folder / f"{name}.parquet", frame)
    write_json(folder / "tables.provenance.json", {"ended": "2026-11-26T04:00:00+00:00"})

    def git(command: list[str], **_: object) -> object:
        return type("Done", (), {"stdout": "abc1234\n" if {"describe", "rev-parse"} & {*command} else ""})

    monkeypatch.setattr(kept.subprocess, "run", git)
    kept.keep(tmp_path, *place, page.CONFIG)
    text = page.render(kept.kept_tables(*place), load_config(ROOT / page.CONFIG), {})
    for sentence in (
        "**Synthetic records help, and more than the best simple baseline,** at 5 % of the real training records",
        "(commit abc1234, 1.0 hours of CPU",
        "150 recordings of PTB-XL with AFIB and SR: 100 to learn from, 20 to validate on, 30 to test on",
        "adding synthetic records helps in 2 and is not shown to differ in 1 of 3 comparisons",
        "it is better in 1 and is not shown to differ in 2. Of 2 gains over real records alone, 1 beat that baseline",
        "Without any generator, the baseline *mixup* helps in 1 and is not shown to differ in 1 of 2.",
        "harms in 1 of 1.",  # the control
        "Transfer from synthetic records is not shown to differ in 1 of 1 against real alone. It was not compared",
        "Training on synthetic records alone harms in 1 of 1 against all real ones. It reaches at most 0.45",
        "Holm's correction is over all 1 comparisons",
        "In macro ROC-AUC, which is not the primary metric",
        "all 20 real validation records, at every share. Where the classifier learns\n  from 50 records",
        "The rarest rhythm has 10 training, 2 validation and 3 test records.",
        "| time_diffusion | 0 | 3 | 0.05 [0.01, 0.10] | 0.52 [0.46, 0.56] | copies |",
        "| + `diffwave`, all | +0.03 helps; beside mixup: helps | +0.03 helps; beside mixup: no difference shown |",
        "| mixup | +0.03 helps | 0.00 no difference shown |",
        "has a macro F1 of 0.47",
        "| diffwave | 0.81 [0.70, 0.90] | 0.50 [0.40, 0.60] |",
        "## All comparisons in macro ROC-AUC",
        "Run on 2026-11-26.",
    ):
        assert sentence in text, sentence
    assert "made again" not in text


def test_tables_made_again_take_the_place_of_the_runs_own(
    load: Callable[[str], ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page, kept = load("results_page"), load("results_kept")
    own, again = tmp_path / "results" / "tables", tmp_path / "again"
    for folder, ended in ((own, "2026-11-26T04:00:00+00:00"), (again, "2026-11-28T04:00:00+00:00")):
        for name, frame in tables().items():
            if folder == own or name not in {"closeness", "privacy"}:  # these are not judged again
                write_parquet(folder / f"{name}.parquet", frame)
        write_json(folder / "tables.provenance.json", {"ended": ended})
    write_parquet(again / "comparisons.parquet", tables()["comparisons"].assign(verdict="no difference shown"))
    write_parquet(own / "privacy.parquet", tables()["privacy"].assign(verdict="no sign of copying", reason="none"))
    said = {"describe": "abc1234\n", "rev-parse": "def5678\n", "diff": "configs/a.yaml\n", "status": ""}
    monkeypatch.setattr(kept.subprocess, "run", lambda words, **_: type("Done", (), {"stdout": said[words[1]]}))
    place = tmp_path / "kept", page.RUNS["work"].tables
    kept.keep(tmp_path, *place, page.CONFIG, again)
    text = page.render(kept.kept_tables(*place), load_config(ROOT / page.CONFIG), {})
    assert "(commit abc1234 with changes in configs/a.yaml, 1.0 hours" in text
    assert "made again on 2026-11-28 with the statistics of commit def5678 (`benchmarks/judge_again.py`)" in text
    assert "**No gain by synthetic records was shown**" in text
    assert "0.52 [0.46, 0.56] | copies |" in text  # judged by the present code from what was measured then
    found = kept.kept_tables(*place)["privacy"]
    assert set(found["reason"]) == {"0 exact and 3 near copies of training records were found"}
    said["status"] = " M ecgpipe/tables/run.py\n"
    with pytest.raises(ValueError, match="ecgpipe/ differs from its last commit"):
        kept.keep(tmp_path, *place, page.CONFIG, again)


def test_a_run_is_judged_again_from_the_files_that_it_read(load: Callable[[str], ModuleType], tmp_path: Path) -> None:
    started = load("judge_again").started
    with pytest.raises(
        FileNotFoundError, match=r"tables\.log is missing: name a folder in which a run made its tables"
    ):
        started(tmp_path)
    log = tmp_path / "results" / "logs" / "tables.log"
    log.parent.mkdir(parents=True)
    log.write_text("failed\n", encoding="utf-8")
    with pytest.raises(ValueError, match="does not begin with the job's arguments"):
        started(tmp_path)
    write_json(tmp_path / ".snakemake" / "arguments" / "a.json", ["--predictions", "p.parquet"])
    command = "tables.py @.snakemake/arguments/a.json --data results/data/a --settings @.snakemake/arguments/b.json"
    log.write_text(f"2026-11-26 04:00:00,000 INFO started: {command}\n", encoding="utf-8")
    assert started(tmp_path) == ["--predictions", "p.parquet", "--data", "results/data/a"]


def test_the_headline_claims_no_more_than_the_verdicts(load: Callable[[str], ModuleType]) -> None:
    headline = load("results_short").headline
    assert headline(table(NONE, HARMS)).startswith("**No gain by synthetic records was shown**")
    assert headline(table({}, HARMS)).endswith(
        "at 100 % of the real training records (`diffwave`); no simple baseline was run."
    )
    found = headline(table({**LESS, "fraction": 0.2}, {**LESS, "generator": "time_vqvae"}))
    assert "at 20 % and 100 % of the real training records (`diffwave` and `time_vqvae`), from generators" in found
    assert "that had learnt from all of them, **but are nowhere shown to help more than the best" in found
    beating = headline(table({**BEATS, "fraction": 0.2}, LESS, {**BEATS, **NONE, "fraction": 0.5}))
    assert "more than the best simple baseline,** at 20 % of the real training records (`diffwave`), from" in beating


def test_the_committed_page_is_made_of_the_kept_tables(load: Callable[[str], ModuleType]) -> None:
    page = load("results_page")
    if not page.RUNS["work"].folder.exists():
        pytest.skip("docs/results.md is of a run before configs/ptbxl_derived.yaml; no table of a newer one is kept")
    assert page.PAGE.read_text(encoding="utf-8") == page.page()


def test_generators_that_know_only_the_share_stand_beside_those_that_knew_all(
    load: Callable[[str], ModuleType],
) -> None:
    section, whole = load("results_share"), tables()
    own = {**NUMBERS, "generator": "time_diffusion", "fraction": 1.0, "low": -0.05, "high": 0.11, "n_real": 5.0}
    comparisons = pd.concat(
        [
            table(
                {**own, **LESS, **NONE, "dataset": name, "difference": gain},
                {**own, **SIMPLE, "dataset": name, "setting": "mixup"},
                {**own, "dataset": name, "experiment": "synthetic only", "setting": "TrSTeR", "ratio": "none"},
            )
            for name, gain in (("ptbxl_5", 0.03), ("ptbxl_20", 0.01))
        ]
    )
    whole["comparisons"] = pd.concat(
        [whole["comparisons"], table({**NUMBERS, **BEATS, "generator": "time_diffusion", "fraction": 0.05})]
    )
    about = pd.DataFrame({"key": ["commit", "ended"], "value": ["abc1234", "2026-11-26"]})
    privacy = pd.concat([whole["privacy"].assign(dataset=name) for name in ("ptbxl_5", "ptbxl_20")])
    run = {"comparisons": comparisons, "about": about, "runtime": whole["runtime"], "privacy": privacy}
    text = section.section(run, {**whole, "about": about}, load_config(ROOT / section.CONFIG))
    for sentence in (
        "commit abc1234, 1.0 hours of CPU time) `time_diffusion` and the classifiers learn from the",
        "5 % or 20 %. Each generator was trained and sampled from 3 times",
        "no interval covers that draw",
        "| smallest effect, + synthetic records, median | 0.06 | 0.06 |",
        "| time_diffusion, 20 % | 0 | 3 | 0.05 [0.01, 0.10] | 0.52 [0.46, 0.56] | copies |",
        "with 2 degrees of freedom",
        "synthetic records is not shown to differ in 2 of 2 against real records alone, and is not shown to differ",
        "Synthetic records alone, of `time_diffusion` that knew 5 %: macro F1",
        "that knew all, is +0.03 (0.50 → 0.50) and +0.03 (0.50 → 0.53) at 5 %. No test compares the two.",
        "| macro F1 | 5 % | 20 % |",
        "| + `time_diffusion`, all, which knew the share | +0.03 [",
        "| + `time_diffusion`, all, which knew all | +0.03 [",
    ):
        assert sentence in text, sentence
    short = section.in_short(run)
    assert "differ in 2 of 2 against real records alone. The median smallest effect there is 0.06; smaller" in short
    assert "helps; beside mixup: helps | – |" in text  # the page's run has no row at 20 % here
