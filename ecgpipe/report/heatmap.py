"""Closeness at a glance: a row for each measure, a column for each generator and control, coloured by the floor."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import matplotlib
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Patch, Rectangle

from ecgpipe.prose.rows import Row, rows_of
from ecgpipe.report.closeness_words import standing, written
from ecgpipe.report.panels import SMALL_STYLE, figure_and_margins
from ecgpipe.report.svg import INK, Drawing, svg
from ecgpipe.vocabulary import CONTROL

NOT_COMPUTED = "#ececec"
BETTER, AT_FLOOR = "#b9d7ee", "#fbfbf8"
WORSE = ((1.0, "#fbdcb2", "beyond it by less than its width"), (4.0, "#f5a45f", "by up to 4 widths"))
WORST = "#c85a13", "by more"
"""Colours of cells; one hue that darkens, and another, so that colour-blind readers can tell them apart."""

_LABEL, _ROW = 2.75, 0.25
"""Inches."""


def widths_beyond(row: Row) -> float:
    """Return how many widths of the floor's interval a value lies beyond it: positive if worse, negative if better."""
    low, high = row["floor_low"], row["floor_high"]
    if math.isnan(low):
        low = high = row["floor"]
    value = row["value"]
    width = max(high - low, 0.02 * abs(row["floor"]), 1e-9)
    above, below = max(value - high, 0.0) / width, max(low - value, 0.0) / width
    if row["direction"] == "floor":
        return float(max(above, below))
    return float(above - below if row["direction"] == "lower" else below - above)


def colour(row: Row) -> str:
    """Return the colour of a cell; where the intervals of value and floor meet it is at the floor."""
    if math.isnan(row["value"]) or math.isnan(row["floor"]):
        return NOT_COMPUTED
    beyond = widths_beyond(row)
    if standing(row) == "at floor" or beyond == 0:
        return AT_FLOOR
    if beyond < 0:
        return BETTER
    return next((shade for most, shade, _ in WORSE if beyond <= most), WORST[0])


def draw(rows: pd.DataFrame, titles: Mapping[str, str], generators: Sequence[str], controls: Sequence[str]) -> Drawing:
    """Draw the measures of one dataset.

    Args:
        rows: rows of ``closeness.parquet`` over all rhythms and leads.
        titles: printed name of each measure.
        generators, controls: names in order.
    """
    measures = list(rows["measure"].unique())
    cells = {(row["measure"], row["generator"]): row for row in rows_of(rows)}
    columns = ["", *generators, *controls]
    heads = ["floor", *(name.replace("_", "_\n") for name in generators)]
    heads += [name.removeprefix(CONTROL).replace("_", "\n") for name in controls]
    with matplotlib.rc_context(SMALL_STYLE):
        figure, place = figure_and_margins(_ROW * len(measures) + 1.0, _LABEL, 0.6, 0.4)
        spot = (place["left"], place["bottom"], place["right"] - place["left"], place["top"] - place["bottom"])
        axis = figure.add_axes(spot)
        axis.set(xlim=(0, len(columns)), ylim=(len(measures), 0))
        axis.set_axis_off()
        for j, head in enumerate(heads):
            axis.text(j + 0.5, -0.15, head, ha="center", va="bottom", fontsize=8)
        if controls:
            x = 1 + len(generators)
            axis.plot([x, x], [-1.6, len(measures)], color=INK, linewidth=0.8, clip_on=False)
            axis.text(x + 0.08, -1.75, "controls with known faults", va="bottom", fontsize=8, style="italic")
        for i, measure in enumerate(measures):
            own = next(row for key, row in cells.items() if key[0] == measure)
            unit = f" ({own['unit']})" if own["unit"] else ""
            axis.text(-0.05, i + 0.5, titles[measure] + unit, ha="right", va="center", fontsize=8.5)
            axis.text(0.5, i + 0.5, written(own["floor"]), ha="center", va="center", fontsize=8)
            for j, name in enumerate(columns[1:], 1):
                _cell(axis, j, i, cells.get((measure, name)))
        figure.legend(handles=_legend(), loc="lower center", ncols=6, fontsize=8, handlelength=1.2, borderaxespad=0.1)
        return svg(figure)


def _cell(axis: Axes, j: int, i: int, row: Row | None) -> None:
    shade = colour(row) if row is not None else NOT_COMPUTED
    axis.add_patch(Rectangle((j, i), 1, 1, facecolor=shade, edgecolor="white", linewidth=1.2))
    text = written(row["value"]) if row is not None else "–"
    ink = "white" if shade == WORST[0] else INK
    axis.text(j + 0.5, i + 0.5, text, ha="center", va="center", fontsize=8, color=ink)


def _legend() -> list[Patch]:
    shades = [
        (BETTER, "better than the floor"),
        (AT_FLOOR, "at the floor"),
        *((shade, text) for _, shade, text in WORSE),
        WORST,
        (NOT_COMPUTED, "not computed"),
    ]
    return [Patch(facecolor=shade, edgecolor="#8a8a8a", linewidth=0.5, label=text) for shade, text in shades]
