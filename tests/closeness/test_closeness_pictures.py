"""Curves and points that the report draws."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from ecgpipe.closeness import pictures, signals
from ecgpipe.closeness.feature_cache import FeatureCache, Sample
from ecgpipe.closeness.feature_maps import FeatureMaps
from ecgpipe.closeness.names import AMPLITUDE, AUTOCORRELATION, BEAT, INTERVALS, RR, SPECTRUM, TABLES
from ecgpipe.closeness.records import Records
from ecgpipe.closeness.run import join_tables
from ecgpipe.files import read_parquet_metadata, write_parquet


def curves(records, waves):
    return pictures.curves(Sample(FeatureCache(records, None), np.arange(len(records))), waves=waves)


@pytest.fixture(scope="module")
def drawn(held_out):
    return curves(held_out.take(np.arange(36)), waves=True)


def curve(drawn, picture, label, lead="II"):
    row = drawn[(drawn["picture"] == picture) & (drawn["class"] == label) & (drawn["lead"] == lead)]
    return row["x"].item(), row["y"].item()


def test_every_class_and_lead_has_its_curves(drawn, held_out):
    for picture in (SPECTRUM, AUTOCORRELATION, AMPLITUDE, BEAT):
        rows = drawn[drawn["picture"] == picture]
        assert {*zip(rows["class"], rows["lead"], strict=True)} == {
            (label, lead) for label in set(held_out.labels) for lead in held_out.leads
        }
    assert {RR, *INTERVALS} < set(drawn["picture"])
    assert (drawn["n"] <= 12).all()


def test_curves_are_means_over_the_records_of_the_class(drawn, held_out):
    own = held_out.signals[:36][held_out.labels[:36] == "SR"]
    x, y = curve(drawn, AUTOCORRELATION, "SR", "V2")
    np.testing.assert_allclose(y, signals.autocorrelation(own, 100.0)[:, 7].mean(axis=0), atol=1e-5)
    assert (x[0], x[-1]) == pytest.approx((0.01, 1.5))
    x, y = curve(drawn, SPECTRUM, "SR", "V2")
    assert (x[0], x[-1]) == (0.5, 40.0)
    np.testing.assert_allclose(y, signals.welch_spectrum(own, 100.0)[:, 7].mean(axis=0), rtol=1e-4)


@pytest.mark.parametrize("picture", [AMPLITUDE, RR, "QRS"])
def test_distributions_have_an_area_of_one(drawn, picture):
    x, y = curve(drawn, picture, "SR")
    assert y.sum() * (x[1] - x[0]) == pytest.approx(1, rel=1e-4)


def test_rr_intervals_are_those_of_the_rhythm(drawn):
    found = {label: curve(drawn, RR, label) for label in ("SR", "STACH")}
    mean = {label: np.average(x, weights=y) for label, (x, y) in found.items()}
    assert 0.6 < mean["SR"] < 1.1
    assert 0.35 < mean["STACH"] < 0.62


def test_beats_are_aligned_at_r_and_recover_the_beat():
    """The same beat again and again, in a lead II that gives its peaks and a V1 that mirrors it at half the size."""
    t = np.arange(1000) / 100
    shape = sum(np.exp(-(((t - centre) / 0.02) ** 2) / 2) for centre in np.arange(0.6, 10, 0.8))
    record = np.zeros((12, 1000))
    record[1], record[6] = shape, -shape / 2
    records = Records(np.stack([record] * 2).astype(np.float32), 100.0)
    drawn = curves(records, waves=False)
    x, two = curve(drawn, BEAT, "all")
    expected = np.exp(-((x / 0.02) ** 2) / 2)
    np.testing.assert_allclose(two, expected, atol=0.02)
    np.testing.assert_allclose(curve(drawn, BEAT, "all", "V1")[1], -expected / 2, atol=0.02)
    assert (x[0], x[-1]) == pytest.approx((-0.3, 0.5))


def test_records_without_beats_have_no_mean_beat():
    drawn = curves(Records(np.zeros((2, 12, 1000), dtype=np.float32), 100.0), waves=False)
    assert BEAT not in set(drawn["picture"])
    assert curve(drawn, RR, "all")[1].sum() == 0


def test_points_are_some_of_each_class(held_out, train, monkeypatch):
    maps = FeatureMaps.fit(train, None)
    monkeypatch.setattr(pictures, "POINTS", 30)
    named = replace(held_out, names=np.array([f"r{i}" for i in range(len(held_out))]))
    placed = pictures.points(FeatureCache(named, maps), np.random.default_rng(0))
    assert placed["class"].value_counts().to_dict() == {"AFIB": 10, "SR": 10, "STACH": 10}
    row = int(placed["record"].iloc[4][1:])
    expected = maps.projection(maps.kernels(held_out.signals[[row]]))[0]
    np.testing.assert_allclose(placed["features"].iloc[4], expected, rtol=1e-3, atol=1e-3)


def points_table(features, **columns):
    rows = {"dataset": "a", "generator": "g", "class": "SR", "record": range(len(features)), **columns}
    return pd.DataFrame({**rows, "features": list(np.asarray(features, dtype=np.float32))})


def test_maps_keep_two_groups_apart():
    rng = np.random.default_rng(0)
    features = rng.normal(0, 1, (60, 8)) + 40 * (np.arange(60) < 30)[:, None]
    found = pictures.map_points(points_table(features))
    np.testing.assert_allclose(found[["pca_1", "pca_2"]], features[:, :2], rtol=1e-5)
    places = found[["tsne_1", "tsne_2"]].to_numpy()
    apart = np.linalg.norm(places[:30].mean(axis=0) - places[30:].mean(axis=0))
    assert apart > 2 * np.linalg.norm(places[:30] - places[:30].mean(axis=0), axis=1).mean()
    pd.testing.assert_frame_equal(found, pictures.map_points(points_table(features)))


def test_too_few_records_have_no_t_sne():
    found = pictures.map_points(points_table(np.eye(3)))
    assert found["tsne_1"].isna().all()
    assert found["pca_1"].notna().all()


def test_tables_are_joined(tmp_path):
    parts = {name: [tmp_path / place / f"{name}.parquet" for place in "ab"] for name in TABLES}
    for name, paths in parts.items():
        for place, path in enumerate(paths):
            frame = points_table(np.eye(3)) if name == "points" else pd.DataFrame({"value": [place]})
            write_parquet(path, frame, {"measures": {"mmd": {}}} if name == "closeness" else None)
    join_tables(parts, tmp_path / "out")
    assert list(pd.read_parquet(tmp_path / "out" / "privacy.parquet")["value"]) == [0, 1]
    assert read_parquet_metadata(tmp_path / "out" / "closeness.parquet") == {"measures": {"mmd": {}}}
    assert "features" not in pd.read_parquet(tmp_path / "out" / "points.parquet")
