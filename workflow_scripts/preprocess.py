"""Turn one dataset's raw records into signals of one form with labels and splits."""

from __future__ import annotations

import json
from pathlib import Path

import _repository  # noqa: F401

from ecgpipe.workflow.arguments import result_parser
from ecgpipe.workflow.running import running


def main() -> None:
    arguments = result_parser(__doc__)
    arguments.add_argument("--dataset", required=True, help="name of the dataset")
    arguments.add_argument("--manifest", type=Path, required=True, help="manifest of the raw records beside it")
    arguments.add_argument("--settings", required=True, help="JSON: dataset, signal and preprocess sections")
    arguments.add_argument("--out", type=Path, required=True, help="folder of the dataset")
    arguments.add_argument("--workers", type=int, required=True, help="processes")
    args = arguments.parse_args()
    settings = json.loads(args.settings)
    own_labels = Path(settings["preprocess"]["label_map"])
    inputs = [args.manifest, *([own_labels] if own_labels.is_file() else [])]
    with running(args, inputs=inputs) as ready:  # one thread a process: workers share the cores already
        import pandas as pd

        from ecgpipe.config import DatasetSettings, Preprocess, SignalSettings
        from ecgpipe.preprocess.run import preprocess

        ready()
        preprocess(
            args.manifest.with_suffix(""),
            pd.read_parquet(args.manifest),
            DatasetSettings.model_validate(settings["dataset"]),
            SignalSettings.model_validate(settings["signal"]),
            Preprocess.model_validate(settings["preprocess"]),
            args.out,
            source_name=args.dataset,
            workers=args.workers,
        )


if __name__ == "__main__":
    main()
