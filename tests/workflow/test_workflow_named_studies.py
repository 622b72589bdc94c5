"""A study with a folder of its own: no path of it lies among another study's results."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from checkout import ROOT

from ecgpipe.config import ConfigError, validate
from ecgpipe.workflow.estimates import estimates
from ecgpipe.workflow.jobs import JOBS
from ecgpipe.workflow.pending import pending
from ecgpipe.workflow.study import Study

MATRIX: dict[str, Any] = yaml.safe_load((ROOT / "configs" / "matrix.yaml").read_text())


def _study(**study: Any) -> Study:
    return Study(validate({**MATRIX, "study": study}), ROOT / "workflow_scripts")


def _paths(study: Study) -> Iterator[str]:
    """Yield every path that a study names, but those of raw records."""
    for kind in study.jobs.values():
        paths = [kind.log, kind.benchmark, kind.provenance, kind.checksums, kind.path("x")]
        yield from (own for path in paths if not (own := study.own(path)).startswith("results/raw/"))
    yield from (path for pair in study.measured for path in pair if not path.startswith("results/raw/"))
    yield from (path for paths in study.closeness_parts.values() for path in paths)
    yield from study.classified("predictions.parquet")
    yield from (row[-1] for rows in study.shown.values() for row in rows)
    yield study.pretrained_on(*study.config.datasets[:2])


def test_the_default_is_unchanged_whatever_the_name() -> None:
    for study in (_study(), _study(name="wide")):
        assert study.results == "results"
        assert study.jobs == JOBS
        assert {path.split("/")[0] for path in _paths(study)} == {"results"}


def test_all_paths_of_a_named_study_are_its_own_and_raw_records_are_shared() -> None:
    study = _study(name="wide", own_folder=True)
    found = list(_paths(study))
    assert len(found) > 100
    assert [path for path in found if not path.startswith("studies/wide/")] == []
    assert study.own(study.jobs["acquire"].provenance) == "results/raw/{dataset}.provenance.json"
    assert study.raw == "results/raw"


def test_snakemake_plans_it_there_beside_a_study_in_results(tmp_path: Path) -> None:
    """Every output of every rule, and every path in a command, is the study's own."""
    (tmp_path / "wide.yaml").write_text(yaml.safe_dump({**MATRIX, "study": {"name": "wide", "own_folder": True}}))
    jobs = pending(["all", "wfdb", "--configfile", "wide.yaml"], tmp_path)
    assert {"classify_cross", "classify_from_real", "pool", "export_wfdb", "report_page"} <= {job.rule for job in jobs}
    for job in jobs:
        paths = [*job.output, *(word for word in job.command if word.startswith(("results/", "studies/")))]
        elsewhere = [path for path in paths if not path.startswith("studies/wide/")]
        assert all(path.startswith("results/raw/") for path in elsewhere), (job.rule, elsewhere)
        assert "results/raw" in str(elsewhere) or job.rule not in ("acquire", "preprocess")
    assert not (tmp_path / "results").exists()


def test_estimates_are_those_of_the_studys_own_plan(tmp_path: Path) -> None:
    from ecgpipe.files import write_json
    from ecgpipe.workflow.pending import Job

    write_json(tmp_path / "results/plan.json", [{"rule": "generate", "name": "a/g", "seconds": 7.0}])
    write_json(tmp_path / "studies/wide/plan.json", [{"rule": "generate", "name": "a/g", "seconds": 9.0}])
    job = Job("generate", {"dataset": "a", "generator": "g"}, "", (), ())
    assert estimates([job], tmp_path) == [7.0]
    assert estimates([job], tmp_path, "studies/wide") == [9.0]


@pytest.mark.parametrize("name", ["../up", "a/b", "..", ".", "", "a\\b", "/x", "1st", "a b", "ä", "x" * 41, "a\nb"])
def test_a_name_that_is_no_folder_is_one_error(name: str) -> None:
    with pytest.raises(ConfigError) as told:
        _study(name=name, own_folder=True)
    (line,) = str(told.value).splitlines()[1:]
    assert line.startswith("  - `study.name`: ")
    assert "must begin with a letter, contain only letters, digits and _" in line


@pytest.mark.parametrize("folder", ["studies", "studies/wide", "studies/other/raw", "./studies/../studies/x"])
def test_raw_records_do_not_lie_among_studies(folder: str) -> None:
    with pytest.raises(ConfigError, match=r"`raw_dir`: .* is or holds studies"):
        validate({**MATRIX, "raw_dir": folder})
