"""A 12-lead ECG drawn as it is printed: 25 mm/s, 10 mm/mV, on millimetre paper.

The usual sheet: three rows of four leads, 2.5 s each, the columns following one another in time, and a rhythm strip of
lead II over all 10 s; a calibration pulse of 1 mV opens each row. One unit of the drawing is one millimetre.
"""

from __future__ import annotations

from xml.sax.saxutils import escape

import numpy as np

from ecgpipe.leads import LEADS

SPEED = 25.0
"""Paper speed, mm/s."""
GAIN = 10.0
"""mm/mV."""
ROWS: tuple[tuple[str, ...], ...] = (("I", "aVR", "V1", "V4"), ("II", "aVL", "V2", "V5"), ("III", "aVF", "V3", "V6"))
RHYTHM = "II"

_MARGIN = 5.0
_PULSE = 10.0
"""Room for the calibration pulse, mm: 2.5 before, 5 (0.2 s) at 1 mV, 2.5 behind."""
_ROW = 25.0
"""Distance of the rows' baselines, mm."""
_TOP = 20.0
_REACH = 17.0
"""How far from its baseline a trace is drawn, mm; what is beyond is cut at that height."""
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


def _trace(signal: np.ndarray, rate: float, left: float, baseline: float) -> str:
    """Return the path of one lead, mV at ``rate`` Hz, from ``left`` on, both in mm."""
    x = left + np.arange(len(signal)) * (SPEED / rate)
    y = baseline - np.clip(signal * GAIN, -_REACH, _REACH)
    return _path(_simplified(np.column_stack([x, y]), _UNIT))


def _pulse(baseline: float) -> str:
    """Return the path of a calibration pulse: 1 mV for 0.2 s."""
    steps = [(0.0, 0.0), (2.5, 0.0), (2.5, -GAIN), (7.5, -GAIN), (7.5, 0.0), (10.0, 0.0)]
    return _path(np.array([(_MARGIN + x, baseline + y) for x, y in steps]))


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
    seconds = length / rate
    left = _MARGIN + _PULSE
    width = np.ceil((left + seconds * SPEED + _MARGIN) / 5) * 5
    height = np.ceil((_TOP + 3 * _ROW + _ROW * 0.8) / 5) * 5
    bounds = [round(i * length / 4) for i in range(5)]
    traces, names, ticks = [], [], []
    for row, row_leads in enumerate(ROWS):
        baseline = _TOP + row * _ROW
        traces.append(_pulse(baseline))
        for column, lead in enumerate(row_leads):
            first, last = bounds[column], bounds[column + 1]
            x = left + first / rate * SPEED
            traces.append(_trace(by_lead[lead][first:last], rate, x, baseline))
            names.append(f'<text x="{x + 1:g}" y="{baseline - 12.5:g}">{lead}</text>')
            if column:
                ticks.append(f"M{x:g} {baseline - 9:g}v4")
    baseline = _TOP + 3 * _ROW
    traces += [_pulse(baseline), _trace(by_lead[RHYTHM], rate, left, baseline)]
    names.append(f'<text x="{left + 1:g}" y="{baseline - 12.5:g}">{RHYTHM}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}mm" height="{height:g}mm" '
        f'viewBox="0 0 {width:g} {height:g}" fill="none" role="img"><title>{escape(title)}</title>'
        f"{_grid(float(width), float(height))}"
        f'<path d="{"".join(ticks)}" stroke="#1b1b1b" stroke-width=".25"/>'
        f'<path transform="scale({_UNIT:g})" d="{"".join(traces)}" stroke="#111" stroke-width="6" '
        'stroke-linejoin="round"/>'
        f'<g fill="#1b1b1b" font-family="Helvetica,Arial,sans-serif" font-size="4" font-weight="600">{"".join(names)}'
        f'<text x="{width - 2:g}" y="{height - 1.8:g}" font-size="3.2" font-weight="400" text-anchor="end">'
        f"{SPEED:g} mm/s   {GAIN:g} mm/mV</text></g></svg>"
    )
