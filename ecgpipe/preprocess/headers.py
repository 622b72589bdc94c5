"""A strict parser of WFDB headers: known deviations from the format are repaired, all else is invalid.

wfdb's own parser takes what a regular expression finds and ignores the rest. It rejects some headers that can be
understood (a record named ``E07520.mat``, a bare date, two joined lines) and silently misreads others (a missing gain
becomes the ADC resolution, ``µV`` becomes ``V``). Here every field must be what the format says.

Source: WFDB header format, https://physionet.org/physiotools/wag/header-5.htm.
"""

from __future__ import annotations

import functools
import math
import re
from dataclasses import dataclass
from typing import Literal

from ecgpipe.preprocess.reasons import InvalidRecord

Sex = Literal["female", "male", "unknown"]

MILLIVOLTS = {"mv": 1.0, "uv": 1e-3, "µv": 1e-3, "μv": 1e-3, "v": 1e3}
"""Size of a unit in mV, by its name in lower case (micro sign and Greek mu are two characters)."""

MAX_AGE = 120.0
"""Years; an age above this is an entry error or a code for something else."""

RATES = (20.0, 20000.0)
"""Lowest and highest plausible sampling rate of an ECG, in Hz."""

_INTEGER = r"[-+]?[0-9]{1,18}"
_NUMBER = r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"
_STORAGE = r"([0-9]{1,3})(?:x([0-9]{1,3}))?(?::([0-9]{1,5}))?(?:\+([0-9]{1,9}))?"
_WHOLE = re.compile(_INTEGER)
_FORMAT = re.compile(_STORAGE)
_GAIN = re.compile(rf"({_NUMBER})(?:\(({_INTEGER})\))?(?:/(\S+))?")
_RATE = re.compile(rf"({_NUMBER})(?:/\S*)?")
_SEXES: dict[str, Sex] = {"f": "female", "female": "female", "m": "male", "male": "male"}
_COMMENT = re.compile(r"#\s*(\w+)\s*:(.*)")


@dataclass(frozen=True)
class SignalLine:
    """One lead's line of a header: how its samples are stored and what they mean."""

    lead: str
    format: int
    samples_per_frame: int
    skew: int
    byte_offset: int
    gain: float
    """ADC units per unit; positive."""
    baseline: int
    """ADC value of 0 V."""
    unit: str
    resolution: int
    zero: int
    initial: int
    checksum: int


@dataclass(frozen=True)
class Header:
    """What a header says about the signals and the patient."""

    rate: float
    """Sampling rate in Hz."""
    length: int | None
    """Samples a lead; None if only the data file's size tells."""
    data_file: str
    """Name of the data file, in the header's own folder."""
    signals: tuple[SignalLine, ...]
    age: float
    """Years; NaN if unknown."""
    sex: Sex
    codes: tuple[str, ...]
    """Codes after ``Dx:``, in order, each once."""


def parse(text: str, record: str) -> Header:
    """Parse the header of ``record`` (the name of its files without extension).

    Raises:
        InvalidRecord: ``unreadable_header``, ``uncalibrated``, ``unknown_unit`` or ``sampling_rate``.
    """
    lines = [line.strip() for line in text.splitlines()]
    comments = [line for line in lines if line.startswith("#")]
    body = [part for line in lines if line and not line.startswith("#") for part in _split_joined_lines(line, record)]
    if not body:
        raise InvalidRecord("unreadable_header", "no record line")
    count, rate, length = _record_line(body[0])
    if len(body) - 1 != count:
        raise InvalidRecord("unreadable_header", f"{len(body) - 1} signal lines where the record line says {count}")
    rows = [line.split(None, 8) for line in body[1:]]
    files = sorted({row[0] for row in rows})
    if len(files) != 1 or files[0] not in (f"{record}.dat", f"{record}.mat"):
        raise InvalidRecord("unreadable_header", f"data file {_short(', '.join(files))} is not {record}.dat or .mat")
    signals = tuple(_signal_line(row) for row in rows)
    info = _parse_comments(comments)
    return Header(
        rate=rate,
        length=length,
        data_file=files[0],
        signals=signals,
        age=parse_age(info.get("age", "")),
        sex=parse_sex(info.get("sex", "")),
        codes=parse_codes(info.get("dx", "")),
    )


def canonical(header: Header, record: str, data_file: str) -> str:
    """Return the header as text that wfdb reads unambiguously; comments, date and time are left out."""
    length = "" if header.length is None else f" {header.length}"
    lines = [f"{record} {len(header.signals)} {header.rate!r}{length}"]
    for signal in header.signals:
        storage = f"{signal.format}x{signal.samples_per_frame}:{signal.skew}+{signal.byte_offset}"
        scale = f"{signal.gain!r}({signal.baseline})/mV"
        numbers = f"{signal.resolution} {signal.zero} {signal.initial} {signal.checksum} 0"
        lines.append(f"{data_file} {storage} {scale} {numbers} {signal.lead}")
    return "\n".join(lines) + "\n"


def parse_age(text: str) -> float:
    """Return an age in years, NaN if the text gives none (``NaN``, ``Unknown``, ``-1``)."""
    try:
        age = float(text)
    except ValueError:
        return math.nan
    return age if 0 <= age <= MAX_AGE else math.nan


def parse_sex(text: str) -> Sex:
    """Return the sex that ``Female``, ``F``, ``Male``, ``M`` (in any case) stand for, else ``unknown``."""
    return _SEXES.get(text.strip().lower(), "unknown")


def parse_codes(text: str) -> tuple[str, ...]:
    """Return comma-separated codes in order, each once, without the empty ones (``,284470004``)."""
    return tuple(dict.fromkeys(code.strip() for code in text.split(",") if code.strip()))


def _split_joined_lines(line: str, record: str) -> list[str]:
    """Split joined lines: a signal line starts with the data file's name and a storage format."""
    if line.find(f"{record}.", 1) < 0:
        return [line]
    start = re.compile(rf"(?<![/\\]){re.escape(record)}\.(?:mat|dat)(?=\s+{_STORAGE}\s)")
    places = [match.start() for match in start.finditer(line, 1)]
    return [line[a:b].strip() for a, b in zip([0, *places], [*places, len(line)], strict=True)]


def _record_line(line: str) -> tuple[int, float, int | None]:
    """Return number of signals, sampling rate and length; name, date and time are not used."""
    words = line.split()
    if len(words) < 3:
        raise InvalidRecord(
            "unreadable_header", f"record line {_short(line)} gives no number of signals and sampling rate"
        )
    if "/" in words[0]:
        raise InvalidRecord("unreadable_header", "a record of several segments")
    count = _integer(words[1], "number of signals")
    match = _RATE.fullmatch(words[2])
    if count < 1 or match is None:
        raise InvalidRecord(
            "unreadable_header", f"record line {_short(line)} gives no number of signals and sampling rate"
        )
    rate = float(match[1])
    if not RATES[0] <= rate <= RATES[1]:
        raise InvalidRecord(
            "sampling_rate", f"sampling rate {_short(match[1])} is not within {RATES[0]:g} to {RATES[1]:g} Hz"
        )
    # WFDB allows the length to be left out: a date may stand in its place, and 0 means unknown.
    length = int(words[3]) if len(words) > 3 and re.fullmatch(r"[0-9]{1,12}", words[3]) else 0
    return count, rate, length or None


def _signal_line(words: list[str]) -> SignalLine:
    if len(words) < 9:
        raise InvalidRecord("unreadable_header", f"signal line {_short(' '.join(words))} lacks fields")
    storage, scale = _storage(words[1]), _scale(words[2])
    if storage is None:
        raise InvalidRecord("unreadable_header", f"storage format {_short(words[1])} is none")
    lead = words[8].strip()
    if scale is None:
        raise InvalidRecord("uncalibrated", f"lead {_short(lead)}: gain {_short(words[2])} is no number with a unit")
    gain, unit = float(scale[1]), scale[3] or "mV"
    if not 0 < gain < math.inf:
        raise InvalidRecord("uncalibrated", f"lead {_short(lead)}: gain {scale[1]}")
    if unit.lower() not in MILLIVOLTS:
        raise InvalidRecord("unknown_unit", f"lead {_short(lead)}: unit {_short(unit)} is none of mV, uV, V")
    zero = _integer(words[4], "ADC zero")
    return SignalLine(
        lead=lead,
        format=int(storage[1]),
        samples_per_frame=int(storage[2] or 1),
        skew=int(storage[3] or 0),
        byte_offset=int(storage[4] or 0),
        gain=gain,
        baseline=zero if scale[2] is None else int(scale[2]),
        unit=unit,
        resolution=_integer(words[3], "ADC resolution"),
        zero=zero,
        initial=_integer(words[5], "initial value"),
        checksum=_integer(words[6], "checksum"),
    )


# Cached: the leads of a record, and the records of a data set, mostly share these two words.


@functools.lru_cache(maxsize=256)
def _storage(word: str) -> re.Match[str] | None:
    return _FORMAT.fullmatch(word)


@functools.lru_cache(maxsize=256)
def _scale(word: str) -> re.Match[str] | None:
    return _GAIN.fullmatch(word)


def _parse_comments(comments: list[str]) -> dict[str, str]:
    """Return ``#Key: value`` and ``# Key: value`` by key in lower case; several lines of codes are joined."""
    found: dict[str, str] = {}
    for line in comments:
        if match := _COMMENT.match(line):
            key, value = match[1].lower(), match[2].strip()
            found[key] = f"{found[key]},{value}" if key == "dx" and key in found else value
    return found


def _integer(word: str, what: str) -> int:
    if not (word.isascii() and word.isdigit() and len(word) <= 18) and not _WHOLE.fullmatch(word):
        raise InvalidRecord("unreadable_header", f"{what} {_short(word)} is no whole number")
    return int(word)


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")
