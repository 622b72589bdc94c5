"""The texts of verdicts.parquet: the paper's claims, and what this study found beside each."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from ecgpipe.prose.rows import Row, rows_of
from ecgpipe.prose.wording import METRIC_NAMES, bounds, listed, signed
from ecgpipe.vocabulary import (
    ALL_SYNTHETIC,
    AUGMENTATION,
    CANNOT_TELL,
    HARMS,
    HELPS,
    NO_DIFFERENCE,
    NO_RATIO,
    PRIMARY,
    TRANSFER,
)

ONE_DATASET = "Augmenting one data set with its own synthetic records brings a barely noticeable gain."
MERGED_DATASETS = "Augmenting the two data sets merged brings a gain in all metrics."
TRANSFER_BELOW_REAL = "Synthetic pre-training and fine-tuning stays below training on real data alone."
BEST_AT_TRANSFER = "Time-VQVAE is the best of the three generators at pre-training."

NO_ONE_DATASET = "No single data set was augmented by a generator of the paper's."
NO_MERGED_DATASETS = "No merged data set was augmented by a generator of the paper's."
NO_TRANSFER = "No transfer was run from a generator of the paper's."

_LISTED = 8
"""Most differences that a sentence lists; of more it gives the extremes."""


def _cell(row: Row) -> str:
    """Name a comparison by dataset and generator, and by what is not as in the paper: ratio, way of fine-tuning."""
    ratio = "" if row["ratio"] in (ALL_SYNTHETIC, NO_RATIO) else f" (ratio {row['ratio']})"
    method = "" if row["experiment"] in (AUGMENTATION, TRANSFER) else f" ({row['experiment']})"
    return f"{row['dataset']} with {row['generator']}{ratio}{method}"


def differences(rows: pd.DataFrame) -> str:
    """List differences with their intervals; of many the smallest, the largest and how often each verdict was given.

    Args:
        rows: comparisons in the primary metric.
    """
    start = f"Difference in {METRIC_NAMES[PRIMARY]}:"
    shown = rows
    if len(rows) > _LISTED:
        shown = rows.sort_values("difference", kind="stable").iloc[[0, -1]]
    found = [f"{_cell(row)} {signed(row['difference'])} {bounds(row['low'], row['high'])}" for row in rows_of(shown)]
    if len(rows) <= _LISTED:
        return f"{start} {'; '.join(found)}."
    counts = rows["verdict"].value_counts()
    given = [f"{counts[v]} {v}" for v in (HELPS, NO_DIFFERENCE, HARMS, CANNOT_TELL) if v in counts]
    return f"{start} from {' to '.join(found)}; of {len(rows)} comparisons {listed(given)}."


def no_noticeable_change(noticeable: float) -> str:
    """Say that every difference is shown to be smaller than a noticeable one."""
    return f"No change reaches {noticeable:g}, whether up or down."


def noticeable_change_left_open(noticeable: float) -> str:
    """Say that a noticeable difference may or may not be there."""
    return f"A change beyond {noticeable:g} is neither shown nor ruled out."


def gains_and_losses(rows: pd.DataFrame) -> str:
    """List the metrics in which gains and losses were shown, by dataset and generator.

    Args:
        rows: comparisons in any metric.
    """
    sentences = []
    for verdict, word in ((HELPS, "Gains"), (HARMS, "Losses")):
        found: dict[str, list[str]] = {}
        for row in rows_of(rows[rows["verdict"] == verdict]):
            found.setdefault(_cell(row), []).append(METRIC_NAMES[row["metric"]])
        cells = [f"{cell}: {listed(metrics)}" for cell, metrics in found.items()]
        sentences.append(f"{word} shown: {'; '.join(cells) if cells else 'none in any metric'}.")
    return " ".join(sentences)


def nothing_to_rank(best: str) -> str:
    """Say that generators cannot be ranked without transfer from several of them."""
    return f"Says nothing without transfer from {best} and from another of these."


def ranking(means: Sequence[tuple[str, float]], best: str, pairs: int, above: int, below: int) -> str:
    """Rank generators by their transfer.

    Args:
        means: generators with their mean difference from real data alone, best first.
        best: the generator that the paper found best.
        pairs: comparisons of it with another generator on the same data.
        above: of these, those in which its interval lies wholly above the other's.
        below: those in which it lies wholly below.
    """
    order = ", ".join(f"{name} {signed(mean)}" for name, mean in means)
    return (
        f"Mean difference in {METRIC_NAMES[PRIMARY]} from real data alone, best first: {order}. Of {pairs} comparisons "
        f"with another generator on the same data, the interval of {best} lies wholly above the other's in {above} and "
        f"wholly below in {below}."
    )


def part_of_the_real_records(share: float) -> str:
    """Say that fewer real records were learnt from than in the paper."""
    return f"That is with {share:.0%} of the real records at most; the paper used all."


def on_simulated_records(evidence: str) -> str:
    """Say that what follows was found on simulated records."""
    return f"Simulated records say nothing about patients. On them: {evidence}"
