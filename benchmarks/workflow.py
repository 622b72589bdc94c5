"""Overhead of the workflow: planning two thousand jobs, and a study's wall time compared with the work of its jobs.

    python benchmarks/workflow.py plan            # some minutes on one core
    python benchmarks/workflow.py study FOLDER    # FOLDER: a checkout in which `make study` has just run
    python benchmarks/workflow.py matrix FOLDER   # after `snakemake --cores 2 --configfile configs/matrix.yaml`
    python benchmarks/workflow.py --render        # writes the section of docs/performance.md again

``plan`` times the dry run of a study with 20 datasets, 20 generators and no results. A second run under the profiler
separates this package's share from Snakemake's. ``study`` reads Snakemake's log and the files in results/benchmarks
to find out how long both cores, one core or no core had work. If `ecgpipe plan` was run before the study, its
estimates are compared with what the jobs took.
"""

from __future__ import annotations

import datetime
import json
import os
import pstats
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from measuring import DATA, DOCS, ROOT, machine, parser, write_section

from ecgpipe.workflow.estimates import PLAN
from ecgpipe.workflow.plan import compare

sys.path.insert(0, str(ROOT / "tests" / "workflow"))

from checkout import ENVIRONMENT, copy_project
from large_study import enlarged

CSV = DATA / "workflow.csv"
DATASETS, GENERATORS = 20, 20
REPETITIONS = 3
STAMP = re.compile(r"^\[(\w{3} \w{3} +\d+ [\d:]{8} \d{4})\]$")


def _timed(command: Sequence[str], folder: Path) -> tuple[str, float, float]:
    """Run a command; return its output, its wall time and its CPU time in seconds."""
    said = folder / "said.txt"
    began = time.perf_counter()
    with open(said, "w") as out:
        process = subprocess.Popen(command, cwd=folder, env=ENVIRONMENT, stdout=out, stderr=subprocess.STDOUT)
        _, status, used = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    if os.waitstatus_to_exitcode(status):
        raise RuntimeError(said.read_text()[-3000:])
    return said.read_text(), seconds, used.ru_utime + used.ru_stime


def _own_share(command: Sequence[str], folder: Path) -> float:
    """Return the share of a Snakemake run's time that is spent in this project's functions."""
    profile = folder / "profile"
    _timed([command[0], "-m", "cProfile", "-o", str(profile), *command[1:]], folder)
    found: dict[tuple[str, int, str], Any] = pstats.Stats(str(profile)).stats  # type: ignore[attr-defined]

    def is_ours(place: tuple[str, int, str]) -> bool:
        return place[0].startswith((f"{folder}/ecgpipe/", f"{folder}/rules/")) and place[2] != "<module>"

    # The cumulative time of our functions counts where they are called from other code.
    own = sum(
        times[3]
        for place, (*_, callers) in found.items()
        if is_ours(place)
        for caller, times in callers.items()
        if not is_ours(caller)
    )
    return own / sum(times[2] for times in found.values())


def plan() -> list[dict[str, Any]]:
    """Time the dry run of a large study; return its rows."""
    with tempfile.TemporaryDirectory() as folder:
        checkout = copy_project(Path(folder).resolve() / "project")
        tiny = yaml.safe_load((ROOT / checkout.config).read_text())
        (checkout.folder / checkout.config).write_text(yaml.safe_dump(enlarged(tiny, DATASETS, GENERATORS)))
        command = checkout.command("all", "--dry-run")
        load = os.getloadavg()[0]
        runs = [_timed(command, checkout.folder) for _ in range(REPETITIONS)]
        _, start, _ = _timed([*command[:3], "--version"], checkout.folder)
        share = _own_share(command, checkout.folder)
    total = re.search(r"^total +(\d+)$", runs[0][0], flags=re.MULTILINE)
    assert total is not None
    best = min(runs, key=lambda run: run[1])
    measured = {
        "jobs": int(total[1]),
        "seconds, best": best[1],
        "seconds, worst": max(run[1] for run in runs),
        "CPU seconds, best": min(run[2] for run in runs),
        "seconds of `snakemake --version`": start,
        "share of this project's functions": share,
        "load at the start": load,
        "niceness": os.nice(0),
    }
    return [{"part": "plan", "measure": name, "value": round(value, 3)} for name, value in measured.items()]


def occupied(log: str, workers: int) -> pd.DataFrame:
    """Return from Snakemake's log how many cores were in use between each time stamp and the next.

    Args:
        log: with a message per job, which begins with its rule.
        workers: processes of a preprocessing job; all other jobs have one thread.

    Returns:
        Columns ``seconds`` (to the next stamp) and ``cores`` (threads of all running jobs).
    """
    rows: list[tuple[datetime.datetime, int]] = []
    threads: dict[str, int] = {}
    moment: datetime.datetime | None = None
    for line in log.splitlines():
        if match := STAMP.match(line):
            moment = datetime.datetime.strptime(match[1], "%a %b %d %H:%M:%S %Y")
        elif match := re.match(r"^Finished jobid: (\d+)", line):
            assert moment is not None
            rows.append((moment, -threads.pop(match[1], 0)))  # targets such as `all` start without a message
        elif match := re.match(r"^Job (\d+): (\w+)", line):
            assert moment is not None
            threads[match[1]] = workers if match[2] == "preprocess" else 1
            rows.append((moment, threads[match[1]]))
    table = pd.DataFrame(rows, columns=["moment", "change"]).groupby("moment")["change"].sum().cumsum()
    seconds = pd.Series(table.index).diff().shift(-1).dt.total_seconds()
    return pd.DataFrame({"seconds": seconds.fillna(0.0).to_numpy(), "cores": table.to_numpy()})


def study(folder: Path, part: str) -> list[dict[str, Any]]:
    """Compare the wall time of a finished study with the work of its jobs; return the rows of this part."""
    logs = {path: path.read_text() for path in folder.glob(".snakemake/log/*.snakemake.log")}
    runs = [path for path, text in logs.items() if "Finished jobid" in text]
    if len(runs) != 1 or "(100%) done" not in logs[runs[0]]:
        raise RuntimeError(f"the study in {folder} was not made by a single complete run")
    path, log = runs[0], logs[runs[0]]
    started = datetime.datetime.strptime(path.name.split(".")[0], "%Y-%m-%dT%H%M%S")
    stamps = [match[1] for line in log.splitlines() if (match := STAMP.match(line))]
    first, last = (datetime.datetime.strptime(stamps[i], "%a %b %d %H:%M:%S %Y") for i in (0, -1))
    provided = re.search(r"^Provided cores: (\d+)$", log, flags=re.MULTILINE)
    assert provided is not None
    cores, wall = int(provided[1]), (last - started).total_seconds()
    ran = [json.loads(p.read_text()) for p in folder.glob("results/benchmarks/**/*.jsonl")]
    own = [json.loads(p.read_text()) for p in folder.glob("results/**/*provenance.json")]
    # The default study and configs/matrix.yaml both have two.
    busy = occupied(log, workers=2)
    measured = {
        "jobs": len(ran),
        "trainings": len(pd.read_parquet(folder / "results" / "tables" / "training.parquet", columns=["seed"])),
        "cores": cores,
        "seconds": wall,
        "seconds before the first job": (first - started).total_seconds(),
        "seconds of all jobs, by Snakemake": sum(job["s"] for job in ran),
        "core seconds of all jobs": sum(job["s"] * job["threads"] for job in ran),
        "start-up seconds of all jobs": sum(job["s"] for job in ran)
        - sum(job["seconds"] - job["start_up_seconds"] for job in own),
        "CPU seconds of all jobs": sum(job["cpu_time"] for job in ran),
        "seconds with no job": float(busy.loc[busy["cores"] == 0, "seconds"].sum()),
        "seconds with a core free": float(busy.loc[busy["cores"].between(1, cores - 1), "seconds"].sum()),
    }
    rows = [{"part": part, "measure": name, "value": round(value, 3)} for name, value in measured.items()]
    if part == "study" and (folder / "results" / PLAN).exists():
        for row in compare(folder):
            if row.estimated is not None:
                rows.append({"part": "estimated", "measure": row.name, "value": round(row.estimated, 1)})
                rows.append({"part": "took", "measure": row.name, "value": round(row.took, 1)})
    return rows


def _finished(name: str, s: dict[str, float]) -> list[str]:
    """Describe what a finished study took."""
    ideal = s["core seconds of all jobs"] / s["cores"]
    clock, start_up = s["seconds of all jobs, by Snakemake"], s["start-up seconds of all jobs"]
    return [
        f"**{name}** of {s['jobs']:.0f} jobs on {s['cores']:.0f} cores takes {s['seconds']:.0f} s from Snakemake's "
        f"start to the end of the last job. Its jobs take {s['core seconds of all jobs']:.0f} core seconds, for which "
        f"{s['cores']:.0f} cores that are never idle would need {ideal:.0f} s. The remaining "
        f"{s['seconds'] - ideal:.0f} s ({1 - ideal / s['seconds']:.1%}) are overhead: "
        f"{s['seconds before the first job']:.0f} s pass before the first job and {s['seconds with no job']:.0f} s "
        f"later without any job. For {s['seconds with a core free']:.0f} s one core had nothing to do, because the "
        "remaining jobs depended on a running one (at the end: tables, then the report). The jobs' wall times sum to "
        f"{clock:.0f} s. Of these, {start_up:.0f} s ({start_up / clock:.0%}) went into starting and ending Python and "
        f"into imports. The jobs used {s['CPU seconds of all jobs']:.0f} s of CPU time.",
    ]


def render(table: pd.DataFrame) -> str:
    """Return the section of docs/performance.md."""
    parts = {name: dict(zip(rows["measure"], rows["value"], strict=True)) for name, rows in table.groupby("part")}
    where = dict(zip(table["part"], table["machine"], strict=True))
    lines = ["## The workflow itself", ""]
    lines += ["Measured by `python benchmarks/workflow.py`; the values are in `docs/data/workflow.csv`."]
    if (p := parts.get("plan")) is not None:
        share = p["share of this project's functions"]
        lines += [
            "",
            f"**Planning {p['jobs']:,.0f} jobs** ({DATASETS} datasets, {GENERATORS} generators, `snakemake "
            f"--dry-run`, no results yet) takes {p['seconds, best']:.1f} s, the best of {REPETITIONS} runs (the worst "
            f"took {p['seconds, worst']:.1f} s), and {p['CPU seconds, best']:.1f} s of CPU time. "
            f"{p['seconds of `snakemake --version`']:.1f} s of that pass before Snakemake has started. This project's "
            f"functions take {share:.0%} of the total, Snakemake the rest.",
            f"{where['plan']}; load at the start {p['load at the start']:.1f}, niceness {p['niceness']:.0f}.",
        ]
    if (s := parts.get("study")) is not None:
        lines += ["", *_finished("The default study", s), f"{where['study']}."]
    if (m := parts.get("matrix")) is not None:
        lines += ["", *_finished("The full matrix at a small scale (`configs/matrix.yaml`)", m)]
        lines += [f"The matrix has {m['trainings']:,.0f} trainings of classifiers. {where['matrix']}."]
    if (estimated := parts.get("estimated")) is not None:
        lines += [
            "",
            "Estimates of `ecgpipe plan` for the default study, calibrated in a folder without results, compared "
            "with what the jobs took (`ecgpipe took`):",
            "",
            "| jobs | estimated, s | took, s |",
            "|---|---:|---:|",
            *(f"| {name} | {seconds:.0f} | {parts['took'][name]:.0f} |" for name, seconds in estimated.items()),
            "",
            "Calibration runs alone and evaluates few validation records. In the study two jobs share the machine, and "
            "classifiers evaluate more validation records. Rules that are not in the table had no estimate.",
        ]
    return "\n".join(lines)


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("what", choices=["plan", "study", "matrix"], nargs="?")
    arguments.add_argument("folder", type=Path, nargs="?", help="study, matrix: the checkout")
    args = arguments.parse_args()
    if not args.render:
        if args.what is None or (args.what != "plan" and args.folder is None):
            arguments.error("name what to measure: plan, study FOLDER or matrix FOLDER; or --render")
        found = plan() if args.what == "plan" else study(args.folder, args.what)
        rows = pd.DataFrame(found).assign(machine=machine())
        table = pd.read_csv(CSV) if CSV.exists() else pd.DataFrame({"part": []})
        table = pd.concat([table[~table["part"].isin({args.what, *rows["part"]})], rows])
        table.to_csv(CSV, index=False)
    write_section(DOCS / "performance.md", "workflow", render(pd.read_csv(CSV)))


if __name__ == "__main__":
    main()
