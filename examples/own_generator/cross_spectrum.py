"""A generator of one's own: a stationary Gaussian process with each class's cross-spectrum.

A record of class c is, at every frequency f, X(f) = L_c(f) z(f) with z complex normal and L_c(f) L_c(f)^H the mean of
X(f) X(f)^H over the class's training records. Lead amplitudes, spectra and correlations between leads are right, but
there are no beats, which are a matter of the phases. See docs/adding_a_generator.md for how a study uses this file.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch
from pydantic import Field

from ecgpipe.dataset import SignalSpec
from ecgpipe.generate import protocol
from ecgpipe.generate.base import load_model, save_model
from ecgpipe.generate.protocol import Signals
from ecgpipe.generate.training import HISTORY
from ecgpipe.leads import independent_from_twelve, twelve_from_independent

BATCH = 64
"""Records read at a time: what is in memory does not grow with their number."""


class CrossSpectrumSettings(protocol.Settings):
    """What may stand under `train` in the configuration."""

    prior_records: float = Field(
        8.0, gt=0, description="How many records the spectrum of all classes counts for in that of each."
    )


class CrossSpectrumSampleSettings(protocol.Settings):
    """Nothing may stand under `sample`."""


class CrossSpectrum:
    """One Gaussian process a class; see the module."""

    Settings: ClassVar[type[CrossSpectrumSettings]] = CrossSpectrumSettings
    SampleSettings: ClassVar[type[CrossSpectrumSampleSettings]] = CrossSpectrumSampleSettings

    def __init__(self, settings: CrossSpectrumSettings, spec: SignalSpec) -> None:
        self.settings = settings
        self.spec = spec
        self.factor = np.empty((0, 0, 8, 8), dtype=np.complex128)
        """L: ``(classes, frequencies, 8, 8)``, mV."""

    def fit(
        self, train: Signals, validation: Signals, *, seed: int, state_dir: Path, device: str, progress: bool
    ) -> pd.DataFrame:
        """Take the mean cross-spectrum of each class; nothing here is random, or long enough to need a checkpoint."""
        started = time.perf_counter()
        classes, frequencies = len(self.spec.classes), self.spec.length // 2 + 1
        total = np.zeros((classes, frequencies, 8, 8), dtype=np.complex128)
        for x, y in self._spectra(train):
            np.add.at(total, y, x[..., :, None] * x[..., None, :].conj())
        counts = np.bincount(train.labels, minlength=classes)[:, None, None, None]
        prior = self.settings.prior_records
        spectrum = (total + prior * total.sum(axis=0) / len(train)) / (counts + prior)
        # Frequencies at which the leads hardly differ need a trace of noise to have a factor.
        noise = 1e-6 * np.trace(spectrum, axis1=-2, axis2=-1).real.mean()
        self.factor = np.linalg.cholesky(spectrum + noise * np.eye(8))
        seconds = time.perf_counter() - started
        row = {
            "stage": "train",
            "step": 1,
            "epoch": 1.0,
            "train_loss": self._loss(train),
            "validation_loss": self._loss(validation),
            "seconds": seconds,
            "records_per_second": len(train) / seconds,
        }
        return pd.DataFrame([row]).reindex(columns=list(HISTORY))

    def sample(self, labels: np.ndarray, *, settings: Any, seeds: np.ndarray, device: str) -> np.ndarray:
        """Draw one record a label; a record's own seed decides all that is random in it."""
        out = np.empty((len(labels), 8, self.spec.length), dtype=np.float32)
        for place, (label, seed) in enumerate(zip(labels, seeds, strict=True)):
            real, imaginary = np.random.default_rng(int(seed)).standard_normal((2, self.factor.shape[1], 8))
            z = (real + 1j * imaginary) / np.sqrt(2)
            ends = [0] if self.spec.length % 2 else [0, -1]
            z[ends] = real[ends]  # the ends of a real signal's spectrum are real
            spectrum = (self.factor[label] @ z[..., None])[..., 0]
            out[place] = np.fft.irfft(spectrum.T, self.spec.length)
        return twelve_from_independent(out)

    def save(self, folder: Path) -> None:
        """Write the model file, weights as safetensors."""
        save_model(
            folder, self, self.settings, self.spec, {"factor": torch.view_as_real(torch.from_numpy(self.factor))}, {}
        )

    @classmethod
    def load(cls, folder: Path) -> CrossSpectrum:
        """Read what :meth:`save` wrote."""
        facts, tensors = load_model(folder, cls)
        out = cls(cls.Settings.model_validate(facts["settings"]), SignalSpec.from_json(facts["signals"]))
        out.factor = torch.view_as_complex(tensors["factor"]).numpy()
        return out

    def _spectra(self, signals: Signals) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield Fourier transforms ``(b, frequencies, 8)`` and class ids, a batch at a time."""
        for first in range(0, len(signals), BATCH):
            x, y = signals.batch(np.arange(first, min(first + BATCH, len(signals))))
            yield np.fft.rfft(independent_from_twelve(x.numpy())).swapaxes(1, 2), y.numpy()

    def _loss(self, signals: Signals) -> float:
        """Return the negative log-likelihood a coefficient, but for a constant (Whittle's)."""
        total = 0.0
        for x, y in self._spectra(signals):
            white = np.linalg.solve(self.factor[y], x[..., None])
            size = np.log(np.diagonal(self.factor[y], axis1=-2, axis2=-1).real).sum()
            total += float(np.square(np.abs(white)).sum() + 2 * size)
        return total / max(1, len(signals) * 8 * self.factor.shape[1])
