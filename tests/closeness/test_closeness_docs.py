"""The table in the document is that of the measured values, and the defects are what they say."""

import importlib
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    names = ("measuring", "sensitivity")
    for name in names:
        sys.modules.pop(name, None)
    yield importlib.import_module
    for name in names:
        sys.modules.pop(name, None)


def test_document_holds_what_was_measured(benchmark):
    module = benchmark("sensitivity")
    expected = module.render(pd.read_csv(module.CSV)).strip()
    text = (ROOT / "docs" / "closeness.md").read_text(encoding="utf-8")
    assert f"<!-- sensitivity: begin -->\n{expected}\n<!-- sensitivity: end -->" in text


def test_sensitivity_has_every_defect_and_size(benchmark):
    module = benchmark("sensitivity")
    measured = pd.read_csv(module.CSV)
    wanted = {(name, size) for name, (_, sizes, _) in module.DEFECTS.items() for size in sizes}
    assert set(zip(measured["defect"], measured["size"], strict=True)) == wanted


def test_defects_are_what_they_say(benchmark, held_out, train):
    module = benchmark("sensitivity")
    few = held_out.take(np.arange(40))
    noisy = module.noise(few, 0.1, train).signals - few.signals
    assert noisy.std() == pytest.approx(0.1, rel=0.02)
    louder = module.gain(few, 1.5, train).signals
    np.testing.assert_allclose(louder[:, 6:], 1.5 * few.signals[:, 6:])
    np.testing.assert_array_equal(louder[:, :6], few.signals[:, :6])
    copied = module.copies(few, 0.1, replace(train, labels=train.labels)).signals
    np.testing.assert_array_equal(copied[3], np.roll(train.signals[3], 50, axis=1))
    np.testing.assert_array_equal(copied[4:], few.signals[4:])
    ramp = replace(few, signals=np.tile(np.arange(1000, dtype=np.float32), (40, 12, 1)))
    speed = np.diff(module.warp(ramp, 0.15, train).signals[0, 0])[1:-1]
    assert (speed.min(), speed.max()) == pytest.approx((0.85, 1.15), abs=0.01)


def test_mixes_are_what_they_say(benchmark):
    module = benchmark("sensitivity")
    base = module.simulated(70, 3)
    mixed = module.mix(base, 0.3, base)
    assert len(mixed) == 70
    assert np.mean(mixed.labels == "SR") == pytest.approx(1 / 7 + 0.3 * 6 / 7, abs=0.06)
    dropped = module.mode_drop(base, 2, base)
    assert len(dropped) == 70
    assert set(dropped.labels) == set(module.CLASSES[2:])
