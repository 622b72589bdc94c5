"""The texts of verdicts.parquet: the paper's claims, and what this study found beside each."""

from __future__ import annotations

import math

import pandas as pd

from ecgpipe.prose.rows import Row, rows_of
from ecgpipe.prose.wording import BASELINE_NAMES, METRIC_NAMES, bounds, listed, signed
from ecgpipe.vocabulary import (
    ALL_SYNTHETIC,
    AUGMENTATION,
    BETWEEN,
    CANNOT_TELL,
    HARMS,
    HELPS,
    NO_DIFFERENCE,
    NO_RATIO,
    PRIMARY,
    TRANSFER,
)

ONE_DATASET = "Augmenting one dataset with its own synthetic records brings a barely noticeable gain."
MERGED_DATASETS = "Augmenting the two datasets merged brings a gain in all metrics."
TRANSFER_BELOW_REAL = "Synthetic pre-training and fine-tuning stays below training on real data alone."
BEST_AT_TRANSFER = "Time-VQVAE is the best of the three generators at pre-training."

NO_ONE_DATASET = "No single dataset was augmented by a generator of the paper's."
NO_MERGED_DATASETS = "No merged dataset was augmented by a generator of the paper's."
NO_TRANSFER = "No transfer was run from a generator of the paper's."

NO_BASELINE = "No simple baseline, such as oversampling, was trained to compare with."

GENERATORS_ONCE = "Each generator was trained and sampled from only once, and no interval covers the chance in that."

NOT_IN_THE_STUDY = "Not part of this study."
NOT_KNOWN_BEFORE_THE_DATA = "Not known before the data are made: run `ecgpipe run data`, then `ecgpipe plan` again."

_LISTED = 8
"""Most differences that a sentence lists; of more it gives the extremes."""


def _cell(row: Row) -> str:
    """Name a comparison by dataset and generator, and by what is not as in the paper: ratio, way of fine-tuning."""
    ratio = "" if row["ratio"] in (ALL_SYNTHETIC, NO_RATIO) else f" (ratio {row['ratio']})"
    method = "" if row["experiment"] in (AUGMENTATION, TRANSFER, BETWEEN) else f" ({row['experiment']})"
    if row["experiment"] == BETWEEN:
        method = f" against {row['against']}"
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
    return f"No change is as large as {noticeable:g} in either direction."


def noticeable_change_left_open(noticeable: float) -> str:
    """Say that a noticeable difference may or may not be there."""
    return f"A change of more than {noticeable:g} was neither shown nor ruled out."


def gains_and_losses(rows: pd.DataFrame, gained: pd.Series, lost: pd.Series) -> str:
    """List the metrics in which gains and losses were shown, by dataset and generator.

    Args:
        rows: comparisons in any metric.
        gained, lost: in which of them.
    """
    sentences = []
    for shown, word in ((gained, "Gains"), (lost, "Losses")):
        found: dict[str, list[str]] = {}
        for row in rows_of(rows[shown]):
            found.setdefault(_cell(row), []).append(METRIC_NAMES[row["metric"]])
        cells = [f"{cell}: {listed(metrics)}" for cell, metrics in found.items()]
        sentences.append(f"{word} shown: {'; '.join(cells) if cells else 'none in any metric'}.")
    return " ".join(sentences)


def beside_baselines(baselines: list[str], better: list[tuple[str, str]]) -> str:
    """Say which augmentations beat every simple baseline.

    Args:
        baselines: their names.
        better: dataset and generator of these augmentations.
    """
    names = listed([BASELINE_NAMES[name] for name in baselines])
    found = "; ".join(f"{dataset} with {generator}" for dataset, generator in better) or "none"
    every = f"every simple baseline ({names})" if len(baselines) > 1 else f"the simple baseline ({names})"
    return f"Shown to beat {every}: {found}."


def could_show(comparisons: int, smallest: float, bound: float | None) -> str:
    """Say what the comparisons that decide could show at all.

    Args:
        comparisons: their number.
        smallest: difference (or margin of equivalence) that each of them shows with a probability of 80 %; NaN if one
            of them cannot tell.
        bound: margin that the claim is about; None if it is about a difference.
    """
    start = f"Decided by {comparisons} comparison{'s' if comparisons > 1 else ''}"
    if math.isnan(smallest):
        return f"{start}, not all of which can be judged."
    if bound is None:
        return (
            f"{start}. With these test records and seeds, each would show a true difference of {smallest:.3f} with a "
            "probability of 80 %."
        )
    chance = "less than" if smallest > bound else "at least"
    return (
        f"{start}. If the networks did not differ, each would be shown to differ by less than {smallest:.3f} with a "
        f"probability of 80 %, so the chance of agreement within {bound:g} was {chance} 80 % from the start."
    )


def rotation_costs(number: int) -> str:
    """Say what it costs to rotate the folds of a dataset."""
    return (
        f"tested in {number} rotations of its folds, each with generators and classifiers of its own: {number} times "
        "the trainings and samples of one test split."
    )


def rotation_gains(once: int, every: int, before: float | None, after: float | None) -> str:
    """Say what it gains to rotate the folds of a dataset.

    Args:
        once, every: test patients of the first rotation and of all, a patient counted once for each of its rhythms.
        before, after: difference that a comparison would show with a probability of 80 % with these; None if there
            would be no verdict.
    """
    start = f"Its test set has {every} patients in place of {once}"
    if after is None:
        return f"{start}, which are still too few patients or seeds for a verdict."
    former = "where there would be no verdict" if before is None else f"in place of {before:.3f}"
    return f"{start}: a comparison would show a difference in macro F1 of {after:.3f} (80 % probability), {former}."


def left_out(rhythms: str) -> str:
    """Say which rhythms the macro averages leave out; nothing if none."""
    return f"Macro averages leave out rhythms with too few test patients: {rhythms}." if rhythms else ""


def nothing_to_rank(best: str) -> str:
    """Say that generators cannot be ranked without transfer from several of them."""
    return f"This study cannot tell without transfer from {best} and from another of the paper's generators."


def part_of_the_real_records(share: float) -> str:
    """Say that fewer real records were used than in the paper."""
    return f"This study used at most {share:.0%} of the real records; the paper used all of them."


def on_simulated_records(evidence: str) -> str:
    """Say that what follows was found on simulated records."""
    return f"Simulated records say nothing about patients. On them: {evidence}"
