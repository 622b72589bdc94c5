"""Several processes for one job, by torchrun."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from ecgpipe.workflow.gpus import claim_gpus
from ecgpipe.workflow.locks import KEPT, made_since, wait_for_other_start
from ecgpipe.workflow.logs import writable


def local_rank() -> str | None:
    """Return the rank that torchrun gave this process on its machine; None if the job is one process."""
    return os.environ.get("LOCAL_RANK")


def processes_of(processes: int, gpus: int) -> int:
    """Return how many processes a job has: on GPUs (``gpus`` above 0) no more than there are."""
    return min(processes, gpus) if gpus else processes


def launch(args: argparse.Namespace, *inputs: Path) -> None:
    """Replace this process by torchrun with ``args.processes`` processes of the same script, if these are several.

    They share the job's threads: ``args.threads`` becomes the threads of each. On GPUs there are no more processes than
    GPUs. If another start of this job has just made its result from these inputs, there is nothing to do.
    """
    number = processes_of(args.processes, args.gpu)
    args.threads = max(1, args.threads // number)
    if number <= 1 or local_rank() is not None:
        return
    from ecgpipe.workflow.checksums import ChangedFileError, verified

    began = time.time()
    with writable(args.log):
        # The lock ends with this program, in the next lines; the process of rank 0 takes it anew.
        waited = wait_for_other_start(args.log)
        args.log.touch()
    try:
        kept = waited and made_since(began, args, verified(inputs))
    except ChangedFileError as error:
        sys.exit(f"ERROR: {error}")
    if kept:
        print(KEPT, file=sys.stderr)
        sys.exit()
    args.log.write_text("", encoding="utf-8")
    claim_gpus(args.gpu)
    torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={number}"]
    os.execv(sys.executable, [sys.executable, *torchrun, "--", *sys.argv])  # noqa: S606 - no shell
