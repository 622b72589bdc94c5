"""Figures as SVG documents that are the same again, and their style."""

from __future__ import annotations

import base64
import io
import re
from typing import Any

from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

INK, FAINT = "#1c1c1c", "#d9d9d9"
REAL_COLOUR = "#4a4a4a"
COLOURS = ("#0063a6", "#c8500a", "#00795c", "#9b3d86", "#8a6d00", "#3a3ab0")
"""One a generator: dark enough on white (contrast above 4.5); colour-blind readers tell them apart by the markers."""
MARKERS = ("o", "s", "^", "D", "v", "P")

_FONTS = "system-ui, 'Helvetica Neue', Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"
STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 9.0,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.edgecolor": "#8a8a8a",
    "axes.linewidth": 0.7,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.0,
    "lines.linewidth": 1.5,
    "lines.markersize": 4.5,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "ecgpipe",
}

_PATH = re.compile(r'(?<= d=")[^"]*')
_DIGITS = re.compile(r"(\.\d\d)\d+")


def svg(figure: Figure) -> str:
    """Render a figure, paths to a hundredth of a point; the same figure gives the same text."""
    FigureCanvasSVG(figure)
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    text = _PATH.sub(lambda path: _DIGITS.sub(r"\1", path[0]), out.getvalue())
    return text[text.index("<svg") :].replace("'DejaVu Sans'", _FONTS)


def image(svg: str) -> str:
    """Return an SVG document as a data URI."""
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()
