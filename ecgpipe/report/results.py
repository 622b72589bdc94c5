"""How well each network did, every comparison, and the generators' training curves."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from ecgpipe.prose.findings import probability, share
from ecgpipe.prose.rows import Row, rows_of
from ecgpipe.prose.wording import METRIC_NAMES, bounds, number, signed
from ecgpipe.report import figures
from ecgpipe.report.inputs import Inputs
from ecgpipe.report.labels import TRAINED_ON, interval, trained_on
from ecgpipe.tables.comparisons import main_ratio
from ecgpipe.vocabulary import (
    COMPARED,
    NO_GENERATOR,
    PRIMARY,
    REAL,
    REAL_ON_SYNTHETIC,
    SYNTHETIC,
    SYNTHETIC_ON_SYNTHETIC,
)

Cell = tuple[str, str, str, float]
"""Setting, generator, ratio, fraction."""


def _values(summary: pd.DataFrame) -> dict[Cell, dict[tuple[str, str], Row]]:
    """Arrange the summary of one dataset by cell, then by (class, metric)."""
    cells: dict[Cell, dict[tuple[str, str], Row]] = {}
    for row in rows_of(summary):
        key = row["setting"], row["generator"], row["ratio"], row["fraction"]
        cells.setdefault(key, {})[row["class"], row["metric"]] = row
    order = list(TRAINED_ON)
    return dict(sorted(cells.items(), key=lambda item: (order.index(item[0][0]), *item[0][1:])))


def _result_rows(summary: pd.DataFrame, training: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a row for each cell of one dataset, in the order of :data:`TRAINED_ON`."""
    keys = ["setting", "generator", "ratio", "fraction"]
    medians = training.groupby(keys, as_index=False)[["n_real", "n_synthetic"]].median()
    sizes = {tuple(row[key] for key in keys): row for row in rows_of(medians)}
    rows: list[dict[str, Any]] = []
    for (setting, generator, ratio, fraction), values in _values(summary).items():
        what = trained_on(setting, generator, ratio)
        trained = {SYNTHETIC_ON_SYNTHETIC: (SYNTHETIC, generator), REAL_ON_SYNTHETIC: (REAL, NO_GENERATOR)}.get(
            setting, (setting, generator)
        )
        size = sizes[*trained, ratio, fraction]
        overall = values[COMPARED["accuracy"]]
        rows.append(
            {
                "what": what,
                "first": bool(rows) and rows[-1]["what"] != what,
                "share": "none" if fraction == 0 else share(fraction),
                "records": f"{size['n_real']:,.0f} + {size['n_synthetic']:,.0f}",
                "values": [interval(values[metric]) for metric in COMPARED.values()],
                "seeds": overall["seeds"],
                "support": overall["support"],
            }
        )
    return rows


def _class_rows(summary: pd.DataFrame, classes: tuple[str, ...]) -> dict[str, Any]:
    """Return the F1 of every class in every cell at the largest share."""
    most = summary["fraction"].max()
    cells = {
        trained_on(setting, generator): [values[label, "f1"] for label in classes]
        for (setting, generator, _, fraction), values in _values(summary).items()
        if fraction == most or setting == SYNTHETIC
    }
    first = next(iter(cells.values()))
    heads = [f"{label} (n = {row['support']:,})" for label, row in zip(classes, first, strict=True)]
    notes = [f"{label}: {row['note']}" for label, row in zip(classes, first, strict=True) if row["note"]]
    rows = [(what, [interval(row) for row in values]) for what, values in cells.items()]
    return {"heads": heads, "rows": rows, "notes": notes}


def results(inputs: Inputs) -> list[dict[str, Any]]:
    """Return a section a dataset."""
    summary, confusion, training = (inputs.table(name) for name in ("summary", "confusion", "training"))
    sections = []
    for name in inputs.in_order(summary["dataset"]):
        mine = summary[summary["dataset"] == name]
        here = mine[(mine["tested"] == name) | mine["tested"].str.startswith(f"{name}/")]
        plain, counts = (
            main_ratio(table[(table["dataset"] == name) & (table["tested"] == name)]) for table in (mine, confusion)
        )
        curves = figures.learning_curves(plain, PRIMARY)
        sections.append(
            {
                "name": name,
                "rows": _result_rows(here, training[training["dataset"] == name]),
                "curves": curves,
                "scores": figures.class_scores(plain, inputs.classes),
                "classes": _class_rows(plain, inputs.classes),
                "confusion": figures.confusion_matrices(counts, inputs.classes),
            }
        )
    return sections


def _noted(note: str, notes: list[str]) -> str:
    """Return the mark of a note, which is added to ``notes`` if it is not there."""
    if not note:
        return ""
    if note not in notes:
        notes.append(note)
    return str(notes.index(note) + 1)


def _comparison(row: Row, notes: list[str]) -> dict[str, str]:
    what = trained_on(row["setting"], row["generator"], row["ratio"])
    return {
        "what": what if row["tested"] == row["dataset"] else f"{what}, tested on {row['tested']}",
        "share": share(row["fraction"]),
        "records": f"{number(row['n_real'], 0)} + {number(row['n_synthetic'], 0)}",
        "against": row["against"],
        "reference": number(row["reference"]),
        "value": number(row["value"]),
        "difference": signed(row["difference"]),
        "bounds": "" if math.isnan(row["low"]) else bounds(row["low"], row["high"]),
        "p": probability(row["p_holm"]).removeprefix("p ").removeprefix("= "),
        "verdict": row["verdict"],
        "smallest": number(row["smallest_effect"]),
        "mark": _noted(row["note"], notes),
    }


def comparisons(inputs: Inputs) -> list[dict[str, Any]]:
    """Return every comparison: a section for each metric, grouped by dataset and experiment, with the notes."""
    table, sections = inputs.table("comparisons"), []
    for metric, rows in table.groupby("metric", sort=False):
        notes: list[str] = []
        groups = [
            (f"{name}: {experiment}", [_comparison(row, notes) for row in rows_of(own)])
            for name in inputs.in_order(rows["dataset"])
            for experiment, own in rows[rows["dataset"] == name].groupby("experiment", sort=False)
        ]
        sections.append({"metric": METRIC_NAMES[str(metric)], "count": len(rows), "groups": groups, "notes": notes})
    return sections


def histories(inputs: Inputs) -> list[tuple[str, str, pd.DataFrame]]:
    """Return dataset, generator and training history of the generators that have one."""
    found = []
    for (dataset, generator), folder in inputs.models.items():
        path = folder / "history.parquet"
        if path.exists() and len(history := pd.read_parquet(path)):
            found.append((dataset, generator, history))
    return found


def training(inputs: Inputs) -> dict[str, Any] | None:
    """Return the training curves of the generators that have a history, and where each stage ended."""
    found = histories(inputs)
    if not found:
        return None
    last = [
        {
            "name": f"{dataset}, {generator}",
            "stage": stage,
            "steps": int(rows["step"].iloc[-1]),
            "train": number(float(rows["train_loss"].iloc[-1]), 4),
            "validation": number(float(rows["validation_loss"].iloc[-1]), 4),
        }
        for dataset, generator, history in found
        for stage, rows in history.groupby("stage", sort=False)
    ]
    return {"figure": figures.training_curves(found), "last": last}
