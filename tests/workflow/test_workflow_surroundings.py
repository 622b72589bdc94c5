"""What a configuration says of this machine is checked before any job."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from checkout import ENVIRONMENT, ROOT, copy_project

from ecgpipe.config import ConfigError, validate
from ecgpipe.workflow.layout import Layout
from ecgpipe.workflow.surroundings import check_surroundings

TINY: dict[str, Any] = yaml.safe_load((ROOT / "configs" / "tiny.yaml").read_text())


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The study's folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _check(**changes: Any) -> None:
    check_surroundings(Layout(validate({**TINY, **changes})))


def _told(**changes: Any) -> str:
    with pytest.raises(ConfigError) as error:
        _check(**changes)
    return str(error.value)


def test_a_sound_study_leaves_nothing_behind(folder: Path) -> None:
    for raw in ("results/raw", "raw", str(folder / "elsewhere"), "."):
        _check(raw_dir=raw)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("file", ["results", "results/logs"])
def test_a_file_in_the_place_of_the_logs_is_told(folder: Path, file: str) -> None:
    (folder / file).parent.mkdir(exist_ok=True)
    (folder / file).touch()
    told = _told()
    assert told.startswith(f"results/logs cannot be made: {folder / file} is a file")


def test_logs_that_cannot_be_written_are_told_until_the_study_is_finished(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ecgpipe.workflow.surroundings.os.access", lambda *_: False)
    assert _told().startswith("results/logs cannot be written to: make")
    (folder / "results/report").mkdir(parents=True)
    (folder / "results/report/provenance.json").touch()
    _check()


@pytest.mark.parametrize("raw", ["file", "file/deeper", "link", "/proc/ecgpipe", "/dev/null", "/dev/null/raw"])
def test_a_raw_dir_that_cannot_be_made_is_told(folder: Path, raw: str) -> None:
    (folder / "file").touch()
    (folder / "link").symlink_to("file")
    assert "`raw_dir`" in _told(raw_dir=raw)


@pytest.mark.parametrize("raw", ["x" * 300, "loop", "loop/raw"])
def test_a_raw_dir_that_is_no_path_is_told(folder: Path, raw: str) -> None:
    (folder / "loop").symlink_to("loop")
    assert "`raw_dir`" in _told(raw_dir=raw)


def test_raw_records_among_results_are_told_however_it_is_spelled(folder: Path) -> None:
    (folder / "results" / "data").mkdir(parents=True)
    (folder / "other").symlink_to("results/data")
    for raw in (str(folder / "results/data"), "other", "other/raw", f"../{folder.name}/results/state"):
        assert "`raw_dir`" in _told(raw_dir=raw), raw
    assert "results/data" in _told(raw_dir="other")


def test_a_finished_folder_of_raw_records_may_be_read_only(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = folder / "raw"
    raw.mkdir()

    def refused(*args: Any, **kwargs: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("ecgpipe.workflow.surroundings.tempfile.TemporaryDirectory", refused)
    assert "`raw_dir`: 'raw' cannot be written to (Permission denied)" in _told(raw_dir="raw")
    for name in ("demo_ptbxl", "demo_chapman"):
        (raw / f"{name}.parquet").touch()
    _check(raw_dir="raw")


def test_the_home_of_a_user_that_there_is_not_is_told(folder: Path) -> None:
    assert "`raw_dir`" in _told(raw_dir="~nobody-of-that-name/raw")
    for source, key in (
        ({"kind": "folder", "path": "~nobody-of-that-name"}, "path"),
        ({"kind": "physionet", "slug": "ptb-xl", "version": "1.0.3", "base_url": "~nobody-of-that-name"}, "base_url"),
    ):
        settings = {**TINY["dataset_settings"], "demo_ptbxl": {"format": "ptbxl", "source": source}}
        told = _told(dataset_settings=settings, classifiers={**TINY["classifiers"], "cnn": {}})
        assert f"`dataset_settings.demo_ptbxl.source.{key}`" in told


def test_counts_of_an_unknown_class_are_told(folder: Path) -> None:
    told = _told(samples={"counts": {"SR": 50, "NORM": 50}})
    assert "`samples.counts`: no class NORM" in told
    assert "SBRAD" in told
    _check(samples={"counts": {"SR": 50, "AFIB": 50}})
    _check(samples={"counts": {"NORM": 50}}, preprocess={"label_map": "superclasses5"})


def test_counts_of_a_class_of_the_users_own_label_map(folder: Path) -> None:
    (folder / "own.csv").write_text("class,system,code,acronym\nA,SCP,SR,SR\nB,SCP,AFIB,AFIB\n")
    _check(samples={"counts": {"A": 50}}, preprocess={"label_map": "own.csv"})
    assert "no class SR" in _told(samples={"counts": {"SR": 50}}, preprocess={"label_map": "own.csv"})
    (folder / "own.csv").write_text("nonsense\n")
    assert "`preprocess.label_map`" in _told(samples={"counts": {"A": 50}}, preprocess={"label_map": "own.csv"})


@pytest.mark.workflow
@pytest.mark.xdist_group("workflow")
@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("signal:\n", "raw_dir: Snakefile\nsignal:\n", ["raw_dir", "Snakefile"]),
        ("number: 70", "counts: {SR: 50, NORM: 20}", ["samples.counts", "NORM"]),
        ("threads: 1", "threads: 1\n  processes: 3", ["compute.processes", "diffwave.train.batch"]),
        ("signal:\n", "seed: 1\nseed: 2\nsignal:\n", ["`seed` stands twice"]),
        ("seconds: 10.0", "seconds: 1", ["signal.seconds", "288"]),
        ("signal:\n", f"seed: {2**64}\nsignal:\n", ["`seed`"]),
    ],
)
def test_snakemake_tells_it_before_any_job(tmp_path: Path, old: str, new: str, words: list[str]) -> None:
    checkout = copy_project(tmp_path / "project")
    checkout.edit(checkout.config, old, new)
    done = checkout.snakemake("all", check=False)
    assert done.returncode != 0
    for word in words:
        assert word in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert not (checkout.folder / "results").exists()
    assert os.path.isfile(checkout.folder / "Snakefile")


@pytest.mark.workflow
@pytest.mark.xdist_group("workflow")
def test_snakemake_refuses_the_default_config_before_it_writes_out_a_bomb(tmp_path: Path) -> None:
    checkout = copy_project(tmp_path / "project")
    inner = [f"k{number}: " for number in range(9)]
    bomb = [f"a{n}: &a{n} {{" + ", ".join(f"{key}*a{n - 1}" for key in inner) + "}" for n in range(1, 30)]
    (checkout.folder / "config.yaml").write_text("\n".join(["a0: &a0 {x: 1}", *bomb]))
    command = [sys.executable, "-m", "snakemake", "-n", "--cores", "1", "all"]
    done = subprocess.run(
        command, cwd=checkout.folder, env=ENVIRONMENT, text=True, capture_output=True, check=False, timeout=300
    )
    assert done.returncode != 0
    assert "a YAML alias (`*name`) counts as all that it stands for" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
