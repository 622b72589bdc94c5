"""GPUs of one machine, shared by the jobs that run on it."""

from __future__ import annotations

import fcntl
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path


def _lock_free(devices: Sequence[str], number: int) -> dict[str, int]:
    """Lock up to ``number`` of these devices; return their names and the file descriptors of the locks."""
    claimed: dict[str, int] = {}
    for name in devices:
        place = Path(tempfile.gettempdir()) / f"ecgpipe-{os.getuid()}-gpu-{name}.lock"
        lock = os.open(place, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
        else:
            claimed[name] = lock
            if len(claimed) == number:
                break
    return claimed


def claim_gpus(number: int, patience: float = 1.0) -> None:
    """Take GPUs that no other job of this machine has, and let this process see only them.

    Snakemake limits how many GPU jobs run, but assigns none a device. A claim is a lock that ends with the process,
    however it ends. Where a scheduler shows a job only its own devices (SLURM, Kubernetes) nothing is left to claim.

    Args:
        number: GPUs granted to this job.
        patience: seconds between two attempts.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    nodes = sorted(Path("/dev").glob("nvidia[0-9]*"), key=lambda path: int(path.name.removeprefix("nvidia")))
    devices = visible.split(",") if visible else [path.name.removeprefix("nvidia") for path in nodes]
    if not 0 < number < len(devices):
        return
    while len(claimed := _lock_free(devices, number)) < number:
        for lock in claimed.values():  # two jobs that each hold some and wait for more would wait for ever
            os.close(lock)
        time.sleep(patience)
    for lock in claimed.values():
        os.set_inheritable(lock, True)  # torchrun, which may take this process's place, keeps the claim
    os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(claimed)
