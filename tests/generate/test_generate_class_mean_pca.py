"""The control: means and covariances as they should be, shrinkage, save and load, bad input."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ecgpipe.dataset import Dataset
from ecgpipe.generate.base import ModelFileError
from ecgpipe.generate.class_mean_pca import ClassMeanPCA
from ecgpipe.generate.protocol import Signals
from ecgpipe.leads import independent_from_twelve, limb_lead_residual

DRAW = ClassMeanPCA.SampleSettings()


def fitted(train: Signals, validation: Signals, tmp_path: Path, **settings: object) -> ClassMeanPCA:
    generator = ClassMeanPCA(ClassMeanPCA.Settings.model_validate(settings), train.spec)
    history = generator.fit(train, validation, seed=0, state_dir=tmp_path, device="cpu", progress=False)
    assert len(history) == 1
    return generator


@pytest.fixture(scope="module")
def pca(sines: Dataset, tmp_path_factory: pytest.TempPathFactory) -> ClassMeanPCA:
    return fitted(Signals.of(sines, "train"), Signals.of(sines, "validation"), tmp_path_factory.mktemp("state"))


def rows(dataset: Dataset, chosen: np.ndarray) -> Signals:
    return Signals(dataset, chosen)


def test_samples_have_the_class_mean_and_covariance_that_were_fitted(pca: ClassMeanPCA, sines: Dataset) -> None:
    number = 2000
    x = pca.sample(np.ones(number, dtype=np.int64), settings=DRAW, seeds=np.arange(number), device="cpu")
    flat = independent_from_twelve(x).reshape(number, -1).astype(np.float64)
    train = sines.indices("train")
    of_class = independent_from_twelve(np.array(sines.signals[train[sines.labels[train] == 1]]))
    assert np.allclose(pca.mean[1], of_class.mean(axis=0).ravel(), atol=1e-6)
    covariance = pca.components.T @ pca.factor[1] @ pca.factor[1].T @ pca.components
    assert np.abs(flat.mean(axis=0) - pca.mean[1]).max() < 5 * np.sqrt(covariance.max() / number)
    relative = np.linalg.norm(np.cov(flat.T) - covariance) / np.linalg.norm(covariance)
    assert relative < 0.12


def test_covariance_of_a_class_is_its_own_drawn_towards_that_of_all(sines: Dataset, tmp_path: Path) -> None:
    train, validation = Signals.of(sines, "train"), Signals.of(sines, "validation")
    prior = 5.0
    pca = fitted(train, validation, tmp_path, components=4, prior_records=prior)
    x, y = (v.numpy() for v in train.batch(np.arange(len(train))))
    flat = independent_from_twelve(x).reshape(len(x), -1).astype(np.float64)
    scores = [(flat[y == c] - flat[y == c].mean(axis=0)) @ pca.components.T for c in range(3)]
    pooled = sum(s.T @ s for s in scores) / (len(x) - 3)
    for c, s in enumerate(scores):
        expected = (s.T @ s + prior * pooled) / (len(s) - 1 + prior)
        assert np.allclose(pca.factor[c] @ pca.factor[c].T, expected, atol=1e-6 * np.trace(pooled))


def test_a_class_of_one_record_gets_the_covariance_of_all(sines: Dataset, tmp_path: Path) -> None:
    train = sines.indices("train")
    lonely = np.concatenate([train[sines.labels[train] != 2], train[sines.labels[train] == 2][:1]])
    pca = fitted(rows(sines, lonely), Signals.of(sines, "validation"), tmp_path, components=4)
    own = [f @ f.T for f in pca.factor]
    free = (11 * own[0] + 11 * own[1] + 32 * (own[0] + own[1] - 2 * own[2])) / 22
    assert np.allclose(own[2], free, atol=1e-6 * np.trace(own[2]))


def test_all12_models_all_leads(sines: Dataset, tmp_path: Path) -> None:
    pca = fitted(Signals.of(sines, "train"), Signals.of(sines, "validation"), tmp_path, leads="all12")
    x = pca.sample(np.arange(3), settings=DRAW, seeds=np.arange(3), device="cpu")
    assert pca.mean.shape == (3, 12 * 64)
    assert limb_lead_residual(x).max() < 1e-5  # linear relations of the training records survive a linear model


def test_more_components_miss_less(sines: Dataset, tmp_path: Path) -> None:
    train, validation = Signals.of(sines, "train"), Signals.of(sines, "validation")
    missed = []
    for number in (1, 4, 64):
        generator = ClassMeanPCA(ClassMeanPCA.Settings(components=number), sines.spec)
        history = generator.fit(train, validation, seed=0, state_dir=tmp_path, device="cpu", progress=False)
        missed.append(history["train_loss"].item())
    assert missed[0] > missed[1] > missed[2]
    assert len(generator.components) == 36 - 3


def test_bad_input_is_refused(sines: Dataset, tmp_path: Path, pca: ClassMeanPCA) -> None:
    train, validation = sines.indices("train"), Signals.of(sines, "validation")
    with pytest.raises(ValueError, match="add records"):
        fitted(rows(sines, train[:3]), validation, tmp_path)
    same = replace(sines, signals=np.repeat(np.array(sines.signals[:1]), len(sines), axis=0))
    with pytest.raises(ValueError, match="add records"):
        fitted(rows(same, train), validation, tmp_path)
    broken = replace(sines, signals=np.where(np.arange(64) == 5, np.nan, sines.signals).astype(np.float32))
    with pytest.raises(ValueError, match="NaN"):
        fitted(rows(broken, train), validation, tmp_path)
    pca.save(tmp_path / "model")
    text = (tmp_path / "model" / "model.json").read_text()
    (tmp_path / "model" / "model.json").write_text(text.replace('"length": 64', '"length": 65'))
    with pytest.raises(ModelFileError, match="other sizes"):
        ClassMeanPCA.load(tmp_path / "model")


def test_without_validation_records_their_loss_is_missing(sines: Dataset, tmp_path: Path) -> None:
    train = Signals.of(sines, "train")
    pca = ClassMeanPCA(ClassMeanPCA.Settings(), sines.spec)
    nothing = Signals(sines, np.arange(0))
    history = pca.fit(train, nothing, seed=0, state_dir=tmp_path, device="cpu", progress=False)
    assert history["validation_loss"].isna().all()
    assert history["train_loss"].notna().all()
