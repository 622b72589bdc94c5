"""Jobs of several processes, as the workflow starts them: the results of one process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from tiny_vqvae import NETWORKS

from ecgpipe.dataset import Dataset
from ecgpipe.files import sha256
from ecgpipe.generate import distributed
from ecgpipe.generate.run import train_generator
from ecgpipe.sample.run import draw_samples

ROOT = Path(__file__).resolve().parents[2]
TRAIN = {
    "draft": "none",
    "channels": 16,  # a group norm of single channels would leave biases whose gradient is rounding alone
    "layers": 2,
    "cycle": 2,
    "patch": 2,
    "optimizer": "adamw",
    "steps": 12,
    "batch": 6,
    "warmup": 2,
    "validate_every": 5,
    "learning_rate": 0.01,
    "precision": "fp32",  # in bfloat16, which `auto` takes where the CPU has it, rounding decides much more
}


def start(script: str, folder: Path, settings: dict[str, Any], *more: str) -> subprocess.CompletedProcess[str]:
    """Run a script of the workflow on two processes, with its outputs in ``folder``."""
    command = [
        *(sys.executable, str(ROOT / "workflow_scripts" / f"{script}.py"), *more, "--settings", json.dumps(settings)),
        *("--out", str(folder / script), "--state", str(folder / "state"), "--log", str(folder / f"{script}.log")),
        *("--code", "x", "--threads", "2", "--processes", "2"),
        *("--provenance", str(folder / script / "provenance.json")),
    ]
    environment = {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}
    return subprocess.run(command, env=environment, cwd=folder, text=True, capture_output=True, check=False)


STAGE = {"steps": 6, "batch": 6, "learning_rate": 0.01, "warmup": 2, "validate_every": 3, "precision": "fp32"}
PRIOR = {**STAGE, "width": 16, "layers": 1, "heads": 2, "dropout": 0.0}
VQ = {
    **NETWORKS,
    "stage1": STAGE,
    "lf_prior": PRIOR,
    "hf_prior": PRIOR,
    "enhancer": None,
}


def train_alone_and_in_two(folder: Path, data: Path, name: str, settings: dict[str, Any]) -> None:
    """Train a generator into ``alone`` by one process and into ``generate`` by two; compare weights and losses."""
    options: dict[str, Any] = {"seed": 3, "device": "cpu", "threads": 1, "state_dir": folder / "alone-state"}
    train_generator(name, None, settings, data, folder / "alone", **options)
    done = start("generate", folder, {"name": name, "class": None, "train": settings, "seed": 3}, "--data", str(data))
    assert done.returncode == 0, done.stderr
    one, two = (load_file(folder / way / "model.safetensors") for way in ("alone", "generate"))
    # Adam's step is the gradient divided by its size: where that is next to nothing, rounding decides.
    for key, weights in one.items():
        torch.testing.assert_close(two[key], weights, atol=2e-4, rtol=0, msg=lambda m, key=key: f"{key}: {m}")
    expected, found = (pd.read_parquet(folder / way / "history.parquet") for way in ("alone", "generate"))
    losses = ["step", "train_loss", "validation_loss"]
    np.testing.assert_allclose(found[losses], expected[losses], rtol=1e-4)
    assert "(process 2 of 2)" in (folder / "generate.log").read_text()


@pytest.mark.slow
def test_a_codebook_follows_the_records_of_all_processes(sines_folder: Path, tmp_path: Path) -> None:
    train_alone_and_in_two(tmp_path, sines_folder, "time_vqvae", VQ)


@pytest.mark.slow
def test_two_processes_train_and_draw_as_one(sines_folder: Path, tmp_path: Path) -> None:
    train_alone_and_in_two(tmp_path, sines_folder, "diffwave", TRAIN)
    alone: dict[str, Any] = {"seed": 3, "device": "cpu", "threads": 1, "state_dir": tmp_path / "alone-state"}
    drawn: dict[str, Any] = {"sample": {"evaluations": 2}, "number": 25, "labels": "uniform", "chunk": 4}
    model = tmp_path / "alone"
    draw_samples(model, sines_folder, tmp_path / "drawn", name="diffwave", **drawn, **alone)
    places = ("--model", str(model), "--data", str(sines_folder), "--name", "diffwave")
    done = start("sample", tmp_path, {**drawn, "class": None, "seed": 3}, *places)
    assert done.returncode == 0, done.stderr
    for file in ("signals.npy", "records.parquet"):
        assert sha256(tmp_path / "drawn" / file) == sha256(tmp_path / "sample" / file)
    assert len(Dataset.load(tmp_path / "sample")) == 25
    assert not list((tmp_path / "state").iterdir())


def test_a_batch_that_cannot_be_divided_is_an_error(
    sines_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distributed, "world_size", lambda: 4)
    options: dict[str, Any] = {"seed": 3, "device": "cpu", "threads": 1, "state_dir": tmp_path / "state"}
    with pytest.raises(ValueError, match="a `batch` of 6 records cannot be divided evenly among 4 processes"):
        train_generator("diffwave", None, TRAIN, sines_folder, tmp_path / "model", **options)
