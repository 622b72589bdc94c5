"""Time and memory of preparing the full study's data, from a local server to records.parquet.

    python benchmarks/full_scale.py --work /tmp/full   # about half an hour on two idle cores, 12 GB of disk
    python benchmarks/full_scale.py --render           # writes the table into docs/performance.md again

As many records as the two databases have, 21,799 in PTB-XL's layout (100 Hz) and 45,152 in ecg-arrhythmia's (500 Hz),
are simulated, served by a local HTTP server and processed by the workflow's scripts acquire, preprocess and merge.
Then all of them are searched for recordings that are there twice.
Each step is timed, together with the largest total resident memory of its processes. Finished steps are kept in the
folder `--work`; an interrupted run resumes at the step it was in. Raw records are removed after use, the folder at
the end.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from measuring import DATA, DOCS, ROOT, Cost, command_cost, machine, parser, simulate_many, write_section

from ecgpipe.arrays import SignalReader
from ecgpipe.config import Leads, Preprocess, SimulatedSource
from ecgpipe.dataset import Dataset
from ecgpipe.duplicates import TwinSearch
from ecgpipe.files import read_json
from ecgpipe.workflow.code_digest import digest

CSV = DATA / "full_scale.csv"
SERVER = ROOT / "tests" / "acquire" / "physionet_server.py"
SETS = {
    "ptbxl": ("ptbxl", "ptb-xl", "1.0.3", "a", 21799),
    "chapman": ("ecg_arrhythmia", "ecg-arrhythmia", "1.0.0", "b", 45152),
}
"""Format, slug, version, simulated hospital, number of records."""

PREPROCESS = Preprocess().model_dump(mode="json")

PLANTED = 38
"""Recordings that the search for twins has to find under another name: as many as PTB-XL 1.0.1 had."""


def script(name: str, log: Path, *arguments: object) -> list[str]:
    """Return the command that runs a script of the workflow."""
    path = ROOT / "workflow_scripts" / f"{name}.py"
    return [
        sys.executable,
        str(path),
        *map(str, arguments),
        "--log",
        str(log),
        "--code",
        digest(path),
        "--provenance",
        f"{log}.json",
    ]


def settings(name: str, **sections: Any) -> str:
    format, slug, version, _, _ = SETS[name]
    source = {"kind": "physionet", "slug": slug, "version": version}
    return json.dumps({"dataset": {"format": format, "source": source}, "signal": {"rate": 100}, **sections})


class Measurement:
    """The steps and what they took, written to disk as each one ends."""

    def __init__(self, work: Path) -> None:
        self._path = work / "rows.csv"
        self.rows: list[dict[str, Any]] = (
            pd.read_csv(self._path).to_dict("records") if self._path.exists() else []  # type: ignore[assignment]
        )

    def done(self, step: str, dataset: str) -> bool:
        return any((row["step"], row["dataset"]) == (step, dataset) for row in self.rows)

    def add(self, step: str, dataset: str, records: int, size: int, cost: Cost) -> None:
        row = {
            "step": step,
            "dataset": dataset,
            "records": records,
            "megabytes": round(size / 1e6, 1),
            "seconds": round(cost.seconds, 1),
            "cpu_seconds": round(cost.cpu_seconds, 1),
            "peak_mb": round(cost.peak_mb),
            "load": round(os.getloadavg()[2], 1),
        }
        print(row, flush=True)
        self.rows.append(row)
        pd.DataFrame(self.rows).to_csv(self._path, index=False)


ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "no_proxy": "127.0.0.1"}


def simulate(name: str, records: int, work: Path) -> None:
    """Write a set where the server will find it, and the table of its files; runs in its own process."""
    format, slug, version, hospital, _ = SETS[name]
    project = work / "served" / "files" / slug / version
    project.parent.mkdir(parents=True, exist_ok=True)
    source = SimulatedSource(kind="simulated", records=records, seed=records, hospital=hospital)
    simulate_many(source, format, 100, project).to_parquet(work / f"{name}.parquet")


def measure(scale: float, connections: int, work: Path) -> pd.DataFrame:
    """Simulate, serve, acquire, preprocess and merge both sets, ``scale`` times their full number of records."""
    measured = Measurement(work)
    for name, (_, slug, version, _, full_number) in SETS.items():
        records = max(100, round(scale * full_number))
        if not measured.done("simulate", name):
            command = [sys.executable, __file__, "--work", str(work), "--simulate", name, "--records", str(records)]
            cost = command_cost(command, env=ENVIRONMENT)
            size = int(pd.read_parquet(work / f"{name}.parquet")["bytes"].sum())
            measured.add("simulate", name, records, size, cost)
        made = pd.read_parquet(work / f"{name}.parquet")
        manifest = work / "raw" / f"{name}.parquet"
        if not measured.done("acquire", name):
            cost = acquire(name, manifest, connections, work)
            taken = pd.read_parquet(manifest)
            assert len(taken.merge(made, on=["path", "bytes", "sha256"])) == len(taken), (
                "the files that arrived are not those that were served"
            )
            assert taken["path"].str.endswith(".hea").sum() == records
            measured.add("acquire", name, records, int(taken["bytes"].sum()), cost)
            shutil.rmtree(work / "served" / "files" / slug / version)
        if not measured.done("preprocess", name):
            out = work / "data" / name
            command = script(
                "preprocess", work / "p.log", "--dataset", name, "--manifest", manifest, "--workers", 2,
                "--settings", settings(name, leads=Leads().model_dump(), preprocess=PREPROCESS), "--out", out,
            )  # fmt: skip
            cost = command_cost(command, env=ENVIRONMENT)
            told = read_json(out / "summary.json")
            assert told["read"] == records
            assert told["duplicate_recordings"]["excluded"] == 0
            print(name, "kept", told["kept"], told["excluded_by_reason"], flush=True)
            measured.add("preprocess", name, records, int(pd.read_parquet(manifest)["bytes"].sum()), cost)
            shutil.rmtree(work / "raw" / name)
    if not measured.done("merge", "merged"):
        both = work / "data" / "merged"
        records = sum(len(Dataset.load(work / "data" / name)) for name in SETS)
        size = sum(path.stat().st_size for name in SETS for path in (work / "data" / name).iterdir())
        merging = script("merge", work / "m.log", "--members", *SETS, "--data", work / "data", "--out", both)
        cost = command_cost(merging, env=ENVIRONMENT)
        assert len(Dataset.load(both)) == records
        measured.add("merge", "merged", records, size, cost)
    if not measured.done("find twins", "merged"):
        both = work / "data" / "merged"
        cost = command_cost([sys.executable, __file__, "--work", str(work), "--search"], env=ENVIRONMENT)
        size = (both / "signals.npy").stat().st_size
        measured.add("find twins", "merged", len(Dataset.load(both)) + PLANTED, size, cost)
    return pd.DataFrame(measured.rows).assign(machine=machine())


def search(folder: Path) -> None:
    """Search all records of the merged set, and some that are in it under another gain and resolution, for twins."""
    merged = Dataset.load(folder)
    chosen = np.linspace(0, len(merged) - 1, PLANTED).astype(np.int64)
    planted = np.round(merged.signals[chosen] * 1.3 / 0.005) * 0.005
    records = SignalReader.of(merged.signals) + SignalReader.of(planted)
    twins = TwinSearch(merged.spec.rate, merged.spec.length)
    for block in records.blocks():
        twins.add(block)
    found = [(twin.first, twin.second) for twin in twins.find(records)]
    assert found == [(int(row), len(merged) + place) for place, row in enumerate(chosen)], found


def acquire(name: str, manifest: Path, connections: int, work: Path) -> Cost:
    """Fetch a set from its own server."""
    command = [sys.executable, str(SERVER), str(work / "served")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            place = {name: {"base_url": server.stdout.readline().strip(), "connections": connections}}
            fetching = script(
                "acquire", work / "a.log", "--dataset", name, "--settings", settings(name),
                "--manifest", manifest,
            )  # fmt: skip
            return command_cost(fetching, env={**ENVIRONMENT, "ECGPIPE_PLACES": json.dumps(place)})
        finally:
            server.kill()


def render(table: pd.DataFrame) -> str:
    """Return the section of docs/performance.md."""
    lines = [
        "## The full study's data",
        "",
        "21,799 simulated records in PTB-XL's layout (100 Hz) and 45,152 in ecg-arrhythmia's (500 Hz) are fetched "
        "from a server on the same machine, preprocessed and merged. Measured by `python benchmarks/full_scale.py` "
        f"on {table['machine'].iloc[0]}; the values are in `docs/data/full_scale.csv`. The server is plain Python and "
        "shares the cores with the client. MB is what the step reads or writes. Peak memory is the sum over all "
        "processes of the step; shared pages count once per process. The machine did other work at the same time "
        f"(load up to {table['load'].max():.0f}), so CPU seconds are more reliable than seconds.",
        "",
        "| step | dataset | records | MB | seconds | records/s | CPU s | peak MB |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for row in table.itertuples():
        peak = "" if pd.isna(row.peak_mb) else f"{row.peak_mb:,.0f}"
        lines.append(
            f"| {row.step} | {row.dataset} | {row.records:,} | {row.megabytes:,.0f} | {row.seconds:,.0f} "
            f"| {row.records / row.seconds:,.0f} | {row.cpu_seconds:,.0f} | {peak} |"
        )
    work = table[~table["step"].isin(["simulate", "find twins"])]
    every = [(step, name) for name in SETS for step in ("simulate", "acquire", "preprocess")]
    every += [("merge", "merged"), ("find twins", "merged")]
    missing = [pair for pair in every if pair not in set(zip(table["step"], table["dataset"], strict=True))]
    if missing:
        lines += ["", "Not measured yet: " + ", ".join(f"{step} {name}" for step, name in missing) + "."]
    else:
        lines += [
            "",
            "From the first request to the merged `records.parquet` it takes "
            f"{work['seconds'].sum() / 60:.0f} minutes. Preprocessing and the merge search for recordings that "
            "are there twice. `find twins` is this search alone, among all records of both sets and "
            f"{PLANTED} that are in them under another gain and resolution, of which it finds just these.",
        ]
    return "\n".join(lines)


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument(
        "--scale", type=float, default=1.0, help="share of the records, for a trial whose results are not kept"
    )
    arguments.add_argument("--connections", type=int, default=4, help="files fetched at the same time")
    arguments.add_argument(
        "--work", type=Path, help="folder for intermediate files; an interrupted run resumes from it"
    )
    arguments.add_argument("--simulate", choices=list(SETS), help=argparse.SUPPRESS)
    arguments.add_argument("--records", type=int, help=argparse.SUPPRESS)
    arguments.add_argument("--search", action="store_true", help=argparse.SUPPRESS)
    args = arguments.parse_args()
    if args.simulate:
        simulate(args.simulate, args.records, args.work)
        return
    if args.search:
        search(args.work / "data" / "merged")
        return
    if not args.render:
        work = args.work or Path(tempfile.mkdtemp(prefix="ecgpipe-full-scale-"))
        work.mkdir(parents=True, exist_ok=True)
        table = measure(args.scale, args.connections, work)
        shutil.rmtree(work)
        if args.scale != 1.0:
            return
        table.to_csv(CSV, index=False)
    elif args.work:
        pd.DataFrame(Measurement(args.work).rows).assign(machine=machine()).to_csv(CSV, index=False)
    write_section(DOCS / "performance.md", "full-scale", render(pd.read_csv(CSV)))


if __name__ == "__main__":
    main()
