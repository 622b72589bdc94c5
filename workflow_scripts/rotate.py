"""Give a prepared dataset the splits of another rotation of its folds."""

from __future__ import annotations

from pathlib import Path

import _repository  # noqa: F401

from ecgpipe.workflow.arguments import result_parser
from ecgpipe.workflow.running import running


def main() -> None:
    arguments = result_parser(__doc__)
    arguments.add_argument("--dataset", type=Path, required=True, help="folder of the dataset")
    arguments.add_argument("--rotation", type=int, required=True, help="number of the rotation, from 1")
    arguments.add_argument("--of", type=int, required=True, help="rotations")
    arguments.add_argument("--out", type=Path, required=True, help="folder of the rotation")
    args = arguments.parse_args()
    inputs = [args.dataset / file for file in ("signals.npy", "records.parquet")]
    with running(args, inputs=inputs) as ready:
        from ecgpipe.preprocess.rotate import rotate

        ready()
        rotate(args.dataset, args.rotation, args.of, args.out)


if __name__ == "__main__":
    main()
