"""The command line as a whole: help, versions, errors, pipes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import typer.main
from beating import Command

from ecgpipe.cli.app import app, main

ROOT = Path(__file__).resolve().parents[2]


def _commands(group: typer.main.TyperGroup, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = []
    for name, command in group.commands.items():
        inner = getattr(command, "commands", None)
        found += _commands(command, (*path, name)) if inner else [(*path, name)]
    return found


COMMANDS = _commands(typer.main.get_command(app))


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_help_with_an_example_of_itself(command: tuple[str, ...], run: Command) -> None:
    code, out, _ = run(*command, "--help")
    assert code == 0
    assert f"Example: ecgpipe {' '.join(command)}" in " ".join(out.split())


ERRORS: dict[str, tuple[list[str], str]] = {
    "run": (["--cores", "none"], "none is neither a number of cores nor `all`"),
    "check": (["--configfile", "x.yaml"], "there is no x.yaml in"),
    "plan": (["--configfile", "x.yaml"], "there is no x.yaml in"),
    "why": (["--configfile", "x.yaml"], "there is no x.yaml in"),
    "took": ([], "results/plan.json is missing: run `ecgpipe plan` before the study"),
    "doctor": (["--nonsense"], "No such option: --nonsense"),
    "report": ([], "results/report/index.html is missing: run the study first"),
    "compare": (["one", "two"], "one holds no finished study"),
    "bundle": (["--ro-crate"], "results holds no finished study"),
    "blind make": ([], "results holds no finished study"),
    "blind score": (["answers.json"], "results/report/blind_key.json"),
    "inspect": (["nowhere"], "nowhere is no folder"),
    "sample": (["nowhere", "--number", "1", "--out", "x"], "nowhere"),
    "export": (["nowhere", "--out", "x"], "nowhere"),
    "card": (["nowhere"], "nowhere holds neither model.json nor records.parquet"),
    "judge": (["real.npy", "synthetic.npy"], "real.npy"),
    "init": (["study", "--from", "folder"], "--from folder needs it"),
    "new generator": (["No-Name"], "must begin with a small letter"),
    "new classifier": (["No-Name"], "must begin with a small letter"),
}
"""For each command, words that it refuses, and what it says then."""


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_tells_an_error_in_one_paragraph_and_writes_nothing(
    command: tuple[str, ...], run: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words, said = ERRORS[" ".join(command)]
    code, out, err = run(*command, *words)
    assert (code, out) == (2, "")
    assert said in " ".join(err.replace("│", " ").split())
    assert "Traceback" not in err
    assert "\n\n" not in err.strip() or "Usage" in err
    assert list(tmp_path.iterdir()) == []


def test_help_imports_nothing_heavy() -> None:
    said = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "ecgpipe", "--help"],
        cwd=ROOT, text=True, capture_output=True, check=True,
    ).stderr  # fmt: skip
    imported = {line.rpartition("|")[2].strip() for line in said.splitlines()}
    assert "ecgpipe.cli.app" in imported
    assert imported.isdisjoint({"numpy", "pandas", "torch", "snakemake", "matplotlib"})


def test_version(run: Command) -> None:
    code, out, _ = run("--version")
    assert code == 0
    assert out.startswith("ecgpipe 0.")


def test_no_study_here_is_one_sentence(run: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for command in ("check", "plan", "why"):
        code, out, err = run(command)
        assert (code, out) == (2, "")
        assert err.startswith(f"ERROR: there is no config.yaml in {tmp_path}")
        assert err.count("\n") == 1


def test_debug_shows_the_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Exception, match=r"there is no config\.yaml"):
        main(["why", "--debug"])


def test_an_unforeseen_error_is_one_line_and_says_so(run: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise KeyError("spec")

    monkeypatch.setattr("ecgpipe.workflow.plan.took", fail)
    code, _, err = run("took")
    assert code == 2
    assert err == "ERROR: KeyError: 'spec' (not foreseen by ecgpipe: please report it with what --debug shows)\n"


def test_a_closed_pipe_is_no_error() -> None:
    command = f"{sys.executable} -m ecgpipe --help | true"
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, text=True, capture_output=True, check=False)
    assert done.stderr == ""
