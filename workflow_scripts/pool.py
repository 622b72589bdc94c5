"""Unite synthetic sets: one generator's of several datasets, or several generators' of one dataset."""

from __future__ import annotations

from pathlib import Path

import _repository  # noqa: F401

from ecgpipe.workflow.arguments import result_parser
from ecgpipe.workflow.running import running


def main() -> None:
    arguments = result_parser(__doc__)
    arguments.add_argument("--members", nargs="+", required=True, help="names that tell the sets apart")
    arguments.add_argument("--folders", type=Path, nargs="+", required=True, help="folder of each")
    arguments.add_argument("--out", type=Path, required=True, help="folder of the union")
    args = arguments.parse_args()
    inputs = [folder / file for folder in args.folders for file in ("signals.npy", "records.parquet")]
    with running(args, inputs=inputs) as ready:
        from ecgpipe.sample.pool import pool_samples

        ready()
        pool_samples(dict(zip(args.members, args.folders, strict=True)), args.out)


if __name__ == "__main__":
    main()
