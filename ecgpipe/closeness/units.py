"""Are these ECGs in mV? Told from their amplitudes, since an array does not say."""

from __future__ import annotations

import numpy as np

from ecgpipe.arrays import SignalReader

UNITS = {"mV": 1.0, "uV": 1e-3, "V": 1e3}
"""Factor of each unit to mV."""
LARGE, SMALL = 40.0, 0.02
"""Peak to peak of the middle lead of the middle record, mV, above or below which signals are in another unit. Real ECGs
have 0.5 to 4 mV."""
LOOKED_AT = 200
"""Records that are looked at, spread over the set."""


class UnitError(ValueError):
    """Signals that cannot be in mV; the message says what they seem to be."""


def _some(signals: np.ndarray | SignalReader) -> np.ndarray:
    rows = np.unique(np.linspace(0, len(signals) - 1, min(len(signals), LOOKED_AT)).astype(np.int64))
    return np.asarray(signals[rows], dtype=np.float64)


def peak_to_peak(signals: np.ndarray | SignalReader) -> float:
    """Return the peak to peak of the middle lead of the middle record; 0 of no record."""
    some = _some(signals) if len(signals) else np.zeros((1, 1, 1))
    return float(np.median(np.median(np.ptp(some, axis=2), axis=1)))


def check_unit(signals: np.ndarray | SignalReader, what: str, option: str = "--unit") -> None:
    """Make sure that ECGs may be in mV.

    Args:
        signals: ``(n, leads, length)``.
        what: what a message should call them.
        option: how the caller is told the unit.

    Raises:
        UnitError: if they are so large or so small that they are in another unit.
    """
    size = peak_to_peak(signals)
    if not len(signals) or SMALL <= size <= LARGE:
        return
    seems = "uV" if size > LARGE else "V"
    name = {"uV": "µV or steps of a converter", "V": "V"}[seems]
    raise UnitError(
        f"{what} are not in mV: a lead spans {size:.3g} from peak to peak, an ECG 0.5 to 4 mV. They seem to be in "
        f"{name}; give {option} {seems}, or bring them to mV first"
    )


def standardised(signals: np.ndarray | SignalReader) -> str | None:
    """Say how ECGs were scaled, if they were: to unit variance or to a fixed range. Their amplitude is lost then.

    Args:
        signals: ``(n, leads, length)``.

    Returns:
        Some words; None if they keep their amplitude.
    """
    if not len(signals):
        return None
    some = _some(signals)
    for axes, over in (((2,), "each lead"), ((1, 2), "each record")):
        deviation, highest, lowest = some.std(axis=axes), some.max(axis=axes), some.min(axis=axes)
        if np.mean(np.abs(deviation - 1) < 0.01) > 0.9:
            return f"z-scored over {over}"
        if np.mean((np.abs(highest - 1) < 1e-4) & ((np.abs(lowest) < 1e-4) | (np.abs(lowest + 1) < 1e-4))) > 0.9:
            return f"scaled to a fixed range over {over}"
    return "z-scored over all records" if abs(some.std() - 1) < 0.01 and abs(some.mean()) < 0.01 else None
