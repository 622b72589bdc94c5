from __future__ import annotations

import numpy as np
import pytest
import torch
from sine_classes import signals_of
from sklearn.preprocessing import StandardScaler

from ecgpipe.arrays import SignalReader
from ecgpipe.classify import inputs
from ecgpipe.classify.inputs import InMemory, Selection, Standardizer, Streamed, select, standardized
from ecgpipe.dataset import Dataset

CPU = torch.device("cpu")


def selection(signals: np.ndarray, rows: np.ndarray, labels: np.ndarray | None = None) -> Selection:
    labels = np.zeros(len(rows), dtype=np.int64) if labels is None else labels
    return Selection(SignalReader.of(signals, rows), labels)


@pytest.fixture
def signals() -> np.ndarray:
    return signals_of(np.arange(300) % 3, seed=1)


def test_reads_rows_of_several_sets_in_order(signals):
    other = -signals[:10]
    both = selection(signals, np.array([7, 2])) + selection(other, np.array([3, 0, 9]), np.array([1, 2, 1]))
    assert both.signals.shape == (5, 12, 64)
    assert both.labels.tolist() == [0, 0, 1, 2, 1]
    expected = np.stack([signals[7], signals[2], other[3], other[0], other[9]])
    assert (both.read(np.arange(5)) == expected).all()
    assert (both.read(np.array([4, 0, 3])) == expected[[4, 0, 3]]).all()
    assert (both.subset(np.array([3, 1])).read(np.array([0, 1])) == expected[[3, 1]]).all()


def test_selects_a_split(make_dataset, tmp_path):
    dataset = Dataset.load(make_dataset(tmp_path / "real"))
    for split, n in (("train", 36), ("validation", 18), ("test", 18)):
        chosen = select(dataset, split)
        assert len(chosen) == n
        assert (dataset.records["split"].to_numpy()[chosen.signals.rows] == split).all()
        assert (chosen.labels == dataset.labels[chosen.signals.rows]).all()


def test_standardizer_agrees_with_scikit_learn(signals):
    rows = np.arange(5, 290)  # more than one chunk
    found = Standardizer.fit(selection(signals, rows))
    by_lead = signals[rows].transpose(0, 2, 1).reshape(-1, 12).astype(np.float64)
    scaler = StandardScaler().fit(by_lead)
    np.testing.assert_allclose(found.mean, scaler.mean_, rtol=1e-12)
    np.testing.assert_allclose(found.deviation, scaler.scale_, rtol=1e-12)
    expected = scaler.transform(by_lead).reshape(len(rows), 64, 12).transpose(0, 2, 1)
    np.testing.assert_allclose(found(signals[rows]), expected, atol=2e-5)


def test_standardizer_keeps_precision_on_a_large_offset():
    noise = np.random.default_rng(0).normal(size=(600, 12, 64))
    signals = (2.0**20 + np.round(noise * 8) / 8).astype(np.float32)  # exact in float32
    found = Standardizer.fit(selection(signals, np.arange(600)))
    np.testing.assert_allclose(found.deviation, (np.round(noise * 8) / 8).std(axis=(0, 2)), rtol=1e-9)


def test_standardizer_sees_only_its_own_records(signals):
    rows = np.arange(0, 300, 3)
    poisoned = np.full_like(signals, np.nan)
    poisoned[rows] = signals[rows]
    clean, other = (Standardizer.fit(selection(array, rows)) for array in (signals, poisoned))
    assert (clean.mean == other.mean).all()
    assert (clean.deviation == other.deviation).all()


def test_standardizer_on_a_lead_that_never_changes(signals):
    signals[:, 3] = 1.5
    found = Standardizer.fit(selection(signals, np.arange(300)))
    assert found.deviation[3] == 1
    assert (found(signals[:4])[:, 3] == 0).all()


def test_standardizer_refuses_what_has_no_mean(signals):
    signals[4, 2, 1] = np.nan
    with pytest.raises(ValueError, match="NaN or infinite"):
        Standardizer.fit(selection(signals, np.arange(300)))
    with pytest.raises(ValueError, match="no training record"):
        Standardizer.fit(selection(signals, np.arange(0)))


def test_in_memory_and_streamed_give_the_same_batches(signals, monkeypatch):
    records = selection(signals, np.arange(299, -1, -1), np.arange(300) % 3)
    standardizer = Standardizer.fit(records)
    whole = standardized(records, standardizer, CPU)
    monkeypatch.setitem(inputs.IN_MEMORY_BYTES, "cpu", 1000)
    streamed = standardized(records, standardizer, CPU)
    assert isinstance(whole, InMemory)
    assert isinstance(streamed, Streamed)
    assert torch.equal(whole.labels, streamed.labels)
    positions = np.array([5, 299, 0, 17])
    for batch in (whole.batch(positions), streamed.batch(positions)):
        assert torch.equal(batch, torch.from_numpy(standardizer(signals[299 - positions])))
        assert batch.unsqueeze(2).is_contiguous(memory_format=torch.channels_last)  # the network need not copy it
