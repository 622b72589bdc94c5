"""The drawn ECG: to scale, in the right place, all of it."""

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from ecgpipe.leads import LEADS
from ecgpipe.report.ecgpaper import draw

SVG = "{http://www.w3.org/2000/svg}"


def strokes(svg):
    """Return the traces of a drawing as arrays of points in mm."""
    for path in ET.fromstring(svg).iter(f"{SVG}path"):  # noqa: S314 - our own drawing
        if "transform" in path.attrib:
            scale = float(re.fullmatch(r"scale\((.*)\)", path.get("transform"))[1])
            break
    found = []
    for part in path.get("d").split("M")[1:]:
        head, _, steps = part.partition("l")
        numbers = np.array([int(n) for n in re.findall(r"-?\d+", f"{head} {steps}")])
        found.append(np.cumsum(numbers.reshape(-1, 2), axis=0) * scale)
    return found


def sine(rate=100, seconds=10.0, level=0.0):
    time = np.arange(int(rate * seconds)) / rate
    phases = np.arange(12)[:, None]
    return 0.5 * np.sin(2 * np.pi * (1.3 * time + phases / 12)) + level


def test_paper_speed_gain_and_pulse_are_true():
    svg = draw(sine(), 100, "ECG")
    root = ET.fromstring(svg)  # noqa: S314 - our own drawing
    width, height = (float(root.get(name).removesuffix("mm")) for name in ("width", "height"))
    assert root.get("viewBox") == f"0 0 {width:g} {height:g}"
    assert width % 5 == height % 5 == 0
    pulses = [s for s in strokes(svg) if len(s) == 6]
    assert len(pulses) == 4
    for pulse in pulses:
        assert pulse[0, 1] - pulse[2, 1] == pytest.approx(10)  # 1 mV
        assert pulse[3, 0] - pulse[2, 0] == pytest.approx(5)  # 0.2 s
    rhythm = strokes(svg)[-1]
    assert rhythm[-1, 0] - rhythm[0, 0] == pytest.approx(250 - 0.25, abs=0.05)
    assert "25 mm/s" in svg
    assert "10 mm/mV" in svg


@pytest.mark.parametrize("rate", [100, 500])
def test_every_lead_is_drawn_in_its_place(rate):
    signal = sine(rate, level=1.5)
    lines = strokes(draw(signal, rate, "ECG"))
    order = [[None, "I", "aVR", "V1", "V4"], [None, "II", "aVL", "V2", "V5"], [None, "III", "aVF", "V3", "V6"]]
    left = lines[1][0, 0]
    for row, names in enumerate(order):
        baseline = lines[row * 5][0, 1]
        for column, name in enumerate(names[1:]):
            line = lines[row * 5 + 1 + column]
            samples = slice(column * len(signal[0]) // 4, (column + 1) * len(signal[0]) // 4)
            x = left + np.arange(len(signal[0]))[samples] / rate * 25
            lead = signal[LEADS.index(name)]
            wanted = baseline - 10 * (lead[samples] - np.median(lead))
            np.testing.assert_allclose(np.interp(x, line[:, 0], line[:, 1]), wanted, atol=0.16)
            assert line[0, 0] == pytest.approx(x[0], abs=0.05)
            assert line[-1, 0] == pytest.approx(x[-1], abs=0.05)


def test_shorter_recordings_make_a_shorter_paper_and_huge_ones_stay_on_it():
    root = ET.fromstring(draw(sine(seconds=4.0), 100, "ECG"))  # noqa: S314 - our own drawing
    assert float(root.get("width").removesuffix("mm")) == 120
    lines = strokes(draw(sine() * 100, 100, "ECG"))
    assert min(line[:, 1].min() for line in lines) >= 0


def test_titles_are_escaped():
    root = ET.fromstring(draw(sine(), 100, "<b>&"))  # noqa: S314 - our own drawing
    assert root.find(f"{SVG}title").text == "<b>&"


def test_bad_signals_are_refused():
    with pytest.raises(ValueError, match=r"12 leads, got an array of shape \(8, 1000\)"):
        draw(sine()[:8], 100, "ECG")
    signal = sine()
    signal[3, 7] = np.nan
    with pytest.raises(ValueError, match="cannot draw ECG 7: it holds NaN"):
        draw(signal, 100, "ECG 7")
