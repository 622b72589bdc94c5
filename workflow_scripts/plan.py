"""Say how many files and bytes would be fetched for each dataset; fetch none of them."""

from __future__ import annotations

import json
from pathlib import Path

from _setup import parser, reached, running


def main() -> None:
    arguments = parser(__doc__, results=False)
    arguments.add_argument("--settings", required=True, help="JSON: what to get, by dataset")
    arguments.add_argument("--raw", type=Path, required=True, help="folder of the raw records of all datasets")
    args = arguments.parse_args()
    with running(args) as ready:
        from ecgpipe.acquire.run import plan_download
        from ecgpipe.config import DatasetSettings, SignalSettings

        ready()
        for name, settings in json.loads(args.settings).items():
            dataset = DatasetSettings.model_validate(reached(name, settings["dataset"]))
            plan = plan_download(dataset, SignalSettings.model_validate(settings["signal"]), args.raw / name)
            simulated = dataset.source is not None and dataset.source.kind == "simulated"
            print(f"{name}: {'simulated, nothing to fetch' if simulated else plan}", flush=True)


if __name__ == "__main__":
    main()
