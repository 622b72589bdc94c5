"""Train and test the classifiers of one cell of the study, all seeds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import _repository  # noqa: F401

from ecgpipe.workflow.arguments import device, network_parser
from ecgpipe.workflow.running import running, state_folder


def main() -> None:
    arguments = network_parser(__doc__)
    arguments.add_argument("experiment", choices=["real", "augmentation", "transfer"])
    arguments.add_argument("--data", type=Path, required=True, help="folder of the real dataset")
    arguments.add_argument("--samples", type=Path, help="augmentation: folder of the synthetic set")
    arguments.add_argument("--pretrained", type=Path, help="transfer: networks trained on synthetic records")
    arguments.add_argument("--origin", type=Path, help="transfer: folder of the real dataset these learnt from, if any")
    arguments.add_argument("--name", help="augmentation: the generator's name in the tables, if not the folder's")
    arguments.add_argument("--real-networks", type=Path, nargs="*", default=[], help="augmentation: for TrRTeS")
    arguments.add_argument("--also-test", type=Path, nargs="*", default=[], help="folders of datasets to test on too")
    arguments.add_argument("--settings", required=True, help="JSON: classifier, fractions, seeds and what else is run")
    arguments.add_argument("--out", type=Path, required=True, help="folder of the results")
    args = arguments.parse_args()
    settings = json.loads(args.settings)
    folders = [folder for folder in (args.data, args.samples, args.origin, *args.also_test) if folder]
    inputs = [folder / name for folder in folders for name in ("signals.npy", "records.parquet")]
    inputs += [*args.real_networks, *([args.pretrained] if args.pretrained else [])]
    with running(args, inputs=inputs, threads=args.threads) as ready:
        from ecgpipe.classify import experiments
        from ecgpipe.config import classifier_settings

        ready()
        common: dict[str, Any] = {
            **{key: value for key, value in settings.items() if key not in ("classifier", "settings")},
            "settings": classifier_settings(settings["classifier"]),
            "state_dir": state_folder(args, *inputs),
            "device": device(args),
        }
        if args.experiment == "real":
            experiments.real(args.data, args.out, also_test=args.also_test, **common)
        elif args.experiment == "transfer":
            experiments.transfer(args.data, args.pretrained, args.out, origin=args.origin, **common)
        else:
            experiments.augmentation(
                args.data,
                args.samples,
                args.out,
                which=settings["settings"],
                name=args.name,
                real_networks=next(iter(args.real_networks), None),
                also_test=args.also_test,
                **common,
            )


if __name__ == "__main__":
    main()
