"""Filters that a study may ask for; the paper's has none.

Each is applied forwards and backwards, or symmetric in time, so that no wave is shifted.
"""

from __future__ import annotations

import functools

import numpy as np
from scipy.ndimage import median_filter
from scipy.signal import butter, filtfilt, iirnotch, sosfiltfilt

from ecgpipe.config import Filtering
from ecgpipe.preprocess.reasons import Refusal

ORDER = 3
"""Order of the Butterworth filter, before it is applied backwards too."""

QUALITY = 30.0
"""Frequency of the notch over its width."""

MEDIANS = (0.2, 0.6)
"""Seconds: the first running median takes out P waves and QRS complexes, the second T waves. Source: de Chazal et al.,
IEEE Trans. Biomed. Eng. 51(7), 2004."""


def filtered(signals: np.ndarray, rate: float, options: Filtering) -> np.ndarray:
    """Return ``(12, n)`` in mV, at ``rate`` Hz, without what ``options`` asks to take out, in the order baseline, band,
    notch. A notch or an upper edge at or above half the rate is not in the signals, and nothing is done about it.

    Raises:
        Refusal: ``sampling_rate``, if the whole pass band is at or above half the rate.
    """
    if options.baseline == "median":
        wander = signals
        for seconds in MEDIANS:
            wander = median_filter(wander, size=(1, 2 * round(seconds * rate / 2) + 1), mode="nearest")
        signals = signals - wander
    if options.band_pass_hz is not None:
        signals = sosfiltfilt(_band(*options.band_pass_hz, rate), signals, axis=-1)
    if options.notch_hz is not None and options.notch_hz < rate / 2:
        signals = filtfilt(*iirnotch(options.notch_hz, QUALITY, fs=rate), signals, axis=-1)
    return signals


@functools.lru_cache(maxsize=64)
def _band(low: float, high: float, rate: float) -> np.ndarray:
    if low >= rate / 2:
        raise Refusal("sampling_rate", f"{rate:g} Hz holds nothing of the pass band {low:g} to {high:g} Hz")
    if high >= rate / 2:
        sections: np.ndarray = butter(ORDER, low, "highpass", fs=rate, output="sos")
    else:
        sections = butter(ORDER, (low, high), "bandpass", fs=rate, output="sos")
    return sections
