"""Write the report."""

from __future__ import annotations

import json
from pathlib import Path

from _setup import parser, running


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--settings", required=True, help="JSON: the whole configuration")
    arguments.add_argument("--results", type=Path, required=True, help="folder of all results")
    arguments.add_argument("--out", type=Path, required=True, help="page to write")
    args = arguments.parse_args()
    with running(args, inputs=sorted((args.results / "tables").glob("*.parquet"))) as ready:
        from ecgpipe.config import validate
        from ecgpipe.report.provenance import git_state
        from ecgpipe.report.run import build_report
        from ecgpipe.workflow.study import Study

        ready()
        here = Path(__file__).resolve().parent
        study = Study(validate(json.loads(args.settings)), here)
        build_report(
            study.config,
            tables=args.results / "tables",
            data={name: args.results / "data" / name for name in study.datasets},
            samples={(d, g): args.results / "samples" / d / g for d, g in study.cells},
            models={(d, g): args.results / "generators" / d / g for d, g in study.models},
            out=args.out,
            git=git_state(here.parent),
        )


if __name__ == "__main__":
    main()
