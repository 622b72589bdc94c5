"""Has the generator learnt its training records by heart?

Held-out records are the yardstick: they lie as far from the training records as records of other patients do. A
generator that draws synthetic records nearer than that, from whose samples one can tell who was in the training set, or that
gives out training records themselves (shifted, scaled or with leads turned over), is called out with the pairs to look at.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import scipy.fft

from ecgpipe.closeness import distances, signals
from ecgpipe.closeness.comparison import Settings
from ecgpipe.closeness.measures import Source
from ecgpipe.closeness.names import ALL, CANNOT_TELL, COPIES, MEMORISES, NO_SIGN
from ecgpipe.closeness.records import Records
from ecgpipe.closeness.resampling import bootstrap_weights, interval

NEAR = 0.01
"""A synthetic record is near if it is nearer to the training records than this share of the held-out ones is."""

FEWEST = 20
"""Fewest held-out and synthetic records for shares and AUC."""

EXACT_MV = 0.001
SIMILAR = 0.95
"""A copy resembles its training record at least so much, and more than any held-out record resembles one."""

CANDIDATES = 3
SHOWN = 100
_SKETCH = 32
_SEED = 20241129

SPACES = ("signal", "features")
"""What distances are measured in: the samples, and the projected random-kernel features."""

NEAR_SHARE, AUC = "near_share", "membership_auc"

TABLE_COLUMNS = (
    *("class", "measure", "value", "low", "high", "floor", "direction", "unit", "n", "note", "verdict", "reason"),
)
PAIR_COLUMNS = ("synthetic", "training", "kind", "similarity", "shift", "distance")


@dataclass(frozen=True)
class Privacy:
    """What was found.

    Attributes:
        table: a row a class (and ``all``) and measure, columns :data:`TABLE_COLUMNS`; verdict and its reason, which are
            on all records, stand in every row.
        pairs: synthetic and training records to look at, most alike first, columns :data:`PAIR_COLUMNS` (shift in s,
            distance as root mean square in mV).
    """

    table: pd.DataFrame
    pairs: pd.DataFrame


def similarity(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Say how alike records are when one may be shifted by up to half its length, scaled, and its leads turned over.

    Args:
        x: ``(..., leads, length)``.
        y: ``(..., leads, length)``; dimensions before the last two are broadcast.

    Returns:
        Similarity from 0 to 1 and the shift in samples at which it is reached, both ``(...)``: the absolute correlation
        of each lead over the overlap, leads weighted by their energy there.
    """
    length = x.shape[-1]
    reach = length // 2
    size = scipy.fft.next_fast_len(length + reach, real=True)
    x, y = (a - a.mean(axis=-1, keepdims=True) for a in (x, y))
    product = np.conj(scipy.fft.rfft(x, size)) * scipy.fft.rfft(y, size)
    cross = scipy.fft.irfft(product, size)
    covariance = np.abs(cross[..., -reach:]).sum(axis=-2), np.abs(cross[..., : reach + 1]).sum(axis=-2)
    # At shift s sample t of x meets sample t + s of y: of one record the last samples overlap, of the other the first.
    last_x, last_y = (_size_of_the_last(a, reach) for a in (x, y))
    first_x, first_y = (_size_of_the_last(a[..., ::-1], reach) for a in (x, y))
    scale = np.concatenate(
        [
            np.einsum("...lt,...lt->...t", last_x, first_y)[..., :0:-1],
            np.einsum("...lt,...lt->...t", first_x, last_y),
        ],
        axis=-1,
    )
    found = np.divide(np.concatenate(covariance, axis=-1), scale, out=np.zeros_like(scale), where=scale > 1e-9)
    best = found.argmax(axis=-1)
    return np.minimum(np.take_along_axis(found, best[..., None], axis=-1)[..., 0], 1.0), best - reach


def _size_of_the_last(x: np.ndarray, reach: int) -> np.ndarray:
    """Return the root of the sum of squares without the first 0 to ``reach`` samples: ``(..., length)`` to ``(..., reach + 1)``."""
    sums = np.cumsum(np.square(x[..., ::-1]), axis=-1)
    return np.asarray(np.sqrt(sums[..., ::-1][..., : reach + 1]))


def _sketches(records: Records) -> tuple[np.ndarray, np.ndarray]:
    """Return two short forms of each record: one of its signals, and one that shift, scale and sign do not change."""
    rng = np.random.default_rng(_SEED)
    _, leads, length = records.signals.shape

    def project(values: np.ndarray) -> np.ndarray:
        return np.asarray(values.reshape(len(values), -1) @ directions)

    directions = rng.standard_normal((leads * length, _SKETCH)) / np.sqrt(_SKETCH)
    plain = signals.in_blocks(project, records.signals)
    lags = signals.autocorrelation(records.signals[:1], records.rate).shape[2]
    directions = rng.standard_normal((leads * lags, _SKETCH)) / np.sqrt(_SKETCH)
    invariant = signals.in_blocks(lambda x: project(signals.autocorrelation(x, records.rate)), records.signals)
    return plain, invariant


_ALIKE = 8
"""Records that are compared with their candidates at a time."""


def _most_alike(records: Records, train: Records, sketches: tuple[np.ndarray, np.ndarray]) -> pd.DataFrame:
    """Find for each record the training record most like it, among the nearest by either short form."""
    k = min(CANDIDATES, len(train))
    own = _sketches(records)
    candidates = np.concatenate([distances.nearest(a, b, k)[0] for a, b in zip(own, sketches, strict=True)], axis=1)
    rows: list[tuple[int, int, float, int, float]] = []
    for start in range(0, len(records), _ALIKE):
        chosen = np.arange(start, min(start + _ALIKE, len(records)))
        theirs = candidates[chosen]
        x = np.asarray(records.signals[chosen], dtype=np.float32)[:, None]
        y = np.asarray(train.signals[theirs.ravel()], dtype=np.float32).reshape(*theirs.shape, *x.shape[2:])
        alike, shift = similarity(x, y)
        best = np.arange(len(chosen)), alike.argmax(axis=1)
        rms = np.sqrt(np.mean((x[:, 0] - y[best]) ** 2, axis=(1, 2)))
        rows += zip(chosen, theirs[best], alike[best], shift[best], rms, strict=True)
    found = pd.DataFrame(rows, columns=["row", "training", "similarity", "shift", "distance"])
    return found.assign(label=_labels(records))


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
    """Return the AUC of telling training from held-out records by their distance to the nearest synthetic one, ``(draws,)``.

    The chance that a training record lies nearer than a held-out one, ties counting half; 0.5 gives nobody away.
    """
    ranks = np.unique(np.concatenate([members, others]), return_inverse=True)[1]
    levels = int(ranks.max()) + 1
    a, b = np.zeros((len(wa), levels)), np.zeros((len(wb), levels))
    np.add.at(a.T, ranks[: len(members)], wa.T)
    np.add.at(b.T, ranks[len(members) :], wb.T)
    beyond = b.sum(axis=1, keepdims=True) - np.cumsum(b, axis=1)
    return np.asarray((a * (beyond + b / 2)).sum(axis=1) / (a.sum(axis=1) * b.sum(axis=1)))


def assess(real: Source, synthetic: Source, train: Source, settings: Settings) -> Privacy:
    """Look for training records among the synthetic ones.

    By class, copies and shares are those of the synthetic records of a class, among training records of any; membership is
    that of the training records of a class. The verdict is on all records.

    Args:
        real: held-out real records.
        synthetic: all that is given out.
        train: what the generator learnt from, all of it.
        settings: most records a side for shares and AUC (the search for copies takes all), draws, confidence, seed.
    """
    rng = np.random.default_rng([settings.seed, _SEED])
    sketches = _sketches(train.records)
    pairs, yardstick = (_most_alike(source.records, train.records, sketches) for source in (synthetic, real))
    exact = pairs["distance"] <= EXACT_MV
    near = ~exact & (pairs["similarity"] >= SIMILAR) & (pairs["similarity"] > yardstick["similarity"].max())
    pairs["kind"] = np.select([exact, near], ["exact", "near"], "most alike")
    some = [np.sort(rng.permutation(len(source))[: settings.most]) for source in (synthetic, real, train)]
    frames = {
        "synthetic": _distances(synthetic, some[0], training=train),
        "held-out": _distances(real, some[1], training=train, synthetic=synthetic),
        "training": _distances(train, some[2], synthetic=synthetic),
    }
    labelled = all(source.records.labels is not None for source in (synthetic, real, train))
    classes = sorted({label for frame in frames.values() for label in frame["label"]}) if labelled else []
    rows = []
    for label in (ALL, *classes):
        own = {what: _of(frame, label) for what, frame in frames.items()}
        found = _copies(_of(pairs, label), _of(yardstick, label))
        for space in SPACES:
            found += _shares(space, own, settings)
        rows += [{"class": label, **row} for row in found]
    table = pd.DataFrame(rows).assign(direction="lower", unit="")
    pooled = table[table["class"] == ALL].set_index("measure")
    given_away = [space for space in SPACES if _beyond(pooled, space)]
    verdict, reason = _verdict(int(exact.sum()), int(near.sum()), given_away, min(len(real), len(synthetic)))
    table = table.assign(verdict=verdict, reason=reason).reindex(columns=list(TABLE_COLUMNS))
    return Privacy(table.astype({"value": float, "floor": float}), _shown(pairs, synthetic.records, train.records))


def _labels(records: Records) -> np.ndarray:
    return np.full(len(records), ALL) if records.labels is None else records.labels


def _of(frame: pd.DataFrame, label: str) -> pd.DataFrame:
    return frame if label == ALL else frame[frame["label"] == label]


def _distances(source: Source, rows: np.ndarray, **others: Source) -> pd.DataFrame:
    """Return label, patient and distance to the nearest record of each other set, in each space, of some records."""
    records = source.records.view(rows)
    patients = rows if records.patients is None else records.patients
    found = {"label": _labels(records), "patient": patients}
    for what, other in others.items():
        a, b = (s.feature("projected kernels", r) for s, r in ((source, rows), (other, np.arange(len(other)))))
        found[f"{what} by signal"] = signals.nearest_record(records, other.records)
        found[f"{what} by features"] = distances.nearest(a, b, 1)[1][:, 0]
    return pd.DataFrame(found)


def _copies(pairs: pd.DataFrame, yardstick: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of the search for copies."""
    names = ("exact_copies", "near_copies", "largest_similarity")
    if pairs.empty:
        return [{"measure": name, "n": 0, "note": "no synthetic record"} for name in names]
    values = ((pairs["kind"] == "exact").sum(), (pairs["kind"] == "near").sum(), pairs["similarity"].max())
    floors = ((yardstick["distance"] <= EXACT_MV).sum(), 0, yardstick["similarity"].max())
    rows = zip(names, values, floors, strict=True)
    return [
        {"measure": name, "value": value, "floor": floor, "n": len(pairs), "note": ""} for name, value, floor in rows
    ]


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
        value, low, high = interval(values, settings.confidence, (0.0, 1.0), n if name == NEAR_SHARE else None)
        floor = expected_near_share(len(sides[1])) if name == NEAR_SHARE else 0.5
        rows.append({**row, "value": value, "low": low, "high": high, "floor": floor, "note": ""})
    return rows


def expected_near_share(held_out: int) -> float:
    """Return the expected near share of records that are no nearer to training than so many held-out ones.

    The threshold is the k-th smallest of m distances, and one more falls below it with a chance of k / (m + 1): with few held-out
    records more than :data:`NEAR`.
    """
    return math.ceil(NEAR * held_out - 1e-9) / (held_out + 1)


def _beyond(pooled: pd.DataFrame, space: str) -> bool:
    """Say whether near share and AUC in one space both lie above what is expected, with their intervals."""
    rows = pooled.loc[[f"{NEAR_SHARE}_{space}", f"{AUC}_{space}"]].reindex(columns=["low", "floor"])
    return bool((rows["low"] > rows["floor"]).all())


def _verdict(exact: int, near: int, given_away: list[str], fewest: int) -> tuple[str, str]:
    """Return the plain verdict and what it rests on."""
    if exact or near:
        return COPIES, f"{exact} exact and {near} near copies of training records were found"
    if given_away:
        return MEMORISES, (
            "synthetic records lie nearer to training records than held-out ones do, and tell who was in the training set "
            f"(by {' and by '.join(given_away)})"
        )
    if fewest < FEWEST:
        return CANNOT_TELL, f"no copy was found, but {fewest} records are too few to compare distances"
    return NO_SIGN, "no copy was found, and distances to the training records are those of held-out records or beyond"


def _shown(pairs: pd.DataFrame, synthetic: Records, train: Records) -> pd.DataFrame:
    """Return all copies, at least the five pairs most alike, at most a hundred."""
    ordered = pairs.sort_values(["similarity", "row"], ascending=[False, True])
    shown = ordered.iloc[: min(SHOWN, max(5, int((pairs["kind"] != "most alike").sum())))]
    return pd.DataFrame(
        {
            "synthetic": [synthetic.name(row) for row in shown["row"]],
            "training": [train.name(row) for row in shown["training"]],
            "kind": shown["kind"].to_numpy(),
            "similarity": shown["similarity"].to_numpy(),
            "shift": shown["shift"].to_numpy() / train.rate,
            "distance": shown["distance"].to_numpy(dtype=float),
        },
        columns=list(PAIR_COLUMNS),
    )
