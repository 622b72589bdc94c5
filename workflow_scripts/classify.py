"""Train and test the classifiers of one cell of the study, all seeds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from _setup import add_training_arguments, device, parser, running, state_folder


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("experiment", choices=["real", "augmentation", "transfer"])
    arguments.add_argument("--data", type=Path, required=True, help="folder of the real dataset")
    arguments.add_argument("--samples", type=Path, help="augmentation: folder of the synthetic set")
    arguments.add_argument("--pretrained", type=Path, help="transfer: networks trained on synthetic records")
    arguments.add_argument("--settings", required=True, help="JSON: classifier, fractions, seeds, settings")
    arguments.add_argument("--out", type=Path, required=True, help="folder of the results")
    add_training_arguments(arguments)
    args = arguments.parse_args()
    with running(args.log, args.threads):
        from ecgpipe.classify import experiments
        from ecgpipe.config import ClassifierSettings

        settings = json.loads(args.settings)
        inputs = [folder / "signals.npy" for folder in (args.data, args.samples) if folder]
        inputs += [folder / "records.parquet" for folder in (args.data, args.samples) if folder]
        inputs += [args.pretrained] if args.pretrained else []
        common: dict[str, Any] = {
            "settings": ClassifierSettings.model_validate(settings["classifier"]),
            "fractions": settings["fractions"],
            "seeds": settings["seeds"],
            "state_dir": state_folder(args, *inputs),
            "device": device(args),
        }
        if args.experiment == "real":
            experiments.real(args.data, args.out, **common)
        elif args.experiment == "augmentation":
            experiments.augmentation(args.data, args.samples, args.out, which=settings["settings"], **common)
        else:
            experiments.transfer(args.data, args.pretrained, args.out, **common)


if __name__ == "__main__":
    main()
