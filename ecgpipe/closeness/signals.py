"""Features of single records: correlations, spectra, amplitude histograms, random projections, faults."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.fft
import scipy.signal

from ecgpipe.arrays import SignalReader
from ecgpipe.closeness import distances
from ecgpipe.closeness.records import BLOCK, Records
from ecgpipe.leads import LEADS, limb_lead_residual

LAGS_SECONDS = 1.5
BAND = (0.5, 40.0)
WELCH_SECONDS = 4.0

AMPLITUDE = 4.0
AMPLITUDE_STEP = 0.02
"""Histograms reach from -4 to 4 mV in bins of 0.02 mV; samples beyond are counted in the outermost bins."""

PROJECTIONS = 64
_PROJECTION_SEED = 20241127

FLAT_MV = 0.005
"""A lead whose range is below this, in mV, is flat."""

_NEAREST_BLOCK = 1024
"""Records of each set that are compared at a time in the search for nearest neighbours."""

CLIPPED_SAMPLES = 5
"""A lead that stays at its largest or smallest value for so many samples in a row is clipped."""


def interlead_correlation(signals: np.ndarray) -> np.ndarray:
    """Return the correlation of each pair of leads: ``(n, leads, length)`` to ``(n, leads, leads)``.

    It is 0 where a lead is constant.
    """
    centred = signals - signals.mean(axis=2, keepdims=True)
    deviation = np.sqrt(np.einsum("nlt,nlt->nl", centred, centred))
    products = np.einsum("nlt,nmt->nlm", centred, centred, optimize=True)
    scale = deviation[:, :, None] * deviation[:, None, :]
    return np.asarray(np.divide(products, scale, out=np.zeros_like(products), where=scale > 0))


def autocorrelation(signals: np.ndarray, rate: float) -> np.ndarray:
    """Return each lead's autocorrelation at lags up to 1.5 s without lag 0, ``(n, leads, lags)``; 0 where constant."""
    length = signals.shape[2]
    lags = min(round(LAGS_SECONDS * rate), length - 1)
    size = scipy.fft.next_fast_len(length + lags, real=True)
    spectrum = scipy.fft.rfft(signals - signals.mean(axis=2, keepdims=True), size, axis=2)
    covariance = scipy.fft.irfft(spectrum.real**2 + spectrum.imag**2, size, axis=2)[..., : lags + 1]
    zero = covariance[..., :1]
    return np.asarray(
        np.divide(covariance[..., 1:], zero, out=np.zeros_like(covariance[..., 1:]), where=zero > 1e-12 * length)
    )


def welch_frequencies(length: int, rate: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the frequencies of Welch's spectrum within 0.5-40 Hz, and which of all they are."""
    segment = min(length, round(WELCH_SECONDS * rate))
    frequencies = np.fft.rfftfreq(segment, 1 / rate)
    chosen = np.flatnonzero((frequencies >= BAND[0]) & (frequencies <= BAND[1]))
    return frequencies[chosen], chosen


def welch_spectrum(signals: np.ndarray, rate: float) -> np.ndarray:
    """Return each lead's power density within 0.5-40 Hz, ``(n, leads, frequencies)``, mV²/Hz."""
    segment = min(signals.shape[2], round(WELCH_SECONDS * rate))
    _, power = scipy.signal.welch(signals, rate, nperseg=segment, axis=2)
    return np.asarray(power[..., welch_frequencies(signals.shape[2], rate)[1]])


def amplitude_histogram(signals: np.ndarray) -> np.ndarray:
    """Return how many of each lead's samples lie in each bin of amplitude, ``(n, leads, bins)``.

    The counts are in the smallest integer type that holds them.
    """
    n, leads, length = signals.shape
    bins = round(2 * AMPLITUDE / AMPLITUDE_STEP)
    place = np.clip(np.floor((signals + AMPLITUDE) / AMPLITUDE_STEP), 0, bins - 1).astype(np.int64)
    place += bins * np.arange(n * leads).reshape(n, leads, 1)
    counts = np.bincount(place.ravel(), minlength=n * leads * bins)
    return counts.reshape(n, leads, bins).astype(np.min_scalar_type(length))


def projections(signals: np.ndarray) -> np.ndarray:
    """Project whole records on fixed random directions of length 1: ``(n, 64)``, mV."""
    flat = signals.reshape(len(signals), -1)
    directions = np.random.default_rng(_PROJECTION_SEED).standard_normal((flat.shape[1], PROJECTIONS))
    return np.asarray(flat @ (directions / np.linalg.norm(directions, axis=0)))


def limb_residual(signals: np.ndarray, leads: tuple[str, ...]) -> np.ndarray:
    """Return the largest violation of the limb-lead identities in each record, ``(n,)``, mV.

    It is NaN if the first six leads are not the limb leads.
    """
    if leads[:6] != LEADS[:6]:
        return np.full(len(signals), np.nan)
    return limb_lead_residual(signals)


def faulty(signals: np.ndarray) -> np.ndarray:
    """Say which records have a flat or clipped lead, ``(n,)``, as 0 or 1."""
    high, low = signals.max(axis=2, keepdims=True), signals.min(axis=2, keepdims=True)
    flat = (high - low)[..., 0] < FLAT_MV
    clipped = np.zeros_like(flat)
    for extreme in (high, low):
        run = signals == extreme
        for _ in range(CLIPPED_SAMPLES - 1):
            run = run[..., 1:] & run[..., :-1]
        clipped |= run.any(axis=2)
    return np.asarray((flat | clipped).any(axis=1), dtype=np.float64)


def in_blocks(function: Callable[[np.ndarray], np.ndarray], signals: np.ndarray | SignalReader) -> np.ndarray:
    """Apply ``function`` to blocks of records and join the results, so that memory stays bounded."""
    parts = [function(np.asarray(signals[i : i + BLOCK], dtype=np.float64)) for i in range(0, len(signals), BLOCK)]
    return np.concatenate(parts)


def nearest_distance(x: Records, y: Records) -> np.ndarray:
    """Return the root mean square difference of each of ``x`` to its nearest neighbour in ``y``, mV, ``(n,)``.

    Neither set is held in memory whole.
    """
    best = np.full(len(x), np.inf)
    for start in range(0, len(x), _NEAREST_BLOCK):
        mine = np.asarray(x.signals[start : start + _NEAREST_BLOCK], dtype=np.float32)
        mine = mine.reshape(len(mine), -1)
        rows = slice(start, start + len(mine))
        for first in range(0, len(y), _NEAREST_BLOCK):
            theirs = np.asarray(y.signals[first : first + _NEAREST_BLOCK], dtype=np.float32)
            found = distances.nearest_neighbours(mine, theirs.reshape(len(theirs), -1), 1)[1][:, 0]
            best[rows] = np.minimum(best[rows], found)
    return np.asarray(best / np.sqrt(x.signals.shape[1] * x.signals.shape[2]))
