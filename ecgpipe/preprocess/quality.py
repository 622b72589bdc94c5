"""Validation of a record's signals: missing samples, flat or saturated leads, dropped samples, implausible amplitudes,
limb leads that contradict each other.

The limits (``preprocess.quality`` in the config) were checked on 574 real records, 488 of PTB-XL at 100 Hz and 86 of
ecg-arrhythmia (Chapman and Ningbo). Their amplitude, as :func:`amplitude` measures it, has a median of 1.02 mV and lies
between 0.21 and 4.07 mV (0.43 mV without records with a flat lead); their largest sample is 11.4 mV. No good lead stays at its extreme, nor are all leads
constant, for more than 0.08 s, nor is a single lead constant for more than 0.39 s. The limb-lead identities hold to
0.004 mV. Of these records only six are excluded, all for flat leads. PTB-XL's own 500 Hz files begin with up to 0.126 s
of constant samples; runs as short as that are therefore accepted.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from ecgpipe.config import Quality
from ecgpipe.leads import LEADS
from ecgpipe.preprocess.reasons import InvalidRecord

GAIN_FACTOR = 3.0
"""A gain that differs from the usual one by less than this factor is accepted: amplitudes of hearts differ as much."""

PLAUSIBLE = (0.3, 4.5)
"""mV; lowest and highest amplitude of a record that is believed at whatever gain the header states."""

LIKE = (1 / 3, 5.0)
"""Range of a chest lead over the median range of the other leads: of 568 real records, 98 % lie between, in each lead."""

USUAL_MEDIAN = (0.5, 2.0)
"""mV; between these lies the median amplitude of any set of adults: of PTB-XL's real records 1.01, of ecg-arrhythmia's 1.04."""

MANY = 10
"""Records with one gain from which on their median amplitude is judged."""

MIN_CLIPPING = 1.0
"""mV; a saturated lead is at least this far from its median. Closer to it, samples of a quiet lead may be equal."""

SLOPE_SECONDS = 0.04
"""Seconds between the samples whose differences are correlated: long enough for noise, short enough for wander."""

ONE, TWO, THREE, AVR, AVL, AVF = range(6)
V6 = LEADS.index("V6")


def check_quality(signals: np.ndarray, gain: np.ndarray, rate: float, quality: Quality) -> tuple[np.ndarray, str]:
    """Validate signals ``(12, n)`` in mV at ``rate`` Hz; ``gain`` ``(12,)`` is the header's, in ADC units per mV.

    Returns:
        The signals with short gaps interpolated, and what they are suspected of: nothing, or ``arm_reversal`` with its
        correlation.

    Raises:
        InvalidRecord: ``nan``, ``flat_lead``, ``saturation``, ``dropped_samples``, ``amplitude`` or ``limb_leads``,
            with the leads and their values.
    """
    signals = interpolate_gaps(signals, rate, quality)
    high, low = signals.max(axis=1), signals.min(axis=1)
    flat = high - low < quality.flat_lead_mv
    if flat.any():
        seconds, gain_is_wrong = signals.shape[1] / rate, _better_gain(signals, gain, quality)
        told = f"range over {seconds:g} s: " + _leads(flat, high - low, "{:.4f} mV") + gain_is_wrong
        raise InvalidRecord("amplitude" if gain_is_wrong else "flat_lead", told)
    peak = np.maximum(high, -low)
    if peak.max() > quality.max_abs_mv:
        beyond = _leads(peak > quality.max_abs_mv, peak, "{:.1f} mV") + _better_gain(signals, gain, quality)
        raise InvalidRecord("amplitude", f"beyond {quality.max_abs_mv:g} mV: {beyond}")
    check_constant_samples(signals, high, low, rate, quality)
    check_amplitude(signals, gain, quality)
    return signals, check_limb_leads(signals, rate, quality)


def interpolate_gaps(signals: np.ndarray, rate: float, quality: Quality) -> np.ndarray:
    """Return ``(12, n)`` with missing samples interpolated linearly, if few enough are missing.

    Raises:
        InvalidRecord: ``nan``.
    """
    absent = ~np.isfinite(signals)
    if not absent.any():
        return signals
    missing = absent.sum(axis=1)
    beyond = missing > quality.missing_s * rate
    if beyond.any() or (missing == signals.shape[1]).any():
        raise InvalidRecord("nan", _leads(missing > 0, missing, "{} samples"))
    closed = signals.copy()
    for lead in np.flatnonzero(missing):
        gap = absent[lead]
        closed[lead, gap] = np.interp(np.flatnonzero(gap), np.flatnonzero(~gap), signals[lead, ~gap])
    return closed


def check_constant_samples(
    signals: np.ndarray, high: np.ndarray, low: np.ndarray, rate: float, quality: Quality
) -> None:
    """Check that no lead of ``(12, n)`` is constant for too long, or at its extreme, and that not all are constant.

    ``high`` and ``low`` are the leads' extremes, ``(12,)`` each.

    Raises:
        InvalidRecord: ``flat_lead``, ``saturation`` or ``dropped_samples``.
    """
    if quality.saturation_s is not None:
        needed = quality.saturation_s * rate
        longest = np.zeros(len(signals))
        for extreme in (high, low):
            at = signals == extreme[:, None]
            for lead in np.flatnonzero(at.sum(axis=1) >= needed):
                if abs(extreme[lead] - np.median(signals[lead])) >= MIN_CLIPPING:
                    longest[lead] = max(longest[lead], longest_run(at[lead]))
        if (longest >= needed).any():
            raise InvalidRecord(
                "saturation", "at its extreme: " + _leads(longest >= needed, longest / rate, "{:.3f} s")
            )
    still = signals[:, 1:] == signals[:, :-1]
    if quality.dropped_s is not None:
        everywhere = still.all(axis=0)
        if everywhere.sum() + 1 >= quality.dropped_s * rate:
            run = longest_run(everywhere) + 1
            if run >= quality.dropped_s * rate:
                raise InvalidRecord("dropped_samples", f"all leads stand still for {run / rate:.3f} s")
    if quality.flat_s is not None:
        needed = quality.flat_s * rate
        rest = np.zeros(len(signals))
        for lead in np.flatnonzero(still.sum(axis=1) + 1 >= needed):
            rest[lead] = longest_run(still[lead]) + 1
        if (rest >= needed).any():
            raise InvalidRecord("flat_lead", "stands still: " + _leads(rest >= needed, rest / rate, "{:.3f} s"))


def longest_run(mask: np.ndarray) -> int:
    """Return the length of the longest run of True in ``(n,)``."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return int((edges[1::2] - edges[::2]).max(initial=0))


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
            + _better_gain(signals, gain, quality),
        )
    if quality.usual_gain is None:
        return
    _check_odd_gains(ranges, gain)
    if not PLAUSIBLE[0] <= found <= PLAUSIBLE[1] and _better_gain(signals, gain, quality):
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
    leads are held against each other by :func:`check_limb_leads`.

    Raises:
        InvalidRecord: ``amplitude``.
    """
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
            f"gains of one record differ, and so do the leads' ranges: {_leads(wrong, gain, '{:g}')} "
            f"({_leads(wrong, ranges, '{:.2f} mV')}), other leads {common:g} (median {np.median(ranges[~odd]):.2f} mV); "
            "if the header is right, set `preprocess.quality.usual_gain` to null",
        )


def _better_gain(signals: np.ndarray, gain: np.ndarray, quality: Quality) -> str:
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
                f"{len(checks)} records state a gain of {gain:g}, which gives a median amplitude of {stated:.2f} mV; the "
                f"usual {usual:g} gives {other:.2f} mV: is the headers' gain right? "
                "(`preprocess.quality.usual_gain`: null believes it)"
            )
    return told


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


def check_limb_leads(signals: np.ndarray, rate: float, quality: Quality) -> str:
    """Check that the limb leads of ``(12, n)`` do not contradict each other; return what else they are suspected of.

    The identities fail if leads are exchanged or not simultaneous. They hold if the arm electrodes are exchanged; then
    lead I is inverted, also relative to the chest lead V6, which looks from the same side. With a threshold of -0.5 for
    the correlation, 2 of the 574 real records are suspected, and 91 % of them with arm electrodes exchanged on purpose.

    Raises:
        InvalidRecord: ``limb_leads``, naming the identity with the largest error.
    """
    one, two = signals[ONE], signals[TWO]
    if quality.limb_leads_mv is not None:
        off = {
            "III = II - I": signals[THREE] - (two - one),
            "aVR = -(I + II)/2": signals[AVR] + (one + two) / 2,
            "aVL = I - II/2": signals[AVL] - (one - two / 2),
            "aVF = II - I/2": signals[AVF] - (two - one / 2),
        }
        size = {name: float(np.sqrt(np.dot(values, values) / len(values))) for name, values in off.items()}
        worst = max(size, key=lambda name: size[name])
        if size[worst] > quality.limb_leads_mv:
            raise InvalidRecord("limb_leads", f"{worst} is off by {size[worst]:.3f} mV (root mean square)")
    if quality.reversal_correlation is not None:
        lag = max(1, round(SLOPE_SECONDS * rate))
        correlation = _correlation(*(lead[lag:] - lead[:-lag] for lead in (one, signals[V6])))
        if correlation < quality.reversal_correlation:
            return f"arm_reversal (slopes of I and V6 correlated by {correlation:.2f})"
    return ""


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Return the correlation of two leads ``(n,)`` that are not flat."""
    a, b = a - a.mean(), b - b.mean()
    return float(np.dot(a, b) / np.sqrt(np.dot(a, a) * np.dot(b, b)))


def _leads(chosen: np.ndarray, values: np.ndarray, form: str) -> str:
    return ", ".join(f"{LEADS[i]} {form.format(values[i])}" for i in np.flatnonzero(chosen))
