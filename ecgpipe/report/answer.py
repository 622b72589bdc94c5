"""The first screen: what helps, and the paper's conclusions beside it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from ecgpipe.prose.findings import experiment_sentence, plural, probability, share, tally
from ecgpipe.prose.rows import rows_of
from ecgpipe.prose.wording import METRIC_NAMES, bounds, number, signed
from ecgpipe.report import forest
from ecgpipe.report.inputs import Inputs
from ecgpipe.report.labels import trained_on
from ecgpipe.tables.comparisons import main_ratio
from ecgpipe.vocabulary import AUGMENTATION, PRIMARY, SYNTHETIC_ONLY, TRANSFER

_DRAWN = (AUGMENTATION, TRANSFER, SYNTHETIC_ONLY)
"""Experiments on the first screen: those of the paper."""


def _extremes(rows: pd.DataFrame) -> pd.DataFrame:
    """Keep, for each dataset, experiment and generator, the smallest and the largest share."""
    groups = rows.groupby(["dataset", "experiment", "generator"])["fraction"]
    return rows[(rows["fraction"] == groups.transform("min")) | (rows["fraction"] == groups.transform("max"))]


def _forest(rows: pd.DataFrame, limits: tuple[float, float]) -> list[dict[str, Any]]:
    """Return the forest plot's rows."""
    return [
        {
            "what": trained_on(row["setting"], row["generator"]),
            "share": share(row["fraction"]),
            "plot": Markup(forest.row(row, limits)),  # noqa: S704 - drawn from numbers only
            "difference": f"{signed(row['difference'])} {bounds(row['low'], row['high'])}",
            "p": probability(row["p_holm"]),
            "verdict": row["verdict"],
        }
        for row in rows_of(rows)
    ]


def answer(inputs: Inputs) -> dict[str, Any]:
    """Return what the template prints on the first screen."""
    comparisons = inputs.table("comparisons")
    primary = comparisons[comparisons["metric"] == PRIMARY]
    if primary.empty:
        return {"empty": True}
    tallies = [tally(rows, str(name)) for name, rows in primary.groupby("experiment", sort=False)]
    every, primary = len(primary), main_ratio(primary[primary["experiment"].isin(_DRAWN)])
    shown = _extremes(primary)
    limits = forest.axis(shown)
    datasets = []
    for name in inputs.in_order(primary["dataset"]):
        mine, rows = primary[primary["dataset"] == name], shown[shown["dataset"] == name]
        sentences = [
            experiment_sentence(group, str(experiment), str(generator))
            for (experiment, generator), group in mine.groupby(["experiment", "generator"], sort=False)
        ]
        first = rows_of(rows)[0]
        datasets.append(
            {
                "name": name,
                "size": f"{plural(first['support'], 'test record')}, {plural(first['patients'], 'patient')}, "
                f"{plural(first['seeds'], 'seed')}",
                "rows": _forest(rows, limits),
                "sentences": sentences,
                "notes": sorted({note for notes in mine["note"] for note in notes.split("; ") if note}),
            }
        )
    return {
        "empty": False,
        "tallies": tallies,
        "datasets": datasets,
        "reduced": len(shown) < every,
        "scale": Markup(forest.scale(limits)),  # noqa: S704 - drawn from numbers only
        "conclusions": rows_of(inputs.table("verdicts")),
        "smallest": _middle(primary["smallest_effect"]),
    }


def _middle(effects: pd.Series) -> str:
    """Write the middle one of the smallest effects; a missing one is more than there can be."""
    middle = effects.fillna(np.inf).median()
    return f"{number(middle, 2)} {METRIC_NAMES[PRIMARY]}" if middle <= 1 else "more than there can be"
