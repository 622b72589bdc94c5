"""Pictures of real and synthetic records: well-formed, repeatable, and able to show what is missing."""

import xml.etree.ElementTree as ET

import numpy as np
import pandas as pd
import pytest

from ecgpipe.closeness.names import AMPLITUDE, AUTOCORRELATION, BEAT, PICTURES, RR, SPECTRUM
from ecgpipe.leads import LEADS
from ecgpipe.report import curves, pictures
from ecgpipe.vocabulary import REAL_HELD_OUT, REAL_TRAINING

SETS = (REAL_HELD_OUT, REAL_TRAINING, "gen")


def curves_table(classes):
    rows = [
        {"dataset": "a", "generator": name, "picture": picture, "class": label, "lead": lead, "n": n}
        | {"x": np.linspace(0.1, 1, 20), "y": np.full(20, 1.0 + place)}
        for place, name in enumerate(SETS)
        for picture in (SPECTRUM, AUTOCORRELATION, AMPLITUDE, BEAT, RR)
        for label, n in classes.items()
        for lead in (LEADS if picture != RR else ["II"])
    ]
    return pd.DataFrame(rows)


def points_table(classes):
    rng = np.random.default_rng(0)
    rows = [
        {"dataset": "a", "generator": name, "class": label, "record": f"{name}{i}"}
        | dict(zip(("pca_1", "pca_2", "tsne_1", "tsne_2"), rng.normal(size=4), strict=True))
        for name in (REAL_HELD_OUT, "gen")
        for label in classes
        for i in range(4)
    ]
    return pd.DataFrame(rows)


def words(svg):
    root = ET.fromstring(svg)  # noqa: S314 - our own drawing
    return ["".join(element.itertext()).strip() for element in root.iter("{http://www.w3.org/2000/svg}text")]


def draw():
    classes = {"SR": 10, "AFIB": 5}
    return pictures.draw(curves_table(classes), points_table(classes), ("SR", "AFIB", "SVTAC"), LEADS, ["gen", "lost"])


@pytest.fixture(scope="module")
def drawn():
    return {picture.name: picture for picture in draw()}


def test_every_picture_is_drawn_the_same_again(drawn):
    assert tuple(drawn) == PICTURES
    assert [p.svg for p in draw()] == [p.svg for p in drawn.values()]


@pytest.mark.parametrize("name", PICTURES)
def test_panels_and_sets_are_named(drawn, name):
    found = set(words(drawn[name].svg))
    assert {"gen", "lost"} <= found
    assert found >= (set(LEADS) if name in (SPECTRUM, AUTOCORRELATION, AMPLITUDE, "beats") else {"SR", "AFIB", "SVTAC"})


@pytest.mark.parametrize(("name", "panels"), [("beats", 12), ("intervals", 1)])
def test_a_class_without_records_is_said_to_have_none(drawn, name, panels):
    assert words(drawn[name].svg).count("none") == panels


def test_pooled_curves_weigh_classes_by_the_records_every_set_has():
    found = curves_table({"SR": 30, "AFIB": 10, "SVTAC": 1})
    own = found[found["picture"] == SPECTRUM].copy()
    own = own[(own["generator"] != "gen") | (own["class"] != "SVTAC")]
    own.loc[(own["generator"] == "gen") & (own["class"] == "SR"), "n"] = 10
    scale = own["class"].map({"SR": 1.0, "AFIB": 3.0, "SVTAC": 100.0})
    own["y"] = [np.full(20, value) for value in scale]
    for name in SETS:
        np.testing.assert_allclose(curves._pooled(own, SETS, LEADS)[name, "V1"][1], 2.0)
