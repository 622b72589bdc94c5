"""Bring one dataset's raw records to its folder, verified, and write the manifest."""

from __future__ import annotations

import json
from pathlib import Path

from _setup import parser, reached, running


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--dataset", required=True, help="name of the dataset")
    arguments.add_argument("--settings", required=True, help="JSON: what to get")
    arguments.add_argument("--manifest", type=Path, required=True, help="Parquet to write; records lie beside it")
    args = arguments.parse_args()
    with running(args) as ready:
        from ecgpipe.acquire.run import acquire, write_manifest
        from ecgpipe.config import DatasetSettings, SignalSettings

        ready()
        settings = json.loads(args.settings)
        dataset = DatasetSettings.model_validate(reached(args.dataset, settings["dataset"]))
        folder = args.manifest.with_suffix("")
        manifest = acquire(dataset, SignalSettings.model_validate(settings["signal"]), folder)
        write_manifest(folder, manifest)


if __name__ == "__main__":
    main()
