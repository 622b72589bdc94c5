"""The twelve standard leads: names, order, and the exact relations between the limb leads.

Source: Einthoven's law and Goldberger's augmented leads; any ECG textbook.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

LEADS: tuple[str, ...] = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
"""Standard order of the leads in every array of this package."""

INDEPENDENT: tuple[str, ...] = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")
"""The eight leads from which the other four follow exactly."""

_BY_LOWER_CASE = {name.lower(): name for name in LEADS}


def standard_name(name: str) -> str | None:
    """Return the standard spelling of a lead's name (``"AVR"`` gives ``"aVR"``), or None if it is no lead."""
    return _BY_LOWER_CASE.get(name.strip().lower())


def standard_order(names: Sequence[str]) -> list[int]:
    """Return the position of each standard lead in ``names``.

    Raises:
        ValueError: if a standard lead is missing or named twice.
    """
    found: dict[str, int] = {}
    for position, raw in enumerate(names):
        name = standard_name(raw)
        if name is None:
            continue
        if name in found:
            raise ValueError(f"lead {name} appears twice")
        found[name] = position
    missing = [name for name in LEADS if name not in found]
    if missing:
        raise ValueError("missing lead " + ", ".join(missing))
    return [found[name] for name in LEADS]


def independent_from_twelve(signals: np.ndarray) -> np.ndarray:
    """Keep leads I, II, V1-V6: ``(..., 12, length)`` to ``(..., 8, length)``."""
    return signals[..., [LEADS.index(name) for name in INDEPENDENT], :]


def twelve_from_independent(signals: np.ndarray) -> np.ndarray:
    """Derive III, aVR, aVL and aVF: ``(..., 8, length)`` to ``(..., 12, length)``, same unit and dtype.

    III = II - I, aVR = -(I + II) / 2, aVL = I - II / 2, aVF = II - I / 2 (Einthoven, Goldberger).
    """
    if signals.shape[-2] != len(INDEPENDENT):
        raise ValueError(f"expected 8 leads on axis -2, got shape {signals.shape}")
    one, two = signals[..., 0, :], signals[..., 1, :]
    limb = np.stack([one, two, two - one, -(one + two) / 2, one - two / 2, two - one / 2], axis=-2)
    return np.concatenate([limb, signals[..., 2:, :]], axis=-2)


def limb_lead_residual(signals: np.ndarray) -> np.ndarray:
    """Return the largest violation of the four limb-lead identities: ``(..., 12, length)`` to ``(...)``, in mV."""
    one, two, three, avr, avl, avf = (signals[..., i, :].astype(np.float64) for i in range(6))
    worst = np.stack(
        [
            np.abs(three - (two - one)),
            np.abs(avr + (one + two) / 2),
            np.abs(avl - (one - two / 2)),
            np.abs(avf - (two - one / 2)),
        ]
    )
    return np.asarray(worst.max(axis=(0, -1)))
