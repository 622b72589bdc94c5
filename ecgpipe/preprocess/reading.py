"""One record from its files to twelve leads in mV, found by name."""

from __future__ import annotations

import codecs
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ecgpipe.leads import DuplicateLeadError, named_lead, standard_order
from ecgpipe.preprocess import headers
from ecgpipe.preprocess.headers import MILLIVOLTS, RATES, Header, SignalLine
from ecgpipe.preprocess.reasons import InvalidRecord
from ecgpipe.preprocess.resample import crop, native_length
from ecgpipe.preprocess.samples import DataFile, read_samples, regular_file

MAX_HEADER_BYTES = 1 << 16
"""Bytes; a 12-lead header has about 700."""

Aliases = Mapping[str, str | None]
"""Names of leads as :func:`ecgpipe.leads.named_lead` takes them."""


@dataclass(frozen=True)
class Recording:
    """The stretch of a recording that a study takes."""

    signals: np.ndarray
    """Twelve leads in standard order, ``(12, n)``, mV, float64, NaN where a sample is missing."""
    rate: float
    """Sampling rate of the leads, Hz."""
    gain: np.ndarray
    """ADC units a mV of each lead, as the header says: ``(12,)``."""


def read_header(path: Path) -> Header:
    """Read the header file ``path``.

    Raises:
        InvalidRecord: ``missing_header``, or what :func:`ecgpipe.preprocess.headers.parse` raises.
    """
    found, _ = regular_file(path, "missing_header", "unreadable_header")
    with open(found, "rb") as handle:
        raw = handle.read(MAX_HEADER_BYTES + 1)
    if len(raw) > MAX_HEADER_BYTES:
        raise InvalidRecord("unreadable_header", f"{path.name} has more than {MAX_HEADER_BYTES} bytes")
    return headers.parse(_text(raw), path.stem)


def _text(raw: bytes) -> str:
    """Return a header's bytes as text, without what fills up the last block of a tape or disk."""
    coding = "utf-16" if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    try:
        text = raw.decode(coding)
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    return text.rstrip("\0\x1a \t\r\n")


def read_recording(
    header: Header, folder: Path, target: float, length: int, aliases: Aliases | None = None
) -> Recording:
    """Read the first samples of a record, as many as give ``length`` samples at ``target`` Hz.

    Args:
        header: of the record.
        folder: of its files.
        target: sampling rate in Hz that the signals are to be brought to.
        length: samples that are needed then.
        aliases: further names of leads.

    Raises:
        InvalidRecord: ``too_short``, or what :func:`read_leads` raises.
    """
    chosen, signs = _leads(header, aliases)
    rate = _common_rate(header, chosen)
    signals = _read(header, folder, native_length(rate, target, length), chosen, signs)
    return Recording(crop(signals, rate, target, length), rate, _gains(chosen))


def read_leads(header: Header, folder: Path, samples: int | None = None, aliases: Aliases | None = None) -> np.ndarray:
    """Read the first ``samples`` samples of a record's twelve leads, or all: ``(12, n)`` as in :class:`Recording`.

    Fewer come back if the record has no more.

    Raises:
        InvalidRecord: if a lead or a data file is missing, leads have different sampling rates, or the samples are not
            what the header says.
    """
    chosen, signs = _leads(header, aliases)
    _common_rate(header, chosen)
    return _read(header, folder, samples, chosen, signs)


def lead_rate(header: Header, aliases: Aliases | None = None) -> float:
    """Return the sampling rate of the twelve leads in Hz: frames a second by samples a frame.

    Raises:
        InvalidRecord: ``sampling_rate``, if the leads have different ones or it is no rate of an ECG; ``missing_lead``
            or ``duplicate_lead``.
    """
    return _common_rate(header, _leads(header, aliases)[0])


def gains(header: Header, aliases: Aliases | None = None) -> np.ndarray:
    """Return the gain of the twelve leads in standard order: ``(12,)``, ADC units a mV."""
    return _gains(_leads(header, aliases)[0])


def _read(
    header: Header, folder: Path, samples: int | None, chosen: list[SignalLine], signs: list[float]
) -> np.ndarray:
    """Read the chosen signals, from one data file or several, in mV."""
    names = [signal.file for signal in chosen]
    parts, order = [], []
    for name in dict.fromkeys(names):  # nearly always one
        places = [place for place, file in enumerate(names) if file == name]
        signals = tuple(signal for signal in header.signals if signal.file == name)
        wanted = [_place(signals, chosen[place]) for place in places]
        parts.append(read_samples(DataFile(folder / name, signals, header.rate, header.length), wanted, samples))
        order += places
    if len({part.shape[1] for part in parts}) > 1:
        raise InvalidRecord("short_data", f"{' and '.join(dict.fromkeys(names))} hold different numbers of samples")
    physical = parts[0] if len(parts) == 1 else np.concatenate(parts)[np.argsort(order)]
    factors = [MILLIVOLTS[signal.unit.lower()] * sign for signal, sign in zip(chosen, signs, strict=True)]
    return physical if set(factors) == {1.0} else physical * np.array(factors)[:, None]


def _place(signals: tuple[SignalLine, ...], chosen: SignalLine) -> int:
    """Return the place of a signal; lines of a header may be equal, but not those of two leads."""
    return next(place for place, signal in enumerate(signals) if signal is chosen)


def _common_rate(header: Header, chosen: list[SignalLine]) -> float:
    each = {signal.samples_per_frame: signal.lead for signal in reversed(chosen)}
    if len(each) > 1:
        told = ", ".join(f"{lead} has {header.rate * number:g} Hz" for number, lead in each.items())
        raise InvalidRecord("sampling_rate", f"leads with different sampling rates: {told}")
    rate = header.rate * chosen[0].samples_per_frame
    if not RATES[0] <= rate <= RATES[1]:
        raise InvalidRecord("sampling_rate", f"{rate:g} Hz is not within {RATES[0]:g} to {RATES[1]:g} Hz")
    return rate


def _gains(chosen: list[SignalLine]) -> np.ndarray:
    return np.array([signal.gain / MILLIVOLTS[signal.unit.lower()] for signal in chosen])


def _leads(header: Header, aliases: Aliases | None) -> tuple[list[SignalLine], list[float]]:
    """Return the signal line of each standard lead, and its sign: -1 if it is stored upside down."""
    names = tuple([signal.lead for signal in header.signals])
    order, signs = _order(names, tuple(aliases.items()) if aliases else ())
    chosen = [header.signals[line] for line in order]
    for signal in chosen:
        if signal.uncalibrated is not None:  # a lead by an alias
            raise signal.uncalibrated
    return chosen, signs


@functools.lru_cache(maxsize=64)
def _order(names: tuple[str, ...], aliases: tuple[tuple[str, str | None], ...]) -> tuple[list[int], list[float]]:
    further = dict(aliases)
    try:
        order = standard_order(names, further)
    except DuplicateLeadError as error:
        raise InvalidRecord("duplicate_lead", str(error)) from error
    except ValueError as error:
        raise InvalidRecord("missing_lead", str(error)) from error
    found = [named_lead(names[line], further) for line in order]
    return order, [1.0 if lead is None else float(lead.sign) for lead in found]
