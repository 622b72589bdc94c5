"""Simple baselines: what each changes of plain training, and what it leaves."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
import torch
from sine_classes import signals_of

from ecgpipe.arrays import SignalReader
from ecgpipe.classify import baselines
from ecgpipe.classify.baselines import augmented, balanced_passes, mixed, partners, passes, reader
from ecgpipe.classify.experiments import Experiment
from ecgpipe.classify.inputs import InMemory, Selection, Standardizer, standardized
from ecgpipe.classify.run import run_baselines, run_real
from ecgpipe.classify.training import build, fit, predict
from ecgpipe.vocabulary import BASELINES

CPU = torch.device("cpu")
SIGNALS = torch.from_numpy(np.random.default_rng(3).normal(size=(6, 200, 4)).astype(np.float32)).transpose(1, 2)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def unequal(seed: int) -> InMemory:
    """Standardised noisy records of three classes, of which the third has 4 of 64."""
    labels = np.repeat([0, 1, 2], [30, 30, 4])
    signals = signals_of(labels, seed)
    signals = signals + np.random.default_rng(seed).normal(0, 1.5, signals.shape).astype(np.float32)
    records = Selection(SignalReader.of(signals), labels)
    return standardized(records, Standardizer.fit(records), CPU)


def test_oversampling_draws_classes_equally_often_and_no_record_twice_before_all_of_its_class():
    labels = np.repeat([0, 3, 4], [50, 7, 3])
    for order in itertools.islice(balanced_passes(labels, rng()), 5):
        assert len(order) == 60
        assert np.bincount(labels[order]).tolist() == [20, 0, 0, 20, 20]
    orders = np.concatenate(list(itertools.islice(balanced_passes(labels, rng()), 5)))
    times = np.bincount(orders)
    assert [set(times[labels == label]) for label in (0, 3, 4)] == [{2}, {14, 15}, {33, 34}]
    uneven = np.repeat([0, 1, 2], [5, 4, 2])
    parts = {tuple(np.bincount(uneven[order])) for order in itertools.islice(balanced_passes(uneven, rng()), 30)}
    assert parts == {(3, 4, 4), (4, 3, 4), (4, 4, 3)}  # 11 records cannot be divided by three


@pytest.mark.parametrize("baseline", [None, "class_weights", "classical_augmentation", "mixup"])
def test_others_draw_each_record_once(baseline):
    for order in itertools.islice(passes(baseline, np.array([0, 0, 0, 1]), rng()), 3):
        assert sorted(order) == [0, 1, 2, 3]


def test_partners_are_of_the_same_class_and_any_of_it():
    labels = np.array([2, 0, 0, 5, 2, 2, 0])
    draw = partners(labels, rng())
    drawn = np.array([draw(np.arange(7)) for _ in range(200)])
    for position, label in enumerate(labels):
        assert set(drawn[:, position]) == set(np.flatnonzero(labels == label))


def test_mixup_mixes_two_records_with_weights_of_the_beta_distribution():
    others = SIGNALS.flip(0)
    weights = rng(7).beta(baselines.ALPHA, baselines.ALPHA, 6)
    expected = [w * a + (1 - w) * b for w, a, b in zip(weights, SIGNALS.numpy(), others.numpy(), strict=True)]
    np.testing.assert_allclose(mixed(SIGNALS, others, rng(7)), expected, atol=1e-6)


def still(monkeypatch, **strengths):
    """Switch all changes of classical augmentation off but these."""
    for name, value in {"SHIFT": 0.0, "WARP": 0.0, "SCALE": 1.0, "NOISE": 0.0, "DROPOUT": 0.0, **strengths}.items():
        monkeypatch.setattr(baselines, name, value)


def test_augmentation_without_strength_changes_nothing(monkeypatch):
    still(monkeypatch)
    torch.testing.assert_close(augmented(SIGNALS, rng()), SIGNALS)


def test_each_change_is_the_one_that_it_says(monkeypatch):
    still(monkeypatch, SCALE=1.25)
    factors = (augmented(SIGNALS, rng()) / SIGNALS).numpy()
    np.testing.assert_allclose(factors, np.broadcast_to(factors[:, :1, :1], factors.shape), rtol=1e-5)
    assert 0.8 <= factors.min() < 0.95 < 1.05 < factors.max() <= 1.25

    still(monkeypatch, DROPOUT=0.5)
    dropped = augmented(SIGNALS, rng()) == 0
    assert torch.equal(dropped, dropped[:, :, :1].expand_as(dropped))
    assert 0.2 < float(dropped.float().mean()) < 0.8

    still(monkeypatch, NOISE=0.1)
    noise = (augmented(SIGNALS, rng()) - SIGNALS).numpy()
    assert (noise.std(axis=(1, 2)) <= 0.11).all()
    assert abs(np.corrcoef(noise[0].ravel(), SIGNALS[0].numpy().ravel())[0, 1]) < 0.15

    ramp = torch.arange(200.0).expand(40, 1, 200)
    still(monkeypatch, SHIFT=0.05)
    shift = (augmented(ramp, rng()) - ramp)[:, 0, 20:-20]
    assert float((shift - shift[:, :1]).abs().max()) < 1e-4  # the same over the record
    assert -10 <= float(shift.min()) < -5 < 5 < float(shift.max()) <= 10

    still(monkeypatch, WARP=0.05)
    speed = augmented(ramp, rng()).diff(dim=2)[:, 0, 5:-5]
    assert 0.949 <= float(speed.min()) < 0.97 < 1.03 < float(speed.max()) <= 1.051


def test_what_is_missing_at_an_end_is_mirrored(monkeypatch):
    still(monkeypatch, SHIFT=0.05)
    ramp = torch.arange(200.0).expand(40, 1, 200)
    found = augmented(ramp, rng())
    assert 0 <= float(found.min()) <= float(found.max()) <= 199
    shift = float(found[0, 0, 100]) - 100
    end = np.arange(200) + shift
    np.testing.assert_allclose(found[0, 0], 199 - np.abs(199 - np.abs(end)), atol=1e-3)


def test_only_two_baselines_change_what_is_read():
    train = unequal(0)
    positions = np.array([3, 40, 61])
    plain = train.batch(positions)
    same = {name: torch.equal(reader(name, train, rng())(positions), plain) for name in (None, *BASELINES)}
    assert [name for name, unchanged in same.items() if not unchanged] == ["classical_augmentation", "mixup"]
    assert reader("classical_augmentation", train, rng())(positions).shape == plain.shape


@pytest.mark.parametrize("baseline", BASELINES)
def test_steps_are_those_of_plain_training_and_weights_a_function_of_the_seed(spec, settings, baseline):
    budget = settings.model_copy(update={"steps": 20, "patience": 10})
    found = []
    for seed, how in ((1, None), (1, baseline), (1, baseline), (2, baseline)):
        model = build(spec, budget, 0)
        assert fit(model, unequal(1), unequal(2), budget, seed, CPU, how).steps == 20
        found.append(torch.cat([value.ravel().float() for value in model.state_dict().values()]))
    plain, once, again, other = found
    assert torch.equal(once, again)
    assert not torch.equal(once, plain)
    assert not torch.equal(once, other)


@pytest.mark.parametrize("baseline", ["oversampling", "class_weights"])
def test_rare_classes_are_found_more_often(spec, settings, baseline):
    budget = settings.model_copy(update={"steps": 60, "patience": 10})
    test = unequal(9)
    rare = test.labels.numpy() == 2

    def recall(how: str | None) -> float:
        found = 0.0
        for seed in range(3):
            model = build(spec, budget, seed)
            fit(model, unequal(1), unequal(2), budget, seed, CPU, how)
            found += (predict(model, test).argmax(axis=1)[rare] == 2).mean() / 3
        return found

    assert recall(baseline) > recall(None) + 0.2


def test_baselines_learn_from_the_records_of_plain_training(folders, tmp_path, settings):
    budget = settings.model_copy(update={"steps": 6})
    shares, seeds = [0.5, 1.0], [4, 9]
    run_real(Experiment(folders[0], tmp_path / "real", budget, shares, seeds, tmp_path / "state"))
    run_baselines(Experiment(folders[0], tmp_path / "bars", budget, shares, seeds, tmp_path / "state"), BASELINES)
    assert sorted(path.name for path in (tmp_path / "bars").iterdir()) == ["predictions.parquet", "training.parquet"]
    real, bars = (pd.read_parquet(tmp_path / name / "training.parquet") for name in ("real", "bars"))
    cells = [(name, "none", share, "none", seed) for name in BASELINES for share in shares for seed in seeds]
    keys = ["setting", "generator", "fraction", "ratio", "seed"]
    assert [*bars[keys].itertuples(index=False, name=None)] == cells
    same = ["steps", "parameters", "n_train", "n_real", "n_synthetic", "n_validation", "n_test"]
    same += [name for name in real.columns if name.startswith("n_train_")]
    for _, rows in bars.groupby("setting"):
        pd.testing.assert_frame_equal(rows[same].reset_index(drop=True), real[same])
    predicted = pd.read_parquet(tmp_path / "bars" / "predictions.parquet")
    assert set(predicted["tested"]) == {"hospital"}
