"""Snakemake's events of jobs, from the real Snakemake."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from ecgpipe.workflow import job_events
from ecgpipe.workflow.pending import read_jobs

SNAKEFILE = r"""
rule all:
    input: "b"

rule make:
    output: "{name}"
    shell: "python x/make.py --settings '[1, 2]' \\\n    --provenance {output}"
"""


def test_a_dry_run_writes_its_jobs(tmp_path: Path) -> None:
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    events = tmp_path / "events.jsonl"
    command = [sys.executable, "-P", job_events.__file__, str(events), "--dry-run", "all"]
    done = subprocess.run(command, cwd=tmp_path, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    (job,) = read_jobs(events.read_text().splitlines())
    assert (job.rule, job.wildcards, job.output, job.settings) == ("make", {"name": "b"}, ("b",), [1, 2])
    assert job.provenance == Path("b")
    assert "Missing output files" in job.reason
