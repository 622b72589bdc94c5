"""``ecgpipe init``, ``new``, ``doctor`` and ``compare``."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from beating import Command

from ecgpipe.config import load
from ecgpipe.files import read_json, write_json, write_parquet
from ecgpipe.workflow import health

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("source", ["demo", "physionet"])
def test_a_study_is_begun(source: str, run: Command, tmp_path: Path) -> None:
    code, out, err = run("init", tmp_path / "study", "--from", source)
    assert code == 0, err
    assert "ecgpipe run" in out
    config = load(tmp_path / "study" / "config.yaml")
    kinds = {s.source.kind for name in config.datasets if (s := config.dataset_settings[name]).source is not None}
    assert kinds == {"simulated" if source == "demo" else "physionet"}
    code, _, err = run("init", tmp_path / "study", "--from", source)
    assert code == 2
    assert "is there already" in err


def test_a_study_of_a_folder_of_ones_own(run: Command, dataset_folder: Path, tmp_path: Path) -> None:
    records = tmp_path / "our ecgs"
    assert run("export", dataset_folder, "--out", records)[0] == 0
    code, _, err = run("init", tmp_path / "study", "--from", "folder", "--records", records)
    assert code == 0, err
    text = (tmp_path / "study" / "config.yaml").read_text()
    config = load(tmp_path / "study" / "config.yaml")
    (settings,) = (config.dataset_settings[name] for name in config.datasets)
    assert (settings.format, settings.source.path) == ("challenge", str(records))
    assert "# Layout of the source" in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--from", "folder"], "--from folder needs it"),
        (["--from", "demo", "--records", "."], "goes with --from folder"),
        (["--from", "folder", "--records", "nowhere"], "nowhere is no folder"),
        (["--from", "folder", "--records", "empty"], "empty holds no WFDB header"),
    ],
)
def test_what_cannot_be_begun_is_told(
    words: list[str], message: str, run: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    code, out, err = run("init", "study", *words)
    assert (code, out) == (2, "")
    assert message in " ".join(err.replace("│", " ").split())
    assert not (tmp_path / "study").exists()


def passes_its_test_and_the_check(run: Command, tests: int) -> None:
    """Run the test of the folder that this process is in, and then the check of its study."""
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider"]
    done = subprocess.run(command, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout
    assert re.search(rf"\b{tests} passed", done.stdout)
    code, out, err = run("check")
    assert (code, err) == (0, "")
    assert out == "config.yaml: every key is known and every value allowed.\n"


@pytest.mark.parametrize(
    ("kind", "name", "tests", "key", "wrong", "told"),
    [
        ("generator", "my_noise", 6, "smoothness: 4", "smooth: 4", "generator_settings.my_noise.train.smooth"),
        ("classifier", "my_net", 4, "channels: 8", "channel: 8", "classifiers.my_net.network.channel"),
    ],
)
def test_a_new_folder_passes_its_own_test_and_the_studys_check(
    kind: str,
    name: str,
    tests: int,
    key: str,
    wrong: str,
    told: str,
    run: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("new", kind, name)[0] == 0
    monkeypatch.chdir(name)
    passes_its_test_and_the_check(run, tests)
    config = Path("config.yaml")
    config.write_text(config.read_text().replace(key, wrong))
    code, _, err = run("check")
    assert code == 2
    assert told in err


@pytest.mark.parametrize("kind", ["generator", "classifier"])
@pytest.mark.parametrize("name", ["json", "numpy", "sys"])
def test_a_name_that_would_hide_another_module_is_refused(
    kind: str, name: str, run: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = run("new", kind, name)
    assert code == 2
    assert "is the name of a module that Python has already" in " ".join(err.replace("│", " ").split())
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize("kind", ["generator", "classifier"])
@pytest.mark.parametrize("name", ["My", "1st", "a-b", "../x"])
def test_a_module_needs_a_name_that_python_takes(kind: str, name: str, run: Command) -> None:
    code, _, err = run("new", kind, name)
    assert code == 2
    assert "must begin with a small letter" in " ".join(err.replace("│", " ").split())


def test_a_ready_machine_is_well(run: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_text((ROOT / "configs/tiny.yaml").read_text())
    monkeypatch.setattr(health, "LITTLE_DISK", 0)
    monkeypatch.setattr(health, "_unmet", lambda: iter(()))
    code, out, _ = run("doctor")
    assert code == 0, out
    found = {line[6:].split(":")[0]: line[:6].strip() for line in out.splitlines()}
    assert {"Python", "packages", "workflow", "cores", "GPU", "config", "disk", "records of demo_ptbxl"} <= set(found)
    assert set(found.values()) <= {"ok", "hint"}
    columns = {"split": ["test"] * 30, "label": ["SR"] * 21 + ["AFIB"] * 9, "patient": range(30)}
    write_parquet(tmp_path / "results/data/demo_ptbxl/records.parquet", pd.DataFrame(columns))
    code, out, _ = run("doctor")
    assert code == 0
    assert "hint  test patients of demo_ptbxl: only SR has 10 test patients (SR 21, AFIB 9);" in out


def test_faults_are_told_with_what_to_do(run: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(health, "LITTLE_DISK", 10**18)
    monkeypatch.setattr(
        health.importlib.metadata, "requires", lambda _: ["nosuchpackage>=1", "numpy>=99", "x; extra=='y'"]
    )
    (tmp_path / "config.yaml").write_text("datasets: []\n")
    (tmp_path / ".snakemake" / "locks").mkdir(parents=True)
    code, out, _ = run("doctor")
    assert code == 1
    assert "FAULT packages: nosuchpackage is missing; numpy is " in out
    assert "FAULT disk: " in out
    assert "FAULT config: " in out
    (tmp_path / "config.yaml").write_text((ROOT / "configs/tiny.yaml").read_text())
    (tmp_path / ".snakemake" / "locks" / "0.input.lock").touch()
    assert "snakemake --unlock" in run("doctor")[1]


def _finished(folder: Path, steps: int, code: str, value: float, verdict: str, low: float = 0.75) -> Path:
    made = {
        "settings": {"train": {"steps": steps}, "seed": 1},
        "code": {"parts": {"ecgpipe.x": code, "ecgpipe.y": "1"}},
    }
    write_json(folder / "results/report/provenance.json", made)
    cell = {"dataset": "a", "experiment": "augmentation", "setting": "TrRSTeR", "generator": "g", "fraction": 1.0}
    found = {"value": value, "difference": value - 0.5, "low": value - low, "high": value, "verdict": verdict}
    rows = [{**cell, "metric": metric, **found} for metric in ("macro_f1", "accuracy")]
    write_parquet(folder / "results/tables/comparisons.parquet", pd.DataFrame(rows))
    return folder


@pytest.mark.parametrize("columns", [60, 80, 300])
def test_no_line_of_a_comparison_is_wider_than_the_terminal(
    columns: int, run: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.chdir(tmp_path)
    _finished(Path("one"), 10, "c1", 0.5, "cannot tell: its interval is [-0.123456, 0.987654]")
    _finished(Path("other"), 20, "c2", 0.75, "helps by 0.25 with an interval of [0.123456, 0.987654]")
    out = run("compare", "one", "other")[1]
    assert max(map(len, out.splitlines())) <= columns
    assert "0.75 (difference 0.25 [0, 0.75])" in " ".join(out.split())
    assert ("  ->  helps by" in out) == (columns == 300)


def test_differences_of_two_runs(run: Command, tmp_path: Path) -> None:
    one = _finished(tmp_path / "one", 10, "c1", 0.5, "cannot tell")
    other = _finished(tmp_path / "other", 20, "c2", 0.75, "helps")
    code, out, _ = run("compare", one, other / "results", "--json")
    assert code == 0
    cell = "a augmentation TrRSTeR g 1"
    results = ["0.5 (difference 0 [-0.25, 0.5])", "0.75 (difference 0.25 [0, 0.75])"]
    assert json.loads(out) == [
        {"about": "settings", "what": "train.steps", "first": "10", "second": "20"},
        {"about": "code", "what": "ecgpipe.x", "first": "c1", "second": "c2"},
        {"about": "results (macro F1)", "what": cell, "first": results[0], "second": results[1]},
        {"about": "verdicts", "what": cell, "first": "cannot tell", "second": "helps"},
    ]
    assert f"  {cell}  cannot tell  ->  helps" in run("compare", one, other)[1]
    assert run("compare", one, one)[1] == (
        "The two runs have the same settings and code, and the same comparisons and verdicts in macro F1.\n"
    )
    wider = _finished(tmp_path / "wider", 10, "c1", 0.5, "cannot tell", low=1.0)
    assert [row["second"] for row in json.loads(run("compare", one, wider, "--json")[1])] == [
        "0.5 (difference 0 [-0.5, 0.5])"
    ]
    code, _, err = run("compare", one, tmp_path)
    assert (code, err.startswith(f"ERROR: {tmp_path} holds no finished study")) == (2, True)


def test_raw_records_of_another_place_count_for_the_code(run: Command, tmp_path: Path) -> None:
    one = _finished(tmp_path / "one", 10, "c1", 0.5, "cannot tell")
    apart = _finished(tmp_path / "apart", 10, "c1", 0.5, "cannot tell")
    (apart / "results").rename(apart / "wide")
    write_json(tmp_path / "apart/raw/a.provenance.json", {"code": {"parts": {"ecgpipe.raw": "1"}}})
    write_json(one / "results/raw/a.provenance.json", {"code": {"parts": {"ecgpipe.raw": "2"}}})
    made = read_json(apart / "wide/report/provenance.json")
    made["settings"]["raw_dir"] = "raw"
    write_json(apart / "wide/report/provenance.json", made)
    assert [row["what"] for row in json.loads(run("compare", one, apart / "wide", "--json")[1])] == [
        "raw_dir",
        "ecgpipe.raw",
    ]
