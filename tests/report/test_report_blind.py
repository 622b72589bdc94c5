"""The blind test's page: balanced, in a seeded order, without a word about what its records are; and its key."""

import json
import re
from collections import Counter

import numpy as np
import pytest

from ecgpipe.blind.scoring import read_key
from ecgpipe.dataset import Dataset
from ecgpipe.report.blind import blind_test
from ecgpipe.report.inputs import Inputs
from ecgpipe.report.packing import unpack
from ecgpipe.report.run import build_report


def make(results, out, **changes):
    given = {"tables": results.tables, "data": results.data, "samples": results.samples, "models": {}, "git": None}
    build_report(results.config, **{**given, **changes}, out=out / "index.html")
    page, key = (out / name for name in ("blind.html", "blind_key.json"))
    return page.read_text(encoding="utf-8"), json.loads(key.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def made(results, tmp_path_factory):
    return make(results, tmp_path_factory.mktemp("blind"))


@pytest.fixture(scope="module")
def data(made):
    return json.loads(re.search(r'id="ecg-data">(.*?)</script>', made[0], re.DOTALL)[1])


def test_there_are_as_many_real_records_as_synthetic_ones_of_each_rhythm(made):
    items = made[1]["items"].values()
    counts = Counter((item["rhythm"], item["real"]) for item in items)
    assert counts == dict.fromkeys([(label, real) for label in ("SR", "AFIB", "SVTAC") for real in (True, False)], 1)
    assert {item["set"] for item in items} == {"simulated", "gen"}
    real = [item["record"] for item in items if item["real"]]
    assert all(name.startswith("t") for name in real if name != "v<1>")  # test records, where there are any


def test_page_shows_the_records_of_the_key_alike(made, data, results):
    _, key = made
    assert data["test"] == key["test"]
    assert [r["item"] for r in data["records"]] == list(key["items"]) == [f"e{i:03d}" for i in range(1, 7)]
    sets = {True: Dataset.load(results.data["a"]), False: Dataset.load(results.samples["a", "gen"])}
    for record in data["records"]:
        assert set(record) == {"item", "step", "leads", "data"}
        assert (record["leads"], record["step"]) == (12, 0.01)
        truth = key["items"][record["item"]]
        own = sets[truth["real"]]
        row = own.records.index[own.records["record"] == truth["record"]][0]
        assert np.abs(unpack(record, data["length"]) - own.signals[row]).max() <= 0.005 + 1e-6


def test_page_says_nothing_about_single_records(made):
    html, key = made
    visible = re.sub(r"<script>.*?</script>|<style>.*?</style>", "", html, flags=re.DOTALL)
    visible = re.sub(r'"data":"[^"]*"', "", visible)  # samples are any characters
    for item in key["items"].values():
        assert not re.search(rf"\b{re.escape(item['record'])}\b", visible)
    assert "gen" not in re.findall(r"\w+", visible.replace('name="generator"', "").replace("generator", ""))


def drawn(results, config):
    """Return page and key as the seed of a configuration draws them."""
    return blind_test(Inputs(config, results.tables, results.data, results.samples, {}, None))


def test_order_follows_the_seed(made, data, results, configure):
    page, key = drawn(results, results.config)
    assert (page, key) == (data, made[1])
    _, other = drawn(results, configure(seed=77))
    assert other["test"] != key["test"]
    assert [i["record"] for i in other["items"].values()] != [i["record"] for i in key["items"].values()]


def test_real_and_synthetic_are_mixed(results, configure):
    keys = [drawn(results, configure(seed=seed))[1] for seed in range(6)]
    assert len({tuple(item["real"] for item in key["items"].values()) for key in keys}) > 2


def test_without_synthetic_records_there_is_nothing_to_judge(results, tmp_path):
    html, key = make(results, tmp_path, samples={})
    assert "nothing to judge" in html
    assert "<script" not in html
    assert key["items"] == {}
    with pytest.raises(ValueError, match="holds no ECGs"):
        read_key(tmp_path / "blind_key.json")
