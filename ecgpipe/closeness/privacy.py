"""Has the generator memorised its training records?

Held-out records are the reference: they lie as far from the training records as records of other patients do. Three
things give memorisation away: synthetic records nearer than that, membership inference (one can tell from the samples
who was in the training set), and copies of training records.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ecgpipe.closeness import copies, distances, signals
from ecgpipe.closeness.bootstrap import bootstrap_interval, bootstrap_weights
from ecgpipe.closeness.feature_cache import FeatureCache
from ecgpipe.closeness.settings import Settings
from ecgpipe.vocabulary import ALL, CANNOT_TELL, COPIES, MEMORISES, NO_SIGN

NEAR = 0.01
"""A synthetic record is near if it is nearer to the training records than this share of the held-out ones is."""

FEWEST = 20
"""Fewest held-out and synthetic records for shares and AUC."""

_SEED = 20241129

SPACES = ("signal", "features")
"""What distances are measured in: the samples, and the projected random-kernel features."""

NEAR_SHARE, AUC = "near_share", "membership_auc"

_NAMES = {NEAR_SHARE: "near share", AUC: "membership AUC"}

TABLE_COLUMNS = (
    *("class", "measure", "value", "low", "high", "floor", "direction", "unit", "n", "note", "verdict", "reason"),
)


@dataclass(frozen=True)
class Privacy:
    """What was found.

    Attributes:
        table: a row a class (and ``all``) and measure, columns :data:`TABLE_COLUMNS`; verdict and its reason, which are
            on all records, stand in every row.
        pairs: synthetic and training records to look at, most alike first, columns
            :data:`ecgpipe.closeness.copies.PAIR_COLUMNS` (shift in s, distance as root mean square in mV).
    """

    table: pd.DataFrame
    pairs: pd.DataFrame


def near_share(synthetic: np.ndarray, held_out: np.ndarray, wa: np.ndarray, wb: np.ndarray) -> np.ndarray:
    """Return the share of synthetic records nearer to training than 1 % of the held-out ones, ``(draws,)``.

    Args:
        synthetic: distance of each synthetic record to its nearest training record, ``(n,)``.
        held_out: the same of held-out records, ``(m,)``.
        wa: bootstrap weights ``(draws, n)``.
        wb: bootstrap weights ``(draws, m)``.
    """
    order = np.argsort(held_out)
    below = np.cumsum(wb[:, order], axis=1) / wb.sum(axis=1, keepdims=True)
    threshold = held_out[order][np.argmax(below >= NEAR - 1e-9, axis=1)]
    return np.asarray(((synthetic < threshold[:, None]) * wa).sum(axis=1) / wa.sum(axis=1))


def membership_auc(members: np.ndarray, others: np.ndarray, wa: np.ndarray, wb: np.ndarray) -> np.ndarray:
    """Return the AUC of membership inference by the distance to the nearest synthetic record, ``(draws,)``.

    It is the probability that a training record lies nearer than a held-out one, ties counting half; 0.5 if membership
    cannot be inferred.

    Args:
        members: distance of each training record, ``(n,)``.
        others: the same of held-out records, ``(m,)``.
        wa: bootstrap weights ``(draws, n)``.
        wb: bootstrap weights ``(draws, m)``.
    """
    ranks = np.unique(np.concatenate([members, others]), return_inverse=True)[1]
    levels = int(ranks.max()) + 1
    a, b = np.zeros((len(wa), levels)), np.zeros((len(wb), levels))
    np.add.at(a.T, ranks[: len(members)], wa.T)
    np.add.at(b.T, ranks[len(members) :], wb.T)
    beyond = b.sum(axis=1, keepdims=True) - np.cumsum(b, axis=1)
    return np.asarray((a * (beyond + b / 2)).sum(axis=1) / (a.sum(axis=1) * b.sum(axis=1)))


def assess(real: FeatureCache, synthetic: FeatureCache, train: FeatureCache, settings: Settings) -> Privacy:
    """Look for training records among the synthetic ones.

    By class, copies and near shares are those of the synthetic records of a class, among training records of any class;
    membership is that of the training records of a class. The verdict is on all records.

    Args:
        real: held-out real records.
        synthetic: all that is given out.
        train: all records the generator was trained on.
        settings: most records a side for shares and AUC (the search for copies takes all), draws, confidence, seed.
    """
    pairs, reference = copies.find_copies(synthetic.records, real.records, train.records)
    rng = np.random.default_rng([settings.seed, _SEED])
    some = [np.sort(rng.permutation(len(side))[: settings.most]) for side in (synthetic, real, train)]
    frames = {
        "synthetic": _distances(synthetic, some[0], training=train),
        "held-out": _distances(real, some[1], training=train, synthetic=synthetic),
        "training": _distances(train, some[2], synthetic=synthetic),
    }
    labelled = all(side.records.labels is not None for side in (synthetic, real, train))
    classes = sorted({label for frame in frames.values() for label in frame["label"]}) if labelled else []
    rows = []
    for label in (ALL, *classes):
        own = {what: _of(frame, label) for what, frame in frames.items()}
        found = copies.copy_rows(_of(pairs, label), _of(reference, label))
        for space in SPACES:
            found += _shares(space, own, settings)
        rows += [{"class": label, **row} for row in found]
    table = pd.DataFrame(rows).assign(direction="lower", unit="")
    verdict, reason = judged(table)
    table = table.assign(verdict=verdict, reason=reason).reindex(columns=list(TABLE_COLUMNS))
    pairs_table = copies.pairs_table(pairs, synthetic.records, train.records)
    return Privacy(table.astype({"value": float, "floor": float}), pairs_table)


def _of(frame: pd.DataFrame, label: str) -> pd.DataFrame:
    return frame if label == ALL else frame[frame["label"] == label]


def _distances(cache: FeatureCache, rows: np.ndarray, **others: FeatureCache) -> pd.DataFrame:
    """Return label, patient and distance to the nearest record of each other set, in each space, of chosen records."""
    records = cache.records.view(rows)
    patients = rows if records.patients is None else records.patients
    found = {"label": copies.labels_or_all(records), "patient": patients}
    for what, other in others.items():
        a, b = (side.feature("kernel components", own) for side, own in ((cache, rows), (other, np.arange(len(other)))))
        found[f"{what} by signal"] = signals.nearest_distance(records, other.records)
        found[f"{what} by features"] = distances.nearest_neighbours(a, b, 1)[1][:, 0]
    return pd.DataFrame(found)


def _shares(space: str, own: dict[str, pd.DataFrame], settings: Settings) -> list[dict[str, Any]]:
    """Return the rows of near share and membership AUC in one space."""
    rows = []
    for name, function, of, to in (
        (NEAR_SHARE, near_share, "synthetic", "training"),
        (AUC, membership_auc, "training", "synthetic"),
    ):
        sides = own[of], own["held-out"]
        n, needed = min(len(side) for side in sides), f"needs {FEWEST} held-out and {FEWEST} {of} records"
        row = {"measure": f"{name}_{space}", "n": n}
        if n < FEWEST:
            rows.append({**row, "note": f"{needed}, has {len(sides[1])} and {len(sides[0])}"})
            continue
        weights = [
            bootstrap_weights(
                len(side),
                side["patient"].to_numpy(),
                settings.draws,
                np.random.default_rng([settings.seed, _SEED, place]),
            )
            for place, side in enumerate(sides)
        ]
        values = function(*(side[f"{to} by {space}"].to_numpy() for side in sides), *weights)
        value, low, high = bootstrap_interval(
            values, settings.confidence, (0.0, 1.0), n if name == NEAR_SHARE else None
        )
        floor = expected_near_share(len(sides[1])) if name == NEAR_SHARE else 0.5
        rows.append({**row, "value": value, "low": low, "high": high, "floor": floor, "note": ""})
    return rows


def expected_near_share(held_out: int) -> float:
    """Return the expected near share of records that are no nearer to training than so many held-out ones.

    The threshold is the k-th smallest of m distances, and one more falls below it with probability k / (m + 1): with
    few held-out records that is more than :data:`NEAR`.
    """
    return math.ceil(NEAR * held_out - 1e-9) / (held_out + 1)


def _above(pooled: pd.DataFrame) -> dict[str, list[str]]:
    """Return, by space, which of near share and AUC lie above what is expected, with their intervals."""
    rows = pooled.reindex(columns=["low", "floor"])
    above = rows["low"] > rows["floor"]
    return {space: [name for name in (NEAR_SHARE, AUC) if above[f"{name}_{space}"]] for space in SPACES}


def judged(table: pd.DataFrame) -> tuple[str, str]:
    """Return the plain verdict and what it rests on.

    Args:
        table: what was found of a generator's samples, a row a class and measure with value, low, floor and note.
    """
    pooled = table[table["class"] == ALL].set_index("measure")
    values = pooled["value"].astype(float)
    exact, near = (int(values[f"{kind}_copies"]) for kind in ("exact", "near"))
    if exact or near:
        return COPIES, f"{exact} exact and {near} near copies of training records were found"
    above = _above(pooled)
    if memorised := [f"by {space}" for space, names in above.items() if len(names) == 2]:
        return MEMORISES, (
            "more synthetic records than expected lie nearer to training records than 99 % of the held-out ones do, "
            "and training records tend to be nearer to synthetic ones than held-out ones are "
            f"({' and '.join(memorised)})"
        )
    rows = pooled.loc[[f"{name}_{space}" for space in SPACES for name in (NEAR_SHARE, AUC)]]
    if len(notes := rows.loc[rows["value"].isna(), "note"].unique()):
        return CANNOT_TELL, f"no copy was found, but records are too few to compare distances: {'; '.join(notes)}"
    if signs := [f"{_NAMES[name]} by {space}" for space, names in above.items() for name in names]:
        return NO_SIGN, (
            f"no copy was found, but the {' and the '.join(signs)} {'is' if len(signs) == 1 else 'are'} above what is "
            "expected without memorisation; memorisation takes both measures by the same distance"
        )
    return NO_SIGN, (
        "no copy was found, and near share and membership AUC, by signal and by features, are not shown to be above "
        "what is expected without memorisation"
    )
