"""Which signals are refused: missing samples, flat leads, amplitudes that no heart gives.

Levels were held against 574 real records, 488 of PTB-XL and 86 of ecg-arrhythmia (Chapman and Ningbo). Their
amplitude, as :func:`amplitude` measures it, has a median of 1.02 mV and lies between 0.21 and 4.07 mV; their largest
sample is 11.4 mV. Only flat leads are refused among them, in six records.
"""

from __future__ import annotations

import numpy as np

from ecgpipe.config import Preprocess
from ecgpipe.leads import LEADS
from ecgpipe.preprocess.reasons import Refusal

USUAL_GAIN = 1000.0
"""ADC units a mV in every header that PTB-XL and ecg-arrhythmia are published with."""

USUAL_AMPLITUDE = 1.0
"""mV; the middle of the real records' amplitudes."""

AMPLITUDES = (0.1, 8.0)
"""mV; half the smallest and twice the largest amplitude among the real records."""


def screen(signals: np.ndarray, gain: np.ndarray, rate: float, options: Preprocess) -> None:
    """Let good signals ``(12, n)`` in mV pass; ``gain`` ``(12,)`` is the header's, in ADC units a mV, ``rate`` in Hz.

    Raises:
        Refusal: ``nan``, ``flat_lead`` or ``amplitude``, with the leads and their values.
    """
    if not np.isfinite(signals).all():
        missing = (~np.isfinite(signals)).sum(axis=1)
        raise Refusal("nan", _leads(missing > 0, missing, "{} samples"))
    high, low = signals.max(axis=1), signals.min(axis=1)
    flat = high - low < options.flat_lead_mv
    if flat.any():
        seconds = signals.shape[1] / rate
        raise Refusal("flat_lead", f"range over {seconds:g} s: " + _leads(flat, high - low, "{:.4f} mV"))
    peak = np.maximum(high, -low)
    if peak.max() > options.max_abs_mv:
        beyond = _leads(peak > options.max_abs_mv, peak, "{:.1f} mV")
        raise Refusal("amplitude", f"beyond {options.max_abs_mv:g} mV: {beyond}")
    check_scale(signals, gain)


def check_scale(signals: np.ndarray, gain: np.ndarray) -> None:
    """Refuse signals ``(12, n)`` whose gain ``(12,)`` is likely wrong.

    Amplitudes that no heart gives are refused whatever the gain. A gain other than :data:`USUAL_GAIN` is refused too
    if the usual gain would give an amplitude nearer to the usual one (in ratio): of the 574 real records, 99 % would
    be found with a gain of 200 and 98 % with a gain of 4880 in place of 1000, where fixed limits find few.

    Raises:
        Refusal: ``amplitude``.
    """
    found = amplitude(signals)
    if not AMPLITUDES[0] <= found <= AMPLITUDES[1]:
        limits = f"{AMPLITUDES[0]:g} to {AMPLITUDES[1]:g} mV"
        raise Refusal("amplitude", f"{found:.3f} mV (median over leads of the 1-99 % range) is not within {limits}")
    if (gain == USUAL_GAIN).all():
        return
    other = amplitude(signals * (gain / USUAL_GAIN)[:, None])
    if abs(np.log(other / USUAL_AMPLITUDE)) < abs(np.log(found / USUAL_AMPLITUDE)):
        gains = ", ".join(f"{value:g}" for value in np.unique(gain))
        raise Refusal("amplitude", f"gain {gains} gives {found:.3f} mV, the usual {USUAL_GAIN:g} gives {other:.3f} mV")


def amplitude(signals: np.ndarray) -> float:
    """Return the median over leads of the range that holds 98 % of a lead's samples: ``(12, n)`` in mV to mV.

    About a thousand samples, evenly spaced, are enough for that and save most of the sorting.
    """
    thinned = signals[:, :: max(1, signals.shape[1] // 1000)]
    low, high = np.percentile(thinned, [1, 99], axis=1)
    return float(np.median(high - low))


def _leads(chosen: np.ndarray, values: np.ndarray, form: str) -> str:
    return ", ".join(f"{LEADS[i]} {form.format(values[i])}" for i in np.flatnonzero(chosen))
