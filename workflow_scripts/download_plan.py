"""Say how many files and bytes would be fetched for each dataset; fetch none of them."""

from __future__ import annotations

import json
from pathlib import Path

import _repository  # noqa: F401

from ecgpipe.workflow.arguments import job_parser
from ecgpipe.workflow.running import running
from ecgpipe.workflow.source_access import with_access


def main() -> None:
    arguments = job_parser(__doc__)
    arguments.add_argument("--settings", required=True, help="JSON: what to get, by dataset")
    arguments.add_argument("--raw", type=Path, required=True, help="folder of the raw records of all datasets")
    args = arguments.parse_args()
    with running(args) as ready:
        from ecgpipe.acquire.run import plan_download
        from ecgpipe.config import DatasetSettings, SignalSettings

        ready()
        for name, settings in json.loads(args.settings).items():
            dataset = DatasetSettings.model_validate(with_access(name, settings["dataset"]))
            plan = plan_download(dataset, SignalSettings.model_validate(settings["signal"]), args.raw / name)
            simulated = dataset.source is not None and dataset.source.kind == "simulated"
            print(f"{name}: {'simulated, nothing to fetch' if simulated else plan}", flush=True)


if __name__ == "__main__":
    main()
