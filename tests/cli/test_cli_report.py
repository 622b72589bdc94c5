"""``ecgpipe report`` and ``ecgpipe card``."""

from __future__ import annotations

import shutil
from pathlib import Path

import huggingface_hub
import numpy as np
import pandas as pd
import pytest
from beating import Command

from ecgpipe.files import write_json, write_parquet

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def results(tmp_path: Path) -> Path:
    (tmp_path / "results" / "report").mkdir(parents=True)
    (tmp_path / "results" / "report" / "index.html").touch()
    frame = pd.DataFrame({"generator": ["a_b & c", "d"], "value": [0.123456, np.nan], "n": [1, 2]})
    write_parquet(tmp_path / "results" / "tables" / "summary.parquet", frame)
    return tmp_path / "results"


def test_tables_for_other_programs(results: Path, run: Command, tmp_path: Path) -> None:
    out = tmp_path / "out"
    code, said, _ = run("report", "--results", results, "--tables", "csv,latex", "--out", out)
    assert code == 0
    assert said.splitlines() == [
        f"The report: {(results / 'report/index.html').as_uri()}",
        f"4 files are in {out}: tables as csv, latex, and a data dictionary",
    ]
    assert {path.name for path in out.iterdir()} == {"summary.csv", "summary.tex", "dictionary.csv", "dictionary.md"}
    assert pd.read_csv(out / "summary.csv")["generator"].tolist() == ["a_b & c", "d"]
    assert r"a\_b \& c & 0.1235 & 1 \\" in (out / "summary.tex").read_text()


def test_the_report_is_opened(results: Path, run: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda address: bool(opened.append(address)))
    code, _, err = run("report", "--results", results, "--open")
    assert (code, opened) == (0, [(results / "report/index.html").as_uri()])
    assert err == "No browser could be started: open this address yourself.\n"


def test_the_report_of_a_study_with_its_own_folder_is_found(
    results: Path, run: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    own = shutil.copytree(results, tmp_path / "studies" / "wide")
    text = (ROOT / "configs" / "tiny.yaml").read_text()
    (tmp_path / "config.yaml").write_text(text)
    assert run("report")[1] == f"The report: {(results / 'report/index.html').as_uri()}\n"
    (tmp_path / "config.yaml").write_text(text.replace("  name: tiny", "  name: wide\n  own_folder: true"))
    assert run("report")[1] == f"The report: {(own / 'report/index.html').as_uri()}\n"
    code, _, err = run("blind", "score", "answers.json")
    assert code == 2
    assert "studies/wide/report/blind_key.json" in err
    code, _, err = run("took")
    assert "studies/wide/plan.json is missing" in err
    (tmp_path / "config.yaml").write_text("datasets: []\n")
    assert run("report")[0] == 0  # a report can be read whatever has become of the configuration


def test_what_is_not_there_is_told(results: Path, run: Command, tmp_path: Path) -> None:
    code, _, err = run("report", "--results", tmp_path)
    assert (code, "run the study first" in err) == (2, True)
    code, _, err = run("report", "--results", results, "--tables", "xls")
    assert code == 2
    assert "'xls' is none of parquet, csv, latex" in " ".join(err.replace("│", " ").split())
    code, _, err = run("card", tmp_path)
    assert code == 2
    assert f"{tmp_path} holds neither model.json nor records.parquet" in err


def test_a_model_card_says_what_the_folder_says(model: Path, run: Command, tmp_path: Path) -> None:
    folder = shutil.copytree(model, tmp_path / "results" / "generators" / "a_set" / "class_mean_pca")
    rows = [{"dataset": "a_set", "generator": "class_mean_pca", "verdict": "copies", "reason": "3 *exact* copies"}]
    write_parquet(tmp_path / "results" / "tables" / "privacy.parquet", pd.DataFrame(rows))
    assert run("card", folder)[0] == 0
    card = huggingface_hub.ModelCard.load(folder / "README.md")
    assert {"ecg", "synthetic-data"} <= set(card.data.tags)
    assert "# class\\_mean\\_pca, trained on a\\_set" in card.text
    assert "| SR | 25 |" in card.text
    assert "| STACH | 0 |" in card.text
    assert "400 samples at 100 Hz" in card.text
    assert "copies (3 \\*exact\\* copies)" in card.text
    assert 'generator.sample("SR", 50, seed=1)' in card.text
    write_json(folder / "model.json", {"class": 1})
    assert "is not what a generator writes" in run("card", folder)[2]


def test_a_dataset_card_counts_its_records(dataset_folder: Path, run: Command, tmp_path: Path) -> None:
    assert run("card", dataset_folder, "--out", tmp_path / "card.md")[0] == 0
    text = (tmp_path / "card.md").read_text()
    card = huggingface_hub.DatasetCard(text)
    assert card.data.pretty_name == "made"
    assert (
        "| class | test | train | validation |\n|---|---|---|---|\n| AFIB | 12 | 25 | 8 |\n| SR | 12 | 25 | 8 |\n"
        in text
    )
    assert "Privacy" not in text
