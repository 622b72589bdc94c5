"""How well each network did: every repetition, their summary with intervals, and confusion matrices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from ecgpipe.classify.metrics import classification_metrics, confusion
from ecgpipe.tables.cells import KEYS, Cell, selected
from ecgpipe.tables.draws import Draws
from ecgpipe.tables.resampling import interval, over_seeds, widened
from ecgpipe.vocabulary import ALL, CALIBRATION_ERROR, MACRO, METHODS, REAL

FEW_RECORDS = 10
"""Below so many test records of a class a note says that its figures are rough."""

_VALUES = ["class", "metric", "value", "support", "note"]


def metrics_of(cells: Sequence[Cell]) -> pd.DataFrame:
    """Compute every metric of every repetition.

    Returns:
        Columns dataset, setting, generator, fraction, ratio, tested, seed, class (or ``macro``, ``all``), metric,
        value, support (test records), note. What is not defined, as for a class without test records, is NaN with a
        note.
    """
    frames = []
    for cell in cells:
        for seed, probabilities in zip(cell.seeds, cell.probabilities, strict=True):
            frame = classification_metrics(cell.labels, probabilities, cell.classes)
            keys: dict[str, Any] = dict(zip((*KEYS, "seed"), (*cell.key, seed), strict=True))
            frames.append(frame.assign(**keys))
    columns = [*KEYS, "seed", *_VALUES]
    return pd.concat(frames, ignore_index=True)[columns] if frames else pd.DataFrame(columns=columns)


def rows_of(metrics: pd.DataFrame, cells: Sequence[Cell]) -> pd.DataFrame:
    """Return the rows of some cells."""
    chosen = pd.MultiIndex.from_frame(metrics[list(KEYS)]).isin([cell.key for cell in cells])
    return metrics[chosen].reset_index(drop=True)


def transfer_cells(cells: Sequence[Cell], fractions: Sequence[float]) -> list[Cell]:
    """Return the cells of the transfer experiment: pre-trained networks, and those from scratch on the same records."""
    return [cell for cell in selected(cells, [REAL, *METHODS], fractions) if cell.at_home]


def transfer_table(metrics: pd.DataFrame) -> pd.DataFrame:
    """Add the column ``method`` behind ``setting``: ``scratch``, ``frozen``, ``finetuned`` or ``probe``."""
    table = metrics.copy()
    table.insert(2, "method", table["setting"].replace(REAL, "scratch"))
    return table


def _note(notes: pd.Series, support: int, name: str, metric: str, seeds: int) -> str:
    counts = notes[notes != ""].value_counts(sort=False)
    parts = [str(note) if count == seeds else f"{note} ({count} of {seeds} seeds)" for note, count in counts.items()]
    if name not in (ALL, MACRO) and 0 < support < FEW_RECORDS:
        parts.append(f"only {support} test record{'s' if support > 1 else ''}")
    if metric == CALIBRATION_ERROR:
        parts.append("no interval: resampling biases it")
    elif seeds == 1:
        parts.append("one seed: the interval covers the choice of patients only")
    return "; ".join(parts)


def summary_table(metrics: pd.DataFrame, cells: Sequence[Cell], draws: Draws, confidence: float) -> pd.DataFrame:
    """Summarise repetitions.

    Args:
        metrics: of :func:`metrics_of` for ``cells``.
        cells: the cells.
        draws: bootstrap of the same cells.
        confidence: level of the intervals.

    Returns:
        A row a cell, class and metric: mean and sd (n - 1; NaN with one seed) over seeds, low and high (bootstrap over
        seeds, or over a generator's repetitions where there are several, and test patients; widened for few of them and
        cut to what the metric can be; NaN for calibration_error, see :mod:`ecgpipe.tables.weighted`), seeds,
        repetitions (of the generator learnt from: with 1, the interval knows nothing of the chance in it), support,
        note.
    """
    keys = [*KEYS, "class", "metric"]
    grouped = metrics.groupby(keys, sort=False)
    table = grouped.agg(
        mean=("value", "mean"), sd=("value", "std"), seeds=("seed", "nunique"), support=("support", "first")
    ).reset_index()
    table["note"] = [
        _note(rows["note"], int(rows["support"].iloc[0]), str(key[-2]), str(key[-1]), rows["seed"].nunique())
        for key, rows in grouped
    ]
    bounds, repetitions = {}, {}
    for cell in cells:
        draw = draws.of(cell)
        repetitions[cell.key] = draw.repetitions
        mean = over_seeds(draw.observed[None], np.ones((1, len(draw.observed))))[0]
        low, high = widened(*interval(draw.values, confidence), mean, draw.observed, draw.values, confidence)
        least = [-1.0 if metric == "cohen_kappa" else 0.0 for _, metric in draw.names]
        for name, *ends in zip(draw.names, np.maximum(low, least), np.minimum(high, 1.0), strict=True):
            bounds[(*cell.key, *name)] = ends
    undefined = (np.nan, np.nan)
    found = [bounds.get(key, undefined) for key in table[keys].itertuples(index=False, name=None)]
    table[["low", "high"]] = np.array(found).reshape(-1, 2)
    table["repetitions"] = [repetitions[key] for key in table[list(KEYS)].itertuples(index=False, name=None)]
    return table[[*keys, "mean", "sd", "low", "high", "seeds", "repetitions", "support", "note"]]


def confusion_table(cells: Sequence[Cell]) -> pd.DataFrame:
    """Count test records by true and predicted class.

    Returns:
        Columns dataset, setting, generator, fraction, ratio, tested, true, predicted, mean and sd of the count over
        seeds (sd NaN with one seed), seeds.
    """
    rows = []
    for cell in cells:
        counts = np.array([confusion(cell.labels, p) for p in cell.probabilities])
        mean = counts.mean(axis=0)
        sd = counts.std(axis=0, ddof=1) if len(counts) > 1 else np.full(mean.shape, np.nan)
        for i, true in enumerate(cell.classes):
            for j, predicted in enumerate(cell.classes):
                rows.append((*cell.key, true, predicted, mean[i, j], sd[i, j], len(counts)))
    return pd.DataFrame(rows, columns=[*KEYS, "true", "predicted", "mean", "sd", "seeds"])
