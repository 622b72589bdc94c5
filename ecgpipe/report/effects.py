"""The first screen's figure: what synthetic records change, with the smallest change that could have been seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from ecgpipe.prose.rows import Row, rows_of
from ecgpipe.prose.wording import METRIC_NAMES, number
from ecgpipe.report.svg import COLOURS, INK, STYLE, Drawing, svg
from ecgpipe.vocabulary import CANNOT_TELL, HARMS, HELPS, PRIMARY

_BAND, _SOFT = "#dcdcdc", "#6b6b6b"
_SHOWN = {HELPS: COLOURS[2], HARMS: COLOURS[1]}
_INCHES = 0.21
"""Of a row."""


@dataclass(frozen=True)
class Panel:
    """One experiment of the figure.

    Attributes:
        title: what was done.
        rows: its comparisons with real records only, at each dataset's largest share.
    """

    title: str
    rows: pd.DataFrame


def draw(panels: Sequence[Panel], groups: Mapping[str, str], *, narrow: bool = False) -> Drawing:
    """Draw a dot with its interval for each generator; real records only is the line at 0.

    Args:
        panels: what is drawn side by side, or one below the other if ``narrow``.
        groups: heading of each dataset, by name and in order.
        narrow: for a phone.

    Returns:
        The drawing.
    """
    names = list(dict.fromkeys(name for panel in panels for name in panel.rows["generator"]))
    limits = _limits(pd.concat([panel.rows for panel in panels]))
    label = max(1.0, 0.085 * max(map(len, names)))
    style = STYLE | {"axes.grid": False, "font.size": 8.5 if narrow else 9.0}
    with matplotlib.rc_context(style):
        figure, axes = (_stacked if narrow else _side_by_side)(panels, groups, names, label)
        for place, (axis, panel) in enumerate(zip(axes, panels, strict=True)):
            mine = list(dict.fromkeys(panel.rows["generator"])) if narrow else names
            places, headings = _places(groups, mine)
            _panel(axis, panel, places, headings, limits, len(places) + len(headings))
            if narrow or place == 0:
                left = (label + 0.03) / (axis.get_position().width * figure.get_figwidth())
                _names(axis, places, {y: groups[name] for name, y in headings.items()}, left)
            if narrow:
                figure.text(0.05 / _PHONE, axis.get_position().y1 + 0.1 / figure.get_figheight(), panel.title, **_TITLE)
            else:
                axis.set_title(panel.title, pad=6)
            if not narrow or place == len(panels) - 1:
                axis.set_xlabel(
                    f"difference in {METRIC_NAMES[PRIMARY]}" + ("" if narrow else " from real records only")
                )
        figure.legend(handles=_legend(), loc="lower center", ncols=2 if narrow else 3, fontsize=8, handlelength=1.6)
        return svg(figure)


_FIT = 58
"""Characters of a heading that fit into the narrow figure at full size."""
_PHONE = 4.1
"""Width of the narrow figure, inches."""
_TITLE: Any = {"weight": "bold", "fontsize": 9.5, "va": "bottom"}


def _heights(groups: Mapping[str, str], names: Sequence[str]) -> float:
    """Return the height of a panel in inches."""
    return len(groups) * (len(names) + 1) * _INCHES + 0.15


def _side_by_side(
    panels: Sequence[Panel], groups: Mapping[str, str], names: Sequence[str], label: float
) -> tuple[Figure, list[Axes]]:
    """Return a figure and its panels from left to right, which share the names at the left."""
    width, bottom, each = label + 0.7 + 3.6 * len(panels), 0.9, _heights(groups, names)
    height = each + bottom + 0.55
    left, gap = (label + 0.05) / width, 0.12 / width
    one = (1 - left - 0.05 / width - gap * (len(panels) - 1)) / len(panels)
    figure = Figure(figsize=(width, height))
    return figure, [
        figure.add_axes((left + place * (one + gap), bottom / height, one, each / height))
        for place in range(len(panels))
    ]


def _stacked(
    panels: Sequence[Panel], groups: Mapping[str, str], names: Sequence[str], label: float
) -> tuple[Figure, list[Axes]]:
    """Return a figure and its panels one below the other, each with the names that it has."""
    each = [_heights(groups, list(dict.fromkeys(panel.rows["generator"]))) for panel in panels]
    above, bottom = 0.65, 1.05
    height = sum(each) + above * len(panels) + bottom
    figure = Figure(figsize=(_PHONE, height))
    tops = [height - sum(each[:place]) - above * (place + 1) + 0.25 for place in range(len(panels))]
    left = (label + 0.05) / _PHONE
    return figure, [
        figure.add_axes((left, (top - own) / height, 1 - left - 0.12 / _PHONE, own / height))
        for top, own in zip(tops, each, strict=True)
    ]


def _names(axis: Axes, places: Mapping[tuple[str, str], float], headings: Mapping[float, str], left: float) -> None:
    """Write the names of rows and datasets at the left of a panel, these ``left`` widths of it from it."""
    across = axis.get_yaxis_transform()
    for (name, _), y in places.items():
        axis.text(-0.02, y, name, transform=across, **_RIGHT)
    for y, text in headings.items():
        size = 8.5 * min(1.0, _FIT / len(text))
        axis.text(-left, y, text, transform=across, weight="bold", va="center", fontsize=size)


_RIGHT: Any = {"ha": "right", "va": "center"}


def _places(groups: Mapping[str, str], names: Sequence[str]) -> tuple[dict[tuple[str, str], float], dict[str, float]]:
    """Return the height of each generator in each dataset, and of each dataset's heading; the first is 0."""
    places: dict[tuple[str, str], float] = {}
    headings = {}
    line = 0.0
    for group in groups:
        headings[group] = line
        for name in names:
            line += 1
            places[name, group] = line
        line += 1
    return places, headings


def _limits(rows: pd.DataFrame) -> tuple[float, float]:
    """Return a common axis: differences and intervals within, and of the bands what does not make it much wider."""
    reach = float(np.nanmax(np.abs(rows[["difference", "low", "high"]].to_numpy(dtype=float)), initial=0.02))
    bands = rows["smallest_effect"].dropna()
    reach = min(1.0, max(reach, min(float(bands.max()) if len(bands) else 0.0, 2 * reach)))
    return -1.08 * reach, 1.08 * reach


def _panel(
    axis: Axes,
    panel: Panel,
    places: Mapping[tuple[str, str], float],
    headings: Mapping[str, float],
    limits: tuple[float, float],
    lines: float,
) -> None:
    axis.set(xlim=limits, ylim=(lines - 0.4, -0.6), yticks=[])
    axis.spines["left"].set_visible(False)
    starts = sorted(headings.values())
    for y, end in zip(starts, [*starts[1:], lines], strict=True):
        axis.axhline(y - 0.5, color="#e4e4e4", linewidth=0.6, zorder=0)
        axis.vlines(0, y + 0.5, end - 0.5, color=INK, linewidth=1.0, zorder=2)
    for row in rows_of(panel.rows):
        place = places.get((row["generator"], row["dataset"]))
        if place is not None:
            _row(axis, row, place, limits)


def _row(axis: Axes, row: Row, y: float, limits: tuple[float, float]) -> None:
    """Draw one comparison."""
    silent = row["verdict"] == CANNOT_TELL
    if not np.isnan(row["smallest_effect"]) and not silent:
        reach = row["smallest_effect"]
        axis.barh(y, 2 * reach, left=-reach, height=0.72, color=_BAND, zorder=0)
        ends = [x for x in (-reach, reach) if limits[0] < x < limits[1]]
        axis.vlines(ends, y - 0.36, y + 0.36, color=_SOFT, linewidth=1.0, zorder=1)
    if np.isnan(row["difference"]):
        return
    colour = _SHOWN.get(row["verdict"], _SOFT if silent else INK)
    if not np.isnan(row["low"]):
        axis.hlines(y, row["low"], row["high"], color=colour, linewidth=1.5, zorder=3)
    fill = colour if row["verdict"] in _SHOWN else "white"
    marker = "x" if silent else "o"
    axis.plot(row["difference"], y, marker, color=colour, markerfacecolor=fill, markersize=5, zorder=4)


def _legend() -> list[Line2D | Patch]:
    dot: Any = {"marker": "o", "markersize": 5}
    return [
        Line2D([], [], color=INK, markerfacecolor="white", label="no difference shown", **dot),
        Line2D([], [], color=_SOFT, marker="x", linestyle="none", label="cannot tell"),
        Line2D([], [], color=_SHOWN[HELPS], label="gain shown", **dot),
        Line2D([], [], color=_SHOWN[HARMS], label="loss shown", **dot),
        Patch(facecolor=_BAND, edgecolor=_SOFT, label="too small to be seen reliably"),
        Line2D([], [], color=INK, linewidth=1.0, label="real records only"),
    ]


def heading(rows: pd.DataFrame, *, patients: bool) -> str:
    """Write the heading of a dataset; ``rows`` are its comparisons, at least one.

    Args:
        rows: comparisons.
        patients: whether the dataset names its patients.
    """
    first = rows_of(rows)[0]
    size = f"{first['support']:,} test records" + (f", {first['patients']:,} patients" if patients else "")
    return f"{first['dataset']}: {size}; real only {number(first['reference'], 2)}"
