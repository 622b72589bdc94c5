"""The example of a user's own generator does what its description says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ecgpipe.dataset import Dataset
from ecgpipe.generate.protocol import Generator, Signals
from ecgpipe.generate.registry import load_class
from ecgpipe.leads import independent_from_twelve

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "own_generator"


@pytest.fixture
def fitted(sines: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(EXAMPLE)
    found: Any = load_class("mine", "cross_spectrum:CrossSpectrum")
    generator = found(found.Settings(prior_records=1e-3), sines.spec)
    train, validation = Signals.of(sines, "train"), Signals.of(sines, "validation")
    history = generator.fit(train, validation, seed=1, state_dir=tmp_path / "state", device="cpu", progress=False)
    assert np.isfinite(history[["train_loss", "validation_loss"]].to_numpy()).all()
    return generator


def draw(generator: Any, labels: np.ndarray, first_seed: int = 0) -> np.ndarray:
    seeds = first_seed + np.arange(len(labels))
    out: np.ndarray = generator.sample(labels, settings=generator.SampleSettings(), seeds=seeds, device="cpu")
    return out


def test_it_is_a_generator_that_draws_what_its_seeds_say(fitted: Any, tmp_path: Path) -> None:
    assert isinstance(fitted, Generator)
    labels = np.array([0, 1, 2, 1])
    whole = draw(fitted, labels)
    assert whole.shape == (4, 12, 64)
    assert whole.dtype == np.float32
    assert np.array_equal(draw(fitted, labels[2:], 2), whole[2:])
    fitted.save(tmp_path / "model")
    assert np.array_equal(draw(type(fitted).load(tmp_path / "model"), labels), whole)


@pytest.mark.parametrize(("label", "cycles"), [(0, 2), (1, 6)])
def test_samples_have_the_spectrum_and_the_lead_covariance_of_their_class(
    fitted: Any, sines: Dataset, label: int, cycles: int
) -> None:
    rows = np.flatnonzero((sines.labels == label) & (sines.records["split"] == "train").to_numpy())
    real = independent_from_twelve(np.asarray(sines.signals)[rows])
    drawn = independent_from_twelve(draw(fitted, np.full(600, label)))
    power = np.square(np.abs(np.fft.rfft(drawn))).mean(axis=(0, 1))
    assert power.argmax() == cycles
    covariance = [np.einsum("bct,bdt->cd", x, x) / len(x) for x in (real, drawn)]
    assert np.abs(covariance[1] - covariance[0]).max() < 0.15 * np.abs(covariance[0]).max()
