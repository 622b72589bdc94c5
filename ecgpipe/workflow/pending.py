"""The jobs that Snakemake would run now, as its dry run tells them."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CONSEQUENCE = "Input files updated by another job"
"""Snakemake's reason for a job that follows from another."""


class DryRunError(Exception):
    """Snakemake could not plan; the message is its own."""


@dataclass(frozen=True)
class Job:
    """A job that would run.

    Attributes:
        rule: its rule.
        wildcards: their values.
        reason: Snakemake's own.
        output: names of its outputs.
        command: its shell command, word by word.
    """

    rule: str
    wildcards: dict[str, str]
    reason: str
    output: tuple[str, ...]
    command: tuple[str, ...]

    @property
    def name(self) -> str:
        """What it is for: its wildcards, ``dataset/generator``."""
        return "/".join(self.wildcards.values())

    @property
    def follows(self) -> bool:
        """Whether it would run for no other reason than that an earlier job would."""
        return all(part.strip().startswith(CONSEQUENCE) for part in self.reason.split(";"))

    def argument(self, name: str) -> str | None:
        """Return the value of an argument of its script."""
        return self.command[self.command.index(name) + 1] if name in self.command else None

    @property
    def script(self) -> str | None:
        """Name of its script."""
        found = [Path(word).stem for word in self.command if word.endswith(".py")]
        return found[0] if found else None

    @property
    def settings(self) -> Any:
        """Its section of the configuration."""
        return json.loads(self.argument("--settings") or "null")

    @property
    def provenance(self) -> Path | None:
        """Where it writes its provenance."""
        path = self.argument("--provenance")
        return Path(path) if path is not None else None


def read_jobs(lines: Iterable[str]) -> list[Job]:
    """Read the jobs that :mod:`ecgpipe.workflow.job_events` wrote; targets, which run nothing, are left out."""
    return [
        Job(
            rule=said["rule_name"],
            wildcards={name: str(value) for name, value in said["wildcards"].items()},
            reason=said["reason"],
            output=tuple(said["output"]),
            command=tuple(shlex.split(said["shellcmd"].replace("\\\n", " "))),
        )
        for said in map(json.loads, lines)
        if said["shellcmd"]
    ]


def pending(arguments: Sequence[str] = (), folder: str | Path = ".") -> list[Job]:
    """Return the jobs that Snakemake would run, in the order it names them.

    Args:
        arguments: of Snakemake: targets, ``--configfile``.
        folder: where the study lies.

    Raises:
        DryRunError: if Snakemake refuses, as it does a wrong configuration.
    """
    with tempfile.TemporaryDirectory() as temporary:
        events = Path(temporary) / "jobs.jsonl"
        # By its path: the package is then imported from beside the Snakefile. -P: modules beside it are no libraries.
        command = [sys.executable, "-P", str(Path(__file__).with_name("job_events.py")), str(events)]
        command += ["--dry-run", "--nolock", "--nocolor", *arguments]
        done = subprocess.run(command, cwd=folder, text=True, capture_output=True, check=False)
        if done.returncode:
            raise DryRunError(f"{done.stdout}\n{done.stderr}".strip()[-3000:])
        return read_jobs(events.read_text(encoding="utf-8").splitlines()) if events.exists() else []
