"""The tiny study from end to end, and configurations that end before any job starts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from checkout import Checkout, copy_project

from ecgpipe.dataset import Dataset
from ecgpipe.leads import limb_lead_residual

pytestmark = [pytest.mark.workflow, pytest.mark.xdist_group("workflow")]
KEY = ["dataset", "setting", "generator", "fraction", "seed"]


def test_every_promised_file_is_there(finished: Checkout) -> None:
    results = finished.folder / "results"
    for dataset in ("demo_ptbxl", "demo_chapman", "demo_merged"):
        for name in ("signals.npy", "records.parquet", "excluded.parquet", "summary.json"):
            assert (results / "data" / dataset / name).is_file()
        for name in ("signals.npy", "records.parquet"):
            assert (results / "samples" / dataset / "diffwave" / name).is_file()
    for dataset in ("demo_ptbxl", "demo_chapman"):
        for name in ("model.safetensors", "model.json", "history.parquet"):
            assert (results / "generators" / dataset / "diffwave" / name).is_file()
    for name in ("classification", "transfer", "runtime"):
        assert len(pd.read_parquet(results / "tables" / f"{name}.parquet")) > 0
    jobs = pd.read_parquet(results / "tables" / "runtime.parquet")
    assert (jobs["stage"] == "closeness").sum() == 6
    assert (results / "report" / "index.html").stat().st_size > 10_000
    assert not list(results.glob("**/*.tmp"))
    assert not list((results / "state").glob("**/*")) or all(p.is_dir() for p in (results / "state").glob("**/*"))


def test_records_are_accounted_for(finished: Checkout) -> None:
    for dataset in ("demo_ptbxl", "demo_chapman"):
        folder = finished.folder / "results" / "data" / dataset
        kept = Dataset.load(folder)
        assert len(kept) + len(pd.read_parquet(folder / "excluded.parquet")) == 120
        assert not set(kept.records.query("split == 'train'")["patient"]) & set(
            kept.records.query("split != 'train'")["patient"]
        )
        assert np.isfinite(kept.signals).all()


def test_two_datasets_samples_are_not_pairs_of_near_copies(finished: Checkout) -> None:
    one, other = (
        Dataset.load(finished.folder / "results/samples" / name / "diffwave") for name in ("demo_ptbxl", "demo_chapman")
    )
    assert len(one) == len(other)
    assert not set(one.records["seed"]) & set(other.records["seed"])
    paired = [np.corrcoef(a[0], b[0])[0, 1] for a, b in zip(one.signals, other.signals, strict=True)]
    assert abs(np.mean(paired)) < 0.1


def test_samples_obey_the_limb_lead_identities(finished: Checkout) -> None:
    samples = Dataset.load(finished.folder / "results" / "samples" / "demo_merged" / "diffwave")
    assert len(samples) == 140
    assert limb_lead_residual(np.asarray(samples.signals)).max() < 1e-5
    assert set(samples.records["split"]) == {"train", "validation", "test"}


def test_classification_is_complete_and_has_its_support(finished: Checkout) -> None:
    tables = finished.folder / "results" / "tables"
    table = pd.read_parquet(tables / "classification.parquet")
    assert {*KEY, "class", "metric", "value", "support"} <= set(table.columns)
    cells = table[["dataset", "setting", "generator", "fraction"]].drop_duplicates()
    assert len(cells) == 3 * (2 + 2 + 1 + 2)  # two shares of real, a baseline and both; synthetic alone
    assert set(table["seed"]) == {0, 1}
    classes = {"SBRAD", "SR", "AFIB", "STACH", "AFLT", "SARRH", "SVTAC"}
    assert classes <= set(table["class"])
    assert table["support"].notna().all()
    times = pd.read_parquet(tables / "runtime.parquet")
    assert (times["start_up_seconds"] > 0.05).all()
    assert (times["start_up_seconds"] < times["seconds"]).all()
    assert (times["cpu_seconds"] > 0.2).all()
    transfer = pd.read_parquet(tables / "transfer.parquet")
    assert set(transfer["fraction"]) == {0.5}
    assert set(transfer["setting"]) == {"TrRTeR", "frozen"}


def test_report_needs_no_network(finished: Checkout) -> None:
    page = (finished.folder / "results" / "report" / "index.html").read_text()
    for needle in ('src="http', "src='http", "<link", "@import", "url(http"):
        assert needle not in page
    assert "simulated" in page.lower()


def test_a_second_run_has_nothing_to_do(finished: Checkout) -> None:
    assert "Nothing to be done" in (done := finished.snakemake("all")).stdout + done.stderr


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("rate: 100", "rate: fast", ["signal.rate", "'fast'"]),
        ("generators: [diffwave]", "generators: [nosuch]", ["nosuch", "ecgpipe.generate.nosuch"]),
        ("steps: 6", "steps: -6", ["generator_settings.diffwave.train.steps", "-6"]),
        ("steps: 6", "stepz: 6", ["generator_settings.diffwave.train.stepz", "no such key"]),
        (
            "generator_settings:",
            "generator_settings:\n  diffwav: {}",
            ["generator_settings.diffwav", "active are diffwave"],
        ),
        ("sampler: ddim", "sampler: guess", ["generator_settings.diffwave.sample.sampler", "'guess'"]),
    ],
)
def test_a_wrong_config_ends_before_any_job(tmp_path: Path, old: str, new: str, words: list[str]) -> None:
    checkout = copy_project(tmp_path / "project")
    checkout.edit("configs/tiny.yaml", old, new)
    done = checkout.snakemake("all", check=False)
    said = done.stdout + done.stderr
    assert done.returncode != 0
    for word in words:
        assert word in said
    assert not (checkout.folder / "results").exists()


def test_the_default_config_is_used_without_a_configfile(finished: Checkout) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--cores", "1", "--dry-run", "--quiet", "all"],
        cwd=finished.folder,
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
