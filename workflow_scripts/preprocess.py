"""Turn one dataset's raw records into signals of one form with labels and splits."""

from __future__ import annotations

import json
from pathlib import Path

import _repository  # noqa: F401

from ecgpipe.workflow.arguments import result_parser
from ecgpipe.workflow.running import running
from ecgpipe.workflow.source_access import with_access


def main() -> None:
    arguments = result_parser(__doc__)
    arguments.add_argument("--dataset", required=True, help="name of the dataset")
    arguments.add_argument("--manifest", type=Path, required=True, help="manifest of the raw records beside it")
    arguments.add_argument("--settings", required=True, help="JSON: dataset, signal, leads and preprocess sections")
    arguments.add_argument("--out", type=Path, required=True, help="folder of the dataset")
    arguments.add_argument("--workers", type=int, required=True, help="processes")
    args = arguments.parse_args()
    settings = json.loads(args.settings)
    own_labels = Path(settings["preprocess"]["label_map"])
    inputs = [args.manifest, *([own_labels] if own_labels.is_file() else [])]
    with running(args, inputs=inputs) as ready:  # one thread a process: workers share the cores already
        from ecgpipe import manifest
        from ecgpipe.config import DatasetSettings, Preprocess, SignalSettings
        from ecgpipe.preprocess.run import preprocess

        ready()
        preprocess(
            args.manifest.with_suffix(""),
            manifest.read(args.manifest),
            DatasetSettings.model_validate(with_access(args.dataset, settings["dataset"])),
            SignalSettings.model_validate(settings["signal"]),
            Preprocess.model_validate(settings["preprocess"]),
            args.out,
            source_name=args.dataset,
            workers=args.workers,
            aliases=settings["leads"]["aliases"],
            refused=args.log.with_suffix(".excluded.parquet"),  # Snakemake removes the outputs of a failed job
        )


if __name__ == "__main__":
    main()
