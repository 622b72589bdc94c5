"""An .npy file that grows: signals go to disk as they come, whatever their number turns out to be."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ecgpipe.files import atomic_path


class SignalWriter:
    """Appends float32 signals ``(k, leads, length)`` to one array on disk."""

    def __init__(self, handle: BinaryIO, shape: tuple[int, int]) -> None:
        self._handle = handle
        self._shape = shape
        self._start = 0
        self.count = 0
        self._write_header()
        self._start = handle.tell()

    def append(self, signals: np.ndarray) -> None:
        """Write ``(k, leads, length)``, in mV, behind what is there.

        Raises:
            ValueError: if the shape is another.
        """
        if signals.shape[1:] != self._shape:
            raise ValueError(f"signals of shape {signals.shape[1:]} do not fit an array of {self._shape}")
        self._handle.write(np.ascontiguousarray(signals, dtype="<f4").data)
        self.count += len(signals)

    def finish(self) -> None:
        """Write the true number of signals into the header."""
        self._handle.seek(0)
        self._write_header()
        # numpy leaves room in the header for the first axis to grow, so that the data need not move.
        if self._handle.tell() != self._start:
            raise RuntimeError("numpy's header changed its size; signals.npy would be wrong")

    def _write_header(self) -> None:
        header = {"descr": "<f4", "fortran_order": False, "shape": (self.count, *self._shape)}
        np.lib.format.write_array_header_1_0(self._handle, header)


@contextmanager
def signal_writer(path: str | Path, shape: tuple[int, int]) -> Iterator[SignalWriter]:
    """Yield a writer of ``(n, *shape)`` to ``path``; the file is there, whole, only if no error came."""
    with atomic_path(path) as temporary, open(temporary, "wb") as handle:
        writer = SignalWriter(handle, shape)
        yield writer
        writer.finish()
