"""Simulated ECGs to compare."""

import numpy as np
import pytest

from ecgpipe.closeness.records import Records
from ecgpipe.simulator.ecg import simulate_ecg
from ecgpipe.simulator.hospitals import HOSPITALS
from ecgpipe.simulator.patients import draw_patient

CLASSES = ("AFIB", "SR", "STACH")


def simulated(n: int, seed: int) -> Records:
    """Return ``n`` simulated records, the three classes in turn."""
    rng = np.random.default_rng(seed)
    labels = np.array([CLASSES[i % len(CLASSES)] for i in range(n)], dtype=object)
    hospital = HOSPITALS["a"]
    signals = [simulate_ecg(rng, name, hospital, draw_patient(rng, hospital, name), 100, 10.0) for name in labels]
    return Records(np.stack(signals), 100.0, labels)


@pytest.fixture(scope="session")
def held_out() -> Records:
    return simulated(120, 1)


@pytest.fixture(scope="session")
def train() -> Records:
    return simulated(240, 2)


@pytest.fixture(scope="session")
def fresh() -> Records:
    """Records of the same kind as the real ones: what a perfect generator would draw."""
    return simulated(150, 3)
