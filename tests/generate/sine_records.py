"""Small labelled signals for the tests of generators: sine waves that differ by class, limb leads consistent."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from ecgpipe.dataset import SignalSpec, save_dataset
from ecgpipe.leads import twelve_from_independent

LENGTH = 64
CLASSES = ("SLOW", "FAST", "FLAT")


def write_sines(folder: Path, number: int = 60, length: int = LENGTH, seed: int = 0) -> Path:
    """Write a dataset of sine waves: the class sets the frequency, the record phase and amplitudes (mV)."""
    rng = np.random.default_rng(seed)
    labels = np.arange(number) % len(CLASSES)
    time = np.arange(length) / length
    cycles = np.array([2.0, 6.0, 0.5])[labels]
    wave = np.sin(2 * np.pi * (cycles[:, None] * time + rng.random((number, 1))))
    eight = 0.2 * wave[:, None] * rng.uniform(0.5, 1.5, (number, 8, 1)) + 0.01 * rng.standard_normal(
        (number, 8, length)
    )
    records = pd.DataFrame(
        {
            "record": [f"r{i:03d}" for i in range(number)],
            "patient": [f"p{i:03d}" for i in range(number)],
            "label": [CLASSES[i] for i in labels],
            "split": np.array(["train", "train", "train", "validation", "test"])[np.arange(number) // len(CLASSES) % 5],
            "source": "sines",
            "age": 50.0,
            "sex": "unknown",
            "codes": "",
        }
    )
    save_dataset(folder, twelve_from_independent(eight).astype(np.float32), records, SignalSpec(100.0, length, CLASSES))
    return folder
