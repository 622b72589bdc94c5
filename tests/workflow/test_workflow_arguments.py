"""Long arguments travel by file: Linux takes none above 128 kB."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from checkout import ROOT, Checkout

from ecgpipe.workflow.arguments import FOLDER, ByFile, expanded, job_parser
from ecgpipe.workflow.pending import read_jobs

LIMIT = 128 * 1024
"""Bytes of one argument; Snakemake gives a whole command to bash as one."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_an_argument_is_its_text_and_names_a_file_of_it(folder: Path) -> None:
    text = ByFile(json.dumps({"records": ["é"] * 50_000}))
    assert text == str(text)
    assert repr(text) == repr(str(text))  # what Snakemake keeps and compares
    assert len(text.file) < 100
    assert text.file == ByFile(str(text)).file != ByFile("{}").file
    assert expanded(["--settings", text.file]) == ["--settings", text]
    assert [path.suffix for path in (folder / FOLDER).iterdir()] == [".json", ".json"]


def test_several_words_in_one_file(folder: Path) -> None:
    words = ["--predictions", *(f"results/it's {i}.parquet" for i in range(5000))]
    text = ByFile.words(words)
    assert expanded(["a", text.file, "b"]) == ["a", *words, "b"]


def test_a_path_that_begins_with_the_mark_is_a_path(folder: Path) -> None:
    assert expanded(["@home/x", "@"]) == ["@home/x", "@"]


def test_a_script_reads_the_files(folder: Path) -> None:
    parser = job_parser("A job.")
    parser.add_argument("--settings", required=True)
    parser.add_argument("--files", nargs="+")
    settings, files = ByFile('{"a": 1}'), ByFile.words(["--files", "x", "y z"])
    args = parser.parse_args(["--log", "log", "--settings", settings.file, files.file])
    assert (args.settings, args.files) == ('{"a": 1}', ["x", "y z"])


def test_a_file_that_is_gone_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        job_parser("A job.").parse_args(["--log", f"@{FOLDER}/gone.json"])
    assert f"{FOLDER}/gone.json cannot be read" in capsys.readouterr().err


def test_jobs_of_a_dry_run_have_their_settings(folder: Path) -> None:
    settings = ByFile(json.dumps({"a": "it's"}))
    said = {
        "rule_name": "generate",
        "wildcards": {"dataset": "d"},
        "reason": "x",
        "output": ["o"],
        "shellcmd": f'python "${{ECGPIPE_SCRIPTS}}/generate.py" \\\n    --settings {shlex.quote(settings.file)}',
    }
    (job,) = read_jobs([json.dumps(said)], folder)
    assert job.settings == {"a": "it's"}


@pytest.mark.workflow
@pytest.mark.xdist_group("workflow")
def test_settings_above_the_limit_reach_a_job_and_why(checkout: Checkout) -> None:
    title = "Long " * (LIMIT // 4)
    checkout.edit(checkout.config, "title: Tiny study for tests", f"title: {title}")
    checkout.snakemake("report")
    made = json.loads((checkout.folder / "results/report/provenance.json").read_text())
    assert made["settings"]["study"]["title"] == title.strip()
    command = (checkout.folder / "results/logs/report.log").read_text().splitlines()[0]
    assert f"--settings @{FOLDER}/" in command
    assert len(command) < 12_000  # of which most names the files to take away from the report
    checkout.edit(checkout.config, "title: Long", "title: Short")
    why = [sys.executable, "-m", "ecgpipe", "why", "all", "--configfile", checkout.config]
    said = subprocess.run(why, cwd=checkout.folder, text=True, capture_output=True, check=True).stdout
    assert "setting study.title: 'Long" in said


def test_no_rule_writes_settings_into_its_command() -> None:
    for path in [ROOT / "Snakefile", *(ROOT / "rules").glob("*.smk")]:
        assert "settings:q}" not in path.read_text(), path
