"""Clinical figures of a record: heart rate, RR variation, intervals, amplitudes, axis, by neurokit2.

R peaks and waves are found in lead II (neurokit2's own detector; delineation by prominence, Emrich et al. 2024); each
figure of a record is the median over its beats. Amplitudes are against the beginning of the QRS complex.

neurokit2 is imported where it is used: it imports matplotlib and scikit-learn, and takes longest of all to load.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import scipy.signal

BEATS = ("heart_rate", "rr_variation")
WAVES = ("pr_interval", "qrs_duration", "qt_interval", "qtc_interval", "p_amplitude", "t_amplitude", "st_level", "axis")

FEWEST_BEATS = 3
_R_BASE_MS = 160
"""Width of the window around an R peak in which the QRS complex begins and ends. neurokit2's default of 100 ms cuts
complexes of bundle branch blocks short."""
_ST_SECONDS = 0.06
"""Time from the end of the QRS complex to where the ST level is read."""


def cleaned(lead: np.ndarray, rate: float) -> np.ndarray:
    """Return neurokit2's ``ecg_clean`` of each record's lead ``(n, length)``, with the filters designed once.

    A Butterworth high-pass at 0.5 Hz of order 5 and a mean over a period of 50 Hz, each forwards and backwards.
    """
    drift = scipy.signal.butter(5, 0.5, "highpass", output="sos", fs=rate)
    period = max(2, int(rate / 50))
    steady = scipy.signal.sosfiltfilt(drift, lead.astype(np.float64), axis=1)
    return np.asarray(scipy.signal.filtfilt(np.full(period, 1 / period), [1.0], steady, axis=1))


def r_peaks(lead: np.ndarray, rate: float) -> np.ndarray:
    """Return the R peaks of each record, ``(n,)`` arrays of samples; none where neurokit2 finds none or fails.

    Args:
        lead: lead II of each record, ``(n, length)``, mV.
        rate: Hz.
    """
    import neurokit2

    found = np.empty(len(lead), dtype=object)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for row, record in enumerate(cleaned(lead, rate)):
            # neurokit2 raises whatever its parts raise on signals that are no ECG; such a record has no peaks.
            try:
                peaks = neurokit2.ecg_findpeaks(record, sampling_rate=rate)["ECG_R_Peaks"]
            except Exception:
                peaks = []
            found[row] = np.asarray(peaks, dtype=np.int64)
    return found


def beats(peaks: np.ndarray, rate: float) -> np.ndarray:
    """Return heart rate (1/min, from the median RR interval) and RR variation (RMSSD, ms): ``(2,)``.

    Both are NaN with too few beats.
    """
    if len(peaks) < FEWEST_BEATS:
        return np.full(2, np.nan)
    rr = np.diff(peaks) / rate
    return np.array([60 / np.median(rr), 1000 * np.sqrt(np.mean(np.diff(rr) ** 2))])


def waves(record: np.ndarray, peaks: np.ndarray, clean: np.ndarray, leads: Sequence[str], rate: float) -> np.ndarray:
    """Return the figures of :data:`WAVES` of one record, ``(8,)``: ms, mV and degrees; NaN where not delineated.

    QTc is Fridericia's, QT / RR^(1/3); the axis comes from the areas of the QRS complex in I and aVF.
    """
    import neurokit2

    missing = np.full(len(WAVES), np.nan)
    if len(peaks) < FEWEST_BEATS:
        return missing
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:  # as above
            _, found = neurokit2.ecg_delineate(
                clean, peaks, sampling_rate=rate, method="prominence", max_r_basepoint_interval=_R_BASE_MS
            )
        except Exception:
            return missing
        # neurokit2 leaves out what would begin at the record's first sample: that is of the first beat.
        place = {name: np.array([np.nan] * (len(peaks) - len(own)) + list(own)) for name, own in found.items()}
        onset, end = place["ECG_R_Onsets"], place["ECG_R_Offsets"]
        two = record[leads.index("II")].astype(np.float64)
        level = _read(two, onset)
        qt = 1000 * (place["ECG_T_Offsets"] - onset) / rate
        figures = [
            1000 * (onset - place["ECG_P_Onsets"]) / rate,
            1000 * (end - onset) / rate,
            qt,
            qt / np.cbrt(np.median(np.diff(peaks)) / rate),
            _read(two, place["ECG_P_Peaks"]) - level,
            _read(two, place["ECG_T_Peaks"]) - level,
            _read(two, end + round(_ST_SECONDS * rate)) - level,
        ]
        medians = [np.nanmedian(values) for values in figures]
    return np.array([*medians, _axis(record, onset, end, leads)])


def _read(lead: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Read a lead at places that may be NaN or beyond its end."""
    there = np.isfinite(places) & (places >= 0) & (places < len(lead))
    values = np.full(len(places), np.nan)
    values[there] = lead[places[there].astype(np.int64)]
    return values


def _axis(record: np.ndarray, onset: np.ndarray, end: np.ndarray, leads: Sequence[str]) -> float:
    """Return the frontal QRS axis in degrees, from -180 to 180."""
    known = np.isfinite(onset) & np.isfinite(end)
    if not known.any() or not {"I", "aVF"} <= set(leads):
        return float("nan")
    areas = []
    for name in ("I", "aVF"):
        lead = record[leads.index(name)].astype(np.float64)
        spans = zip(onset[known].astype(int), end[known].astype(int), strict=True)
        areas.append(np.median([(lead[a : b + 1] - lead[a]).sum() for a, b in spans]))
    # aVF is an augmented lead: 2/sqrt(3) of it is on the scale of lead I.
    return float(np.degrees(np.arctan2(areas[1] * 2 / np.sqrt(3), areas[0])))


def beat_figures(peaks: np.ndarray, rate: float) -> np.ndarray:
    """Return :data:`BEATS` of each record from its R peaks: ``(n, 2)``; NaN where no beats were found."""
    return np.array([beats(own, rate) for own in peaks]).reshape(-1, len(BEATS))


def wave_figures(signals: np.ndarray, peaks: np.ndarray, rate: float, leads: Sequence[str]) -> np.ndarray:
    """Return :data:`WAVES` of each record: ``(n, leads, length)`` to ``(n, 8)``; NaN where not delineated.

    Args:
        signals: mV.
        peaks: R peaks of each record.
        rate: Hz.
        leads: their names, II among them.
    """
    clean = cleaned(signals[:, leads.index("II")], rate)
    figures = [waves(record, own, two, leads, rate) for record, own, two in zip(signals, peaks, clean, strict=True)]
    return np.array(figures).reshape(-1, len(WAVES))
