"""``ecgpipe plan`` counts and times a study; ``ecgpipe took`` puts beside it what it took."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from generate.tiny_vqvae import NETWORKS

from ecgpipe.config import GeneratorSettings, load, validate
from ecgpipe.workflow import plan
from ecgpipe.workflow.calibrate import GeneratorSpeed
from ecgpipe.workflow.pending import Job, read_jobs

ROOT = Path(__file__).resolve().parents[2]
CONFIG = load(ROOT / "configs" / "tiny.yaml")


def _job(rule: str, script: str, settings: object, **wildcards: str) -> Job:
    folder = f"results/{rule}"
    command = (
        "python",
        f"x/{script}.py",
        "--settings",
        json.dumps(settings),
        "--provenance",
        f"{folder}/provenance.json",
    )
    return Job(rule, wildcards, "Missing output files: x", (folder,), command)


SETTINGS = {"fractions": [0.5, 1.0], "seeds": [0, 1, 2], "classifier": {}}


@pytest.mark.parametrize(
    ("script", "settings", "expected"),
    [
        ("generate", {}, 1),
        ("sample", {}, 0),
        ("classify", SETTINGS, 6),
        ("classify", {**SETTINGS, "methods": ["frozen", "finetuned"]}, 12),
        ("classify", {**SETTINGS, "settings": ["TrSTeR"], "ratios": ["all"]}, 3),
        ("classify", {**SETTINGS, "settings": ["TrSTeR", "TrRSTeR"], "ratios": ["all", 1.0]}, 15),
    ],
)
def test_trainings_are_counted(script: str, settings: object, expected: int) -> None:
    assert plan.trainings(script, settings) == expected


def test_ratios_that_there_are_too_few_samples_for_are_not_counted() -> None:
    settings = {**SETTINGS, "fractions": [0.1, 1.0], "settings": ["TrRSTeR"], "ratios": ["all", 4.0, "balance"]}
    assert plan.trainings("classify", settings, real=100, synthetic=56) == 3 * 5  # at all records 400 are wanted
    job = _job("classify_augmentation", "classify", settings, dataset="demo_ptbxl", generator="diffwave")
    assert plan.Planner(CONFIG, Path("nowhere"))._trainings(job) == 3 * 5


def test_training_records_are_those_of_the_splits_of_the_config() -> None:
    raw = CONFIG.model_dump(mode="json", by_alias=True)
    assert [plan.training_records(CONFIG, name) for name in CONFIG.datasets] == [96, 96, 192]
    raw["dataset_settings"]["demo_ptbxl"]["folds"] = {
        "train": [1, 2, 3, 4, 5],
        "validation": [6],
        "test": [7, 8, 9, 10],
    }
    raw["dataset_settings"]["demo_chapman"]["shares"] = {"train": 0.7, "validation": 0.1, "test": 0.2}
    raw["dataset_settings"]["demo_chapman"]["training_share"] = 0.5
    other = validate(raw)
    assert [plan.training_records(other, name) for name in other.datasets] == [60, 42, 102]
    # 84 of Chapman's records train; the other half of them is not held out.
    assert [plan.split_records(other, name) for name in other.datasets] == [(60, 60), (42, 36), (102, 96)]
    job = _job("closeness_controls", "closeness", {}, dataset="demo_chapman")
    assert plan.Planner(other, Path("nowhere")).size(job, 0) == 36 + 42


def test_disk_of_the_tiny_study() -> None:
    planner = plan.Planner(CONFIG, Path("nowhere"))
    real, synthetic = 120 + 120 + 240, 3 * 70
    assert planner.disk() == (real + synthetic) * 12 * 1000 * 4
    assert planner.downloads() == []


def test_estimates_and_what_it_took(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # away from what a study in this checkout has fetched
    monkeypatch.setattr(plan, "generator_speed", lambda *_: GeneratorSpeed(training=100.0, record=0.5))
    monkeypatch.setattr(plan, "classifier_seconds", lambda *_: 2.0)
    for name, seconds in (("a", 10.0), ("b", 30.0)):
        (tmp_path / "results" / "data" / name).mkdir(parents=True)
        made = {"job": "preprocess", "seconds": seconds}
        (tmp_path / "results" / "data" / name / "provenance.json").write_text(json.dumps(made))
    planner = plan.Planner(CONFIG, tmp_path / "results")
    where = {"dataset": "demo_ptbxl", "generator": "diffwave"}
    jobs = [
        _job("acquire", "acquire", {}, dataset="demo_ptbxl"),
        _job("preprocess", "preprocess", {}, dataset="demo_ptbxl"),
        _job("generate", "generate", {}, **where),
        _job("sample", "sample", {"number": 70}, **where),
        _job("classify_real", "classify", SETTINGS, dataset="demo_ptbxl"),
    ]
    jobs += [
        _job("closeness_generator", "closeness", {}, **where),
        _job("result_tables", "tables", {}),
        _job("export_wfdb", "export_wfdb", {}, **where),
    ]
    estimates = planner.estimates(jobs)
    held_out, drawn = 24, 70
    rough = [5 + 1 + 0.005 * 120, 5 + 6 + 0.018 * (held_out + drawn), 5 + 8 + 0.068 * (1 + 6)]
    assert [e.seconds for e in estimates] == [rough[0], 20.0, 105.0, 40.0, 17.0, rough[1], rough[2], None]
    table = plan.table(estimates)
    assert (
        "Only roughly, until they have run once in this folder: acquire, closeness_generator, result_tables." in table
    )
    assert "not in the time, until they have run once in this folder: export_wfdb." in table
    rows = {line[:24].strip(): line[24:].split() for line in table.splitlines()}
    assert rows["in all, where known"] == ["8", "7", f"{182 + sum(rough):.0f}", "s"]
    assert rows["of that on GPUs"] == (["0", "s"] if not torch.cuda.is_available() else ["162", "s"])
    plan.save(estimates, tmp_path)
    os.utime(tmp_path / f"results/{plan.PLAN}", (0, 0))
    (tmp_path / "results/generate").mkdir()
    (tmp_path / "results/generate/provenance.json").write_text(json.dumps({"job": "generate", "seconds": 90.0}))
    (tmp_path / "results/acquire").mkdir()
    (tmp_path / "results/acquire/provenance.json").write_text(json.dumps({"job": "acquire", "seconds": 3.0}))
    rows = {line[:24].strip(): line[24:].split() for line in plan.took(tmp_path).splitlines()[1:]}
    assert rows["generate"] == ["1", "of", "1", "105", "s", "90", "s"]
    assert rows["sample"] == ["0", "of", "1", "0", "s", "0", "s"]
    assert rows["acquire"] == ["1", "of", "1", "7", "s", "3", "s"]
    assert rows["export_wfdb"] == ["0", "of", "1", "0", "s", "0", "s"]
    assert rows["all with an estimate"] == ["2", "of", "7", "112", "s", "93", "s"]


def test_full_closeness_and_sources_that_must_be_asked_are_not_guessed() -> None:
    where = {"dataset": "demo_merged", "generator": "diffwave"}
    job = _job("closeness_generator", "closeness", {}, **where)
    quick = plan.Planner(CONFIG, Path("nowhere"))
    assert quick.size(job, 0) == 48 + 2 * 70
    assert quick.size(_job("closeness_controls", "closeness", {}, dataset="demo_merged"), 0) == 240
    full = CONFIG.closeness.model_copy(update={"measures": "full"})
    config = CONFIG.model_copy(update={"closeness": full})
    assert plan.Planner(config, Path("nowhere")).size(job, 0) is None


def test_what_claims_could_show_follows_from_the_test_patients(tmp_path: Path) -> None:
    planner = plan.Planner(CONFIG, tmp_path)
    assert "run `ecgpipe run data`" in planner.claims()[0]
    for name in CONFIG.datasets:
        records = [("test", rhythm, f"p{i // 2}") for rhythm in ("SR", "AFIB") for i in range(100)]
        frame = pd.DataFrame([*records, ("train", "SR", "q")], columns=["split", "label", "patient"])
        (tmp_path / "data" / name).mkdir(parents=True)
        frame.to_parquet(tmp_path / "data" / name / "records.parquet")
        assert planner._test_patients(name) == {"SR": 50, "AFIB": 50}
    assert "Decided by" in planner.claims()[0]


def test_no_claim_is_about_a_dataset_of_which_training_records_are_left_out(tmp_path: Path) -> None:
    raw = CONFIG.model_dump(mode="json", by_alias=True)
    raw["dataset_settings"]["demo_ptbxl"]["training_share"] = 0.5
    config = validate(raw)
    for name in ("demo_ptbxl", "demo_merged"):  # if these counted, the claims would be known without Chapman's
        (tmp_path / "data" / name).mkdir(parents=True)
        records = [("test", "SR", f"p{i}") for i in range(50)]
        frame = pd.DataFrame(records, columns=["split", "label", "patient"])
        frame.to_parquet(tmp_path / "data" / name / "records.parquet")
    one, merged, *_ = plan.Planner(config, tmp_path).claims()
    assert "run `ecgpipe run data`" in one
    assert merged.endswith("Not part of this study.")


def test_past_closeness_jobs_are_told_apart(tmp_path: Path) -> None:
    for name, seconds in (("demo_ptbxl/diffwave", 10.0), ("demo_ptbxl", 40.0)):
        (tmp_path / "results/closeness" / name).mkdir(parents=True, exist_ok=True)
        made = json.dumps({"job": "closeness", "seconds": seconds})
        (tmp_path / "results/closeness" / name / "provenance.json").write_text(made)
    jobs = [
        _job("closeness_generator", "closeness", {}, dataset="demo_ptbxl", generator="diffwave"),
        _job("closeness_controls", "closeness", {}, dataset="demo_ptbxl"),
    ]
    estimates = plan.Planner(CONFIG, tmp_path / "results").estimates(jobs)
    assert [(e.seconds, e.basis) for e in estimates] == [(10.0, "past"), (40.0, "past")]


def test_without_a_plan_there_is_nothing_to_compare(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="run `ecgpipe plan` before"):
        plan.took(tmp_path)


def test_calibration_of_a_generator_without_steps_and_of_a_network() -> None:
    from ecgpipe.workflow.calibrate import classifier_seconds, generator_speed

    name = "class_mean_pca"
    speed = generator_speed(name, CONFIG.generator(name), 100.0, 1000, 1)
    assert speed.training > 0
    assert speed.record > 0
    settings = CONFIG.classifiers["tiny"]
    one = classifier_seconds(settings.model_copy(update={"steps": 100}), 100.0, 1000, 96)
    assert one > 0
    assert classifier_seconds(settings.model_copy(update={"steps": 100}), 100.0, 1000, 96, 3, 2) > 0
    network = generator_speed("diffwave", CONFIG.generator("diffwave"), 100.0, 1000, 1)
    assert np.isfinite(network.training)
    assert network.training > 0


def test_calibration_counts_every_stage_of_a_training_to_its_end() -> None:
    from ecgpipe.workflow.calibrate import generator_speed

    stages = {stage: {"steps": 10**6} for stage in ("stage1", "lf_prior", "hf_prior")}
    gated = {**NETWORKS, "reconstruction_bound": 1e-9, **stages}
    speed = generator_speed("time_vqvae", GeneratorSettings(train=gated), 100.0, 64, 1)
    # No stage has a step below 10 us; a stage counted for its calibration's few steps alone would take less in all.
    assert speed.training > 3 * 10**6 * 1e-5


def test_calibration_counts_the_stages_of_drafts() -> None:
    from ecgpipe.workflow.calibrate import generator_speed

    small = {"channels": 8, "layers": 1, "cycle": 1, "steps": 1}
    long = {"beats": {"steps": 10**6, "width": 8, "batch": 8}, "mean_beat": {"steps": 10**6, "width": 8, "batch": 8}}
    given = GeneratorSettings(train={**small, "draft_models": long})
    assert generator_speed("diffwave", given, 100.0, 1000, 1).training > 2 * 10**6 * 1e-5


def test_events_of_a_dry_run_are_read() -> None:
    command = """python "${ECGPIPE_SCRIPTS}/generate.py" \\
    --settings '{"a": "it'"'"'s"}' \\
    --code 12"""
    said = {
        "rule_name": "generate",
        "wildcards": {"dataset": "d", "generator": "g"},
        "reason": "Params have changed since last execution",
        "output": ["results/x", "results/y"],
        "shellcmd": command,
    }
    merge = {
        "rule_name": "merge",
        "wildcards": {"dataset": "m"},
        "reason": "Input files updated by another job: results/a",
        "output": ["results/m"],
        "shellcmd": 'python "${ECGPIPE_SCRIPTS}/merge.py" --code 13',
    }
    target = {"rule_name": "all", "wildcards": {}, "reason": "", "output": [], "shellcmd": None}
    job, second = read_jobs(json.dumps(event) for event in (said, merge, target))
    assert job.rule == "generate"
    assert job.output == ("results/x", "results/y")
    assert job.settings == {"a": "it's"}
    assert (job.script, job.name, job.argument("--code"), job.follows) == ("generate", "d/g", "12", False)
    assert (second.rule, second.name, second.output, second.follows) == ("merge", "m", ("results/m",), True)
