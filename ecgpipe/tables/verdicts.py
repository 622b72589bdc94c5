"""The answer: the paper's three conclusions beside what this study found."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any, cast

import pandas as pd
from scipy import stats

from ecgpipe.tables.cells import ALL, FINETUNED, FROZEN, PROBE
from ecgpipe.tables.comparisons import (
    AUGMENTATION,
    CANNOT_TELL,
    EXPERIMENTS,
    HARMS,
    HELPS,
    NO_DIFFERENCE,
    PRIMARY,
    TRANSFER,
    main_ratio,
)
from ecgpipe.tables.wording import METRIC_NAMES, bounds, listed, signed

NOTICEABLE = 0.02
"""A difference in a metric that a reader would call noticeable: two points of a hundred."""

AGREES, DISAGREES = "agrees", "disagrees"

GENERATORS = ("diffwave", "time_diffusion", "time_vqvae")
"""The paper's generators. Others, the control and pooled samples among them, decide nothing about its claims."""

BEST = "time_vqvae"
"""The generator that the paper found best at transfer."""

_LISTED = 8
"""Most differences that a sentence lists; of more it gives the extremes."""


@dataclass(frozen=True)
class Conclusion:
    """One of the paper's conclusions, or a part of one, beside this study's."""

    conclusion: int
    """1 to 3."""
    claim: str
    verdict: str
    """``agrees``, ``disagrees`` or ``cannot tell``."""
    evidence: str


def _rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return cast(list[dict[str, Any]], frame.to_dict("records"))


def _cell(row: dict[str, Any]) -> str:
    """Name a comparison by dataset and generator, and by what is not as in the paper: ratio, way of fine-tuning."""
    ratio = "" if row["ratio"] in (ALL, "none") else f" (ratio {row['ratio']})"
    method = "" if row["experiment"] in (AUGMENTATION, TRANSFER) else f" ({row['experiment']})"
    return f"{row['dataset']} with {row['generator']}{ratio}{method}"


def _differences(rows: pd.DataFrame) -> str:
    """List differences with their intervals; of many the smallest, the largest and how often each verdict was given."""
    shown = rows
    if len(rows) > _LISTED:
        shown = rows.sort_values("difference", kind="stable").iloc[[0, -1]]
    told = [f"{_cell(row)} {signed(row['difference'])} {bounds(row['low'], row['high'])}" for row in _rows(shown)]
    if len(rows) <= _LISTED:
        return "; ".join(told)
    counts = rows["verdict"].value_counts()
    given = [f"{counts[v]} {v}" for v in (HELPS, NO_DIFFERENCE, HARMS, CANNOT_TELL) if v in counts]
    return f"from {' to '.join(told)}; of {len(rows)} comparisons {listed(given)}"


def _at_most_real(comparisons: pd.DataFrame, *experiments: str) -> pd.DataFrame:
    """Return comparisons of the paper's generators at the largest share of real records of each dataset and the main ratio."""
    rows = comparisons[comparisons["experiment"].isin(experiments) & comparisons["generator"].isin(GENERATORS)]
    rows = main_ratio(rows)
    return rows[rows["fraction"] == rows.groupby("dataset")["fraction"].transform("max")]


def _together(rows: pd.DataFrame, confidence: float, side: str = "") -> tuple[pd.Series, pd.Series]:
    """Return the bounds of the rows' intervals, widened so that all cover at once with this confidence (Bonferroni).

    What a single one of several comparisons is to decide has to hold for the luckiest of them. ``side`` ends the names of
    the columns, where a row is a pair of comparisons.
    """
    quantile = stats.t.ppf(1 - (1 - confidence) / 2 / len(rows), rows[f"degrees_of_freedom{side}"])
    reach = quantile * rows[f"standard_error{side}"]
    return rows[f"difference{side}"] - reach, rows[f"difference{side}"] + reach


def _concluded(conclusion: int, claim: str, verdict: str, evidence: str, rows: pd.DataFrame) -> Conclusion:
    """Conclude from ``rows``; the paper used all real records, so that fewer neither agree nor disagree with it."""
    if (least := rows["fraction"].min()) < 1:
        evidence += f" That is with {least:.0%} of the real records at most; the paper used all."
        verdict = CANNOT_TELL
    return Conclusion(conclusion, claim, verdict, evidence)


def _one_dataset(comparisons: pd.DataFrame, merged: Collection[str], confidence: float) -> Conclusion:
    claim = "Augmenting one data set with its own synthetic records brings a barely noticeable gain."
    rows = _at_most_real(comparisons, AUGMENTATION)
    rows = rows[(rows["metric"] == PRIMARY) & ~rows["dataset"].isin(merged)]
    if rows.empty:
        return Conclusion(1, claim, CANNOT_TELL, "No single data set was augmented by a generator of the paper's.")
    evidence = f"Difference in {METRIC_NAMES[PRIMARY]}: {_differences(rows)}."
    low, high = _together(rows, confidence)
    gain = (rows["verdict"] == HELPS) & (low >= NOTICEABLE)
    loss = (rows["verdict"] == HARMS) & (high <= -NOTICEABLE)
    small = (rows["high"] < NOTICEABLE) & (rows["low"] > -NOTICEABLE) & (rows["verdict"] != CANNOT_TELL)
    if (gain | loss).any():
        verdict = DISAGREES
    elif small.all():
        verdict = AGREES
        evidence += f" No change reaches {NOTICEABLE:g}, whether up or down."
    else:
        verdict = CANNOT_TELL
        evidence += f" A change beyond {NOTICEABLE:g} is neither shown nor ruled out."
    return _concluded(1, claim, verdict, evidence, rows)


def _merged_datasets(comparisons: pd.DataFrame, merged: Collection[str], confidence: float) -> Conclusion:
    claim = "Augmenting the two data sets merged brings a gain in all metrics."
    rows = _at_most_real(comparisons, AUGMENTATION)
    rows = rows[rows["dataset"].isin(merged)]
    if rows.empty:
        return Conclusion(2, claim, CANNOT_TELL, "No merged data set was augmented by a generator of the paper's.")
    primary, harmed = rows[rows["metric"] == PRIMARY], rows["verdict"] == HARMS
    told = [f"Difference in {METRIC_NAMES[PRIMARY]}: {_differences(primary)}."]
    for verdict, word in ((HELPS, "Gains"), (HARMS, "Losses")):
        found: dict[str, list[str]] = {}
        for row in _rows(rows[rows["verdict"] == verdict]):
            found.setdefault(_cell(row), []).append(METRIC_NAMES[row["metric"]])
        cells = [f"{cell}: {listed(metrics)}" for cell, metrics in found.items()]
        told.append(f"{word} shown: {'; '.join(cells) if cells else 'none in any metric'}.")
    if (rows["verdict"] == HELPS).all():
        verdict = AGREES
    elif (harmed & (_together(rows, confidence)[1] < 0)).any() or (primary["high"] <= 0).all():
        verdict = DISAGREES
    else:
        verdict = CANNOT_TELL
    return _concluded(2, claim, verdict, " ".join(told), rows)


def _transferred(comparisons: pd.DataFrame) -> pd.DataFrame:
    """Return the comparisons of pre-training on synthetic records with none: the paper's way (frozen), without it all others."""
    rows = _at_most_real(comparisons, *(EXPERIMENTS[method] for method in (FROZEN, FINETUNED, PROBE)))
    rows = rows[rows["metric"] == PRIMARY]
    papers = rows["experiment"] == TRANSFER
    return rows[papers] if papers.any() else rows


def _transfer(comparisons: pd.DataFrame, confidence: float) -> Conclusion:
    claim = "Synthetic pre-training and fine-tuning stays below training on real data alone."
    rows = _transferred(comparisons)
    if rows.empty:
        return Conclusion(3, claim, CANNOT_TELL, "No transfer was run from a generator of the paper's.")
    evidence = f"Difference in {METRIC_NAMES[PRIMARY]}: {_differences(rows)}."
    verdict = CANNOT_TELL
    if (rows["verdict"] == HARMS).all():
        verdict = AGREES
    elif ((rows["verdict"] == HELPS) & (_together(rows, confidence)[0] > 0)).any():
        verdict = DISAGREES
    return _concluded(3, claim, verdict, evidence, rows)


def _best_at_transfer(comparisons: pd.DataFrame, confidence: float) -> Conclusion:
    claim = "Time-VQVAE is the best of the three generators at pre-training."
    rows = _transferred(comparisons)
    if rows["generator"].nunique() < 2 or BEST not in set(rows["generator"]):
        told = f"Says nothing without transfer from {BEST} and from another of these."
        return Conclusion(3, claim, CANNOT_TELL, told)
    means = rows.groupby("generator")["difference"].mean().sort_values(ascending=False)
    order = ", ".join(f"{name} {signed(mean)}" for name, mean in means.items())
    keys = ["dataset", "experiment"]
    pairs = rows[rows["generator"] == BEST].merge(
        rows[rows["generator"] != BEST], on=keys, suffixes=("", "_other"), validate="one_to_many"
    )
    above, below = pairs["low"] > pairs["high_other"], pairs["high"] < pairs["low_other"]
    far_below = _together(pairs, confidence)[1] < _together(pairs, confidence, "_other")[0]
    evidence = (
        f"Mean difference in {METRIC_NAMES[PRIMARY]} from real data alone, best first: {order}. Of {len(pairs)} "
        f"comparisons with another generator on the same data, the interval of {BEST} lies wholly above the other's in "
        f"{above.sum()} and wholly below in {below.sum()}."
    )
    verdict = AGREES if above.all() else DISAGREES if far_below.any() else CANNOT_TELL
    return _concluded(3, claim, verdict, evidence, rows)


def verdicts_table(
    comparisons: pd.DataFrame, merged: Collection[str], simulated: Collection[str], confidence: float
) -> pd.DataFrame:
    """Set the paper's three conclusions beside this study's comparisons.

    The paper's are about real patients: where any data set is simulated the verdict is ``cannot tell``, and what was
    found on the simulated records is only told. So it is where fewer than all real records were learnt from. Only the
    paper's generators count, and its way of fine-tuning where it was run. A claim about several generators or data sets
    must hold for all of them to agree. One of them is enough to disagree, but its difference must then stand out of all
    that the claim was judged by (Bonferroni).

    Args:
        comparisons: of :func:`ecgpipe.tables.comparisons.comparisons_table`.
        merged: names of datasets that are merges.
        simulated: names of datasets with simulated records.
        confidence: level of the intervals; 1 - confidence is that of the tests.

    Returns:
        A row a claim: conclusion (1 to 3; the third makes two claims, judged apart), claim, verdict (``agrees``,
        ``disagrees``, ``cannot tell``), evidence.
    """
    found = [
        _one_dataset(comparisons, merged, confidence),
        _merged_datasets(comparisons, merged, confidence),
        _transfer(comparisons, confidence),
        _best_at_transfer(comparisons, confidence),
    ]
    if simulated:
        told = "Simulated records say nothing about patients. On them: "
        found = [Conclusion(c.conclusion, c.claim, CANNOT_TELL, told + c.evidence) for c in found]
    return pd.DataFrame([asdict(conclusion) for conclusion in found])
