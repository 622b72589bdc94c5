"""Rotations of a dataset's folds: every record is tested once, and no patient is on both sides."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from raw_records import (
    ATRIAL_FIBRILLATION,
    SINUS_RHYTHM,
    arrhythmia_settings,
    manifest,
    ptbxl_row,
    ptbxl_settings,
    write_arrhythmia,
    write_ptbxl,
)

from ecgpipe.config import Preprocess, SignalSettings
from ecgpipe.dataset import Dataset, SignalSpec, save_dataset
from ecgpipe.preprocess import splits
from ecgpipe.preprocess.rotate import rotate
from ecgpipe.preprocess.run import preprocess

SPEC = SignalSpec(100.0, 50, ("SR", "AFIB"))


@pytest.mark.parametrize("number", range(2, 11))
def test_rotations_test_each_fold_once(number: int) -> None:
    folds = [splits.rotation(place, number) for place in range(1, number + 1)]
    assert Counter(fold for one in folds for fold in one["test"]) == Counter(range(1, 11))
    for one in folds:
        assert sorted([*one["train"], *one["validation"], *one["test"]]) == list(range(1, 11))
        assert len(one["validation"]) == 1
    assert len({one["validation"][0] for one in folds}) == number  # they rotate as well
    sizes = [len(one["test"]) for one in folds]
    assert max(sizes) - min(sizes) <= 1


def test_the_first_of_ten_rotations_is_the_split_that_ptbxls_authors_recommend() -> None:
    assert {split: [*folds] for split, folds in splits.FOLDS.items()} == splits.rotation(1, 10)


def test_records_without_folds_are_dealt_by_patient_and_class() -> None:
    rng = np.random.default_rng(3)
    patients = [f"p{n}" for n in rng.integers(300, size=600)]
    labels = [str(name) for name in rng.choice(["SR", "AFIB", "SVTAC"], 600, p=[0.8, 0.17, 0.03])]
    folds = splits.deal(patients, labels, 7)
    table = pd.DataFrame({"patient": patients, "label": labels, "fold": folds})
    assert table.groupby("patient")["fold"].nunique().max() == 1
    assert set(folds) == set(range(1, 11))
    order = rng.permutation(600)
    again = splits.deal([patients[i] for i in order], [labels[i] for i in order], 7)
    assert [folds[i] for i in order] == again
    assert folds != splits.deal(patients, labels, 8)
    # Patients of a class are as evenly dealt as can be.
    rarest = table[table["label"] == "SVTAC"].drop_duplicates("patient")["fold"].value_counts()
    assert rarest.max() - rarest.reindex(range(1, 11), fill_value=0).min() <= 1


@pytest.mark.parametrize("number", [2, 3, 5, 10])
def test_three_patients_of_a_class_are_never_all_tested_at_once(number: int) -> None:
    for seed in range(40):
        folds = set(splits.deal(["a", "b", "c"], ["SVTAC"] * 3, seed))
        assert len(folds) == 3
        assert all(not folds <= set(splits.rotation(place, number)["test"]) for place in range(1, number + 1))


def _dataset(folder: Path, folds: list[int], patients: list[str]) -> Path:
    n = len(folds)
    records = pd.DataFrame(
        {
            "record": [f"r{i}" for i in range(n)],
            "patient": patients,
            "label": ["SR", "AFIB"] * (n // 2),
            "split": [splits.by_fold(fold, splits.rotation(1, 5)) for fold in folds],
            "fold": folds,
        }
    ).assign(source="a", age=50.0, sex="male", codes="")
    save_dataset(folder, np.random.default_rng(1).normal(size=(n, 12, 50)), records, SPEC)
    return folder


def test_a_rotation_has_the_same_records_with_other_splits_and_takes_no_room(tmp_path: Path) -> None:
    folds = [*range(1, 11), *range(1, 11)]
    first = _dataset(tmp_path / "a", folds, [f"p{fold}" for fold in folds])
    tested = [set(Dataset.load(first).records["record"][Dataset.load(first).indices("test")])]
    for number in range(2, 6):
        rotate(first, number, 5, out := tmp_path / f"a-{number}")
        found = Dataset.load(out)
        np.testing.assert_array_equal(found.signals, Dataset.load(first).signals)
        assert os.path.samefile(out / "signals.npy", first / "signals.npy")
        same = [name for name in found.records.columns if name != "split"]
        pd.testing.assert_frame_equal(found.records[same], Dataset.load(first).records[same])
        sides = {name: set(found.records["patient"].iloc[found.indices(name)]) for name in splits.SPLITS}
        assert not sides["train"] & sides["test"]
        assert not sides["validation"] & (sides["train"] | sides["test"])
        tested.append({str(found.records["record"].iloc[row]) for row in found.indices("test")})
    assert Counter(name for names in tested for name in names) == Counter(f"r{i}" for i in range(20))


def test_a_file_system_without_links_gets_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = _dataset(tmp_path / "a", [*range(1, 11)], [f"p{i}" for i in range(10)])

    def refuse(*_: object) -> None:
        raise PermissionError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    rotate(first, 2, 5, tmp_path / "a-2")
    assert not os.path.samefile(tmp_path / "a-2" / "signals.npy", first / "signals.npy")
    np.testing.assert_array_equal(Dataset.load(tmp_path / "a-2").signals, Dataset.load(first).signals)


def test_a_patient_in_two_folds_is_refused(tmp_path: Path) -> None:
    poisoned = _dataset(tmp_path / "a", [*range(1, 11)], ["p7", *(f"p{i}" for i in range(1, 10))])
    with pytest.raises(ValueError, match="1 patients are in more than one split, among them p7"):
        rotate(poisoned, 2, 5, tmp_path / "a-2")
    # Both folds are training folds of the third rotation: its splits alone would show nothing.
    near = _dataset(tmp_path / "b", [*range(1, 11)], ["p0", "p0", *(f"p{i}" for i in range(2, 10))])
    with pytest.raises(ValueError, match="in more than one fold, among them p0"):
        rotate(near, 2, 5, tmp_path / "b-2")


def test_records_without_folds_are_refused_by_name(tmp_path: Path) -> None:
    first = _dataset(tmp_path / "a", [*range(1, 11)], [f"p{i}" for i in range(10)])
    records = pd.read_parquet(first / "records.parquet").drop(columns="fold")
    shutil.rmtree(first)
    save_dataset(first, np.zeros((10, 12, 50)), records, SPEC)
    with pytest.raises(ValueError, match=r"records.parquet has no column `fold`"):
        rotate(first, 2, 5, tmp_path / "a-2")


def test_a_prepared_dataset_keeps_the_fold_of_each_record(tmp_path: Path) -> None:
    raw = write_arrhythmia(tmp_path / "raw", [SINUS_RHYTHM] * 15 + [ATRIAL_FIBRILLATION] * 5)
    settings = arrhythmia_settings().model_copy(update={"rotate": 5})
    preprocess(
        raw, manifest(raw), settings, SignalSettings(), Preprocess(), tmp_path / "out", source_name="c", workers=1
    )  # fmt: skip
    records = Dataset.load(tmp_path / "out").records
    assert records["fold"].tolist() == splits.deal([*records["patient"]], [*records["label"]], Preprocess().split_seed)
    folds = splits.rotation(1, 5)
    assert records["split"].tolist() == [splits.by_fold(fold, folds) for fold in records["fold"]]


def test_ptbxls_own_folds_are_kept(tmp_path: Path) -> None:
    raw = write_ptbxl(tmp_path / "raw", [ptbxl_row(number, fold=str(number)) for number in range(1, 11)])
    settings = ptbxl_settings().model_copy(update={"rotate": 2})
    preprocess(
        raw, manifest(raw), settings, SignalSettings(), Preprocess(), tmp_path / "out", source_name="p", workers=1
    )  # fmt: skip
    records = Dataset.load(tmp_path / "out").records
    assert records["fold"].tolist() == list(range(1, 11))
    assert records["split"].tolist() == ["train"] * 4 + ["validation"] + ["test"] * 5
