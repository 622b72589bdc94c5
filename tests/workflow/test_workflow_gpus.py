"""Each job on a machine with several GPUs gets devices of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import os, sys
from ecgpipe.workflow.gpus import claim_gpus
claim_gpus(int(sys.argv[1]), patience=0.05)
print(os.environ.get("CUDA_VISIBLE_DEVICES", ""), flush=True)
sys.stdin.read()
"""


def _job(number: int, visible: str, folder: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": visible, "TMPDIR": str(folder)}
    environment["PYTHONPATH"] = str(ROOT)
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(number)],
        env=environment,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


def _said(job: subprocess.Popen[str]) -> str:
    assert job.stdout is not None
    return job.stdout.readline().strip()


def test_jobs_at_a_time_share_no_device(tmp_path: Path) -> None:
    jobs = [_job(1, "0,1,2", tmp_path), _job(2, "0,1,2", tmp_path)]
    taken = [_said(job).split(",") for job in jobs]
    assert sorted(len(names) for names in taken) == [1, 2]
    assert sorted([*taken[0], *taken[1]]) == ["0", "1", "2"]
    waiting = _job(1, "0,1,2", tmp_path)
    jobs[0].kill()  # a claim ends with its process, however that ends
    assert [_said(waiting)] == taken[0]
    for job in (*jobs, waiting):
        job.kill()
        job.communicate()


@pytest.mark.parametrize(("number", "visible"), [(0, "0,1"), (2, "4,5"), (1, "MIG-abc")])
def test_there_is_nothing_to_choose(tmp_path: Path, number: int, visible: str) -> None:
    job = _job(number, visible, tmp_path)
    assert _said(job) == visible
    assert not list(tmp_path.glob("*.lock"))
    job.communicate()
