"""Command-line arguments that the scripts of the workflow share, and how long ones travel.

Linux takes no argument above 128 kB, and Snakemake gives a whole command to bash as one. So settings and long lists of
files stand in files, named by the SHA-256 of what they hold, and a command says ``--settings @<file>``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Self

FOLDER = ".snakemake/arguments"
"""Folder of these files in the study's folder. Snakemake's own folder is there wherever its jobs run."""
_MARK = f"@{FOLDER}/"


class ByFile(str):
    """A long argument of a job. It is the text that Snakemake compares; :attr:`file` is what its command says."""

    @classmethod
    def words(cls, words: Iterable[object]) -> Self:
        """Return several arguments as one: each of them is a word of the command again when it is read."""
        return cls(json.dumps([str(word) for word in words]))

    @property
    def file(self) -> str:
        """Write the file, if it is not there, and return its path with an ``@`` before it."""
        from ecgpipe.files import write_text  # loads pandas, which a script does after its start

        path = Path(FOLDER) / f"{hashlib.sha256(self.encode()).hexdigest()[:20]}.json"
        if not path.exists():
            write_text(path, self, durable=False)
        return f"@{path}"


def expanded(words: Iterable[str], folder: str | Path = ".") -> list[str]:
    """Return the words of a command with what their files hold in their place.

    Args:
        words: of a command.
        folder: of the study.

    Raises:
        OSError: if a file is not there.
    """
    found: list[str] = []
    for word in words:
        if not word.startswith(_MARK):
            found.append(word)
            continue
        text = Path(folder, word[1:]).read_text(encoding="utf-8")
        value = json.loads(text)
        found += value if isinstance(value, list) else [text]
    return found


class JobParser(argparse.ArgumentParser):
    """A parser that reads the files of long arguments."""

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parse the arguments, of the command line by default, after :func:`expanded`."""
        try:
            words = expanded(sys.argv[1:] if args is None else args)
        except OSError as error:
            self.error(f"{error.filename} cannot be read ({error.strerror}): start Snakemake again, which writes it")
        return super().parse_known_args(words, namespace)


def job_parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the arguments that every script has."""
    parser = JobParser(description=description)
    parser.add_argument("--log", type=Path, required=True, help="plain-text log of what happened")
    return parser


def result_parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the arguments of every script that makes results."""
    parser = job_parser(description)
    parser.add_argument("--provenance", type=Path, required=True, help="JSON to write: what made the outputs")
    parser.add_argument("--outputs", type=Path, nargs="*", default=[], help="all outputs, for their checksums")
    parser.add_argument("--code", required=True, help="digest of the code this job depends on")
    return parser


def network_parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the arguments of every script that trains or samples networks."""
    parser = result_parser(description)
    parser.add_argument("--threads", type=int, required=True, help="threads of this job")
    parser.add_argument("--gpu", type=int, default=0, help="GPUs granted to this job; 0 computes on the CPU")
    parser.add_argument("--state", type=Path, required=True, help="folder of checkpoints to resume from")
    return parser


def device(args: argparse.Namespace) -> str:
    """Return the device of a job: the first GPU that it was granted, else the CPU."""
    return "cuda" if args.gpu else "cpu"
