"""What every generator of this package keeps to, whatever it is made of: drawing, seeds, files, and bad input."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sine_records import LENGTH  # type: ignore[import-not-found]
from tiny_vqvae import NETWORKS

from ecgpipe.dataset import Dataset, SignalSpec
from ecgpipe.files import read_json, sha256, write_json
from ecgpipe.generate.base import FORMAT, ModelFileError, load_generator
from ecgpipe.generate.protocol import Generator, Signals
from ecgpipe.generate.registry import load_class
from ecgpipe.leads import limb_lead_residual

TRAINING = {"steps": 4, "batch": 6, "warmup": 2, "validate_every": 4}
PRIOR = {**TRAINING, "width": 16, "layers": 1, "heads": 2}
TINY: dict[str, dict[str, Any]] = {
    "class_mean_pca": {},
    "diffwave": {"channels": 8, "layers": 2, "cycle": 2, "patch": 4, "draft": "none", **TRAINING},
    "time_diffusion": {"patch": 4, "widths": (32, 32), "embedding": 16, "draft": "none", **TRAINING},
    "time_vqvae": {**NETWORKS, "stage1": TRAINING, "lf_prior": PRIOR, "hf_prior": PRIOR},
}
LABELS = np.array([0, 1, 2, 0, 1, 2, 2])
SEEDS = np.arange(7) + 100


def untrained(name: str, spec: SignalSpec, **changes: Any) -> Generator:
    cls = load_class(name, None)
    return cls(cls.Settings.model_validate({**TINY[name], **changes}), spec)


def fitted(name: str, data: Dataset, state_dir: Path, rows: np.ndarray | None = None, **changes: Any) -> Generator:
    out = untrained(name, data.spec, **changes)
    train = Signals(data, data.indices("train") if rows is None else rows)
    out.fit(train, Signals.of(data, "validation"), seed=1, state_dir=state_dir, device="cpu", progress=False)
    return out


def draw(generator: Generator, places: slice = slice(None), **settings: Any) -> np.ndarray:
    quick = {"evaluations": 3, "lf_rounds": 3, "hf_rounds": 2}
    known = {k: v for k, v in {**quick, **settings}.items() if k in generator.SampleSettings.model_fields}
    chosen = generator.SampleSettings.model_validate(known)
    return generator.sample(LABELS[places], settings=chosen, seeds=SEEDS[places], device="cpu")


@pytest.fixture(scope="module", params=TINY)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def model(name: str, sines: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Generator:
    return fitted(name, sines, tmp_path_factory.mktemp("state"))


@pytest.fixture
def saved(model: Generator, tmp_path: Path) -> Path:
    model.save(tmp_path / "model")
    return tmp_path / "model"


def test_samples_have_the_form_of_records_and_exact_limb_leads(model: Generator) -> None:
    signals = draw(model)
    assert signals.shape == (7, 12, LENGTH)
    assert signals.dtype == np.float32
    assert limb_lead_residual(signals).max() <= 2**-23 * np.abs(signals[:, :6]).max()


@pytest.mark.parametrize("guidance", [1.0, 2.0])
def test_what_is_drawn_depends_on_class_and_seed_not_on_company(model: Generator, guidance: float) -> None:
    whole = draw(model, guidance=guidance)
    parts = np.concatenate([draw(model, slice(a, b), guidance=guidance) for a, b in ((0, 1), (1, 4), (4, 7))])
    np.testing.assert_allclose(parts, whole, atol=1e-5)
    assert np.abs(whole[2] - whole[5]).max() > 1e-4  # one class, two seeds


def test_a_loaded_model_draws_the_same(name: str, model: Generator, saved: Path) -> None:
    spec: SignalSpec = model.spec  # type: ignore[attr-defined]
    loaded = load_generator(name, saved, spec)
    assert type(loaded) is type(model)
    assert loaded.settings == model.settings  # type: ignore[attr-defined]
    assert np.array_equal(draw(loaded), draw(model))
    loaded.save(saved.parent / "again")
    for file in ("model.safetensors", "model.json"):
        assert sha256(saved / file) == sha256(saved.parent / "again" / file)


def test_an_untrained_generator_cannot_sample_nor_save(name: str, sines: Dataset, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not trained"):
        draw(untrained(name, sines.spec))
    with pytest.raises(ValueError, match="not trained"):
        untrained(name, sines.spec).save(tmp_path)


def test_a_class_without_training_records_cannot_be_drawn_the_rest_can(
    name: str, sines: Dataset, tmp_path: Path
) -> None:
    train = sines.indices("train")
    generator = fitted(name, sines, tmp_path / "state", train[sines.labels[train] != 1])
    generator.save(tmp_path / "model")
    for either in (generator, type(generator).load(tmp_path / "model")):
        with pytest.raises(ValueError, match="no training record of class FAST"):
            draw(either, slice(0, 2))
        assert np.isfinite(draw(either, slice(2, 4))).all()


def test_leads_in_another_order_are_refused(name: str, sines: Dataset) -> None:
    with pytest.raises(ValueError, match="in this order"):
        untrained(name, SignalSpec(100.0, LENGTH, sines.spec.classes, tuple(reversed(sines.spec.leads))))


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"classes": ("SLOW", "FAST", "OTHER")}, "classes"),
        ({"leads": ("I", "II")}, "leads"),
        ({"rate": 500.0}, "rate"),
        ({"length": LENGTH + 1}, "length"),
    ],
)
def test_a_model_of_other_signals_is_refused(
    name: str, saved: Path, sines: Dataset, changes: dict[str, Any], key: str
) -> None:
    spec = SignalSpec.from_json({**sines.spec.to_json(), **changes})
    with pytest.raises(ModelFileError, match=f"a model of signals whose {key} is .*train a generator on this dataset"):
        load_generator(name, saved, spec)


def test_a_truncated_weights_file_is_refused(model: Generator, saved: Path) -> None:
    weights = saved / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-50])
    with pytest.raises(ModelFileError, match=r"model\.safetensors is not the file that .*SHA-256 differs"):
        type(model).load(saved)
    write_json(saved / "model.json", {**read_json(saved / "model.json"), "sha256": sha256(weights)})
    with pytest.raises(ModelFileError, match=r"model\.safetensors cannot be read"):
        type(model).load(saved)


def test_a_model_of_another_kind_is_refused(model: Generator, saved: Path) -> None:
    facts = read_json(saved / "model.json")
    for change, message in (
        ({"format": FORMAT + 1}, f"is of format {FORMAT + 1}, this version of ecgpipe reads format {FORMAT}"),
        ({"class": "my.module:Other"}, f"is a model of my.module:Other, not of .*:{type(model).__name__}"),
        (
            {"settings": {**facts["settings"], "colour": "red"}},
            rf"whose {type(model).__name__} has other settings \(colour\)",
        ),
    ):
        write_json(saved / "model.json", {**facts, **change})
        with pytest.raises(ModelFileError, match=message):
            type(model).load(saved)


def test_the_model_file_says_what_it_is(name: str, model: Generator, saved: Path) -> None:
    facts = read_json(saved / "model.json")
    assert facts["class"] == f"ecgpipe.generate.{name}:{type(model).__name__}"
    assert facts["signals"]["classes"] == ["SLOW", "FAST", "FLAT"]
    assert facts["signals"]["leads"][:3] == ["I", "II", "III"]
    assert facts["settings"] == model.settings.model_dump(mode="json")  # type: ignore[attr-defined]
    assert facts["training_records"] == {"SLOW": 12, "FAST": 12, "FLAT": 12}
    assert facts["versions"]["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert facts["sha256"] == sha256(saved / "model.safetensors")


def test_a_missing_file_is_told(name: str, model: Generator, saved: Path) -> None:
    (saved / "model.safetensors").unlink()
    with pytest.raises(ModelFileError, match=r"model\.safetensors is missing.*train it first"):
        type(model).load(saved)
    (saved / "model.json").unlink()
    with pytest.raises(ModelFileError, match=r"model\.json is missing.*train it first"):
        load_generator(name, saved, model.spec)  # type: ignore[attr-defined]
