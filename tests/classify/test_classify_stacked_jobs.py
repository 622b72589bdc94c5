"""Jobs that train repetitions together: the results of one after another to rounding, and they go on after a kill."""

from __future__ import annotations

import logging
import math
import weakref
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sine_classes import CLASSES, signals_of

from ecgpipe.arrays import SignalReader
from ecgpipe.classify import inputs, train_and_test, training
from ecgpipe.classify import stacked as stacked_module
from ecgpipe.classify.experiments import STACK, Experiment
from ecgpipe.classify.inputs import Selection, Standardizer, shared, standardized
from ecgpipe.classify.pretrained import Pretrained
from ecgpipe.classify.run import run_augmentation, run_baselines, run_real, run_transfer
from ecgpipe.config import AnyClassifier, ClassifierSettings, OwnClassifierSettings, XResNetSettings

pytestmark = pytest.mark.usefixtures("double")

CPU = torch.device("cpu")
CLOSE = 1e-6
SEEDS = [4, 9, 2]


def run_all(folders: tuple[Path, Path], out: Path, settings: AnyClassifier, stacked: int) -> None:
    data, samples = folders

    def experiment(name: str) -> Experiment:
        return Experiment(data, out / name, settings, [0.5, 1.0], SEEDS, out / "state", stacked=stacked)

    run_real(experiment("real"))
    run_baselines(experiment("baselines"), ["oversampling", "mixup"])
    run_augmentation(experiment("augmentation"), [samples], ["TrSTeR", "TrRSTeR", "TrSTeS"])
    pretrained = out / "augmentation" / "pretrained.safetensors"
    run_transfer(experiment("transfer"), pretrained, methods=["frozen", "finetuned", "probe"])
    assert not (out / "state").exists()


@pytest.fixture(scope="module")
def one_by_one(
    double: None, folders: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory, settings: ClassifierSettings
) -> Path:
    out = tmp_path_factory.mktemp("one_by_one")
    run_all(folders, out, settings, 1)
    return out


def compare(out: Path, wanted: Path, name: str) -> None:
    rows, wanted_rows = (pd.read_parquet(folder / name / "training.parquet") for folder in (out, wanted))
    rounded = ["seconds", "validation_loss"]
    pd.testing.assert_frame_equal(rows.drop(columns=rounded), wanted_rows.drop(columns=rounded))
    np.testing.assert_allclose(rows["validation_loss"], wanted_rows["validation_loss"], rtol=CLOSE)
    assert (rows["seconds"] > 0).all()
    found, expected = (pd.read_parquet(folder / name / "predictions.parquet") for folder in (out, wanted))
    probabilities = [f"p_{label}" for label in CLASSES]
    pd.testing.assert_frame_equal(found.drop(columns=probabilities), expected.drop(columns=probabilities))
    np.testing.assert_allclose(found[probabilities], expected[probabilities], atol=CLOSE)


def test_results_are_those_of_one_after_another(folders, one_by_one, tmp_path, settings, caplog) -> None:
    with caplog.at_level(logging.INFO):
        run_all(folders, tmp_path, settings, 2)
    for name in ("real", "baselines", "augmentation", "transfer"):
        compare(tmp_path, one_by_one, name)
    cells = 2 + 2 * 2 + (1 + 2) + 3 * 2
    assert caplog.text.count("seed 2: trained together with seeds 4\n") == cells
    assert caplog.text.count("trained together") == cells  # seed 9 is alone
    ends = [record.message for record in caplog.records if "validation loss" in record.message]
    assert len(ends) == len(SEEDS) * cells
    for name in ("real", "augmentation"):
        found, wanted = (Pretrained.load(folder / name / "pretrained.safetensors") for folder in (tmp_path, one_by_one))
        for seed in SEEDS:
            for key, value in wanted.networks[seed].items():
                torch.testing.assert_close(found.networks[seed][key], value, rtol=CLOSE, atol=CLOSE)


def test_goes_on_after_a_kill(folders, one_by_one, tmp_path, settings, monkeypatch, caplog) -> None:
    fit_together, calls = train_and_test.fit_together, []

    def killed_in_the_second(models, *arguments):
        calls.append(len(models))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return fit_together(models, *arguments)

    monkeypatch.setattr(train_and_test, "fit_together", killed_in_the_second)
    state = tmp_path / "state"
    experiment = Experiment(folders[0], tmp_path / "real", settings, [0.5, 1.0], SEEDS, state, stacked=8)
    with pytest.raises(KeyboardInterrupt):
        run_real(experiment)
    kept = sorted(state.glob("*.safetensors"))
    assert len(kept) == len(SEEDS)
    kept[0].unlink()
    with caplog.at_level(logging.INFO):
        run_real(experiment)
    assert calls == [3, 3, 3]  # what was lost of the first stack is trained alone
    assert caplog.text.count("done before, kept") == 2
    compare(tmp_path, one_by_one, "real")


def test_records_that_do_not_fit_are_not_shared(folders, one_by_one, tmp_path, settings, monkeypatch, caplog) -> None:
    monkeypatch.setitem(inputs.IN_MEMORY_BYTES, "cpu", 1000)
    with caplog.at_level(logging.INFO):
        run_real(Experiment(folders[0], tmp_path / "real", settings, [0.5, 1.0], SEEDS, tmp_path / "s", stacked=8))
    assert caplog.text.count("seed 2: trained alone, since its records and those of seeds 4, 9 do not fit") == 2
    path = Path("real", "predictions.parquet")
    assert (tmp_path / path).read_bytes() == (one_by_one / path).read_bytes()


def test_what_was_loaded_in_vain_is_freed(folders, one_by_one, tmp_path, settings, monkeypatch) -> None:
    loaded, fit, trained = [], train_and_test.fit, []

    def shared_trains_alone(*arguments):
        if len(loaded) % 2:
            loaded.append(None)
            return None
        found = shared(*arguments)
        loaded.append(weakref.ref(found[0].signals))
        return found

    def fit_with_memory_free(*arguments):
        assert loaded[-2]() is None
        trained.append(arguments)
        return fit(*arguments)

    monkeypatch.setattr(train_and_test, "shared", shared_trains_alone)
    monkeypatch.setattr(train_and_test, "fit", fit_with_memory_free)
    run_real(Experiment(folders[0], tmp_path / "real", settings, [0.5, 1.0], SEEDS, tmp_path / "s", stacked=8))
    assert (len(loaded), len(trained)) == (4, 2 * len(SEEDS))
    path = Path("real", "predictions.parquet")
    assert (tmp_path / path).read_bytes() == (one_by_one / path).read_bytes()


def too_small(where: str, monkeypatch: pytest.MonkeyPatch) -> list[weakref.ref[torch.Tensor]]:
    """Let the memory run out in a function of a stack; return what is then allocated."""
    allocated = []

    def full(*arguments):
        tensor = torch.zeros(3)
        allocated.append(weakref.ref(tensor))
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(train_and_test, where, full)
    return allocated


@pytest.mark.parametrize("where", ["shared", "fit_together"])
def test_a_stack_that_is_too_large_for_the_gpu_is_told(where, folders, tmp_path, settings, monkeypatch) -> None:
    too_small(where, monkeypatch)
    with pytest.raises(ValueError, match=r"TrRTeR none fraction 1\.0 seed 2: 3 networks .* lower `compute\.stacked`"):
        run_real(Experiment(folders[0], tmp_path / "real", settings, [1.0], SEEDS, tmp_path / "state", stacked=8))


@pytest.mark.parametrize("where", ["shared", "fit_together"])
def test_a_stack_that_nobody_asked_for_is_not_needed(
    where, folders, one_by_one, tmp_path, settings, monkeypatch, caplog
) -> None:
    monkeypatch.setattr(Experiment, "stack_size", STACK)  # as on a GPU
    allocated, fit = too_small(where, monkeypatch), train_and_test.fit

    def fit_with_memory_free(*arguments):
        assert allocated[-1]() is None
        return fit(*arguments)

    monkeypatch.setattr(train_and_test, "fit", fit_with_memory_free)
    with caplog.at_level(logging.INFO):
        run_real(Experiment(folders[0], tmp_path / "real", settings, [0.5, 1.0], SEEDS, tmp_path / "s"))
    assert caplog.text.count("seed 2: trained alone, since its network and those of seeds 4, 9 do not fit") == 2
    path = Path("real", "predictions.parquet")
    assert (tmp_path / path).read_bytes() == (one_by_one / path).read_bytes()


@pytest.mark.parametrize("stacked", [1, 3])
def test_a_network_that_cannot_learn_is_named_and_the_others_are_kept(
    stacked, folders, tmp_path, settings, monkeypatch
) -> None:
    class Spoilt(training.Course):
        def __init__(self, train, validation, settings, seed, baseline) -> None:
            super().__init__(train, validation, settings, seed, baseline)
            if seed == 4:
                update = self.stopping.update
                self.stopping.update = lambda loss, weights: update(math.nan, weights)

    for module in (stacked_module, training):
        monkeypatch.setattr(module, "Course", Spoilt)
    state = tmp_path / "state"
    with pytest.raises(ValueError, match=r"TrRTeR none fraction 1\.0 seed 4: the validation loss was never finite"):
        run_real(Experiment(folders[0], tmp_path / "real", settings, [1.0], SEEDS, state, stacked=stacked))
    kept = {path.name.rpartition("-")[2].partition(".")[0] for path in state.glob("*.safetensors")}
    assert kept == ({"2"} if stacked == 1 else {"2", "9"})


def test_how_many_are_trained_together(settings, tmp_path) -> None:
    xresnet = XResNetSettings(kind="xresnet1d")
    own = OwnClassifierSettings(class_="log_spectrum:LogSpectrum")

    def size(classifier: AnyClassifier, device: str, **given) -> int:
        return Experiment(tmp_path, tmp_path, classifier, [1.0], [0], tmp_path, device, **given).stack_size

    assert (size(settings, "cuda"), size(settings, "cpu")) == (STACK, 1)
    assert (size(xresnet, "cuda"), size(own, "cuda")) == (1, 1)
    assert [size(given, "cpu", stacked=7) for given in (settings, xresnet, own)] == [7, 7, 1]


def test_shared_records_are_those_of_each_network_and_there_once(monkeypatch) -> None:
    rng = np.random.default_rng(0)
    first, second = (Selection(SignalReader.of(signals_of(np.arange(n) % 3, n)), np.arange(n) % 3) for n in (300, 20))
    parts = [first.subset(rng.permutation(300)[:290]) + second.subset(rng.permutation(20)[:7]) for _ in range(4)]
    standardizers = [Standardizer.fit(part) for part in parts]
    found = shared(parts, standardizers, CPU)
    for part, standardizer, own in zip(parts, standardizers, found, strict=True):
        positions = rng.integers(len(part), size=500)
        assert torch.equal(own.labels, torch.from_numpy(part.labels))
        assert torch.equal(own.batch(positions), standardized(part, standardizer, CPU).batch(positions))
    kept = found[0].signals
    assert len(kept) <= 320
    assert all(own.signals is kept for own in found)
    size = kept.numel() * kept.element_size()
    monkeypatch.setitem(inputs.IN_MEMORY_BYTES, "cpu", size)
    assert shared(parts, standardizers, CPU) is not None
    monkeypatch.setitem(inputs.IN_MEMORY_BYTES, "cpu", size - 1)
    assert shared(parts, standardizers, CPU) is None
