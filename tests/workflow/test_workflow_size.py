"""A large study is planned quickly."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from checkout import copy_project

pytestmark = [pytest.mark.workflow, pytest.mark.xdist_group("workflow")]


def test_a_dry_run_of_two_thousand_jobs_takes_seconds(tmp_path: Path) -> None:
    checkout = copy_project(tmp_path / "project")
    path = checkout.folder / checkout.config
    config = yaml.safe_load(path.read_text())
    datasets, generators = [f"d{i}" for i in range(20)], [f"g{i}" for i in range(25)]
    config["datasets"], config["generators"] = datasets, generators
    config["dataset_settings"] = {
        name: {**config["dataset_settings"]["demo_ptbxl"], "source": {"kind": "simulated", "records": 120, "seed": i}}
        for i, name in enumerate(datasets)
    }
    config["generator_settings"] = {
        name: {"class": "ecgpipe.generate.diffwave:GENERATOR", "train": {"steps": 6 + i}}
        for i, name in enumerate(generators)
    }
    path.write_text(yaml.safe_dump(config))
    jobs = checkout.pending("all")
    assert sum(jobs.values()) > 2000
    # Processor time: what else the machine does is no part of it.
    assert checkout.seconds < 15
