"""Mean curves of real and synthetic records: spectra, amplitudes and others by lead, intervals, mean beats."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from ecgpipe.closeness.names import AMPLITUDE, INTERVALS, RR, SPECTRUM
from ecgpipe.report.panels import SMALL_STYLE, Styles, figure_and_margins, legend, legend_lines, sheet, write_none
from ecgpipe.report.svg import FAINT, Drawing, svg

_LEADS = 6
"""Leads a row: limb leads above, chest leads below."""

_LEAST_DENSITY = 1e-3
"""1/mV: rarer amplitudes are not drawn."""


def _pooled(curves: pd.DataFrame, sets: Sequence[str], leads: Sequence[str]) -> dict[tuple[str, str], np.ndarray]:
    """Return ``(2, n)`` x and y of each set and lead: the mean over classes.

    A class's weight is the number of its records that every set has.
    """
    sets = [name for name in sets if (curves["generator"] == name).any()]
    fewest = (
        curves.groupby(["class", "generator"])["n"]
        .max()
        .unstack()
        .reindex(columns=list(sets))
        .min(axis=1, skipna=False)
    )
    weights = fewest.dropna()
    found = {}
    for (name, lead), rows in curves.groupby(["generator", "lead"]):
        rows = rows[rows["class"].isin(weights.index)]
        if name in sets and lead in leads and len(rows):
            y = np.average(np.stack(rows["y"].to_list()), axis=0, weights=weights[rows["class"]])
            found[str(name), str(lead)] = np.array([rows["x"].iloc[0], y])
    return found


def _shown(picture: str, curve: np.ndarray) -> np.ndarray:
    """Return a curve ``(2, n)`` as it is drawn: power in dB, logarithms of densities."""
    x, y = curve
    if picture == SPECTRUM:
        return np.array([x, 10 * np.log10(np.maximum(y, 1e-8))])
    if picture == AMPLITUDE:
        y = np.where(y >= _LEAST_DENSITY, y, np.nan)
        return np.array([x, np.log10(y)])
    return curve


def _ticks(low: float, high: float) -> np.ndarray:
    """Return some four round numbers within limits."""
    ticks = np.asarray(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high), dtype=float)
    return ticks[(ticks >= low) & (ticks <= high)]


def _number(value: float) -> str:
    return f"{value:g}".replace("-", "−")


def draw_by_lead(
    picture: str, curves: pd.DataFrame, leads: Sequence[str], styles: Styles, labels: tuple[str, str]
) -> Drawing:
    """Draw one curve a set in a panel for each lead."""
    found = {key: _shown(picture, curve) for key, curve in _pooled(curves, list(styles), leads).items()}
    drawn = np.concatenate(
        [np.array([[0.0, 1.0], [0.0, 1.0]]) if not found else np.empty((2, 0)), *found.values()], axis=1
    )
    drawn = drawn[:, np.isfinite(drawn).all(axis=0)]
    low, high = drawn.min(axis=1), drawn.max(axis=1)
    columns = min(_LEADS, len(leads))
    lines = -(-len(leads) // columns)

    def across(x: Any, column: int) -> Any:
        return column + 0.04 + 0.92 * (x - low[0]) / (high[0] - low[0])

    def up(y: Any, row: int) -> Any:
        return -row - 0.94 + 0.88 * (y - low[1]) / (high[1] - low[1])

    with matplotlib.rc_context(SMALL_STYLE):
        figure, axis = sheet(0.85 + 1.6 * lines, [""] * lines, [""] * columns, 0.1, 0.75, 0.7)
        x_ticks, y_ticks = _ticks(low[0], high[0]), _ticks(low[1], high[1])
        if picture == AMPLITUDE:
            y_ticks = y_ticks[y_ticks == np.round(y_ticks)]
        for place, lead in enumerate(leads):
            i, j = divmod(place, columns)
            axis.hlines(up(y_ticks, i), j + 0.04, j + 0.96, color=FAINT, linewidth=0.6, zorder=0)
            axis.text(j + 0.94, -i - 0.05, lead, ha="right", va="top", fontsize=8.5)
            for name, style in styles.items():
                if (name, lead) in found:
                    x, y = found[name, lead]
                    axis.plot(across(x, j), up(y, i), **style)
        for i in range(lines):
            for tick in y_ticks:
                text = f"$10^{{{tick:.0f}}}$" if picture == AMPLITUDE else _number(tick)
                axis.text(0.02, up(tick, i), text, ha="right", va="center")
            axis.text(-0.28, -i - 0.5, labels[1], rotation=90, ha="right", va="center")
        for j in range(columns):
            for tick in x_ticks:
                axis.text(across(tick, j), -lines - 0.01, _number(tick), ha="center", va="top")
            axis.text(j + 0.5, -lines - 0.12, labels[0], ha="center", va="top")
        legend(figure, legend_lines(styles))
        return svg(figure)


def _curve(curves: pd.DataFrame) -> dict[tuple[str, str, str], np.ndarray]:
    """Return ``(2, n)`` x and y by set, class and lead."""
    keys = zip(curves["generator"], curves["class"], curves["lead"], strict=True)
    return {key: np.array([x, y]) for key, x, y in zip(keys, curves["x"], curves["y"], strict=True)}


def draw_intervals(curves: pd.DataFrame, classes: Sequence[str], styles: Styles) -> Drawing:
    """Draw distributions: a row for each interval, a column for each class."""
    kinds = [RR, *(name for name in INTERVALS if (curves["picture"] == name).any())]
    with matplotlib.rc_context(SMALL_STYLE):
        figure, place = figure_and_margins(0.65 + 1.6 * len(kinds), 0.3, 0.25, 0.7)
        spacing = {"wspace": 0.08, "hspace": 0.45}
        grid = figure.subplots(len(kinds), len(classes), sharex="row", squeeze=False, gridspec_kw={**place, **spacing})
        for row, kind in zip(grid, kinds, strict=True):
            found = _curve(curves[curves["picture"] == kind])
            for axis, label in zip(row, classes, strict=True):
                for name, style in styles.items():
                    if (name, label, "II") in found:
                        axis.step(*found[name, label, "II"], where="mid", **style)
                if axis.lines:
                    axis.set_ylim(0)
                else:
                    write_none(axis)
                axis.set_yticks([])
                axis.set_xlabel("RR interval (s)" if kind == RR else f"{kind} (ms)")
            row[0].set_ylabel("share of beats" if kind == RR else "share of records")
        for axis, label in zip(grid[0], classes, strict=True):
            axis.set_title(label)
        legend(figure, legend_lines(styles))
        return svg(figure)


def draw_beats(curves: pd.DataFrame, classes: Sequence[str], leads: Sequence[str], styles: Styles) -> Drawing:
    """Draw mean beats: a row for each class, a column for each lead."""
    found = _curve(curves)
    spans = {}
    for lead in leads:
        values = np.concatenate([[-0.05, 0.05], *(y for (_, _, name), (_, y) in found.items() if name == lead)])
        spans[lead] = float(values.min()), float(values.max() - values.min())
    titles = [f"{lead}\n{spans[lead][1]:.1f} mV" for lead in leads]
    with matplotlib.rc_context(SMALL_STYLE):
        figure, axis = sheet(0.8 + 0.85 * len(classes), classes, titles, 0.4)
        cells = [(i, j, label, lead) for i, label in enumerate(classes) for j, lead in enumerate(leads)]
        for name, style in styles.items():
            lines = [np.full((2, 1), np.nan)]
            for i, j, label, lead in cells:
                if (name, label, lead) in found:
                    x, y = found[name, label, lead]
                    low, span = spans[lead]
                    across = j + 0.05 + 0.9 * (x - x[0]) / (x[-1] - x[0])
                    lines += [np.array([across, 0.05 - i - 1 + 0.9 * (y - low) / span]), lines[0]]
            axis.plot(*np.concatenate(lines, axis=1), **{"linewidth": 0.9, **style})
        x = next((x for x, _ in found.values()), np.array([0.0, 1.0]))
        at_r = 0.05 + 0.9 * (0 - x[0]) / (x[-1] - x[0])
        there = {(label, lead) for _, label, lead in found}
        drawn = [(i, j) for i, j, label, lead in cells if (label, lead) in there]
        axis.vlines(
            [j + at_r for _, j in drawn],
            [-i - 0.97 for i, _ in drawn],
            [-i - 0.03 for i, _ in drawn],
            color=FAINT,
            linewidth=0.6,
            zorder=0,
        )
        for i, j, label, lead in cells:
            if (label, lead) not in there:
                write_none(axis, j + 0.5, -i - 0.5)
        legend(figure, legend_lines(styles))
        return svg(figure)
