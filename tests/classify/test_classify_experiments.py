from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sine_classes import CLASSES

from ecgpipe.classify import train_and_test
from ecgpipe.classify.experiments import Experiment
from ecgpipe.classify.grid import count_trainings
from ecgpipe.classify.inputs import Standardizer, select
from ecgpipe.classify.pretrained import Pretrained
from ecgpipe.classify.run import run_augmentation, run_cross_set, run_real, run_transfer
from ecgpipe.classify.subsets import subset
from ecgpipe.dataset import Dataset, save_dataset
from ecgpipe.files import read_parquet_metadata

FRACTIONS, SEEDS = [0.5, 1.0], [4, 9]
TABLES = ("predictions.parquet", "training.parquet")
METHODS = ["frozen", "finetuned", "probe"]


def run_all(folders: tuple[Path, Path], out: Path, settings) -> None:
    """All three experiments, into ``out/real``, ``out/augmentation`` and ``out/transfer``."""
    data, samples = folders
    state = out / "state"
    both = ["TrSTeR", "TrRSTeR"]
    run_real(Experiment(data, out / "real", settings, FRACTIONS, SEEDS, state))
    run_augmentation(Experiment(data, out / "augmentation", settings, FRACTIONS, SEEDS, state), [samples], both)
    pretrained = out / "augmentation" / "pretrained.safetensors"
    run_transfer(Experiment(data, out / "transfer", settings, FRACTIONS, SEEDS, state), pretrained, methods=METHODS)
    assert not state.exists()


def training(out: Path) -> pd.DataFrame:
    """All rows of training.parquet."""
    return pd.concat([pd.read_parquet(path) for path in sorted(out.glob("*/training.parquet"))], ignore_index=True)


@dataclass
class Seen:
    """What the trainings did: z-scores, weights, and the real records of each fraction and seed."""

    tensors: list[dict[str, torch.Tensor]] = field(default_factory=list)
    real_rows: list[tuple[float, int, list[int]]] = field(default_factory=list)


@contextlib.contextmanager
def watched() -> Iterator[Seen]:
    """Watch all trainings within the block."""
    seen = Seen()
    fit, standardizer, row = train_and_test.fit, train_and_test.Standardizer, train_and_test._row

    class Watched(standardizer):
        @classmethod
        def fit(cls, records):
            found = standardizer.fit(records)
            seen.tensors.append({"mean": torch.from_numpy(found.mean), "deviation": torch.from_numpy(found.deviation)})
            return found

    def watched_fit(model, *arguments):
        result = fit(model, *arguments)
        seen.tensors.append({name: value.clone() for name, value in model.state_dict().items()})
        return result

    def watched_row(cell, data, records, *rest):
        seen.real_rows.append((cell.fraction, cell.seed, records.real.signals.rows.tolist()))
        return row(cell, data, records, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train_and_test, "fit", watched_fit)
        patch.setattr(train_and_test, "Standardizer", Watched)
        patch.setattr(train_and_test, "_row", watched_row)
        yield seen


@pytest.fixture(scope="module")
def whole(folders, tmp_path_factory, settings) -> tuple[Path, Seen]:
    """Results of all experiments, and what was seen in them."""
    out = tmp_path_factory.mktemp("whole")
    with watched() as seen:
        run_all(folders, out, settings)
    return out, seen


def test_tables(folders, whole):
    out, _ = whole
    dataset = Dataset.load(folders[0])
    test = dataset.records.iloc[dataset.indices("test")]
    for folder, cells in {
        "real": [("TrRTeR", "none", 0.5), ("TrRTeR", "none", 1.0)],
        "augmentation": [("TrSTeR", "diffwave", 0.0), ("TrRSTeR", "diffwave", 0.5), ("TrRSTeR", "diffwave", 1.0)],
        "transfer": [(method, "diffwave", fraction) for method in METHODS for fraction in FRACTIONS],
    }.items():
        keys = ["dataset", "setting", "generator", "fraction", "ratio", "seed"]
        wanted = [
            ("hospital", *cell, "all" if cell[0] == "TrRSTeR" else "none", seed) for cell in cells for seed in SEEDS
        ]
        rows = pd.read_parquet(out / folder / "training.parquet")
        predictions = pd.read_parquet(out / folder / "predictions.parquet")
        assert [*rows[keys].itertuples(index=False, name=None)] == wanted
        probabilities = [f"p_{name}" for name in CLASSES]
        assert [*predictions.columns] == [*keys, "tested", "record", "patient", "label", *probabilities]
        assert (predictions[probabilities].dtypes == np.float32).all()
        groups = dict([*predictions.groupby(keys, sort=False)])
        assert [*groups] == wanted
        for group in groups.values():
            for column in ("record", "patient", "label"):
                assert group[column].tolist() == test[column].tolist()
            np.testing.assert_allclose(group[probabilities].sum(axis=1), 1, atol=1e-6)
        for name in TABLES:
            assert read_parquet_metadata(out / folder / name) == {"classes": list(CLASSES)}


def test_trainings_are_counted_as_they_are_run(whole):
    common = {"fractions": FRACTIONS, "seeds": SEEDS}
    for folder, settings in {
        "real": common,
        "augmentation": {**common, "settings": ["TrSTeR", "TrRSTeR"], "ratios": ["all"]},
        "transfer": {**common, "methods": METHODS},
    }.items():
        rows = len(pd.read_parquet(whole[0] / folder / "training.parquet"))
        assert count_trainings(settings) == count_trainings(settings, real=36, synthetic=42) == rows


def test_training_table_says_what_each_network_learnt_from(whole, settings):
    rows = training(whole[0]).set_index(["setting", "fraction"]).sort_index()
    for setting, fraction, n_real, n_synthetic, n_validation in [
        ("TrRTeR", 0.5, 18, 0, 18),
        ("TrRTeR", 1.0, 36, 0, 18),
        ("TrSTeR", 0.0, 0, 42, 21),  # stops on synthetic validation records
        ("TrRSTeR", 0.5, 18, 42, 18),
        ("TrRSTeR", 1.0, 36, 42, 18),
        *((method, 0.5, 18, 0, 18) for method in METHODS),
        *((method, 1.0, 36, 0, 18) for method in METHODS),
    ]:
        row = rows.loc[(setting, fraction)].iloc[0]
        assert (row["n_real"], row["n_synthetic"], row["n_validation"], row["n_test"]) == (
            n_real,
            n_synthetic,
            n_validation,
            18,
        )
        assert row["n_train"] == n_real + n_synthetic == sum(row[f"n_train_{name}"] for name in CLASSES)
        assert row["n_train_AFIB"] == row["n_train"] / 3
        assert 1 <= row["best_step"] <= row["steps"] <= settings.epochs * -(-row["n_train"] // settings.batch)
        assert row["validation_loss"] > 0
        assert row["seconds"] > 0
    assert rows.loc["frozen", "parameters"].unique() == 13 * 3 * 8 + 8 + 8 * 3 + 3  # the head alone
    assert rows.loc["probe", "parameters"].unique() == 13 * 3 * 3 + 3
    assert rows.loc["finetuned", "parameters"].unique() == rows.loc["TrRTeR", "parameters"].unique()
    assert rows.loc["TrRTeR", "parameters"].unique() == rows.loc["TrSTeR", "parameters"].unique() > 347


def test_all_settings_use_the_same_real_records(folders, whole):
    dataset = Dataset.load(folders[0])
    train = dataset.indices("train")
    wanted = {
        (fraction, seed): train[subset(dataset.labels[train], fraction, seed)].tolist()
        for fraction in FRACTIONS
        for seed in SEEDS
    } | {(0.0, seed): [] for seed in SEEDS}
    used = whole[1].real_rows
    assert len(used) == (2 + len(METHODS)) * len(FRACTIONS) * len(SEEDS) + len(SEEDS)
    assert all(rows == wanted[fraction, seed] for fraction, seed, rows in used)


@pytest.mark.parametrize("poison", [1e6, np.nan, "labels"])
def test_test_records_change_nothing_upstream(folders, whole, tmp_path, settings, poison):
    """Weights and z-scores are equal to the bit when the test records of both sets, or their labels, are nonsense."""
    clean_out, clean = whole[0], whole[1].tensors
    poisoned = []
    for folder in folders:
        copy = tmp_path / "poisoned" / folder.name
        shutil.copytree(folder, copy)
        dataset = Dataset.load(copy)
        signals, records, test = np.array(dataset.signals), dataset.records.copy(), dataset.indices("test")
        if poison == "labels":
            records.loc[test, "label"] = records["label"].iloc[test[0]]
        else:
            signals[test] *= poison
        save_dataset(copy, signals, records, dataset.spec)
        poisoned.append(copy)
    out = tmp_path / "out"
    with watched() as seen:
        if poison is np.nan:  # no prediction can be made, but the first network was trained by then
            with pytest.raises(
                ValueError, match=r"hospital: test record hospital\d+ has no finite prediction \(TrRTeR"
            ):
                run_all(tuple(poisoned), out, settings)
            clean = clean[:2]
        else:
            run_all(tuple(poisoned), out, settings)
            rows, clean_rows = (training(folder).drop(columns="seconds") for folder in (out, clean_out))
            pd.testing.assert_frame_equal(rows, clean_rows, check_exact=True)
            for name in ("augmentation/pretrained.safetensors", "real/pretrained.safetensors"):
                assert (out / name).read_bytes() == (clean_out / name).read_bytes()
            name = "real/predictions.parquet"
            assert (out / name).read_bytes() != (clean_out / name).read_bytes()
    assert len(seen.tensors) == len(clean)
    for tensors, clean_tensors in zip(seen.tensors, clean, strict=True):
        assert tensors.keys() == clean_tensors.keys()
        assert all(torch.equal(tensors[name], clean_tensors[name]) for name in tensors)


def test_same_bytes_again_and_with_other_threads(folders, whole, tmp_path, settings):
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    try:
        run_all(folders, tmp_path, settings)
        assert torch.get_num_threads() == threads + 1
    finally:
        torch.set_num_threads(threads)
    names = [f"{kind}/predictions.parquet" for kind in ("real", "augmentation", "transfer")]
    for name in [*names, "augmentation/pretrained.safetensors"]:
        assert (whole[0] / name).read_bytes() == (tmp_path / name).read_bytes(), name


def test_goes_on_after_a_kill(folders, whole, tmp_path, settings, monkeypatch, caplog):
    broken = tmp_path / "broken"
    fit = train_and_test.fit
    trainings = 0

    def killed_in_the_fourth(*arguments):
        nonlocal trainings
        trainings += 1
        if trainings == 4:
            raise KeyboardInterrupt
        return fit(*arguments)

    monkeypatch.setattr(train_and_test, "fit", killed_in_the_fourth)
    data, samples = folders
    state = tmp_path / "state"

    def go() -> None:
        run_augmentation(
            Experiment(data, broken / "augmentation", settings, FRACTIONS, SEEDS, state),
            [samples],
            ["TrSTeR", "TrRSTeR"],
        )

    with pytest.raises(KeyboardInterrupt):
        go()
    assert not (broken / "augmentation").exists()
    kept = sorted(state.glob("*.safetensors"))
    assert len(kept) == 3
    content = kept[0].read_bytes()
    kept[0].write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    go()
    assert trainings == 6 + 2  # one was lost by the kill, one by the disk
    assert f"{kept[0]} is damaged" in caplog.text
    assert not state.exists()
    for name in ("predictions.parquet", "pretrained.safetensors"):
        assert (broken / "augmentation" / name).read_bytes() == (whole[0] / "augmentation" / name).read_bytes()
    left, right = (training(folder).drop(columns="seconds") for folder in (broken, whole[0]))
    pd.testing.assert_frame_equal(
        left, right[right["setting"].isin(["TrSTeR", "TrRSTeR"])].reset_index(drop=True), check_exact=True
    )


@pytest.mark.parametrize("size", [0, 4, 1000, -1])
def test_networks_that_are_cut_short_are_named(whole, tmp_path, size):
    content = (whole[0] / "augmentation" / "pretrained.safetensors").read_bytes()
    path = tmp_path / "pretrained.safetensors"
    path.write_bytes(content[:size])
    with pytest.raises(ValueError, match="damaged or cut short") as error:
        Pretrained.load(path)
    assert str(path) in str(error.value)
    assert "delete it" in str(error.value)


def test_pretrained_networks_come_back_as_they_were_tested(folders, whole, settings):
    out, _ = whole
    pretrained = Pretrained.load(out / "augmentation" / "pretrained.safetensors")
    dataset = Dataset.load(folders[0])
    assert (pretrained.dataset, pretrained.generator, pretrained.fraction) == ("hospital", "diffwave", 0)
    assert pretrained.settings == settings
    assert pretrained.spec == dataset.spec
    assert [*pretrained.networks] == SEEDS
    predictions = pd.read_parquet(out / "augmentation" / "predictions.parquet")
    for seed in SEEDS:
        signals = pretrained.standardizer(seed)(dataset.signals[dataset.indices("test")])
        with torch.no_grad():
            found = torch.softmax(pretrained.network(seed)(torch.from_numpy(signals)), dim=1)
        rows = predictions[(predictions["setting"] == "TrSTeR") & (predictions["seed"] == seed)]
        np.testing.assert_allclose(rows[[f"p_{name}" for name in CLASSES]], found, atol=1e-5)


def test_transfer_starts_from_the_network_of_its_own_seed(folders, whole, tmp_path, settings):
    """A fine-tuning of no size leaves TrSTeR's network, reading signals standardised by the real records in use."""
    path = whole[0] / "augmentation" / "pretrained.safetensors"
    still = settings.model_copy(update={"learning_rate": 1e-12, "epochs": 1})
    run_transfer(Experiment(folders[0], tmp_path, still, [0.5], SEEDS, tmp_path / "state"), path)
    predictions = pd.read_parquet(tmp_path / "predictions.parquet")
    pretrained, dataset = Pretrained.load(path), Dataset.load(folders[0])
    train, test = select(dataset, "train"), dataset.signals[dataset.indices("test")]
    for seed in SEEDS:
        standardizer = Standardizer.fit(train.subset(subset(train.labels, 0.5, seed)))
        with torch.no_grad():
            wanted = torch.softmax(pretrained.network(seed)(torch.from_numpy(standardizer(test))), dim=1)
        found = predictions.loc[predictions["seed"] == seed, [f"p_{name}" for name in CLASSES]]
        np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_only_what_is_asked_for(folders, tmp_path, settings):
    data, samples = folders
    out = tmp_path / "out"
    run_augmentation(Experiment(data, out, settings, [1.0], [0], tmp_path / "state"), [samples], ["TrRSTeR"])
    assert pd.read_parquet(out / "training.parquet")["setting"].tolist() == ["TrRSTeR"]
    assert not (out / "pretrained.safetensors").exists()
    with pytest.raises(ValueError, match="nothing to train"):
        run_real(Experiment(data, out, settings, [], [0], tmp_path / "state"))


def test_networks_take_turns_at_a_generators_repetitions(make_dataset, folders, whole, tmp_path, settings):
    """Each seed learns from one of them, just as it does from that one alone."""
    data, first = folders
    second = make_dataset(tmp_path / "diffwave-2", seed=6, n=14)
    both, state = ["TrSTeR", "TrRSTeR"], tmp_path / "state"
    run_augmentation(Experiment(data, tmp_path / "two", settings, FRACTIONS, SEEDS, state), [first, second], both)
    run_augmentation(Experiment(data, tmp_path / "alone", settings, FRACTIONS, SEEDS, state), [second], both)
    two, alone = (pd.read_parquet(tmp_path / name / "predictions.parquet") for name in ("two", "alone"))
    one = pd.read_parquet(whole[0] / "augmentation" / "predictions.parquet")
    assert set(two["generator"]) == {"diffwave"}
    for seed, expected in ((SEEDS[0], one), (SEEDS[1], alone.assign(generator="diffwave"))):
        assert not one[one["seed"] == seed].equals(alone[alone["seed"] == seed].assign(generator="diffwave"))
        pd.testing.assert_frame_equal(
            two[two["seed"] == seed].reset_index(drop=True), expected[expected["seed"] == seed].reset_index(drop=True)
        )
    cross = Experiment(data, tmp_path / "cross", settings, [1.0], SEEDS, state)
    run_cross_set(cross, [first, second], "diffwave@b")
    rows = pd.read_parquet(tmp_path / "cross" / "predictions.parquet")
    keys = ["setting", "generator", "fraction", "seed", "label", "p_SR"]
    same = two[(two["setting"] == "TrRSTeR") & (two["fraction"] == 1)].assign(generator="diffwave@b")
    pd.testing.assert_frame_equal(rows[keys], same[keys].reset_index(drop=True))
    fewer = make_dataset(tmp_path / "diffwave-3", seed=7, n=12)
    with pytest.raises(ValueError, match=r"differ in training records by class: .*diffwave-3"):
        run_augmentation(Experiment(data, tmp_path / "x", settings, FRACTIONS, SEEDS, state), [first, fewer], both)


def test_on_synthetic_test_records(folders, whole, tmp_path, settings):
    """TrSTeS and TrRTeS are the networks of TrSTeR and TrRTeR, which are those they are without them."""
    data, samples = folders
    networks = whole[0] / "real" / "pretrained.safetensors"
    which, state = ["TrSTeR", "TrSTeS", "TrRTeS"], tmp_path / "state"
    arguments = (Experiment(data, tmp_path, settings, FRACTIONS, SEEDS, state), [samples], which)
    with pytest.raises(ValueError, match="TrRTeS needs the networks"):
        run_augmentation(*arguments)
    run_augmentation(*arguments, real_networks=networks)
    assert set(pd.read_parquet(tmp_path / "training.parquet")["setting"]) == {"TrSTeR"}
    predictions = pd.read_parquet(tmp_path / "predictions.parquet").groupby(["setting", "tested"])
    assert {key: len(rows) for key, rows in predictions} == {
        ("TrSTeR", "hospital"): 36,
        ("TrSTeS", "hospital/diffwave"): 42,
        ("TrRTeS", "hospital/diffwave"): 42,
    }
    dataset = Dataset.load(samples)
    test = dataset.indices("test")
    for setting, source in (("TrSTeS", tmp_path / "pretrained.safetensors"), ("TrRTeS", networks)):
        pretrained, rows = Pretrained.load(source), predictions.get_group((setting, "hospital/diffwave"))
        assert set(rows["generator"]) == {"diffwave"}
        assert set(rows["fraction"]) == {pretrained.fraction}
        for seed in SEEDS:
            mine = rows[rows["seed"] == seed]
            assert mine["record"].tolist() == dataset.records["record"].iloc[test].tolist()
            signals = pretrained.standardizer(seed)(dataset.signals[test])
            with torch.no_grad():
                found = torch.softmax(pretrained.network(seed)(torch.from_numpy(signals)), dim=1)
            np.testing.assert_allclose(mine[[f"p_{name}" for name in CLASSES]], found, atol=1e-5)
    home = pd.read_parquet(whole[0] / "augmentation" / "predictions.parquet").query("setting == 'TrSTeR'")
    same = predictions.get_group(("TrSTeR", "hospital"))
    pd.testing.assert_frame_equal(same.reset_index(drop=True), home.reset_index(drop=True))


def test_other_hospitals(make_dataset, folders, whole, tmp_path, settings):
    """Synthetic records of another hospital, tests on its records, and networks pre-trained on its real records."""
    data, other = folders[0], make_dataset(tmp_path / "other", seed=3, n=8)
    state = tmp_path / "state"
    run_real(Experiment(data, tmp_path / "real", settings, FRACTIONS, SEEDS, state, also_test=[other]))
    rows = pd.read_parquet(tmp_path / "real" / "predictions.parquet")
    assert rows.groupby("tested").size().to_dict() == {"hospital": 4 * 18, "other": 4 * 12}
    pd.testing.assert_frame_equal(
        rows[rows["tested"] == "hospital"], pd.read_parquet(whole[0] / "real" / "predictions.parquet")
    )
    cross = Experiment(data, tmp_path / "cross", settings, [1.0], SEEDS, state, also_test=[other])
    run_cross_set(cross, [folders[1]], "g@other")
    rows = pd.read_parquet(tmp_path / "cross" / "predictions.parquet")
    assert set(rows["generator"]) == {"g@other"}
    assert set(rows["tested"]) == {"hospital", "other"}
    start = tmp_path / "real" / "pretrained.safetensors"
    transfer = Experiment(other, tmp_path / "transfer", settings, [0.5], SEEDS, state)
    run_transfer(transfer, start, methods=METHODS, origin=data)
    rows = pd.read_parquet(tmp_path / "transfer" / "training.parquet")
    assert set(rows["generator"]) == {"real:hospital"}
    assert set(rows["setting"]) == set(METHODS)
