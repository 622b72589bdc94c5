"""What a classifier reads: labelled records of one or more datasets, standardised lead by lead, batch by batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from ecgpipe.arrays import SignalReader
from ecgpipe.dataset import Dataset

IN_MEMORY_BYTES = {"cpu": 2**30, "cuda": 2**33}
"""Standardised signals up to this size are kept in the device's memory; larger sets are read a batch at a time."""

_CHUNK = 256


@dataclass(frozen=True)
class Selection:
    """Labelled records, in order; no signal is read before :meth:`read`.

    Attributes:
        signals: ``(n, leads, length)`` in mV.
        labels: class ids ``(n,)``, int64.
    """

    signals: SignalReader
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def __add__(self, other: Selection) -> Selection:
        """Return the records of both, those of ``self`` first."""
        return Selection(self.signals + other.signals, np.concatenate([self.labels, other.labels]))

    def subset(self, positions: np.ndarray) -> Selection:
        """Return the records at ``positions``."""
        return Selection(self.signals.subset(positions), self.labels[positions])

    def read(self, positions: np.ndarray) -> np.ndarray:
        """Return the signals at ``positions``: float32 ``(len(positions), leads, length)``, mV."""
        return self.signals[positions].astype(np.float32, copy=False)


def select(dataset: Dataset, split: str) -> Selection:
    """Select one split (``train``, ``validation``, ``test``) of a dataset, in file order."""
    rows = dataset.indices(split)
    return Selection(SignalReader.of(dataset.signals, rows), dataset.labels[rows])


def _chunks(n: int) -> Iterator[np.ndarray]:
    for start in range(0, n, _CHUNK):
        yield np.arange(start, min(start + _CHUNK, n))


@dataclass(frozen=True)
class Standardizer:
    """Per-lead z-score.

    Attributes:
        mean: of each lead, ``(leads,)``, float64, mV.
        deviation: of each lead, ``(leads,)``, float64, mV; 1 for a lead that never changes.
    """

    mean: np.ndarray
    deviation: np.ndarray

    @classmethod
    def fit(cls, records: Selection) -> Standardizer:
        """Take mean and deviation of the training records in use, streamed in float64.

        Moments of chunks are merged as in Chan, Golub and LeVeque (1979), which loses no precision on leads with an
        offset.

        Raises:
            ValueError: if there is no record, or a sample is NaN or infinite.
        """
        if len(records) == 0:
            raise ValueError("there is no training record to standardise by")
        leads = records.signals.shape[1]
        count, mean, squares = 0, np.zeros(leads), np.zeros(leads)
        for positions in _chunks(len(records)):
            chunk = records.read(positions).astype(np.float64)
            n = chunk.shape[0] * chunk.shape[2]
            chunk_mean = chunk.mean(axis=(0, 2))
            chunk -= chunk_mean[:, None]
            shift = chunk_mean - mean
            squares += np.einsum("nlt,nlt->l", chunk, chunk) + shift**2 * (count * n / (count + n))
            mean = mean + shift * (n / (count + n))
            count += n
        deviation = np.sqrt(squares / count)
        if not np.isfinite(deviation).all():
            raise ValueError("the training records hold NaN or infinite samples")
        return cls(mean, np.where(deviation > 0, deviation, 1.0))

    def __call__(self, signals: np.ndarray) -> np.ndarray:
        """Standardise ``(n, leads, length)`` in mV; the result is float32, laid out channels-last."""
        by_sample = np.ascontiguousarray(signals.transpose(0, 2, 1), dtype=np.float32)
        by_sample -= self.mean.astype(np.float32)
        by_sample /= self.deviation.astype(np.float32)
        return by_sample.transpose(0, 2, 1)


class Inputs(Protocol):
    """Labelled inputs of a network, read in batches."""

    @property
    def labels(self) -> Tensor:
        """Class ids ``(n,)``, int64, on the device."""

    def batch(self, positions: np.ndarray) -> Tensor:
        """Return the inputs at ``positions``, on the device."""


@dataclass(frozen=True)
class InMemory:
    """Inputs ``(n, ...)`` that are on the device already."""

    values: Tensor
    labels: Tensor

    def batch(self, positions: np.ndarray) -> Tensor:
        """Return the inputs at ``positions``."""
        return self.values[torch.from_numpy(positions).to(self.values.device)]


@dataclass(frozen=True)
class Streamed:
    """Signals that are read and standardised when a batch is asked for."""

    records: Selection
    standardizer: Standardizer
    labels: Tensor

    def batch(self, positions: np.ndarray) -> Tensor:
        """Return standardised signals ``(len(positions), leads, length)``."""
        return torch.from_numpy(self.standardizer(self.records.read(positions))).to(self.labels.device)


def standardized(records: Selection, standardizer: Standardizer, device: torch.device) -> Inputs:
    """Return the records as inputs of a network: in memory if they fit (:data:`IN_MEMORY_BYTES`), else streamed.

    Both give the same numbers.
    """
    labels = torch.from_numpy(records.labels).to(device)
    streamed = Streamed(records, standardizer, labels)
    n, leads, length = records.signals.shape
    if 4 * n * leads * length > IN_MEMORY_BYTES[device.type]:
        return streamed
    by_sample = torch.empty((n, length, leads), dtype=torch.float32, device=device)
    for positions in _chunks(n):
        by_sample[positions[0] : positions[-1] + 1] = streamed.batch(positions).transpose(1, 2)
    return InMemory(by_sample.transpose(1, 2), labels)


@dataclass(frozen=True)
class Shared:
    """One network's part of signals that several have on the device, standardised when a batch is asked for.

    Attributes:
        signals: of all networks, ``(m, length, leads)``, mV.
        rows: this network's records among them, ``(n,)``, int64.
        mean: its z-score's, ``(leads,)``, float32.
        deviation: its z-score's, ``(leads,)``, float32.
        labels: of its records, ``(n,)``.
    """

    signals: Tensor
    rows: Tensor
    mean: Tensor
    deviation: Tensor
    labels: Tensor

    def batch(self, positions: np.ndarray) -> Tensor:
        """Return standardised signals ``(len(positions), leads, length)``."""
        chosen = self.signals[self.rows[torch.from_numpy(positions).to(self.rows.device)]]
        return chosen.sub_(self.mean).div_(self.deviation).transpose(1, 2)


def shared(
    parts: Sequence[Selection], standardizers: Sequence[Standardizer], device: torch.device
) -> list[Inputs] | None:
    """Return the records of several networks as their inputs; a record that several have is on the device once.

    They give the same numbers as :func:`standardized`.

    Returns:
        The inputs of each network; None if all records together do not fit (:data:`IN_MEMORY_BYTES`).
    """
    arrays = {id(array): array for part in parts for array in part.signals.arrays}
    numbers = {key: number for number, key in enumerate(arrays)}
    places = [
        np.array([numbers[id(array)] for array in part.signals.arrays])[part.signals.array] * 2**40 + part.signals.rows
        for part in parts
    ]
    union, rows = np.unique(np.concatenate(places), return_inverse=True)
    signals = SignalReader(tuple(arrays.values()), union // 2**40, union % 2**40)
    n, leads, length = signals.shape
    if 4 * n * leads * length > IN_MEMORY_BYTES[device.type]:
        return None
    by_sample = torch.empty((n, length, leads), dtype=torch.float32, device=device)
    for positions in _chunks(n):
        chunk = signals[positions].astype(np.float32, copy=False).transpose(0, 2, 1)
        by_sample[positions[0] : positions[-1] + 1] = torch.from_numpy(chunk)
    ends = np.cumsum([len(part) for part in parts])[:-1]
    return [
        Shared(
            by_sample,
            torch.from_numpy(own).to(device),
            torch.from_numpy(standardizer.mean.astype(np.float32)).to(device),
            torch.from_numpy(standardizer.deviation.astype(np.float32)).to(device),
            torch.from_numpy(part.labels).to(device),
        )
        for part, standardizer, own in zip(parts, standardizers, np.split(rows, ends), strict=True)
    ]
