"""No generator touches the test records: poisoned ones change neither its weights nor its samples."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_vqvae import NETWORKS

from ecgpipe.dataset import Dataset
from ecgpipe.generate.run import train_generator
from ecgpipe.sample.run import draw_samples

TRAINING = {"steps": 6, "batch": 6, "warmup": 2, "validate_every": 3}
PRIOR = {**TRAINING, "width": 16, "layers": 1, "heads": 2}
TINY: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "diffwave": ({"channels": 8, "layers": 2, "cycle": 2, "patch": 2, "draft": "none", **TRAINING}, {"evaluations": 3}),
    "time_diffusion": (
        {"patch": 4, "widths": [32, 32], "embedding": 16, "draft": "none", **TRAINING},
        {"evaluations": 3},
    ),
    "time_vqvae": (
        {
            **NETWORKS,
            "stage1": TRAINING,
            "lf_prior": PRIOR,
            "hf_prior": PRIOR,
            "enhancer": {**TRAINING, "width": 2},
        },
        {"lf_rounds": 3, "hf_rounds": 2},
    ),
    "class_mean_pca": ({}, {}),
}
"""Settings of training and sampling of each generator, as small as can be."""


@pytest.mark.parametrize("name", TINY)
def test_poisoned_test_records_change_nothing(sines_folder: Path, tmp_path: Path, name: str) -> None:
    train, sample = TINY[name]
    poisoned = shutil.copytree(sines_folder, tmp_path / "poisoned")
    signals = np.load(poisoned / "signals.npy")
    signals[Dataset.load(poisoned).indices("test")] = np.nan
    np.save(poisoned / "signals.npy", signals)
    made = []
    for folder in (sines_folder, poisoned):
        out = tmp_path / "out" / folder.name
        common = {"device": "cpu", "threads": 1, "state_dir": tmp_path / "state"}
        train_generator(name, None, train, folder, out / "model", seed=3, **common)
        draw_samples(
            out / "model",
            folder,
            out / "samples",
            name=name,
            sample=sample,
            number=12,
            labels="uniform",
            chunk=4,
            seed=5,
            **common,
        )
        made.append([(out / p).read_bytes() for p in ("model/model.safetensors", "samples/signals.npy")])
    assert made[0] == made[1]
