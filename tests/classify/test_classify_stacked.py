"""Networks trained together: each becomes what it becomes alone, up to rounding."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from sine_classes import signals_of
from torch import nn

from ecgpipe.arrays import SignalReader
from ecgpipe.classify import cnn
from ecgpipe.classify.inputs import InMemory, Selection, Standardizer, standardized
from ecgpipe.classify.network import columns
from ecgpipe.classify.stacked import fit_together
from ecgpipe.classify.training import Fit, NeverFiniteError, build, convolution_features, fit, predict
from ecgpipe.config import AnyClassifier, ClassifierSettings, WangSettings, XResNetSettings
from ecgpipe.dataset import SignalSpec
from ecgpipe.vocabulary import BASELINES

pytestmark = pytest.mark.usefixtures("double")

CPU = torch.device("cpu")
CLOSE = 1e-6
SEEDS = [4, 9, 2]
TRAINING = {"learning_rate": 0.01, "batch": 8, "epochs": 12, "patience": 2, "label_smoothing": 0.1}
CLASSIFIERS: dict[str, AnyClassifier] = {
    "cnn": ClassifierSettings(blocks=2, channels=3, kernel=3, width=8, dense_layers=2, dropout=0.4, **TRAINING),
    "resnet1d_wang": WangSettings(kind="resnet1d_wang", channels=4, **TRAINING),
    "xresnet1d": XResNetSettings(kind="xresnet1d", depth=18, channels=4, **TRAINING),
}
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU"))]


def labelled(n: int, seed: int, device: str) -> InMemory:
    """Standardised records of three classes, half of them labelled at random."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    given = np.concatenate([labels[: n // 2], rng.permutation(labels[n // 2 :])])
    records = Selection(SignalReader.of(signals_of(labels, seed)), given)
    found = standardized(records, Standardizer.fit(records), torch.device(device))
    assert isinstance(found, InMemory)
    return found


class Both:
    """Networks of three seeds, trained one after another and together on sets of their own."""

    def __init__(
        self, spec: SignalSpec, settings: AnyClassifier, device: str, baseline: str | None = None, heads: bool = False
    ) -> None:
        where = torch.device(device)
        trains: list[Any] = [labelled(45, seed, device) for seed in SEEDS]  # batches of 8, 8, 8, 8, 8 and 5
        self.validations: list[Any] = [labelled(70, seed + 20, device) for seed in SEEDS]
        networks = [build(spec, settings, seed).to(where) for seed in SEEDS]
        self.alone: list[nn.Module] = [*networks]
        if heads:
            trains, self.validations = (
                [convolution_features(model.eval(), part) for model, part in zip(networks, parts, strict=True)]
                for parts in (trains, self.validations)
            )
            self.alone = [model.head for model in networks]
        self.together = copy.deepcopy(self.alone)
        state = torch.random.get_rng_state()
        self.fits = fit_together(self.together, trains, self.validations, settings, SEEDS, where, baseline)
        assert torch.equal(torch.random.get_rng_state(), state)
        self.fits_alone = [
            fit(model, train, validation, settings, seed, where, baseline)
            for model, train, validation, seed in zip(self.alone, trains, self.validations, SEEDS, strict=True)
        ]

    def check(self, close: float = CLOSE) -> None:
        for fit_alone, found in zip(self.fits_alone, self.fits, strict=True):
            assert isinstance(found, Fit)
            assert (found.steps, found.best_step) == (fit_alone.steps, fit_alone.best_step)
            assert found.validation_loss == pytest.approx(fit_alone.validation_loss, rel=close)
        for alone, together, validation in zip(self.alone, self.together, self.validations, strict=True):
            assert not together.training
            state = together.state_dict()
            for name, value in alone.state_dict().items():
                torch.testing.assert_close(state[name], value, rtol=close, atol=close)
            np.testing.assert_allclose(predict(together, validation), predict(alone, validation), atol=close)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_each_network_becomes_what_it_becomes_alone(spec: SignalSpec, name: str, device: str) -> None:
    both = Both(spec, CLASSIFIERS[name], device)
    both.check()
    fits = both.fits_alone
    assert len({fit.steps for fit in fits}) > 1  # they stop at different steps
    assert all(fit.best_step < fit.steps for fit in fits)


@pytest.mark.parametrize("baseline", BASELINES)
def test_each_keeps_the_draws_of_a_baseline(spec: SignalSpec, baseline: str) -> None:
    Both(spec, CLASSIFIERS["cnn"].model_copy(update={"steps": 15}), "cpu", baseline).check()


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_heads_and_one_cycle(spec: SignalSpec, name: str) -> None:
    settings = CLASSIFIERS[name].model_copy(update={"steps": 25, "loss": "focal"})
    Both(spec, settings, "cpu", heads=True).check()


def test_networks_need_as_many_records(spec: SignalSpec) -> None:
    settings, sets = CLASSIFIERS["cnn"], [labelled(n, 1, "cpu") for n in (30, 31)]
    models = [build(spec, settings, seed) for seed in (0, 1)]
    for trains, validations in ((sets, sets[:1] * 2), (sets[:1] * 2, sets)):
        with pytest.raises(ValueError, match="as many records of each class"):
            fit_together(models, trains, validations, settings, [0, 1], torch.device("cpu"))


def test_a_network_that_never_has_a_finite_loss_leaves_the_others_as_they_are_alone(spec: SignalSpec) -> None:
    settings, sets = CLASSIFIERS["cnn"], [labelled(30, seed, "cpu") for seed in SEEDS]
    sets[1] = InMemory(torch.full_like(sets[1].values, torch.nan), sets[1].labels)
    alone, together = ([build(spec, settings, seed) for seed in SEEDS] for _ in range(2))
    found = fit_together(together, sets, sets, settings, SEEDS, CPU)
    assert isinstance(found[1], NeverFiniteError)
    assert "validation loss was never finite" in str(found[1])
    for network in (0, 2):
        wanted = fit(alone[network], sets[network], sets[network], settings, SEEDS[network], CPU)
        result = found[network]
        assert isinstance(result, Fit)
        assert (result.steps, result.best_step) == (wanted.steps, wanted.best_step)
        assert result.validation_loss == pytest.approx(wanted.validation_loss, rel=CLOSE)
        state = together[network].state_dict()
        for name, value in alone[network].state_dict().items():
            torch.testing.assert_close(state[name], value, rtol=CLOSE, atol=CLOSE)


def test_single_precision(spec: SignalSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in jobs, with dropout: a mask of another network would be far off, rounding is not after a few steps."""
    monkeypatch.setattr(cnn, "columns", columns)
    torch.set_default_dtype(torch.float32)
    try:
        settings = CLASSIFIERS["cnn"].model_copy(update={"steps": 6, "learning_rate": 0.001})
        both = Both(spec, settings, "cpu")
        assert {value.dtype for value in both.together[0].parameters()} == {torch.float32}
        both.check(close=1e-3)
    finally:
        torch.set_default_dtype(torch.float64)
