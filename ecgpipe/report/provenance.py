"""How a study was made: code, versions, configuration, checksums."""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import TypedDict

import yaml

from ecgpipe.config import Config
from ecgpipe.files import sha256

PACKAGES = (
    "ecgpipe",
    "torch",
    "numpy",
    "scipy",
    "scikit-learn",
    "pandas",
    "pyarrow",
    "wfdb",
    "matplotlib",
    "pydantic",
    "snakemake",
)


class GitState(TypedDict):
    """The commit a working tree stands on."""

    commit: str
    date: str
    """Of the commit, ISO 8601."""
    changed: int
    """Files that differ from it or are not known to git."""


def git_state(folder: str | Path) -> GitState | None:
    """Return the state of the git checkout at ``folder``; None if it is none, or git is not installed."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(folder), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        commit, date = git("log", "-1", "--format=%H %cI").split()
        return GitState(commit=commit, date=date, changed=len(git("status", "--porcelain").splitlines()))
    except (OSError, subprocess.CalledProcessError, ValueError):
        return None


def versions() -> list[tuple[str, str]]:
    """Return name and version of Python and the main packages that are installed."""
    found = [("python", platform.python_version())]
    for name in PACKAGES:
        try:
            found.append((name, importlib.metadata.version(name)))
        except importlib.metadata.PackageNotFoundError:
            found.append((name, "not installed as a package"))
    return found


def config_text(config: Config) -> str:
    """Return the whole configuration, defaults included, as YAML."""
    return yaml.safe_dump(config.model_dump(mode="json", by_alias=True), sort_keys=False, allow_unicode=True, width=100)


def checksums(files: Iterable[tuple[str, Path]]) -> list[tuple[str, str]]:
    """Return (name, SHA-256) of files that exist, in the order given."""
    return [(name, sha256(path)) for name, path in files if path.exists()]
