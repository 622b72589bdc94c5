"""Whether the gain of a header gives amplitudes that a heart has."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from ecgpipe.arrays import SignalReader
from ecgpipe.config import Quality
from ecgpipe.leads import LEADS
from ecgpipe.preprocess.reasons import InvalidRecord

GAIN_FACTOR = 3.0
"""A gain that differs from the usual one by less than this factor is accepted: amplitudes of hearts differ as much."""

PLAUSIBLE = (0.3, 4.5)
"""mV; lowest and highest amplitude of a record that is believed at whatever gain the header states."""

LIKE = (1 / 3, 5.0)
"""Range of a chest lead over the median of the other leads': 98 % of 568 real records lie between, in each lead."""

USUAL_MEDIAN = (0.5, 2.0)
"""mV; between these lies the median amplitude of any set of adults: it is 1.01 in PTB-XL and 1.04 in ecg-arrhythmia."""

LOOKED_AT = 200
"""Records of a set whose amplitude is measured once more."""

MANY = 10
"""Records with one gain from which on their median amplitude is judged."""


def check_amplitude(signals: np.ndarray, gain: np.ndarray, quality: Quality) -> None:
    """Check that the amplitude of signals ``(12, n)`` is plausible, and with it their gain ``(12,)``.

    A header is believed, whatever gain it states, as long as the amplitude is a heart's. Amplitudes that no heart gives
    are invalid. Rare ones (not within :data:`PLAUSIBLE`) are invalid if the usual gain, which differs by
    :data:`GAIN_FACTOR` or more, gives a plausible amplitude. Of the 568 real records without a flat lead, this refuses
    none at any gain; it finds 67 % of them with a gain of 200 in place of 1000, and 90 % with a gain of 4880.
    :func:`doubtful_gains` looks at whole sets.

    Raises:
        InvalidRecord: ``amplitude``, with leads, gains and the setting.
    """
    ranges = lead_ranges(signals)
    found = float(statistics.median(ranges.tolist()))
    lowest, highest = quality.amplitude_mv
    if not lowest <= found <= highest:
        raise InvalidRecord(
            "amplitude",
            f"{found:.3f} mV (median over leads of the 1-99 % range) is not within {lowest:g} to {highest:g} mV"
            + better_gain(signals, gain, quality),
        )
    if quality.usual_gain is None:
        return
    _check_odd_gains(ranges, gain)
    if not PLAUSIBLE[0] <= found <= PLAUSIBLE[1] and better_gain(signals, gain, quality):
        other = amplitude(signals * (gain / quality.usual_gain)[:, None])
        largest = int(np.argmax(ranges))
        raise InvalidRecord(
            "amplitude",
            f"gain {_gains(gain)} gives {found:.3f} mV (lead {LEADS[largest]} {ranges[largest]:.1f} mV), the usual "
            f"{quality.usual_gain:g} gives {other:.3f} mV; if the header is right, set `preprocess.quality.usual_gain` "
            "to its gain or to null",
        )


def _check_odd_gains(ranges: np.ndarray, gain: np.ndarray) -> None:
    """Check that no chest lead has a gain of its own that makes it unlike the others, whose gain would make it alike.

    Headers with many gains are believed: writers such as ``wfdb.wrsamp`` fit the gain of each lead to its range. Limb
    leads are held against each other by :func:`ecgpipe.preprocess.quality.check_limb_leads`.

    Raises:
        InvalidRecord: ``amplitude``.
    """
    if gain.max() < GAIN_FACTOR * gain.min():
        return
    common = float(np.median(gain))
    odd = np.abs(np.log(gain / common)) >= np.log(GAIN_FACTOR)
    odd[: LEADS.index("V1")] = False
    if not odd.any() or len(np.unique(gain)) > 2:
        return
    ratio = ranges / np.median(ranges[~odd])
    alike, alike_then = ((LIKE[0] < size) & (size < LIKE[1]) for size in (ratio, ratio * gain / common))
    wrong = odd & ~alike & alike_then
    if wrong.any():
        raise InvalidRecord(
            "amplitude",
            f"gains of one record differ, and so do the leads' ranges: {named_values(wrong, gain, '{:g}')} "
            f"({named_values(wrong, ranges, '{:.2f} mV')}), other leads {common:g} (median "
            f"{np.median(ranges[~odd]):.2f} mV); if the header is right, set `preprocess.quality.usual_gain` to null",
        )


def better_gain(signals: np.ndarray, gain: np.ndarray, quality: Quality) -> str:
    """Say that the usual gain would give a plausible amplitude; nothing if it would not or is near the header's."""
    usual = quality.usual_gain
    if usual is None or np.abs(np.log(gain / usual)).max() < np.log(GAIN_FACTOR):
        return ""
    other = amplitude(signals * (gain / usual)[:, None])
    if not PLAUSIBLE[0] <= other <= PLAUSIBLE[1]:
        return ""
    return (
        f"; the header's gain is {_gains(gain)}, the usual {usual:g} (`preprocess.quality.usual_gain`) gives an "
        f"amplitude of {other:.3f} mV"
    )


class GainCheck(NamedTuple):
    """A record whose gain is not the usual one."""

    gain: float
    amplitude: float
    """mV, at its header's gain."""
    usual: float
    """mV, at the usual gain."""


def check_gain(signals: np.ndarray, gain: np.ndarray, quality: Quality) -> GainCheck | None:
    """Return what the gain of valid signals ``(12, n)`` makes of them if it is one gain and far from the usual."""
    usual = quality.usual_gain
    if usual is None or gain.min() < gain.max() or abs(np.log(gain[0] / usual)) < np.log(GAIN_FACTOR):
        return None
    found = amplitude(signals)
    return GainCheck(float(gain[0]), found, found * float(gain[0]) / usual)


def doubtful_gains(found: Iterable[GainCheck | None], usual: float | None) -> list[str]:
    """Say which gains that many records of a set share make their amplitudes unlikely, while the usual gain would not.

    One record may have a large or a small heart; a median of :data:`MANY` records outside :data:`USUAL_MEDIAN` is no
    population's.
    """
    by_gain: dict[float, list[GainCheck]] = {}
    for check in found:
        if check is not None:
            by_gain.setdefault(check.gain, []).append(check)
    told = []
    for gain, checks in sorted(by_gain.items()):
        stated, other = (statistics.median(values) for values in zip(*(check[1:] for check in checks), strict=True))
        likely = [USUAL_MEDIAN[0] <= value <= USUAL_MEDIAN[1] for value in (stated, other)]
        if len(checks) >= MANY and likely == [False, True]:
            told.append(
                f"{len(checks)} records state a gain of {gain:g}, which gives a median amplitude of {stated:.2f} mV; "
                f"the usual {usual:g} gives {other:.2f} mV: is the headers' gain right? "
                "(`preprocess.quality.usual_gain`: null believes it)"
            )
    return told


def unusual_amplitude(signals: SignalReader, usual: float | None) -> list[str]:
    """Say that a set's median amplitude is no population's, as where all headers state one wrong gain.

    Args:
        signals: of the kept records, ``(n, 12, length)``, mV. Up to :data:`LOOKED_AT`, evenly spaced, are looked at.
        usual: usual gain; None believes all headers.
    """
    if usual is None or len(signals) < MANY:
        return []
    chosen = np.unique(np.linspace(0, len(signals) - 1, min(len(signals), LOOKED_AT)).astype(int))
    found = statistics.median(amplitude(signals[int(row)]) for row in chosen)
    if USUAL_MEDIAN[0] <= found <= USUAL_MEDIAN[1]:
        return []
    return [
        f"the median amplitude of its records is {found:.2f} mV, and that of a set of adults lies between "
        f"{USUAL_MEDIAN[0]:g} and {USUAL_MEDIAN[1]:g} mV: is the gain in the headers right? "
        "(`preprocess.quality.usual_gain`: null believes it)"
    ]


def _gains(gain: np.ndarray) -> str:
    values = np.unique(gain)
    return " and ".join(f"{value:g}" for value in values) if len(values) < 3 else f"{values[0]:g} to {values[-1]:g}"


def amplitude(signals: np.ndarray) -> float:
    """Return the median over leads of :func:`lead_ranges`: ``(12, n)`` in mV to mV."""
    return float(statistics.median(lead_ranges(signals).tolist()))


def lead_ranges(signals: np.ndarray) -> np.ndarray:
    """Return the range that holds 98 % of each lead's samples: ``(12, n)`` in mV to ``(12,)`` in mV.

    About a thousand samples, evenly spaced, are enough and save most of the sorting.
    """
    ordered = np.sort(signals[:, :: max(1, signals.shape[1] // 1000)], axis=1)
    places = np.array([0.01, 0.99]) * (ordered.shape[1] - 1)
    below = places.astype(int)
    above = np.minimum(below + 1, ordered.shape[1] - 1)
    low, high = (ordered[:, below] + (places - below) * (ordered[:, above] - ordered[:, below])).T
    ranges: np.ndarray = high - low
    return ranges


def named_values(chosen: np.ndarray, values: np.ndarray, form: str) -> str:
    """Return the chosen ones of twelve leads, ``(12,)``, with their values in that form."""
    return ", ".join(f"{LEADS[i]} {form.format(values[i])}" for i in np.flatnonzero(chosen))
