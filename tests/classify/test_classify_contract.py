"""What every classifier keeps to, those of this package and a user's own: its form, its seed, its files, bad input."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
from sine_classes import signals_of

from ecgpipe.classify import train_and_test
from ecgpipe.classify.experiments import Experiment
from ecgpipe.classify.inputs import InMemory
from ecgpipe.classify.network import Network
from ecgpipe.classify.pretrained import Pretrained
from ecgpipe.classify.registry import ClassifierError, check_network, load_class, own_network
from ecgpipe.classify.run import run_augmentation, run_real, run_transfer
from ecgpipe.classify.training import build, predict
from ecgpipe.config import (
    AnyClassifier,
    ClassifierSettings,
    OwnClassifierSettings,
    WangSettings,
    XResNetSettings,
)
from ecgpipe.dataset import SignalSpec

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "own_classifier"
TRAINING = {"learning_rate": 0.01, "batch": 8, "steps": 20}
CLASSIFIERS: dict[str, AnyClassifier] = {
    "cnn": ClassifierSettings(blocks=2, channels=3, kernel=3, width=8, dense_layers=1, **TRAINING),
    "resnet1d_wang": WangSettings(kind="resnet1d_wang", channels=4, **TRAINING),
    "xresnet1d": XResNetSettings(kind="xresnet1d", depth=18, channels=4, **TRAINING),
    "own": OwnClassifierSettings(class_="log_spectrum:LogSpectrum", network={"width": 8}, **TRAINING),
}


@pytest.fixture(autouse=True)
def _example_on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(EXAMPLE)


@pytest.fixture(params=CLASSIFIERS)
def settings(request: pytest.FixtureRequest) -> AnyClassifier:
    return CLASSIFIERS[request.param]


def test_outputs_have_the_form_of_the_contract(spec: SignalSpec, settings: AnyClassifier) -> None:
    network = build(spec, settings, 0)
    assert isinstance(network, Network)
    check_network(network, spec, "classifiers.mine")


def test_the_seed_alone_decides_the_first_weights(spec: SignalSpec, settings: AnyClassifier) -> None:
    torch.manual_seed(3)
    first = build(spec, settings, 1).state_dict()
    torch.manual_seed(4)
    again, other = build(spec, settings, 1).state_dict(), build(spec, settings, 2).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_what_is_predicted_does_not_depend_on_other_records(spec: SignalSpec, settings: AnyClassifier) -> None:
    network, labels = build(spec, settings, 0), torch.arange(8) % 3
    signals = torch.from_numpy(signals_of(labels.numpy(), 1))
    whole = predict(network, InMemory(signals, labels))
    torch.testing.assert_close(
        torch.from_numpy(predict(network, InMemory(signals[2:3], labels[2:3]))), torch.from_numpy(whole[2:3])
    )


def test_it_goes_through_every_experiment_and_its_file(make_dataset, tmp_path, spec, settings) -> None:
    data, samples = make_dataset(tmp_path / "hospital", n=9), make_dataset(tmp_path / "g", seed=5, n=8)
    state = tmp_path / "state"
    run_real(Experiment(data, tmp_path / "real", settings, [1.0], [0], state))
    run_augmentation(Experiment(data, tmp_path, settings, [1.0], [0], state), [samples], ["TrSTeR", "TrRSTeR"])
    methods, pretrained = ["frozen", "finetuned", "probe"], tmp_path / "pretrained.safetensors"
    run_transfer(Experiment(data, tmp_path / "t", settings, [0.5], [0], state), pretrained, methods=methods)
    rows = pd.read_parquet(tmp_path / "t" / "training.parquet").set_index("setting")
    assert rows.loc["frozen", "parameters"] < rows.loc["finetuned", "parameters"]
    kept = Pretrained.load(pretrained)
    assert kept.settings == settings
    signals, labels = torch.from_numpy(signals_of(torch.arange(3).numpy(), 1)), torch.arange(3)
    twice = [predict(kept.network(0), InMemory(signals, labels)) for _ in range(2)]
    assert (twice[0] == twice[1]).all()


def test_a_network_of_another_class_or_settings_is_not_taken_for_it(make_dataset, tmp_path) -> None:
    data, settings = make_dataset(tmp_path / "hospital", n=9), CLASSIFIERS["own"]
    run_real(Experiment(data, tmp_path, settings, [1.0], [0], tmp_path / "state"))
    pretrained = tmp_path / "pretrained.safetensors"
    for other, said in (
        (settings.model_copy(update={"network": {"width": 9}}), "was trained with network"),
        (settings.model_copy(update={"class_": "log_spectrum:Other"}), "was trained with class"),
        (CLASSIFIERS["cnn"], "was trained with kind own, the settings say cnn"),
    ):
        with pytest.raises(ValueError, match=said):
            run_transfer(Experiment(data, tmp_path / "t", other, [0.5], [0], tmp_path / "state"), pretrained)


def test_a_class_of_your_own_is_not_stacked(make_dataset, tmp_path, monkeypatch, caplog) -> None:
    monkeypatch.setattr(train_and_test, "fit_together", None)
    data, state = make_dataset(tmp_path / "hospital", n=9), tmp_path / "state"
    with caplog.at_level(logging.INFO):
        run_real(Experiment(data, tmp_path / "real", CLASSIFIERS["own"], [1.0], [4, 9], state, stacked=8))
    assert caplog.text.count("networks of a class of your own are trained one after another") == 1
    assert len(pd.read_parquet(tmp_path / "real" / "training.parquet")) == 2


OWN = """
import torch
from torch import nn
from ecgpipe.plugins import Settings as Base


class Sound(nn.Module):
    class Settings(Base):
        width: int = 4

    def __init__(self, settings, spec):
        super().__init__()
        self.dense, self.head = nn.Linear(12, settings.width), nn.Linear(settings.width, len(spec.classes))

    def features(self, signals):
        return self.dense(signals.mean(dim=2))

    def forward(self, signals):
        return self.head(self.features(signals))


class Headless(Sound):
    def __init__(self, settings, spec):
        super().__init__(settings, spec)
        del self.head


class Wide(Sound):
    def features(self, signals):
        return signals


class Few(Sound):
    def __init__(self, settings, spec):
        super().__init__(settings, spec)
        self.head = nn.Linear(settings.width, 1)


class Another(Sound):
    def forward(self, signals):
        return super().forward(signals) + 1


class Fixed(Sound):
    def __init__(self, settings, spec):
        super().__init__(settings, spec)
        self.requires_grad_(False)


class NoSettings(nn.Module):
    def features(self, signals):
        return signals


class NoModule:
    pass


number = 3
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "users_networks.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "users_networks", raising=False)
    return "users_networks"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Nothing", "has no Nothing"),
        ("number", "users_networks:number is no class"),
        ("NoModule", r"no torch\.nn\.Module"),
        ("NoSettings", r"lacks Settings \(a pydantic model\)"),
        ("Headless", "has no `head`"),
        ("Wide", r"features gives \(3, 12, 64\) for \(3, 12, 64\); it must give \(n, f\)"),
        ("Few", r"gives \(3, 1\) for \(3, 12, 64\), not \(3, 3\)"),
        ("Another", "other logits than its `head`"),
        ("Fixed", "no parameters to train"),
    ],
)
def test_what_breaks_the_contract_is_told_with_the_key(own: str, spec: SignalSpec, name: str, said: str) -> None:
    with pytest.raises(ClassifierError, match=said) as told:
        check_network(own_network(f"{own}:{name}", {}, spec, "classifiers.mine"), spec, "classifiers.mine")
    assert "classifiers.mine" in str(told.value)


def test_a_sound_class_needs_no_base_class_of_ours(own: str, spec: SignalSpec) -> None:
    check_network(own_network(f"{own}:Sound", {"width": 5}, spec), spec, "classifiers.mine")


def test_settings_that_it_does_not_take_and_missing_modules_are_told(own: str, spec: SignalSpec) -> None:
    with pytest.raises(ClassifierError, match=r"`classifiers\.mine\.network\.depth`: no such key .*there are width"):
        own_network(f"{own}:Sound", {"depth": 3}, spec, "classifiers.mine")
    with pytest.raises(ClassifierError, match=r"there is no module nowhere\.at_all; is its folder .*PYTHONPATH"):
        load_class("nowhere.at_all:Net", "classifiers.mine")
