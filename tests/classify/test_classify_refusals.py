"""What the experiments refuse: sets and networks that do not belong together, and splits without records."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from ecgpipe.classify.experiments import Experiment
from ecgpipe.classify.run import run_augmentation, run_real, run_transfer
from ecgpipe.dataset import Dataset
from ecgpipe.files import write_parquet


def test_other_hospitals_share_no_recording(make_dataset, folders, tmp_path, settings):
    data, twin = folders[0], make_dataset(tmp_path / "twin", seed=3, n=8)
    signals = np.load(twin / "signals.npy")
    signals[5] = 0.4 * np.load(data / "signals.npy")[2]  # under another gain
    np.save(twin / "signals.npy", signals)
    out, state = tmp_path / "out", tmp_path / "state"
    message = "of hospital and .* of twin have the same signals"
    with pytest.raises(ValueError, match=message):
        run_real(Experiment(data, out, settings, [0.5, 1.0], [4, 9], state, also_test=[twin]))
    transfer = Experiment(data, out, settings, [0.5], [4, 9], state)
    with pytest.raises(ValueError, match=message):
        run_transfer(transfer, tmp_path / "start.safetensors", origin=twin)


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_empty_split(make_dataset, tmp_path, settings, split):
    data = make_dataset(tmp_path / "real")
    dataset = Dataset.load(data)
    other = "test" if split == "train" else "train"
    write_parquet(data / "records.parquet", dataset.records.replace({"split": {split: other}}), dataset.spec.to_json())
    with pytest.raises(ValueError, match=rf"real has no {split} record"):
        run_real(Experiment(data, tmp_path / "out", settings, [1.0], [0], tmp_path / "state"))


@pytest.mark.parametrize("change", [{"rate": 50.0}, {"length": 60}, {"classes": ("SR", "AFIB", "SVTAC", "STACH")}])
def test_sets_that_do_not_fit_together(make_dataset, folders, spec, tmp_path, settings, change):
    data, samples = folders
    other = make_dataset(tmp_path / "other", spec=replace(spec, **change))
    state = tmp_path / "state"
    with pytest.raises(ValueError, match=rf"other and .*diffwave do not fit together \({next(iter(change))}: "):
        run_augmentation(Experiment(other, tmp_path / "out", settings, [], [0], state), [samples], ["TrSTeR"])
    run_augmentation(Experiment(data, tmp_path / "out", settings, [], [0], state), [samples], ["TrSTeR"])
    pretrained = tmp_path / "out" / "pretrained.safetensors"
    with pytest.raises(ValueError, match=r"other and .*pretrained.safetensors do not fit together"):
        run_transfer(Experiment(other, tmp_path / "out", settings, [1.0], [0], state), pretrained)


def test_networks_that_do_not_fit(folders, tmp_path, settings):
    data, samples = folders
    state, pretrained = tmp_path / "state", tmp_path / "pretrained.safetensors"
    run_augmentation(Experiment(data, tmp_path, settings, [], [0], state), [samples], ["TrSTeR"])
    with pytest.raises(ValueError, match="has no network of seed 1, 2"):
        run_transfer(Experiment(data, tmp_path, settings, [1.0], [0, 1, 2], state), pretrained)
    wider = settings.model_copy(update={"width": 16})
    with pytest.raises(ValueError, match="trained with width 8, the settings say 16"):
        run_transfer(Experiment(data, tmp_path, wider, [1.0], [0], state), pretrained)
    with pytest.raises(FileNotFoundError):
        run_transfer(Experiment(data, tmp_path, settings, [1.0], [0], state), tmp_path / "none.safetensors")
    torch_file = tmp_path / "other.safetensors"
    save_file({"x": torch.zeros(1)}, torch_file)
    with pytest.raises(ValueError, match="holds no pre-trained classifiers"):
        run_transfer(Experiment(data, tmp_path, settings, [1.0], [0], state), torch_file)
