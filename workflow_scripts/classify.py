"""Train and test the classifiers of one cell of the study, all seeds."""

from __future__ import annotations

import json
from pathlib import Path

import _repository  # noqa: F401

from ecgpipe.workflow.arguments import device, network_parser
from ecgpipe.workflow.running import running, state_folder


def main() -> None:
    arguments = network_parser(__doc__)
    arguments.add_argument("experiment", choices=["real", "baselines", "augmentation", "transfer"])
    arguments.add_argument("--data", type=Path, required=True, help="folder of the real dataset")
    arguments.add_argument("--samples", type=Path, nargs="*", default=[], help="augmentation: synthetic sets")
    arguments.add_argument("--pretrained", type=Path, help="transfer: networks trained on synthetic records")
    arguments.add_argument("--origin", type=Path, help="transfer: folder of the real dataset these learnt from, if any")
    arguments.add_argument("--name", help="augmentation: the generator's name in the tables, if not the folder's")
    arguments.add_argument("--real-networks", type=Path, nargs="*", default=[], help="augmentation: for TrRTeS")
    arguments.add_argument("--also-test", type=Path, nargs="*", default=[], help="folders of datasets to test on too")
    arguments.add_argument("--settings", required=True, help="JSON: classifier, fractions, seeds and what else is run")
    arguments.add_argument("--out", type=Path, required=True, help="folder of the results")
    arguments.add_argument("--stacked", type=int, default=0, help="most repetitions trained together; 0: by device")
    args = arguments.parse_args()
    settings = json.loads(args.settings)
    folders = [folder for folder in (args.data, *args.samples, args.origin, *args.also_test) if folder]
    inputs = [folder / name for folder in folders for name in ("signals.npy", "records.parquet")]
    inputs += [*args.real_networks, *([args.pretrained] if args.pretrained else [])]
    own = settings["classifier"].get("class")
    modules = [own.partition(":")[0]] if own else []
    with running(args, inputs=inputs, modules=modules, threads=args.threads) as ready:
        from ecgpipe.classify import run
        from ecgpipe.classify.experiments import Experiment
        from ecgpipe.config import classifier_settings

        ready()
        experiment = Experiment(
            data=args.data,
            out=args.out,
            classifier=classifier_settings(settings["classifier"]),
            fractions=settings["fractions"],
            seeds=settings["seeds"],
            state_dir=state_folder(args, *inputs),
            device=device(args),
            also_test=args.also_test,
            stacked=args.stacked or None,
        )
        if args.experiment == "real":
            run.run_real(experiment)
        elif args.experiment == "baselines":
            run.run_baselines(experiment, settings["baselines"])
        elif args.experiment == "transfer":
            run.run_transfer(experiment, args.pretrained, methods=settings["methods"], origin=args.origin)
        elif args.name:
            run.run_cross_set(experiment, args.samples, args.name, ratios=settings["ratios"])
        else:
            kinds, ratios, networks = settings["settings"], settings["ratios"], next(iter(args.real_networks), None)
            run.run_augmentation(experiment, args.samples, kinds, ratios=ratios, real_networks=networks)


if __name__ == "__main__":
    main()
