"""The jobs that Snakemake would do now, as its dry run tells them."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CONSEQUENCE = "Input files updated by another job"
"""Snakemake's reason for a job that follows from another."""

# Jobs of a group are indented once more.
_HEAD = re.compile(r"^ *(?:local)?rule (\w+):$")
_FIELD = re.compile(r"^ {4,}(\w+): (.*)$")


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


def read_jobs(text: str) -> list[Job]:
    """Read the jobs of ``snakemake --dry-run --printshellcmds``; targets, which do nothing, have no command."""
    jobs: list[Job] = []
    head: str | None = None
    fields: dict[str, str] = {}

    def finish(command: str) -> None:
        pairs = (part.split("=", 1) for part in fields.get("wildcards", "").split(", ") if part)
        jobs.append(
            Job(
                rule=head or "",
                wildcards=dict(pairs),
                reason=fields.get("reason", ""),
                output=tuple(fields.get("output", "").split(", ")),
                command=tuple(shlex.split(command)),
            )
        )

    for line in text.splitlines():
        if match := _HEAD.match(line):
            head, fields = match[1], {}
        elif head is not None and (match := _FIELD.match(line)):
            fields[match[1]] = match[2]
        elif head is not None and (line.startswith(("Shell command: ", "python "))):
            command = line.removeprefix("Shell command: ")
            if command != "None":
                finish(command)
            head = None
    return jobs


def pending(arguments: Sequence[str] = (), folder: str | Path = ".") -> list[Job]:
    """Return the jobs that Snakemake would do, in the order it prints them.

    Args:
        arguments: of Snakemake: targets, ``--configfile``.
        folder: where the study lies.

    Raises:
        DryRunError: if Snakemake refuses, as it does a wrong configuration.
    """
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--printshellcmds", "--nolock", "--nocolor", *arguments]
    done = subprocess.run(command, cwd=folder, text=True, capture_output=True, check=False)
    if done.returncode:
        raise DryRunError(f"{done.stdout}\n{done.stderr}".strip()[-3000:])
    return read_jobs(done.stdout + done.stderr)
