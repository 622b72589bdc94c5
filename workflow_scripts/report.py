"""Write the report."""

from __future__ import annotations

import json
from pathlib import Path

import _repository  # noqa: F401

from ecgpipe.workflow.arguments import result_parser
from ecgpipe.workflow.running import running


def main() -> None:
    arguments = result_parser(__doc__)
    arguments.add_argument("--settings", required=True, help="JSON: the whole configuration")
    arguments.add_argument("--tables", type=Path, required=True, help="folder of the tables")
    arguments.add_argument("--shown", required=True, help="JSON: names and folders of datasets, samples and models")
    arguments.add_argument("--out", type=Path, required=True, help="page to write")
    args = arguments.parse_args()
    with running(args, inputs=sorted(args.tables.glob("*.parquet"))) as ready:
        from ecgpipe.config import validate
        from ecgpipe.report.provenance import git_state
        from ecgpipe.report.run import build_report

        ready()
        shown = json.loads(args.shown)
        build_report(
            validate(json.loads(args.settings)),
            tables=args.tables,
            data={name: Path(folder) for name, folder in shown["data"]},
            samples={(name, generator): Path(folder) for name, generator, folder in shown["samples"]},
            models={(name, generator): Path(folder) for name, generator, folder in shown["models"]},
            out=args.out,
            git=git_state(Path(__file__).resolve().parents[1]),
        )


if __name__ == "__main__":
    main()
