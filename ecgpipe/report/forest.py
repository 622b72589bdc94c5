"""The forest plot of the first screen: one small drawing a row, on a common axis."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ecgpipe.prose.rows import Row
from ecgpipe.prose.wording import number


def axis(comparisons: pd.DataFrame) -> tuple[float, float]:
    """Return limits of a common axis for differences: 0 within, the widest interval too, rounded to 0.05."""
    low = np.nanmin([0.0, *comparisons["low"], *comparisons["difference"]])
    high = np.nanmax([0.0, *comparisons["high"], *comparisons["difference"]])
    return float(np.floor(low / 0.05 - 0.2) * 0.05), float(np.ceil(high / 0.05 + 0.2) * 0.05)


_WIDTH, _HEIGHT, _PAD = 240, 26, 14


def _x(value: float, limits: tuple[float, float]) -> float:
    return round((value - limits[0]) / (limits[1] - limits[0]) * (_WIDTH - 2 * _PAD) + _PAD, 1)


def _svg(inner: str, height: int) -> str:
    return (
        f'<svg class="forest" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}" '
        f'aria-hidden="true" focusable="false">{inner}</svg>'
    )


def row(row: Row, limits: tuple[float, float]) -> str:
    """Draw one difference with its interval; a full mark where a difference is shown, an open one where not."""
    zero, middle = _x(0.0, limits), _HEIGHT / 2
    parts = [f'<line class="zero" x1="{zero}" x2="{zero}" y1="0" y2="{_HEIGHT}"/>']
    kind = str(row["verdict"]).split()[0]
    if not np.isnan(row["low"]):
        low, high = (_x(row[name], limits) for name in ("low", "high"))
        parts.append(f'<line class="whisker {kind}" x1="{low}" x2="{high}" y1="{middle}" y2="{middle}"/>')
    if not np.isnan(row["difference"]):
        value = _x(row["difference"], limits)
        parts.append(f'<circle class="dot {kind}" cx="{value}" cy="{middle}" r="4.5"/>')
    return _svg("".join(parts), _HEIGHT)


def scale(limits: tuple[float, float]) -> str:
    """Draw the axis of a forest plot."""
    span = limits[1] - limits[0]
    step = next(s for s in (0.05, 0.1, 0.2, 0.25, 0.5, 1.0, 2.0) if span / s <= 5)
    ticks = np.arange(np.ceil(limits[0] / step - 1e-9), np.floor(limits[1] / step + 1e-9) + 1) * step
    parts = [f'<line class="axis" x1="0" x2="{_WIDTH}" y1="1" y2="1"/>']
    for tick in ticks:
        x, text = _x(float(tick), limits), number(round(float(tick), 2), 2) if round(tick, 2) else "0"
        parts.append(f'<line class="axis" x1="{x}" x2="{x}" y1="1" y2="5"/><text x="{x}" y="17">{text}</text>')
    return _svg("".join(parts), 20)
