"""The report's sentences on what was found, in words that say no more than the numbers do."""

from __future__ import annotations

import math

import pandas as pd

from ecgpipe.prose.rows import Row, rows_of
from ecgpipe.prose.wording import BASELINE_NAMES, METRIC_NAMES, bounds, number, signed
from ecgpipe.vocabulary import (
    AUGMENTATION,
    CANNOT_TELL,
    HARMS,
    HELPS,
    NO_DIFFERENCE,
    TRANSFER,
)


def probability(value: float) -> str:
    """Write a p-value, as in ``p = 0.012`` or ``p < 0.001``."""
    if math.isnan(value):
        return "p not defined"
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}" if value < 0.1 else f"p = {value:.2f}"


def share(fraction: float) -> str:
    """Write a share of the real training records."""
    return "all" if fraction == 1 else f"{100 * fraction:g} %"


def plural(count: int, word: str) -> str:
    """Write a number of things: ``1 record``, ``2 records``."""
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"


def finding(row: Row) -> str:
    """Say what one comparison found, as the end of a sentence about a change of training."""
    metric = METRIC_NAMES[row["metric"]]
    if math.isnan(row["difference"]):
        return f"the effect on {metric} cannot be estimated ({row['note']})"
    figures = f"{signed(row['difference'])} {bounds(row['low'], row['high'])}, {probability(row['p_holm'])}"
    change = f"from {number(row['reference'])} to {number(row['value'])} ({figures})"
    if row["verdict"] == HELPS:
        return f"{metric} rose {change}{beside_baseline(row)}"
    if row["verdict"] == HARMS:
        return f"{metric} fell {change}"
    if row["verdict"] == CANNOT_TELL:
        return f"{metric} went {change}, but the study cannot tell whether this is chance"
    return f"no difference in {metric} was shown ({figures})"


def beside_baseline(row: Row) -> str:
    """Say what became of a gain beside the best simple baseline, as the end of a clause; nothing without baselines."""
    if not row.get("best_baseline"):
        return ""
    name = f"the best simple baseline ({BASELINE_NAMES[row['best_baseline']]})"
    return {
        HELPS: f", and it also beats {name}",
        HARMS: f", but {name} is better",
        NO_DIFFERENCE: f", but no difference from {name} was shown",
        CANNOT_TELL: f", but it cannot be compared with {name}",
    }[row["against_best_baseline"]]


def _with_share(fraction: float) -> str:
    return "with all real training records" if fraction == 1 else f"with {share(fraction)} of the real training records"


def experiment_sentence(rows: pd.DataFrame, experiment: str, generator: str) -> str:
    """Say what one experiment with one generator found at the smallest and the largest share.

    Args:
        rows: comparisons of one dataset, experiment, generator and metric, at least one.
        experiment: ``augmentation``, ``transfer`` or ``synthetic only``.
        generator: its name.
    """
    ordered = rows_of(rows.sort_values("fraction"))
    ends = ordered if len(ordered) == 1 else [ordered[0], ordered[-1]]
    if experiment == AUGMENTATION:
        subject = f"Adding synthetic records of {generator} to the real ones"
    elif experiment == TRANSFER:
        subject = f"Pre-training on synthetic records of {generator}, against training from scratch"
    else:
        return f"Training on synthetic records of {generator} alone, against all real ones: {finding(ends[-1])}."
    parts = [f"{_with_share(row['fraction'])}, {finding(row)}" for row in ends]
    return f"{subject}: {'; '.join(parts)}."
