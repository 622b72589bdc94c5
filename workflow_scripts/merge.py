"""Unite prepared datasets into one."""

from __future__ import annotations

from pathlib import Path

import _repository  # noqa: F401

from ecgpipe.workflow.arguments import result_parser
from ecgpipe.workflow.running import running


def main() -> None:
    arguments = result_parser(__doc__)
    arguments.add_argument("--members", nargs="+", required=True, help="names of the datasets")
    arguments.add_argument("--data", type=Path, required=True, help="folder that holds them")
    arguments.add_argument("--out", type=Path, required=True, help="folder of the union")
    args = arguments.parse_args()
    inputs = [args.data / name / file for name in args.members for file in ("signals.npy", "records.parquet")]
    with running(args, inputs=inputs) as ready:
        from ecgpipe.preprocess.run import merge

        ready()
        merge({name: args.data / name for name in args.members}, args.out)


if __name__ == "__main__":
    main()
