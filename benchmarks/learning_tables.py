"""The tables of `learning.py`, from its CSV files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
from learning_cells import Cell, cells
from measuring import DATA, DOCS, markdown_table

CSV = DATA / "learning.csv"
LOSSES_CSV = DATA / "learning_losses.csv"
DOCUMENT = DOCS / "generators.md"
LOSSES = ["stage", "step", "train_loss", "validation_loss"]
RHYTHMS = ("SBRAD", "SR", "AFIB", "STACH", "AFLT", "SARRH", "SVTAC")
DRAFTS = {"beats": "draft", "none": "no draft"}
MARKS = "‡§¶"
"""Of rows that were trained on other machines than most."""


def name_of(row: dict[str, Any]) -> str:
    """Return what a row is, for a table."""
    if row["generator"] == "real":
        return "held-out records"
    if row["generator"] == "training":
        return "training records"
    if not row["budget"]:
        return f"`{row['generator']}` (control)"
    return f"`{row['generator']}`, {DRAFTS[row['draft']]}"


def per_rhythm(row: dict[str, Any]) -> str:
    """Return the agreement of each rhythm of a set, in hundredths."""
    shares = [row.get(f"agreement_{name}") for name in RHYTHMS]
    return " ".join("–" if pd.isna(share) else f"{100 * share:.0f}" for share in shares)


def table(csv: Path = CSV) -> str:
    """Return the CSV as a Markdown table."""
    heads = ["dataset", "budget, s", "generator", "seed", "CPU s", "agreement [95 %]", " ".join(RHYTHMS)]
    heads += [
        "Fréchet distance",
        "nearest training record, mV (nearer than 1 %)",
        "copies (most alike)",
        "rate, /min",
        "RR CV",
    ]
    heads += ["ectopic, pause, waves, %"]
    lines = []
    found = pd.read_csv(csv)
    others = found["machine"].value_counts().index[1:] if "machine" in found else []
    marks = dict(zip(others, MARKS, strict=False))
    for row in found.to_dict("records"):
        trained = row["budget"] > 0
        mark = " †" if row["stale"] else ""
        mark += f" {marks[row['machine']]}" if row.get("machine") in marks else ""
        line = [row["dataset"], row["budget"] if trained else "", name_of(row) + mark, row["seed"] if trained else ""]
        if isinstance(row.get("refused"), str):
            lines.append([*line, "", f"refused: {row['refused']}", *[""] * 7])
            continue
        near = ""
        if row["generator"] != "training":
            near = f"{row['nearest_train_mv']:.3f} ({100 * row['near_share']:.0f} %)"
        line += [
            "" if pd.isna(row["cpu_seconds"]) else f"{row['cpu_seconds']:.0f}",
            f"{row['agreement']:.2f} [{row['agreement_low']:.2f}, {row['agreement_high']:.2f}]",
            per_rhythm(row),
            f"{row['frechet']:.1f}",
            near,
            "" if pd.isna(row["copies"]) else f"{row['copies']:.0f} ({row['similarity']:.2f})",
            f"{row['rate_distance']:.1f}",
            f"{row['rr_cv_distance']:.3f}",
            " ".join(f"{100 * row[f'{name}_share']:.0f}" for name in ("ectopic", "pause", "waves")),
        ]
        lines.append(line)
    notes = ["† other code or settings than today's"] if found["stale"].any() else []
    notes += [f"{mark} trained on another machine: {machine}" for machine, mark in marks.items()]
    return markdown_table(heads, lines) + (f"\n{'; '.join(notes)}.\n" if notes else "") + missing(csv)


def missing(csv: Path = CSV) -> str:
    """Say which cells the CSV does not have."""
    found = pd.read_csv(csv)[list(Cell._fields)]
    have = {Cell(*row) for row in found.fillna("none").itertuples(index=False, name=None)}
    groups: dict[tuple[str, int, int], list[Cell]] = {}
    for cell in cells():
        if cell.budget:
            groups.setdefault((cell.dataset, cell.budget, cell.seed), []).append(cell)
    said = []
    for (dataset, budget, seed), own in groups.items():
        left = [cell for cell in own if cell not in have]
        if left:
            names = "all" if left == own else ", ".join(name_of(cell._asdict()) for cell in left)
            said.append(f"{dataset}, {budget} s, seed {seed} ({names})")
    return f"\nNot measured yet: {'; '.join(said)}.\n" if said else ""


def losses_table(csv: Path = LOSSES_CSV) -> str:
    """Return the losses at the end of each stage of the trainings of five minutes, as Markdown."""
    heads = ["dataset", "generator", "seed", "stage", "steps", "training loss", "validation loss"]
    lines = []
    losses = pd.read_csv(csv)
    losses = losses[losses["budget"] == 300]
    for _, rows in losses.groupby(["dataset", "generator", "draft", "seed", "stage"], sort=False):
        last, best = rows.iloc[-1].to_dict(), rows.loc[rows["validation_loss"].idxmin()]
        line = [last["dataset"], name_of(last), last["seed"], last["stage"], last["step"]]
        lowest = f"{best['validation_loss']:.3f}, {best['step']}"
        lines.append([*line, f"{last['train_loss']:.3f}", f"{last['validation_loss']:.3f}", lowest])
    return markdown_table([*heads, "lowest validation loss, at step"], lines)
