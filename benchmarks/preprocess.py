"""Time and memory of preprocessing, compared with a plain loop over wfdb.

    python benchmarks/preprocess.py            # measures: about half an hour, 14 GB of disk
    python benchmarks/preprocess.py --render   # writes the section of docs/performance.md again

Simulated 500 Hz records in ecg-arrhythmia's layout become signals at 100 Hz in three ways:

* `ecgpipe`: all of this package's `preprocess` (labels, quality screen, splits, checksums), in one and two processes;
* `plain loop`: `wfdb.rdrecord`, `scipy.signal.resample`, append to a list, `numpy.stack`, `numpy.save`;
* `resample_sig`: `wfdb.rdrecord`, `wfdb.processing.resample_sig` lead by lead, append, stack, save.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from measuring import DATA, DOCS, ROOT, command_cost, machine, parser, simulate_many, write_section

from ecgpipe.config import Leads, Preprocess, SimulatedSource
from ecgpipe.workflow.code_digest import digest

CSV = DATA / "preprocess_benchmark.csv"
STAGES = CSV.with_name("preprocess_stages.csv")
RATE, LENGTH = 100, 1000


def plain_loop(paths: list[str]) -> np.ndarray:
    """Return ``(n, 12, 1000)`` as a typical script would."""
    import wfdb
    from scipy.signal import resample

    signals = []
    for path in paths:
        record = wfdb.rdrecord(path)
        signals.append(resample(record.p_signal, LENGTH, axis=0).T)
    return np.stack(signals).astype(np.float32)


def with_resample_sig(paths: list[str]) -> np.ndarray:
    """Return ``(n, 12, 1000)`` with nothing but wfdb."""
    import wfdb
    import wfdb.processing

    signals = []
    for path in paths:
        record = wfdb.rdrecord(path)
        leads = [wfdb.processing.resample_sig(record.p_signal[:, lead], record.fs, RATE)[0] for lead in range(12)]
        signals.append(np.stack(leads))
    return np.stack(signals).astype(np.float32)


PEERS = {"plain loop": plain_loop, "resample_sig": with_resample_sig}


def peer(name: str, manifest: Path, records: int, out: Path) -> None:
    """Do the work of a peer; runs in its own process."""
    paths = pd.read_parquet(manifest)["path"]
    stems = [str(manifest.with_suffix("") / p[:-4]) for p in paths if p.endswith(".hea")]
    np.save(out, PEERS[name](stems[:records]))


def stages(manifest: Path, records: int = 400) -> pd.DataFrame:
    """Measure the CPU time of each step, of this package and of the plain loop, on some records in this process."""
    import wfdb
    from scipy.signal import resample as fourier

    from ecgpipe.config import Quality
    from ecgpipe.preprocess.quality import check_quality
    from ecgpipe.preprocess.reading import gains, read_header, read_leads
    from ecgpipe.preprocess.reasons import InvalidRecord
    from ecgpipe.preprocess.resample import resample

    spent: Counter[tuple[str, str]] = Counter()

    def timed(way: str, step: str, function: Callable[..., Any], *arguments: object) -> Any:
        began = time.process_time()
        try:
            return function(*arguments)
        finally:
            spent[way, step] += time.process_time() - began

    paths = [p for p in pd.read_parquet(manifest)["path"] if p.endswith(".hea")][:records]
    for path in (manifest.with_suffix("") / p for p in paths):
        header = timed("ecgpipe", "header", read_header, path)
        signals = timed("ecgpipe", "samples, checksums, mV", read_leads, header, path.parent)
        try:
            timed("ecgpipe", "quality screen", check_quality, signals, gains(header), header.rate, Quality())
        except InvalidRecord:
            continue
        timed("ecgpipe", "resampling", resample, signals, header.rate, RATE, LENGTH)
        record = timed("plain loop", "wfdb.rdrecord", wfdb.rdrecord, str(path.with_suffix("")))
        timed("plain loop", "scipy.signal.resample", fourier, record.p_signal, LENGTH)
    rows = [(way, step, round(1000 * seconds / len(paths), 3)) for (way, step), seconds in spent.items()]
    return pd.DataFrame(rows, columns=["way", "step", "cpu_ms_per_record"])


def ours(manifest: Path, out: Path, workers: int, log: Path) -> list[str]:
    """Return the command that the workflow would run."""
    source = {"kind": "simulated", "records": 20, "seed": 1}
    settings = {
        "dataset": {"format": "ecg_arrhythmia", "source": source},
        "signal": {"rate": RATE},
        "leads": Leads().model_dump(),
        "preprocess": Preprocess().model_dump(mode="json"),
    }
    script = ROOT / "workflow_scripts" / "preprocess.py"
    return [
        sys.executable, str(script), "--dataset", "benchmark",
        "--manifest", str(manifest), "--settings", json.dumps(settings), "--out", str(out),
        "--workers", str(workers), "--log", str(log), "--code", digest(script), "--provenance", f"{log}.json",
    ]  # fmt: skip


def measure(sizes: list[int], peer_records: int, scratch: Path) -> pd.DataFrame:
    """Measure all ways; the peers on ``peer_records`` records only, as their speed does not depend on the number."""
    rows = []
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

    def add(way: str, records: int, processes: int, command: list[str]) -> None:
        cost = command_cost(command, env=environment, stderr=None)
        rows.append(
            {
                "way": way,
                "processes": processes,
                "records": records,
                "seconds": round(cost.seconds, 2),
                "records_per_second": round(records / cost.seconds, 1),
                "cpu_ms_per_record": round(1000 * cost.cpu_seconds / records, 2),
                "peak_mb": round(cost.peak_mb),
                "load": round(os.getloadavg()[1], 1),
            }
        )
        print(rows[-1], flush=True)

    for size in sizes:
        raw = scratch / "raw"
        source = SimulatedSource(kind="simulated", records=size, seed=size, hospital="b")
        files = simulate_many(source, "ecg_arrhythmia", RATE, raw)
        manifest = scratch / "raw.parquet"
        files.to_parquet(manifest)
        for processes in (1, 2):
            add("ecgpipe", size, processes, ours(manifest, scratch / "out", processes, scratch / "job.log"))
        if size == max(sizes):
            for way in PEERS:
                command = [sys.executable, __file__, "--peer", way, "--manifest", str(manifest)]
                command += ["--records", str(peer_records), "--out", str(scratch / "peer.npy")]
                add(way, peer_records, 1, command)
            stages(manifest).to_csv(STAGES, index=False)
        shutil.rmtree(raw)
        shutil.rmtree(scratch / "out")
    return pd.DataFrame(rows).assign(machine=machine())


def updated(table: pd.DataFrame) -> pd.DataFrame:
    """Return all measurements; new ones replace older ones of the same way, processes and records."""
    key = ["way", "processes", "records"]
    every = pd.concat([pd.read_csv(CSV), table]) if CSV.exists() else table
    return every.drop_duplicates(key, keep="last").sort_values(key, ignore_index=True)


def render(table: pd.DataFrame) -> str:
    """Return the section of docs/performance.md."""
    plain = table[table["way"] == "plain loop"].iloc[0]
    lines = [
        "## Preprocessing",
        "",
        "Simulated records of 12 leads, 10 s at 500 Hz in ecg-arrhythmia's layout, are brought to 100 Hz. Measured "
        f"by `python benchmarks/preprocess.py` on {table['machine'].iloc[-1]}; the values are in "
        "`docs/data/preprocess_benchmark.csv`. The files had just been written, so they are read from the page "
        f"cache. All figures include start-up. The load of the machine was up to {table['load'].max():.0f}; where it "
        "is well above 2, CPU time is more reliable than wall time. Peak memory is the sum over all processes; "
        "shared pages count once per process.",
        "",
        "| | processes | records | records/s | CPU ms/record | peak MB |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {row.way} | {row.processes} | {row.records:,} | {row.records_per_second:,.0f} "
        f"| {row.cpu_ms_per_record:.1f} | {row.peak_mb:,} |"
        for row in table.itertuples()
    ]
    largest = table[table["way"] == "ecgpipe"]["records"].max()
    ours = table[(table["way"] == "ecgpipe") & (table["records"] == largest)].set_index("processes")
    speeds = ", ".join(
        f"{row.records_per_second / plain['records_per_second']:.1f} times as fast in wall time and "
        f"{plain['cpu_ms_per_record'] / row.cpu_ms_per_record:.1f} times in CPU time "
        f"with {processes} process{'es' if processes > 1 else ''}"
        for processes, row in ours.iterrows()
    )
    lines += [
        "",
        f"Compared with the plain loop, at {largest:,} records: {speeds}.",
        "",
        "`plain loop`: `wfdb.rdrecord`, `scipy.signal.resample`, append, stack, save. `resample_sig`: the same with "
        "`wfdb.processing.resample_sig`, lead by lead. Neither assigns labels, screens, splits or computes "
        "checksums. Both hold all signals in memory (96 kB per record, in float64), so they were measured on few "
        "records.",
        "",
        "CPU time per record by step, in ms, without the work done once per batch (`docs/data/preprocess_stages.csv`):",
        "",
        "| way | step | ms |",
        "|---|---|---:|",
        *(f"| {row.way} | {row.step} | {row.cpu_ms_per_record:.2f} |" for row in pd.read_csv(STAGES).itertuples()),
        "",
        "Resampling multiplies by matrices of the taps of `scipy.signal.resample_poly`'s filter and gives the same "
        "numbers as that function.",
    ]
    return "\n".join(lines)


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--sizes", type=int, nargs="+", default=[1000, 10000, 50000], help="numbers of records")
    arguments.add_argument("--peer-records", type=int, default=2000, help="number of records for the peers")
    arguments.add_argument("--peer", choices=list(PEERS), help=argparse.SUPPRESS)
    arguments.add_argument("--manifest", type=Path, help=argparse.SUPPRESS)
    arguments.add_argument("--records", type=int, help=argparse.SUPPRESS)
    arguments.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    args = arguments.parse_args()
    if args.peer:
        peer(args.peer, args.manifest, args.records, args.out)
        return
    if not args.render:
        with tempfile.TemporaryDirectory(prefix="ecgpipe-benchmark-") as scratch:
            table = measure(args.sizes, args.peer_records, Path(scratch))
        updated(table).to_csv(CSV, index=False)
    write_section(DOCS / "performance.md", "preprocess", render(pd.read_csv(CSV)))


if __name__ == "__main__":
    main()
