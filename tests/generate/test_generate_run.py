"""Training and sampling as the workflow calls them, with this package's generator and with a user's own."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ecgpipe.dataset import Dataset, save_dataset
from ecgpipe.files import read_json, write_json
from ecgpipe.generate.base import ModelFileError, load_generator
from ecgpipe.generate.protocol import Signals
from ecgpipe.generate.registry import GeneratorError
from ecgpipe.generate.run import train_generator
from ecgpipe.leads import LEADS
from ecgpipe.sample.run import draw_samples

TINY = {
    "draft": "none",
    "channels": 8,
    "layers": 2,
    "cycle": 2,
    "patch": 2,
    "steps": 6,
    "batch": 6,
    "warmup": 2,
    "validate_every": 3,
}

MEAN_OF_CLASS = '''
"""The shortest generator there can be: the mean of a class, and nothing random."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from pydantic import BaseModel

from ecgpipe.dataset import SignalSpec
from ecgpipe.generate.base import load_model, save_model


class MeanOfClass:
    class Settings(BaseModel):
        gain: float = 1.0

    class SampleSettings(BaseModel):
        pass

    def __init__(self, settings, spec):
        self.settings, self.spec = settings, spec

    def fit(self, train, validation, *, seed, state_dir, device, progress):
        x, y = train.batch(np.arange(len(train)))
        self.mean = torch.stack([x[y == c].mean(dim=0) for c in range(len(self.spec.classes))])
        return pd.DataFrame([{"stage": "train", "step": 1}])

    def sample(self, labels, *, settings, seeds, device):
        return (self.settings.gain * self.mean[torch.from_numpy(labels)]).numpy()

    def save(self, folder):
        save_model(folder, self, self.settings, self.spec, {"mean": self.mean}, {})

    @classmethod
    def load(cls, folder):
        facts, tensors = load_model(folder, cls)
        out = cls(cls.Settings.model_validate(facts["settings"]), SignalSpec.from_json(facts["signals"]))
        out.mean = tensors["mean"]
        return out
'''


def train(data: Path, out: Path, settings: dict[str, Any] = TINY, **changes: Any) -> None:
    options: dict[str, Any] = {"seed": 3, "device": "cpu", "threads": 1, "state_dir": out.parent / "state", **changes}
    train_generator(options.pop("name", "diffwave"), options.pop("class_path", None), settings, data, out, **options)


def draw(model: Path, data: Path, out: Path, sample: dict[str, Any] | None = None, **changes: Any) -> Dataset:
    options: dict[str, Any] = {
        "name": "diffwave",
        "number": 30,
        "labels": "uniform",
        "chunk": 8,
        "seed": 3,
        "device": "cpu",
        "threads": 1,
        "state_dir": out.parent / "drawn",
        **changes,
    }
    draw_samples(model, data, out, sample={"evaluations": 2} if sample is None else sample, **options)
    return Dataset.load(out)


def test_from_a_dataset_to_a_synthetic_one(sines_folder: Path, sines: Dataset, tmp_path: Path) -> None:
    train(sines_folder, tmp_path / "model")
    assert sorted(p.name for p in (tmp_path / "model").iterdir()) == [
        "history.parquet",
        "model.json",
        "model.safetensors",
    ]
    assert pd.read_parquet(tmp_path / "model" / "history.parquet")["step"].tolist() == [3, 6]
    samples = draw(tmp_path / "model", sines_folder, tmp_path / "samples")
    assert samples.spec == sines.spec
    assert samples.records["label"].value_counts().to_dict() == {"SLOW": 10, "FAST": 10, "FLAT": 10}
    assert samples.records["sampler"].unique().tolist() == ["dpmpp_2m"]
    assert not (tmp_path / "state").exists()
    assert not (tmp_path / "drawn").exists()


def test_the_test_split_is_never_read(
    sines_folder: Path, sines: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: dict[int, set[int]] = {}
    batch = Signals.batch

    def watched(self: Signals, indices: np.ndarray) -> Any:
        read.setdefault(len(self), set()).update(self.signals.rows[indices].tolist())
        return batch(self, indices)

    monkeypatch.setattr(Signals, "batch", watched)
    train(sines_folder, tmp_path / "model")
    assert read == {36: set(sines.indices("train").tolist()), 12: set(sines.indices("validation").tolist())}


def test_samples_can_follow_the_training_frequencies(sines: Dataset, tmp_path: Path) -> None:
    keep = np.flatnonzero((sines.labels != 1) | (np.arange(60) % 2 == 0))
    save_dataset(
        tmp_path / "data", np.asarray(sines.signals)[keep], sines.records.iloc[keep].reset_index(drop=True), sines.spec
    )
    train(tmp_path / "data", tmp_path / "model")
    samples = draw(tmp_path / "model", tmp_path / "data", tmp_path / "samples", labels="training")
    assert samples.records["label"].value_counts().to_dict() == {"SLOW": 12, "FLAT": 12, "FAST": 6}


def test_samples_can_have_given_numbers_of_each_class(sines_folder: Path, tmp_path: Path) -> None:
    train(sines_folder, tmp_path / "model")
    samples = draw(tmp_path / "model", sines_folder, tmp_path / "samples", labels={"FLAT": 3, "SLOW": 11})
    assert samples.records["label"].value_counts().to_dict() == {"SLOW": 11, "FLAT": 3}
    with pytest.raises(ValueError, match=r"`samples\.counts`: no class SLEW; there are SLOW, FAST, FLAT"):
        draw(tmp_path / "model", sines_folder, tmp_path / "samples", labels={"SLEW": 3})


def test_a_users_own_class_runs_the_same_way(
    sines_folder: Path, sines: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "users_mean.py").write_text(MEAN_OF_CLASS)
    monkeypatch.syspath_prepend(tmp_path)
    train(sines_folder, tmp_path / "model", {"gain": 2.0}, name="mean", class_path="users_mean:MeanOfClass")
    samples = draw(tmp_path / "model", sines_folder, tmp_path / "samples", {}, name="mean")
    rows = sines.indices("train")
    expected = 2 * np.asarray(sines.signals)[rows][sines.labels[rows] == 0].mean(axis=0)
    np.testing.assert_allclose(samples.signals[samples.labels == 0][0], expected, atol=1e-6)
    assert samples.records["sampler"].isna().all()


def test_a_class_without_training_records_is_told_and_not_drawn(
    sines: Dataset, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    keep = np.flatnonzero((sines.labels != 1) | (sines.records["split"] != "train").to_numpy())
    save_dataset(
        tmp_path / "data", np.asarray(sines.signals)[keep], sines.records.iloc[keep].reset_index(drop=True), sines.spec
    )
    train(tmp_path / "data", tmp_path / "model")
    assert "has no training record of FAST" in caplog.text
    samples = draw(tmp_path / "model", tmp_path / "data", tmp_path / "samples")
    assert len(samples) == 30
    assert "FAST" not in set(samples.records["label"])
    with pytest.raises(ValueError, match="saw no training record of FAST; set 0 or leave them out"):
        draw(tmp_path / "model", tmp_path / "data", tmp_path / "asked", labels={"SLOW": 9, "FAST": 1})


def test_wrong_settings_are_an_error_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(GeneratorError, match=r"generator_settings\.diffwave\.train\.colour"):
        train(tmp_path / "there is no data", tmp_path / "model", {"colour": "red"})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classes": ("SLOW", "FAST", "FLIT")}, r"model of signals whose classes is \['SLOW', 'FAST', 'FLAT'\], here"),
        ({"classes": ("FLAT", "FAST", "SLOW")}, r"here it is \['FLAT', 'FAST', 'SLOW'\]"),
        ({"leads": LEADS[::-1]}, "model of signals whose leads is"),
        ({"rate": 250.0}, r"model of signals whose rate is 100\.0, here it is 250\.0"),
    ],
)
def test_a_model_of_other_signals_is_an_error(
    sines_folder: Path, sines: Dataset, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    train(sines_folder, tmp_path / "model")
    with pytest.raises(ModelFileError, match=message):
        load_generator("diffwave", tmp_path / "model", dataclasses.replace(sines.spec, **change))


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda facts: {**facts, "format": 99}, r"model\.json is of format 99, this version of ecgpipe reads format"),
        (lambda facts: {k: v for k, v in facts.items() if k != "sha256"}, r"model\.json does not say its `sha256`"),
        (lambda facts: {k: v for k, v in facts.items() if k != "signals"}, r"model\.json does not say its `signals`"),
        (lambda facts: {**facts, "signals": 3}, r"model\.json does not say its `signals`"),
        (lambda facts: [facts], r"model\.json is of format None"),
        (lambda facts: {**facts, "scale": None}, r"model\.json does not fit this version"),
        (lambda facts: {**facts, "training_records": None}, "`settings` and `training_records` must be mappings"),
        (
            lambda facts: {**facts, "settings": {k: v for k, v in facts["settings"].items() if k != "conditioning"}},
            r"written by ecgpipe \S+, whose DiffWave has other settings \(conditioning\)",
        ),
        (
            lambda facts: {**facts, "settings": {**facts["settings"], "layers": 7}},
            r"^\S+model\.safetensors holds the weights of another network than DiffWave builds from \S+,"
            r" written by .{,60}$",
        ),
    ],
)
def test_a_wrong_model_json_is_one_clear_error(
    sines_folder: Path, sines: Dataset, tmp_path: Path, edit: Any, message: str
) -> None:
    train(sines_folder, tmp_path / "model")
    description = tmp_path / "model" / "model.json"
    write_json(description, edit(read_json(description)))
    with pytest.raises(ModelFileError, match=message):
        load_generator("diffwave", tmp_path / "model", sines.spec)


def test_a_class_that_is_not_there_is_told_by_the_generators_name(
    sines_folder: Path, sines: Dataset, tmp_path: Path
) -> None:
    train(sines_folder, tmp_path / "model")
    description = tmp_path / "model" / "model.json"
    write_json(description, {**read_json(description), "class": "nosuch:Thing"})
    with pytest.raises(GeneratorError, match="generator 'diffwave': there is no module nosuch"):
        load_generator("diffwave", tmp_path / "model", sines.spec)


def test_truncated_files_are_one_clear_error(sines_folder: Path, sines: Dataset, tmp_path: Path) -> None:
    train(sines_folder, tmp_path / "model")
    weights, description = (tmp_path / "model" / name for name in ("model.safetensors", "model.json"))
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelFileError, match=r"model\.safetensors is not the file that .* describes"):
        draw(tmp_path / "model", sines_folder, tmp_path / "samples")
    weights.write_bytes(whole)
    description.write_text(description.read_text()[:40])
    with pytest.raises(ValueError, match=r"model\.json is not valid JSON"):
        draw(tmp_path / "model", sines_folder, tmp_path / "samples")


def test_a_model_of_another_dataset_is_an_error(sines_folder: Path, sines: Dataset, tmp_path: Path) -> None:
    train(sines_folder, tmp_path / "model")
    save_dataset(
        tmp_path / "short",
        np.asarray(sines.signals)[..., :32],
        sines.records,
        type(sines.spec)(100.0, 32, sines.spec.classes),
    )
    with pytest.raises(ModelFileError, match="a model of signals whose length is 64, here it is 32"):
        draw(tmp_path / "model", tmp_path / "short", tmp_path / "samples")
    with pytest.raises(GeneratorError, match=r"generator_settings\.diffwave\.sample\.steps"):
        draw(tmp_path / "model", sines_folder, tmp_path / "samples", {"steps": 5})
    shutil.rmtree(tmp_path / "model")
    with pytest.raises(ModelFileError, match=r"model\.json is missing"):
        draw(tmp_path / "model", sines_folder, tmp_path / "samples")
