"""Turn all predictions of the study into its tables."""

from __future__ import annotations

import json
from pathlib import Path

import _repository  # noqa: F401

from ecgpipe.workflow.arguments import result_parser
from ecgpipe.workflow.running import running


def main() -> None:
    arguments = result_parser(__doc__)
    arguments.add_argument("--predictions", type=Path, nargs="+", required=True, help="predictions.parquet files")
    arguments.add_argument("--training", type=Path, nargs="+", required=True, help="training.parquet files")
    arguments.add_argument("--data", type=Path, nargs="+", required=True, help="folders of the datasets")
    arguments.add_argument("--benchmarks", type=Path, nargs="+", required=True, help="Snakemake's benchmark files")
    arguments.add_argument("--provenances", type=Path, nargs="+", required=True, help="provenance of the same jobs")
    arguments.add_argument("--settings", required=True, help="JSON: statistics, what is reported, seed")
    arguments.add_argument("--out", type=Path, required=True, help="folder of the tables")
    args = arguments.parse_args()
    inputs = [*args.predictions, *args.training, *(folder / "records.parquet" for folder in args.data)]
    with running(args, inputs=inputs) as ready:
        from ecgpipe.tables.run import Parameters, build_tables

        ready()
        build_tables(
            Parameters.model_validate(json.loads(args.settings)),
            predictions=args.predictions,
            trainings=args.training,
            data={folder.name: folder for folder in args.data},
            jobs=list(zip(args.benchmarks, args.provenances, strict=True)),
            out=args.out,
        )


if __name__ == "__main__":
    main()
