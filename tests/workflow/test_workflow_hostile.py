"""Whatever stands in a configuration: it is refused, or it is text. Nothing of it reaches a shell or a page as code."""

from __future__ import annotations

import html
import shutil
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from checkout import ROOT, copy_project

from ecgpipe.config import ConfigError, SimulatedSource, validate
from ecgpipe.simulator.run import simulate

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


FAILING = """
from ecgpipe.generate.class_mean_pca import GENERATOR


class Failing(GENERATOR):
    def fit(self, *args, **kwargs):
        raise RuntimeError("this generator fails")
"""
ODD = "it's $(touch pwned) `touch pwned` \"; touch pwned; #"
TITLE = f"{ODD} </title></script><script>touch(pwned)</script> {{output}} %s \\\n& done"


@pytest.mark.long
@pytest.mark.workflow
@pytest.mark.xdist_group("workflow")
def test_odd_paths_and_titles_are_text(tmp_path: Path) -> None:
    """The checkout, the raw data, a folder, the label map and the title have names that a shell would expand."""
    checkout = copy_project(tmp_path / ODD)
    theirs = tmp_path / f"theirs {ODD}"
    simulate(SimulatedSource(kind="simulated", records=120, seed=11), "ptbxl", 100, theirs)
    labels = tmp_path / f"labels {ODD}.csv"
    shutil.copyfile(ROOT / "ecgpipe" / "preprocess" / "rhythms7.csv", labels)
    (checkout.folder / "failing.py").write_text(FAILING)
    config = {key: value for key, value in TINY.items() if key not in ("dataset_settings", "generator_settings")}
    config |= {
        "study": {"title": TITLE},
        "raw_dir": str(tmp_path / f"raw {ODD}"),
        "preprocess": {"label_map": str(labels)},
        "datasets": ["odd"],
        "dataset_settings": {
            "odd": {"format": "ptbxl", "source": {"kind": "folder", "path": str(theirs)}, "classifier": "tiny"}
        },
        "generators": ["class_mean_pca", "failing"],
        "generator_settings": {"failing": {"class": "failing:Failing"}},
    }
    path = checkout.folder / checkout.config
    path.write_text(yaml.safe_dump(config))
    failed = checkout.snakemake("all", "--keep-going", check=False)
    assert failed.returncode != 0
    assert "this generator fails" in failed.stdout + failed.stderr
    path.write_text(yaml.safe_dump({**config, "generators": ["class_mean_pca"], "generator_settings": {}}))
    for target in ("all", "wfdb", "download_plan"):
        checkout.snakemake(target)
    for page in ("results/report/index.html", "results/partial/report/index.html"):
        text = (checkout.folder / page).read_text()
        assert "<script>touch" not in text
        assert "</title></script>" not in text
        assert html.escape("<script>touch(pwned)</script>") in text
    assert not [path for path in tmp_path.rglob("*") if path.name == "pwned"]
