"""Two starts of one job at a time, as after Snakemake was killed on a cluster: the second waits for the first."""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

KEPT = "made by the start that was waited for: kept"


def wait_for_other_start(log: Path) -> bool:
    """Wait until no other start of this job runs; none begins then before this process ends.

    Jobs outlive a Snakemake that is killed on a cluster, and the next one submits them again. The lock is a hidden file
    beside the job's log, which Snakemake removes before a start. It belongs to this process alone, not to its workers,
    and ends with it.

    Returns:
        Whether another start was running.
    """
    handle = os.open(log.with_name(f".{log.name}.lock"), os.O_CREAT | os.O_RDWR, 0o666)
    try:
        fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # POSIX allows either
        print("another start of this job is running; waiting for its end", file=sys.stderr)
        fcntl.lockf(handle, fcntl.LOCK_EX)
        return True
    except OSError as error:
        print(
            f"WARNING: {log} cannot be locked ({error}): two starts of this job would not see each other",
            file=sys.stderr,
        )
    return False


def made_since(began: float, args: argparse.Namespace, inputs: Mapping[str, str]) -> bool:
    """Say whether another start has made this very result after a time.

    Args:
        began: time in seconds since the epoch.
        args: arguments of the job.
        inputs: SHA-256 of its inputs, by path.

    Returns:
        Whether its provenance, which is written last, is newer and of the same settings, code and inputs.
    """
    path = getattr(args, "provenance", None)
    if path is None or not path.exists() or path.stat().st_mtime < began:
        return False
    made = json.loads(path.read_text(encoding="utf-8"))
    settings = json.loads(getattr(args, "settings", None) or "null")
    return bool((made["code"]["digest"], made["settings"], made["inputs"]) == (args.code, settings, inputs))
