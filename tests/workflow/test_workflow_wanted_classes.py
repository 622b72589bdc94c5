"""A class that no generator can draw is told before generators are trained."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from checkout import ROOT, copy_project

from ecgpipe.config import validate
from ecgpipe.config.files import read_yaml
from ecgpipe.workflow.study import Study
from ecgpipe.workflow.wanted_classes import VARIABLE, check_wanted_classes


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A dataset with SVTAC in the test split only."""
    rows = [("SR", "train"), ("AFIB", "train"), ("SVTAC", "test"), ("AFIB", "validation")]
    pd.DataFrame(rows, columns=["label", "split"]).to_parquet(tmp_path / "records.parquet")
    return tmp_path


@pytest.mark.parametrize("counts", [None, {}, {"SR": 5, "AFIB": 5}, {"SR": 10, "SVTAC": 0}])
def test_what_can_be_drawn_passes(data: Path, monkeypatch: pytest.MonkeyPatch, counts: dict[str, int] | None) -> None:
    monkeypatch.setenv(VARIABLE, json.dumps(counts))
    check_wanted_classes(data)
    monkeypatch.delenv(VARIABLE)
    check_wanted_classes(data)


def test_a_class_without_a_training_record_is_named(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, json.dumps({"SR": 10, "SVTAC": 3, "SBRAD": 1}))
    with pytest.raises(ValueError, match=r"`samples\.counts` asks for SVTAC, SBRAD, of which .* no training record"):
        check_wanted_classes(data)


def test_counts_are_handed_to_jobs_and_are_no_parameter_of_a_training() -> None:
    raw = read_yaml(ROOT / "configs" / "tiny.yaml")
    assert isinstance(raw, dict)
    samples = {**raw["samples"], "counts": {"SR": 20}}
    plain, asked = (Study(validate({**raw, **more}), ROOT / "workflow_scripts") for more in ({}, {"samples": samples}))
    assert (plain.counts, asked.counts) == ("null", '{"SR":20}')
    dataset, generator = plain.models[0]
    assert plain.training(dataset, generator) == asked.training(dataset, generator)


@pytest.mark.workflow
@pytest.mark.xdist_group("workflow")
def test_a_study_ends_before_the_training(tmp_path: Path) -> None:
    checkout = copy_project(tmp_path / "project")
    checkout.edit(checkout.config, "number: 70", "counts: {SR: 60, SVTAC: 10}")
    checkout.edit(checkout.config, "hospital: a", "hospital: a\n      class_mix: {SR: 3, SBRAD: 3}")
    done = checkout.snakemake("results/generators/demo_ptbxl/diffwave/SHA256SUMS", check=False)
    assert done.returncode != 0
    assert "`samples.counts` asks for SVTAC" in done.stdout + done.stderr
    assert not list((checkout.folder / "results" / "generators").rglob("*.safetensors"))
