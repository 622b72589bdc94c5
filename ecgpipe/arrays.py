"""Arrays of signals on disk: a writer that appends to an .npy file, and a lazy reader of chosen rows."""

from __future__ import annotations

import math
import mmap
import os
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeGuard

import numpy as np

from ecgpipe.files import atomic_path

BLOCK = 256
"""Records read at a time by :meth:`SignalReader.blocks`: 12 MB at 100 Hz."""


class SignalWriter:
    """Appends float32 signals ``(k, leads, length)`` to an .npy file, however many they turn out to be."""

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


def keep_rows(path: str | Path, rows: np.ndarray) -> None:
    """Write an array of signals ``(n, leads, length)`` anew with some of its rows only."""
    whole = SignalReader.of(np.load(path, mmap_mode="r"))
    with signal_writer(path, (whole.shape[1], whole.shape[2])) as writer:
        for block in whole.subset(rows).blocks():
            writer.append(block)


@contextmanager
def signal_writer(path: str | Path, shape: tuple[int, int]) -> Iterator[SignalWriter]:
    """Yield a writer of ``(n, *shape)`` to ``path``; the file is there, whole, only if no error came."""
    with atomic_path(path) as temporary, open(temporary, "wb") as handle:
        writer = SignalWriter(handle, shape)
        yield writer
        writer.finish()


def open_signals(path: str | Path) -> np.ndarray:
    """Open an .npy file; its numbers stay on disk until they are used.

    Raises:
        ValueError: if it is damaged or ends early; the message names it.
    """
    try:
        array: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ValueError(
            f"{path} is damaged or cut short ({error}): delete it and run again, which makes it again"
        ) from error
    return array


class _MappedFile:
    """The rows of a whole memory-mapped file, read with plain file reads."""

    def __init__(self, array: np.memmap) -> None:
        self.shape, self.dtype = array.shape, array.dtype
        self._offset = array.offset
        # Kept open, so that all rows come from one file even if another is renamed into its place.
        self._file = open(str(array.filename), "rb", buffering=0)  # noqa: SIM115
        weakref.finalize(self, self._file.close)

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        out = np.empty((len(rows), *self.shape[1:]), self.dtype)
        size = math.prod(self.shape[1:]) * self.dtype.itemsize
        for place, row in enumerate(rows):
            if os.preadv(self._file.fileno(), [out[place].data], self._offset + int(row) * size) != size:
                raise ValueError(f"{self._file.name} ends within row {row}; delete it and run again")
        return out


def _is_mapped_file(array: np.ndarray) -> TypeGuard[np.memmap]:
    """Tell whether an array is a whole file, mapped read-only; a slice of one still has the offset of the whole."""
    base: object = array.base
    return (
        isinstance(array, np.memmap)
        and isinstance(base, mmap.mmap)
        and array.filename is not None
        and array.flags.c_contiguous
        and not array.flags.writeable  # else changes to a copy-on-write map would not be seen
    )


@dataclass(frozen=True, eq=False)
class SignalReader:
    """Chosen rows of one or more arrays of signals ``(n_i, leads, length)``, in any order, read when asked for.

    It has the shape of an array ``(n, leads, length)`` and is indexed like one along the first axis. Rows of a
    memory-mapped file are read with plain file reads and not through the map, because the pages of a map count as
    memory of the process for as long as the map lives: memory in use does not grow with the number of rows visited.

    Attributes:
        arrays: what the rows are read from.
        array: for each record, which of ``arrays`` it is in, ``(n,)``.
        rows: for each record, its row there, ``(n,)``.
    """

    arrays: tuple[np.ndarray | _MappedFile, ...]
    array: np.ndarray
    rows: np.ndarray

    @classmethod
    def of(cls, array: np.ndarray, rows: np.ndarray | None = None) -> SignalReader:
        """Read the given rows (by default all) of an array in memory or memory-mapped.

        Raises:
            IndexError: if the array does not have one of the rows.
        """
        chosen = np.arange(len(array))
        if rows is not None:
            chosen = chosen[rows]
        source = _MappedFile(array) if _is_mapped_file(array) else array
        return cls((source,), np.zeros(len(chosen), dtype=np.int64), chosen)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def shape(self) -> tuple[int, ...]:
        """``(n, leads, length)``."""
        return (len(self), *self.arrays[0].shape[1:])

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def dtype(self) -> np.dtype:
        """Type that holds the numbers of all arrays."""
        return np.result_type(*(array.dtype for array in self.arrays))

    def __getitem__(self, key: int | np.integer | slice | np.ndarray) -> np.ndarray:
        """Read one record ``(leads, length)``, or those of a slice or an array of positions ``(k, leads, length)``.

        Raises:
            ValueError: if a file ends before a record does.
        """
        if isinstance(key, (int, np.integer)):
            return np.asarray(self[np.array([key])][0])
        array, rows = self.array[key], self.rows[key]
        if len(self.arrays) == 1:
            return np.asarray(self.arrays[0][rows])
        signals = np.empty((len(rows), *self.shape[1:]), self.dtype)
        for number, source in enumerate(self.arrays):
            here = np.flatnonzero(array == number)
            signals[here] = source[rows[here]]
        return signals

    def subset(self, positions: slice | np.ndarray) -> SignalReader:
        """Return a reader of the records at ``positions``; nothing is read."""
        return SignalReader(self.arrays, self.array[positions], self.rows[positions])

    def __add__(self, other: SignalReader) -> SignalReader:
        """Return a reader of the records of both, those of ``self`` first; nothing is read."""
        return SignalReader(
            self.arrays + other.arrays,
            np.concatenate([self.array, other.array + len(self.arrays)]),
            np.concatenate([self.rows, other.rows]),
        )

    def blocks(self, size: int = BLOCK) -> Iterator[np.ndarray]:
        """Read all records in turn, ``(k, leads, length)``, at most ``size`` at a time."""
        for start in range(0, len(self), size):
            yield self[start : start + size]
