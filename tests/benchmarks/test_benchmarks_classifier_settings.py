"""The choice of the small classifier: no test record is read, and no patient is in two folds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
import yaml

from ecgpipe.config import ClassifierSettings, classifier_settings
from ecgpipe.dataset import Dataset, SignalSpec

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def module(load: Callable[[str], ModuleType]) -> ModuleType:
    return load("classifier_settings")


def test_test_records_change_nothing(module: ModuleType) -> None:
    rng = np.random.default_rng(0)
    labels, splits = np.arange(60) % 2, np.array(["train"] * 30 + ["validation"] * 15 + ["test"] * 15)
    signals = rng.standard_normal((60, 12, 60)).astype(np.float32) + labels[:, None, None]
    records = pd.DataFrame(
        {"patient": [f"p{i}" for i in range(60)], "label": np.array(["a", "b"])[labels], "split": splits}
    )
    spec = SignalSpec(100.0, 60, ("a", "b"))
    settings = ClassifierSettings(
        blocks=1, channels=2, width=4, dense_layers=1, dropout=0.0, batch=8, steps=60, learning_rate=0.02
    )
    clean = module.judged(Dataset(signals, records, spec), settings, 0)
    poisoned = np.where((splits == "test")[:, None, None], np.float32(np.nan), signals)
    assert module.judged(Dataset(poisoned, records, spec), settings, 0) == clean
    assert clean["f1"] > 0.6  # it learns from the other records


def test_patients_are_kept_together(module: ModuleType) -> None:
    patients = np.repeat(np.arange(20), 3)
    folds = module.split(np.repeat(np.arange(20) % 2, 3), patients, 4, 0)
    assert sorted(np.concatenate([fold for _, fold in folds])) == list(range(60))
    for rest, fold in folds:
        assert not set(patients[rest]) & set(patients[fold])


def test_the_study_uses_the_best(module: ModuleType) -> None:
    study = yaml.safe_load((ROOT / "configs" / "physionet_matrix.yaml").read_text(encoding="utf-8"))
    [used] = study["classifiers"].values()
    best = yaml.safe_load(pd.read_csv(module.CSV)["settings"][0])
    assert classifier_settings(used) == classifier_settings({**best, **module.COMMON})
