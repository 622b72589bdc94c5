"""ECGs as short text for a page, which ``ecg.js`` unpacks: quantised samples, predicted from those before, Rice-coded.

Blocks of samples of a lead choose the linear predictor and the Rice parameter that make them shortest, as FLAC does
(Robinson, Shorten, 1994). Leads III, aVR, aVL and aVF are left out where they follow from I and II.
"""

from __future__ import annotations

import base64
from typing import TypedDict

import numpy as np

from ecgpipe.leads import INDEPENDENT, LEADS, independent_from_twelve, limb_lead_residual, twelve_from_independent

BLOCK = 50
"""Samples that share a predictor and a Rice parameter."""
PREDICTORS = ((0, 0, 0), (4, 0, 0), (8, -4, 0), (6, -2, 0), (4, -2, 1), (6, -3, 0))
"""Weights of the last, the last but one and the last but two samples, in quarters."""
_PARAMETER_BITS = 5
_HEADER_BITS = 8
_LARGEST = 32767
"""Largest quantised sample: a record beyond is stored in coarser steps."""


class Packed(TypedDict):
    """A packed ECG: its step in mV, the number of leads stored (8 or 12), and the samples in base64."""

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
    return Packed(step=step, leads=len(signal), data=base64.b64encode(np.packbits(bits).tobytes()).decode())


def unpack(packed: Packed, length: int) -> np.ndarray:
    """Return the samples of a packed ECG: ``(12, length)`` in mV, what ``ecg.js`` draws."""
    bits = np.unpackbits(np.frombuffer(base64.b64decode(packed["data"]), dtype=np.uint8)).tolist()
    place = 0

    def read(count: int) -> int:
        nonlocal place
        value = 0
        for bit in bits[place : place + count]:
            value = 2 * value + bit
        place += count
        return value

    leads = np.zeros((packed["leads"], length), dtype=np.int64)
    for lead in leads:
        before = [0, 0, 0]
        for start in range(0, length, BLOCK):
            header = read(_HEADER_BITS)
            weights, parameter = PREDICTORS[header >> _PARAMETER_BITS], header & ((1 << _PARAMETER_BITS) - 1)
            for i in range(start, min(start + BLOCK, length)):
                quotient = bits.index(0, place) - place
                place += quotient + 1
                folded = (quotient << parameter) | read(parameter)
                residual = folded >> 1 if folded % 2 == 0 else -(folded + 1 >> 1)
                value = residual + (sum(w * b for w, b in zip(weights, before, strict=True)) + 2 >> 2)
                lead[i] = value
                before = [value, *before[:2]]
    signal = leads * packed["step"]
    return twelve_from_independent(signal) if packed["leads"] == len(INDEPENDENT) else signal


def _folded(samples: np.ndarray) -> np.ndarray:
    """Return what each predictor leaves, as numbers from 0 on: ``(leads, length)`` to ``(predictors, leads, length)``.

    0, -1, 1, -2, 2 become 0, 1, 2, 3, 4.
    """
    padded = np.pad(samples, ((0, 0), (3, 0)))
    before = np.stack([padded[:, 2:-1], padded[:, 1:-2], padded[:, :-3]])
    predicted = (np.einsum("pk,klt->plt", np.array(PREDICTORS), before) + 2) >> 2
    residuals = samples - predicted
    return np.asarray(np.where(residuals >= 0, 2 * residuals, -2 * residuals - 1))


def _bits(samples: np.ndarray) -> np.ndarray:
    """Return the bits of quantised leads ``(leads, length)``: for each block its header, then its samples."""
    leads, length = samples.shape
    blocks = -(-length // BLOCK)
    there = np.arange(blocks * BLOCK).reshape(blocks, BLOCK) < length
    folded = np.pad(_folded(samples), ((0, 0), (0, 0), (0, blocks * BLOCK - length)))
    folded = folded.reshape(len(PREDICTORS), leads, blocks, BLOCK)
    # The best parameter is near the logarithm of the mean; one of two neighbours of it can be better.
    near = np.log2(np.maximum(folded.sum(axis=-1) / there.sum(axis=-1) * np.log(2), 1.0)).astype(np.int64)
    parameters = np.stack([near, near + 1])
    sizes = ((folded >> parameters[..., None]) * there).sum(axis=-1) + there.sum(axis=-1) * (1 + parameters)
    best = sizes.transpose(2, 3, 0, 1).reshape(leads, blocks, -1).argmin(axis=-1)
    predictor = best % len(PREDICTORS)
    lead, block = np.indices((leads, blocks))
    parameter = parameters[best // len(PREDICTORS), predictor, lead, block]
    chosen = folded[predictor, lead, block]
    low = chosen & ((1 << parameter[..., None]) - 1)
    quotients, widths = chosen >> parameter[..., None], np.broadcast_to(parameter[..., None], chosen.shape)
    header = (predictor << _PARAMETER_BITS | parameter)[..., None]
    mask = np.concatenate([np.ones((*header.shape,), bool), np.broadcast_to(there, chosen.shape)], axis=-1)
    runs, values, width, ends = (
        np.concatenate([np.broadcast_to(first, header.shape), rest], axis=-1)[mask]
        for first, rest in ((0, quotients), (header, low), (_HEADER_BITS, widths), (0, np.ones_like(chosen)))
    )
    return _written(runs, ends, values, width)


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
