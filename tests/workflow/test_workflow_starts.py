"""A second start of a job, as after Snakemake was killed on a cluster, waits for the first."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import sys
from ecgpipe.workflow.arguments import result_parser
from ecgpipe.workflow.distributed import launch
from ecgpipe.workflow.running import running

arguments = result_parser("A job that makes what it reads.")
for name in ("--threads", "--processes", "--gpu"):
    arguments.add_argument(name, type=int, default=0)
args = arguments.parse_args()
launch(args)
with running(args) as ready:
    ready()
    print("working", flush=True)
    with open(args.provenance.with_name("made"), "a") as handle:
        handle.write(sys.stdin.readline())
"""


def _start(folder: Path, code: str = "0", processes: int = 1) -> subprocess.Popen[str]:
    script = folder / "job.py"
    script.write_text(PROGRAM)
    arguments = ["--log", "log", "--provenance", "provenance.json", "--code", code]
    arguments += ["--threads", "2", "--processes", str(processes)]
    return subprocess.Popen(
        [sys.executable, str(script), *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def _line(stream: object) -> str:
    return stream.readline().strip()  # type: ignore[attr-defined, no-any-return]


@pytest.mark.parametrize(
    ("killed", "code", "made"), [(False, "0", "one\n"), (False, "1", "one\ntwo\n"), (True, "0", "two\n")]
)
def test_a_second_start_waits_and_keeps_what_the_first_made(tmp_path: Path, killed: bool, code: str, made: str) -> None:
    first = _start(tmp_path)
    assert _line(first.stdout) == "working"
    second = _start(tmp_path, code)
    assert _line(second.stderr) == "another start of this job is running; waiting for its end"
    assert second.poll() is None
    if killed:
        first.kill()
        first.communicate()
    else:
        first.communicate("one\n")
        assert first.returncode == 0
    second.communicate("two\n")
    assert second.returncode == 0
    assert (tmp_path / "made").read_text() == made
    assert json.loads((tmp_path / "provenance.json").read_text())["code"]["digest"] == (code if "two" in made else "0")
    assert ("kept" in (tmp_path / "log").read_text()) == (made == "one\n")


def test_a_second_start_that_would_be_divided_keeps_what_the_first_made(tmp_path: Path) -> None:
    first = _start(tmp_path)
    assert _line(first.stdout) == "working"
    second = _start(tmp_path, processes=2)
    assert _line(second.stderr) == "another start of this job is running; waiting for its end"
    first.communicate("one\n")
    assert first.returncode == 0
    kept = second.communicate("two\n")[1]
    assert second.returncode == 0
    assert kept == "made by the start that was waited for: kept\n"
    assert (tmp_path / "made").read_text() == "one\n"
    assert "done" in (tmp_path / "log").read_text()
