"""Signals that beat like an ECG, and what a command line gives back."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ecgpipe.dataset import SignalSpec

SPEC = SignalSpec(100.0, 400, ("SR", "AFIB", "STACH"))

Command = Callable[..., tuple[int, str, str]]
"""From the words behind ``ecgpipe`` to exit code, stdout and stderr."""


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
