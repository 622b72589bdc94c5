"""How the page writes a value of the closeness tables, and how it stands to its floor."""

from __future__ import annotations

import math

from ecgpipe.prose.rows import Row

_THOUSAND = 1000
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

BETTER = {"lower": "lower", "higher": "higher", "floor": "the floor"}


def written(value: float) -> str:
    """Write a figure of any size with three significant digits; what is tiny as a power of ten."""
    if math.isnan(value):
        return "–"
    text = f"{value:.3g}" if abs(value) < _THOUSAND else f"{value:,.0f}"
    mantissa, _, exponent = text.partition("e")
    if exponent:
        text = f"{float(mantissa):.1f}×10{str(int(exponent)).translate(_RAISED)}"
    return text.replace("-", "−")


def standing(row: Row) -> str:
    """Compare a value with its floor: ``at floor``, ``beyond floor`` (worse), ``past floor`` (better), "" for none."""
    if math.isnan(row["low"]) or math.isnan(row["floor_low"]):
        return ""
    above, below = row["low"] > row["floor_high"], row["high"] < row["floor_low"]
    if not above and not below:
        return "at floor"
    worse = {"lower": above, "higher": below, "floor": True}[row["direction"]]
    return "beyond floor" if worse else "past floor"
