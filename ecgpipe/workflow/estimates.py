"""What jobs are expected to take, as far as it is known without measuring anything.

Imports neither torch nor pandas: :mod:`ecgpipe.workflow.plan`, which calibrates the machine, does.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ecgpipe.files import read_json
from ecgpipe.workflow.jobs import JOBS, RESULTS
from ecgpipe.workflow.pending import Job

PLAN = "plan.json"
"""File in the folder of results in which ``ecgpipe plan`` keeps its estimates."""
STARTING = 5.0
"""Seconds that a job takes to start Python and its libraries."""


def _seconds(provenance: Path) -> float | None:
    """Return what a job took when it last ran; None if its provenance is not there or is damaged."""
    try:
        return float(read_json(provenance)["seconds"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _planned(results: Path) -> dict[tuple[str, str], float]:
    try:
        rows: list[dict[str, Any]] = read_json(results / PLAN)
        return {(row["rule"], row["name"]): float(row["seconds"]) for row in rows if row["seconds"] is not None}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def estimates(jobs: Sequence[Job], folder: str | Path = ".", results: str = RESULTS) -> list[float | None]:
    """Estimate jobs: as planned, as they or others of their rule took here before, or roughly.

    Args:
        jobs: that will run.
        folder: where the study lies.
        results: folder of its results there.

    Returns:
        Seconds of each; None where nothing is known.
    """
    folder = Path(folder)
    planned = _planned(folder / results)
    past: dict[str, list[float]] = {}
    for rule, kind in JOBS.items():
        taken = [_seconds(path) for path in kind.provenances(folder / results)]
        past[rule] = [seconds for seconds in taken if seconds is not None]
    return [_estimate(job, planned, past, folder) for job in jobs]


def _estimate(
    job: Job, planned: dict[tuple[str, str], float], past: dict[str, list[float]], folder: Path
) -> float | None:
    if (seconds := planned.get((job.rule, job.name))) is not None:
        return seconds
    if job.provenance is not None and (seconds := _seconds(folder / job.provenance)) is not None:
        return seconds
    if past.get(job.rule):
        return statistics.median(past[job.rule])
    rough = JOBS[job.rule].rough if job.rule in JOBS else None
    return None if rough is None else rough[0] + STARTING
