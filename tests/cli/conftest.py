"""A small trained generator in a model folder, and the command line in this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ecgpipe.cli.app import main
from ecgpipe.dataset import Dataset, SignalSpec, save_dataset
from ecgpipe.files import write_json
from ecgpipe.generate.class_mean_pca import ClassMeanPCA
from ecgpipe.generate.protocol import Signals
from ecgpipe.sample.names import SAMPLING

SPEC = SignalSpec(100.0, 400, ("SR", "AFIB", "STACH"))

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Command:
    """Run ``ecgpipe …``; return exit code, stdout and stderr."""

    def command(*words: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in words])
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return command


def waves(labels: list[str], seed: int = 0) -> np.ndarray:
    """Return ECG-like signals in mV: a peak for each beat, whose rate tells the class."""
    rng, t = np.random.default_rng(seed), np.arange(SPEC.length) / SPEC.rate
    beats = {"SR": 1.0, "AFIB": 1.6, "STACH": 2.4}
    signals = np.empty((len(labels), 12, SPEC.length), dtype=np.float32)
    for row, label in enumerate(labels):
        phase = (t * beats[label] * rng.uniform(0.95, 1.05) + rng.random()) % 1
        beat = np.exp(-(((phase - 0.5) / 0.03) ** 2)) + 0.2 * np.exp(-(((phase - 0.75) / 0.08) ** 2))
        signals[row] = np.linspace(0.6, 1.4, 12)[:, None] * beat + rng.normal(0, 0.02, (12, SPEC.length))
    return signals


@pytest.fixture(scope="session")
def dataset_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of 90 records: SR and AFIB in every split, STACH in none."""
    labels = [("SR", "AFIB")[row % 2] for row in range(90)]
    splits = ["train" if row < 50 else "validation" if row < 66 else "test" for row in range(90)]
    records = pd.DataFrame(
        {
            "record": [f"r{row:02d}" for row in range(90)],
            "patient": [f"p{row:02d}" for row in range(90)],
            "label": labels,
            "split": splits,
            "source": "made",
            "age": np.nan,
            "sex": "unknown",
            "codes": "",
        }
    )
    folder = tmp_path_factory.mktemp("data") / "made"
    save_dataset(folder, waves(labels), records, SPEC)
    return folder


@pytest.fixture(scope="session")
def model(dataset_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a generator trained on :func:`dataset_folder`, as a study leaves it."""
    dataset = Dataset.load(dataset_folder)
    folder = tmp_path_factory.mktemp("models") / "class_mean_pca"
    generator = ClassMeanPCA(ClassMeanPCA.Settings(components=8), SPEC)
    train, validation = Signals.of(dataset, "train"), Signals.of(dataset, "validation")
    generator.fit(train, validation, seed=0, state_dir=folder / "state", device="cpu", progress=False)
    generator.save(folder)
    write_json(folder / SAMPLING, {"generator": "class_mean_pca", "sample": {}})
    return folder
