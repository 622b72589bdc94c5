"""Small results of classifiers, as the classify stage writes them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ecgpipe.files import write_parquet

CLASSES = ("SR", "AFIB", "SVTAC")


def predictions(
    setting: str,
    generator: str,
    fraction: float,
    skill: float,
    *,
    dataset: str = "a",
    seeds: tuple[int, ...] = (0, 1, 2),
    labels: str = "S" * 24 + "A" * 24 + "V" * 8,
    stream: int = 0,
    ratio: str | None = None,
    tested: str | None = None,
) -> pd.DataFrame:
    """Return predictions that put ``skill`` more on the true class; two records a patient, SVTAC is rare."""
    names = [{"S": "SR", "A": "AFIB", "V": "SVTAC"}[letter] for letter in labels]
    truth = np.array([CLASSES.index(name) for name in names])
    frames = []
    for seed in seeds:
        rng = np.random.default_rng([seed, stream])
        scores = rng.normal(size=(len(names), len(CLASSES)))
        scores[np.arange(len(names)), truth] += skill
        odds = np.exp(scores)
        frame = pd.DataFrame(
            {
                "dataset": dataset,
                "setting": setting,
                "generator": generator,
                "fraction": fraction,
                "ratio": ratio or ("all" if setting == "TrRSTeR" else "none"),
                "tested": tested or dataset,
                "seed": seed,
                "record": [f"r{i:03d}" for i in range(len(names))],
                "patient": [f"p{i // 2:03d}" for i in range(len(names))],
                "label": names,
            }
        )
        frame[[f"p_{name}" for name in CLASSES]] = (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32)
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)


@pytest.fixture(scope="session")
def write(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Write predictions to a folder of their own and return the file's path."""

    def write_one(*frames: pd.DataFrame) -> Path:
        path = tmp_path_factory.mktemp("classifiers") / "predictions.parquet"
        write_parquet(path, pd.concat(frames, ignore_index=True), {"classes": list(CLASSES)})
        return path

    return write_one


@pytest.fixture(scope="session")
def make() -> Callable[..., pd.DataFrame]:
    """Return :func:`predictions`."""
    return predictions
