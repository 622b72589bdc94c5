"""Bring one dataset's raw records to its folder, verified, and write the manifest."""

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
    arguments.add_argument("--settings", required=True, help="JSON: what to get")
    arguments.add_argument("--manifest", type=Path, required=True, help="Parquet to write; records lie beside it")
    args = arguments.parse_args()
    with running(args) as ready:
        from ecgpipe.acquire.run import acquire, write_manifest
        from ecgpipe.config import DatasetSettings, SignalSettings

        ready()
        settings = json.loads(args.settings)
        dataset = DatasetSettings.model_validate(with_access(args.dataset, settings["dataset"]))
        folder = args.manifest.with_suffix("")
        manifest = acquire(dataset, SignalSettings.model_validate(settings["signal"]), folder)
        write_manifest(folder, manifest)


if __name__ == "__main__":
    main()
