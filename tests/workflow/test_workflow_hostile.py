"""Whatever stands in a configuration: names are names, and nothing of them reaches a shell."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
import yaml
from checkout import ROOT

from ecgpipe.config import ConfigError, validate

TINY = yaml.safe_load((ROOT / "configs" / "tiny.yaml").read_text())
TINY["dataset_settings"]["theirs"] = {
    "format": "challenge",
    "source": {"kind": "physionet", "slug": "challenge-2021", "version": "1.0.3"},
    "folder": "training/georgia",
    "classifier": "tiny",
}
TINY["generator_settings"]["diffwave"]["class"] = "ecgpipe.generate.diffwave:GENERATOR"
NAMES = [
    ("study", "name"),
    ("datasets", 0),
    ("generators", 0),
    ("dataset_settings", "demo_merged", "merge", 0),
    ("dataset_settings", "demo_ptbxl", "classifier"),
    ("dataset_settings", "theirs", "source", "slug"),
    ("dataset_settings", "theirs", "source", "version"),
    ("dataset_settings", "theirs", "folder"),
    ("generator_settings", "diffwave", "class"),
]
HOSTILE = [
    "$(touch pwned)",
    "`touch pwned`",
    "a b",
    "a;b",
    "a'b",
    'a"b',
    "a\nb",
    "a\n",
    "a|b",
    "a&b",
    "../a",
    "a/../b",
    "/etc",
    "-rf",
    "{output}",
    "*",
    "~",
    "",
]


def _with(config: dict[str, Any], place: tuple[str | int, ...], value: str) -> dict[str, Any]:
    changed: Any = deepcopy(config)
    inner = changed
    for part in place[:-1]:
        inner = inner[part]
    inner[place[-1]] = value
    return changed  # type: ignore[no-any-return]


@pytest.mark.parametrize("place", NAMES, ids=lambda place: ".".join(map(str, place)))
def test_a_name_is_a_name(place: tuple[str | int, ...]) -> None:
    validate(TINY)
    for value in HOSTILE:
        with pytest.raises(ConfigError) as refused:
            validate(_with(TINY, place, value))
        assert f"`{'.'.join(map(str, place))}`" in str(refused.value), value


@pytest.mark.parametrize("key", ["dataset_settings", "generator_settings", "classifiers"])
def test_a_key_is_a_name(key: str) -> None:
    (settings, *_) = TINY[key].values()
    for value in HOSTILE:
        with pytest.raises(ConfigError, match=key):
            validate({**TINY, key: {**TINY[key], value: settings}})


@pytest.mark.parametrize("place", [("raw_dir",), ("preprocess", "label_map")], ids=".".join)
@pytest.mark.parametrize("value", ["a{b}", "a\nb", "a\x00", "-rf", ""])
def test_a_path_that_snakemake_would_read_otherwise_is_refused(place: tuple[str, ...], value: str) -> None:
    with pytest.raises(ConfigError) as refused:
        validate(_with({"preprocess": {}, **TINY}, place, value))
    assert f"`{'.'.join(place)}`" in str(refused.value)
