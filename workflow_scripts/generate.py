"""Train one generator on one dataset's training split."""

from __future__ import annotations

import json
from pathlib import Path

from _setup import add_training_arguments, device, divide, parser, running, state_folder

from ecgpipe.generate.registry import module_of


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--data", type=Path, required=True, help="folder of the dataset")
    arguments.add_argument("--settings", required=True, help="JSON: name, class, train, seed")
    arguments.add_argument("--out", type=Path, required=True, help="folder of the model")
    add_training_arguments(arguments)
    arguments.add_argument("--processes", type=int, default=1, help="processes of this job, which share its threads")
    args = arguments.parse_args()
    settings = json.loads(args.settings)
    inputs = [args.data / "signals.npy", args.data / "records.parquet"]
    divide(args, *inputs)
    modules = [module_of(settings["name"], settings["class"])]
    with running(args, inputs=inputs, modules=modules, threads=args.threads) as ready:
        from ecgpipe.generate.run import train_generator

        ready()
        train_generator(
            settings["name"],
            settings["class"],
            settings["train"],
            args.data,
            args.out,
            seed=settings["seed"],
            device=device(args),
            threads=args.threads,
            state_dir=state_folder(args, *inputs),
        )


if __name__ == "__main__":
    main()
