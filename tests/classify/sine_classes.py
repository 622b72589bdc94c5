"""Classes that a tiny network can learn: each is a sine wave of its own frequency, in noise."""

from __future__ import annotations

import numpy as np

CLASSES = ("SR", "AFIB", "SVTAC")
LENGTH = 64


def signals_of(labels: np.ndarray, seed: int) -> np.ndarray:
    """Signals ``(n, 12, 64)``, leads of different offset and size."""
    rng = np.random.default_rng(seed)
    time = np.arange(LENGTH) / LENGTH
    wave = np.sin(2 * np.pi * (3 + 4 * labels[:, None]) * time + rng.uniform(0, 6, (len(labels), 1)))
    noise = rng.normal(size=(len(labels), 12, LENGTH))
    sizes = np.linspace(0.1, 2, 12)[:, None]
    return ((wave[:, None] + 0.5 * noise) * sizes + np.arange(12)[:, None]).astype(np.float32)
