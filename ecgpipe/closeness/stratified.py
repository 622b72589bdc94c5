"""Stratified samples: as many records of each class from every side, and halves that keep patients together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ecgpipe.closeness.feature_cache import Sample
from ecgpipe.closeness.records import Records
from ecgpipe.vocabulary import ALL


def split_halves(records: Records, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Split the rows at random into halves, grouped by patient and as nearly stratified by class as that allows."""
    patients = np.arange(len(records)) if records.patients is None else records.patients
    labels = np.zeros(len(records), dtype=np.int64) if records.labels is None else records.labels
    order = rng.permutation(len(records))
    in_second, counts = {}, dict[Any, int]()
    for row in order:
        if patients[row] not in in_second:
            counts[labels[row]] = counts.get(labels[row], 0) + 1
            in_second[patients[row]] = counts[labels[row]] % 2 == 0
    second = np.array([in_second[p] for p in patients])
    return np.flatnonzero(~second), np.flatnonzero(second)


def rows_by_class(records: Records) -> dict[str, np.ndarray]:
    """Return the rows of each class; of all records under ``all`` if labels are not known."""
    if records.labels is None:
        return {ALL: np.arange(len(records))}
    return {str(label): np.flatnonzero(records.labels == label) for label in sorted(set(records.labels))}


def _capped(counts: dict[str, int], most: int) -> dict[str, int]:
    """Cut the largest classes down to one size, so that no more than ``most`` records are left."""
    level = max(counts.values(), default=0)
    while sum(min(n, level) for n in counts.values()) > most and level > 1:
        level -= 1
    return {label: min(n, level) for label, n in counts.items()}


def draw_by_class(records: Records, most: int, rng: np.random.Generator) -> np.ndarray:
    """Draw at most so many records, the largest classes cut down to one size; return their rows in order."""
    rows = rows_by_class(records)
    counts = _capped({label: len(own) for label, own in rows.items()}, most)
    return np.sort(np.concatenate([rng.permutation(rows[label])[:n] for label, n in counts.items()]))


@dataclass(frozen=True)
class StratifiedSamples:
    """Three samples with equally many records of each class, in the order of the classes.

    Attributes:
        real: held-out real records.
        synthetic: what is judged.
        other: other real records, for the floor.
    """

    real: Sample
    synthetic: Sample
    other: Sample

    @classmethod
    def draw(cls, whole: Sequence[Sample], most: int, rng: np.random.Generator) -> StratifiedSamples:
        """Draw at most ``most`` records a side from the three sets, of the classes that all three have."""
        sides = [rows_by_class(sample.records) for sample in whole]
        counts = {c: min(len(side[c]) for side in sides) for c in sides[0] if all(c in side for side in sides)}
        counts = _capped(counts, most)
        samples = []
        for sample, rows in zip(whole, sides, strict=True):
            chosen = [np.sort(rng.permutation(rows[label])[:n]) for label, n in counts.items()]
            samples.append(sample.take(np.concatenate([np.empty(0, dtype=np.int64), *chosen])))
        return cls(*samples)

    def of(self, label: str) -> StratifiedSamples:
        """Return the records of one class."""
        rows = np.flatnonzero(self.real.records.labels == label)
        return StratifiedSamples(self.real.take(rows), self.synthetic.take(rows), self.other.take(rows))

    def __len__(self) -> int:
        return len(self.real)
