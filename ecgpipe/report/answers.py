"""One plain answer to each question of the study, from the tables alone. The console shows it, too."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import pandas as pd

from ecgpipe.config import Config
from ecgpipe.config.derived import is_partial
from ecgpipe.prose import answers as say
from ecgpipe.prose.conclusions import BEST_AT_TRANSFER, MERGED_DATASETS, ONE_DATASET, TRANSFER_BELOW_REAL
from ecgpipe.prose.rows import rows_of
from ecgpipe.tables.comparisons import largest_share, main_ratio
from ecgpipe.tables.verdicts import BEST
from ecgpipe.vocabulary import AUGMENTATION, BETWEEN, HARMS, HELPS, PRIMARY, REAL_ONLY, TRANSFER

QUESTIONS = {
    ONE_DATASET: "Do synthetic records help when they are added to one dataset’s real records?",
    MERGED_DATASETS: "Do they help when they are added to several datasets, merged?",
    TRANSFER_BELOW_REAL: "Does pre-training on synthetic records help?",
    BEST_AT_TRANSFER: f"Is {BEST} the best generator for pre-training?",
}
"""The question that each claim of the paper answers."""


CONTROLS = ("class_mean_pca",)
"""Generators that are no contenders: the answers leave them out, the figure shows them."""


@dataclass(frozen=True)
class Answer:
    """What the study says to one question.

    Attributes:
        question: the question.
        headline: one sentence: was a gain shown?
        detail: how large it is, or which gains could have been seen at all.
        fewer: whether a gain was shown with the smallest share of the real records; empty if there is one share.
        claim: what the paper concludes.
        verdict: whether the study agrees with the paper; of :data:`ecgpipe.vocabulary.AGREES` and its fellows.
        evidence: the figures that decide the verdict.
    """

    question: str
    headline: str
    detail: str
    fewer: str
    claim: str
    verdict: str
    evidence: str


def repetitions(comparisons: pd.DataFrame) -> int:
    """Return how often each generator was trained and sampled from: once, unless the table says more."""
    return int(comparisons["repetitions"].max()) if len(comparisons) and "repetitions" in comparisons else 1


def _with_real(comparisons: pd.DataFrame, experiment: str, generators: Collection[str]) -> pd.DataFrame:
    """Return an experiment's comparisons of ``generators`` in the primary metric.

    Only those against real records, tested on the dataset's own test records, with one ratio.
    """
    rows = comparisons[
        (comparisons["experiment"] == experiment)
        & (comparisons["metric"] == PRIMARY)
        & (comparisons["against"] == REAL_ONLY)
        & (comparisons["tested"] == comparisons["dataset"])
        & comparisons["generator"].isin(list(generators))
    ]
    return main_ratio(rows)


def at_most_real(comparisons: pd.DataFrame, experiment: str, generators: Collection[str]) -> pd.DataFrame:
    """Return an experiment's comparisons of ``generators`` at each dataset's largest share; see :func:`_with_real`."""
    return largest_share(_with_real(comparisons, experiment, generators))


def _of_best(comparisons: pd.DataFrame, generators: Collection[str]) -> pd.DataFrame:
    """Return the comparisons of :data:`BEST` with other generators at the largest share, each seen from its side."""
    rows = largest_share(comparisons[(comparisons["experiment"] == BETWEEN) & (comparisons["metric"] == PRIMARY)])
    rows = rows[rows[["generator", "against"]].isin(list(generators)).all(axis=1)]
    rows = rows[(rows["generator"] == BEST) | (rows["against"] == BEST)]
    turned = rows["against"] == BEST
    other = {HELPS: HARMS, HARMS: HELPS}
    return rows.assign(
        difference=rows["difference"].where(~turned, -rows["difference"]),
        verdict=rows["verdict"].where(~turned, rows["verdict"].map(lambda verdict: other.get(verdict, verdict))),
        rival=rows["against"].where(~turned, rows["generator"]),
    )


def _rows(
    claim: str, comparisons: pd.DataFrame, generators: Sequence[str], merged: Collection[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the comparisons that answer a claim, and those at the smallest share, if that is another one."""
    if claim == BEST_AT_TRANSFER:
        return _of_best(comparisons, generators), comparisons.iloc[:0]
    experiment = TRANSFER if claim == TRANSFER_BELOW_REAL else AUGMENTATION
    every = _with_real(comparisons, experiment, generators)
    most = largest_share(every)
    fewest = every[every["fraction"] == every["fraction"].min()].drop(most.index, errors="ignore")
    if claim == TRANSFER_BELOW_REAL:
        return most, fewest
    most, fewest = (rows[rows["dataset"].isin(list(merged)) == (claim == MERGED_DATASETS)] for rows in (most, fewest))
    return most, fewest


def answers(
    comparisons: pd.DataFrame,
    verdicts: pd.DataFrame,
    generators: Sequence[str],
    merged: Collection[str],
    partial: Collection[str],
) -> list[Answer]:
    """Answer each question of the study.

    Args:
        comparisons: ``comparisons.parquet``.
        verdicts: ``verdicts.parquet``.
        generators: names of the study's generators.
        merged: names of the datasets that are merges.
        partial: names of the datasets of which training records are left out: no claim, so no answer, is about them.

    Returns:
        An answer for each row of ``verdicts``, in its order; a claim without a question of its own is its own question.
    """
    comparisons = comparisons[~comparisons["dataset"].isin(list(partial))]
    found = []
    for row in rows_of(verdicts):
        claim = str(row["claim"])
        none = comparisons.iloc[:0]
        rows, fewest = _rows(claim, comparisons, generators, merged) if claim in QUESTIONS else (none, none)
        headline = say.headline_of_best if claim == BEST_AT_TRANSFER else say.headline
        told = (headline(rows), say.detail(rows)) if len(rows) else say.NOT_RUN
        if claim not in QUESTIONS:
            told = (f"{str(row['verdict']).capitalize()}.", "")
        question = QUESTIONS.get(claim, claim)
        fewer = say.with_fewer(fewest) if len(fewest) else ""
        found.append(Answer(question, *told, fewer, claim, str(row["verdict"]), str(row["evidence"])))
    return found


def contenders(config: Config) -> list[str]:
    """Return the generators that the answers are about: all but the controls, or these if there are no others."""
    return [name for name in config.generators if name not in CONTROLS] or list(config.generators)


def answers_of(config: Config, comparisons: pd.DataFrame, verdicts: pd.DataFrame) -> list[Answer]:
    """Answer each question of a study, see :func:`answers`."""
    settings = config.dataset_settings
    merged = [name for name in config.datasets if settings[name].merge]
    partial = [name for name in config.datasets if is_partial(settings, name)]
    return answers(comparisons, verdicts, contenders(config), merged, partial)
