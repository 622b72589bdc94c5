"""How the page writes a value of the closeness tables, and how it stands to its floor."""

from __future__ import annotations

import math

from ecgpipe.prose.rows import Row

BETTER = {"lower": "lower", "higher": "higher", "floor": "the floor"}


def written(value: float) -> str:
    """Write a figure of any size with three digits that count."""
    if math.isnan(value):
        return "–"
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def standing(row: Row) -> str:
    """Compare a value with its floor: ``at floor``, ``beyond floor`` (worse), ``past floor`` (better), "" for none."""
    if math.isnan(row["low"]) or math.isnan(row["floor_low"]):
        return ""
    above, below = row["low"] > row["floor_high"], row["high"] < row["floor_low"]
    if not above and not below:
        return "at floor"
    worse = {"lower": above, "higher": below, "floor": True}[row["direction"]]
    return "beyond floor" if worse else "past floor"
