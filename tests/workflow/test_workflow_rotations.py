"""A dataset whose folds rotate: its jobs, what an edit of `rotate` reruns, and a small study from end to end."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from checkout import ROOT, Checkout, copy_project

from ecgpipe.config import ConfigError, validate
from ecgpipe.workflow import plan
from ecgpipe.workflow.study import Study

STUDY: dict[str, Any] = {
    "study": {"title": "Rotated folds", "name": "rotated"},
    "datasets": ["demo"],
    "dataset_settings": {
        "demo": {
            "format": "ptbxl",
            "source": {"kind": "simulated", "records": 120, "seed": 11, "hospital": "a"},
            "classifier": "tiny",
            "rotate": 2,
        }
    },
    "generators": ["class_mean_pca"],
    "samples": {"number": 70, "labels": "uniform", "chunk": 35},
    "classifiers": {"tiny": {"blocks": 3, "channels": 4, "kernel": 7, "width": 16, "dense_layers": 1, "epochs": 2}},
    "experiments": {
        "settings": ["TrRTeR", "TrSTeR", "TrRSTeR", "TrSTeS"],
        "fractions": [1.0],
        "transfer": {"fractions": []},
        "seeds": [0, 1],
    },
    "statistics": {"bootstrap": 100},
    "compute": {"threads": 1, "workers": 1},
}


def _study(rotate: int | None = 2, **changes: Any) -> Study:
    raw = json.loads(json.dumps({**STUDY, **changes}))
    raw["dataset_settings"]["demo"]["rotate"] = rotate
    return Study(validate(raw), ROOT / "workflow_scripts")


def _names(study: Study) -> list[str]:
    return [kind.name.format(**wildcards) for kind, wildcards in study.table_jobs]


def test_each_further_rotation_has_jobs_of_its_own_and_the_first_keeps_its_names() -> None:
    before, after = _names(_study(None)), _names(_study(3))
    assert set(before) < set(after)
    assert sorted(set(after) - set(before)) == sorted(
        name
        for number in (2, 3)
        for name in (
            f"rotate/demo-{number}",
            f"generate/demo-{number}/class_mean_pca",
            f"sample/demo-{number}/class_mean_pca",
            f"classify/demo-{number}/real",
            f"classify/demo-{number}/class_mean_pca/augmentation",
        )
    )
    # Closeness, and what the report shows, are those of the first.
    assert _study(3).shown == _study(None).shown
    assert _study(3).closeness_parts == _study(None).closeness_parts


def test_rotations_have_the_settings_of_their_dataset_and_draw_other_samples() -> None:
    settings = {"class_mean_pca": {"train_by_dataset": {"demo": {"components": 5}}}}
    study = _study(3, generator_settings=settings)
    assert [study.rotation(name) for name in ("demo-2", "demo-3")] == [[2, 3], [3, 3]]
    first, second = (json.loads(study.training(name, "class_mean_pca")) for name in ("demo", "demo-2"))
    assert first == second
    assert first["train"] == {"components": 5}
    drawn = [json.loads(study.sampling(name, "class_mean_pca"))["seed"] for name in ("demo", "demo-2", "demo-3")]
    assert len(set(drawn)) == 3
    assert study.classification("demo-2", "real") == study.classification("demo", "real")
    assert json.loads(study.tables())["rotate"] == {"demo": 3}


@pytest.mark.parametrize(
    ("experiments", "key"), [({"cross": True}, "cross"), ({"transfer": {"from_real": True}}, "transfer.from_real")]
)
def test_experiments_between_datasets_are_refused(experiments: dict[str, Any], key: str) -> None:
    other = {**STUDY["dataset_settings"]["demo"], "source": {"kind": "simulated", "records": 120, "seed": 12}}
    del other["rotate"]
    with pytest.raises(ConfigError, match=rf"`experiments.{key}` uses one split of each dataset, and demo has several"):
        _study(
            2,
            datasets=["demo", "other"],
            dataset_settings={**STUDY["dataset_settings"], "other": other},
            experiments=experiments,
        )


def test_the_plan_says_what_rotations_cost_and_gain(tmp_path: Path) -> None:
    config = _study(5).config
    planner = plan.Planner(config, tmp_path)
    assert plan.split_records(config, "demo") == (84, 36)
    assert planner.disk() == (120 + 5 * 70) * 12 * 1000 * 4
    (line,) = planner.rotations()
    assert "5 rotations" in line
    assert "5 times the trainings" in line
    assert "run `ecgpipe run data`" in line
    records = [("test" if i < 20 else "train", rhythm, f"{rhythm}{i}") for rhythm in ("SR", "AFIB") for i in range(100)]
    (tmp_path / "data" / "demo").mkdir(parents=True)
    frame = pd.DataFrame(records, columns=["split", "label", "patient"])
    frame.to_parquet(tmp_path / "data" / "demo" / "records.parquet")
    (line,) = planner.rotations()
    assert "200 patients in place of 40" in line
    after, before = (float(word.rstrip(",.")) for word in line.split() if word.startswith("0."))
    assert before / 5**0.5 < after < before  # five times as many patients, as many seeds
    assert planner.claims()  # with all patients
    assert not plan.Planner(_study(None).config, tmp_path).rotations()


def _written(checkout: Checkout, rotate: int | None) -> None:
    raw = json.loads(json.dumps(STUDY))
    raw["dataset_settings"]["demo"]["rotate"] = rotate
    (checkout.folder / checkout.config).write_text(yaml.safe_dump(raw))


@pytest.mark.workflow
@pytest.mark.xdist_group("workflow")
def test_the_jobs_of_a_rotated_study(tmp_path: Path) -> None:
    checkout = copy_project(tmp_path / "project")
    _written(checkout, 3)
    once = ("acquire", "preprocess", "closeness_controls", "closeness_generator", "closeness_tables")
    each = ("generate", "sample", "classify_real", "classify_augmentation")
    assert checkout.pending("all") == {
        **dict.fromkeys(once, 1),
        "rotate": 2,
        **dict.fromkeys(each, 3),
        "result_tables": 1,
        "report_page": 1,
    }


@pytest.mark.long
@pytest.mark.workflow
@pytest.mark.xdist_group("workflow")
def test_a_rotated_study_from_end_to_end(tmp_path: Path) -> None:
    checkout = copy_project(tmp_path / "project")
    _written(checkout, 2)
    checkout.snakemake("all")
    results = checkout.folder / "results"
    tested: Counter[str] = Counter()
    for name in ("demo", "demo-2"):
        records = pd.read_parquet(results / "data" / name / "records.parquet")
        sides = records.groupby("split")["patient"].agg(set)
        assert not sides["test"] & (sides["train"] | sides["validation"])
        found = pd.read_parquet(results / "classifiers" / name / "real" / "predictions.parquet")
        assert set(found["record"]) == set(records["record"][records["split"] == "test"])
        tested.update(found[found["seed"] == 0]["record"])
    assert tested == Counter(records["record"])  # each record once
    comparisons = pd.read_parquet(results / "tables" / "comparisons.parquet")
    assert set(comparisons["dataset"]) == {"demo"}
    assert set(comparisons["support"]) == {len(records)}
    page = (results / "report" / "index.html").read_text()
    assert "in one of 2 rotations" in page
    assert "demo-2" not in pd.read_csv(results / "report" / "tables" / "summary.csv")["dataset"].unique()
    assert "2 rotations of its own folds of patients" in (results / "report" / "methods.md").read_text()
    assert checkout.pending("all") == {}
    # Without rotations there is nothing to train, the first having the same names; with other ones, all.
    after = {"closeness_tables": 1, "result_tables": 1, "report_page": 1}
    _written(checkout, 3)
    edited = checkout.pending("all")
    assert edited["rotate"] == 2
    assert edited["generate"] == edited["classify_real"] == edited["classify_augmentation"] == 3
    assert {**edited, **after} == edited
    _written(checkout, None)
    alone = checkout.pending("all")
    assert "rotate" not in alone
    assert alone["preprocess"] == alone["generate"] == alone["classify_real"] == 1
