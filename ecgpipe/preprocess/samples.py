"""The samples of one data file, of any WFDB format; no more is kept than is asked for.

Samples of format 16, which both data sets of the study use, are read with numpy: the same numbers as from
``wfdb.rdrecord``, bit for bit, in a fraction of its time, most of which its header parser takes. So is format 61, its
bytes in the other order, whose digital samples wfdb cannot return. Every other format is read by wfdb from a header
rewritten in the form it expects.

Checksums are those of whole recordings. They are verified a block at a time, so that a recording of a day takes no more
memory than one of ten seconds.
"""

from __future__ import annotations

import math
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import wfdb

from ecgpipe.preprocess.headers import SignalLine, canonical
from ecgpipe.preprocess.reasons import InvalidRecord

PLAIN = {16: "<i2", 61: ">i2"}
"""Formats that are plain 16-bit numbers, with numpy's name of these."""

MISSING = -32768
"""The value that marks a missing sample in them."""

BLOCK_SAMPLES = 1 << 21
"""Samples of all signals of a file that are in memory at a time: 4 MB in format 16."""

MAX_SAMPLES = 1 << 27
"""Most samples of all signals in a stretch that is decoded at once: 1 GB."""

MAX_SAMPLES_PER_BYTE = 64
"""No storage format packs an ECG more tightly than this."""

BYTES_PER_SAMPLE = {8: 1.0, 16: 2.0, 24: 3.0, 32: 4.0, 61: 2.0, 80: 1.0, 160: 2.0, 212: 1.5, 310: 4 / 3, 311: 4 / 3}
"""Of each format of a fixed size."""

FLAC = (508, 516, 524)
"""Formats that are compressed."""

DIFFERENCES = 8
"""The format that holds differences, so that it has to be read from its start."""


@dataclass(frozen=True)
class DataFile:
    """A data file as its header describes it."""

    path: Path
    signals: tuple[SignalLine, ...]
    """All signals of the file, in the order of their samples."""
    rate: float
    """Frames a second."""
    length: int | None
    """Frames; None if only the file's size tells."""

    @property
    def is_plain(self) -> bool:
        """Whether it is one block of 16-bit samples, frame after frame."""
        first = self.signals[0]
        form = (first.format, 1, 0, first.byte_offset)
        return first.format in PLAIN and all(
            (s.format, s.samples_per_frame, s.skew, s.byte_offset) == form for s in self.signals
        )

    @property
    def frame(self) -> int:
        """Samples of all signals in a frame."""
        return sum(signal.samples_per_frame for signal in self.signals)

    @property
    def has_checksums(self) -> bool:
        """Whether its header has checksums, which are then not all 0, and samples are read in the order of the file."""
        return any(signal.checksum for signal in self.signals) and not any(signal.skew for signal in self.signals)


def regular_file(path: Path, missing: str, unreadable: str) -> tuple[Path, int]:
    """Return the path of a file, whose extension may be in capitals, and its bytes.

    Raises:
        InvalidRecord: ``missing`` if there is none; ``unreadable`` if it is a pipe, a device or a folder, which would
            never end or cannot be read.
    """
    for change in (None, str.upper, str.lower):
        candidate = path if change is None else path.with_suffix(change(path.suffix))
        try:
            found = candidate.stat()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise InvalidRecord(unreadable, f"{path.name}: {error.strerror}") from error
        if not stat.S_ISREG(found.st_mode):
            raise InvalidRecord(unreadable, f"{path.name} is {_kind(found.st_mode)}, not a file")
        return candidate, found.st_size
    raise InvalidRecord(missing, f"{path.name} is not there")


def _kind(mode: int) -> str:
    kinds = ((stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a named pipe"), (stat.S_ISSOCK, "a socket"))
    return next((name for test, name in kinds if test(mode)), "a device")


def read_samples(file: DataFile, wanted: list[int], samples: int | None) -> np.ndarray:
    """Read the first ``samples`` samples, all if None, of some of a file's signals, which have one sampling rate.

    Args:
        file: the data file.
        wanted: places of the signals among those of the file.
        samples: of each signal.

    Returns:
        ``(len(wanted), n)`` float64 in the unit of each signal, NaN where a sample is missing.

    Raises:
        InvalidRecord: ``missing_data``, ``short_data``, ``checksum`` or ``unreadable_data``.
    """
    path, size = regular_file(file.path, "missing_data", "unreadable_data")
    length = _length(file, size)
    each = file.signals[wanted[0]].samples_per_frame
    frames = length if samples is None else min(length, math.ceil(samples / each))
    if file.is_plain:
        return _read_plain(file, path, wanted, length, frames)
    return _read_with_wfdb(file, path, wanted, length, frames)[:, :samples]


def _length(file: DataFile, size: int) -> int:
    """Return the frames of a file of ``size`` bytes, and check that it holds as many as its header says.

    Raises:
        InvalidRecord: ``short_data``; ``unreadable_data`` if there is no such format.
    """
    name, first = file.path.name, file.signals[0]
    if first.format in FLAC:
        if file.length is None:
            raise InvalidRecord("unreadable_data", f"{name} is FLAC, and its header does not give its length")
        if file.length * file.frame > MAX_SAMPLES_PER_BYTE * size:
            raise InvalidRecord("short_data", f"{name} has {size} bytes, its header says {file.length} samples a lead")
        return file.length
    if first.format not in BYTES_PER_SAMPLE:
        raise InvalidRecord("unreadable_data", f"{name}: {first.format} is no storage format of WFDB")
    there = int(max(size - first.byte_offset, 0) / (BYTES_PER_SAMPLE[first.format] * file.frame) + 1e-9)
    length = there if file.length is None else file.length
    if there < length or there == 0:
        raise InvalidRecord("short_data", f"{name} holds {there} samples a lead, its header says {length}")
    return length


def _read_plain(file: DataFile, path: Path, wanted: list[int], length: int, needed: int) -> np.ndarray:
    count, offset = len(file.signals), file.signals[0].byte_offset
    kind = PLAIN[file.signals[0].format]
    digital = np.empty((len(wanted), needed), np.int16)
    sums = np.zeros(count, np.int64)
    verify = file.has_checksums
    stop, step = length if verify else needed, max(1, BLOCK_SAMPLES // count)
    for start in range(0, stop, step):
        size = min(step, stop - start) * count
        frames = np.fromfile(path, dtype=kind, count=size, offset=offset + 2 * start * count)
        if len(frames) < size:
            raise InvalidRecord("short_data", f"{path.name} became shorter while it was read")
        block = np.ascontiguousarray(frames.reshape(-1, count).T)
        if verify:
            sums += block.sum(axis=1, dtype=np.int64)
        if start < needed:
            digital[:, start : start + step] = block[wanted, : needed - start]
    if verify:
        _verify_checksums(file, sums)
    chosen = [file.signals[place] for place in wanted]
    baseline = np.array([float(signal.baseline) for signal in chosen])[:, None]
    gain = np.array([signal.gain for signal in chosen])[:, None]
    physical: np.ndarray = digital - baseline
    physical /= gain
    if (digital.min(axis=1, initial=0) == MISSING).any():
        physical[digital == MISSING] = np.nan
    return physical


def _read_with_wfdb(file: DataFile, path: Path, wanted: list[int], length: int, needed: int) -> np.ndarray:
    verify = file.has_checksums
    stop = length if verify else needed
    in_blocks = verify and file.signals[0].format != DIFFERENCES
    step = max(1, BLOCK_SAMPLES // file.frame) if in_blocks else max(1, stop)
    if step * file.frame > MAX_SAMPLES:
        raise InvalidRecord(
            "unreadable_data", f"{path.name}: {stop} frames of {file.frame} samples are too many to decode at once"
        )
    sums = np.zeros(len(file.signals), np.int64)
    parts = []
    with tempfile.TemporaryDirectory(prefix="ecgpipe-") as folder:
        (Path(folder) / "record.dat").symlink_to(path.resolve())
        text = canonical(file.signals, file.rate, length, "record", "record.dat")
        (Path(folder) / "record.hea").write_text(text, encoding="ascii", errors="replace")
        for start in range(0, stop, step):
            digital, physical = _decode(f"{folder}/record", path.name, start, min(stop, start + step), start < needed)
            if verify:
                sums += [signal.sum(dtype=np.int64) for signal in digital]
            if start < needed:
                parts.append([physical[place] for place in wanted])
    if verify:
        _verify_checksums(file, sums)
    each = file.signals[wanted[0]].samples_per_frame
    return np.ascontiguousarray(np.concatenate(parts, axis=1)[:, : needed * each])


def _decode(record: str, name: str, start: int, stop: int, in_units: bool) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Read some frames of a record with wfdb, each signal with all samples of its frames.

    Returns:
        The samples of each signal as stored, and in its unit if ``in_units``.
    """
    try:
        found = wfdb.rdrecord(record, sampfrom=start, sampto=stop, physical=False, smooth_frames=False)
        return found.e_d_signal, found.dac(expanded=True, return_res=64) if in_units else []
    # wfdb raises whatever its parts raise (IndexError, TypeError, ...), and one bad record must not end the run.
    except Exception as error:
        raise InvalidRecord("unreadable_data", f"{name}: {type(error).__name__}: {error}") from error


def _verify_checksums(file: DataFile, sums: np.ndarray) -> None:
    """Verify the checksum of each signal: its sum modulo 2^16, which some headers give signed."""
    wrong = [s.lead for s, total in zip(file.signals, sums, strict=True) if (int(total) - s.checksum) % 65536]
    if wrong:
        raise InvalidRecord("checksum", f"{file.path.name}: lead {', '.join(wrong)}")
