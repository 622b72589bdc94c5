"""What a generator is: anything that can be fitted to labelled ECGs, drawn from, saved and loaded.

A generator of your own is one class with the members of :class:`Generator`, in a module of your own; the configuration
names it as ``class: package.module:Class``. Nothing need be inherited, though :class:`Settings` and the base classes
in :mod:`ecgpipe.generate.base` and :mod:`ecgpipe.generate.diffusion` save work.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Protocol, Self, runtime_checkable

import numpy as np
import pandas as pd
import torch
from pydantic import BaseModel
from torch import Tensor

from ecgpipe.arrays import SignalReader
from ecgpipe.dataset import Dataset, SignalSpec
from ecgpipe.plugins import Settings as Settings


class Signals:
    """Labelled records of a dataset; no signal is read before :meth:`batch`."""

    def __init__(self, dataset: Dataset, rows: np.ndarray) -> None:
        """Take ``rows`` (row numbers of ``dataset``, any order)."""
        self.spec = dataset.spec
        self.labels: np.ndarray = dataset.labels[rows]
        """Class ids ``(n,)``, int64."""
        self.signals = SignalReader.of(dataset.signals, rows)
        """``(n, 12, length)`` in mV."""

    @classmethod
    def of(cls, dataset: Dataset, split: str) -> Signals:
        """Take a split (``train``, ``validation`` or ``test``) of a dataset."""
        return cls(dataset, dataset.indices(split))

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, indices: np.ndarray) -> tuple[Tensor, Tensor]:
        """Read the records at ``indices`` (positions among these records).

        Returns:
            Signals ``(b, 12, length)`` in mV, float32, and class ids ``(b,)``, int64.

        Raises:
            ValueError: if the file ends before a record does.
        """
        signals = self.signals[indices].astype(np.float32, copy=False)
        return torch.from_numpy(signals), torch.from_numpy(self.labels[indices])


@runtime_checkable
class Generator(Protocol):
    """A class-conditional generator of 12-lead ECGs."""

    Settings: ClassVar[type[BaseModel]]
    """Hyper-parameters of model and training, as written under ``train`` in the configuration."""

    SampleSettings: ClassVar[type[BaseModel]]
    """How to draw, as written under ``sample``.

    A static method ``check_together(settings, sample_settings)``, if there is one, raises ValueError where the two do
    not go together. Fields named ``sampler`` (str), ``evaluations`` (int; levels or rounds a record) and ``guidance``
    (float) are written into the samples' table.
    """

    def __init__(self, settings: BaseModel, spec: SignalSpec) -> None:
        """Make an untrained generator of signals as ``spec`` says; ``settings`` is an instance of ``Settings``."""
        ...

    def fit(
        self,
        train: Signals,
        validation: Signals,
        *,
        seed: int,
        state_dir: Path,
        device: str,
        progress: bool,
    ) -> pd.DataFrame:
        """Train, and return the history, one row a validation.

        Args:
            train: records to learn from.
            validation: records to watch the loss on; never learned from.
            seed: of everything random; same seed and machine, same weights.
            state_dir: folder for checkpoints. A fit that was killed goes on from what it finds there.
            device: ``"cpu"``, ``"cuda"`` or ``"cuda:1"``.
            progress: show a progress bar (on a terminal).
        """
        ...

    def sample(self, labels: np.ndarray, *, settings: BaseModel, seeds: np.ndarray, device: str) -> np.ndarray:
        """Draw one record a label.

        Args:
            labels: class ids ``(n,)``, int64.
            settings: an instance of ``SampleSettings``.
            seeds: ``(n,)``, int64, one a record, which alone decides the record's randomness; what is drawn does not
                depend on which records are drawn together.
            device: as for :meth:`fit`.

        Returns:
            Signals ``(n, 12, length)``, float32, mV.
        """
        ...

    def save(self, folder: Path) -> None:
        """Write ``model.safetensors`` and ``model.json`` into ``folder``, all that :meth:`load` needs.

        ``model.json`` has at least ``class`` (``package.module:Class``) and ``signals`` (the specification as JSON);
        :func:`ecgpipe.generate.base.save_model` writes both files for any class.
        """
        ...

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a generator that :meth:`save` wrote.

        Raises:
            ValueError: if the files are damaged or are another class's.
        """
        ...
