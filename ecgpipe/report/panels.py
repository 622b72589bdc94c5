"""What the pictures of real and synthetic records have in common: sizes, styles, legends, grids of panels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ecgpipe.report.svg import COLOURS, REAL_COLOUR, STYLE
from ecgpipe.vocabulary import REAL_HELD_OUT, REAL_TRAINING

WIDTH = 10.4
"""Inches."""
_SMALL: Any = {
    "font.size": 7.5,
    "axes.titlesize": 8.5,
    "axes.titleweight": "normal",
    "axes.titlelocation": "center",
    "lines.linewidth": 1.1,
    "xtick.major.size": 2.0,
}
SMALL_STYLE: Any = {**STYLE, **_SMALL}

Styles = Mapping[str, Mapping[str, Any]]
"""How the lines of each set are drawn."""


def line_styles(generators: Sequence[str]) -> Styles:
    """Return how each set is drawn."""
    real: dict[str, dict[str, Any]] = {
        REAL_HELD_OUT: {"color": REAL_COLOUR, "linewidth": 1.7},
        REAL_TRAINING: {"color": REAL_COLOUR, "linewidth": 1.0, "linestyle": (0, (1.5, 1.5))},
    }
    return real | {name: {"color": COLOURS[place % len(COLOURS)]} for place, name in enumerate(generators)}


def legend(figure: Figure, handles: Sequence[Line2D]) -> None:
    """Draw a legend of one line below the plots."""
    figure.legend(
        handles=handles, loc="lower center", ncols=len(handles), handlelength=2.0, fontsize=8.5, borderaxespad=0.2
    )


def legend_lines(styles: Styles) -> list[Line2D]:
    """Return the legend's line of each set."""
    return [Line2D([], [], label=name.removeprefix("real: "), **style) for name, style in styles.items()]


def figure_and_margins(height: float, left: float, above: float, below: float) -> tuple[Figure, dict[str, float]]:
    """Return a figure and the place of its plots, from margins in inches.

    matplotlib's own layout, which measures all texts, takes seconds.
    """
    place = {"left": left / WIDTH, "right": 1 - 0.05 / WIDTH, "bottom": below / height, "top": 1 - above / height}
    return Figure(figsize=(WIDTH, height)), place


def sheet(
    height: float, rows: Sequence[str], columns: Sequence[str], above: float, below: float = 0.35, left: float = 1.1
) -> tuple[Figure, Axes]:
    """Return one plot for a grid of panels, each 1 wide and 1 high, the first row's from 0 to -1.

    A plot for each panel takes seconds.
    """
    figure, place = figure_and_margins(height, left, above, below)
    axis = figure.add_axes(
        (place["left"], place["bottom"], place["right"] - place["left"], place["top"] - place["bottom"])
    )
    axis.set(xlim=(0, len(columns)), ylim=(-len(rows), 0))
    axis.set_axis_off()
    for place_, title in enumerate(columns):
        axis.text(place_ + 0.5, 0.02, title, ha="center", va="bottom", fontsize=8.5)
    for place_, title in enumerate(rows):
        axis.text(-0.03, -place_ - 0.5, title, ha="right", va="center", fontsize=8.5)
    return figure, axis


def write_none(axis: Axes, x: float = 0.5, y: float = 0.5) -> None:
    """Say that a panel has nothing to show."""
    axis.text(x, y, "none", ha="center", va="center", style="italic", color="#8a8a8a")
