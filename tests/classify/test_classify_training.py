from __future__ import annotations

import numpy as np
import pytest
import torch
from sine_classes import signals_of
from torch import Tensor

from ecgpipe.arrays import SignalReader
from ecgpipe.classify.inputs import InMemory, Selection, Standardizer, standardized
from ecgpipe.classify.training import build, convolution_features, fit, losses, mean_loss, predict

CPU = torch.device("cpu")


def labelled(n: int, seed: int, noise: float = 0.0) -> InMemory:
    """Standardised records of three classes; ``noise`` of the labels are drawn at random."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    given = np.where(rng.random(n) < noise, rng.integers(0, 3, n), labels)
    records = Selection(SignalReader.of(signals_of(labels, seed)), given)
    return standardized(records, Standardizer.fit(records), CPU)


def weights(model) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def equal(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.fixture
def overfitting(settings):
    """Settings and data whose validation loss falls and then rises."""
    changed = settings.model_copy(update={"epochs": 60, "patience": 5, "learning_rate": 0.02, "dropout": 0.0})
    return changed, labelled(24, 1, noise=0.5), labelled(30, 2, noise=0.5)


def test_learns(spec, settings):
    model = build(spec, settings, 0)
    result = fit(model, labelled(120, 1), labelled(30, 2), settings.model_copy(update={"epochs": 20}), 0, CPU)
    test = labelled(60, 3)
    assert (predict(model, test).argmax(axis=1) == test.labels.numpy()).mean() > 0.9
    assert result.validation_loss < 0.5


def test_weights_are_those_of_the_best_validation(spec, overfitting):
    settings, train, validation = overfitting
    model = build(spec, settings, 0)
    result = fit(model, train, validation, settings, 0, CPU)
    assert 3 < result.best_step < result.steps < 3 * settings.epochs
    assert result.steps == result.best_step + 3 * settings.patience  # 3 batches of 24 records
    assert mean_loss(model, validation) == result.validation_loss

    stopped_there = build(spec, settings, 0)
    only = settings.model_copy(update={"epochs": result.best_step // 3})
    assert fit(stopped_there, train, validation, only, 0, CPU).best_step == result.best_step
    assert equal(weights(model), weights(stopped_there))

    went_on = build(spec, settings, 0)
    last = fit(
        went_on, train, validation, settings.model_copy(update={"min_delta": -10.0}), 0, CPU
    )  # any epoch is better
    assert last.best_step == last.steps
    assert not equal(weights(model), weights(went_on))
    assert mean_loss(went_on, validation) > result.validation_loss


def test_smaller_gains_than_min_delta_do_not_count(spec, overfitting):
    settings, train, validation = overfitting
    result = fit(build(spec, settings, 0), train, validation, settings.model_copy(update={"min_delta": 100.0}), 0, CPU)
    assert (result.steps, result.best_step) == (3 + 3 * settings.patience, 3)


def test_a_function_of_the_seed_alone(spec, settings):
    train, validation = labelled(30, 1), labelled(12, 2)

    def trained(seed: int) -> dict[str, Tensor]:
        model = build(spec, settings, seed)
        fit(model, train, validation, settings, seed, CPU)
        return weights(model)

    torch.manual_seed(7)
    before = torch.random.get_rng_state()
    first = trained(0)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(8)
    assert equal(trained(0), first)
    assert not equal(trained(1), first)


class Recording:
    """Inputs that note which positions are asked for."""

    def __init__(self, inputs: InMemory) -> None:
        self.inputs, self.labels, self.asked = inputs, inputs.labels, []

    def batch(self, positions: np.ndarray) -> Tensor:
        self.asked.append(positions)
        return self.inputs.batch(positions)


def test_no_record_is_dropped(spec, settings):
    n, epochs = 21, 2
    train, validation = Recording(labelled(n, 1)), Recording(labelled(130, 2))
    result = fit(build(spec, settings, 0), train, validation, settings.model_copy(update={"epochs": epochs}), 0, CPU)
    assert result.steps == 3 * epochs
    assert [len(positions) for positions in train.asked] == [8, 8, 5] * epochs
    first, second = (np.concatenate(train.asked[i : i + 3]) for i in (0, 3))
    assert sorted(first) == sorted(second) == list(range(n))
    assert (first != second).any()
    assert np.concatenate(validation.asked).tolist() == [*range(130)] * epochs


def test_with_steps_every_training_is_as_long(spec, settings):
    budget = settings.model_copy(update={"steps": 25, "patience": 100})  # no multiple of the ten validations
    for n in (9, 60):
        train, validation = Recording(labelled(n, 1)), Recording(labelled(12, 2))
        result = fit(build(spec, settings, 0), train, validation, budget, 0, CPU)
        assert result.steps == len(train.asked) == 25
        assert len(validation.asked) == 10
        assert result.best_step in [25 * validation // 10 for validation in range(1, 11)]
        seen = np.bincount(np.concatenate(train.asked), minlength=n)
        assert seen.max() - seen.min() <= 1


def test_learning_rate_of_a_budget_rises_and_falls_to_nothing(spec, settings, monkeypatch):
    rates = []
    step = torch.optim.AdamW.step

    def watched(self, *args, **kwargs):
        rates.append(self.param_groups[0]["lr"])
        return step(self, *args, **kwargs)

    monkeypatch.setattr(torch.optim.AdamW, "step", watched)
    budget = settings.model_copy(update={"steps": 40, "patience": 100})
    fit(build(spec, settings, 0), labelled(30, 1), labelled(12, 2), budget, 0, CPU)
    assert np.argmax(rates) == 9
    assert max(rates) == pytest.approx(settings.learning_rate)
    assert rates[-1] < 1e-3 * settings.learning_rate


def test_losses():
    logits = torch.randn(50, 5, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 2, 3])[torch.arange(50) % 7 % 3]  # uneven, and no record of classes 1 and 4
    plain = torch.nn.functional.cross_entropy(logits, labels, reduction="none")
    assert torch.equal(losses("cross_entropy", labels)(logits, labels), plain)
    counts = torch.bincount(labels, minlength=5)
    weighted = losses("weighted", labels)(logits, labels)
    balanced = torch.nn.CrossEntropyLoss(torch.where(counts > 0, 50 / (3 * counts), 0.0), reduction="sum")
    assert weighted.sum() == pytest.approx(float(balanced(logits, labels)), rel=1e-5)
    assert sum(float((weighted / plain)[labels == k].sum()) for k in (0, 2, 3)) == pytest.approx(50, rel=1e-5)
    unseen = losses("weighted", labels)(logits, torch.arange(50) % 5)  # as of validation records
    assert torch.equal(unseen > 0, (counts > 0)[torch.arange(50) % 5])
    right = torch.softmax(logits, 1)[torch.arange(50), labels]
    torch.testing.assert_close(losses("focal", labels)(logits, labels), -((1 - right) ** 2) * right.log())


@pytest.mark.parametrize("kind", ["cross_entropy", "weighted", "focal"])
def test_smoothed_labels_are_spread_over_all_classes(kind):
    logits = torch.randn(50, 5, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 1, 2, 3, 4, 0, 0, 1])[torch.arange(50) % 8]
    log_p = logits.log_softmax(1)
    right = log_p[torch.arange(50), labels]
    smoothed = -0.8 * right - 0.2 * log_p.mean(1)
    weights = 50 / (5 * torch.bincount(labels))[labels]
    factor = {"focal": (1 - right.exp()) ** 2, "weighted": weights, "cross_entropy": 1}[kind]
    torch.testing.assert_close(losses(kind, labels, 0.2)(logits, labels), factor * smoothed)


def test_training_and_its_validation_loss_have_smoothed_labels(spec, settings):
    train, validation = labelled(30, 1), labelled(12, 2)
    probabilities = {}
    for smoothing in (0.0, 0.3):
        own = settings.model_copy(update={"label_smoothing": smoothing, "steps": 8})
        model = build(spec, settings, 0)
        found = fit(model, train, validation, own, 0, CPU)
        loss = losses("cross_entropy", train.labels, smoothing)
        assert found.validation_loss == pytest.approx(mean_loss(model, validation, loss))
        probabilities[smoothing] = predict(model, validation)
    assert not np.array_equal(probabilities[0.0], probabilities[0.3])


def test_rare_classes_are_found_more_often_with_weights(spec, settings):
    """Of overlapping classes, one 20 times as common."""
    rng = np.random.default_rng(0)
    labels = np.where(rng.random(210) < 0.05, 1, 0)
    signals = signals_of(np.zeros(210, dtype=int), 1) + (0.4 * labels)[:, None, None].astype(np.float32)
    records = Selection(SignalReader.of(signals), labels)
    train = standardized(records, Standardizer.fit(records), CPU)
    found = {}
    for loss in ("cross_entropy", "weighted"):
        model = build(spec, settings, 0)
        fit(model, train, train, settings.model_copy(update={"loss": loss, "steps": 40}), 0, CPU)
        found[loss] = (predict(model, train).argmax(axis=1) == 1).sum()
    assert found["weighted"] > 2 * found["cross_entropy"]


def test_predictions_are_of_every_record_in_order(spec, settings):
    inputs = labelled(131, 1)
    model = build(spec, settings, 0)
    model.train()
    found = predict(model, inputs)
    assert found.shape == (131, 3)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)
    with torch.no_grad():
        one_by_one = [torch.softmax(model(inputs.values[i : i + 1]), dim=1)[0].numpy() for i in range(131)]
    np.testing.assert_allclose(found, one_by_one, atol=1e-6)


def test_head_on_features_is_the_network(spec, settings):
    inputs = labelled(131, 1)
    model = build(spec, settings, 0).eval()
    features = convolution_features(model, inputs)
    assert torch.equal(features.labels, inputs.labels)
    np.testing.assert_allclose(predict(model.head, features), predict(model, inputs), atol=1e-6)


def test_training_the_head_leaves_the_convolutions(spec, settings):
    model = build(spec, settings, 0)
    before = weights(model)
    train, validation = (convolution_features(model, labelled(n, n)) for n in (30, 12))
    fit(model.head, train, validation, settings, 0, CPU)
    after = weights(model)
    assert all(torch.equal(before[name], after[name]) for name in before if not name.startswith("head."))
    assert not torch.equal(before["head.0.weight"], after["head.0.weight"])


def test_refuses_what_cannot_be_trained(spec, settings):
    some, none = labelled(12, 1), InMemory(torch.empty(0, 12, 64), torch.empty(0, dtype=torch.int64))
    model = build(spec, settings, 0)
    for train, validation in ((none, some), (some, none)):
        with pytest.raises(ValueError, match="records to learn from and to validate on"):
            fit(model, train, validation, settings, 0, CPU)
    bad = InMemory(torch.full_like(some.values, torch.nan), some.labels)
    with pytest.raises(ValueError, match="validation loss was never finite"):
        fit(model, some, bad, settings, 0, CPU)
