"""Every key of a configuration with wrong values: each ends in a ConfigError that names the key, or is allowed."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ecgpipe.config import ConfigError, validate
from ecgpipe.workflow.study import Study

ROOT = Path(__file__).resolve().parents[2]

RICH: dict[str, Any] = {
    "datasets": ["one", "two", "both", "theirs"],
    "dataset_settings": {
        "one": {
            "format": "ptbxl",
            "source": {"kind": "simulated", "records": 120, "seed": 11, "class_mix": {"SR": 2.0, "AFIB": 1.0}},
        },
        "two": {
            "format": "ecg_arrhythmia",
            "source": {
                "kind": "physionet",
                "slug": "ecg-arrhythmia",
                "version": "1.0.0",
                "records": ["JS00001"],
                "limit": 5,
                "base_url": "https://mirror.example",
            },
            "subset": "chapman",
            "classifier": "wang",
        },
        "theirs": {
            "format": "challenge",
            "source": {"kind": "folder", "path": "/data/challenge"},
            "folder": "training/georgia",
            "classifier": "deep",
        },
        "both": {"merge": ["one", "two"]},
    },
    "generators": ["diffwave", "class_mean_pca"],
    "generator_settings": {
        "diffwave": {
            "class": "ecgpipe.generate.diffwave:GENERATOR",
            "train": {"steps": 5},
            "train_by_dataset": {"one": {"steps": 6}},
            "sample": {"guidance": 1.0},
        }
    },
    "classifiers": {"cnn": {"steps": 10}, "wang": {"kind": "resnet1d_wang"}, "deep": {"kind": "xresnet1d"}},
    "samples": {"counts": {"SR": 100}},
    "preprocess": {"filters": {"band_pass_hz": [0.5, 40.0], "notch_hz": 50.0}},
    "experiments": {
        "ratios": ["all", 0.5],
        "baselines": ["oversampling"],
        "fractions": [0.5, 1.0],
        "seeds": [0, 1],
        "cross": True,
        "pooled": True,
        "transfer": {"from_real": True, "fractions": [1.0]},
    },
}
"""A study with every kind of source and of classifier."""

EVERY = validate(RICH).model_dump(mode="json", by_alias=True)
"""The same with every key written out."""


def _nested() -> list[Any]:
    value: list[Any] = []
    for _ in range(200):
        value = [value]
    return value


def _of_itself() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


SCALARS: list[Any] = [
    *(None, True, -1, 0, 2**63 - 1, 2**64, -(2**64), 10**5000),
    *(0.5, -0.5, 1e-300, 1e308, float("nan"), float("inf")),
    *("", " ", "x", "a\nb", "a\0b", "\ud800", "٣", "1e999", "null", "../x", "~nobody-here", "http://u:p@h", "a..b"),
    *("x" * 100_000, "{x}", "-rf", b"x", datetime.date(2020, 1, 1), {1, 2}, 1j),
]
NESTED: list[Any] = [
    *([], [None], [1, 1], [2.0, 1.0], [float("nan")], ["\ud800"], [2**64], [[1]], _nested(), _of_itself()),
    *({}, {"x": None}, {1: 2}, {None: 1}, {("a",): 1}, {"a b": {}}, {"\ud800": 1}),
    *({"kind": "cnn"}, {"kind": []}, {"kind": {"a": 1}}),
]


def _places(value: Any, above: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        yield (*above, key)
        if isinstance(inner, dict | list):
            yield from _places(inner, (*above, key))


def _mappings(value: Any, above: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if isinstance(value, dict):
        yield above
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(inner, dict | list):
            yield from _mappings(inner, (*above, key))


def _put(value: Any, place: tuple[str | int, ...], new: Any) -> Any:
    """Return a copy of ``value`` with another value at a place; what does not change is shared."""
    if not place:
        return new
    changed = dict(value) if isinstance(value, dict) else list(value)
    changed[place[0]] = _put(value[place[0]] if len(place) > 1 else None, place[1:], new)
    return changed


def _plan(config: Any) -> None:
    """Compute what Snakemake asks a study for before any job."""
    study = Study(config, ROOT / "workflow_scripts")
    assert study.described
    assert study.places
    assert study.tables()
    assert study.closeness()
    assert study.table_jobs
    for name in study.sourced:
        study.preprocessing(name)
    for name, generator in study.models:
        study.training(name, generator)
        study.sampling(name, generator)


def _told(raw: Any) -> str | None:
    """Return the message of the ConfigError that a configuration ends in; None if it is allowed and can be planned."""
    try:
        _plan(validate(raw))
    except ConfigError as error:
        return str(error)
    return None


def _names(message: str, place: tuple[str | int, ...]) -> bool:
    """Say whether a message names a key, or one that it lies in or that asks for it."""
    return any("`" + ".".join(map(str, place[:length])) in message for length in range(len(place), 0, -1))


TOP = sorted({str(place[0]) for place in _places(EVERY)})


def test_the_sweep_is_of_thousands() -> None:
    assert len(list(_places(EVERY))) * len(SCALARS + NESTED) > 8000


@pytest.mark.parametrize("top", TOP)
def test_every_wrong_value_is_told_with_its_key(top: str) -> None:
    refused = 0
    for place in _places(EVERY):
        if place[0] != top:
            continue
        for value in SCALARS + NESTED:
            if (told := _told(_put(EVERY, place, value))) is not None:
                refused += 1
                assert _names(told, place), (place, ascii(value)[:60], told)
    assert refused > len(SCALARS)


@pytest.mark.parametrize("place", list(_mappings(EVERY)), ids=lambda place: ".".join(map(str, place)) or "top")
def test_an_unknown_key_is_named(place: tuple[str | int, ...]) -> None:
    mapping: Any = EVERY
    for part in place:
        mapping = mapping[part]
    own_names = ("train", "sample", "counts")  # a generator's keys; classes of a label map
    dotted = ".".join(map(str, place))
    for key in ("colour", "a b", "", "model_fields", "__class__"):
        for value in (1, None, [], {}, {"kind": "cnn"}):
            raw = _put(EVERY, (*place, key), value)
            if dotted.endswith(own_names) or "train_by_dataset" in dotted:
                continue
            told = _told(raw)
            if told is None:
                assert place in {("classifiers",), ("generator_settings",), ("leads", "aliases")}, (place, key, value)
            else:
                assert _names(told, (*place, key)), (place, key, told)


@pytest.mark.parametrize("kind", ["cnn", "resnet1d_wang", "xresnet1d"])
def test_keys_left_over_from_another_kind_of_classifier_are_named(kind: str) -> None:
    keys = {name: set(settings) for name, settings in EVERY["classifiers"].items()}
    every = set().union(*keys.values())
    own = next(set(settings) for settings in EVERY["classifiers"].values() if settings["kind"] == kind)
    for key in every - own:
        with pytest.raises(ConfigError) as error:
            validate(_put(EVERY, ("classifiers", "deep"), {"kind": kind, key: 1}))
        assert f"`classifiers.deep.{key}`: no such key" in str(error.value)
        assert "blocks" in str(error.value) if kind == "cnn" else "kind" in str(error.value)
