"""Detection of QRS complexes in all leads at once.

One lead is not enough: the complex may be flat in it, and an artefact or a tall T wave taken for one. Leads are
band-passed to 7-22 Hz, where QRS complexes have most of their energy and P and T waves little (Elgendi et al., PLoS ONE
9(1):e84018, 2014), and their squares added up without the largest of each moment, so that what is seen in one lead only
is no beat. Peaks of the smoothed sum are kept that exceed a share of the record's larger peaks.

benchmarks/beat_detection.py compares this with the detectors of neurokit2 and wfdb.
"""

from __future__ import annotations

import numpy as np
import scipy.signal

BAND = (7.0, 22.0)
"""Hz."""
SMOOTHING = 0.025
"""Deviation of the Gaussian that the sum over leads is smoothed with, s."""
REFRACTORY = 0.24
"""Shortest interval between two beats, s: 250 beats a minute."""
THRESHOLD = 0.3
"""Least height of a peak, as a share of the median of the highest third."""


def qrs_energy(signals: np.ndarray, rate: float) -> np.ndarray:
    """Return what the QRS complexes stand out in: ``(n, leads, length)`` in mV to ``(n, length)`` in mV.

    The square root of the sum of squares over all leads but the largest of each moment, band-passed and smoothed.
    """
    band = scipy.signal.butter(3, BAND, "bandpass", fs=rate, output="sos")
    length = signals.shape[-1]
    squares = scipy.signal.sosfiltfilt(band, signals, axis=-1, padtype="even", padlen=min(round(rate), length - 1))
    squares = np.square(squares, out=squares)
    energy = np.sqrt(np.maximum(squares.sum(axis=1) - squares.max(axis=1), 0.0))
    half = max(1, round(3.2 * SMOOTHING * rate))
    kernel = np.exp(-0.5 * (np.arange(-half, half + 1) / (SMOOTHING * rate)) ** 2)
    padded = np.pad(energy, ((0, 0), (half, half)), mode="reflect")
    smoothed = scipy.signal.oaconvolve(padded, kernel[None] / kernel.sum(), mode="valid", axes=-1)
    return np.asarray(smoothed)


def peaks_of(energy: np.ndarray, rate: float) -> np.ndarray:
    """Return the times, in s, of the peaks of one record's QRS energy ``(length,)`` that are beats."""
    # A zero before and behind lets a peak stand at the first or last sample.
    found = scipy.signal.find_peaks(np.pad(energy, 1), distance=max(1, int(REFRACTORY * rate)))[0] - 1
    if not len(found):
        return np.zeros(0)
    highest = np.sort(energy[found])[-max(4, len(found) // 3) :]
    found = found[energy[found] > THRESHOLD * np.median(highest)]
    return np.asarray((found + _vertex(energy, found)) / rate)


def _vertex(values: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return how far from each peak the vertex of the parabola through it and its neighbours lies, in samples."""
    out = np.zeros(len(places))
    inner = (places > 0) & (places < len(values) - 1)
    before, at, behind = (values[places[inner] + i] for i in (-1, 0, 1))
    bend = np.minimum(before - 2 * at + behind, -1e-12)
    out[inner] = np.clip(0.5 * (before - behind) / bend, -0.5, 0.5)
    return out


def detect(signals: np.ndarray, rate: float) -> list[np.ndarray]:
    """Return the beats of each record, in s from its start.

    Args:
        signals: the eight independent leads, ``(n, 8, length)``, mV.
        rate: Hz; the band must lie below half of it.

    Raises:
        ValueError: if the sampling rate is too low.
    """
    if rate <= 2 * BAND[1]:
        raise ValueError(
            f"beats are found at {BAND[0]:g}-{BAND[1]:g} Hz; {rate:g} Hz do not hold these; use `draft: none`"
        )
    return [peaks_of(energy, rate) for energy in qrs_energy(signals, rate)]
