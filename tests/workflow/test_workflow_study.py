"""What a study is made of."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from checkout import ROOT

from ecgpipe.config import load, validate
from ecgpipe.workflow import code_digest
from ecgpipe.workflow.study import Study


def test_the_extended_study_has_real_pretraining_though_its_datasets_differ_in_classifier() -> None:
    config = load(ROOT / "configs" / "paper_extended.yaml")
    study = Study(config, ROOT / "workflow_scripts")
    assert {name: study.real_pretraining_sets(name) for name in config.datasets} == {
        "ptbxl": ["chapman"],
        "chapman": ["ptbxl"],
        "merged": [],
    }
    assert study.pretrained_on("chapman", "ptbxl") == "results/classifiers/chapman/real/for_ptbxl"
    pretraining = json.loads(study.pretraining("ptbxl"))
    transfer = json.loads(study.classification("ptbxl", "transfer"))
    assert pretraining["classifier"] == transfer["classifier"] != json.loads(study.pretraining("chapman"))["classifier"]
    assert pretraining["fractions"] == [1.0]
    assert "results/benchmarks/classify/chapman/real/for_ptbxl.jsonl" in dict(study.measured)


def test_repetitions_of_generators_are_trained_and_sampled_with_seeds_of_their_own() -> None:
    raw = load(ROOT / "configs" / "tiny.yaml").model_dump(mode="json", by_alias=True)
    once, config = (
        validate({**raw, "experiments": {**raw["experiments"], "generator_repetitions": number}}) for number in (1, 2)
    )
    study = Study(config, ROOT / "workflow_scripts")
    names = [kind.name.format(**wildcards) for kind, wildcards in study.table_jobs]
    before = [kind.name.format(**wildcards) for kind, wildcards in Study(once, ROOT / "workflow_scripts").table_jobs]
    assert sorted(set(names) - set(before)) == [
        "generate/demo_chapman/diffwave-2",
        "generate/demo_ptbxl/diffwave-2",
        "pool/demo_merged/diffwave-2",
        "sample/demo_chapman/diffwave-2",
        "sample/demo_ptbxl/diffwave-2",
    ]
    first, second = (json.loads(study.training("demo_ptbxl", name)) for name in ("diffwave", "diffwave-2"))
    assert first["seed"] != second["seed"]
    assert {**first, "seed": 0} == {**second, "seed": 0}
    assert json.loads(study.training("demo_chapman", "diffwave-2"))["seed"] != second["seed"]
    drawn = [json.loads(study.sampling("demo_ptbxl", name)) for name in ("diffwave", "diffwave-2")]
    assert drawn[0]["seed"] != drawn[1]["seed"]
    assert study.generator_code("generate", "diffwave") == study.generator_code("generate", "diffwave-2")
    assert study.shown == Study(once, ROOT / "workflow_scripts").shown  # the report shows the first


def test_the_code_of_a_classifier_counts_for_the_datasets_that_use_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    raw = load(ROOT / "configs" / "tiny.yaml").model_dump(mode="json", by_alias=True)
    raw["dataset_settings"]["demo_ptbxl"]["classifier"] = "mine"
    raw["classifiers"]["mine"] = {"class": "counted_network:Net"}
    study = Study(validate(raw), ROOT / "workflow_scripts")

    def codes(text: str) -> dict[str, str]:
        (tmp_path / "counted_network.py").write_text(text)
        for cached in (code_digest.digest, code_digest._file_digest, code_digest._parse, code_digest._imports):
            cached.cache_clear()
        found = {name: study.classifier_code("classify", name) for name in study.config.datasets}
        return {**found, "generator": study.generator_code("generate", "diffwave")}

    before, after = codes("class Net: pass\n"), codes("class Net: x = 1\n")
    assert {name for name in before if before[name] != after[name]} == {"demo_ptbxl"}
    assert before["demo_chapman"] == study.code("classify")
    assert codes("class Net: x = 1  # a comment\n") == after


def test_networks_of_the_same_classifier_are_not_trained_again_to_start_from() -> None:
    study = Study(load(ROOT / "configs" / "matrix.yaml"), ROOT / "workflow_scripts")
    used = [
        study.pretrained_on(other, name)
        for name in study.config.datasets
        for other in study.real_pretraining_sets(name)
    ]
    assert len(used) == 2
    assert {f"{folder}/predictions.parquet" for folder in used} <= set(study.classified("predictions.parquet"))


def test_full_studies_judge_the_controls_privacy():
    parts = {}
    for name in ("tiny", "paper"):
        study = Study(load(ROOT / "configs" / f"{name}.yaml"), ROOT / "workflow_scripts")
        assert study.config.closeness.measures == {"tiny": "quick", "paper": "full"}[name]
        parts[name] = [part for part in study.closeness_parts["privacy"] if part.count("/") == 3]
        expected = [f"results/closeness/{dataset}/privacy.parquet" for dataset in study.config.datasets]
    assert parts == {"tiny": [], "paper": expected}


def test_models_keep_how_the_study_draws_from_them(tmp_path: Path) -> None:
    study = Study(load(ROOT / "configs" / "tiny.yaml"), ROOT / "workflow_scripts")
    trained, untrained = tmp_path / "demo_ptbxl" / "diffwave", tmp_path / "demo_chapman" / "diffwave"
    trained.mkdir(parents=True)
    (trained / "model.json").write_text("{}")
    study.keep_sampling(tmp_path)
    kept = json.loads((trained / "sampling.json").read_text())
    assert kept == {"generator": "diffwave", "sample": {"sampler": "ddim", "evaluations": 3, "guidance": 1.0}}
    assert not untrained.exists()
    stamp = (trained / "sampling.json").stat().st_mtime_ns
    study.keep_sampling(tmp_path)
    assert (trained / "sampling.json").stat().st_mtime_ns == stamp
    study.config.generator_settings["diffwave"].sample["guidance"] = 3.0
    study.keep_sampling(tmp_path)
    assert json.loads((trained / "sampling.json").read_text())["sample"]["guidance"] == 3.0


def test_each_repetition_keeps_how_the_study_draws_from_it(tmp_path: Path) -> None:
    raw = yaml.safe_load((ROOT / "configs" / "tiny.yaml").read_text())
    raw["experiments"]["generator_repetitions"] = 2
    second = tmp_path / "demo_ptbxl" / "diffwave-2"
    second.mkdir(parents=True)
    (second / "model.json").write_text("{}")
    Study(validate(raw), ROOT / "workflow_scripts").keep_sampling(tmp_path)
    assert json.loads((second / "sampling.json").read_text())["generator"] == "diffwave"
