"""The first screen's sentences: one plain answer to each question, and what would make it surer."""

from __future__ import annotations

import math

import pandas as pd

from ecgpipe.prose.findings import plural, share
from ecgpipe.prose.rows import Row, rows_of
from ecgpipe.prose.wording import METRIC_NAMES, listed, number
from ecgpipe.vocabulary import CANNOT_TELL, HARMS, HELPS, PRIMARY

CANNOT = "This study cannot tell."
"""Headline where the verdict is :data:`ecgpipe.vocabulary.CANNOT_TELL`."""
NOT_RUN = CANNOT, "It ran no comparison of this kind."

_METRIC = METRIC_NAMES[PRIMARY]


def _where(row: Row, rows: pd.DataFrame) -> str:
    """Name a comparison by its generator (or the one it is compared with), and by its dataset if there are several."""
    name = f"against {row['rival']}" if "rival" in row else f"with {row['generator']}"
    return f"{name} on {row['dataset']}" if rows["dataset"].nunique() > 1 else name


def _times(count: int, of: int) -> str:
    if of == 1:
        return ""
    return f" in all {of} comparisons" if count == of else f" in {count} of {of} comparisons"


def headline(rows: pd.DataFrame) -> str:
    """Say in one sentence whether a gain or a loss was shown.

    Args:
        rows: comparisons in the primary metric, at least one.
    """
    judged = rows[rows["verdict"] != CANNOT_TELL]
    helped, harmed = (int((rows["verdict"] == verdict).sum()) for verdict in (HELPS, HARMS))
    if judged.empty:
        return CANNOT
    if helped and harmed:
        return f"Gains were shown{_times(helped, len(judged))}, losses in {harmed}."
    if helped:
        return f"A gain was shown{_times(helped, len(judged))}."
    return f"A loss was shown{_times(harmed, len(judged))}, and no gain." if harmed else "No gain was shown."


def with_fewer(rows: pd.DataFrame) -> str:
    """Say in one sentence whether a gain or a loss was shown where a smaller share of the real records was used.

    Args:
        rows: comparisons in the primary metric at one share, at least one.
    """
    said = headline(rows)
    share_of_real = share(float(rows["fraction"].iloc[0]))
    return (
        f"With {share_of_real} of the real records, and generators that learned from all of them, "
        f"{said[0].lower()}{said[1:]}"
    )


def headline_of_best(rows: pd.DataFrame) -> str:
    """Say in one sentence whether a generator was shown to be better, or worse, than the others.

    Args:
        rows: its comparisons with the others, seen from its side, at least one.
    """
    judged = rows[rows["verdict"] != CANNOT_TELL]
    helped, harmed = (rows["verdict"] == HELPS), (rows["verdict"] == HARMS)
    if judged.empty:
        return CANNOT
    if helped.all():
        return "It was shown to be better than each of the others."
    if harmed.any():
        worse = [_where(row, judged).removeprefix("against ") for row in rows_of(rows[harmed])]
        return f"No: it was shown to be worse than {listed(worse)}."
    if helped.any():
        return f"It was shown to be better in {int(helped.sum())} of {len(judged)} comparisons, not in all."
    return "It was not shown to be better."


def _largest(rows: pd.DataFrame) -> str:
    """Name the largest gain and the largest loss that were shown."""
    parts = []
    for verdict, word in ((HELPS, "gain"), (HARMS, "loss")):
        shown = rows[rows["verdict"] == verdict]
        if len(shown):
            row = rows_of(shown.loc[[shown["difference"].abs().idxmax()]])[0]
            start = f"The largest {word} is" if len(shown) > 1 else f"The {word} is"
            parts.append(f"{start} {number(abs(row['difference']), 2)} {_METRIC} {_where(row, rows)}.")
    return " ".join(parts)


def beside_baselines(rows: pd.DataFrame) -> str:
    """Say how many of the gains that were shown also beat the best simple baseline; nothing without baselines.

    Args:
        rows: comparisons; columns ``best_baseline`` and ``against_best_baseline`` if baselines were trained.
    """
    if "best_baseline" not in rows:
        return ""
    gains = rows[(rows["verdict"] == HELPS) & rows["best_baseline"].fillna("").ne("")]
    beaten = int((gains["against_best_baseline"] == HELPS).sum())
    if gains.empty:
        return ""
    if len(gains) == 1:
        name = str(gains["best_baseline"].iloc[0]).replace("_", " ")
        return f"It was {'also' if beaten else 'not'} shown to beat the best simple baseline ({name})."
    shown = f"{beaten} also beat" if beaten else "none was shown to beat"
    return f"Of these {len(gains)} gains, {shown} the best simple baseline."


def could_have_seen(rows: pd.DataFrame) -> str:
    """Say which gains were large enough to be seen, in comparisons that show none.

    Args:
        rows: comparisons in the primary metric that can be judged and show no gain.

    Returns:
        A sentence; nothing if there are no rows.
    """
    ordered = rows_of(rows.sort_values("smallest_effect", kind="stable"))
    seen = [row for row in ordered if not math.isnan(row["smallest_effect"])]
    if not ordered:
        return ""
    if not seen:
        return "No possible gain was large enough for this study to see."
    least, most = (number(row["smallest_effect"], 2) for row in (seen[0], seen[-1]))
    start = f"This study could only have seen gains of {least} {_METRIC} or more"
    if least == most and len(seen) == len(ordered):
        return f"{start}."
    start += f" {_where(seen[0], rows)}"
    if len(seen) < len(ordered):
        return f"{start}, and none at all {_where(ordered[-1], rows)}."
    return f"{start}, and of {most} or more {_where(seen[-1], rows)}."


def _why_not(rows: pd.DataFrame) -> str:
    """Say why comparisons cannot be judged."""
    if (rows["seeds"] == 1).all():
        return "one seed does not show how much chance there is in training"
    if rows["note"].str.contains("test patients").all():
        return "too few test patients"
    return "no interval can be computed, for the reasons that the table of comparisons gives"


def detail(rows: pd.DataFrame) -> str:
    """Say how large the effects are, or which ones could have been seen, and what cannot be judged.

    Args:
        rows: comparisons in the primary metric, at least one.
    """
    silent = rows["verdict"] == CANNOT_TELL
    parts = [
        _largest(rows[~silent]),
        beside_baselines(rows),
        could_have_seen(rows[~silent & (rows["verdict"] != HELPS)]),
    ]
    if silent.any():
        whole = silent.groupby(rows["dataset"], sort=False).all()
        datasets = [str(name) for name in whole.index[whole]]
        others = rows[silent & ~rows["dataset"].isin(datasets)]
        names = [*datasets, *(_where(row, rows).split(" ", 1)[1] for row in rows_of(others))]
        parts.append(f"It cannot tell for {listed(names)}: {_why_not(rows[silent])}.")
    return " ".join(part for part in parts if part)


def times(count: int) -> str:
    """Write how often: ``once``, ``3 times``."""
    return "once" if count == 1 else f"{count} times"


def more_seeds(seeds: int, papers: int) -> str:
    """Say what more seeds would bring."""
    now = "1 seed was" if seeds == 1 else f"{seeds} seeds were"
    return f"{now} used, where the paper used {papers}. List more under `experiments.seeds`."


def size(dataset: str, every: Row, test: Row, *, patients: bool) -> str:
    """Say how many records a dataset has, and how many for testing.

    Args:
        dataset: its name.
        every: columns ``records`` and ``patients`` of the whole dataset.
        test: the same of its test records.
        patients: whether the dataset names its patients.
    """
    records, tested = plural(int(every["records"]), "record"), f"{int(test['records']):,}"
    if not patients:
        return f"{dataset}: {records}, of which {tested} are for testing (which are of one patient is not known)"
    return (
        f"{dataset}: {records} of {plural(int(every['patients']), 'patient')}, of which {tested} "
        f"({plural(int(test['patients']), 'patient')}) are for testing"
    )


def more_records(dataset: str, rhythms: str, fewest: int, *, patients: bool) -> str:
    """Say which rhythms of a dataset lack test patients, or records where patients are not named."""
    what = "patients" if patients else "records"
    return f"{dataset} has fewer than {fewest} test {what} of {rhythms}, too few to count."


def more_training(generators: list[str]) -> str:
    """Say which generators were trained briefly."""
    were = "was" if len(generators) == 1 else "were"
    return (
        f"{listed(generators)} {were} trained with the preset `small`. The presets `full` and `paper` train longer and "
        "need a GPU."
    )


REAL_RECORDS = (
    "Use real records: `snakemake all --cores 8 --configfile configs/physionet.yaml` runs this study on PhysioNet’s."
)
HALVE = (
    "As a rule of thumb, halving the smallest gain that a study can see takes four times as many test patients and "
    "four times as many seeds."
)
