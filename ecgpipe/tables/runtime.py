"""What each job took, from the files of Snakemake's ``benchmark:`` directive and the provenance beside its results."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from ecgpipe.files import read_json

FOLDER = "benchmarks"


def _number(value: object) -> float:
    """Return a measurement; jobs too short to be measured have ``"NA"``, which gives NaN."""
    return float(value) if isinstance(value, int | float) else float("nan")


def _provenance(path: Path) -> dict[str, object]:
    """Return what a job told of itself; nothing if that is not there."""
    try:
        return dict(read_json(path))
    except FileNotFoundError:
        return {}


def _start_up(seconds: float, told: dict[str, object]) -> float:
    """Return what of a job's seconds it did not work: by its own account, and what that account does not see."""
    start_up, own = _number(told.get("start_up_seconds")), _number(told.get("seconds"))
    return float(np.clip(start_up + seconds - own, 0, seconds))


def runtime_table(
    jobs: Iterable[tuple[str | Path, str | Path]], datasets: Collection[str], generators: Collection[str]
) -> pd.DataFrame:
    """Tabulate the time and memory of jobs.

    Args:
        jobs: benchmark file ``benchmarks/<stage>/<job>.jsonl`` and provenance of each job. Where it ran more than once
            the last line of the benchmark counts. Dataset and generator are found in the job's name, whose parts
            ``/``, ``.`` or ``-`` divide.
        datasets: names that are datasets.
        generators: names that are generators.

    Returns:
        Columns stage, job, dataset, generator (missing where the job has none), seconds (wall clock), start_up_seconds
        (of these, until the interpreter had started and imported, and from the result to the end of the process),
        cpu_seconds, peak_memory_mb (resident, MB), in the order of ``jobs``. What was not measured is NaN.

    Raises:
        FileNotFoundError: if a file is missing.
        ValueError: if a file is not under a folder ``benchmarks`` or not a benchmark; the message names it.
    """
    rows = []
    for path, provenance in ((Path(benchmark), Path(made)) for benchmark, made in jobs):
        parts = path.with_suffix("").parts
        if FOLDER not in parts or len(parts) < (start := len(parts) - parts[::-1].index(FOLDER)) + 2:
            raise ValueError(f"{path} is not of the form {FOLDER}/<stage>/<job>.jsonl")
        stage, job = parts[start], "/".join(parts[start + 1 :])
        names = re.split(r"[/.\-]", job)
        if not path.exists():
            raise FileNotFoundError(f"{path} is missing: the job has not run")
        try:
            measured = json.loads(path.read_text(encoding="utf-8").strip().splitlines()[-1])
            seconds = float(measured["s"])
        except (IndexError, KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"{path} is not a benchmark of Snakemake in JSON lines; delete it and run the job again"
            ) from error
        told = _provenance(provenance)
        rows.append(
            {
                "stage": stage,
                "job": job,
                "dataset": next((name for name in names if name in datasets), None),
                "generator": next((name for name in names if name in generators), None),
                "seconds": seconds,
                "start_up_seconds": _start_up(seconds, told),
                "cpu_seconds": _number(told.get("cpu_seconds")),
                "peak_memory_mb": _number(measured.get("max_rss")),
            }
        )
    columns = ["stage", "job", "dataset", "generator", "seconds", "start_up_seconds", "cpu_seconds", "peak_memory_mb"]
    return pd.DataFrame(rows, columns=columns).astype({"dataset": object, "generator": object})
