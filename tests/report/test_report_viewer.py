"""The viewer's records: of every cell, the pairs of the privacy audit, within the page's size, as they are."""

import json
import re
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ecgpipe.config import SimulatedSource, load
from ecgpipe.dataset import Dataset, SignalSpec, save_dataset
from ecgpipe.report import run
from ecgpipe.report.inputs import Inputs
from ecgpipe.report.packing import unpack
from ecgpipe.report.run import build_report
from ecgpipe.report.viewer import PER_CELL, STEPS, viewer_data
from ecgpipe.simulator.records import draw_record, plan_records

HOSTILE = "</script><script>alert(1)</script>"


def page_data(html):
    """Return the page's data as its script completes them."""
    data = json.loads(re.search(r'<script type="application/json" id="ecg-data">(.*?)</script>', html, re.DOTALL)[1])
    same = {"step": data["step"], "leads": data["leads"]}
    data["records"] = [same | {"shown": i < data["shown"]} | record for i, record in enumerate(data["records"])]
    return data


def beats(rng, label, shift=0.0):
    """Return a rough ECG with limb leads that fit together."""
    rate = {"SR": 1.0, "AFIB": 1.4, "SVTAC": 2.7}[label]
    phase = (np.arange(1000) / 100 * rate + shift) % 1
    wave = np.exp(-(((phase - 0.5) / 0.03) ** 2))
    signals = rng.uniform(0.4, 1.2, (12, 1)) * wave + rng.normal(0, 0.01, (12, 1000))
    signals[2] = signals[1] - signals[0]
    signals[3], signals[4], signals[5] = (
        -(signals[0] + signals[1]) / 2,
        signals[0] - signals[1] / 2,
        signals[1] - signals[0] / 2,
    )
    return signals


def write_set(folder, names, labels, splits, rng):
    spec = SignalSpec(100.0, 1000, ("SR", "AFIB", "SVTAC"))
    records = pd.DataFrame(
        {"record": names, "patient": names, "label": labels, "split": splits, "source": "a", "age": 60.0}
        | {"sex": "male", "codes": ""}
    )
    signals = np.stack([beats(rng, label, rng.random()) for label in labels]).astype(np.float32)
    save_dataset(folder, signals, records, spec)
    return signals


@pytest.fixture(scope="module")
def study(results, tmp_path_factory):
    """Return folders of a study with 30 and 25 real records of two rhythms, and 24 and 3 synthetic ones."""
    root = tmp_path_factory.mktemp("viewer")
    rng = np.random.default_rng(5)
    labels = ["SR"] * 30 + ["AFIB"] * 25
    splits = ["train"] * 20 + ["test"] * 10 + ["train"] * 15 + ["validation"] * 5 + ["test"] * 5
    shutil.copytree(results.data["a"], root / "data" / "a")
    write_set(root / "data" / "a", [f"r{i}" for i in range(55)], labels, splits, rng)
    names = [HOSTILE, *(f"s{i}" for i in range(1, 27))]
    write_set(root / "samples", names, ["SR"] * 24 + ["SVTAC"] * 3, ["train"] * 27, rng)
    tables = shutil.copytree(results.tables, root / "tables")
    pairs = pd.DataFrame(
        {
            "dataset": "a",
            "generator": "gen",
            "synthetic": [HOSTILE, "s26", "gone"],
            "training": ["r0", "r19", "r1"],
            "kind": ["near", "most alike", "most alike"],
            "similarity": [0.97, 0.5, 0.4],
            "shift": [-0.25, 1.0, 0.0],
            "distance": [0.1, 0.2, 0.3],
        }
    )
    pairs.to_parquet(tables / "copies.parquet")
    return {"tables": tables, "data": {"a": root / "data" / "a"}, "samples": {("a", "gen"): root / "samples"}}


@pytest.fixture(scope="module")
def html(results, study, tmp_path_factory):
    out = tmp_path_factory.mktemp("page") / "index.html"
    build_report(results.config, **study, models={}, git=None, beside=False, out=out)
    return out.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def data(html):
    return page_data(html)


def test_each_cell_has_twenty_records_where_there_are_as_many(data):
    assert PER_CELL == 20
    counts = Counter((r["set"], data["classes"][r["class"]]) for r in data["records"] if r["shown"])
    assert counts == {(0, "SR"): 20, (0, "AFIB"): 20, (1, "SR"): 20, (1, "SVTAC"): 3}
    assert [own["name"] for own in data["sets"]] == ["simulated", "gen"]
    real = [r["name"] for r in data["records"] if r["shown"] and r["set"] == 0 and r["class"] == 0]
    assert real[:11] == [*(f"r{i}" for i in range(20, 30)), "r0"]  # test records first


def test_records_are_the_signals_within_quantisation(data, study):
    folders = [study["data"]["a"], study["samples"]["a", "gen"]]
    sets = [Dataset.load(folder) for folder in folders]
    assert data["step"] == STEPS[0]
    for record in data["records"]:
        own = sets[record["set"]]
        row = own.records.index[own.records["record"] == record["name"]][0]
        assert record["leads"] == 8
        assert np.abs(unpack(record, data["length"]) - own.signals[row]).max() <= 1.5 * record["step"]


def test_heart_rates_and_nearest_training_records_are_told(data):
    rates = {"SR": 60, "AFIB": 84, "SVTAC": 162}
    for record in data["records"]:
        assert record["rate"] == pytest.approx(rates[data["classes"][record["class"]]], abs=3)
    synthetic = [r for r in data["records"] if r["set"] == 1 and r["shown"]]
    for record in synthetic:
        near, similarity, shift = record["near"]
        assert 0 < similarity <= 1
        assert abs(shift) < 10
        training = data["records"][near]
        assert (training["set"], training["split"]) == (0, "train")
    # A shift is allowed, so the nearest record of a sinus rhythm is one.
    assert all(data["records"][r["near"][0]]["class"] == 0 for r in synthetic if r["class"] == 0)
    assert all("near" not in r for r in data["records"] if r["set"] == 0 and r["split"] == "train")


def test_pairs_of_the_privacy_audit_can_be_looked_at(data, html):
    named = [(data["records"][p["synthetic"]]["name"], data["records"][p["training"]]["name"]) for p in data["pairs"]]
    assert named == [(HOSTILE, "r0"), ("s26", "r19")]  # of "gone" there is no record
    assert data["pairs"][0] | {"synthetic": 0, "training": 0} == {
        "synthetic": 0,
        "training": 0,
        "kind": "near",
        "similarity": 0.97,
        "shift": -0.25,
        "distance": 0.1,
    }
    assert html.count("<script") == 2
    assert HOSTILE not in html


def test_names_that_repeat_are_told_apart_by_the_distance(results, study, tmp_path):
    folder = shutil.copytree(study["samples"]["a", "gen"], tmp_path / "samples")
    records = Dataset.load(folder).records
    records.loc[26, "record"] = "s25"
    signals = np.array(Dataset.load(folder).signals)
    save_dataset(folder, signals, records, Dataset.load(folder).spec)
    training = Dataset.load(study["data"]["a"]).signals[3]
    tables = shutil.copytree(study["tables"], tmp_path / "tables")
    for row in (25, 26):
        pairs = pd.read_parquet(study["tables"] / "copies.parquet").iloc[:1]
        distance = float(np.sqrt(np.mean((signals[row] - training) ** 2)))
        pairs.assign(synthetic="s25", training="r3", distance=distance).to_parquet(tables / "copies.parquet")
        out = tmp_path / "index.html"
        build_report(
            results.config,
            **{**study, "samples": {("a", "gen"): folder}, "tables": tables},
            models={},
            git=None,
            out=out,
        )
        data = page_data(out.read_text(encoding="utf-8"))
        found = data["records"][data["pairs"][0]["synthetic"]]
        assert np.abs(unpack(found, 1000) - signals[row]).max() < 0.02


def test_page_stays_below_its_size(results, study, tmp_path, monkeypatch):
    out = tmp_path / "index.html"
    monkeypatch.setattr(run, "LEAST_RECORD_BYTES", 0)
    build_report(results.config, **study, models={}, git=None, beside=False, out=out)
    whole = len(out.read_bytes())
    assert whole < run.PAGE_BYTES
    data = page_data(out.read_text(encoding="utf-8"))
    assert data["unshown_nearest"] == 0
    records = sum(len(record["data"]) for record in data["records"])
    for share, every in ((0.8, True), (0.25, False)):
        monkeypatch.setattr(run, "PAGE_BYTES", int(whole + run.MARGIN_BYTES - (1 - share) * records))
        build_report(results.config, **study, models={}, git=None, beside=False, out=out)
        data = page_data(out.read_text(encoding="utf-8"))
        assert len(out.read_bytes()) <= run.PAGE_BYTES
        counts = Counter((r["set"], r["class"]) for r in data["records"] if r["shown"])
        assert len(counts) == 4  # no cell is left out
        assert len(data["pairs"]) == 2
        near = [r["near"][0] for r in data["records"] if r["shown"] and "near" in r]
        assert data["unshown_nearest"] == sum(isinstance(name, str) for name in near)
        # Coarser steps come first, then fewer training records beside others, then fewer records.
        if every:
            assert STEPS[0] < data["step"] < STEPS[-1]
            assert sum(counts.values()) == 63
            assert data["unshown_nearest"] == 0
        else:
            assert data["step"] == STEPS[-1]
            assert 20 <= sum(counts.values()) < 63
            assert data["unshown_nearest"] > 0


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """Return half of what the default study's viewer shows: real records and four generators', 24 a rhythm, as noisy.

    The records of the generators are simulated, too.
    """
    root = tmp_path_factory.mktemp("simulated")
    sources = [SimulatedSource(kind="simulated", hospital=own, records=900, seed=1) for own in ("a", "b")]
    config = load(Path(__file__).resolve().parents[2] / "config.yaml")
    mix = dict.fromkeys(config.dataset_settings["demo_ptbxl"].source.class_mix, 1.0)
    plans = [plan_records(source.model_copy(update={"class_mix": mix}), "ptbxl") for source in sources]
    drawn = {name: [] for name in mix}
    for pair in zip(*plans, strict=True):
        for source, record in zip(sources, pair, strict=True):
            if len(record.coded) == 1 and record.flat_lead is None:
                drawn[record.rhythm].append((source, record))
    spec, sets = SignalSpec(100.0, 1000, tuple(mix)), {}
    for place, name in enumerate(["real", *config.generators]):
        mine = [drawn[label][place::5][:60] if name == "real" else drawn[label][place::5][:20] for label in mix]
        chosen = [(label, *own) for label, records in zip(mix, mine, strict=True) for own in records]
        signals = np.stack([draw_record(source, "ptbxl", record, 100)[1] / 1000 for _, source, record in chosen])
        split = ["train" if place % 2 else "test" for place in range(len(chosen))] if name == "real" else "train"
        names = [f"{i:05d}" for i in range(len(chosen))]
        table = {"record": names, "patient": names, "label": [own[0] for own in chosen], "split": split, "source": "a"}
        records = pd.DataFrame(table | {"age": 60.0, "sex": "male", "codes": ""})
        sets[name] = root / name
        save_dataset(sets[name], signals.astype(np.float32), records, spec)
    config = config.model_copy(update={"datasets": ["demo_ptbxl"]})
    return config, sets


def test_default_study_has_twenty_records_a_cell_and_their_nearest_training_records(simulated, results):
    config, sets = simulated
    samples = {("demo_ptbxl", name): sets[name] for name in config.generators}
    inputs = Inputs(config, results.tables, {"demo_ptbxl": sets["real"]}, samples, {}, None)
    rest = 2_900_000  # bytes of the default study's page beside the viewer's records
    data = viewer_data(inputs, (run.PAGE_BYTES - run.MARGIN_BYTES - rest) / 2)
    counts = Counter((r["set"], r["class"]) for r in data["records"][: data["shown"]])
    assert counts == {(own, label): PER_CELL for own in range(5) for label in range(7)}
    assert data["unshown_nearest"] == 0
    assert data["step"] <= 0.025
