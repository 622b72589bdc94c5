"""Ctrl-C in the middle of a job: one line, no lock left, and the same command goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from checkout import ENVIRONMENT, ROOT

NET = """
import time
from pathlib import Path

from log_spectrum import LogSpectrum


class Waiting(LogSpectrum):
    \"\"\"Waits in its training as long as there is a file `wait`.\"\"\"

    def forward(self, signals):
        while self.training and Path("wait").exists():
            Path("reached").touch()
            time.sleep(0.05)
        return super().forward(signals)
"""
TARGET = "results/classifiers/demo/real/predictions.parquet"


def _python(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**ENVIRONMENT, "PYTHONPATH": str(ROOT / "workflow_scripts")}
    command = [sys.executable, "-c", f"import _repository\n{code}"]
    return subprocess.run(command, cwd=folder, env=environment, text=True, capture_output=True, check=False)


def test_a_job_ends_without_a_trace_and_its_log_says_so(tmp_path: Path) -> None:
    done = _python(
        "import argparse, pathlib\nfrom ecgpipe.workflow.running import running\n"
        "with running(argparse.Namespace(log=pathlib.Path('job.log'))) as ready:\n"
        "    ready()\n    raise KeyboardInterrupt\n",
        tmp_path,
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
    log = (tmp_path / "job.log").read_text()
    assert log.splitlines()[-1].endswith("INFO interrupted")
    assert "Traceback" not in log


@pytest.mark.parametrize(("raised", "lines"), [("KeyboardInterrupt", 0), ("ValueError('x')", 3)])
def test_an_interrupt_before_the_work_shows_no_trace_and_an_error_does(raised: str, lines: int, tmp_path: Path) -> None:
    done = _python(f"raise {raised}", tmp_path)
    assert done.returncode != 0
    assert len(done.stderr.splitlines()) == lines


CHECKING = "Checking the study and what is left to do ..."


def _run(folder: Path, out: Path) -> subprocess.Popen[bytes]:
    """Start a run in a process group of its own, as a shell does."""
    command = [sys.executable, "-m", "ecgpipe", "run", "--cores", "1", TARGET]
    environment = {**ENVIRONMENT, "PYTHONPATH": str(ROOT)}
    with out.open("wb") as said:
        # A shell that runs the tests in the background has them ignore interrupts; a terminal does not.
        before = signal.signal(signal.SIGINT, signal.SIG_DFL)
        try:
            return subprocess.Popen(
                command, cwd=folder, env=environment, stdout=said, stderr=subprocess.STDOUT, start_new_session=True
            )
        finally:
            signal.signal(signal.SIGINT, before)


@pytest.mark.long
@pytest.mark.workflow
@pytest.mark.xdist_group("workflow")
def test_an_interrupted_run_says_one_line_and_goes_on(tmp_path: Path) -> None:
    example = ROOT / "examples" / "own_classifier"
    config = yaml.safe_load((example / "config.yaml").read_text())
    config["classifiers"]["log_spectrum"]["class"] = "waiting_net:Waiting"
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    (tmp_path / "log_spectrum.py").write_text((example / "log_spectrum.py").read_text())
    (tmp_path / "waiting_net.py").write_text(NET)
    (tmp_path / "wait").touch()
    out = tmp_path / "out.txt"
    process = _run(tmp_path, out)
    try:
        while not (tmp_path / "reached").exists():
            assert process.poll() is None, out.read_text()
            time.sleep(0.1)
        os.killpg(process.pid, signal.SIGINT)  # what a terminal does on Ctrl-C
        assert process.wait() == 130, out.read_text()
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    said = out.read_text().splitlines()
    assert said[-1] == "The run was interrupted. The same command goes on from there: what is done is kept."
    assert said[0] == CHECKING
    assert [line for line in said[1:-1] if not line.startswith("[") and "job" not in line] == []
    assert not list((tmp_path / ".snakemake" / "locks").glob("*"))
    log = tmp_path / "results" / "logs" / "classify" / "demo" / "real.log"
    assert "Traceback" not in log.read_text()
    (tmp_path / "wait").unlink()
    process = _run(tmp_path, out)
    assert process.wait() == 0, out.read_text()
    assert (tmp_path / TARGET).exists()
    assert out.read_text().splitlines()[1].startswith("1 job on 1 core")
