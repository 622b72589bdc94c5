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
from collections.abc import Sequence
from dataclasses import dataclass

from ecgpipe.layouts import DATA_EXTENSIONS
from ecgpipe.leads import named_lead
from ecgpipe.preprocess.comments import Sex, parse_age, parse_codes, parse_comments, parse_sex
from ecgpipe.preprocess.reasons import InvalidRecord

MILLIVOLTS = {
    **dict.fromkeys(("mv", "millivolt", "millivolts"), 1.0),
    **dict.fromkeys(("uv", "µv", "μv", "microvolt", "microvolts"), 1e-3),
    **dict.fromkeys(("v", "volt", "volts"), 1e3),
    "nv": 1e-6,
}
"""Size of a unit in mV, by its name in lower case (micro sign and Greek mu are two characters)."""

MAX_SIGNALS = 256
"""Signals a record; no ECG has more, and reading takes memory for each."""

RATES = (20.0, 20000.0)
"""Lowest and highest plausible sampling rate of an ECG, in Hz."""

_INTEGER = r"[-+]?[0-9]{1,18}"
_NUMBER = r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"
_STORAGE = r"([0-9]{1,3})(?:x([0-9]{1,3}))?(?::([0-9]{1,5}))?(?:\+([0-9]{1,9}))?"
_WHOLE = re.compile(_INTEGER)
_FORMAT = re.compile(_STORAGE)
_GAIN = re.compile(rf"({_NUMBER})(?:\(({_INTEGER})\))?(?:/(\S+))?")
_RATE = re.compile(rf"({_NUMBER})(?:/\S*)?")
_DATA_FILE = "|".join(DATA_EXTENSIONS)


@dataclass(frozen=True)
class SignalLine:
    """One lead's line of a header: how its samples are stored and what they mean."""

    lead: str
    """Its name as the header has it."""
    file: str
    """Name of its data file, in the header's own folder."""
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
    uncalibrated: InvalidRecord | None
    """Why its samples have no unit in V, if it is no lead (respiration, in litres): only then is that no fault."""


@dataclass(frozen=True)
class Header:
    """What a header says about the signals and the patient."""

    rate: float
    """Frames a second: the sampling rate in Hz of each signal with one sample a frame."""
    length: int | None
    """Frames; None if only the data file's size tells."""
    signals: tuple[SignalLine, ...]
    age: float
    """Years; NaN if unknown."""
    sex: Sex
    codes: tuple[str, ...]
    """Codes after ``Dx:``, in order, each once."""
    comments: dict[str, str]
    """Text of the comments by key in lower case: these, and what else there is."""

    @property
    def data_file(self) -> str:
        """Name of the first data file that may hold the twelve leads."""
        return next(signal.file for signal in self.signals if signal.file.lower().endswith(DATA_EXTENSIONS))


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
    count, rate, length = _record_line(body[0], record)
    if len(body) - 1 != count:
        raise InvalidRecord("unreadable_header", f"{len(body) - 1} signal lines where the record line says {count}")
    signals = tuple(_signal_line(line.split(None, 8)) for line in body[1:])
    _check_data_files(signals, record)
    info = parse_comments(comments)
    return Header(
        rate=rate,
        length=length,
        signals=signals,
        age=parse_age(info.get("age", "")),
        sex=parse_sex(info.get("sex", "")),
        codes=parse_codes(info.get("dx", "")),
        comments=info,
    )


def canonical(signals: Sequence[SignalLine], rate: float, length: int, record: str, data_file: str) -> str:
    """Return a header of ``signals``, all of one data file, as text that wfdb reads unambiguously.

    Comments, date and time are left out.
    """
    lines = [f"{record} {len(signals)} {rate!r} {length}"]
    for signal in signals:
        storage = f"{signal.format}x{signal.samples_per_frame}:{signal.skew}+{signal.byte_offset}"
        scale = f"{signal.gain!r}({signal.baseline})/mV"
        numbers = f"{signal.resolution} {signal.zero} {signal.initial} {signal.checksum} 0"
        lines.append(f"{data_file} {storage} {scale} {numbers} {signal.lead}")
    return "\n".join(lines) + "\n"


def _check_data_files(signals: tuple[SignalLine, ...], record: str) -> None:
    """Check that no standard lead is in a file of another record, or elsewhere; other signals are not read.

    FLAC holds eight signals a file, so that wfdb writes ``<record>_1.dat`` and ``<record>_2.dat``.

    Raises:
        InvalidRecord: ``unreadable_header``.
    """
    if {signal.file for signal in signals} <= {f"{record}.dat", f"{record}.mat"}:  # nearly all: a pattern takes longer
        return
    own = re.compile(rf"{re.escape(record)}(?:_[0-9]{{1,2}})?\.(?:{_DATA_FILE})", re.IGNORECASE)
    foreign = {s.file for s in signals if not own.fullmatch(s.file) and named_lead(s.lead) is not None}
    if foreign or not any(own.fullmatch(signal.file) for signal in signals):
        named = _short(", ".join(sorted(foreign or {signal.file for signal in signals})))
        allowed = " or ".join(f".{extension}" for extension in DATA_EXTENSIONS)
        raise InvalidRecord("unreadable_header", f"data file {named} is not {record}{allowed}")


def _split_joined_lines(line: str, record: str) -> list[str]:
    """Split joined lines: a signal line starts with the data file's name and a storage format."""
    if line.find(f"{record}.", 1) < 0:
        return [line]
    start = re.compile(rf"(?<![/\\]){re.escape(record)}\.(?:{_DATA_FILE})(?=\s+{_STORAGE}\s)")
    places = [match.start() for match in start.finditer(line, 1)]
    return [line[a:b].strip() for a, b in zip([0, *places], [*places, len(line)], strict=True)]


def _record_line(line: str, record: str) -> tuple[int, float, int | None]:
    """Return number of signals, sampling rate and length; name, date and time are not used."""
    words = line.split()
    if len(words) < 3:
        raise InvalidRecord(
            "unreadable_header", f"record line {_short(line)} gives no number of signals and sampling rate"
        )
    # "name/3" is a record of three segments; some headers give the path of their record instead.
    _, slash, behind = words[0].rpartition("/")
    if slash and behind.isdigit() and behind != record:
        raise InvalidRecord("unreadable_header", f"a record of several segments ({_short(words[0])})")
    if " " in record and line.startswith(f"{record} "):
        raise InvalidRecord("unreadable_header", f"the record's name {_short(record)} has a blank: rename its files")
    count = _integer(words[1], "number of signals")
    match = _RATE.fullmatch(words[2])
    if count < 1 or match is None:
        raise InvalidRecord(
            "unreadable_header", f"record line {_short(line)} gives no number of signals and sampling rate"
        )
    if count > MAX_SIGNALS:
        raise InvalidRecord("unreadable_header", f"{count} signals; at most {MAX_SIGNALS} are read")
    rate = float(match[1])
    if not 0 < rate <= RATES[1]:  # frames; several samples a frame make a low rate an ECG's
        raise InvalidRecord(
            "sampling_rate", f"sampling rate {_short(match[1])} is not within {RATES[0]:g} to {RATES[1]:g} Hz"
        )
    # WFDB allows the length to be left out: a date may stand in its place, and 0 means unknown.
    word = words[3] if len(words) > 3 else "0"
    if re.fullmatch(rf"{_NUMBER}", word) and not word.isdigit():
        raise InvalidRecord("unreadable_header", f"length {_short(word)} is no number of samples")
    length = int(word) if re.fullmatch(r"[0-9]{1,12}", word) else 0
    return count, rate, length or None


def _signal_line(words: list[str]) -> SignalLine:
    if len(words) < 9:
        raise InvalidRecord("unreadable_header", f"signal line {_short(' '.join(words))} lacks fields")
    storage, lead, zero = _storage(words[1]), words[8].strip(), _integer(words[4], "ADC zero")
    if storage is None:
        raise InvalidRecord("unreadable_header", f"storage format {_short(words[1])} is none")
    uncalibrated = None
    try:
        gain, baseline, unit = _calibration(words[2], lead)
    except InvalidRecord as invalid:
        if named_lead(lead) is not None:
            raise
        gain, baseline, unit, uncalibrated = 1.0, None, "mV", invalid
    return SignalLine(
        lead=lead,
        file=words[0].removeprefix("./"),
        format=int(storage[1]),
        samples_per_frame=int(storage[2] or 1),
        skew=int(storage[3] or 0),
        byte_offset=int(storage[4] or 0),
        gain=gain,
        baseline=zero if baseline is None else baseline,
        unit=unit,
        resolution=_integer(words[3], "ADC resolution"),
        zero=zero,
        initial=_integer(words[5], "initial value"),
        checksum=_integer(words[6], "checksum"),
        uncalibrated=uncalibrated,
    )


def _calibration(word: str, lead: str) -> tuple[float, int | None, str]:
    """Return gain, baseline, if it is given, and unit.

    Raises:
        InvalidRecord: ``uncalibrated`` or ``unknown_unit``.
    """
    scale = _scale(word)
    if scale is None:
        raise InvalidRecord("uncalibrated", f"lead {_short(lead)}: gain {_short(word)} is no number with a unit")
    gain, unit = float(scale[1]), scale[3] or "mV"
    if not 0 < gain < math.inf:
        raise InvalidRecord("uncalibrated", f"lead {_short(lead)}: gain {scale[1]}")
    if unit.lower() not in MILLIVOLTS:
        raise InvalidRecord("unknown_unit", f"lead {_short(lead)}: unit {_short(unit)} is none of mV, uV, nV, V")
    return gain, None if scale[2] is None else int(scale[2]), unit


# Cached: the leads of a record, and the records of a data set, mostly share these two words.


@functools.lru_cache(maxsize=256)
def _storage(word: str) -> re.Match[str] | None:
    return _FORMAT.fullmatch(word)


@functools.lru_cache(maxsize=256)
def _scale(word: str) -> re.Match[str] | None:
    return _GAIN.fullmatch(word)


def _integer(word: str, what: str) -> int:
    if not (word.isascii() and word.isdigit() and len(word) <= 18) and not _WHOLE.fullmatch(word):
        raise InvalidRecord("unreadable_header", f"{what} {_short(word)} is no whole number")
    return int(word)


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")
