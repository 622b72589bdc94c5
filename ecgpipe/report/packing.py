"""ECGs as short text for a page, which ``ecg.js`` unpacks: quantised samples, predicted from those before, Rice-coded.

A sample is predicted from the three before it in its lead and from the samples of the leads stored before it, at the
same time and one before. The weights are least squares, for each lead of each record, as in lossless audio coding
(Robinson, Shorten, 1994; Liebchen and Reznik, MPEG-4 ALS, 2004). Blocks of what is left choose the Rice parameter that
makes them shortest. Leads III, aVR, aVL and aVF are left out where they follow from I and II.
"""

from __future__ import annotations

import base64
from typing import TypedDict

import numpy as np

from ecgpipe.leads import INDEPENDENT, LEADS, independent_from_twelve, limb_lead_residual, twelve_from_independent

BLOCK = 100
"""Samples that share a Rice parameter."""
OWN, OTHER = 3, 2
"""Samples that predict the next: so many of the same lead, and so many of each lead before it."""
_SHIFT = 6
"""Weights are in units of 1/64."""
_WEIGHT_BITS = 8
_PARAMETER_BITS = 5
_LARGEST = 32767
"""Largest quantised sample: a record beyond is stored in coarser steps."""
_PLAIN = str.maketrans("&<>", ".,:")
"""Characters of base 85 that mean something to HTML, and what stands for them in a page."""
_BASE85 = str.maketrans(".,:", "&<>")


class Packed(TypedDict):
    """A packed ECG: its step in mV, the number of leads stored (8 or 12), and the samples in base 85."""

    step: float
    leads: int
    data: str


def pack(signal: np.ndarray, step: float, *, all_leads: bool = False) -> Packed:
    """Pack one ECG.

    Args:
        signal: ``(12, length)`` in mV, leads in the standard order.
        step: quantisation step in mV. It is doubled until the largest sample fits into 16 bits.
        all_leads: store twelve leads even if four follow from the others.

    Raises:
        ValueError: if the shape is another, or a sample is NaN or infinite.
    """
    if signal.ndim != 2 or len(signal) != len(LEADS):
        raise ValueError(f"expected one row for each of {len(LEADS)} leads, got an array of shape {signal.shape}")
    if not np.isfinite(signal).all():
        raise ValueError("the signal holds NaN or infinite samples")
    signal = signal.astype(np.float64)
    while np.abs(signal).max(initial=0.0) / step > _LARGEST:
        step *= 2
    if not all_leads and limb_lead_residual(signal) <= step / 2:
        signal = independent_from_twelve(signal)
    bits = _bits(np.round(signal / step).astype(np.int64))
    text = base64.b85encode(np.packbits(bits).tobytes()).decode()
    return Packed(step=step, leads=len(signal), data=text.translate(_PLAIN))


def unpack(packed: Packed, length: int) -> np.ndarray:
    """Return the samples of a packed ECG: ``(12, length)`` in mV, what ``ecg.js`` draws."""
    coded = base64.b85decode(packed["data"].translate(_BASE85))
    bits = np.unpackbits(np.frombuffer(coded, dtype=np.uint8)).tolist()
    place = 0

    def read(count: int) -> int:
        nonlocal place
        value = 0
        for bit in bits[place : place + count]:
            value = 2 * value + bit
        place += count
        return value

    def rice(parameter: int) -> int:
        nonlocal place
        quotient = bits.index(0, place) - place
        place += quotient + 1
        folded = (quotient << parameter) | read(parameter)
        return folded >> 1 if folded % 2 == 0 else -(folded + 1 >> 1)

    padded = np.zeros((packed["leads"], OWN + length), dtype=np.int64)
    for lead in range(packed["leads"]):
        weights = [read(_WEIGHT_BITS) - (1 << _WEIGHT_BITS - 1) for _ in range(OWN + OTHER * lead)]
        parameter = 0
        for i in range(length):
            if i % BLOCK == 0:
                parameter = read(_PARAMETER_BITS)
            now = OWN + i
            known = [*padded[lead, now - OWN : now][::-1], *padded[:lead, now - OTHER + 1 : now + 1][:, ::-1].ravel()]
            padded[lead, now] = rice(parameter) + _predicted(np.dot(weights, known))
    signal = padded[:, OWN:] * packed["step"]
    return twelve_from_independent(signal) if packed["leads"] == len(INDEPENDENT) else signal


def _predicted(weighted: np.ndarray) -> np.ndarray:
    """Return predictions, rounded, from sums in units of the weights."""
    return (weighted + (1 << _SHIFT - 1)) >> _SHIFT


def _lagged(samples: np.ndarray) -> np.ndarray:
    """Return each lead and what it was 1, 2 ... samples before: ``(leads, OWN + 1, length)``; 0 at first."""
    padded = np.pad(samples, ((0, 0), (OWN, 0)))
    return np.stack([padded[:, OWN - lag : padded.shape[1] - lag] for lag in range(OWN + 1)], axis=1)


def _predictors(lagged: np.ndarray) -> list[np.ndarray]:
    """Return the weights of each lead, whole numbers: its own samples before, then those of the leads before it."""
    leads, lags, length = lagged.shape
    rows = lagged.reshape(leads * lags, length).astype(np.float64)
    products = rows @ rows.T  # of whole numbers, below 2**53: exact, in whatever order they are summed
    found = []
    for lead in range(leads):
        own = [lags * lead + lag for lag in range(1, lags)]
        used = own + [lags * other + lag for other in range(lead) for lag in range(OTHER)]
        normal = products[np.ix_(used, used)]
        # The weights are rounded, and a lead may be zero or depend on another: a little less than least squares.
        ridge = np.eye(len(used)) * (1e-4 * np.trace(normal) / len(used) + 1.0)
        weights = np.linalg.solve(normal + ridge, products[used, lags * lead])
        largest = 1 << _WEIGHT_BITS - 1
        found.append(np.clip(np.round(weights * (1 << _SHIFT)), -largest, largest - 1).astype(np.int64))
    return found


def _bits(samples: np.ndarray) -> np.ndarray:
    """Return the bits of quantised leads ``(leads, length)``: of each its weights, then its blocks."""
    lagged = _lagged(samples)
    parts = []
    for lead, weights in enumerate(_predictors(lagged)):
        known = np.concatenate([lagged[lead, 1:], lagged[:lead, :OTHER].reshape(OTHER * lead, samples.shape[1])])
        residual = samples[lead] - _predicted(weights @ known)
        offset = weights + (1 << _WEIGHT_BITS - 1)
        parts += [_fixed(offset, _WEIGHT_BITS), _rice(np.where(residual >= 0, 2 * residual, -2 * residual - 1))]
    return np.concatenate(parts)


def _fixed(values: np.ndarray, width: int) -> np.ndarray:
    """Return the bits of numbers of one width."""
    none = np.zeros_like(values)
    return _written(none, none, values, np.full_like(values, width))


def _rice(folded: np.ndarray) -> np.ndarray:
    """Return the bits of a lead's residuals, folded to 0, 1, 2 ...: for each block its parameter, then its samples."""
    blocks = -(-len(folded) // BLOCK)
    there = np.arange(blocks * BLOCK).reshape(blocks, BLOCK) < len(folded)
    folded = np.pad(folded, (0, blocks * BLOCK - len(folded))).reshape(blocks, BLOCK)
    # The best parameter is near the logarithm of the mean; the one above it can be better.
    near = np.log2(np.maximum(folded.sum(axis=1) / there.sum(axis=1) * np.log(2), 1.0)).astype(np.int64)
    choices = np.stack([near, near + 1])
    sizes = ((folded >> choices[..., None]) * there).sum(axis=2) + there.sum(axis=1) * (1 + choices)
    parameter = np.take_along_axis(choices, sizes.argmin(axis=0)[None], axis=0)[0][:, None]
    mask = np.concatenate([np.ones((blocks, 1), bool), there], axis=1)
    runs, ends, values, widths = (
        np.concatenate([np.broadcast_to(first, (blocks, 1)), np.broadcast_to(rest, folded.shape)], axis=1)[mask]
        for first, rest in (
            (0, folded >> parameter),
            (0, 1),
            (parameter, folded & ((1 << parameter) - 1)),
            (_PARAMETER_BITS, parameter),
        )
    )
    return _written(runs, ends, values, widths)


def _written(runs: np.ndarray, ends: np.ndarray, values: np.ndarray, widths: np.ndarray) -> np.ndarray:
    """Return the bits of items: ``runs`` ones, a zero where ``ends`` is 1, then ``values`` in ``widths`` bits."""
    sizes = runs + ends + widths
    starts = np.cumsum(sizes) - sizes
    bits = np.zeros(int(sizes.sum()), dtype=np.uint8)
    bits[np.repeat(starts - (np.cumsum(runs) - runs), runs) + np.arange(runs.sum())] = 1
    last = starts + sizes - 1
    for bit in range(int(widths.max(initial=0))):
        has = widths > bit
        bits[last[has] - bit] = (values[has] >> bit) & 1
    return bits
