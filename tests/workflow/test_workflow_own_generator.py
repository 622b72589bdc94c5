"""A generator in a user's own folder runs through the whole workflow; no file of the project knows of it."""

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
from ecgpipe.leads import limb_lead_residual

pytestmark = [pytest.mark.long, pytest.mark.workflow, pytest.mark.xdist_group("workflow")]


def test_the_example_runs_from_raw_records_to_the_report(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    shutil.copytree(ROOT / "examples" / "own_generator", folder, ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--configfile", "config.yaml"]
    done = subprocess.run([*command, "--cores", "2", "all"], cwd=folder, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    samples = Dataset.load(folder / "results" / "samples" / "demo" / "cross_spectrum")
    assert len(samples) == 70
    assert samples.records["generator"].unique().tolist() == ["cross_spectrum"]
    assert limb_lead_residual(np.asarray(samples.signals)).max() < 1e-5
    table = pd.read_parquet(folder / "results" / "tables" / "classification.parquet")
    assert "cross_spectrum" in set(table["generator"])
    assert "cross_spectrum" in (folder / "results" / "report" / "index.html").read_text()
