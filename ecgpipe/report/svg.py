"""Figures as SVG documents that are the same again, and their style."""

from __future__ import annotations

import io
import re
import urllib.parse
from typing import Any

import matplotlib
from markupsafe import Markup
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
    "path.simplify_threshold": 0.3,
}

_PATH = re.compile(r"<path [^>]*>")
_COURSE = re.compile(r'(?<=\bd=")[^"]*')
_CLIP = re.compile(r' clip-path="[^"]*"')
_LENGTHS = re.compile(r"(?<=stroke-width: )[\d.]+|(?<=stroke-dasharray: )[\d.,]+|(?<=stroke-dashoffset: )[\d.]+")
_LONG = 300
"""Characters of a path that is written in tenths of a point throughout: no dots, but a scale."""
_NO_SPACE = re.compile(r" (?=-)|(?<=\.\d) (?=\.)")
"""Spaces of a path that part nothing: before a minus, and before a dot after a number that has one."""
_STEPS = re.compile(r"([A-Za-z])([^A-Za-z]*)")
_SPACE = re.compile(r"\s*\n\s*")
_METADATA = re.compile(r"<metadata>.*?</metadata>", re.DOTALL)
_TAG = re.compile(r"<[^>']*>")
_PLAIN_GROUP = re.compile(r'<g(?: id="[\w.]*")?>')
_EMPTY_GROUP = re.compile(r'<g(?: id="[\w.]*")?/>')
_AROUND_TAG = re.compile(r" ?(<[^>]*>) ?")
_STYLE = re.compile(r'(?<= style=")[^"]*')
_NO_TURN = re.compile(r' transform="rotate\(-0 [^)]*\)"')
_DECIMALS = re.compile(r"-?\d+\.\d{2,}")


def _path(tag: str) -> str:
    """Write the element of a path shorter: its course by :func:`_short`, and a long one in units of a tenth of a point.

    What clips a path has the units of the path, so that it needs an element of its own.
    """
    short = _COURSE.sub(lambda course: _short(course[0]), tag)
    if len(short) < _LONG or " id=" in tag or "transform=" in tag or " C " in tag or "style=" not in tag:
        return short
    scaled = _COURSE.sub(lambda course: _short(course[0], tenths=True), tag)
    if "stroke-width" not in scaled:
        scaled = scaled.replace('style="', 'style="stroke-width: 1; ')
    scaled = _LENGTHS.sub(lambda own: ",".join(f"{10 * float(value):g}" for value in own[0].split(",")), scaled)
    scaled = scaled.replace("<path ", '<path transform="scale(.1)" ')
    clip = _CLIP.search(scaled)
    return f"<g{clip[0]}>{_CLIP.sub('', scaled)}</g>" if clip else scaled


def _short(path: str, *, tenths: bool = False) -> str:
    """Write a path of lines (M, L, z) to a tenth of a point, relative to each other; others stay as they are.

    Args:
        path: with absolute coordinates in points.
        tenths: whether the unit of the written path is a tenth of a point.
    """
    written = str if tenths else _tenths
    commands = [(name, numbers.split()) for name, numbers in _STEPS.findall(path)]
    if {name for name, _ in commands} - {"M", "L", "z"}:
        return path
    out = ""
    here = begin = (0, 0)
    before = ""
    for name, numbers in commands:
        if name == "z":
            out += "z"
            here = begin
        else:
            to = round(10 * float(numbers[0])), round(10 * float(numbers[1]))
            # A pair of numbers without a letter is a line, and a line to where it begins is a dot.
            letter = "m" if name == "M" else " " if before in ("M", "L") else "l"
            dot = name == "L" and to == here
            out += "h0" if dot else letter + " ".join(written(a - b) for a, b in zip(to, here, strict=True))
            name = "h" if dot else name
            here, begin = to, to if name == "M" else begin
        before = name
    return _NO_SPACE.sub("", out)


def _tenths(value: int) -> str:
    """Write a number of tenths as short as can be: ``-.5``, ``12``, ``0``."""
    whole, tenth = divmod(abs(value), 10)
    number = (str(whole) if whole or not tenth else "") + (f".{tenth}" if tenth else "")
    return f"-{number}" if value < 0 else number


class Drawing(str):
    """An SVG document that can be written as PDF, too."""

    figure: Figure

    @classmethod
    def of(cls, text: str, figure: Figure) -> Drawing:
        """Return the document of a figure."""
        own = cls(text)
        own.figure = figure
        return own

    def pdf(self) -> bytes:
        """Return the figure as PDF; the same figure gives the same bytes."""
        out = io.BytesIO()
        with matplotlib.rc_context({"pdf.fonttype": 42}):
            self.figure.savefig(out, format="pdf", metadata={"CreationDate": None, "Producer": None})
        return out.getvalue()


def svg(figure: Figure) -> Drawing:
    """Render a figure, paths to a tenth of a point; the same figure gives the same text."""
    FigureCanvasSVG(figure)
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    text = _PATH.sub(lambda path: _path(path[0]), out.getvalue())
    return Drawing.of(_compact(text[text.index("<svg") :]), figure)


def _compact(text: str) -> str:
    """Leave out of a drawing what changes nothing in it: names of groups, defaults, digits below a hundredth."""
    text = _ungrouped(_NO_TURN.sub("", _SPACE.sub(" ", _METADATA.sub("", text))))
    for default in ("font-family: 'DejaVu Sans'; ", "text-anchor: start; ", f'; fill: {INK}" x='):
        text = text.replace(default, '" x=' if default.endswith("x=") else "")
    text = text.replace("'DejaVu Sans'", _FONTS)
    text = text.replace("</style>", f"text{{font-family: {_FONTS}; fill: {INK}}}</style>", 1)
    text = _STYLE.sub(lambda style: style[0].replace("; ", ";").replace(": ", ":"), text)
    return _TAG.sub(lambda tag: _DECIMALS.sub(_hundredths, tag[0]).replace('"', "'"), text)


def _ungrouped(text: str) -> str:
    """Leave out groups that say nothing, and the spaces around tags."""
    out, kept = [], []
    for part in re.split(r"(<[^>]*>)", _AROUND_TAG.sub(r"\1", text)):
        if _EMPTY_GROUP.fullmatch(part):
            continue
        if part.startswith("<g") and not part.endswith("/>"):
            kept.append(not _PLAIN_GROUP.fullmatch(part))
            part = part if kept[-1] else ""
        elif part == "</g>":
            part = part if kept.pop() else ""
        out.append(part)
    return "".join(out)


def _hundredths(number: re.Match[str]) -> str:
    return f"{float(number[0]):.2f}".rstrip("0").rstrip(".")


def blank(sentence: str) -> Drawing:
    """Return a drawing that holds only a sentence."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(4.5, 0.6))
        figure.text(0.5, 0.5, sentence, ha="center", va="center", style="italic")
        return svg(figure)


def image(svg: str, spaces: str = " ") -> Markup:
    """Return an SVG document as a data URI, to stand in a double-quoted attribute; in ``srcset`` without spaces."""
    text = urllib.parse.quote(svg, safe=f"{spaces}!$'()*+,-./:;=?@_~<>")
    return Markup("data:image/svg+xml," + text)  # noqa: S704 - quoted above
