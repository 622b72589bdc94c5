"""What every generator keeps to that uses drafts: identities, seeds, files, resume, and no look at test records."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from generate.drafts.conftest import QUICK, Records

from ecgpipe.dataset import Dataset, save_dataset
from ecgpipe.files import read_json, sha256
from ecgpipe.generate import training
from ecgpipe.generate.base import load_generator
from ecgpipe.generate.drafted import DraftedGenerator, DraftedSignals, Residuals
from ecgpipe.generate.preconditioning import white_spectrum
from ecgpipe.generate.protocol import Signals
from ecgpipe.generate.registry import load_class
from ecgpipe.generate.run import train_generator
from ecgpipe.leads import limb_lead_residual, twelve_from_independent
from ecgpipe.sample.run import draw_samples

TRAINING = {"steps": 6, "batch": 6, "warmup": 2, "validate_every": 3, "checkpoint_seconds": 0.0}
PRIOR = {**TRAINING, "width": 16, "layers": 1, "heads": 2}
VQ = {"hidden": 8, "res_blocks": 1, "code_dim": 4, "lf_codes": 8, "hf_codes": 6, "reconstruction_bound": 5.0}
DRAFTED = {"draft": "beats", "draft_models": QUICK}
TINY: dict[str, dict[str, Any]] = {
    "diffwave": {**DRAFTED, "channels": 8, "layers": 2, "cycle": 2, **TRAINING},
    "time_diffusion": {**DRAFTED, "widths": (32, 32), "embedding": 16, **TRAINING},
    "time_vqvae": {**DRAFTED, **VQ, "lost_noise": True, "stage1": TRAINING, "lf_prior": PRIOR, "hf_prior": PRIOR},
}
OWN_STAGES = {"diffwave": ["train"], "time_diffusion": ["train"], "time_vqvae": ["stage1", "lf_prior", "hf_prior"]}
LABELS, SEEDS = np.array([0, 1, 2, 3, 4, 5, 6, 0]), np.arange(8) + 100


def untrained(name: str, data: Dataset, **changes: Any) -> DraftedGenerator:
    cls = load_class(name, None)
    out = cls(cls.Settings.model_validate({**TINY[name], **changes}), data.spec)
    assert isinstance(out, DraftedGenerator)
    return out


def fitted(name: str, data: Dataset, state: Path, **changes: Any) -> DraftedGenerator:
    out = untrained(name, data, **changes)
    train, validation = (Signals.of(data, split) for split in ("train", "validation"))
    out.history = out.fit(train, validation, seed=1, state_dir=state, device="cpu", progress=False)  # type: ignore[attr-defined]
    return out


def draw(generator: Any, places: slice = slice(None), **settings: Any) -> np.ndarray:
    quick = {"evaluations": 3, "lf_rounds": 3, "hf_rounds": 2, "guidance": 2.0, **settings}
    known = {k: v for k, v in quick.items() if k in generator.SampleSettings.model_fields}
    chosen = generator.SampleSettings.model_validate(known)
    out: np.ndarray = generator.sample(LABELS[places], settings=chosen, seeds=SEEDS[places], device="cpu")
    return out


@pytest.fixture(scope="module", params=TINY)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def model(name: str, records: Records, tmp_path_factory: pytest.TempPathFactory) -> DraftedGenerator:
    return fitted(name, records[0], tmp_path_factory.mktemp("state"))


def test_samples_hold_their_drafts_and_exact_limb_leads(model: DraftedGenerator) -> None:
    signals = draw(model)
    assert signals.shape == (8, 12, 1000)
    assert signals.dtype == np.float32
    assert limb_lead_residual(signals).max() <= 2**-22 * np.abs(signals[:, :6]).max()
    assert model.draft is not None
    draft = twelve_from_independent(model.draft.drafts(model.draft.draw(LABELS, SEEDS)).numpy())
    for own, drafted in zip(signals, draft, strict=True):
        assert np.corrcoef(own.ravel(), drafted.ravel())[0, 1] > 0.3


@pytest.mark.parametrize("guidance", [1.0, 2.0])
def test_what_is_drawn_depends_on_class_and_seed_not_on_company(model: DraftedGenerator, guidance: float) -> None:
    whole = draw(model, guidance=guidance)
    parts = np.concatenate([draw(model, slice(a, b), guidance=guidance) for a, b in ((0, 1), (1, 5), (5, 8))])
    np.testing.assert_allclose(parts, whole, atol=1e-5)
    assert np.abs(whole[0] - whole[7]).max() > 1e-3  # one class, two seeds


def test_a_loaded_model_draws_the_same_and_says_what_it_used(
    name: str, model: DraftedGenerator, tmp_path: Path
) -> None:
    model.save(tmp_path / "model")
    facts = read_json(tmp_path / "model" / "model.json")
    assert facts["draft"] == "beats"
    assert facts["records_without_draft"] == {}
    loaded = load_generator(name, tmp_path / "model", model.spec)
    assert np.array_equal(draw(loaded), draw(model))
    loaded.save(tmp_path / "again")
    for file in ("model.safetensors", "model.json"):
        assert sha256(tmp_path / "model" / file) == sha256(tmp_path / "again" / file)


def test_drafts_are_stages_of_the_history(name: str, model: DraftedGenerator) -> None:
    stages = list(dict.fromkeys(model.history["stage"]))  # type: ignore[attr-defined]
    assert stages[:2] == ["beats", "mean_beat"]
    assert stages[2:] == OWN_STAGES[name]


def test_tokens_get_the_noise_that_they_lose(
    name: str, model: DraftedGenerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name != "time_vqvae":
        pytest.skip("it is about tokens")
    drawn = draw(model)
    monkeypatch.setattr(model, "settings", model.settings.model_copy(update={"lost_noise": False}))
    clean = draw(model)
    assert model.draft is not None
    levels = model.draft.split(model.draft.draw(LABELS, SEEDS)).levels
    noise = torch.from_numpy((drawn - clean)[:, [0, 1, 6, 7, 8, 9, 10, 11]])
    evened = model.draft.levels.evened(noise, levels) / model.scale
    wanted = model.module.lost_variance[torch.from_numpy(LABELS)][..., :-1].mean(dim=(1, 2)).sqrt()  # type: ignore[index]
    torch.testing.assert_close(evened.square().mean(dim=(1, 2)).sqrt(), wanted, rtol=0.25, atol=0)
    assert float((noise[0] - noise[7]).abs().max()) > 0.01  # one class, two seeds


def test_classes_that_are_drawn_without_drafts_keep_their_spectrum(
    name: str, model: DraftedGenerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert model.draft is not None
    spectrum = white_spectrum(8, 1000, 7)
    x, labels = torch.randn(21, 8, 1000), torch.arange(21) % 7
    x[..., ::80] *= 30
    monkeypatch.setattr(model.draft, "planned", torch.tensor([1.0, 1, 1, 0, 1, 1, 1]))
    got = model.draft.between_beats(spectrum, [(x, labels)], 0.0).variance
    torch.testing.assert_close(got[3], spectrum.variance[3])
    assert float(got[2, :, 500:].mean()) < 0.7


def test_the_error_of_a_reconstruction_is_in_millivolts(name: str, model: DraftedGenerator, records: Records) -> None:
    assert model.draft is not None
    train = Signals.of(records[0], "train")
    left = Residuals(train, model.draft.states(train, model.draft.analyse(train)), model.draft)
    rows = np.array([2, 30])
    x = left.batch(rows)[0].numpy()
    whole = train.batch(rows)[0].numpy() - twelve_from_independent(model.draft.drafts(left.states[rows]).numpy())
    np.testing.assert_allclose(left.error(x, rows), whole, atol=1e-5)


class Killed(Exception):
    """Stands for a job that is ended from outside."""


def test_a_killed_training_goes_on_to_the_same_bits(
    name: str, model: DraftedGenerator, records: Records, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take, seen, killed = training._Trainer.step, [], None

    def step(run: training._Trainer) -> None:
        seen.append(run.stage)
        if run.stage == killed and run.state.progress.step == 4:
            raise Killed
        take(run)

    monkeypatch.setattr(training._Trainer, "step", step)
    unfinished = ["beats", "mean_beat"]
    for killed in OWN_STAGES[name]:
        with pytest.raises(Killed):
            fitted(name, records[0], tmp_path)
        assert list(dict.fromkeys(seen)) == [*unfinished, killed], "finished stages are not trained again"
        unfinished = [killed]
        seen.clear()
    killed = None
    again = fitted(name, records[0], tmp_path)
    assert seen == OWN_STAGES[name][-1:] * 2, "finished stages are not trained again"
    for key, value in again.tensors().items():
        assert torch.equal(value, model.tensors()[key]), key


def test_poisoned_test_records_change_nothing(name: str, records: Records, tmp_path: Path) -> None:
    dataset, made = records[0], []
    table = dataset.records.copy()
    # Some of the training records become test records.
    test = np.flatnonzero((table["split"] == "train").to_numpy())[:14]
    table.loc[test, "split"] = "test"
    for poison in (False, True):
        folder, signals = tmp_path / f"data{poison}", np.array(dataset.signals)
        if poison:
            signals[test] = np.nan
        save_dataset(folder, signals, table, dataset.spec)
        out = tmp_path / f"out{poison}"
        common: dict[str, Any] = {"device": "cpu", "threads": 1, "state_dir": tmp_path / "state"}
        plain = {k: list(v) if isinstance(v, tuple) else v for k, v in TINY[name].items()}
        train_generator(name, None, plain, folder, out / "model", seed=3, **common)
        sample = {"lf_rounds": 3, "hf_rounds": 2} if name == "time_vqvae" else {"evaluations": 3}
        drawn: dict[str, Any] = {"sample": sample, "number": 14, "labels": "uniform", "chunk": 7, "seed": 5}
        draw_samples(out / "model", folder, out / "samples", name=name, **drawn, **common)
        made.append([(out / p).read_bytes() for p in ("model/model.safetensors", "samples/signals.npy")])
    assert made[0] == made[1]


def test_records_without_beats_have_no_draft_and_are_told(
    name: str, records: Records, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    dataset = records[0]
    noise = np.random.default_rng(0).standard_normal((8, *dataset.signals.shape[1:])).astype(np.float32)
    signals = np.array(dataset.signals)
    lost = np.flatnonzero((dataset.records["split"] == "train").to_numpy() & (dataset.labels == 4))
    signals[lost] = 0.3 * twelve_from_independent(noise[0, :8])
    with caplog.at_level(logging.WARNING):
        generator = fitted(name, Dataset(signals, dataset.records, dataset.spec), tmp_path)
    assert f"no beats found in {len(lost)} of 84 training records" in caplog.text
    assert sum(generator.facts["records_without_draft"].values()) == len(lost)
    assert generator.draft is not None
    plans = generator.draft.split(generator.draft.draw(LABELS, SEEDS)).plans
    assert plans.known.tolist() == [1, 1, 1, 1, 0, 1, 1, 1]
    assert not generator.draft.drafts(generator.draft.draw(LABELS, SEEDS))[4].any()
    assert np.isfinite(draw(generator)).all()


def test_twelve_leads_are_refused(name: str, records: Records) -> None:
    with pytest.raises(ValueError, match="`draft: beats` is for `leads: independent8`"):
        untrained(name, records[0], leads="all12")


def test_presets_small_have_drafts_the_others_are_as_published(name: str) -> None:
    settings = load_class(name, None).Settings
    drafts = {p: settings.model_validate({"preset": p}).draft for p in ("small", "full", "paper")}  # type: ignore[attr-defined]
    assert drafts == {"small": "beats", "full": "none", "paper": "none"}


def test_without_drafts_the_rhythm_is_learned_at_high_noise() -> None:
    settings = load_class("diffwave", None).Settings
    means = [settings.model_validate({"draft": d}).noise_log_mean for d in ("beats", "none")]  # type: ignore[attr-defined]
    assert means == [-0.9, 1.7]
    assert [settings.model_validate({"draft": d}).class_spectrum for d in ("beats", "none")] == [60.0, None]  # type: ignore[attr-defined]
    assert settings.model_validate({"draft": "none", "noise_log_mean": 1.0}).noise_log_mean == 1.0  # type: ignore[attr-defined]


def test_residuals_and_drafts_make_the_records(records: Records, model: DraftedGenerator) -> None:
    train, draft = Signals.of(records[0], "train"), model.draft
    assert draft is not None
    states = draft.states(train, draft.analyse(train))
    rows = np.array([3, 11, 40])
    left, labels = Residuals(train, states, draft).batch(rows)
    both, _ = DraftedSignals(train, states).batch(rows)
    signals, own = DraftedSignals.split(both, 1000)
    assert torch.equal(own, states[rows])
    assert torch.equal(signals, train.batch(rows)[0])
    assert np.array_equal(labels, train.labels[rows])
    whole = draft.whole(left[:, [0, 1, 6, 7, 8, 9, 10, 11]], states[rows]).numpy()
    torch.testing.assert_close(torch.from_numpy(twelve_from_independent(whole)), signals, atol=1e-5, rtol=0)
