"""What docs/results.md is made of: some of the tables of its runs, kept as CSV in docs/data/."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from measuring import ROOT

from ecgpipe.closeness.privacy import judged as judge_privacy

COUNTED = ("exact_copies", "near_copies")
"""Kept by rhythm, too."""
COPIES = (*COUNTED, "near_share_signal", "membership_auc_signal")
CLOSENESS = {
    "frechet_classifier": "Fréchet distance, classifier's features",
    "class_fidelity": "read as the rhythm asked for",
}


def git(folder: Path, *command: str) -> str:
    """Return what a git command says in a folder."""
    return subprocess.run(["git", *command], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def judged_again(privacy: pd.DataFrame) -> pd.DataFrame:
    """Return what was found of the privacy of a run's samples, with the verdicts and reasons of the present code."""
    found = [
        rows.assign(**dict(zip(("verdict", "reason"), judge_privacy(rows), strict=True)))
        for _, rows in privacy.groupby(["dataset", "generator"], sort=False)
    ]
    return pd.concat(found)


def keep(work: Path, folder: Path, names: Sequence[str], config: str, again: Path | None = None) -> None:
    """Copy what the page is made of from a run's tables.

    Args:
        work: folder of the run.
        folder: where to copy them, as CSV.
        names: of the tables.
        config: of the run, for the message.
        again: folder of the run's tables made again with the present code; None: the run's own.

    Raises:
        FileNotFoundError: if the run has not made its tables.
    """
    made = work / "results" / "tables"
    if not (made / "closeness.parquet").exists() or not (made / "comparisons.parquet").exists():
        raise FileNotFoundError(f"{made} lacks tables: run `snakemake all --configfile {config}` in {work} first")
    measured = {"closeness", "privacy"}  # judge_again.py measures nothing
    read = {
        name: pd.read_parquet((made if again is None or name in measured else again) / f"{name}.parquet")
        for name in names
        if name != "about"
    }
    if again is not None:
        read["privacy"] = judged_again(read["privacy"])
    read["summary"] = read["summary"][read["summary"]["metric"].isin(["f1", "roc_auc", "balanced_accuracy"])]
    if (closeness := read.get("closeness")) is not None:
        whole = (closeness["class"] == "all") & (closeness["lead"] == "all")
        read["closeness"] = closeness[whole & closeness["measure"].isin(CLOSENESS)]
    pooled = (read["privacy"]["class"] == "all") & read["privacy"]["measure"].isin(COPIES)
    read["privacy"] = read["privacy"][pooled | read["privacy"]["measure"].isin(COUNTED)]

    def ended(tables: Path) -> str:
        return str(pd.read_json(tables / "tables.provenance.json", typ="series")["ended"])[:10]

    about = {"commit": git(work, "describe", "--always", "--exclude", "*"), "ended": ended(made)}
    if changed := git(work, "diff", "--name-only", "HEAD"):
        about["changed"] = ", ".join(changed.split())
    if again is not None:
        judging = ("ecgpipe", "workflow_scripts")
        if git(ROOT, "status", "--porcelain", "--", *judging):
            raise ValueError("ecgpipe/ differs from its last commit: commit it, and make the tables again")
        about["judged"] = git(ROOT, "rev-parse", "--short", "HEAD")
        about["judged_on"] = ended(again)
    read["about"] = pd.DataFrame({"key": list(about), "value": list(about.values())})
    folder.mkdir(parents=True, exist_ok=True)
    for name, kept in read.items():
        kept.to_csv(folder / f"{name}.csv", index=False, float_format="%.5g")


def kept_tables(folder: Path, names: Sequence[str]) -> dict[str, pd.DataFrame]:
    """Read the tables that :func:`keep` wrote; empty texts are empty, and missing numbers NaN."""
    read = {name: pd.read_csv(folder / f"{name}.csv", keep_default_na=False, na_values=[""]) for name in names}
    for frame in read.values():
        for column in frame.columns[frame.dtypes == np.dtype(object)]:
            frame[column] = frame[column].fillna("")
    return read
