"""Train one generator on one dataset's training split."""

from __future__ import annotations

import json
from pathlib import Path

import _repository  # noqa: F401

from ecgpipe.workflow.arguments import device, network_parser
from ecgpipe.workflow.distributed import launch
from ecgpipe.workflow.running import running, state_folder
from ecgpipe.workflow.wanted_classes import check_wanted_classes


def main() -> None:
    arguments = network_parser(__doc__)
    arguments.add_argument("--data", type=Path, required=True, help="folder of the dataset")
    arguments.add_argument("--settings", required=True, help="JSON: name, class, train, seed")
    arguments.add_argument("--out", type=Path, required=True, help="folder of the model")
    arguments.add_argument("--processes", type=int, default=1, help="processes of this job, which share its threads")
    args = arguments.parse_args()

    from ecgpipe.generate.registry import module_of

    settings = json.loads(args.settings)
    inputs = [args.data / "signals.npy", args.data / "records.parquet"]
    launch(args, *inputs)
    modules = [module_of(settings["name"], settings["class"])]
    with running(args, inputs=inputs, modules=modules, threads=args.threads) as ready:
        from ecgpipe.generate.run import train_generator

        ready()
        check_wanted_classes(args.data)
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
