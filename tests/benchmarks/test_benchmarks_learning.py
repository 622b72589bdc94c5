"""The benchmark of what generators learn: its measures in known cases, its cells, and its tables in the document."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from ecgpipe.dataset import Dataset, SignalSpec
from ecgpipe.leads import twelve_from_independent


@pytest.fixture
def learning(load: Callable[[str], ModuleType]) -> ModuleType:
    return load("learning")


@pytest.fixture
def measures(load: Callable[[str], ModuleType]) -> ModuleType:
    return load("learning_measures")


@pytest.mark.parametrize(("csv", "table"), [("CSV", "table"), ("LOSSES_CSV", "losses_table")])
def test_the_document_shows_the_table_of_the_csv(learning: ModuleType, csv: str, table: str) -> None:
    text, name = learning.DOCUMENT.read_text(encoding="utf-8"), getattr(learning, csv).stem
    assert text.split(f"<!-- {name}: begin -->\n")[1].split(f"<!-- {name}: end -->\n")[0] == getattr(learning, table)()


def test_generators_stand_in_the_csv_beside_real_records_and_the_control(learning: ModuleType) -> None:
    found = pd.read_csv(learning.CSV)
    for _, rows in found.groupby("dataset"):
        assert {"real", "training", learning.CONTROL} <= set(rows["generator"])
    known = {str(cell) for cell in learning.cells()}
    columns = list(learning.Cell._fields)
    assert {str(learning.Cell(*row)) for row in found[columns].itertuples(index=False)} <= known
    made = found[found["agreement"].notna()]  # not those that refused themselves
    assert made["agreement"].between(made["agreement_low"], made["agreement_high"]).all()
    trained = made[~made["generator"].isin(["real", "training"])]
    assert (trained["limb_residual_mv"] < 1e-5).all()


def test_every_way_has_settings_that_its_generator_accepts(learning: ModuleType) -> None:
    for cell in learning.cells():
        if cell.budget:
            cls = learning.load_class(cell.generator, None)
            train, sample = cell.settings()
            assert cls.Settings.model_validate(train).draft == cell.draft
            cls.SampleSettings.model_validate(sample)


def test_a_cell_of_other_code_or_settings_is_stale(
    learning: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cell = learning.Cell("hospital_a", "time_diffusion", "beats", 60)
    kept = json.loads(json.dumps({"code": learning.code_of(*cell[1:3]), "settings": cell.settings()}))
    assert not learning.stale(tmp_path, cell, kept)
    assert learning.stale(tmp_path, cell, {**kept, "settings": [{}, {}]})
    real = learning.parts

    def changed(script: None, modules: list[str]) -> dict[str, str]:
        return {**real(script, modules), "ecgpipe.generate.drafts.beats": "changed"}

    monkeypatch.setattr(learning, "parts", changed)
    learning.code_of.cache_clear()
    assert learning.stale(tmp_path, cell, kept)
    pure = cell._replace(draft="none")
    other = json.loads(json.dumps({"code": learning.code_of(*pure[1:3]), "settings": pure.settings()}))
    monkeypatch.setattr(learning, "parts", real)
    learning.code_of.cache_clear()
    assert not learning.stale(tmp_path, pure, other)  # drafts do not matter to it


@pytest.mark.parametrize("equal", [True, False])
def test_older_code_that_draws_the_same_samples_counts_as_the_present_one(
    learning: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, equal: bool
) -> None:
    cell = learning.Cell("hospital_a", "diffwave", "none", 60)
    kept = {"code": "older", "settings": json.loads(json.dumps(cell.settings()))}
    learning.write_json(tmp_path / "cells" / f"{cell}.json", kept)
    signals = np.ones((2, 12, 10), dtype=np.float32)
    (tmp_path / "models" / str(cell)).mkdir(parents=True)
    np.savez(tmp_path / "models" / str(cell) / "samples.npz", signals=signals + (0 if equal else 1e-6))
    trained: list[int] = []
    monkeypatch.setattr(learning, "learned", lambda name, settings, seed, *_: ({}, trained.append(seed)))
    monkeypatch.setattr(learning, "drawn", lambda *_: ({}, SimpleNamespace(signals=signals)))
    monkeypatch.setattr(learning, "measure", lambda *_: SimpleNamespace(data=None))
    assert learning.stale(tmp_path, cell, kept)
    learning.confirm(tmp_path)
    assert trained == [1]
    assert learning.stale(tmp_path, cell, kept) == (not equal)
    known = learning.read_json(tmp_path / "same_code.json") if equal else {}
    learning.write_json(tmp_path / "same_code.json", {**known, "older": ["oldest"]})
    assert learning.stale(tmp_path, cell, {**kept, "code": "oldest"}) == (not equal), "the same as one that is the same"
    assert learning.stale(tmp_path, cell, {**kept, "settings": [{}, {}]})


def test_finished_cells_are_not_computed_again(learning: ModuleType, tmp_path: Path) -> None:
    cell = learning.Cell("hospital_a", "diffwave", "none", 60)
    path = tmp_path / "cells" / f"{cell}.json"
    path.parent.mkdir()
    kept = {**cell._asdict(), "code": "old", "settings": [], "agreement": 0.5}
    path.write_text(json.dumps(kept))
    learning.compute(tmp_path, [cell])
    assert json.loads(path.read_text()) == kept
    assert learning.collect(tmp_path)[["agreement", "stale"]].values.tolist() == [[0.5, 1]]


def test_a_killed_training_goes_on(learning: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    spec = SignalSpec(100.0, 100, ("a",))
    table = pd.DataFrame({"label": ["a"] * 4, "split": ["train"] * 3 + ["validation"]})
    data = SimpleNamespace(dataset=Dataset(np.zeros((4, 12, 100), dtype=np.float32), table, spec))
    seen = []

    class Killable:
        class Settings:
            draft = "beats"  # of the preset: it is not among the settings that are given
            model_validate = staticmethod(lambda given: Killable.Settings)

        def __init__(self, settings: dict[str, object], spec: SignalSpec) -> None:
            pass

        def fit(self, train: object, validation: object, *, state_dir: Path, **how: object) -> pd.DataFrame:
            seen.append([state_dir.name, *(p.name for p in state_dir.iterdir())])
            (state_dir / "checkpoint").touch()
            if len(seen) == 1:
                raise KeyboardInterrupt
            return pd.DataFrame()

        def save(self, folder: Path) -> None:
            (folder / "model.json").touch()

    monkeypatch.setattr(learning, "load_class", lambda name, path: Killable)
    monkeypatch.setattr(learning, "code_of", lambda name, draft: draft)
    with pytest.raises(KeyboardInterrupt):
        learning.learned("any", {}, 1, data, tmp_path, "cpu")
    assert learning.learned("any", {}, 1, data, tmp_path, "cpu")[0]["cpu_seconds"] is None
    assert learning.learned("any", {}, 1, data, tmp_path, "cpu")[0]["cpu_seconds"] >= 0
    assert seen == [["state-beats"], ["state-beats", "checkpoint"], ["state-beats"]]
    assert [p.name for p in tmp_path.iterdir()] == ["model.json"]


@pytest.mark.parametrize(("more", "written"), [([], False), (["--collect"], True)])
def test_a_trial_in_a_folder_of_its_own_changes_no_document(
    load: Callable[[str], ModuleType], tmp_path: Path, more: list[str], written: bool
) -> None:
    measuring = load("measuring")
    csv, document = tmp_path / "figures.csv", tmp_path / "page.md"
    document.write_text("# Page\n")
    args = measuring.learning_parser("").parse_args(["--work", str(tmp_path), *more])
    rows = pd.DataFrame({"a": [1]})
    measuring.publish(args, csv, document, lambda _: rows, lambda found: f"{len(found)} rows")
    assert csv.exists() == written
    assert ("1 rows" in document.read_text()) == written
    assert measuring.writes_tables(measuring.learning_parser("").parse_args([]))  # the default folder


def test_the_document_names_the_cells_that_are_missing(load: Callable[[str], ModuleType], tmp_path: Path) -> None:
    tables, csv = load("learning_tables"), tmp_path / "learning.csv"
    every = pd.DataFrame([cell._asdict() for cell in tables.cells()])
    every.to_csv(csv, index=False)
    assert tables.missing(csv) == ""
    left = (every["dataset"] == "real") & (every["budget"] == 300) & (every["seed"] == 2)
    left |= (every["budget"] == 60) & (every["generator"] == "diffwave") & (every["draft"] == "none")
    every[~left].to_csv(csv, index=False)
    said = tables.missing(csv)
    assert "real, 300 s, seed 2 (all)" in said
    assert "hospital_b, 60 s, seed 1 (`diffwave`, no draft)" in said
    assert "3600" not in said


def test_frechet_distance_of_known_gaussians(measures: ModuleType) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((200_000, 2))
    assert measures.frechet(x, x) == pytest.approx(0, abs=1e-9)
    # |difference of means|^2 + sum (s1 - s2)^2
    assert measures.frechet(x, 3 * rng.standard_normal((200_000, 2)) + [1.0, 0.0]) == pytest.approx(1 + 2 * 4, rel=0.02)


def test_classes_weigh_alike_in_the_frechet_distance(measures: ModuleType) -> None:
    rng = np.random.default_rng(0)
    one, two = rng.standard_normal((20_000, 2)), rng.standard_normal((20_000, 2)) + 5
    even = np.concatenate([one, two])
    rare = np.concatenate([one, two[:500]])
    weights = measures.balanced(np.repeat([0, 1], [20_000, 500]))
    assert measures.frechet(rare, even) > 5
    assert measures.frechet(rare, even, weights) < 0.1


def test_interval_of_a_share(measures: ModuleType) -> None:
    assert measures.wilson(0.8, 10) == pytest.approx((0.490, 0.943), abs=1e-3)
    assert measures.wilson(0.0, 10)[0] == pytest.approx(0, abs=1e-9)


def test_a_rare_class_makes_agreement_uncertain(measures: ModuleType) -> None:
    even = measures.agreement(np.array([True, False] * 50), np.repeat([0, 1], 50))
    assert (even["agreement_low"], even["agreement_high"]) == pytest.approx(measures.wilson(0.5, 100))
    rare = measures.agreement(np.r_[np.ones(96, bool), np.zeros(4, bool)], np.repeat([0, 1], [96, 4]))
    assert rare["agreement"] == 0.5
    assert rare["agreement_high"] - rare["agreement_low"] > 2 * (even["agreement_high"] - even["agreement_low"])


def test_distance_to_the_nearest_training_record(measures: ModuleType) -> None:
    train = twelve_from_independent(np.random.default_rng(0).standard_normal((5, 8, 30)))
    assert measures.nearest(train[[3]], train) == pytest.approx(0, abs=1e-6)
    moved = train[[3]] + twelve_from_independent(np.full((1, 8, 30), 0.1))
    assert measures.nearest(moved, train) == pytest.approx(0.1)


def test_rates_and_pauses_are_read_off_the_beats(measures: ModuleType) -> None:
    spec, times = (
        SignalSpec(100.0, 1000, ("SR",)),
        [np.arange(0.5, 10, 0.8), np.r_[np.arange(0.5, 5, 0.8), 6.2, 7, 7.8]],
    )
    moment = np.arange(1000) / 100
    wave = [sum(np.exp(-0.5 * ((moment - t) / 0.02) ** 2) for t in own) for own in times]
    signals = np.stack([twelve_from_independent(np.tile(w, (8, 1))[None])[0] for w in wave]).astype(np.float32)
    found = measures.rhythm_table(Dataset(signals, pd.DataFrame({"label": ["SR", "SR"]}), spec))
    assert found["rate"].iloc[0] == pytest.approx(75, rel=0.01)
    assert found["pause"].tolist() == [0, 1]
    assert measures.rhythm_figures(found, found)["rate_distance"] == 0


def test_rates_and_distances_by_rhythm(load: Callable[[str], ModuleType]) -> None:
    of = load("learning_rhythms")
    cell = load("learning_cells").Cell("real", "diffwave", "beats", 300, 1)
    classes = load("ecgpipe.simulator.hospitals").RHYTHMS
    signals = np.stack([regular(seconds) for seconds in (0.8, 0.8, 0.5, 0.5)])
    labels = [classes[0], classes[0], classes[1], classes[1]]
    spec = SignalSpec(100.0, 1000, classes)
    training = Dataset(signals, pd.DataFrame({"label": labels}), spec)
    moved = Dataset(signals + twelve_from_independent(np.full((1, 8, 1000), 0.1, np.float32)), training.records, spec)
    further = signals[:2] + twelve_from_independent(np.full((1, 8, 1000), 0.2, np.float32))
    unseen = Dataset(further, pd.DataFrame({"label": labels[:2]}), spec)
    usual = of.nearest(unseen.signals, training.signals)
    found = of.of_samples(cell, moved, training, unseen, usual).set_index("rhythm")
    assert found["rate_50"].tolist() == pytest.approx([75, 120], rel=0.01)
    assert found["rr_cv_90"].max() < 0.02
    assert found["training_records"].tolist() == [2, 2]
    assert found.loc[classes[0], "nearest_ratio"] == pytest.approx(0.5, rel=1e-3)
    assert found.loc[classes[0], "nearer_than_tenth"] == 1
    assert found.loc[classes[0], "by_chance"] == 0.5
    assert np.isnan(found.loc[classes[1], "nearest_ratio"]), "no held-out record of this rhythm"
    copies = of.of_samples(cell, training, training, unseen, usual).set_index("rhythm")
    assert copies.loc[classes[0], "nearest_is_training"] == 1
    others = of.of_samples(cell, unseen, training, unseen, usual).set_index("rhythm")
    assert others.loc[classes[0], "nearest_is_training"] == 0


def regular(seconds: float) -> np.ndarray:
    """Return a record ``(12, 1000)`` with a beat every so many seconds."""
    moment = np.arange(1000) / 100
    wave = sum(np.exp(-0.5 * ((moment - t) / 0.02) ** 2) for t in np.arange(0.5, 10, seconds))
    return twelve_from_independent(np.tile(wave, (8, 1))[None])[0].astype(np.float32)


def test_the_blinded_readings_scores_are_those_of_its_answers(load: Callable[[str], ModuleType]) -> None:
    reading = load("blind_reading")
    folder = reading.DATA / "blind_reading"
    found = reading.score(sorted(folder.glob("answers_*.json")), folder / "key.json").scores
    pd.testing.assert_frame_equal(found, pd.read_csv(reading.CSV), rtol=1e-5)
    assert reading.table(found).strip() in reading.DOCUMENT.read_text(encoding="utf-8")
