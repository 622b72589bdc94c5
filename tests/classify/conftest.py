from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import torch
from sine_classes import CLASSES, LENGTH, signals_of

from ecgpipe.classify import cnn, resnets
from ecgpipe.classify.network import columns
from ecgpipe.config import ClassifierSettings
from ecgpipe.dataset import SignalSpec, save_dataset


@pytest.fixture(scope="session")
def spec() -> SignalSpec:
    return SignalSpec(100.0, LENGTH, CLASSES)


@pytest.fixture(scope="session")
def settings() -> ClassifierSettings:
    return ClassifierSettings(
        blocks=2, channels=3, kernel=3, width=8, dense_layers=1, learning_rate=0.01, batch=8, epochs=4, patience=3
    )


@pytest.fixture(scope="session")
def make_dataset(spec):
    """Write a set of ``n`` records of each class in train, and half as many in validation and in test."""

    def make(folder: Path, seed: int = 0, n: int = 12, absent: tuple[str, ...] = (), spec: SignalSpec = spec) -> Path:
        rows = [
            {"label": name, "split": split}
            for split, count in (("train", n), ("validation", n // 2), ("test", n // 2))
            for name in CLASSES
            for _ in range(count)
            if not (name in absent and split == "train")
        ]
        records = pd.DataFrame(rows).sample(frac=1, random_state=seed, ignore_index=True)
        names = [f"{folder.name}{i:03d}" for i in range(len(records))]
        records = records.assign(record=names, patient=names, source=folder.name, age=50.0, sex="F", codes="")
        labels = records["label"].map(CLASSES.index).to_numpy()
        save_dataset(folder, signals_of(labels, seed)[:, :, : spec.length], records, spec)
        return folder

    return make


@pytest.fixture(scope="session")
def folders(make_dataset, tmp_path_factory) -> tuple[Path, Path]:
    """A real set and samples of the generator ``diffwave``."""
    folder = tmp_path_factory.mktemp("sets")
    return make_dataset(folder / "hospital"), make_dataset(folder / "diffwave", seed=5, n=14)


@pytest.fixture(scope="module")
def double() -> Iterator[None]:
    """Networks in double precision. Training amplifies rounding, which differs from one processor to the next."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (cnn, resnets):
            patch.setattr(module, "columns", lambda signals: columns(signals).double())
        torch.set_default_dtype(torch.float64)
        yield
        torch.set_default_dtype(torch.float32)
