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


def test_shorter_recordings_make_a_shorter_paper():
    root = ET.fromstring(draw(sine(seconds=4.0), 100, "ECG"))  # noqa: S314 - our own drawing
    assert float(root.get("width").removesuffix("mm")) == 120


def gain_of(svg):
    return float(re.search(r"([\d.e-]+) mm/mV", svg)[1])


@pytest.mark.parametrize(("scale", "gain"), [(0.01, 10), (1, 10), (4, 5), (10, 2.5), (25, 1.25), (1000, 0.01953125)])
def test_nothing_is_cut_off(scale, gain):
    signal = sine() * scale
    signal[LEADS.index("V1"), 550:560] = 0.5 * scale + 2.1  # a tall narrow wave
    svg = draw(signal, 100, "ECG")
    assert gain_of(svg) == pytest.approx(gain, rel=1e-2)
    assert ("(reduced)" in svg) == (gain < 10)
    root = ET.fromstring(svg)  # noqa: S314 - our own drawing
    height = float(root.get("height").removesuffix("mm"))
    assert height <= 175
    lines = strokes(svg)
    assert min(line[:, 1].min() for line in lines) >= 5
    assert max(line[:, 1].max() for line in lines) <= height - 5
    drawn = np.ptp(lines[3][:, 1])  # V1
    assert drawn == pytest.approx(np.ptp(signal[LEADS.index("V1"), 500:750]) * gain, abs=0.2)
    pulse = lines[0]
    assert pulse[0, 1] - pulse[2, 1] == pytest.approx(gain, abs=0.03)


@pytest.mark.parametrize("seed", range(5))
def test_no_label_lies_under_a_wave(seed):
    rng = np.random.default_rng(seed)
    signal = sine() + rng.standard_t(2, (12, 1000)) * rng.choice([0.05, 0.3, 1.0], 12)[:, None]
    svg = draw(signal, 100, "ECG")
    root = ET.fromstring(svg)  # noqa: S314 - our own drawing
    points = np.concatenate(
        [
            np.column_stack([np.interp(np.linspace(0, 1, 4000), np.linspace(0, 1, len(line)), axis) for axis in line.T])
            for line in strokes(svg)
        ]
    )
    names = [text for text in root.iter(f"{SVG}text") if text.text in LEADS]
    assert len(names) == 13
    for text in [*names, *(t for t in root.iter(f"{SVG}text") if "mm/s" in t.text)]:
        size = float(text.get("font-size", 4))
        x, y, width = float(text.get("x")), float(text.get("y")), 0.65 * size * len(text.text)
        left = x - width if text.get("text-anchor") == "end" else x
        under = (points[:, 0] > left) & (points[:, 0] < left + width) & (points[:, 1] > y - 0.75 * size)
        assert not (under & (points[:, 1] < y)).any(), text.text


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
