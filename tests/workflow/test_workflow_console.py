"""The console of a run: estimates of what is left, one line a job, the log of a job that failed."""

from __future__ import annotations

import io
import json
import logging
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from checkout import ENVIRONMENT, Checkout
from snakemake_interface_logger_plugins.common import LogEvent

from ecgpipe.files import write_json
from ecgpipe.workflow import console
from ecgpipe.workflow.console import Lines, Remaining, Reporter, duration
from ecgpipe.workflow.estimates import estimates
from ecgpipe.workflow.pending import Job

in_workflow = [pytest.mark.workflow, pytest.mark.xdist_group("workflow")]
A, B, C = ("make", "a"), ("make", "b"), ("draw", "c")


def test_what_is_left_is_weighted_by_what_is_known() -> None:
    remaining = Remaining({A: 10.0, B: 30.0, C: None}, cores=2)
    assert remaining.left(0.0) == 30.0  # one job is longer than all others on two cores
    remaining.start(A, 0.0)
    remaining.start(B, 0.0)
    assert remaining.left(20.0) == 10.0
    assert remaining.end(A, 20.0) == 20.0
    remaining.start(C, 20.0)
    assert remaining.end(C, 24.0) == 4.0
    assert remaining.left(25.0) == 5.0
    assert remaining.share(25.0) == pytest.approx(12 / 17)
    remaining.end(B, 30.0)
    assert (remaining.left(30.0), remaining.share(30.0)) == (0.0, 1.0)


def test_nothing_is_said_while_too_little_is_known() -> None:
    remaining = Remaining({A: None, B: None, C: None}, cores=1)
    assert remaining.left(0.0) is None
    remaining.start(A, 0.0)
    assert remaining.share(5.0) == 0.0
    remaining.end(A, 8.0)
    assert remaining.left(8.0) == 8.0 + console.UNKNOWN
    assert remaining.share(8.0) == pytest.approx(8 / 26)


@pytest.mark.parametrize(
    ("seconds", "text"), [(3.2, "3 s"), (99.4, "99 s"), (100, "2 min"), (5400, "90 min"), (9000, "2.5 h")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


class _Run:
    """A reporter with a clock that is set by hand."""

    def __init__(self) -> None:
        self.now, self.out = 0.0, io.StringIO()
        remaining = Remaining({A: 5.0, B: 5.0}, cores=1)
        self.reporter = Reporter(remaining, Lines(self.out), clock=lambda: self.now)

    def event(self, now: float, event: LogEvent, **record: Any) -> None:
        self.now = now
        self.reporter.event(event, record)

    @property
    def lines(self) -> list[str]:
        return self.out.getvalue().splitlines()


def _info(job: int, rule: str, **wildcards: str) -> dict[str, Any]:
    return {"jobid": job, "rule_name": rule, "wildcards": wildcards}


def test_a_line_for_each_job_that_ends() -> None:
    run = _Run()
    run.event(0, LogEvent.JOB_INFO, **_info(1, "make", dataset="a"))
    run.event(6, LogEvent.JOB_FINISHED, job_id=1)
    run.event(6, LogEvent.JOB_INFO, **_info(2, "make", dataset="b"))
    run.event(6, LogEvent.JOB_INFO, **_info(0, "all"))
    run.event(12, LogEvent.JOB_FINISHED, job_id=2)
    run.event(12, LogEvent.JOB_FINISHED, job_id=0)
    assert run.lines == ["[1/2] make a: 6 s; about 5 s left", "[2/2] make b: 6 s"]


def test_what_jobs_say_to_an_interrupt_is_not_shown(tmp_path: Path) -> None:
    log = tmp_path / "make.log"
    log.write_text("interrupted\n")
    run = _Run()
    run.event(0, LogEvent.JOB_INFO, **_info(1, "make", dataset="a"))
    run.reporter.interrupted = True
    run.reporter.line("Traceback (most recent call last):\n")
    run.reporter.message(logging.ERROR, "Terminating processes on user request")
    run.event(1, LogEvent.JOB_ERROR, **_info(1, "make", dataset="a"), log=[str(log)])
    run.reporter.close()
    assert run.lines == []


def test_a_failed_job_shows_the_end_of_its_log_and_nothing_twice(tmp_path: Path) -> None:
    log = tmp_path / "make.log"
    log.write_text("".join(f"line {n}\n" for n in range(40)) + "x" * 500 + "\nValueError: no such thing\n")
    run = _Run()
    run.event(0, LogEvent.JOB_INFO, **_info(1, "make", dataset="a"))
    run.reporter.line("ERROR: no such thing\n")
    run.reporter.line(f"(the full account is in {log})\n")
    run.reporter.message(logging.ERROR, "RuleException:\nCalledProcessError in file x, line 3")
    run.event(3, LogEvent.JOB_ERROR, **_info(1, "make", dataset="a"), log=[str(log)])
    run.reporter.close()
    assert run.lines[0] == f"FAILED make a; the end of {log}:"
    assert run.lines[-1] == "    ValueError: no such thing"
    assert len(run.lines) == 1 + console.TAIL
    assert max(map(len, run.lines[1:])) <= 4 + console.WIDEST


def test_an_error_without_a_log_is_shown() -> None:
    run = _Run()
    run.reporter.line("ERROR: the log cannot be written\n")
    run.reporter.close()
    assert run.lines == ["ERROR: the log cannot be written"]
    run = _Run()
    run.reporter.line("ERROR: the log cannot be written\n")
    run.event(3, LogEvent.JOB_ERROR, **_info(1, "make", dataset="a"), log=["nowhere.log"])
    run.reporter.close()
    assert run.lines == ["FAILED make", "    ERROR: the log cannot be written"]


def test_messages_are_shown_once_and_notes_not_at_all() -> None:
    run = _Run()
    run.reporter.message(logging.INFO, "Building DAG of jobs...")
    for _ in range(2):
        run.reporter.message(logging.WARNING, "a folder is missing")
    run.reporter.line("Using workflow specific profile profiles/default for …\n")
    run.reporter.line("WARNING: no sample of SVTAC is drawn\n")
    assert run.lines == ["a folder is missing", "WARNING: no sample of SVTAC is drawn"]


def test_estimates_are_the_plans_or_the_past(tmp_path: Path) -> None:
    def job(rule: str, *places: str) -> Job:
        wildcards = dict(zip(("dataset", "generator"), places, strict=False))
        provenance = f"results/generators/{'/'.join(places)}/provenance.json"
        return Job(rule, wildcards, "", (), ("python", "x.py", "--provenance", provenance))

    jobs = [job("generate", "a", "g"), job("generate", "b", "g"), job("generate", "c", "g"), job("sample", "a", "g")]
    assert estimates(jobs, tmp_path) == [None] * 4
    assert estimates([job("pool", "a", "g")], tmp_path) == [6.0]
    for place, seconds in (("a", 10.0), ("b", 20.0), ("d", 60.0)):
        write_json(tmp_path / f"results/generators/{place}/g/provenance.json", {"seconds": seconds})
    assert estimates(jobs, tmp_path) == [10.0, 20.0, 20.0, 10.0]
    write_json(tmp_path / "results/plan.json", [{"rule": "generate", "name": "a/g", "seconds": 7.0}])
    (tmp_path / "results/generators/b/g/provenance.json").write_text("{")
    assert estimates(jobs[:2], tmp_path) == [7.0, 35.0]


SNAKEFILE = """
rule all:
    input: "good", "bad"

rule make:
    output: "{name}"
    log: "{name}.log"
    shell: "echo a warning >&2; echo the account of {wildcards.name} > {log}; echo ERROR: twice >&2; "
        "test {wildcards.name} = good && touch {output}"
"""


@pytest.fixture
def two_jobs(tmp_path: Path) -> list[str]:
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    jobs = [{"rule": "make", "name": name, "seconds": 1.0} for name in ("good", "bad")]
    (tmp_path / "jobs.json").write_text(json.dumps({"cores": 1, "jobs": jobs}))
    return [sys.executable, "-P", console.__file__, "jobs.json", "--cores", "1", "--keep-going", "all"]


def test_snakemake_itself_tells_its_jobs(two_jobs: list[str], tmp_path: Path) -> None:
    done = subprocess.run(two_jobs, cwd=tmp_path, text=True, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    lines = done.stderr.splitlines()
    assert sum(bool(re.fullmatch(r"\[1/2\] make good: \d+ s.*", line)) for line in lines) == 1
    assert lines.count("FAILED make bad; the end of bad.log:") == 1
    assert lines.count("    the account of bad") == 1
    assert lines.count("a warning") == 2
    assert "ERROR: twice" not in done.stderr
    assert len(lines) == 5, done.stderr


def test_a_terminal_has_bars(two_jobs: list[str], tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    with subprocess.Popen(two_jobs, cwd=tmp_path, stdout=theirs, stderr=theirs, env=environment) as process:
        os.close(theirs)
        said = b""
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # the other side is closed
                break
            said += part
            if not part:
                break
    os.close(ours)
    assert process.returncode == 1
    text = said.decode()
    assert "━" in text
    assert "of 2 jobs" in text
    assert "FAILED make bad; the end of bad.log:" in text


CHECKING = "Checking the study and what is left to do ..."


class TestStudy:
    pytestmark = in_workflow

    def _run(self, checkout: Checkout, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "ecgpipe", "run", "--configfile", checkout.config, "--cores", "2", *words]
        return subprocess.run(
            command, cwd=checkout.folder, env=ENVIRONMENT, text=True, capture_output=True, check=False
        )

    def test_a_finished_study_ends_with_its_answer(self, finished: Checkout) -> None:
        done = self._run(finished)
        assert (done.returncode, done.stderr) == (0, "")
        at_once, first, *_, last = done.stdout.splitlines()
        assert at_once == CHECKING
        assert first.startswith("Nothing to do: ")
        assert last == f"The report: {(finished.folder / 'results/report/index.html').as_uri()}"
        assert "Does pre-training on synthetic records help? " in done.stdout

    def test_a_job_has_a_line_and_a_failed_one_its_log(self, checkout: Checkout) -> None:
        (checkout.folder / "results/report/index.html").unlink()
        done = self._run(checkout)
        assert done.returncode == 0, done.stderr
        assert re.fullmatch(r"\[1/1\] report_page: \d+ s\n", done.stderr)
        assert done.stdout.startswith(f"{CHECKING}\n1 job on 2 cores, about ")
        checkout.edit("ecgpipe/report/run.py", "\n\n\ndef ", '\n\n\nraise RuntimeError("planted fault")\n\n\ndef ')
        done = self._run(checkout)
        assert done.returncode == 1
        assert done.stderr.count("RuntimeError: planted fault") == 1
        assert "FAILED report_page; the end of results/logs/report.log:" in done.stderr
        assert done.stderr.splitlines()[-1].startswith("The run ended with an error; remove the cause. ")
        assert "The report:" not in done.stdout

    def test_what_cannot_start_is_one_paragraph(self, finished: Checkout, tmp_path: Path) -> None:
        for words, said in (
            (["nosuch"], "ERROR: No rule to produce nosuch"),
            (["--configfile", "nosuch.yaml"], "ERROR: there is no nosuch.yaml in "),
            (["--cores", "none"], "none is neither a number of cores nor `all`"),
        ):
            done = self._run(finished, *words)
            assert done.returncode == 2
            assert done.stdout == (f"{CHECKING}\n" if words == ["nosuch"] else "")
            assert said in done.stderr
            assert "Traceback" not in done.stderr
