"""Words and tables that the parts of docs/results.md share."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from measuring import markdown_table

from ecgpipe.prose.wording import listed, number
from ecgpipe.vocabulary import CANNOT_TELL, HARMS, HELPS, NO_DIFFERENCE, PRIMARY

FOUND = {HELPS: "helps", NO_DIFFERENCE: "is not shown to differ", HARMS: "harms", CANNOT_TELL: "cannot be judged"}

Tables = Mapping[str, pd.DataFrame]


def table(heads: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table and an empty line."""
    return markdown_table(heads, rows) + "\n"


def percent(fraction: float) -> str:
    """Write a share of the real training records."""
    return f"{100 * fraction:g} %"


def between(row: Mapping[str, float], value: str = "mean", low: str = "low", high: str = "high") -> str:
    """Write a value with its interval."""
    interval = f" [{number(row[low], 2)}, {number(row[high], 2)}]" if pd.notna(row[low]) else ""
    return number(row[value], 2) + interval


def tally(verdicts: pd.Series, words: Mapping[str, str] = FOUND) -> str:
    """Count verdicts: ``helps in 2 and is not shown to differ in 5``."""
    counts = [(word, int((verdicts == verdict).sum())) for verdict, word in words.items()]
    return listed([f"{word} in {count}" for word, count in counts if count])


def of(comparisons: pd.DataFrame, *experiments: str, metric: str = PRIMARY) -> pd.DataFrame:
    """Return the comparisons of some experiments in one metric."""
    return comparisons[comparisons["experiment"].isin(experiments) & (comparisons["metric"] == metric)]


def committed(about: Mapping[str, str]) -> str:
    """Name the commit of a run, and the files that differed from it."""
    return about["commit"] + (f" with changes in {about['changed']}" if "changed" in about else "")


def judged(about: Mapping[str, str]) -> str:
    """Say with which code the tables were made again, if they were."""
    if "judged" not in about:
        return ""
    return (
        f" Its networks are those of that run; the tables were made again on {about['judged_on']} with the statistics "
        f"of commit {about['judged']} (`benchmarks/judge_again.py`)."
    )


def older(about: Mapping[str, str], above: Mapping[str, str]) -> str:
    """Say of a further run that its generators are not those of the page's own run, if they are of another commit."""
    if about["commit"] == above["commit"]:
        return ""
    return (
        f" Its generators are those of commit {about['commit']}, not those of the run above ({above['commit']}): "
        "`CHANGELOG.md` says what has changed."
    )


def copying(privacy: pd.DataFrame) -> str:
    """Return a table of what was found in the search for copies of training records."""
    lines = []
    privacy = privacy[privacy["class"] == "all"]
    for (_, generator), mine in privacy.groupby(["dataset", "generator"], sort=False):
        rows = {row["measure"]: row for row in mine.to_dict("records")}
        near, told = rows["near_share_signal"], rows["membership_auc_signal"]
        counts = (f"{rows[name]['value']:.0f}" for name in ("exact_copies", "near_copies"))
        lines.append([str(generator), *counts, between(near, "value"), between(told, "value"), str(near["verdict"])])
    heads = ["samples of", "exact copies", "near copies", "nearer than held-out records", "membership AUC", "found"]
    return (
        table(heads, lines)
        + "*Nearer than held-out records* is the share of samples that are nearer to a training record than all but "
        "1 % of the held-out real records are. *Membership AUC* says how well distances to the samples tell training "
        "records from held-out ones; 0.5 is chance. Copying is found if there is a copy, or if both measures are "
        "beyond what held-out records do ([closeness](closeness.md)).\n\n"
    )
