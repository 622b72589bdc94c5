"""The jobs that Snakemake would run now, as its dry run tells them."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ecgpipe.workflow.arguments import expanded
from ecgpipe.workflow.code_digest import PACKAGE_ROOT

CONSEQUENCE, MISSING = "Input files updated by another job", "Missing output files"
"""How Snakemake's reasons begin for a job that follows from another, and for one without its results. Its events carry
the reason as a sentence only."""


_HEADER = re.compile(r"^\w+(Error|Exception)(\s+in (file|rule) .*)?:$")
"""First line of an error of Snakemake; what it means stands below."""


class DryRunError(Exception):
    """Snakemake could not plan; the message is its own."""


def snakefile(folder: str | Path = ".") -> list[str]:
    """Return Snakemake's option that names the workflow, for a folder that holds a study's config and no Snakefile."""
    return [] if (Path(folder) / "Snakefile").exists() else ["--snakefile", str(PACKAGE_ROOT / "Snakefile")]


def error_text(said: str) -> str:
    """Return what Snakemake says of an error, without the description of the run before it."""
    lines = [line for line in said.splitlines() if not line.startswith("Using workflow specific profile")]
    starts = [number for number, line in enumerate(lines) if _HEADER.match(line)]
    told = lines[starts[0] + 1 :] if starts else lines
    return "\n".join(line for line in told if line.strip())[:3000] or said.strip()[-3000:]


@dataclass(frozen=True)
class Job:
    """A job that would run.

    Attributes:
        rule: its rule.
        wildcards: their values.
        reason: Snakemake's own.
        output: names of its outputs.
        command: its shell command, word by word, with what files of long arguments hold.
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


def read_jobs(lines: Iterable[str], folder: str | Path = ".") -> list[Job]:
    """Read the jobs that :mod:`ecgpipe.workflow.job_events` wrote; targets, which run nothing, are left out.

    Args:
        lines: of its file.
        folder: where the study lies.
    """
    return [
        Job(
            rule=said["rule_name"],
            wildcards={name: str(value) for name, value in said["wildcards"].items()},
            reason=said["reason"],
            output=tuple(said["output"]),
            command=tuple(expanded(shlex.split(said["shellcmd"].replace("\\\n", " ")), folder)),
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
        command += ["--dry-run", "--nolock", "--nocolor", *snakefile(folder), *arguments]
        done = subprocess.run(command, cwd=folder, text=True, capture_output=True, check=False)
        if done.returncode:
            raise DryRunError(error_text(f"{done.stdout}\n{done.stderr}"))
        lines = events.read_text(encoding="utf-8").splitlines() if events.exists() else []
        return read_jobs(lines, folder)
