"""Does it help? Every network that saw synthetic records against the one that saw real ones only.

Simple baselines are compared with plain training too, and networks that saw synthetic records beside real ones with
each of these. Pre-trained networks are also compared with those pre-trained on another dataset's real records, and on
the records of another generator. Both sides have the same dataset, share of the real training records, seeds and test
records, so differences are paired.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from ecgpipe.tables.cells import Cell
from ecgpipe.tables.draws import Draws
from ecgpipe.tables.influence import FEWEST, Rhythms
from ecgpipe.tables.resampling import PairedTest, by_repetition, holm, paired_test, strata, swap_p_value
from ecgpipe.vocabulary import (
    AGAINST_BASELINE,
    AGAINST_REAL_PRETRAINING,
    ALL_SYNTHETIC,
    AUGMENTATION,
    AUGMENTED,
    BALANCE,
    BASELINES,
    BETWEEN,
    CANNOT_TELL,
    COMPARED,
    CROSS,
    CROSS_SET,
    EXPERIMENTS,
    FINETUNED,
    FROZEN,
    HARMS,
    HELPS,
    METHODS,
    NO_DIFFERENCE,
    NO_RATIO,
    PROBE,
    REAL,
    REAL_ONLY,
    REAL_PRETRAINING,
    REAL_SOURCE,
    SYNTHETIC,
    TRAINING_RECORDS,
)

log = logging.getLogger(__name__)

NO_EFFECT = "so few seeds or patients that no difference below 1 would have been shown with a probability of 80 %"

CELL = ["dataset", "setting", "generator", "fraction", "ratio"]

COLUMNS = (
    "dataset",
    "experiment",
    "setting",
    "generator",
    "fraction",
    "ratio",
    "n_real",
    "n_synthetic",
    "tested",
    "against",
    "metric",
    "reference",
    "value",
    "difference",
    "low",
    "high",
    "standard_error",
    "degrees_of_freedom",
    "p_value",
    "p_holm",
    "p_swap",
    "family",
    "seeds",
    "repetitions",
    "support",
    "patients",
    "left_out",
    "verdict",
    "best_baseline",
    "against_best_baseline",
    "smallest_effect",
    "note",
)


def experiment_of(cell: Cell, reference: Cell) -> str:
    """Name the question that a comparison answers."""
    if reference.setting in BASELINES:
        return AGAINST_BASELINE
    if reference.setting != REAL:
        return AGAINST_REAL_PRETRAINING if reference.generator.startswith(REAL_SOURCE) else BETWEEN
    if cell.generator.startswith(REAL_SOURCE):
        return REAL_PRETRAINING
    return CROSS if CROSS_SET in cell.generator or not cell.at_home else EXPERIMENTS[cell.setting]


def largest_share(comparisons: pd.DataFrame) -> pd.DataFrame:
    """Return the comparisons at each dataset's largest share of real records."""
    most = comparisons.groupby("dataset")["fraction"].transform("max")
    return comparisons[comparisons["fraction"] == most]


def main_ratio(comparisons: pd.DataFrame) -> pd.DataFrame:
    """Keep one ratio of synthetic to real records: all, or the first there is."""
    ratios = [ratio for ratio in comparisons["ratio"].unique() if ratio != NO_RATIO]
    kept = ALL_SYNTHETIC if ALL_SYNTHETIC in ratios else next(iter(ratios), ALL_SYNTHETIC)
    return comparisons[comparisons["ratio"].isin([NO_RATIO, kept])]


def pairs(cells: Sequence[Cell], fractions: Sequence[float], transfer: Sequence[float]) -> list[tuple[Cell, Cell]]:
    """Return (cell, its reference) of everything that is compared, by dataset, setting, generator and share.

    Every cell that saw synthetic records, and every simple baseline, has as reference the real-only one of its share
    and test records. TrRSTeR with the dataset's own synthetic records is also compared with each simple baseline. A
    network pre-trained on synthetic records is also compared with those pre-trained on another dataset's real records,
    and with those pre-trained on the records of each generator that follows by name.

    Args:
        cells: all cells of the study.
        fractions: shares at which augmentation is reported.
        transfer: shares at which transfer is reported.
    """
    real = {(cell.dataset, cell.fraction, cell.tested): cell for cell in cells if cell.setting == REAL}
    shares = {
        **{setting: set(fractions) for setting in (AUGMENTED, *BASELINES)},
        **{setting: set(transfer) for setting in (FROZEN, FINETUNED, PROBE)},
    }
    found = []
    for cell in cells:
        if cell.setting not in EXPERIMENTS or cell.fraction not in shares.get(cell.setting, {cell.fraction}):
            continue
        fraction = 1.0 if cell.setting == SYNTHETIC else cell.fraction
        reference = real.get((cell.dataset, fraction, cell.tested))
        if reference is None:
            log.warning("(%s) is not compared: there is no real-only cell of fraction %g", cell, fraction)
            continue
        if reference.seeds != cell.seeds:
            raise ValueError(
                f"({cell}) has seeds {list(cell.seeds)}, ({reference}) has {list(reference.seeds)}: they cannot be "
                f"paired; delete the classifier results of {cell.dataset} and run again"
            )
        found.append((cell, reference))
    found += [
        (cell, other)
        for cell, _ in found
        for other, _ in found
        if cell.setting == AUGMENTED
        and CROSS_SET not in cell.generator
        and other.setting in BASELINES
        and (cell.dataset, cell.fraction, cell.tested) == (other.dataset, other.fraction, other.tested)
    ]
    transferred = [cell for cell, _ in found if cell.setting in METHODS]
    found += [
        (cell, other)
        for cell in transferred
        for other in transferred
        if not cell.generator.startswith(REAL_SOURCE)
        and (other.generator.startswith(REAL_SOURCE) or cell.generator < other.generator)
        and (cell.dataset, cell.setting, cell.fraction, cell.tested)
        == (other.dataset, other.setting, other.fraction, other.tested)
    ]
    datasets, settings = list(dict.fromkeys(cell.dataset for cell in cells)), list(EXPERIMENTS)
    return sorted(
        found,
        key=lambda p: (
            datasets.index(p[0].dataset),
            settings.index(p[0].setting),
            *p[0].key[2:],
            p[1].setting != REAL,
            p[1].generator,
            p[1].setting,
        ),
    )


def _notes(cell: Cell, metric: str, test: PairedTest, rhythms: Rhythms, patients: int) -> list[str]:
    """Say what a comparison leaves out, and why nothing can be told."""
    notes = []
    if patients < FEWEST:
        notes.append(f"only {patients} test patients: {FEWEST} are needed")
    elif metric != "accuracy" and rhythms.left_out:
        few = f"fewer than {FEWEST} test patients"
        start = "judged without" if rhythms.enough else "nothing can be told: too many rhythms are rare,"
        notes.append(f"{start} {rhythms.left_out}: {few}")
    if np.isnan(test.difference):
        notes.append("the metric is not defined on these test records")
    elif len(cell.seeds) == 1:
        notes.append("one seed: the chance in training is not known")
    elif np.isnan(test.error) and patients >= FEWEST and (rhythms.enough or metric == "accuracy"):
        notes.append("the same in every seed and for every choice of patients, as if both answered with one class")
    return notes


def _against(reference: Cell) -> str:
    if reference.setting == REAL:
        return REAL_ONLY
    return reference.setting if reference.setting in BASELINES else reference.generator


def _compare(
    cell: Cell, reference: Cell, draws: Draws, confidence: float, repetitions: int, inflation: float
) -> list[dict[str, Any]]:
    """Return a row for each metric, without what depends on the family."""
    if not (cell.has_synthetic or reference.has_synthetic):
        repetitions = 1
    # Each seed is one of the sample, or each repetition of a generator.
    sampled = repetitions if repetitions > 1 else len(cell.seeds)
    ours, theirs = draws.influences(cell), draws.influences(reference)
    _, first = np.unique(cell.patients, return_index=True)
    patients, stratum = len(first), strata(cell.patients, cell.labels)
    weights, rhythms = draws.weights(cell)[:, first], Rhythms.of(cell.patients, cell.labels, cell.classes)
    occupied, sizes = np.unique(stratum, return_counts=True)
    rows: list[dict[str, Any]] = []
    for place, metric in enumerate(COMPARED):
        differences = by_repetition(ours.values[:, place] - theirs.values[:, place], sampled)
        influence = inflation**0.5 * by_repetition(ours.of_patients[place] - theirs.of_patients[place], sampled)
        swing = inflation**0.5 * ((ours.swings[place] + theirs.swings[place]) / 2)[occupied[sizes > 1]]
        test = paired_test(differences, influence, stratum, swing)
        if patients < FEWEST or not (rhythms.enough or metric == "accuracy"):
            test = PairedTest(test.difference, float("nan"), float("nan"))
        low, high = test.interval(confidence)
        rng = draws.rng(*cell.key, metric)
        rows.append(
            {
                "dataset": cell.dataset,
                "experiment": experiment_of(cell, reference),
                "setting": cell.setting,
                "generator": cell.generator,
                "fraction": reference.fraction,
                "ratio": cell.ratio,
                "n_real": np.nan,
                "n_synthetic": np.nan,
                "tested": cell.tested,
                "against": _against(reference),
                "metric": metric,
                "reference": float(theirs.values[:, place].mean()),
                "value": float(ours.values[:, place].mean()),
                "difference": test.difference,
                "low": max(low, -1.0),
                "high": min(high, 1.0),
                "standard_error": test.error,
                "degrees_of_freedom": test.freedom,
                "p_value": test.p_value,
                "p_swap": swap_p_value(differences, weights @ influence.T, rng),
                "seeds": len(cell.seeds),
                "repetitions": repetitions,
                "support": len(cell.labels),
                "patients": patients,
                "left_out": rhythms.left_out if rhythms.enough and metric != "accuracy" else "",
                "test": test,
                "note": "; ".join(_notes(cell, metric, test, rhythms, patients)),
            }
        )
    return rows


def with_records(comparisons: pd.DataFrame, training: pd.DataFrame) -> pd.DataFrame:
    """Fill in how many records were learnt from, and say in the notes of ratio ``balance`` which rhythms stayed rare.

    A share or ratio keeps at least one record of each rhythm, so that of few records more is taken than it says.

    Args:
        comparisons: of :func:`comparisons_table`.
        training: rows of all trainings; shares are stratified, so that the counts of one seed are those of all.

    Returns:
        The comparisons with ``n_real`` and ``n_synthetic``: training records of the network (of a pre-trained one those
        it went on with), and in the note what was lacking to balance.
    """
    numbers = training.drop_duplicates(CELL).set_index(CELL)[["n_real", "n_synthetic"]]
    learnt = comparisons[CELL].assign(fraction=comparisons["fraction"].mask(comparisons["setting"] == SYNTHETIC, 0.0))
    taken = numbers.reindex(pd.MultiIndex.from_frame(learnt))
    comparisons = comparisons.assign(**{name: taken[name].to_numpy() for name in numbers.columns})
    counts = [name for name in training.columns if name.startswith(TRAINING_RECORDS)]
    lacking = {}
    for row in training[training["ratio"] == BALANCE].drop_duplicates(CELL).to_dict("records"):
        found = {name.removeprefix(TRAINING_RECORDS): row[name] for name in counts if not np.isnan(row[name])}
        most = max(found.values())
        short = [f"{name} {count:.0f}" for name, count in found.items() if count < most]
        if short:
            lacking[tuple(row[key] for key in CELL)] = (
                f"too few synthetic records to balance: {', '.join(short)} of {most:.0f}"
            )
    keys = comparisons[CELL].itertuples(index=False, name=None)
    notes = [
        "; ".join(part for part in (note, lacking.get(key, "")) if part)
        for note, key in zip(comparisons["note"], keys, strict=True)
    ]
    return comparisons.assign(note=notes)


def _verdict(row: pd.Series, alpha: float) -> str:
    if np.isnan(row["p_holm"]):
        return CANNOT_TELL
    if row["p_holm"] >= alpha:
        return NO_DIFFERENCE
    return HELPS if row["difference"] > 0 else HARMS


def with_best_baseline(comparisons: pd.DataFrame) -> pd.DataFrame:
    """Say beside each augmentation which simple baseline was best and what the comparison with it found.

    The best one is that of the highest mean on the test records, so that it is chosen in its own favour.

    Args:
        comparisons: with verdicts.

    Returns:
        The comparisons with ``best_baseline`` and ``against_best_baseline``, a verdict; both are empty in other rows,
        and without baselines.
    """
    keys = [*CELL, "tested", "metric"]
    against = comparisons[comparisons["experiment"] == AGAINST_BASELINE].sort_values("reference", kind="stable")
    best = against.drop_duplicates(keys, keep="last").set_index(keys)[["against", "verdict"]]
    best.columns = pd.Index(["best_baseline", "against_best_baseline"])
    found = best.reindex(pd.MultiIndex.from_frame(comparisons[keys])).fillna("")
    augmented = (comparisons["experiment"] == AUGMENTATION).to_numpy()
    return comparisons.assign(**{name: np.where(augmented, found[name], "") for name in found.columns})


def comparisons_table(
    cells: Sequence[Cell],
    fractions: Sequence[float],
    transfer: Sequence[float],
    draws: Draws,
    confidence: float,
    repetitions: int = 1,
    inflation: float = 1.0,
) -> pd.DataFrame:
    """Compare every cell that saw synthetic records with its real-only cell.

    ``helps`` and ``harms`` need a Holm-corrected p-value below 1 - confidence (:func:`paired_test`). Holm's family is
    one question: an experiment on a dataset in one metric, with every generator and share. ``cannot tell`` stands where
    there is no p-value, as with one seed.

    Args:
        cells: all cells of the study.
        fractions: shares at which augmentation is reported.
        transfer: shares at which transfer is reported.
        draws: the bootstrap.
        confidence: level of the intervals; 1 - confidence is that of the tests.
        repetitions: of each generator; seeds in ascending order take turns.
        inflation: of the variance that patients give a difference, see :func:`ecgpipe.tables.rotations.inflation`.

    Returns:
        Columns :data:`COLUMNS`. ``reference`` and ``value`` are the means over seeds of the networks compared
        ``against`` and of the others, ``difference`` = value - reference with its paired interval; ``fraction`` is that
        of the reference networks (1 for synthetic only). Macro averages leave out the rhythms that ``left_out`` names,
        so that values differ from those of other tables. ``standard_error`` and ``degrees_of_freedom`` are those of the
        difference, ``p_swap`` is the p-value of :func:`swap_p_value` (reported, not deciding), ``family`` the number of
        comparisons that Holm's correction counts. ``smallest_effect`` is the difference that would have been shown with
        a probability of 80 %, were it the first of its family; it is missing, with a note, where it exceeds 1.
        ``n_real`` and ``n_synthetic`` are missing (:func:`with_records` fills them in). ``best_baseline`` and
        ``against_best_baseline`` are those of :func:`with_best_baseline`.

    Raises:
        ValueError: if two cells that belong together have different seeds.
    """
    compared = pairs(cells, fractions, transfer)
    rows = [row for pair in compared for row in _compare(*pair, draws, confidence, repetitions, inflation)]
    table = pd.DataFrame(rows)
    if table.empty:
        return pd.DataFrame(columns=list(COLUMNS))
    families = table.groupby(["dataset", "experiment", "metric"])["p_value"]
    table["p_holm"] = families.transform(lambda p: holm(p.to_numpy()))
    table["family"] = families.transform("count").clip(lower=1).astype(int)
    alpha = 1 - confidence
    tests: list[PairedTest] = table["test"].to_list()
    smallest = np.array([t.detectable(alpha / n) for t, n in zip(tests, table["family"], strict=True)])
    table["smallest_effect"] = np.where(smallest <= 1, smallest, np.nan)
    table["note"] = [
        "; ".join(part for part in (note, NO_EFFECT) if part) if effect > 1 else note
        for note, effect in zip(table["note"], smallest, strict=True)
    ]
    table["verdict"] = [_verdict(row, alpha) for _, row in table.iterrows()]
    return with_best_baseline(table)[list(COLUMNS)]
