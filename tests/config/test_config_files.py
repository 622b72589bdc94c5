"""Configuration files of any content and size: read in seconds, or refused in one sentence."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from ecgpipe.closeness.feature_maps import _DILATIONS, _TAPS
from ecgpipe.config import ConfigError, load, validate
from ecgpipe.config import files as config_files
from ecgpipe.config.checks import SHORTEST_COMPARED
from ecgpipe.config.files import check_bounds, check_keys, read_yaml

ROOT = Path(__file__).resolve().parents[2]
TINY = (ROOT / "configs" / "tiny.yaml").read_text()


def _written(folder: Path, text: str | bytes) -> Path:
    path = folder / "study.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    ("text", "key", "lines"),
    [
        ("seed: 1\nstudy: {}\nseed: 2\n", "seed", "1 and 3"),
        ("study:\n  title: a\n  name: b\n  title: c\n", "study.title", "2 and 4"),
        ("a: {b: {c: 1, c: 2}}\n", "a.b.c", "1 and 1"),
        ("a:\n- b: 1\n  c: [1, {d: 1}]\n  b: 2\n", "a.b", "2 and 4"),
        ("a: 1\n'a': 2\n", "a", "1 and 2"),
        ('{"a": {"x": [], "x": 1}}', "a.x", "1 and 1"),
        ("one:\n  x: 1\ntwo:\n  y: 1\n  y: 2\n", "two.y", "4 and 5"),
    ],
)
def test_a_key_that_stands_twice_is_named(tmp_path: Path, text: str, key: str, lines: str) -> None:
    path = _written(tmp_path, text)
    for read in (read_yaml, check_keys):
        with pytest.raises(ConfigError) as error:
            read(path)
        assert str(error.value).startswith(f"{path}: `{key}` stands twice, in lines {lines};")


@pytest.mark.parametrize(
    "text",
    [
        "a: {x: 1}\nb: {x: 1}\n",
        "a: &a {x: 1, y: 2}\nb:\n  <<: *a\n  x: 3\nc:\n  <<: *a\n  y: 3\n",
        "a: [{x: 1}, {x: 2}]\nx: x\n",
        "? [1, 2]\n: 3\n? [1, 3]\n: x\n",
        "x: &x x\n*x : 1\n",
    ],
)
def test_keys_of_different_mappings_are_not_the_same(tmp_path: Path, text: str) -> None:
    check_keys(_written(tmp_path, text))


def test_every_committed_study_names_each_key_once() -> None:
    for path in [ROOT / "config.yaml", *(ROOT / "configs").glob("*.yaml")]:
        check_keys(path)


def _bomb(inner: str, levels: int) -> str:
    lines = ["a0: &a0 1"]
    for level in range(1, levels):
        value = ", ".join([f"*a{level - 1}"] * 9)
        lines.append(f"a{level}: &a{level} " + inner.format(value))
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    "text",
    [
        _bomb("[{}]", 40),
        "seed: &a [*a]\n",
        "study: &a {title: *a}\n",
        "generator_settings:\n  x:\n    train: &a {b: *a}\n",
        f"x: &x {'y' * 100_000}\nseed: [{', '.join(['*x'] * 10_000)}]\n",
        "seed: " + "[" * 100_000 + "]" * 100_000,
        "seed: " + "{a: " * 20_000 + "}" * 20_000,
    ],
    ids=["lists", "itself", "itself in a mapping", "itself in a generator's", "long texts", "deep lists", "deep maps"],
)
def test_a_file_that_stands_for_too_much_is_refused_in_seconds(tmp_path: Path, text: str) -> None:
    began = time.process_time()
    with pytest.raises(ConfigError, match="levels"):
        load(_written(tmp_path, text))
    assert time.process_time() - began < 20


BOMB_OF_MAPPINGS = "\n".join(
    ["a0: &a0 {x: 1}"]
    + [f"a{n}: &a{n} {{" + ", ".join(f"k{i}: *a{n - 1}" for i in range(9)) + "}" for n in range(1, 30)]
)


def test_a_bomb_of_mappings_is_refused(tmp_path: Path) -> None:
    path = _written(tmp_path, BOMB_OF_MAPPINGS)
    with pytest.raises(ConfigError, match="alias"):
        load(path)
    with pytest.raises(ConfigError, match="alias"):
        check_bounds(path)


def test_a_file_of_absurd_size_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    with open(path, "wb") as handle:
        handle.truncate(10**12)  # a hole: takes no space
    with pytest.raises(ConfigError, match=r"study.yaml has 1,000,000,000,000 bytes"):
        load(path)
    with pytest.raises(ConfigError, match="bytes"):
        check_keys(path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"\xff\xfe\x00", "no UTF-8 text"),
        ("a: [1\n", "no YAML"),
        ("a: !!python/object/apply:os.system [touch pwned]\n", "no YAML"),
        ("a\tb: {", "no YAML"),
        ("", "mapping"),
        ("- 1\n", "mapping"),
    ],
)
def test_what_is_no_configuration_is_told(tmp_path: Path, text: str | bytes, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        load(_written(tmp_path, text))


def test_pipes_and_devices_are_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero"), tmp_path):
        with pytest.raises(ConfigError, match="is no file"):
            load(path)
        check_keys(path)


def _seconds(seeds: int) -> float:
    raw = {**yaml.safe_load(TINY), "experiments": {"seeds": list(range(seeds))}}
    began = time.process_time()
    assert len(validate(raw).experiments.seeds) == seeds
    return time.process_time() - began


def test_a_hundred_thousand_seeds_take_no_longer_each_than_a_thousand() -> None:
    _seconds(10)
    few, many = min(_seconds(2000) for _ in range(3)), _seconds(100_000)
    assert many < 50 * 8 * few
    assert many < 10


def test_a_hundred_thousand_seeds_are_read(tmp_path: Path) -> None:
    seeds = ", ".join(map(str, range(100_000)))
    began = time.process_time()
    config = load(_written(tmp_path, TINY.replace("seeds: [0, 1]", f"seeds: [{seeds}]")))
    assert len(config.experiments.seeds) == 100_000
    assert time.process_time() - began < 30
    assert config_files.MOST_VALUES > 100_000


def _with(key: str, value: Any) -> dict[str, Any]:
    raw: dict[str, Any] = yaml.safe_load(TINY)
    inner = raw
    *path, last = key.split(".")
    for part in path:
        inner = inner.setdefault(part, {})
    inner[last] = value
    return raw


SEEDS = ["seed", "preprocess.split_seed", "dataset_settings.demo_ptbxl.source.seed"]


@pytest.mark.parametrize("key", SEEDS)
@pytest.mark.parametrize("value", [-1, 2**63, 2**64, 2**64 + 1, 10**30, 1.0, "1", None])
def test_a_seed_that_no_generator_of_random_numbers_takes_is_named(key: str, value: Any) -> None:
    with pytest.raises(ConfigError) as error:
        validate(_with(key, value))
    assert f"`{key}`" in str(error.value)


@pytest.mark.parametrize("value", [-1, 2**63, 2**64])
def test_a_wrong_seed_among_many_is_named(value: int) -> None:
    with pytest.raises(ConfigError, match=r"`experiments.seeds.1`"):
        validate(_with("experiments.seeds", [0, value]))


def test_the_largest_seed_is_allowed_and_can_be_used() -> None:
    torch = pytest.importorskip("torch")
    config = validate(_with("seed", 2**63 - 1))
    torch.manual_seed(config.seed)
    assert config.seed == 2**63 - 1


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("signal.seconds", 1.0, ["`signal.seconds`", "100 samples", "288"]),
        ("signal.seconds", 2.87, ["`signal.seconds`", "287 samples", "288"]),
        ("raw_dir", "./results/data", ["`raw_dir`", "results/data"]),
        ("raw_dir", "results/../results//data/raw", ["`raw_dir`", "results/data"]),
        ("raw_dir", "x/../results/closeness", ["`raw_dir`", "results/closeness"]),
        ("raw_dir", "results/state/raw", ["`raw_dir`", "results/state"]),
    ],
)
def test_what_a_later_job_would_refuse_is_refused_now(key: str, value: Any, words: list[str]) -> None:
    with pytest.raises(ConfigError) as error:
        validate(_with(key, value))
    for word in words:
        assert word in str(error.value)


def test_the_shortest_record_is_that_of_the_widest_kernel() -> None:
    assert _TAPS * _DILATIONS[-1] == SHORTEST_COMPARED
    validate(_with("signal.seconds", 2.88))


def test_raw_records_may_lie_elsewhere_in_results() -> None:
    for folder in ("results/raw", "results/raw/here", "results", ".", "/data", "results/raw/../raw"):
        assert validate(_with("raw_dir", folder)).raw_dir == folder


def test_a_dataset_of_the_name_of_a_result_folder_does_not_land_there() -> None:
    raw = _with("raw_dir", "results")
    raw["dataset_settings"]["tables"] = {**raw["dataset_settings"]["demo_ptbxl"]}
    with pytest.raises(ConfigError, match="`raw_dir`: 'results' is or holds results/tables"):
        validate(raw)


def test_an_unquoted_name_of_digits_is_told_to_be_quoted() -> None:
    raw = _with(
        "dataset_settings.demo_ptbxl.source",
        {"kind": "physionet", "slug": "ptb-xl", "version": "1.0.3", "records": [yaml.safe_load("00010")]},
    )
    with pytest.raises(ConfigError, match=r"source.records`: 8 is a number.*in quotes"):
        validate(raw)
