"""A 12-lead ECG drawn as it is printed: 25 mm/s, 10 mm/mV, on millimetre paper.

The usual sheet: three rows of four leads, 2.5 s each, the columns following one another in time, and a rhythm strip of
lead II over all 10 s; a calibration pulse of 1 mV opens each row. One unit of the drawing is one millimetre.

Nothing is cut off. Rows lie as far apart as their waves need; where the sheet would become higher than A4 landscape,
the gain is halved (5 mm/mV, 2.5 mm/mV ...), and the sheet says so. ``ecg.js`` draws the same sheet in a browser.
"""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

import numpy as np

from ecgpipe.leads import LEADS

SPEED = 25.0
"""Paper speed, mm/s."""
GAIN = 10.0
"""Usual gain, mm/mV."""
HIGHEST = 175.0
"""Largest height of a sheet at more than the smallest gain, mm: A4 landscape with margins and a caption."""
ROWS: tuple[tuple[str, ...], ...] = (("I", "aVR", "V1", "V4"), ("II", "aVL", "V2", "V5"), ("III", "aVF", "V3", "V6"))
RHYTHM = "II"

_MARGIN = 5.0
_PULSE = 10.0
"""Room for the calibration pulse, mm: 2.5 before, 5 (0.2 s) at 1 mV, 2.5 behind."""
_ROW = 25.0
"""Least distance of the rows' baselines, mm."""
_LABEL = 5.0
"""Room for the names of leads above the waves of a row, mm."""
_FOOT = 5.0
"""Room for speed and gain below the last row, mm."""
_SMALLEST_GAIN = 1e-9
_UNIT = 0.05
"""Resolution of the drawn traces, mm."""


def _simplified(points: np.ndarray, tolerance: float) -> np.ndarray:
    """Drop points ``(n, 2)`` within ``tolerance`` of the line through those kept (Douglas and Peucker, 1973)."""
    keep = np.zeros(len(points), dtype=bool)
    keep[[0, -1]] = True
    stack = [(0, len(points) - 1)]
    while stack:
        first, last = stack.pop()
        if last - first < 2:
            continue
        inner = points[first + 1 : last]
        (x0, y0), (dx, dy) = points[first], points[last] - points[first]
        distances = np.abs((inner[:, 0] - x0) * dy - (inner[:, 1] - y0) * dx) / np.hypot(dx, dy)
        worst = int(distances.argmax())
        if distances[worst] > tolerance:
            middle = first + 1 + worst
            keep[middle] = True
            stack += [(first, middle), (middle, last)]
    return points[keep]


def _path(points: np.ndarray) -> str:
    """Return an SVG path through ``points`` (mm), in units of ``_UNIT`` and relative to each other, which is short."""
    units = np.round(points / _UNIT).astype(int)
    steps = np.diff(units, axis=0)
    head = f"M{units[0, 0]} {units[0, 1]}l"
    return head + " ".join(f"{x} {y}" for x, y in steps if x or y).replace(" -", "-")


def _trace(signal: np.ndarray, rate: float, left: float, baseline: float, gain: float) -> str:
    """Return the path of one lead, mV at ``rate`` Hz, from ``left`` on, both in mm."""
    x = left + np.arange(len(signal)) * (SPEED / rate)
    return _path(_simplified(np.column_stack([x, baseline - signal * gain]), _UNIT))


def _pulse(baseline: float, gain: float) -> str:
    """Return the path of a calibration pulse: 1 mV for 0.2 s."""
    steps = [(0.0, 0.0), (2.5, 0.0), (2.5, -gain), (7.5, -gain), (7.5, 0.0), (10.0, 0.0)]
    return _path(np.array([(_MARGIN + x, baseline + y) for x, y in steps]))


def _above(millimetres: float) -> float:
    """Return the next multiple of 5 mm."""
    return float(np.ceil(millimetres / 5 - 1e-9) * 5)


def _rows(extents: Sequence[tuple[float, float]], gain: float) -> tuple[list[float], float]:
    """Return the baselines of rows and the height of the sheet, in mm, all of them multiples of 5 mm.

    Args:
        extents: lowest and highest voltage of each row's waves, mV.
        gain: mm/mV.
    """
    baselines: list[float] = []
    below = 0.0
    for low, high in extents:
        least = baselines[-1] + _ROW if baselines else 0.0
        baselines.append(max(least, _above(below + _LABEL + max(high, 1.0) * gain)))
        below = baselines[-1] + max(-low, 0.0) * gain
    return baselines, _above(below + _FOOT)


def _fitted(extents: Sequence[tuple[float, float]]) -> tuple[float, list[float], float]:
    """Return the largest gain, halved from the usual one, at which the sheet is not too high; baselines; height."""
    gain = GAIN
    baselines, height = _rows(extents, gain)
    while height > HIGHEST and gain > _SMALLEST_GAIN:
        gain /= 2
        baselines, height = _rows(extents, gain)
    return gain, baselines, height


def _grid(width: float, height: float) -> str:
    """Return the paper: lines every mm, stronger ones every 5 mm."""
    fine = "".join(f"M{x} 0V{height:g}" for x in range(int(width) + 1) if x % 5)
    fine += "".join(f"M0 {y}H{width:g}" for y in range(int(height) + 1) if y % 5)
    bold = "".join(f"M{x} 0V{height:g}" for x in range(0, int(width) + 1, 5))
    bold += "".join(f"M0 {y}H{width:g}" for y in range(0, int(height) + 1, 5))
    return (
        f'<rect width="{width:g}" height="{height:g}" fill="#fffafa"/>'
        f'<path d="{fine}" stroke="#f6d5d5" stroke-width=".12"/><path d="{bold}" stroke="#e9a9a9" stroke-width=".2"/>'
    )


def draw(signal: np.ndarray, rate: float, title: str, leads: tuple[str, ...] = LEADS) -> str:
    """Draw one ECG.

    Each lead is drawn about its median over the recording, as an electrocardiograph's baseline filter would; nothing
    else is done to the signal.

    Args:
        signal: ``(12, length)`` in mV.
        rate: sampling rate in Hz.
        title: what the drawing shows, for those who do not see it.
        leads: names of the leads, in the order of ``signal``.

    Returns:
        An SVG document whose width and height, in mm, are those of the paper.

    Raises:
        ValueError: if the signal does not have one row a lead, or holds NaN.
    """
    if signal.ndim != 2 or len(signal) != len(leads):
        raise ValueError(f"expected one row for each of {len(leads)} leads, got an array of shape {signal.shape}")
    if not np.isfinite(signal).all():
        raise ValueError(f"cannot draw {title}: it holds NaN or infinite samples")
    centred = signal.astype(np.float64) - np.median(signal, axis=1, keepdims=True)
    by_lead = dict(zip(leads, centred, strict=True))
    length = signal.shape[1]
    left = _MARGIN + _PULSE
    width = _above(left + length / rate * SPEED + _MARGIN)
    bounds = [round(i * length / 4) for i in range(5)]
    # What each row shows: a lead, and its first and last sample.
    rows = [[(lead, bounds[i], bounds[i + 1]) for i, lead in enumerate(row)] for row in ROWS] + [[(RHYTHM, 0, length)]]
    parts = [np.concatenate([by_lead[lead][first:last] for lead, first, last in row]) for row in rows]
    extents = [(float(part.min(initial=0.0)), float(part.max(initial=0.0))) for part in parts]
    gain, baselines, height = _fitted(extents)
    traces, names, ticks = [], [], []
    for row, baseline, (_, high) in zip(rows, baselines, extents, strict=True):
        traces.append(_pulse(baseline, gain))
        for column, (lead, first, last) in enumerate(row):
            x = left + first / rate * SPEED
            traces.append(_trace(by_lead[lead][first:last], rate, x, baseline, gain))
            names.append(f'<text x="{x + 1:g}" y="{baseline - max(high, 1.0) * gain - 1.2:.4g}">{lead}</text>')
            if column:
                ticks.append(f"M{x:g} {baseline - 2:g}v4")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}mm" height="{height:g}mm" '
        f'viewBox="0 0 {width:g} {height:g}" fill="none" role="img"><title>{escape(title)}</title>'
        f"{_grid(float(width), float(height))}"
        f'<path d="{"".join(ticks)}" stroke="#1b1b1b" stroke-width=".25"/>'
        f'<path transform="scale({_UNIT:g})" d="{"".join(traces)}" stroke="#111" stroke-width="6" '
        'stroke-linejoin="round"/>'
        f'<g fill="#1b1b1b" font-family="Helvetica,Arial,sans-serif" font-size="4" font-weight="600">{"".join(names)}'
        f'<text x="{width - 2:g}" y="{height - 1.8:g}" font-size="3.2" font-weight="400" text-anchor="end">'
        f"{SPEED:g} mm/s   {gain:.3g} mm/mV{'' if gain == GAIN else ' (reduced)'}</text></g></svg>"
    )
