"""A small trained generator in a model folder, and the command line in this process."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from beating import SPEC, Command, waves

from ecgpipe.cli.app import main
from ecgpipe.dataset import Dataset, save_dataset
from ecgpipe.files import write_json
from ecgpipe.generate.class_mean_pca import ClassMeanPCA
from ecgpipe.generate.protocol import Signals
from ecgpipe.sample.names import SAMPLING

os.environ["_TYPER_FORCE_DISABLE_TERMINAL"] = "1"  # no colours in what is compared, whatever CI asks for


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Command:
    """Run ``ecgpipe …``; return exit code, stdout and stderr."""

    def command(*words: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in words])
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return command


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
