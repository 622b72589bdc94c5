"""Does it help? Every network that saw synthetic records against the one that saw real ones only.

Both sides have the same dataset, share of the real training records, seeds and test records, so differences are paired.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from ecgpipe.tables.cells import AUGMENTED, FROZEN, REAL, SYNTHETIC, Cell
from ecgpipe.tables.draws import COMPARED, Draws
from ecgpipe.tables.resampling import holm, interval, smallest_p_value, swap_p_value

log = logging.getLogger(__name__)

AUGMENTATION, TRANSFER, SYNTHETIC_ONLY = "augmentation", "transfer", "synthetic only"
EXPERIMENTS = {AUGMENTED: AUGMENTATION, FROZEN: TRANSFER, SYNTHETIC: SYNTHETIC_ONLY}
"""Experiment of each setting that is compared with real records only."""

PRIMARY = "macro_f1"
"""The metric that decides, named before any result was seen; the others describe."""

HELPS, NO_DIFFERENCE, HARMS, CANNOT_TELL = "helps", "no difference shown", "harms", "cannot tell"

COLUMNS = (
    "dataset",
    "experiment",
    "setting",
    "generator",
    "fraction",
    "metric",
    "reference",
    "value",
    "difference",
    "low",
    "high",
    "p_value",
    "p_holm",
    "p_smallest",
    "family",
    "seeds",
    "support",
    "patients",
    "verdict",
    "decided_by",
    "smallest_effect",
    "note",
)


def pairs(cells: Sequence[Cell], fractions: Sequence[float], transfer: Sequence[float]) -> list[tuple[Cell, Cell]]:
    """Return (cell, its real-only cell) of everything that is compared, by dataset, experiment, generator and share.

    Args:
        cells: all cells of the study.
        fractions: shares at which augmentation is reported.
        transfer: shares at which transfer is reported.
    """
    real = {(cell.dataset, cell.fraction): cell for cell in cells if cell.setting == REAL}
    shares = {AUGMENTED: set(fractions), FROZEN: set(transfer)}
    found = []
    for cell in cells:
        if cell.setting not in EXPERIMENTS or cell.fraction not in shares.get(cell.setting, {cell.fraction}):
            continue
        fraction = 1.0 if cell.setting == SYNTHETIC else cell.fraction
        reference = real.get((cell.dataset, fraction))
        if reference is None:
            log.warning("(%s) is not compared: there is no real-only cell of fraction %g", cell, fraction)
            continue
        if reference.seeds != cell.seeds:
            raise ValueError(
                f"({cell}) has seeds {list(cell.seeds)}, ({reference}) has {list(reference.seeds)}: they cannot be "
                f"paired; delete the classifier results of {cell.dataset} and run again"
            )
        found.append((cell, reference))
    datasets, settings = list(dict.fromkeys(cell.dataset for cell in cells)), list(EXPERIMENTS)
    return sorted(found, key=lambda p: (datasets.index(p[0].dataset), settings.index(p[0].setting), *p[0].key[2:]))


def _compare(cell: Cell, reference: Cell, draws: Draws, confidence: float) -> list[dict[str, Any]]:
    """Return a row for each metric, without what depends on the family."""
    ours, theirs = draws.of(cell), draws.of(reference)
    absent = [name for i, name in enumerate(cell.classes) if not (cell.labels == i).any()]
    rows = []
    for place, (metric, key) in enumerate(COMPARED.items()):
        column = ours.names.index(key)
        paired = ours.values[:, column] - theirs.values[:, column]
        low, high = (float(bound[0]) for bound in interval(paired[:, None], confidence))
        differences = ours.observed[:, place] - theirs.observed[:, place]
        by_patient = ours.by_seed[:, :, place] - theirs.by_seed[:, :, place]
        difference = float(differences.mean())
        notes = [f"no test record of {', '.join(absent)}"] if absent and metric != "accuracy" else []
        if np.isnan(difference):
            notes.append("the metric is not defined on these test records")
        rows.append(
            {
                "dataset": cell.dataset,
                "experiment": EXPERIMENTS[cell.setting],
                "setting": cell.setting,
                "generator": cell.generator,
                "fraction": reference.fraction,
                "metric": metric,
                "reference": float(theirs.observed[:, place].mean()),
                "value": float(ours.observed[:, place].mean()),
                "difference": difference,
                "low": low,
                "high": high,
                "p_value": swap_p_value(differences, by_patient, draws.rng(*cell.key, metric)),
                "p_smallest": smallest_p_value(len(cell.seeds)),
                "seeds": len(cell.seeds),
                "support": len(cell.labels),
                "patients": len(np.unique(cell.patients)),
                "smallest_effect": (high - low) / 2,
                "note": "; ".join(notes),
            }
        )
    return rows


def _verdict(row: pd.Series, alpha: float) -> tuple[str, str]:
    """Return the verdict and what it rests on."""
    if np.isnan(row["difference"]):
        return CANNOT_TELL, "metric not defined"
    outside = row["low"] > 0 or row["high"] < 0
    significant = row["p_holm"] < alpha
    if outside and significant:
        return (HELPS if row["difference"] > 0 else HARMS), "interval and p-value"
    if outside:
        return (CANNOT_TELL, "too few seeds") if _too_few_seeds(row, alpha) else (NO_DIFFERENCE, "p-value")
    return NO_DIFFERENCE, "interval" if significant else "interval and p-value"


def _too_few_seeds(row: pd.Series, alpha: float) -> bool:
    """Say whether the smallest p-value of a family would stay above ``alpha``, whatever the networks did."""
    return bool(row["p_smallest"] * row["family"] >= alpha)


def comparisons_table(
    cells: Sequence[Cell], fractions: Sequence[float], transfer: Sequence[float], draws: Draws, confidence: float
) -> pd.DataFrame:
    """Compare every cell that saw synthetic records with its real-only cell.

    ``helps`` and ``harms`` need both: an interval without 0 and a Holm-corrected p-value below 1 - confidence; the more
    cautious of the two decides, and ``decided_by`` names it where just one stood against a difference. Where the
    interval is without 0 and so few seeds could not give a p-value small enough, the verdict is ``cannot tell``. Holm's
    family is one question: an experiment on a dataset in one metric, with every generator and share.

    Args:
        cells: all cells of the study.
        fractions: shares at which augmentation is reported.
        transfer: shares at which transfer is reported.
        draws: the bootstrap.
        confidence: level of the intervals; 1 - confidence is that of the tests.

    Returns:
        Columns :data:`COLUMNS`: ``reference`` and ``value`` are the means over seeds of the real-only networks and of
        the others, ``difference`` = value - reference with its paired interval, ``fraction`` is that of the real-only
        networks (1 for synthetic only), ``p_smallest`` the least p-value so many seeds can give, ``family`` the number
        of comparisons that Holm's correction counts, ``smallest_effect`` half the width of the interval: about the
        smallest difference that could have been shown.

    Raises:
        ValueError: if two cells that belong together have different seeds.
    """
    rows = [row for pair in pairs(cells, fractions, transfer) for row in _compare(*pair, draws, confidence)]
    table = pd.DataFrame(rows)
    if table.empty:
        return pd.DataFrame(columns=list(COLUMNS))
    families = table.groupby(["dataset", "experiment", "metric"])["p_value"]
    table["p_holm"] = families.transform(lambda p: holm(p.to_numpy()))
    table["family"] = families.transform("count").astype(int)
    alpha = 1 - confidence
    for place, row in table[table.apply(_too_few_seeds, axis=1, alpha=alpha)].iterrows():
        among = f"{row['family']} comparison{'s' if row['family'] > 1 else ''}"
        hint = f"{row['seeds']} seeds are too few to show anything among {among}"
        table.loc[place, "note"] = f"{row['note']}; {hint}".removeprefix("; ")
    verdicts = [_verdict(row, alpha) for _, row in table.iterrows()]
    table["verdict"], table["decided_by"] = (list(column) for column in zip(*verdicts, strict=True))
    return table[list(COLUMNS)]
