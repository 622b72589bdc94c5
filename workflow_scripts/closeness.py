"""Compare synthetic with real ECGs: one generator, the controls of a dataset, or the tables of all."""

from __future__ import annotations

import json
from pathlib import Path

import _repository  # noqa: F401

from ecgpipe.workflow.arguments import result_parser
from ecgpipe.workflow.running import running


def main() -> None:
    arguments = result_parser(__doc__)
    arguments.add_argument("what", choices=["generator", "controls", "tables"])
    arguments.add_argument("--data", type=Path, help="folder of the real dataset")
    arguments.add_argument("--samples", type=Path, help="generator: folder of the synthetic set")
    arguments.add_argument("--network", type=Path, help="pretrained.safetensors of the real experiment")
    arguments.add_argument("--modules", nargs="+", default=[], help="modules of a network of the user's own")
    arguments.add_argument("--settings", help="JSON: level, most, draws, confidence, seed")
    arguments.add_argument("--closeness", type=Path, nargs="+", help="tables: closeness of generators and controls")
    arguments.add_argument("--privacy", type=Path, nargs="+", help="tables: privacy of generators")
    arguments.add_argument("--copies", type=Path, nargs="+", help="tables: pairs to look at")
    arguments.add_argument("--curves", type=Path, nargs="+", help="tables: curves of generators and real records")
    arguments.add_argument("--points", type=Path, nargs="+", help="tables: points of generators and real records")
    arguments.add_argument("--out", type=Path, required=True, help="folder of the results")
    arguments.add_argument("--threads", type=int, default=1, help="threads of this process")
    args = arguments.parse_args()
    folders = [folder for folder in (args.data, args.samples) if folder]
    inputs = [folder / name for folder in folders for name in ("signals.npy", "records.parquet")]
    inputs += [args.network] if args.network else []
    parts = {name: getattr(args, name) for name in ("closeness", "privacy", "copies", "curves", "points")}
    inputs += [path for paths in parts.values() for path in paths or []]
    with running(args, inputs=inputs, modules=args.modules, threads=args.threads) as ready:
        if args.what == "tables":
            from ecgpipe.closeness.run import join_tables

            ready()
            join_tables(parts, args.out)
            return
        from ecgpipe.closeness import run
        from ecgpipe.closeness.settings import Settings

        ready()
        settings = Settings(**json.loads(args.settings))
        if args.what == "generator":
            run.compare_generator(args.data, args.samples, args.network, args.out, settings, threads=args.threads)
        else:
            run.compare_controls(args.data, args.network, args.out, settings, threads=args.threads)


if __name__ == "__main__":
    main()
