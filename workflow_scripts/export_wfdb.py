"""Export one generator's synthetic set as WFDB records."""

from __future__ import annotations

from pathlib import Path

import _repository  # noqa: F401

from ecgpipe.workflow.arguments import result_parser
from ecgpipe.workflow.running import running


def main() -> None:
    arguments = result_parser(__doc__)
    arguments.add_argument("--dataset", type=Path, required=True, help="folder of the synthetic set")
    arguments.add_argument("--label-map", required=True, help="`rhythms7` or a CSV: codes of the classes")
    arguments.add_argument("--out", type=Path, required=True, help="folder to make")
    args = arguments.parse_args()
    with running(args, inputs=[args.dataset / "signals.npy", args.dataset / "records.parquet"]) as ready:
        from ecgpipe.sample.export import export_wfdb

        ready()
        export_wfdb(args.dataset, args.out, args.label_map)


if __name__ == "__main__":
    main()
