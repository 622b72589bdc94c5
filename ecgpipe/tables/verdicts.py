"""The answer: the paper's three conclusions beside what this study found."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any, cast

import pandas as pd

from ecgpipe.tables.comparisons import AUGMENTATION, CANNOT_TELL, HARMS, HELPS, PRIMARY, TRANSFER
from ecgpipe.tables.wording import METRIC_NAMES, bounds, listed, signed

NOTICEABLE = 0.02
"""A difference in a metric that a reader would call noticeable: two points of a hundred."""

AGREES, DISAGREES = "agrees", "disagrees"


@dataclass(frozen=True)
class Conclusion:
    """One of the paper's conclusions beside this study's."""

    claim: str
    verdict: str
    """``agrees``, ``disagrees`` or ``cannot tell``."""
    evidence: str


def _rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return cast(list[dict[str, Any]], frame.to_dict("records"))


def _differences(rows: pd.DataFrame) -> str:
    """List differences with their intervals, dataset and generator by name."""
    return "; ".join(
        f"{row['dataset']} with {row['generator']} {signed(row['difference'])} {bounds(row['low'], row['high'])}"
        for row in _rows(rows)
    )


def _at_most_real(comparisons: pd.DataFrame, experiment: str) -> pd.DataFrame:
    """Return an experiment's comparisons at the largest share of real records of each dataset."""
    rows = comparisons[(comparisons["experiment"] == experiment) & comparisons["ratio"].isin(["all", "none"])]
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
    small = (rows["high"] < NOTICEABLE) & (rows["low"] > -NOTICEABLE)
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
    for row in _rows(rows[rows["verdict"] == HELPS]):
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


def verdicts_table(comparisons: pd.DataFrame, merged: Collection[str], simulated: Collection[str]) -> pd.DataFrame:
    """Set the paper's three conclusions beside this study's comparisons.

    The paper's are about real patients: where any data set is simulated the verdict is ``cannot tell``, and what was
    found on the simulated records is only told.

    Args:
        comparisons: of :func:`ecgpipe.tables.comparisons.comparisons_table`.
        merged: names of datasets that are merges.
        simulated: names of datasets with simulated records.

    Returns:
        A row a conclusion: conclusion (1 to 3), claim, verdict (``agrees``, ``disagrees``, ``cannot tell``), evidence.
    """
    found = [_one_dataset(comparisons, merged), _merged_datasets(comparisons, merged), _transfer(comparisons)]
    if simulated:
        told = "Simulated records say nothing about patients. On them: "
        found = [Conclusion(c.claim, CANNOT_TELL, told + c.evidence) for c in found]
    table = pd.DataFrame([asdict(conclusion) for conclusion in found])
    table.insert(0, "conclusion", range(1, len(table) + 1))
    return table
