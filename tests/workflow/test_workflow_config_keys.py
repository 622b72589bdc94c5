"""``ecgpipe why`` names settings as config.yaml has them: every parameter of a job leads to a key that there is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from checkout import ROOT

from ecgpipe.config import Config, validate
from ecgpipe.workflow.config_keys import config_key
from ecgpipe.workflow.pending import Job, pending

MATRIX: dict[str, Any] = yaml.safe_load((ROOT / "configs" / "matrix.yaml").read_text())
NOT_SET = {"name"}
"""Parameters that no key sets: names of what a job is for."""


def _leads_to(config: dict[str, Any], key: str) -> bool:
    """Say whether a dotted key stands in a configuration; below a generator that it asks for, any does."""
    value: Any = config
    if key.startswith("generator_settings."):
        return key.split(".")[1] in config["generators"] and key.split(".")[2] in ("class", "train", "sample")
    for part in key.split("."):
        if not isinstance(value, dict):
            return True
        if part not in value:
            return False
        value = value[part]
    return True


def _leaves(settings: Any, key: str = "") -> list[str]:
    if not isinstance(settings, dict) or not settings:
        return [key]
    return [leaf for name, inner in settings.items() for leaf in _leaves(inner, f"{key}.{name}" if key else name)]


def test_every_parameter_of_every_job_is_named_by_a_key_of_the_config(tmp_path: Path) -> None:
    config = validate(MATRIX)
    (tmp_path / "matrix.yaml").write_text(yaml.safe_dump(MATRIX))
    dumped = config.model_dump(mode="json", by_alias=True)
    wrong, rules = [], set()
    for job in pending(["all", "--configfile", "matrix.yaml"], tmp_path):
        rules.add(job.rule)
        if job.rule == "report_page":
            continue  # its parameter is the configuration
        for leaf in _leaves(job.settings) if isinstance(job.settings, dict) else []:
            keys = config_key(job, leaf, config).split(" or ")
            if leaf not in NOT_SET and not all(_leads_to(dumped, key) for key in keys):
                wrong.append((job.rule, leaf, keys))
    assert wrong == []
    assert {"acquire", "preprocess", "generate", "sample", "classify_cross", "closeness_controls"} <= rules


@pytest.fixture
def config() -> Config:
    settings = {"diffwave": {"train": {"steps": 6}, "train_by_dataset": {"demo_ptbxl": {"width": 8}}}}
    return validate({**MATRIX, "generators": ["diffwave", "class_mean_pca"], "generator_settings": settings})


@pytest.mark.parametrize(
    ("rule", "wildcards", "parameter", "key"),
    [
        ("generate", {"generator": "diffwave-2"}, "train.steps", "generator_settings.diffwave.train.steps"),
        (
            "generate",
            {"generator": "diffwave"},
            "train.width",
            "generator_settings.diffwave.train_by_dataset.demo_ptbxl.width",
        ),
        ("generate", {"generator": "diffwave"}, "seed", "seed"),
        ("sample", {"generator": "diffwave"}, "sample.guidance", "generator_settings.diffwave.sample.guidance"),
        ("sample", {"generator": "diffwave"}, "number", "samples.number"),
        ("classify_transfer", {"generator": "diffwave"}, "fractions", "experiments.transfer.fractions"),
        ("classify_baselines", {}, "baselines", "experiments.baselines"),
        ("acquire", {}, "dataset.source.records", "dataset_settings.demo_ptbxl.source.records"),
        ("closeness_generator", {"generator": "diffwave"}, "draws", "closeness.bootstrap"),
        ("result_tables", {}, "repetitions", "experiments.generator_repetitions"),
        ("result_tables", {}, "rotate.demo_ptbxl", "dataset_settings.demo_ptbxl.rotate"),
        ("classify_real", {"dataset": "demo_ptbxl-2"}, "classifier.kind", "classifiers.demo.kind"),
        ("report_page", {}, "study.title", "study.title"),
    ],
)  # fmt: skip
def test_keys(rule: str, wildcards: dict[str, str], parameter: str, key: str, config: Config) -> None:
    job = Job(rule, {"dataset": "demo_ptbxl", **wildcards}, "", (), ())
    assert config_key(job, parameter, config) == key
