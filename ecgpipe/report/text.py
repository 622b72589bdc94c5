"""The report's sentences: what was found, in words that say no more than the figures do."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, cast

import pandas as pd

from ecgpipe.tables.comparisons import AUGMENTATION, CANNOT_TELL, HARMS, HELPS, NO_DIFFERENCE, PRIMARY, TRANSFER

METRIC_NAMES = {
    "macro_f1": "macro F1",
    "macro_roc_auc": "macro ROC-AUC",
    "balanced_accuracy": "balanced accuracy",
    "accuracy": "accuracy",
}

NOTICEABLE = 0.02
"""A difference in a metric that a reader would call noticeable: two points of a hundred."""

AGREES, DISAGREES = "agrees", "disagrees"

Row = Mapping[str, Any]
"""A row of a table, by column."""

MINUS = "\N{MINUS SIGN}"


def rows_of(frame: pd.DataFrame) -> list[Row]:
    """Return the rows of a table."""
    return cast(list[Row], frame.to_dict("records"))


def number(value: float, digits: int = 3) -> str:
    """Write a figure; a missing one is a dash."""
    return "–" if math.isnan(value) else f"{value:.{digits}f}".replace("-", MINUS)


def signed(value: float, digits: int = 3) -> str:
    """Write a difference with its sign; one that rounds to zero has none."""
    text = number(value, digits)
    return text.removeprefix(MINUS) if not text.strip(f"{MINUS}0.") else (f"+{text}" if value > 0 else text)


def probability(value: float) -> str:
    """Write a p-value, as in ``p = 0.012`` or ``p < 0.001``."""
    if math.isnan(value):
        return "p not defined"
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}" if value < 0.1 else f"p = {value:.2f}"


def share(fraction: float) -> str:
    """Write a share of the real training records."""
    return "all" if fraction == 1 else f"{100 * fraction:g} %"


def bounds(low: float, high: float) -> str:
    """Write an interval of differences."""
    return f"[{signed(low)}, {signed(high)}]"


def listed(items: list[str]) -> str:
    """Join words: ``a``, ``a and b``, ``a, b and c``."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def plural(count: int, word: str) -> str:
    """Write a number of things: ``1 record``, ``2 records``."""
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"


def finding(row: Row) -> str:
    """Say what one comparison found, as the end of a sentence about a change of training."""
    metric = METRIC_NAMES[row["metric"]]
    if math.isnan(row["difference"]):
        return f"the effect on {metric} cannot be told ({row['note']})"
    figures = f"{signed(row['difference'])} {bounds(row['low'], row['high'])}, {probability(row['p_holm'])}"
    change = f"from {number(row['reference'])} to {number(row['value'])} ({figures})"
    if row["verdict"] == HELPS:
        return f"{metric} rose {change}"
    if row["verdict"] == HARMS:
        return f"{metric} fell {change}"
    if row["verdict"] == CANNOT_TELL:
        return f"{metric} went {change}, which {plural(row['seeds'], 'seed')} are too few to call a difference"
    return f"no difference in {metric} was shown ({figures})"


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


def tally(rows: pd.DataFrame, experiment: str) -> str:
    """Count the verdicts of an experiment in one sentence; ``rows`` are its comparisons in one metric."""
    subject = {AUGMENTATION: "Augmentation", TRANSFER: "Synthetic pre-training"}.get(
        experiment, "Training on synthetic records alone"
    )
    words = {HELPS: "helps", HARMS: "harms", NO_DIFFERENCE: "is not shown to differ", CANNOT_TELL: "cannot be judged"}
    counts = [(int((rows["verdict"] == verdict).sum()), phrase) for verdict, phrase in words.items()]
    parts = [f"{phrase} in {count}" for count, phrase in counts if count]
    return f"{subject} {listed(parts)} of {plural(len(rows), 'comparison')} with real records only."


@dataclass(frozen=True)
class Conclusion:
    """One of the paper's conclusions beside this study's."""

    claim: str
    verdict: str
    """``agrees``, ``disagrees`` or ``cannot tell``."""
    evidence: str


def _differences(rows: pd.DataFrame) -> str:
    """List differences with their intervals, dataset and generator by name."""
    return "; ".join(
        f"{row['dataset']} with {row['generator']} {signed(row['difference'])} {bounds(row['low'], row['high'])}"
        for row in rows_of(rows)
    )


def _at_most_real(comparisons: pd.DataFrame, experiment: str) -> pd.DataFrame:
    """Return an experiment's comparisons at the largest share of real records of each dataset."""
    rows = comparisons[comparisons["experiment"] == experiment]
    return rows[rows["fraction"] == rows.groupby("dataset")["fraction"].transform("max")]


def _one_dataset(comparisons: pd.DataFrame, merged: Collection[str]) -> Conclusion:
    claim = "Augmenting one data set with its own synthetic records brings a barely noticeable gain."
    rows = _at_most_real(comparisons, AUGMENTATION)
    rows = rows[(rows["metric"] == PRIMARY) & ~rows["dataset"].isin(merged)]
    if rows.empty:
        return Conclusion(claim, CANNOT_TELL, "No single data set was augmented.")
    evidence = f"Difference in {METRIC_NAMES[PRIMARY]}: {_differences(rows)}."
    gain = (rows["verdict"] == HELPS) & (rows["low"] > NOTICEABLE)
    if gain.any() or (rows["verdict"] == HARMS).any():
        return Conclusion(claim, DISAGREES, evidence)
    # An interval of no width means that the networks told nothing apart, not that the gain is known to be small.
    small = (rows["high"] < NOTICEABLE) & (rows["low"] > -NOTICEABLE) & (rows["high"] > rows["low"])
    if (small & (rows["verdict"] != CANNOT_TELL)).all():
        return Conclusion(claim, AGREES, evidence)
    return Conclusion(claim, CANNOT_TELL, f"{evidence} A change beyond {NOTICEABLE:g} is neither shown nor ruled out.")


def _merged_datasets(comparisons: pd.DataFrame, merged: Collection[str]) -> Conclusion:
    claim = "Augmenting the two data sets merged brings a gain in all metrics."
    rows = _at_most_real(comparisons, AUGMENTATION)
    rows = rows[rows["dataset"].isin(merged)]
    if rows.empty:
        return Conclusion(claim, CANNOT_TELL, "No merged data set was augmented.")
    primary = rows[rows["metric"] == PRIMARY]
    helped: dict[str, list[str]] = {}
    for row in rows_of(rows[rows["verdict"] == HELPS]):
        helped.setdefault(f"{row['dataset']} with {row['generator']}", []).append(METRIC_NAMES[row["metric"]])
    gains = [f"{cell}: {listed(metrics)}" for cell, metrics in helped.items()]
    evidence = (
        f"Difference in {METRIC_NAMES[PRIMARY]}: {_differences(primary)}. "
        f"Gains shown: {'; '.join(gains) if gains else 'none in any metric'}."
    )
    if any(len(metrics) == rows["metric"].nunique() for metrics in helped.values()):
        return Conclusion(claim, AGREES, evidence)
    if (primary["verdict"] == HARMS).all() or (primary["high"] <= 0).all():
        return Conclusion(claim, DISAGREES, evidence)
    return Conclusion(claim, CANNOT_TELL, evidence)


def _transfer(comparisons: pd.DataFrame) -> Conclusion:
    claim = (
        "Synthetic pre-training and fine-tuning stays below training on real data alone; "
        "Time-VQVAE is the best of the three generators at it."
    )
    rows = _at_most_real(comparisons, TRANSFER)
    rows = rows[rows["metric"] == PRIMARY]
    if rows.empty:
        return Conclusion(claim, CANNOT_TELL, "No transfer was run.")
    evidence = f"Difference in {METRIC_NAMES[PRIMARY]}: {_differences(rows)}."
    if rows["generator"].nunique() > 1:
        means = rows.groupby("generator")["difference"].mean().sort_values(ascending=False)
        evidence += f" Largest mean over data sets: {means.index[0]} (the order of generators is not tested)."
    else:
        evidence += " With one generator nothing can be said about which is best."
    if (rows["verdict"] == HARMS).all():
        return Conclusion(claim, AGREES, evidence)
    if (rows["verdict"] == HELPS).any():
        return Conclusion(claim, DISAGREES, evidence)
    return Conclusion(claim, CANNOT_TELL, evidence)


def conclusions(comparisons: pd.DataFrame, merged: Collection[str], simulated: Collection[str]) -> list[Conclusion]:
    """Set the paper's three conclusions beside this study's comparisons.

    The paper's are about real patients: where any data set is simulated the verdict is ``cannot tell``, and what was
    found on the simulated records is only told.

    Args:
        comparisons: of :func:`ecgpipe.tables.comparisons.comparisons_table`.
        merged: names of datasets that are merges.
        simulated: names of datasets with simulated records.
    """
    found = [_one_dataset(comparisons, merged), _merged_datasets(comparisons, merged), _transfer(comparisons)]
    if not simulated:
        return found
    return [
        Conclusion(c.claim, CANNOT_TELL, f"Simulated records say nothing about patients. On them: {c.evidence}")
        for c in found
    ]
