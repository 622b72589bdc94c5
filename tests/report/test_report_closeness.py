"""Closeness and privacy on the page; a generator that memorises is called out on the first screen."""

import re
import shutil

import numpy as np
import pytest
from closeness_rows import row, write_tables

from ecgpipe.closeness.names import PICTURES
from ecgpipe.leads import LEADS
from ecgpipe.report.closeness import section
from ecgpipe.report.closeness_words import standing, written
from ecgpipe.report.run import build_report
from ecgpipe.report.svg import image
from ecgpipe.vocabulary import COPIES, NO_SIGN


def page(results, tmp_path, verdict):
    tables = tmp_path / "tables"
    shutil.copytree(results.tables, tables)
    write_tables(tables, verdict)
    out = tmp_path / "index.html"
    folders = {"data": results.data, "samples": results.samples, "models": results.models}
    build_report(results.config, tables=tables, **folders, out=out, git=None)
    return re.sub(r"\s+", " ", out.read_text(encoding="utf-8"))


def test_a_copying_generator_is_called_out_before_the_answer(results, tmp_path):
    html = page(results, tmp_path, COPIES)
    alarm = html.index("gen reproduces training records")
    assert alarm < html.index('<section id="answer">')
    assert "2 near copies of training records were found" in html[alarm : alarm + 200]
    assert "s7" in html
    assert "t3" in html


def test_a_fair_generator_is_not_called_out(results, tmp_path):
    html = page(results, tmp_path, NO_SIGN)
    assert "reproduces training records" not in html
    assert "Difference &lt;of&gt; spectra." in html
    assert '<span class="beyond-floor">3</span> <span class="bounds">[2.5, 3.5]</span>' in html
    assert '<span class="at-floor">0.9</span>' in html
    assert 'title="no synthetic record of AFIB"' in html
    assert 'title="no synthetic record"' in html
    assert html.count('name="picture-1"') == len(PICTURES)
    for name in PICTURES:
        svg = (tmp_path / "closeness" / "a" / f"{name}.svg").read_text(encoding="utf-8")
        assert image(svg) in html


def test_without_tables_the_section_says_so(results, tmp_path):
    assert section(tmp_path, ["a"], ["SR"], LEADS) is None


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "beyond floor"),
        ({"low": 1.1}, "at floor"),
        ({"direction": "higher"}, "past floor"),
        ({"direction": "higher", "low": 0.1, "high": 0.5}, "beyond floor"),
        ({"low": 0.1, "high": 0.5}, "past floor"),
        ({"direction": "floor", "low": 0.1, "high": 0.5}, "beyond floor"),
        ({"low": np.nan}, ""),
    ],
)
def test_standing_to_the_floor(changes, expected):
    assert standing(row(**changes)) == expected


def test_figures_of_any_size_are_readable():
    assert [written(v) for v in (0.001234, 12.345, 12345.6, np.nan)] == ["0.00123", "12.3", "12,346", "–"]
    assert [written(v) for v in (-0.25, 4.76e-8, -1e-5, 0.0)] == ["−0.25", "4.8×10⁻⁸", "−1.0×10⁻⁵", "0"]
