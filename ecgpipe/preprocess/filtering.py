"""Optional zero-phase filters: baseline removal, band-pass and notch. The paper's study uses none of them.

Each is applied forwards and backwards or is symmetric in time, so that no wave is shifted.
"""

from __future__ import annotations

import functools

import numpy as np
from scipy.ndimage import median_filter
from scipy.signal import butter, filtfilt, iirnotch, sosfiltfilt

from ecgpipe.config import Filtering
from ecgpipe.preprocess.reasons import InvalidRecord

ORDER = 3
"""Order of the Butterworth filter, which is applied forwards and backwards."""

NOTCH_Q = 30.0
"""Quality factor of the notch: its frequency over its bandwidth."""

MEDIAN_SECONDS = (0.2, 0.6)
"""Windows of the two running medians: the first removes P waves and QRS complexes, the second T waves.
Source: de Chazal et al., IEEE Trans. Biomed. Eng. 51(7), 2004."""


def apply_filters(signals: np.ndarray, rate: float, options: Filtering) -> np.ndarray:
    """Filter signals ``(12, n)`` in mV, at ``rate`` Hz, as ``options`` say: first baseline, then band-pass, then notch.

    A notch or an upper edge at or above half the rate is not in the signals and is left out.

    Raises:
        InvalidRecord: ``sampling_rate``, if the whole pass band is at or above half the rate.
    """
    if options.baseline == "median":
        wander = signals
        for seconds in MEDIAN_SECONDS:
            wander = median_filter(wander, size=(1, 2 * round(seconds * rate / 2) + 1), mode="nearest")
        signals = signals - wander
    if options.band_pass_hz is not None:
        signals = sosfiltfilt(_band_pass(*options.band_pass_hz, rate), signals, axis=-1)
    if options.notch_hz is not None and options.notch_hz < rate / 2:
        signals = filtfilt(*iirnotch(options.notch_hz, NOTCH_Q, fs=rate), signals, axis=-1)
    return signals


@functools.lru_cache(maxsize=64)
def _band_pass(low: float, high: float, rate: float) -> np.ndarray:
    """Return the Butterworth filter as second-order sections; a high-pass if ``high`` is at or above half the rate."""
    if low >= rate / 2:
        raise InvalidRecord("sampling_rate", f"{rate:g} Hz holds nothing of the pass band {low:g} to {high:g} Hz")
    if high >= rate / 2:
        sections: np.ndarray = butter(ORDER, low, "highpass", fs=rate, output="sos")
    else:
        sections = butter(ORDER, (low, high), "bandpass", fs=rate, output="sos")
    return sections
