"""After a run in which jobs failed: tables and a report of what is there, which say what is missing."""

from __future__ import annotations

import json
import logging
import tempfile
from pathlib import Path

from _setup import parser, running


def main() -> None:
    arguments = parser(__doc__, results=False)
    arguments.add_argument("--settings", required=True, help="JSON: the whole configuration")
    arguments.add_argument("--results", type=Path, required=True, help="folder of all results")
    arguments.add_argument("--out", type=Path, required=True, help="folder for tables and report")
    args = arguments.parse_args()
    with running(args) as ready:
        from ecgpipe.closeness.run import join_tables
        from ecgpipe.config import validate
        from ecgpipe.report.build import build as build_report
        from ecgpipe.report.provenance import git_state
        from ecgpipe.tables.build import Parameters
        from ecgpipe.tables.build import build as build_tables
        from ecgpipe.workflow.pending import pending
        from ecgpipe.workflow.study import Study

        ready()
        here = Path(__file__).resolve().parent
        study = Study(validate(json.loads(args.settings)), here)
        with tempfile.NamedTemporaryFile("w", suffix=".json") as config:
            config.write(args.settings)
            config.flush()
            # What a run would make anew is lost, or older than the config or the code.
            lost = {name for job in pending(["all", "--configfile", config.name]) for name in job.output}

        def current(path: Path) -> bool:
            return path.exists() and str(path) not in lost

        data = {name: args.results / "data" / name for name in study.datasets}
        data = {name: folder for name, folder in data.items() if current(folder / "records.parquet")}
        cells = [args.results / "classifiers" / name for name in study.classifier_folders]
        cells = [folder for folder in cells if current(folder / "predictions.parquet")]
        if not cells:
            logging.warning("jobs failed, and there is no classifier to report on yet")
            return
        benchmarks = [args.results / "benchmarks" / f"{name}.jsonl" for name in study.benchmarks]
        build_tables(
            Parameters.model_validate(json.loads(study.tables())),
            predictions=[folder / "predictions.parquet" for folder in cells],
            trainings=[folder / "training.parquet" for folder in cells],
            data={name: folder for name, folder in data.items() if name in study.config.datasets},
            benchmarks=[path for path in benchmarks if path.exists()],
            out=args.out / "tables",
        )
        folder = args.results / "closeness"
        parts = {
            table: [path for name in names if current(path := folder / f"{name}.parquet")]
            for table, names in study.closeness_parts.items()
        }
        if all(parts.values()):
            join_tables(parts, args.out / "tables")
        samples = {(d, g): args.results / "samples" / d / g for d, g in study.cells}
        models = {(d, g): args.results / "generators" / d / g for d, g in study.models}
        page = args.out / "report" / "index.html"
        build_report(
            study.config,
            tables=args.out / "tables",
            data=data,
            samples={cell: folder for cell, folder in samples.items() if current(folder / "records.parquet")},
            models={cell: folder for cell, folder in models.items() if current(folder / "model.json")},
            out=page,
            git=git_state(here.parent),
        )
        logging.warning("jobs failed: %s tells of the rest and names what is missing", page)


if __name__ == "__main__":
    main()
