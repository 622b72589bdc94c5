"""Pictures of real and synthetic records side by side, as SVG documents; what they show was computed by the closeness stage."""

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
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path
from matplotlib.ticker import MaxNLocator

from ecgpipe.closeness.names import AMPLITUDE, AUTOCORRELATION, BEAT, HELD_OUT, INTERVALS, RR, SPECTRUM, TRAINING
from ecgpipe.report.figures import COLOURS, FAINT, REAL_COLOUR, STYLE, svg

_WIDTH = 10.4
"""Inches."""
_OTHERS = "#c6c6c2"
_LEADS = 6
"""Leads a row: limb leads above, chest leads below."""
_SMALL: Any = {
    "font.size": 7.5,
    "axes.titlesize": 8.5,
    "axes.titleweight": "normal",
    "axes.titlelocation": "center",
    "lines.linewidth": 1.1,
    "xtick.major.size": 2.0,
}
_STYLE: Any = {**STYLE, **_SMALL}

Styles = Mapping[str, Mapping[str, Any]]
"""How the lines of each set are drawn."""


@dataclass(frozen=True)
class Picture:
    """One picture of a dataset.

    Attributes:
        name: short name, also of its file.
        title: of its tab.
        caption: what is to be seen.
        svg: the drawing.
    """

    name: str
    title: str
    caption: str
    svg: str


def _lines(generators: Sequence[str]) -> Styles:
    """Return how each set is drawn."""
    real: dict[str, dict[str, Any]] = {
        HELD_OUT: {"color": REAL_COLOUR, "linewidth": 1.7},
        TRAINING: {"color": REAL_COLOUR, "linewidth": 1.0, "linestyle": (0, (1.5, 1.5))},
    }
    return real | {name: {"color": COLOURS[place % len(COLOURS)]} for place, name in enumerate(generators)}


def _legend(figure: Figure, handles: Sequence[Line2D]) -> None:
    figure.legend(
        handles=handles, loc="lower center", ncols=len(handles), handlelength=2.0, fontsize=8.5, borderaxespad=0.2
    )


def _samples(styles: Styles) -> list[Line2D]:
    """Return the legend's line of each set."""
    return [Line2D([], [], label=name.removeprefix("real: "), **style) for name, style in styles.items()]


def _figure(height: float, left: float, above: float, below: float) -> tuple[Figure, dict[str, float]]:
    """Return a figure and the place of its plots, from margins in inches: laying panels out by their texts takes seconds."""
    place = {"left": left / _WIDTH, "right": 1 - 0.05 / _WIDTH, "bottom": below / height, "top": 1 - above / height}
    return Figure(figsize=(_WIDTH, height)), place


def _sheet(
    height: float, rows: Sequence[str], columns: Sequence[str], above: float, below: float = 0.35, left: float = 1.1
) -> tuple[Figure, Axes]:
    """Return one plot for a grid of panels, each 1 wide and 1 high, the first row's from 0 to -1: many plots take seconds."""
    figure, place = _figure(height, left, above, below)
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


def _none(axis: Axes, x: float = 0.5, y: float = 0.5) -> None:
    axis.text(x, y, "none", ha="center", va="center", style="italic", color="#8a8a8a")


# -- maps ---------------------------------------------------------------------------------------------------------


def _dots(axis: Axes, places: np.ndarray, colour: str, size: float) -> None:
    """Draw round dots ``(n, 2)`` as one path: a mark of its own for each would make the page several times larger."""
    if not len(places):
        return
    codes = np.tile([Path.MOVETO, Path.LINETO], len(places))
    path = Path(np.repeat(places, 2, axis=0), codes)
    path.should_simplify = False
    axis.add_patch(PathPatch(path, fill=False, edgecolor=colour, linewidth=size, capstyle="round"))


def _map(points: pd.DataFrame, axes: tuple[str, str], classes: Sequence[str], generators: Sequence[str]) -> str:
    places = points[list(axes)].to_numpy(dtype=float)
    inside = np.isfinite(places).all(axis=1)
    points, places = points[inside], places[inside]
    label, of = points["class"].to_numpy(), points["generator"].to_numpy()
    if len(places):
        low, high = np.quantile(places, [0.005, 0.995], axis=0)
        places = 0.06 + 0.88 * np.clip((places - low) / np.maximum(high - low, 1e-9), 0, 1)
    with matplotlib.rc_context(_STYLE):
        figure, axis = _sheet(0.65 + 1.4 * len(generators), generators, classes, 0.25)
        for i, j in np.ndindex(len(generators), len(classes)):
            axis.add_patch(Rectangle((j + 0.02, -i - 0.98), 0.96, 0.96, facecolor="#f6f6f4"))
        colours = [COLOURS[place % len(COLOURS)] for place in range(len(generators))]
        here = [places[(of == HELD_OUT) & (label == name)] for name in classes]
        others = [places[(of == HELD_OUT) & (label != name)] for name in classes]
        for dots, colour, size in ((others, _OTHERS, 2.0), (here, REAL_COLOUR, 3.0)):
            shifted = [own + np.array([j, -i - 1]) for i in range(len(generators)) for j, own in enumerate(dots)]
            _dots(axis, np.concatenate(shifted), colour, size)
        for i, name in enumerate(generators):
            own = [places[(of == name) & (label == label_)] + np.array([j, -i - 1]) for j, label_ in enumerate(classes)]
            _dots(axis, np.concatenate(own), colours[i], 3.0)
        names = {
            "held out, this rhythm": REAL_COLOUR,
            "held out, others": _OTHERS,
            **dict(zip(generators, colours, strict=True)),
        }
        dot: dict[str, Any] = {"marker": "o", "linestyle": "none", "markersize": 4.5}
        _legend(figure, [Line2D([], [], color=colour, label=name, **dot) for name, colour in names.items()])
        return svg(figure)


# -- curves -------------------------------------------------------------------------------------------------------


_LEAST_DENSITY = 1e-3
"""1/mV: rarer amplitudes are not drawn."""


def _pooled(curves: pd.DataFrame, sets: Sequence[str], leads: Sequence[str]) -> dict[tuple[str, str], np.ndarray]:
    """Return ``(2, n)`` x and y of each set and lead: the mean over classes, weighted by how many records every set has."""
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


def _by_lead(picture: str, curves: pd.DataFrame, leads: Sequence[str], styles: Styles, labels: tuple[str, str]) -> str:
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

    with matplotlib.rc_context(_STYLE):
        figure, axis = _sheet(0.85 + 1.6 * lines, [""] * lines, [""] * columns, 0.1, 0.75, 0.7)
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
        _legend(figure, _samples(styles))
        return svg(figure)


def _curve(curves: pd.DataFrame) -> dict[tuple[str, str, str], np.ndarray]:
    """Return ``(2, n)`` x and y by set, class and lead."""
    keys = zip(curves["generator"], curves["class"], curves["lead"], strict=True)
    return {key: np.array([x, y]) for key, x, y in zip(keys, curves["x"], curves["y"], strict=True)}


def _intervals(curves: pd.DataFrame, classes: Sequence[str], styles: Styles) -> str:
    """Draw distributions: a row for each interval, a column for each class."""
    kinds = [RR, *(name for name in INTERVALS if (curves["picture"] == name).any())]
    with matplotlib.rc_context(_STYLE):
        figure, place = _figure(0.65 + 1.6 * len(kinds), 0.3, 0.25, 0.7)
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
                    _none(axis)
                axis.set_yticks([])
                axis.set_xlabel("RR interval (s)" if kind == RR else f"{kind} (ms)")
            row[0].set_ylabel("share of beats" if kind == RR else "share of records")
        for axis, label in zip(grid[0], classes, strict=True):
            axis.set_title(label)
        _legend(figure, _samples(styles))
        return svg(figure)


def _beats(curves: pd.DataFrame, classes: Sequence[str], leads: Sequence[str], styles: Styles) -> str:
    """Draw mean beats: a row for each class, a column for each lead."""
    found = _curve(curves)
    spans = {}
    for lead in leads:
        values = np.concatenate([[-0.05, 0.05], *(y for (_, _, name), (_, y) in found.items() if name == lead)])
        spans[lead] = float(values.min()), float(values.max() - values.min())
    titles = [f"{lead}\n{spans[lead][1]:.1f} mV" for lead in leads]
    with matplotlib.rc_context(_STYLE):
        figure, axis = _sheet(0.8 + 0.85 * len(classes), classes, titles, 0.4)
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
                _none(axis, j + 0.5, -i - 0.5)
        _legend(figure, _samples(styles))
        return svg(figure)


# -- all of them --------------------------------------------------------------------------------------------------


def draw(
    curves: pd.DataFrame, points: pd.DataFrame, classes: Sequence[str], leads: Sequence[str], generators: Sequence[str]
) -> list[Picture]:
    """Draw one dataset's records and every generator's.

    Args:
        curves: rows of ``curves.parquet`` of the dataset.
        points: rows of ``points.parquet`` of the dataset.
        classes: class names in order.
        leads: lead names in order.
        generators: names in order, which colours follow.
    """
    styles = _lines(generators)
    mixed = "As many records of each rhythm count from every set."
    pictures = [
        Picture(
            "map",
            "Map",
            "Every dot is a record, at the first two principal components of the random-kernel features (axes defined by real training records, "
            "the same in every picture): held-out real records behind, each generator’s before them. Where the dark cloud shows no coloured dots, kinds of records are missing; "
            "coloured dots away from it look like no real record.",
            _map(points, ("pca_1", "pca_2"), classes, generators),
        ),
        Picture(
            "tsne",
            "t-SNE",
            "The same records by t-SNE of all sets of the data set together, which keeps neighbours near: sets that mix cannot be told apart "
            "by these features. Distances between clouds, and their sizes, mean nothing.",
            _map(points, ("tsne_1", "tsne_2"), classes, generators),
        ),
    ]
    caption = "Mean beats from 0.3 s before to 0.5 s after the R peak (grey line; peaks of lead II), every record counting once, about the median of its lead. Under each lead’s name: the height of its panels."
    own = curves[curves["picture"] == BEAT]
    pictures.append(Picture("beats", "Mean beats", caption, _beats(own, classes, leads, styles)))
    for name, title, caption, labels in (
        (SPECTRUM, "Spectra", "Mean Welch spectra, 0.5-40 Hz.", ("frequency (Hz)", "dB of mV²/Hz")),
        (AUTOCORRELATION, "Autocorrelations", "Mean autocorrelations up to 1.5 s.", ("lag (s)", "autocorrelation")),
        (AMPLITUDE, "Amplitudes", "Distribution of all samples of a lead.", ("amplitude (mV)", "density (1/mV)")),
    ):
        own = curves[curves["picture"] == name]
        pictures.append(Picture(name, title, f"{caption} {mixed}", _by_lead(name, own, leads, styles, labels)))
    caption = "RR intervals of lead II by rhythm, all beats of all records, those above 2 s at its end; where records were delineated, their PR, QRS and QT intervals below."
    pictures.append(Picture("intervals", "Intervals", caption, _intervals(curves, classes, styles)))
    return pictures
