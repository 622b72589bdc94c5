"""The paper's three conclusions beside what this study found: does each agree, disagree, or can nothing be told?

What decides is here; the sentences that go with it are :mod:`ecgpipe.prose.conclusions`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass, replace

import pandas as pd
from scipy import stats

from ecgpipe.prose import conclusions as say
from ecgpipe.tables.comparisons import main_ratio
from ecgpipe.vocabulary import (
    AGREES,
    AUGMENTATION,
    CANNOT_TELL,
    DISAGREES,
    EXPERIMENTS,
    HARMS,
    HELPS,
    METHODS,
    PRIMARY,
    TRANSFER,
)

NOTICEABLE = 0.02
"""A difference in a metric that a reader would call noticeable: two points of a hundred."""

GENERATORS = ("diffwave", "time_diffusion", "time_vqvae")
"""The paper's generators. Others, the control and pooled samples among them, decide nothing about its claims."""

BEST = "time_vqvae"
"""The generator that the paper found best at transfer."""


@dataclass(frozen=True)
class Conclusion:
    """One of the paper's conclusions, or a part of one, beside this study's."""

    conclusion: int
    """1 to 3."""
    claim: str
    verdict: str
    """``agrees``, ``disagrees`` or ``cannot tell``."""
    evidence: str


def _at_most_real(comparisons: pd.DataFrame, *experiments: str) -> pd.DataFrame:
    """Return comparisons of the paper's generators at each dataset's largest share of real records, one ratio each."""
    rows = comparisons[comparisons["experiment"].isin(experiments) & comparisons["generator"].isin(GENERATORS)]
    rows = main_ratio(rows)
    return rows[rows["fraction"] == rows.groupby("dataset")["fraction"].transform("max")]


def _together(rows: pd.DataFrame, confidence: float, side: str = "") -> tuple[pd.Series, pd.Series]:
    """Return the bounds of the rows' intervals, widened so that all cover at once with this confidence (Bonferroni).

    What a single one of several comparisons is to decide has to hold for the luckiest of them. ``side`` ends the names
    of the columns, where a row is a pair of comparisons.
    """
    quantile = stats.t.ppf(1 - (1 - confidence) / 2 / len(rows), rows[f"degrees_of_freedom{side}"])
    reach = quantile * rows[f"standard_error{side}"]
    return rows[f"difference{side}"] - reach, rows[f"difference{side}"] + reach


def _concluded(conclusion: int, claim: str, verdict: str, evidence: str, rows: pd.DataFrame) -> Conclusion:
    """Conclude from ``rows``; the paper used all real records, so that fewer neither agree nor disagree with it."""
    if (least := rows["fraction"].min()) < 1:
        evidence = f"{evidence} {say.part_of_the_real_records(least)}"
        verdict = CANNOT_TELL
    return Conclusion(conclusion, claim, verdict, evidence)


def _one_dataset(comparisons: pd.DataFrame, merged: Collection[str], confidence: float) -> Conclusion:
    rows = _at_most_real(comparisons, AUGMENTATION)
    rows = rows[(rows["metric"] == PRIMARY) & ~rows["dataset"].isin(merged)]
    if rows.empty:
        return Conclusion(1, say.ONE_DATASET, CANNOT_TELL, say.NO_ONE_DATASET)
    evidence = say.differences(rows)
    low, high = _together(rows, confidence)
    gain = (rows["verdict"] == HELPS) & (low >= NOTICEABLE)
    loss = (rows["verdict"] == HARMS) & (high <= -NOTICEABLE)
    small = (rows["high"] < NOTICEABLE) & (rows["low"] > -NOTICEABLE) & (rows["verdict"] != CANNOT_TELL)
    if (gain | loss).any():
        verdict = DISAGREES
    elif small.all():
        verdict = AGREES
        evidence = f"{evidence} {say.no_noticeable_change(NOTICEABLE)}"
    else:
        verdict = CANNOT_TELL
        evidence = f"{evidence} {say.noticeable_change_left_open(NOTICEABLE)}"
    return _concluded(1, say.ONE_DATASET, verdict, evidence, rows)


def _merged_datasets(comparisons: pd.DataFrame, merged: Collection[str], confidence: float) -> Conclusion:
    rows = _at_most_real(comparisons, AUGMENTATION)
    rows = rows[rows["dataset"].isin(merged)]
    if rows.empty:
        return Conclusion(2, say.MERGED_DATASETS, CANNOT_TELL, say.NO_MERGED_DATASETS)
    primary, harmed = rows[rows["metric"] == PRIMARY], rows["verdict"] == HARMS
    if (rows["verdict"] == HELPS).all():
        verdict = AGREES
    elif (harmed & (_together(rows, confidence)[1] < 0)).any() or (primary["high"] <= 0).all():
        verdict = DISAGREES
    else:
        verdict = CANNOT_TELL
    evidence = f"{say.differences(primary)} {say.gains_and_losses(rows)}"
    return _concluded(2, say.MERGED_DATASETS, verdict, evidence, rows)


def _transferred(comparisons: pd.DataFrame) -> pd.DataFrame:
    """Return the comparisons of synthetic pre-training with none: by the paper's method (frozen), else by others."""
    rows = _at_most_real(comparisons, *(EXPERIMENTS[method] for method in METHODS))
    rows = rows[rows["metric"] == PRIMARY]
    papers = rows["experiment"] == TRANSFER
    return rows[papers] if papers.any() else rows


def _transfer(comparisons: pd.DataFrame, confidence: float) -> Conclusion:
    rows = _transferred(comparisons)
    if rows.empty:
        return Conclusion(3, say.TRANSFER_BELOW_REAL, CANNOT_TELL, say.NO_TRANSFER)
    verdict = CANNOT_TELL
    if (rows["verdict"] == HARMS).all():
        verdict = AGREES
    elif ((rows["verdict"] == HELPS) & (_together(rows, confidence)[0] > 0)).any():
        verdict = DISAGREES
    return _concluded(3, say.TRANSFER_BELOW_REAL, verdict, say.differences(rows), rows)


def _best_at_transfer(comparisons: pd.DataFrame, confidence: float) -> Conclusion:
    rows = _transferred(comparisons)
    if rows["generator"].nunique() < 2 or BEST not in set(rows["generator"]):
        return Conclusion(3, say.BEST_AT_TRANSFER, CANNOT_TELL, say.nothing_to_rank(BEST))
    means = rows.groupby("generator")["difference"].mean().sort_values(ascending=False)
    keys = ["dataset", "experiment"]
    pairs = rows[rows["generator"] == BEST].merge(
        rows[rows["generator"] != BEST], on=keys, suffixes=("", "_other"), validate="one_to_many"
    )
    above, below = pairs["low"] > pairs["high_other"], pairs["high"] < pairs["low_other"]
    far_below = _together(pairs, confidence)[1] < _together(pairs, confidence, "_other")[0]
    evidence = say.ranking(
        [(str(name), mean) for name, mean in means.items()], BEST, len(pairs), above.sum(), below.sum()
    )
    verdict = AGREES if above.all() else DISAGREES if far_below.any() else CANNOT_TELL
    return _concluded(3, say.BEST_AT_TRANSFER, verdict, evidence, rows)


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
        found = [replace(c, verdict=CANNOT_TELL, evidence=say.on_simulated_records(c.evidence)) for c in found]
    return pd.DataFrame([asdict(conclusion) for conclusion in found])
