"""A set of ECGs as the closeness measures take it: signals, rate, leads, and where known labels and patients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import InitVar, dataclass, replace

import numpy as np

from ecgpipe.arrays import SignalReader
from ecgpipe.dataset import Dataset
from ecgpipe.leads import LEADS

BLOCK = 256
"""Records read at a time."""


@dataclass(frozen=True)
class Records:
    """ECGs of one kind.

    Attributes:
        signals: ``(n, leads, length)`` in mV, in memory or read when asked for; ``signals[:]`` is an array either way.
        rate: sampling rate, Hz.
        labels: class name of each record, ``(n,)``; None if not known.
        patients: patient of each record, ``(n,)``; None takes every record for its patient's only one.
        leads: names of the leads, in order.
        names: names of the records, ``(n,)``; None names each by its index.

    Raises:
        ValueError: if the parts do not fit together, or a sample is NaN or infinite.
    """

    signals: np.ndarray | SignalReader
    rate: float
    labels: np.ndarray | None = None
    patients: np.ndarray | None = None
    leads: tuple[str, ...] = LEADS
    names: np.ndarray | None = None
    checked: InitVar[bool] = False
    """The samples are known to be finite: they are not read for that."""

    def __post_init__(self, checked: bool) -> None:
        if self.signals.ndim != 3 or self.signals.shape[1] != len(self.leads):
            raise ValueError(
                f"signals have shape {self.signals.shape}; expected (records, {len(self.leads)} leads, samples)"
            )
        for what in ("labels", "patients", "names"):
            value = getattr(self, what)
            if value is not None and len(value) != len(self.signals):
                raise ValueError(f"there are {len(self.signals)} records and {len(value)} {what}")
        if self.rate <= 0:
            raise ValueError(f"the sampling rate must be above 0 Hz, got {self.rate}")
        for start in range(0, 0 if checked else len(self.signals), BLOCK):
            finite = np.isfinite(self.signals[start : start + BLOCK]).all(axis=(1, 2))
            if not finite.all():
                raise ValueError(
                    f"record {self.name(start + int(np.argmin(finite)))} has NaN or infinite samples: leave it out"
                )

    def __len__(self) -> int:
        return len(self.signals)

    def name(self, row: int) -> str:
        """Return what the record of a row is called."""
        return str(row) if self.names is None else str(self.names[row])

    def view(self, rows: np.ndarray) -> Records:
        """Return chosen records; their signals are read, or copied, when asked for."""
        whole = self.signals if isinstance(self.signals, SignalReader) else SignalReader.of(self.signals)
        return Records(
            whole.subset(rows),
            self.rate,
            None if self.labels is None else self.labels[rows],
            None if self.patients is None else self.patients[rows],
            self.leads,
            None if self.names is None else self.names[rows],
            checked=True,
        )

    def take(self, rows: np.ndarray) -> Records:
        """Return chosen records, in memory."""
        return replace(self.view(rows), signals=np.asarray(self.signals[rows], dtype=np.float32), checked=True)

    @classmethod
    def of(cls, dataset: Dataset, splits: Sequence[str]) -> Records:
        """Return the records of some splits of a dataset; signals stay on disk until they are used."""
        rows = np.flatnonzero(dataset.records["split"].isin(list(splits)).to_numpy())
        chosen = dataset.records.iloc[rows]
        return cls(
            SignalReader.of(dataset.signals, rows),
            dataset.spec.rate,
            chosen["label"].to_numpy(dtype=object),
            chosen["patient"].to_numpy(dtype=object),
            dataset.spec.leads,
            chosen["record"].to_numpy(dtype=object),
        )


def require_same_form(first: Records, second: Records, what: str) -> None:
    """Check that two sets can be compared: same rate, leads and length.

    Raises:
        ValueError: naming what differs; ``what`` says which two sets they are.
    """
    parts = {
        "rate": (first.rate, second.rate),
        "leads": (first.leads, second.leads),
        "samples a record": (first.signals.shape[2], second.signals.shape[2]),
    }
    if different := [f"{name} {a} and {b}" for name, (a, b) in parts.items() if a != b]:
        raise ValueError(f"{what} cannot be compared: {'; '.join(different)}; bring them to one form first")
