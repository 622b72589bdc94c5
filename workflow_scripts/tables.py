"""Turn all predictions of the study into its tables."""

from __future__ import annotations

import json
from pathlib import Path

from _setup import parser, running


def main() -> None:
    arguments = parser(__doc__)
    for name in ("predictions", "training", "records", "excluded"):
        arguments.add_argument(f"--{name}", type=Path, nargs="+", required=True, help=f"{name}.parquet files")
    arguments.add_argument("--benchmarks", type=Path, required=True, help="folder of Snakemake's benchmark files")
    arguments.add_argument("--settings", required=True, help="JSON: statistics, settings, fractions, transfer, seed")
    arguments.add_argument("--out", type=Path, required=True, help="folder of the tables")
    args = arguments.parse_args()
    with running(args.log):
        from ecgpipe.tables.build import build

        build(
            args.predictions,
            args.training,
            args.records,
            args.excluded,
            args.benchmarks,
            args.out,
            json.loads(args.settings),
        )


if __name__ == "__main__":
    main()
