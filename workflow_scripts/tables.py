"""Turn all predictions of the study into its tables."""

from __future__ import annotations

import json
import logging
from pathlib import Path

from _setup import parser, running


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--predictions", type=Path, nargs="+", required=True, help="predictions.parquet files")
    arguments.add_argument("--training", type=Path, nargs="+", required=True, help="training.parquet files")
    arguments.add_argument("--data", type=Path, nargs="+", required=True, help="folders of the datasets")
    arguments.add_argument("--benchmarks", type=Path, nargs="+", required=True, help="Snakemake's benchmark files")
    arguments.add_argument("--settings", required=True, help="JSON: statistics, what is reported, seed")
    arguments.add_argument("--out", type=Path, required=True, help="folder of the tables")
    args = arguments.parse_args()
    inputs = [*args.predictions, *args.training, *(folder / "records.parquet" for folder in args.data)]
    with running(args, inputs=inputs) as ready:
        from ecgpipe.tables.run import Parameters, build_tables

        ready()
        lost = [str(path) for path in args.benchmarks if not path.exists()]
        if lost:
            logging.warning("runtime.parquet leaves out jobs whose benchmark files are gone: %s", ", ".join(lost))
        build_tables(
            Parameters.model_validate(json.loads(args.settings)),
            predictions=args.predictions,
            trainings=args.training,
            data={folder.name: folder for folder in args.data},
            benchmarks=[path for path in args.benchmarks if path.exists()],
            out=args.out,
        )


if __name__ == "__main__":
    main()
