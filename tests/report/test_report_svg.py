"""Pictures are written short, and show the same."""

import re
import urllib.parse
import xml.etree.ElementTree as ET

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure

from ecgpipe.report.svg import STYLE, _short, image, svg


def points(path):
    """Return the points of a path of m, l, h, z and M, L with or without letters."""
    found, here, begin = [], np.zeros(2), np.zeros(2)
    for letter, numbers in re.findall(r"([MLmlhz])([^MLmlhz]*)", path):
        if letter == "z":
            here = begin
            continue
        if letter == "h":
            here = here + np.array([float(numbers), 0])
            found.append(here)
            continue
        values = [float(n) for n in re.findall(r"-?(?:\d+\.?\d*|\.\d+)", numbers)]
        for place, pair in enumerate(np.array(values).reshape(-1, 2)):
            here = pair if letter in "ML" else here + pair
            begin = here if letter in "Mm" and not place else begin
            found.append(here)
    return np.array(found)


def test_short_paths_have_the_same_points():
    rng = np.random.default_rng(0)
    steps = [("M" if rng.random() < 0.2 else "L", *rng.normal(0, 300, 2)) for _ in range(300)]
    path = "M 3.25 -0.04 \n" + "".join(
        f"{name} {x:.6f} {y:.6f} \n" + ("z\n" if rng.random() < 0.1 else "") for name, x, y in steps
    )
    short = _short(path)
    assert len(short) < 0.55 * len(path)
    np.testing.assert_allclose(points(short), points(path), atol=0.0501)
    assert points(short).shape == (301, 2)


@pytest.mark.parametrize(
    ("path", "short"),
    [
        ("M 1 2 \nL 1 2 \nM 2 3 \nL 2 3 \nL 3 4 \n", "m1 2h0m1 1h0l1 1"),  # dots
        ("M 0 0 \nL 10 0 \nL 10 0.5 \nz\nL 3 3 \n", "m0 0 10 0 0 .5zl3 3"),
        ("M 0.5 0.5 \nL 1 0.6 \nL 2.1 3.5 \n", "m.5.5.5.1 1.1 2.9"),
        ("M 5 5 \nM 4.96 -4 \n", "m5 5m0-9"),
        ("M 0 0 \nC 1 2 3 4 5 6 \n", "M 0 0 \nC 1 2 3 4 5 6 \n"),
    ],
)
def test_how_paths_are_written(path, short):
    assert _short(path) == short


def test_an_image_comes_back_from_its_address():
    svg = '<svg xmlns="x"><text>50 % of #1 &amp; µV’</text></svg>'
    address = image(svg)
    assert '"' not in address
    assert "#" not in address
    head, _, body = address.partition(",")
    assert head == "data:image/svg+xml"
    assert urllib.parse.unquote(body) == svg


def test_a_drawing_keeps_its_text_and_colours():
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(2, 1))
        axis = figure.add_axes((0.1, 0.1, 0.8, 0.8))
        axis.text(0.5, 0.5, 'a "quoted" name’s <b>', color="#ff0000")
        axis.text(0.25, 0.5, "upright", rotation=90)
        drawn = svg(figure)
    root = ET.fromstring(drawn)  # noqa: S314 - our own drawing
    quoted, upright = (
        next(text for text in root.iter("{http://www.w3.org/2000/svg}text") if word in text.text)
        for word in ("quoted", "upright")
    )
    assert quoted.text == 'a "quoted" name’s <b>'
    assert "#ff0000" in quoted.get("style")
    assert "rotate(-90" in upright.get("transform")
    assert 'id="' not in drawn.replace("clipPath id=", "")
    assert drawn.pdf() == drawn.pdf()
