"""Draw one generator's synthetic set."""

from __future__ import annotations

import json
from pathlib import Path

import _repository  # noqa: F401

from ecgpipe.workflow.arguments import device, network_parser
from ecgpipe.workflow.distributed import launch
from ecgpipe.workflow.running import running, state_folder


def main() -> None:
    arguments = network_parser(__doc__)
    arguments.add_argument("--model", type=Path, required=True, help="folder of the trained generator")
    arguments.add_argument("--data", type=Path, required=True, help="folder of the dataset it was trained on")
    arguments.add_argument("--name", required=True, help="name of the generator")
    arguments.add_argument("--settings", required=True, help="JSON: class, sample, number, labels, chunk, seed")
    arguments.add_argument("--out", type=Path, required=True, help="folder of the synthetic set")
    arguments.add_argument("--processes", type=int, default=1, help="processes of this job, which share its threads")
    args = arguments.parse_args()

    from ecgpipe.generate.registry import module_of

    settings = json.loads(args.settings)
    inputs = [args.model / "model.safetensors", args.model / "model.json", args.data / "records.parquet"]
    launch(args, *inputs)
    modules = [module_of(args.name, settings["class"])]
    with running(args, inputs=inputs, modules=modules, threads=args.threads) as ready:
        from ecgpipe.sample.run import draw_samples

        ready()
        draw_samples(
            args.model,
            args.data,
            args.out,
            name=args.name,
            sample=settings["sample"],
            number=settings["number"],
            labels=settings["labels"],
            chunk=settings["chunk"],
            seed=settings["seed"],
            device=device(args),
            threads=args.threads,
            state_dir=state_folder(args, *inputs),
        )


if __name__ == "__main__":
    main()
