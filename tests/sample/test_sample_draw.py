"""Drawing synthetic sets: labels, splits, chunks, resuming, and what a generator must not give."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import BaseModel

from ecgpipe.dataset import COLUMNS, Dataset, SignalSpec, save_records
from ecgpipe.sample.draw import class_counts, draw, record_seeds, sample_labels, synthetic_records
from ecgpipe.sample.pool import pool_samples

SPEC = SignalSpec(100.0, 50, ("SR", "AFIB", "STACH"))


class Nothing(BaseModel):
    pass


class Chosen(BaseModel):
    sampler: str = "ddim"
    evaluations: int = 7
    guidance: float = 1.5


class Echo:
    """A generator whose record shows its label and seed; counts what it draws."""

    Settings = Nothing
    SampleSettings = Nothing

    def __init__(self, die_after: int | None = None, shape: tuple[int, int] = (12, 50), value: float = 0.0) -> None:
        self.drawn = 0
        self.die_after = die_after
        self.shape = shape
        self.value = value

    def sample(self, labels: np.ndarray, *, settings: BaseModel, seeds: np.ndarray, device: str) -> np.ndarray:
        if self.die_after is not None and self.drawn >= self.die_after:
            raise KeyboardInterrupt
        self.drawn += len(labels)
        out = np.full((len(labels), *self.shape), self.value, dtype=np.float32)
        out[:, 0, 0] = labels
        out[:, 0, 1] = seeds % 1000
        return out


def make(
    folder: Path,
    generator: Any,
    number: int = 40,
    chunk: int = 7,
    seed: int = 1,
    settings: BaseModel | None = None,
    weights: np.ndarray | None = None,
    spec: SignalSpec = SPEC,
    identity: str = "",
) -> Dataset:
    ids = sample_labels(class_counts(number, np.ones(3) if weights is None else weights), seed)
    seeds = record_seeds(number, seed)
    how = settings or Nothing()
    draw(
        generator,
        spec,
        ids,
        settings=how,
        seeds=seeds,
        chunk=chunk,
        out=folder / "signals.npy",
        state_dir=folder.parent / f"{folder.name}-state",
        device="cpu",
        identity=identity,
    )
    save_records(folder, synthetic_records("echo", spec, ids, seeds, how, seed), spec)
    return Dataset.load(folder)


def same(one: Dataset, two: Dataset) -> bool:
    return np.array_equal(one.signals, two.signals) and one.records.equals(two.records)


def test_records_are_divided_by_largest_remainder() -> None:
    assert class_counts(10, np.ones(3)).tolist() == [4, 3, 3]
    assert class_counts(10, np.array([80, 15, 5])).tolist() == [8, 2, 0]
    assert class_counts(7, np.array([0.0, 2.0, 1.0])).tolist() == [0, 5, 2]
    assert np.bincount(sample_labels(np.array([25, 50, 25]), 3)).tolist() == [25, 50, 25]
    assert sample_labels(np.array([25, 50, 25]), 3).tolist() != sample_labels(np.array([25, 50, 25]), 4).tolist()


def test_seeds_are_distinct_and_do_not_depend_on_the_number() -> None:
    many = record_seeds(50_000, 1)
    assert len(np.unique(many)) == 50_000
    assert (many >= 0).all()
    assert np.array_equal(record_seeds(10, 1), many[:10])
    assert not np.array_equal(record_seeds(10, 2), many[:10])


def test_a_synthetic_set_is_a_dataset(tmp_path: Path) -> None:
    data = make(tmp_path / "set", Echo(), number=60, settings=Chosen())
    assert data.signals.shape == (60, 12, 50)
    assert tuple(data.records.columns) == (
        *COLUMNS,
        "also",
        "suspected",
        "generator",
        "seed",
        "sampler",
        "evaluations",
        "guidance",
    )
    row = data.records.iloc[0]
    assert (row["record"], row["patient"], row["source"], row["sex"], row["codes"]) == (
        "s000001",
        "s000001",
        "echo",
        "unknown",
        "",
    )
    assert (row["generator"], row["sampler"], row["evaluations"], row["guidance"]) == ("echo", "ddim", 7, 1.5)
    assert data.records["age"].isna().all()
    counts = data.records.groupby(["label", "split"]).size()
    for label in SPEC.classes:
        assert counts[label].to_dict() == {"train": 16, "validation": 2, "test": 2}
    assert np.array_equal(data.signals[:, 0, 0], data.labels)
    assert np.array_equal(data.signals[:, 0, 1], data.records["seed"].to_numpy() % 1000)


def test_settings_that_a_generator_does_not_have_are_left_empty(tmp_path: Path) -> None:
    records = make(tmp_path / "set", Echo()).records
    assert records[["sampler", "evaluations", "guidance"]].isna().all(axis=None)
    whole = pd.concat([records, make(tmp_path / "other", Echo(), settings=Chosen()).records])
    assert whole["evaluations"].dtype == "Int64"


def test_the_chunk_changes_nothing(tmp_path: Path) -> None:
    assert same(make(tmp_path / "a", Echo(), chunk=1), make(tmp_path / "b", Echo(), chunk=100))


def test_the_seed_changes_labels_noise_and_split(tmp_path: Path) -> None:
    one, two = make(tmp_path / "a", Echo()), make(tmp_path / "b", Echo(), seed=2)
    for column in ("label", "seed", "split"):
        assert (one.records[column] != two.records[column]).any()


def test_a_killed_run_goes_on_where_it_was(tmp_path: Path) -> None:
    expected = make(tmp_path / "whole", Echo())
    first = Echo(die_after=15)
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path / "set", first)
    assert first.drawn == 21
    assert not (tmp_path / "set").exists()
    second = Echo()
    assert same(make(tmp_path / "set", second), expected)
    assert second.drawn == 40 - 21
    assert not list((tmp_path / "set-state").iterdir())


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 2},
        {"settings": Chosen()},
        {"identity": "another model"},
        {"weights": np.array([1, 1, 2])},
        {"chunk": 8},
    ],
)
def test_what_another_run_drew_is_not_taken_up(tmp_path: Path, change: dict[str, Any]) -> None:
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path / "set", Echo(die_after=15))
    second = Echo()
    make(tmp_path / "set", second, **change)
    assert second.drawn == 40


@pytest.mark.parametrize(
    ("generator", "message"),
    [
        (Echo(value=float("nan")), "not finite, in records 0 to 6"),
        (Echo(shape=(12, 49)), r"shape \(7, 12, 49\) instead of \(7, 12, 50\)"),
    ],
)
def test_a_generator_that_gives_nonsense_is_an_error(tmp_path: Path, generator: Echo, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(tmp_path / "set", generator)
    assert not (tmp_path / "set").exists()


def test_draw_writes_what_the_generator_gives(tmp_path: Path) -> None:
    labels, seeds = np.array([2, 0, 1]), np.array([5, 6, 7])
    draw(
        Echo(),
        SPEC,
        labels,
        settings=Nothing(),
        seeds=seeds,
        chunk=2,
        out=tmp_path / "x.npy",
        state_dir=tmp_path / "s",
        device="cpu",
    )  # type: ignore[arg-type]
    found = np.load(tmp_path / "x.npy")
    assert found.dtype == np.float32
    assert found[:, 0, :2].tolist() == [[2, 5], [0, 6], [1, 7]]


def test_a_union_holds_its_members_in_order(tmp_path: Path) -> None:
    one, two = make(tmp_path / "a", Echo(), number=20), make(tmp_path / "b", Echo(), number=11, seed=9)
    pool_samples({"ptbxl": tmp_path / "a", "chapman": tmp_path / "b"}, tmp_path / "both")
    both = Dataset.load(tmp_path / "both")
    assert np.array_equal(both.signals, np.concatenate([one.signals, two.signals]))
    assert both.records["source"].tolist() == ["ptbxl"] * 20 + ["chapman"] * 11
    assert both.records["patient"].is_unique
    assert both.records["patient"].iloc[0] == "ptbxl/s000001"
    for column in ("label", "split", "seed", "generator"):
        assert both.records[column].tolist() == [*one.records[column], *two.records[column]]


def test_sets_of_other_signals_are_not_united(tmp_path: Path) -> None:
    make(tmp_path / "a", Echo())
    make(tmp_path / "b", Echo(), number=9, spec=SignalSpec(100.0, 50, ("SR", "AFIB", "AFLT")))
    with pytest.raises(ValueError, match=r"/a and .*/b do not fit together \(classes: .*STACH.* and .*AFLT"):
        pool_samples({"one": tmp_path / "a", "two": tmp_path / "b"}, tmp_path / "both")
