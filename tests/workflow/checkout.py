"""A copy of the project in a temporary folder, and Snakemake runs in it."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from ecgpipe.workflow import job_events
from ecgpipe.workflow.pending import read_jobs

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("Snakefile", "rules", "ecgpipe", "workflow_scripts", "profiles", "envs", "configs", "config.yaml", "docs")
ENVIRONMENT = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}

# Importing Snakemake takes longer than most dry runs: one process imports it, and a fork of it does each.
_SERVER = """
import json, os, sys
import snakemake.cli
from importlib.util import module_from_spec, spec_from_file_location
# By its path: the package must be imported from the checkout that a dry run is about.
spec = spec_from_file_location("job_events", sys.argv[1])
job_events = sys.modules["job_events"] = module_from_spec(spec)
spec.loader.exec_module(job_events)
job_events.register()
for line in sys.stdin:
    order = json.loads(line)
    if (child := os.fork()) == 0:
        os.chdir(order["folder"])
        out = os.open("dry-run.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(out, 1), os.dup2(out, 2)
        code = 1
        try:
            snakemake.cli.main(order["arguments"])
        except SystemExit as ended:
            code = ended.code
        finally:
            sys.stdout.flush(), sys.stderr.flush()
            os._exit(code)
    _, status = os.waitpid(child, 0)
    print(os.waitstatus_to_exitcode(status), flush=True)
"""


@functools.cache
def _server() -> subprocess.Popen[str]:
    command = [sys.executable, "-c", _SERVER, job_events.__file__]
    return subprocess.Popen(command, env=ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@dataclass
class Checkout:
    """A copy of the project, and its results."""

    folder: Path
    config: str = "configs/tiny.yaml"
    variables: dict[str, str] = field(default_factory=dict)
    """Environment variables of its runs, beside :data:`ENVIRONMENT`."""

    def command(self, *arguments: str) -> list[str]:
        """Return Snakemake's command line on the checkout's config; of an option given twice, the last counts."""
        return [sys.executable, "-m", "snakemake", "--configfile", self.config, "--cores", "2", *arguments]

    def snakemake(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run Snakemake on the checkout's config."""
        command = self.command(*arguments)
        environment = {**ENVIRONMENT, **self.variables}
        done = subprocess.run(command, cwd=self.folder, env=environment, text=True, capture_output=True, check=False)
        if check and done.returncode:
            logs = "\n".join(f"--- {p}\n{p.read_text()[-3000:]}" for p in self.folder.glob("results/logs/**/*.log"))
            raise AssertionError(
                f"snakemake {arguments} failed:\n{done.stdout[-3000:]}\n{done.stderr[-6000:]}\n{logs[-12000:]}"
            )
        return done

    def _dry_run(self, *arguments: str) -> list[str]:
        """Return the events of the jobs that would run, one JSON object each."""
        server = _server()
        assert server.stdin is not None
        assert server.stdout is not None
        events = self.folder / "dry-run.jsonl"
        events.unlink(missing_ok=True)
        arguments = ("--dry-run", *job_events.options(events), *arguments)
        order = {"folder": str(self.folder), "arguments": self.command(*arguments)[3:]}
        server.stdin.write(json.dumps(order) + "\n")
        server.stdin.flush()
        code = int(server.stdout.readline())
        said = (self.folder / "dry-run.txt").read_text()
        assert code == 0, said
        return events.read_text().splitlines() if events.exists() else []

    def pending(self, *arguments: str) -> dict[str, int]:
        """Return the jobs that a dry run would do, by rule, without the targets that only name others."""
        rules = Counter(json.loads(event)["rule_name"] for event in self._dry_run(*arguments))
        return {rule: n for rule, n in rules.items() if rule != "all"}

    def job(self, output: str) -> list[str]:
        """Return the command line of the job that makes an output, to be run in the checkout's folder."""
        (job,) = read_jobs(self._dry_run(output, "--force"))
        script = job.command[1].replace("${ECGPIPE_SCRIPTS}", "workflow_scripts")
        return [sys.executable, script, *job.command[2:]]

    def edit(self, path: str, old: str, new: str) -> None:
        """Replace text in one of the checkout's files; the text must be there."""
        file = self.folder / path
        text = file.read_text()
        assert old in text, f"{old!r} is not in {path}"
        file.write_text(text.replace(old, new))


def copy_project(folder: Path) -> Checkout:
    """Copy what makes the project, without results; its files are as new as those of a fresh clone."""
    folder.mkdir(parents=True)
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(
                source, folder / part, ignore=shutil.ignore_patterns("__pycache__"), copy_function=shutil.copyfile
            )
        else:
            shutil.copyfile(source, folder / part)
    return Checkout(folder)
