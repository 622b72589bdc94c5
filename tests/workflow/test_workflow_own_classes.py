"""Generators and classifiers in a user's own folder run through the whole workflow without a change to the project."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from checkout import ROOT

from ecgpipe.dataset import Dataset
from ecgpipe.files import read_json
from ecgpipe.leads import limb_lead_residual
from ecgpipe.workflow.pending import pending

pytestmark = [pytest.mark.long, pytest.mark.workflow, pytest.mark.xdist_group("workflow")]


COMMAND = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--configfile", "config.yaml"]


def _study(name: str, folder: Path) -> Path:
    """Run an example in a copy of its folder."""
    shutil.copytree(
        ROOT / "examples" / name, folder, ignore=shutil.ignore_patterns("__pycache__", "results", ".snake*")
    )
    done = subprocess.run([*COMMAND, "--cores", "2", "all"], cwd=folder, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    return folder


def test_the_generator_runs_from_raw_records_to_the_report(tmp_path: Path) -> None:
    folder = _study("own_generator", tmp_path / "study")
    samples = Dataset.load(folder / "results" / "samples" / "demo" / "cross_spectrum")
    assert len(samples) == 70
    assert samples.records["generator"].unique().tolist() == ["cross_spectrum"]
    assert limb_lead_residual(np.asarray(samples.signals)).max() < 1e-5
    table = pd.read_parquet(folder / "results" / "tables" / "classification.parquet")
    assert "cross_spectrum" in set(table["generator"])
    assert "cross_spectrum" in (folder / "results" / "report" / "index.html").read_text()


def test_the_classifier_runs_too_and_an_edit_reruns_what_it_decides(tmp_path: Path) -> None:
    folder = _study("own_classifier", tmp_path / "study")
    results = folder / "results"
    table = pd.read_parquet(results / "tables" / "classification.parquet")
    assert {"TrRTeR", "TrSTeR", "TrRSTeR"} <= set(table["setting"])
    assert "a network of this study’s own" in (results / "report" / "methods.md").read_text().replace("'", "’")
    for kind in ("classifiers/demo/real", "closeness/demo"):
        assert "log_spectrum" in read_json(results / kind / "provenance.json")["code"]["parts"]
    assert not [log for log in results.glob("logs/**/*.log") if "not part of the code digest" in log.read_text()]
    config = ["--configfile", "config.yaml"]
    assert pending(["all", *config], folder) == []
    module = folder / "log_spectrum.py"
    module.write_text(module.read_text().replace("1e-3", "1e-2"))
    rules = {job.rule for job in pending(["all", *config], folder)}
    assert rules == {
        *("classify_real", "classify_augmentation", "classify_transfer", "closeness_controls", "closeness_generator"),
        *("closeness_tables", "result_tables", "report_page"),
    }
