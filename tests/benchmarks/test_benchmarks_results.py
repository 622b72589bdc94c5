"""The results page says what the tables of its run say, and the committed one is made of the tables kept beside it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest
from comparison_rows import HARMS, NONE, table

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
        {**NUMBERS, "metric": "macro_roc_auc"},
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
        columns=[
            "dataset",
            "setting",
            "generator",
            "fraction",
            "ratio",
            "tested",
            "class",
            "metric",
            "mean",
            "low",
            "high",
        ],
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
        "runtime": pd.DataFrame([{"stage": "classify", "seconds": 4000.0, "cpu_seconds": 3600.0}]),
    }


def test_the_page_says_what_the_tables_say(
    load: Callable[[str], ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = load("results_page")
    place = tmp_path / "kept", page.TABLES
    with pytest.raises(FileNotFoundError, match=r"run `snakemake all --configfile configs/ptbxl_derived.yaml`"):
        page.keep(tmp_path, *place, page.CONFIG)
    folder = tmp_path / "results" / "tables"
    for name, frame in tables().items():
        write_parquet(folder / f"{name}.parquet", frame)
    write_json(folder / "tables.provenance.json", {"ended": "2026-11-26T04:00:00+00:00"})
    monkeypatch.setattr(page.subprocess, "run", lambda *_, **__: type("Done", (), {"stdout": "abc1234\n"}))
    page.keep(tmp_path, *place, page.CONFIG)
    text = page.render(page.kept_tables(*place), load_config(ROOT / page.CONFIG))
    for sentence in (
        "**Synthetic records help, and more than the best simple baseline,** at 5 % of the real training records",
        "(commit abc1234, 1.0 hours of CPU",
        "150 recordings of PTB-XL with AFIB and SR: 100 to learn from, 20 to validate on, 30 to test on",
        "adding synthetic records helps in 2 and is not shown to differ in 1 of 3 comparisons",
        "it is better in 1 and is not shown to differ in 2. Of 2 gains over real records alone, 1 beat that baseline",
        "Without any generator, the baseline *mixup* helps in 1 and is not shown to differ in 1 of 2.",
        "harms in 1 of 1.",  # the control
        "Transfer from synthetic records is not shown to differ in 1 of 1 against real alone.",
        "Synthetic records alone reach at most 0.45 (`diffwave`), all real ones 0.50.",
        "| + `diffwave`, all | +0.03 helps; beside mixup: helps | +0.03 helps; beside mixup: no difference shown |",
        "| mixup | +0.03 helps | 0.00 no difference shown |",
        "has a macro F1 of 0.47",
        "| diffwave | 0.81 [0.70, 0.90] | 0.50 [0.40, 0.60] |",
        "## All comparisons in macro ROC-AUC",
        "Run on 2026-11-26.",
    ):
        assert sentence in text, sentence


def test_the_headline_claims_no_more_than_the_verdicts(load: Callable[[str], ModuleType]) -> None:
    headline = load("results_page").headline
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
    if not page.FOLDER.exists():
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
    run = {"comparisons": comparisons, "about": about, "runtime": whole["runtime"]}
    text = section.section(run, whole, load_config(ROOT / section.CONFIG))
    for sentence in (
        "commit abc1234, 1.0 hours of CPU time) `time_diffusion` and the classifiers learn from the",
        "5 % or 20 %, drawn once. Each generator was trained and sampled from 3 times",
        "with 2 degrees of freedom",
        "synthetic records is not shown to differ in 2 of 2 against real records alone, and is not shown to differ",
        "Synthetic records alone, of `time_diffusion` that knew 5 %: macro F1",
        "of a generator that knew the share and of one that knew all, is +0.03 and +0.03 at 5 %. What",
        "| macro F1 | 5 % | 20 % |",
        "| + `time_diffusion`, all, which knew the share | +0.03 [",
        "| + `time_diffusion`, all, which knew all | +0.03 [",
    ):
        assert sentence in text, sentence
    assert "helps; beside mixup: helps | – |" in text  # the page's run has no row at 20 % here
