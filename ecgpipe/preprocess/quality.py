"""Validation of a record's signals: missing samples, flat or saturated leads, dropped samples, implausible amplitudes,
limb leads that contradict each other.

The limits (``preprocess.quality`` in the config) were checked on 574 real records, 488 of PTB-XL at 100 Hz and 86 of
ecg-arrhythmia (Chapman and Ningbo). Their amplitude, as :func:`ecgpipe.preprocess.gains.amplitude` measures it, has a
median of 1.02 mV and lies between 0.21 and 4.07 mV (0.43 and 4.07 mV without a flat lead); their largest sample is
11.4 mV. No good lead stays at its extreme, nor are all leads constant, for more than 0.08 s, nor is a single lead
constant for more than 0.39 s. The limb-lead identities hold to 0.004 mV. Of these records only six are excluded, all
for flat leads. PTB-XL's own 500 Hz files begin with up to 0.126 s of constant samples; runs as short as that are
therefore accepted.
"""

from __future__ import annotations

import numpy as np

from ecgpipe.config import Quality
from ecgpipe.leads import LEADS
from ecgpipe.preprocess.gains import better_gain, check_amplitude, named_values
from ecgpipe.preprocess.reasons import InvalidRecord

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
        seconds, gain_is_wrong = signals.shape[1] / rate, better_gain(signals, gain, quality)
        told = f"range over {seconds:g} s: " + named_values(flat, high - low, "{:.4f} mV") + gain_is_wrong
        raise InvalidRecord("amplitude" if gain_is_wrong else "flat_lead", told)
    peak = np.maximum(high, -low)
    if peak.max() > quality.max_abs_mv:
        beyond = named_values(peak > quality.max_abs_mv, peak, "{:.1f} mV") + better_gain(signals, gain, quality)
        raise InvalidRecord("amplitude", f"beyond {quality.max_abs_mv:g} mV: {beyond}{_offset(signals, quality)}")
    check_constant_samples(signals, high, low, rate, quality)
    check_amplitude(signals, gain, quality)
    return signals, check_limb_leads(signals, rate, quality)


def _offset(signals: np.ndarray, quality: Quality) -> str:
    """Say that leads are beyond the limit for an electrode's offset, which recorders without a high-pass keep."""
    rest = np.median(signals, axis=1)
    swing = float(np.abs(signals - rest[:, None]).max())
    if swing > quality.max_abs_mv:
        return ""
    return (
        f"; but around a constant offset of up to {np.abs(rest).max():.1f} mV, from which no sample is further than "
        f"{swing:.1f} mV: take it out of the files, or set `preprocess.quality.max_abs_mv` above it and a baseline "
        "filter (`preprocess.filters`)"
    )


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
        raise InvalidRecord("nan", named_values(missing > 0, missing, "{} samples"))
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
                "saturation", "at its extreme: " + named_values(longest >= needed, longest / rate, "{:.3f} s")
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
            raise InvalidRecord("flat_lead", "stands still: " + named_values(rest >= needed, rest / rate, "{:.3f} s"))


def longest_run(mask: np.ndarray) -> int:
    """Return the length of the longest run of True in ``(n,)``."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return int((edges[1::2] - edges[::2]).max(initial=0))


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
