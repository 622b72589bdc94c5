"""The report's section on closeness and privacy: what the tables say, in a form to print."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ecgpipe.closeness.names import TABLES
from ecgpipe.files import read_parquet_metadata
from ecgpipe.prose.rows import Row, rows_of
from ecgpipe.report import heatmap, pictures
from ecgpipe.report.closeness_words import BETTER, standing, written
from ecgpipe.vocabulary import ALL, CONTROL, COPIES, MEMORISES


def _cell(row: Row) -> dict[str, str]:
    bounds = "" if math.isnan(row["low"]) else f"[{written(row['low'])}, {written(row['high'])}]"
    return {"value": written(row["value"]), "bounds": bounds, "standing": standing(row), "note": row["note"]}


def _measures(
    rows: pd.DataFrame, about: dict[str, dict[str, str]], generators: list[str], controls: list[str]
) -> list[dict[str, Any]]:
    """Return a line a measure: floor, generators, controls."""
    lines = []
    for name, mine in rows.groupby("measure", sort=False):
        by_generator = {row["generator"]: row for row in rows_of(mine)}
        first = next(iter(by_generator.values()))
        lines.append(
            {
                "title": about[str(name)]["title"],
                "unit": first["unit"],
                "better": BETTER[first["direction"]],
                "n": first["n"],
                "floor": written(first["floor"]),
                "floor_bounds": ""
                if math.isnan(first["floor_low"])
                else f"[{written(first['floor_low'])}, {written(first['floor_high'])}]",
                "generators": [_cell(by_generator[g]) if g in by_generator else None for g in generators],
                "controls": [written(by_generator[c]["value"]) if c in by_generator else "–" for c in controls],
            }
        )
    return lines


def _classes(rows: pd.DataFrame, titles: dict[str, str]) -> dict[str, Any]:
    """Return one generator's values by measure and class."""
    classes = [name for name in rows["class"].unique() if name != ALL]
    lines = []
    for name, mine in rows[rows["class"] != ALL].groupby("measure", sort=False):
        cells = {row["class"]: _cell(row) for row in rows_of(mine)}
        lines.append((titles[str(name)], mine["unit"].iloc[0], [cells.get(label) for label in classes]))
    return {"classes": classes, "rows": lines}


def section(
    tables: Path, datasets: Sequence[str], classes: Sequence[str], leads: Sequence[str]
) -> dict[str, Any] | None:
    """Return what the template prints; None if closeness was not computed.

    Args:
        tables: folder of the tables.
        datasets: names, in order.
        classes: class names, in order.
        leads: lead names, in order.
    """
    paths = {name: tables / f"{name}.parquet" for name in TABLES}
    if not all(path.exists() for path in paths.values()):
        return None
    closeness, privacy, copies, curves, points = (pd.read_parquet(path) for path in paths.values())
    about = read_parquet_metadata(paths["closeness"])["measures"]
    titles = {name: what["title"] for name, what in about.items()}
    pooled = closeness[(closeness["class"] == ALL) & (closeness["lead"] == ALL)]
    names = list(closeness["generator"].unique())
    generators = [name for name in names if not name.startswith(CONTROL)]
    controls = [name for name in names if name.startswith(CONTROL)]
    sections = []
    for dataset in [name for name in datasets if name in set(closeness["dataset"])]:
        mine = closeness[(closeness["dataset"] == dataset) & (closeness["lead"] == ALL)]
        judged = [name for name in generators if (mine["generator"] == name).any()]
        sections.append(
            {
                "name": dataset,
                "map": heatmap.draw(pooled[pooled["dataset"] == dataset], titles, judged, controls),
                "measures": _measures(pooled[pooled["dataset"] == dataset], about, generators, controls),
                "classes": [(g, _classes(mine[mine["generator"] == g], titles)) for g in judged],
                "privacy": [_privacy(privacy, copies, dataset, g) for g in judged],
                "pictures": pictures.draw(
                    curves[curves["dataset"] == dataset],
                    points[points["dataset"] == dataset],
                    classes,
                    leads,
                    generators,
                ),
            }
        )
    verdicts = privacy[privacy["generator"].isin(generators)].drop_duplicates(["dataset", "generator"])
    against = verdicts[verdicts["verdict"].isin([COPIES, MEMORISES])]
    return {
        "generators": generators,
        "controls": [name.removeprefix(CONTROL).replace("_", " ") for name in controls],
        "datasets": sections,
        "about": [(what["title"], what["definition"], what["blind"]) for what in about.values()],
        "called_out": [
            {"dataset": row["dataset"], "generator": row["generator"], "reason": row["reason"]}
            for row in rows_of(against)
        ],
    }


def _privacy(privacy: pd.DataFrame, copies: pd.DataFrame, dataset: str, generator: str) -> dict[str, Any]:
    """Return one generator's verdict, figures of all records and by class, and pairs."""
    mine = privacy[(privacy["dataset"] == dataset) & (privacy["generator"] == generator)]
    mine = mine.assign(floor_low=float("nan"), floor_high=float("nan"))
    titles = {name: name.replace("_", " ") for name in mine["measure"]}
    pairs = copies[(copies["dataset"] == dataset) & (copies["generator"] == generator)]
    return {
        "generator": generator,
        "verdict": mine["verdict"].iloc[0],
        "reason": mine["reason"].iloc[0],
        "rows": [
            (
                titles[row["measure"]],
                _cell(row),
                written(row["floor"]),
                row["n"],
            )
            for row in rows_of(mine[mine["class"] == ALL])
        ],
        "classes": _classes(mine, titles),
        "pairs": [
            (
                row["synthetic"],
                row["training"],
                row["kind"],
                f"{row['similarity']:.3f}",
                f"{row['shift']:.2f}",
                f"{row['distance']:.3f}",
            )
            for row in rows_of(pairs)
        ],
    }
