"""Class mean and PCA: one Gaussian a class in the space of the principal components. The control, not a contender.

A record of class c is mu_c + W z with z ~ N(0, Sigma_c): mu_c is the mean of the class's training records, W holds the
leading principal components of all records about their class's mean, and Sigma_c is the covariance of the class's
scores, shrunk towards that of all classes, since few classes have enough records for one of their own (regularised
discriminant analysis: Friedman, J. Am. Stat. Assoc. 84, 1989). The model knows nothing of beats; a generator that does
no better has learned nothing that matters.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
import torch
from pydantic import Field
from sklearn.decomposition import IncrementalPCA
from sklearn.utils import gen_batches

from ecgpipe.dataset import SignalSpec
from ecgpipe.generate.base import (
    LeadLayout,
    Leads,
    ModelFileError,
    check_drawable,
    load_model,
    save_model,
    training_records,
)
from ecgpipe.generate.protocol import Settings, Signals
from ecgpipe.generate.samplers import RecordNoise
from ecgpipe.generate.training import HISTORY

_BATCH = 512
_NOTHING_TO_LEARN = (
    "the {} training records of {} classes say nothing of how the records of a class differ; add records"
)


class ClassMeanPCASettings(Settings):
    """Settings of :class:`ClassMeanPCA`."""

    leads: Leads = Field(
        "independent8",
        description="`independent8` models I, II, V1-V6 and derives the other four exactly; `all12` models all twelve.",
    )
    components: int = Field(
        64, ge=1, le=_BATCH, description="Principal components; no more than there are training records less classes."
    )
    prior_records: float = Field(
        32.0, gt=0, description="How many records the covariance of all classes counts for in that of each class."
    )


class ClassMeanPCASampleSettings(Settings):
    """There is nothing to choose in drawing from a Gaussian."""


class ClassMeanPCA:
    """Per-class Gaussian in PCA space; a :class:`ecgpipe.generate.protocol.Generator`."""

    Settings: ClassVar[type[ClassMeanPCASettings]] = ClassMeanPCASettings
    SampleSettings: ClassVar[type[ClassMeanPCASampleSettings]] = ClassMeanPCASampleSettings

    def __init__(self, settings: Any, spec: SignalSpec) -> None:
        self.settings: ClassMeanPCASettings = settings
        self.spec = spec
        self.layout = LeadLayout(settings.leads, spec)
        self.mean: np.ndarray | None = None
        """Mean record of each class, ``(classes, channels * length)``, mV."""
        self.components = np.empty((0, 0))
        """Rows of unit length, ``(components, channels * length)``."""
        self.factor = np.empty((0, 0, 0))
        """Cholesky factor of each class's covariance, ``(classes, components, components)``, mV."""
        self.facts: dict[str, Any] = {}

    def fit(
        self, train: Signals, validation: Signals, *, seed: int, state_dir: Path, device: str, progress: bool
    ) -> pd.DataFrame:
        """Take means, components and covariances, a batch of records at a time; ``seed`` changes nothing.

        Returns:
            One row with the columns of :data:`~ecgpipe.generate.training.HISTORY`; the losses are the mean square, in
            mV², of the residual.

        Raises:
            ValueError: if no class has two training records that differ, or the signals are not finite.
        """
        started = time.perf_counter()
        counts = np.bincount(train.labels, minlength=len(self.spec.classes))
        free = len(train) - int((counts > 0).sum())
        if free < 1:
            raise ValueError(_NOTHING_TO_LEARN.format(len(train), len(counts)))
        number = min(self.settings.components, free)

        self.mean = np.zeros((len(counts), self.layout.channels * self.spec.length))
        for x, y in self._batches(train, 1):
            np.add.at(self.mean, y, x)
        self.mean /= counts.clip(min=1)[:, None]
        within = sum(float(np.square(x - self.mean[y]).sum()) for x, y in self._batches(train, 1))
        if not np.isfinite(within):
            raise ValueError(f"the {len(train)} training records hold NaN or infinite samples")
        if within <= 1e-12 * float(counts @ np.square(self.mean).sum(axis=1)):
            raise ValueError(_NOTHING_TO_LEARN.format(len(train), len(counts)))

        pca = IncrementalPCA(number)
        for x, y in self._batches(train, number):
            pca.partial_fit(x - self.mean[y])
        self.components = pca.components_

        scatter = np.zeros((len(counts), number, number))
        for x, y in self._batches(train, 1):
            scores = (x - self.mean[y]) @ self.components.T
            for c in np.unique(y):
                scatter[c] += scores[y == c].T @ scores[y == c]
        prior = self.settings.prior_records
        pooled = scatter.sum(axis=0) / free
        covariance = (scatter + prior * pooled) / (counts - 1 + prior).clip(min=prior)[:, None, None]
        # Repeated records leave directions without variance; a trace of it keeps the Cholesky factor defined.
        covariance += 1e-9 * np.trace(pooled) * np.eye(number)
        self.factor = np.linalg.cholesky(covariance)

        self.facts = {"seed": seed, "training_records": training_records(train)}
        seconds = time.perf_counter() - started
        row = {
            "stage": "train",
            "step": 1,
            "epoch": 1.0,
            "train_loss": self._residual(train),
            "validation_loss": self._residual(validation),
            "seconds": seconds,
            "records_per_second": len(train) / seconds,
        }
        return pd.DataFrame([row]).reindex(columns=list(HISTORY))

    def sample(self, labels: np.ndarray, *, settings: Any, seeds: np.ndarray, device: str) -> np.ndarray:
        """Draw one record a label; see :class:`ecgpipe.generate.protocol.Generator`.

        Raises:
            ValueError: if a class had no training record.
        """
        mean = self._fitted_mean()
        check_drawable(labels, self.spec, self.facts)
        normal = RecordNoise(seeds, (self.components.shape[0],), "cpu")().double().numpy()
        # One record at a time: in sums over many at once, the last bits would depend on the number of records.
        records = np.stack(
            [mean[c] + (self.factor[c] @ z) @ self.components for c, z in zip(labels, normal, strict=True)]
        )
        return self.layout.twelve(records.reshape(len(labels), self.layout.channels, -1).astype(np.float32))

    def save(self, folder: Path) -> None:
        """Write the model file; see :func:`ecgpipe.generate.base.save_model`."""
        arrays = {"mean": self._fitted_mean(), "components": self.components, "factor": self.factor}
        save_model(
            folder, self, self.settings, self.spec, {k: torch.from_numpy(v) for k, v in arrays.items()}, self.facts
        )

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a model file.

        Raises:
            ModelFileError: see :func:`ecgpipe.generate.base.load_model`; also if arrays and settings do not fit.
        """
        stored, tensors = load_model(folder, cls)
        try:
            out = cls(cls.Settings.model_validate(stored["settings"]), SignalSpec.from_json(stored["signals"]))
            out.mean, out.components, out.factor = (tensors[name].numpy() for name in ("mean", "components", "factor"))
            out.facts = {name: stored[name] for name in ("seed", "training_records")}
        except (ValueError, KeyError) as error:
            raise ModelFileError(
                f"{Path(folder) / 'model.json'} does not fit this version of {cls.__name__} ({error});"
                " train the generator again"
            ) from error
        size, number = out.layout.channels * out.spec.length, len(out.components)
        if (out.mean.shape, out.components.shape[1], out.factor.shape[1:]) != (
            (len(out.spec.classes), size),
            size,
            (number, number),
        ):
            raise ModelFileError(
                f"{Path(folder) / 'model.safetensors'} holds arrays of other sizes than"
                f" {Path(folder) / 'model.json'} says; train the generator again"
            )
        return out

    def _batches(self, signals: Signals, least: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield flattened records ``(b, channels * length)``, float64 mV, and classes, at least ``least`` at a time."""
        for part in gen_batches(len(signals), _BATCH, min_batch_size=least):
            x, y = signals.batch(np.arange(part.start, part.stop))
            yield self.layout.pick(x).flatten(1).double().numpy(), y.numpy()

    def _residual(self, signals: Signals) -> float:
        """Return the mean square, in mV², of what class mean and components leave of the records; NaN of none."""
        mean, total = self._fitted_mean(), 0.0
        if not len(signals):
            return math.nan
        for x, y in self._batches(signals, 1):
            x = x - mean[y]
            total += float(np.square(x).sum() - np.square(x @ self.components.T).sum())
        return total / (len(signals) * self.layout.channels * self.spec.length)

    def _fitted_mean(self) -> np.ndarray:
        if self.mean is None:
            raise ValueError("this ClassMeanPCA is not trained: call fit or load first")
        return self.mean


GENERATOR = ClassMeanPCA
