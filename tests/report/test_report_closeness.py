"""Closeness and privacy on the page; a generator that memorises is called out on the first screen."""

import re
import shutil

import numpy as np
import pandas as pd
import pytest

from ecgpipe.closeness.names import PICTURES
from ecgpipe.files import write_parquet
from ecgpipe.leads import LEADS
from ecgpipe.report.closeness import section
from ecgpipe.report.closeness_words import standing, written
from ecgpipe.report.run import build_report
from ecgpipe.report.svg import image
from ecgpipe.vocabulary import ALL, COPIES, NO_SIGN

ABOUT = {"spectrum": {"title": "power spectrum", "definition": "Difference <of> spectra.", "blind": "phase"}}


def row(**changes):
    values = {"value": 3.0, "low": 2.5, "high": 3.5, "floor": 1.0, "floor_low": 0.8, "floor_high": 1.2, "note": ""}
    key = {"dataset": "a", "generator": "gen", "class": ALL, "measure": "spectrum", "lead": ALL}
    return {**key, **values, "direction": "lower", "unit": "dB", "n": 40, "p_value": np.nan, **changes}


def write_tables(folder, verdict):
    missing = {"value": np.nan, "low": np.nan, "high": np.nan, "floor": np.nan, "floor_low": np.nan}
    rows = [
        row(),
        row(generator="control: copies", value=1.1),
        row(**{"class": "SR", "value": 0.9, "low": 0.7, "high": 1.1}),
        row(**{"class": "AFIB", **missing, "note": "no synthetic record of AFIB"}),
    ]
    write_parquet(folder / "closeness.parquet", pd.DataFrame(rows), {"measures": ABOUT})
    key = {"dataset": "a", "generator": "gen"}
    figures = {"measure": "near_copies", "value": 2.0, "low": np.nan, "high": np.nan, "floor": 0.0, "n": 70, "note": ""}
    figures |= {"class": ALL, "direction": "lower", "unit": ""}
    found = {**key, **figures, "verdict": verdict, "reason": "2 near copies of training records were found"}
    by_class = {**found, "class": "AFIB", "value": np.nan, "note": "no synthetic record"}
    control = {**found, "generator": "control: copies", "verdict": COPIES}  # is no generator to call out
    write_parquet(folder / "privacy.parquet", pd.DataFrame([found, by_class, control]))
    pair = {"synthetic": "s7", "training": "t3", "kind": "near", "similarity": 0.991, "shift": -0.5, "distance": 0.2}
    write_parquet(folder / "copies.parquet", pd.DataFrame([{**key, **pair}]))
    curve = {**key, "picture": "RR", "class": "SR", "lead": "II", "n": 3, "x": np.arange(4.0), "y": np.ones(4)}
    write_parquet(folder / "curves.parquet", pd.DataFrame([curve]))
    place = {"class": "SR", "record": "s7", "pca_1": 0.0, "pca_2": 1.0, "tsne_1": 0.0, "tsne_2": 1.0}
    write_parquet(folder / "points.parquet", pd.DataFrame([{**key, **place}]))


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
    alarm = html.index("gen gives training records away")
    assert alarm < html.index('<section id="answer">')
    assert "2 near copies of training records were found" in html[alarm : alarm + 200]
    assert "s7" in html
    assert "t3" in html


def test_a_fair_generator_is_not_called_out(results, tmp_path):
    html = page(results, tmp_path, NO_SIGN)
    assert "gives training records away" not in html
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
