"""Dynamic time warping within a band, for many pairs of records at once."""

from __future__ import annotations

import numpy as np

BAND_SECONDS = 0.1
_PAIRS = 64
"""Pairs at a time: their costs within the band stay in tens of MB."""


def banded_dtw(x: np.ndarray, y: np.ndarray, band: int) -> np.ndarray:
    """Return the DTW distance of each pair of records, as a root mean square over leads and samples, in mV.

    All leads share one warping path, within ``band`` samples of the diagonal (Sakoe and Chiba, 1978). Cells on one
    anti-diagonal do not depend on each other, so each step computes a whole anti-diagonal of all pairs.

    Args:
        x: ``(p, leads, length)``, mV.
        y: ``(p, leads, length)``, paired with ``x`` row by row.
        band: largest shift, in samples (Sakoe-Chiba band).

    Returns:
        ``(p,)``: the square root of the smallest sum of squared differences along a path divided by leads times length.
    """
    parts = [_block(x[i : i + _PAIRS], y[i : i + _PAIRS], band) for i in range(0, len(x), _PAIRS)]
    return np.concatenate(parts) if parts else np.empty(0)


def _block(x: np.ndarray, y: np.ndarray, band: int) -> np.ndarray:
    pairs, leads, length = x.shape
    band = min(band, length - 1)
    shifts = np.arange(-band, band + 1)
    # cost[i, k]: sample i of x against sample i + shifts[k] of y.
    cost = np.full((length, len(shifts), pairs), np.inf, dtype=np.float32)
    for k, shift in enumerate(range(-band, band + 1)):
        first, last = max(0, -shift), min(length, length - shift)
        difference = x[:, :, first:last] - y[:, :, first + shift : last + shift]
        cost[first:last, k] = np.einsum("plt,plt->tp", difference, difference)
    beyond = np.full((1, pairs), np.inf)
    before = last_one = np.full((len(shifts), pairs), np.inf)
    for total in range(2 * length - 1):
        # On this anti-diagonal i + j = total; shifts of the other parity belong to the next one.
        places = np.arange((total + band) % 2, len(shifts), 2)
        i = (total - shifts[places]) // 2
        j = total - i
        inside = (i >= 0) & (i < length) & (j >= 0) & (j < length)
        places, i = places[inside], i[inside]
        padded = np.concatenate([beyond, last_one, beyond])
        best = np.minimum(np.minimum(padded[places], padded[places + 2]), before[places])
        if total == 0:
            best = np.zeros_like(best)
        current = np.full((len(shifts), pairs), np.inf)
        current[places] = cost[i, places] + best
        before, last_one = last_one, current
    return np.asarray(np.sqrt(last_one[band] / (leads * length)))
