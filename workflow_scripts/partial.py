"""After a run in which jobs failed: tables and a report of what is there, which say what is missing."""

from __future__ import annotations

from pathlib import Path

import _repository  # noqa: F401

from ecgpipe.workflow.arguments import job_parser
from ecgpipe.workflow.running import running


def main() -> None:
    arguments = job_parser(__doc__)
    arguments.add_argument("--settings", required=True, help="JSON: the whole configuration")
    arguments.add_argument("--out", type=Path, required=True, help="folder for tables and report")
    args = arguments.parse_args()
    with running(args) as ready:
        from ecgpipe.workflow.partial import write_partial_results

        ready()
        write_partial_results(args.settings, args.out, repository=Path(__file__).resolve().parents[1])


if __name__ == "__main__":
    main()
