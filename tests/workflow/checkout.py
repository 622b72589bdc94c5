"""A copy of the project in a temporary folder, and Snakemake runs in it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("Snakefile", "rules", "ecgpipe", "workflow_scripts", "profiles", "envs", "configs", "config.yaml", "docs")


@dataclass
class Checkout:
    """A copy of the project, and its results."""

    folder: Path
    config: str = "configs/tiny.yaml"

    def snakemake(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run Snakemake on the checkout's config."""
        command = [sys.executable, "-m", "snakemake", *arguments, "--cores", "2", "--configfile", self.config]
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        done = subprocess.run(command, cwd=self.folder, env=environment, text=True, capture_output=True, check=False)
        if check and done.returncode:
            logs = "\n".join(f"--- {p}\n{p.read_text()[-3000:]}" for p in self.folder.glob("results/logs/**/*.log"))
            raise AssertionError(
                f"snakemake {arguments} failed:\n{done.stdout[-3000:]}\n{done.stderr[-6000:]}\n{logs[-12000:]}"
            )
        return done

    def pending(self, *arguments: str) -> dict[str, int]:
        """Return the jobs that a dry run would do, by rule, without the targets that only name others."""
        done = self.snakemake("--dry-run", *arguments)
        found = re.findall(r"^([a-z_]+) +(\d+)$", done.stdout + done.stderr, flags=re.MULTILINE)
        return {rule: int(n) for rule, n in found if rule not in ("all", "total")}

    def edit(self, path: str, old: str, new: str) -> None:
        """Replace text in one of the checkout's files; the text must be there."""
        file = self.folder / path
        text = file.read_text()
        assert old in text, f"{old!r} is not in {path}"
        file.write_text(text.replace(old, new))


def copy_project(folder: Path) -> Checkout:
    """Copy what makes the project, without results."""
    folder.mkdir(parents=True)
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, folder / part)
    return Checkout(folder)
