"""Maps of real and synthetic records: a dot a record, a row of panels for each generator, a column for each class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path

from ecgpipe.report.panels import SMALL_STYLE, legend, sheet
from ecgpipe.report.svg import COLOURS, REAL_COLOUR, Drawing, svg
from ecgpipe.vocabulary import REAL_HELD_OUT

_OTHERS = "#c6c6c2"


def _dots(axis: Axes, places: np.ndarray, colour: str, size: float) -> None:
    """Draw round dots ``(n, 2)`` as one path: a mark of its own for each would make the page several times larger."""
    if not len(places):
        return
    codes = np.tile([Path.MOVETO, Path.LINETO], len(places))
    path = Path(np.repeat(places, 2, axis=0), codes)
    path.should_simplify = False
    axis.add_patch(PathPatch(path, fill=False, edgecolor=colour, linewidth=size, capstyle="round"))


def draw_map(points: pd.DataFrame, axes: tuple[str, str], classes: Sequence[str], generators: Sequence[str]) -> Drawing:
    places = points[list(axes)].to_numpy(dtype=float)
    inside = np.isfinite(places).all(axis=1)
    points, places = points[inside], places[inside]
    label, of = points["class"].to_numpy(), points["generator"].to_numpy()
    if len(places):
        low, high = np.quantile(places, [0.005, 0.995], axis=0)
        places = 0.06 + 0.88 * np.clip((places - low) / np.maximum(high - low, 1e-9), 0, 1)
    with matplotlib.rc_context(SMALL_STYLE):
        figure, axis = sheet(0.65 + 1.4 * len(generators), generators, classes, 0.25)
        for i, j in np.ndindex(len(generators), len(classes)):
            axis.add_patch(Rectangle((j + 0.02, -i - 0.98), 0.96, 0.96, facecolor="#f6f6f4"))
        colours = [COLOURS[place % len(COLOURS)] for place in range(len(generators))]
        here = [places[(of == REAL_HELD_OUT) & (label == name)] for name in classes]
        others = [places[(of == REAL_HELD_OUT) & (label != name)] for name in classes]
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
        legend(figure, [Line2D([], [], color=colour, label=name, **dot) for name, colour in names.items()])
        return svg(figure)
