"""The search for copies: which training record is each synthetic record most like, and is it a copy of it?

A copy may be shifted by up to half its length, scaled, and its leads inverted. Candidates are the nearest neighbours
by two random projections of each record: of its signals, and of its autocorrelation, which shift, scale and sign do not
change. The candidates are then compared at every shift.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import scipy.fft

from ecgpipe.closeness import distances, signals
from ecgpipe.closeness.records import Records
from ecgpipe.vocabulary import ALL

EXACT_MV = 0.001
"""Largest root mean square difference of an exact copy."""

SIMILAR = 0.95
"""Least similarity of a near copy; it is also above that of every held-out record."""

CANDIDATES = 3
"""Nearest neighbours by each projection that a record is compared with."""

SHOWN = 100
"""Most pairs in the table of pairs."""

_SKETCH = 32
"""Dimensions of each random projection."""

_SKETCH_SEED = 20241129

_COMPARED = 8
"""Records that are compared with their candidates at a time."""

PAIR_COLUMNS = ("synthetic", "training", "kind", "similarity", "shift", "distance")


def find_copies(synthetic: Records, held_out: Records, train: Records) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Find the training record most similar to each synthetic record, and to each held-out one to compare with.

    Returns:
        The pairs of synthetic and of held-out records, a row a record: row, training (row there), similarity, shift
        (samples), distance (root mean square, mV), label. Synthetic ones also have ``kind``: ``exact`` or ``near`` for
        copies, else ``most alike``.
    """
    sketches = _sketches(train)
    pairs, reference = (_most_similar(records, train, sketches) for records in (synthetic, held_out))
    exact = pairs["distance"] <= EXACT_MV
    near = ~exact & (pairs["similarity"] >= SIMILAR) & (pairs["similarity"] > reference["similarity"].max())
    return pairs.assign(kind=np.select([exact, near], ["exact", "near"], "most alike")), reference


def similarity(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the similarity of records when one may be shifted by up to half its length, scaled, and leads inverted.

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
    last_x, last_y = (_norms_of_tails(a, reach) for a in (x, y))
    first_x, first_y = (_norms_of_tails(a[..., ::-1], reach) for a in (x, y))
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


def _norms_of_tails(x: np.ndarray, reach: int) -> np.ndarray:
    """Return the norms without the first 0 to ``reach`` samples: ``(..., length)`` to ``(..., reach + 1)``."""
    sums = np.cumsum(np.square(x[..., ::-1]), axis=-1)
    return np.asarray(np.sqrt(sums[..., ::-1][..., : reach + 1]))


def _sketches(records: Records) -> tuple[np.ndarray, np.ndarray]:
    """Return random projections of each record: of its signals, and of its autocorrelation, both ``(n, 32)``.

    Shift, scale and sign do not change the second one.
    """
    rng = np.random.default_rng(_SKETCH_SEED)
    _, leads, length = records.signals.shape

    def project(values: np.ndarray) -> np.ndarray:
        return np.asarray(values.reshape(len(values), -1) @ directions)

    directions = rng.standard_normal((leads * length, _SKETCH)) / np.sqrt(_SKETCH)
    plain = signals.in_blocks(project, records.signals)
    lags = signals.autocorrelation(records.signals[:1], records.rate).shape[2]
    directions = rng.standard_normal((leads * lags, _SKETCH)) / np.sqrt(_SKETCH)
    invariant = signals.in_blocks(lambda x: project(signals.autocorrelation(x, records.rate)), records.signals)
    return plain, invariant


def _most_similar(records: Records, train: Records, train_sketches: tuple[np.ndarray, np.ndarray]) -> pd.DataFrame:
    """Find the training record most similar to each record, among its nearest neighbours by either projection."""
    k = min(CANDIDATES, len(train))
    own = _sketches(records)
    neighbours = [distances.nearest_neighbours(a, b, k)[0] for a, b in zip(own, train_sketches, strict=True)]
    candidates = np.concatenate(neighbours, axis=1)
    rows: list[tuple[int, int, float, int, float]] = []
    for start in range(0, len(records), _COMPARED):
        chosen = np.arange(start, min(start + _COMPARED, len(records)))
        theirs = candidates[chosen]
        x = np.asarray(records.signals[chosen], dtype=np.float32)[:, None]
        y = np.asarray(train.signals[theirs.ravel()], dtype=np.float32).reshape(*theirs.shape, *x.shape[2:])
        similar, shift = similarity(x, y)
        best = np.arange(len(chosen)), similar.argmax(axis=1)
        rms = np.sqrt(np.mean((x[:, 0] - y[best]) ** 2, axis=(1, 2)))
        rows += zip(chosen, theirs[best], similar[best], shift[best], rms, strict=True)
    found = pd.DataFrame(rows, columns=["row", "training", "similarity", "shift", "distance"])
    return found.assign(label=labels_or_all(records))


def labels_or_all(records: Records) -> np.ndarray:
    """Return the class of each record, ``all`` if labels are not known."""
    return np.full(len(records), ALL) if records.labels is None else records.labels


def copy_rows(pairs: pd.DataFrame, held_out: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of the search for copies in the table of privacy: two counts and the largest similarity."""
    names = ("exact_copies", "near_copies", "largest_similarity")
    if pairs.empty:
        return [{"measure": name, "n": 0, "note": "no synthetic record"} for name in names]
    values = ((pairs["kind"] == "exact").sum(), (pairs["kind"] == "near").sum(), pairs["similarity"].max())
    floors = ((held_out["distance"] <= EXACT_MV).sum(), 0, held_out["similarity"].max())
    rows = zip(names, values, floors, strict=True)
    return [
        {"measure": name, "value": value, "floor": floor, "n": len(pairs), "note": ""} for name, value, floor in rows
    ]


def pairs_table(pairs: pd.DataFrame, synthetic: Records, train: Records) -> pd.DataFrame:
    """Return the pairs to look at, columns :data:`PAIR_COLUMNS`: all copies, at least five pairs, at most 100."""
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
