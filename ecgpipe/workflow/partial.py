"""Tables and report of what is there after a run in which jobs failed."""

from __future__ import annotations

import json
import logging
import tempfile
from pathlib import Path

from ecgpipe.closeness.run import join_tables
from ecgpipe.config import validate
from ecgpipe.report.provenance import git_state
from ecgpipe.report.run import build_report
from ecgpipe.tables.run import Parameters, build_tables
from ecgpipe.workflow.pending import pending
from ecgpipe.workflow.study import Study

log = logging.getLogger(__name__)


def _outdated(settings: str) -> set[str]:
    """Return the outputs that a run would make anew: they are missing, or older than the config or the code."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as config:
        config.write(settings)
        config.flush()
        return {name for job in pending(["all", "--configfile", config.name]) for name in job.output}


def write_partial_results(settings: str, out: Path, *, repository: Path) -> None:
    """Write the tables and the report of all results that are up to date.

    Args:
        settings: the whole configuration, JSON.
        out: folder for ``tables/`` and ``report/``.
        repository: root of the checkout.
    """
    study = Study(validate(json.loads(settings)), repository / "workflow_scripts")
    outdated = _outdated(settings)

    def current(*paths: str) -> list[Path]:
        return [Path(path) for path in paths if Path(path).exists() and path not in outdated]

    predictions = current(*study.classified("predictions.parquet"))
    if not predictions:
        log.warning("jobs failed, and there is no classifier to report on yet")
        return
    shown = study.shown
    data = {name: Path(folder) for name, folder in shown["data"] if current(f"{folder}/records.parquet")}
    build_tables(
        Parameters.model_validate(json.loads(study.tables())),
        predictions=predictions,
        trainings=[path.with_name("training.parquet") for path in predictions],
        data={name: folder for name, folder in data.items() if name in study.config.datasets},
        jobs=[(Path(b), Path(p)) for b, p in study.measured if Path(b).exists()],
        out=out / "tables",
    )
    parts = {table: current(*names) for table, names in study.closeness_parts.items()}
    if all(parts.values()):
        join_tables(parts, out / "tables")
    page = out / "report" / "index.html"
    build_report(
        study.config,
        tables=out / "tables",
        data=data,
        samples={(d, g): Path(f) for d, g, f in shown["samples"] if current(f"{f}/records.parquet")},
        models={(d, g): Path(f) for d, g, f in shown["models"] if current(f"{f}/model.json")},
        out=page,
        git=git_state(repository),
    )
    log.warning("jobs failed: %s tells of the rest and names what is missing", page)
