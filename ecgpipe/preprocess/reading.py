"""One record from its two files to twelve leads in mV.

Samples of format 16, which both data sets of the study use, are read with numpy: the same numbers as from
``wfdb.rdrecord``, bit for bit, in a fraction of its time, most of which its header parser takes. Every other format is
read by wfdb from a header rewritten in the form it expects.
"""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

import numpy as np
import wfdb

from ecgpipe.leads import LEADS, standard_name, standard_order
from ecgpipe.preprocess import headers
from ecgpipe.preprocess.headers import MILLIVOLTS, Header, SignalLine
from ecgpipe.preprocess.reasons import InvalidRecord

MISSING = -32768
"""The value that marks a missing sample in format 16."""

MAX_HEADER_BYTES = 1 << 16
"""Bytes; a 12-lead header has about 700."""

MAX_SAMPLES_PER_BYTE = 64
"""No storage format packs an ECG more tightly than this."""


def read_header(path: Path) -> Header:
    """Read the header file ``path``.

    Raises:
        InvalidRecord: ``missing_header``, or what :func:`ecgpipe.preprocess.headers.parse` raises.
    """
    try:
        with open(path, "rb") as handle:
            raw = handle.read(MAX_HEADER_BYTES + 1)
    except FileNotFoundError as error:
        raise InvalidRecord("missing_header", f"{path.name} is not there") from error
    if len(raw) > MAX_HEADER_BYTES:
        raise InvalidRecord("unreadable_header", f"{path.name} has more than {MAX_HEADER_BYTES} bytes")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    return headers.parse(text, path.stem)


def read_leads(header: Header, folder: Path) -> np.ndarray:
    """Read the twelve leads of a record: ``(12, n)`` in standard order, mV, float64, NaN where a sample is missing.

    Raises:
        InvalidRecord: if a lead or the data file is missing, or the samples are not what the header says.
    """
    lines = _line_of_each_lead(header)
    path = folder / header.data_file
    try:
        size = path.stat().st_size
    except FileNotFoundError as error:
        raise InvalidRecord("missing_data", f"{path.name} is not there") from error
    if _is_plain_format_16(header):
        physical = _read_format_16(header, lines, path, size)
    else:
        physical = _read_with_wfdb(header, lines, path, size)
    units = np.array([MILLIVOLTS[header.signals[line].unit.lower()] for line in lines])
    return physical if (units == 1.0).all() else physical * units[:, None]


def _line_of_each_lead(header: Header) -> list[int]:
    return _order(tuple(signal.lead for signal in header.signals))


@functools.lru_cache(maxsize=64)
def _order(names: tuple[str, ...]) -> list[int]:
    try:
        return standard_order(names)
    except ValueError as error:
        found = {standard_name(name) for name in names}
        raise InvalidRecord("duplicate_lead" if found.issuperset(LEADS) else "missing_lead", str(error)) from error


def _is_plain_format_16(header: Header) -> bool:
    """Return whether the data file is one block of 16-bit samples, frame after frame."""
    first = header.signals[0]
    return all(
        (signal.format, signal.samples_per_frame, signal.skew, signal.byte_offset) == (16, 1, 0, first.byte_offset)
        for signal in header.signals
    )


def _read_format_16(header: Header, lines: list[int], path: Path, size: int) -> np.ndarray:
    count, offset = len(header.signals), header.signals[0].byte_offset
    there = max(size - offset, 0) // (2 * count)
    length = there if header.length is None else header.length
    if there < length or there == 0:
        raise InvalidRecord("short_data", f"{path.name} holds {there} samples a lead, its header says {length}")
    frames = np.fromfile(path, dtype="<i2", count=length * count, offset=offset).reshape(length, count)
    samples = np.ascontiguousarray(frames.T)
    _verify_checksums(header.signals, samples, path)
    digital = samples[lines]
    chosen = [header.signals[line] for line in lines]
    baseline = np.array([float(signal.baseline) for signal in chosen])[:, None]
    gain = np.array([signal.gain for signal in chosen])[:, None]
    physical: np.ndarray = digital - baseline
    physical /= gain
    if (digital.min(axis=1, initial=0) == MISSING).any():
        physical[digital == MISSING] = np.nan
    return physical


def _verify_checksums(signals: tuple[SignalLine, ...], samples: np.ndarray, path: Path) -> None:
    """Verify the checksum of each lead of ``(leads, n)``: its sum modulo 2^16, which some headers give signed.

    If all are zero, the header has no checksums.
    """
    if not any(signal.checksum for signal in signals):
        return
    sums = samples.sum(axis=1, dtype=np.int64)
    wrong = [s.lead for s, total in zip(signals, sums, strict=True) if (int(total) - s.checksum) % 65536]
    if wrong:
        raise InvalidRecord("checksum", f"{path.name}: lead {', '.join(wrong)}")


def _read_with_wfdb(header: Header, lines: list[int], path: Path, size: int) -> np.ndarray:
    if (header.length or 0) * len(header.signals) > MAX_SAMPLES_PER_BYTE * size:
        raise InvalidRecord(
            "short_data", f"{path.name} has {size} bytes, its header says {header.length} samples a lead"
        )
    with tempfile.TemporaryDirectory(prefix="ecgpipe-") as folder:
        (Path(folder) / "record.dat").symlink_to(path.resolve())
        text = headers.canonical(header, "record", "record.dat")
        (Path(folder) / "record.hea").write_text(text, encoding="ascii", errors="replace")
        try:
            record = wfdb.rdrecord(f"{folder}/record", physical=False)
            physical = record.dac(return_res=64)
        # wfdb raises whatever its parts raise (IndexError, TypeError, ...), and one bad record must not end the run.
        except Exception as error:
            raise InvalidRecord("unreadable_data", f"{path.name}: {type(error).__name__}: {error}") from error
    if all(
        signal.samples_per_frame == 1 and signal.skew == 0 for signal in header.signals
    ):  # otherwise not what was summed
        _verify_checksums(header.signals, record.d_signal.T, path)
    return np.ascontiguousarray(physical.T[lines])


def gains(header: Header) -> np.ndarray:
    """Return the gain of the twelve leads in standard order: ``(12,)``, ADC units a mV."""
    chosen = [header.signals[line] for line in _line_of_each_lead(header)]
    return np.array([signal.gain / MILLIVOLTS[signal.unit.lower()] for signal in chosen])
