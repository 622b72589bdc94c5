"""How close are synthetic ECGs to real ones? One table of all measures, with intervals and floors.

``real`` are held-out records, the yardstick: neither generator nor classifier has seen them. ``train`` are the records the
generator learnt from. Synthetic and training records are compared with the held-out ones at the same size, class by
class: what training records reach is the floor, below which no difference says anything. Without ``train`` the floor
compares two halves of ``real``. Pooled rows take as many records of each class from every side, so that they speak of the
signals; the mix of the classes is a measure of its own.

>>> table = evaluate(real, synthetic, rate=100.0)  # doctest: +SKIP
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd
from tqdm import tqdm

from ecgpipe.closeness.kernels import Judge
from ecgpipe.closeness.measures import MEASURES, SHARE, Maps, Measure, NotComputed, Pair, Sample, Source
from ecgpipe.closeness.names import ALL, CLASS_MIX
from ecgpipe.closeness.records import Records, require_same_form
from ecgpipe.closeness.resampling import bootstrap_weights, interval

log = logging.getLogger(__name__)

COLUMNS = (
    *("class", "measure", "lead", "value", "low", "high", "floor", "floor_low", "floor_high"),
    *("direction", "unit", "n", "p_value", "note"),
)

_SPLIT, _CHOICE, _BOOTSTRAP, _MIX = range(4)


@dataclass(frozen=True)
class Settings:
    """How thoroughly to compare.

    Attributes:
        level: ``quick`` or ``full`` set of measures.
        most: most records a side.
        draws: bootstrap draws behind each interval.
        confidence: level of the intervals.
        seed: of the choice of records, bootstrap, permutations and two-sample tests.
    """

    level: Literal["quick", "full"] = "quick"
    most: int = 2000
    draws: int = 200
    confidence: float = 0.95
    seed: int = 0

    def measures(self) -> dict[str, Measure]:
        """Return the measures of the level."""
        return {name: m for name, m in MEASURES.items() if self.level == "full" or m.level == "quick"}


def halves(records: Records, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Divide the rows at random, each patient's records together, class by class as evenly as they go."""
    patients = np.arange(len(records)) if records.patients is None else records.patients
    labels = np.zeros(len(records), dtype=np.int64) if records.labels is None else records.labels
    order = rng.permutation(len(records))
    first, counts = {}, dict[Any, int]()
    for row in order:
        if patients[row] not in first:
            counts[labels[row]] = counts.get(labels[row], 0) + 1
            first[patients[row]] = counts[labels[row]] % 2 == 0
    chosen = np.array([first[p] for p in patients])
    return np.flatnonzero(~chosen), np.flatnonzero(chosen)


def by_class(records: Records) -> dict[str, np.ndarray]:
    """Return the rows of each class; of all records under ``all`` if labels are not known."""
    if records.labels is None:
        return {ALL: np.arange(len(records))}
    return {str(label): np.flatnonzero(records.labels == label) for label in sorted(set(records.labels))}


def _water_level(counts: dict[str, int], most: int) -> dict[str, int]:
    """Cut the largest classes down to one size, so that no more than ``most`` records are left."""
    level = max(counts.values(), default=0)
    while sum(min(n, level) for n in counts.values()) > most and level > 1:
        level -= 1
    return {label: min(n, level) for label, n in counts.items()}


def some_of_each_class(records: Records, most: int, rng: np.random.Generator) -> np.ndarray:
    """Return the rows of at most so many records, in order, the largest classes cut down to one size."""
    rows = by_class(records)
    counts = _water_level({label: len(own) for label, own in rows.items()}, most)
    return np.sort(np.concatenate([rng.permutation(rows[label])[:n] for label, n in counts.items()]))


@dataclass(frozen=True)
class _Design:
    """Three samples with as many records of each class, in the order of the classes."""

    real: Sample
    synthetic: Sample
    other: Sample

    @classmethod
    def choose(cls, whole: Sequence[Sample], most: int, rng: np.random.Generator) -> _Design:
        sides = [by_class(sample.records) for sample in whole]
        counts = {c: min(len(side[c]) for side in sides) for c in sides[0] if all(c in side for side in sides)}
        counts = _water_level(counts, most)
        samples = []
        for sample, rows in zip(whole, sides, strict=True):
            chosen = [np.sort(rng.permutation(rows[label])[:n]) for label, n in counts.items()]
            samples.append(sample.take(np.concatenate([np.empty(0, dtype=np.int64), *chosen])))
        return cls(*samples)

    def of(self, label: str) -> _Design:
        """Return the records of one class."""
        rows = np.flatnonzero(self.real.records.labels == label)
        return _Design(self.real.take(rows), self.synthetic.take(rows), self.other.take(rows))

    def __len__(self) -> int:
        return len(self.real)


class _Group:
    """One design with its weights and pairs, shared by all measures."""

    def __init__(self, design: _Design, settings: Settings) -> None:
        self.n = len(design)
        self._design = design
        self._settings = settings
        self.against = Pair(design.real, design.synthetic, settings.seed)
        self.floor = Pair(design.real, design.other, settings.seed)

    @cached_property
    def _weights(self) -> list[np.ndarray]:
        design, settings = self._design, self._settings
        return [
            bootstrap_weights(
                self.n, side.records.patients, settings.draws, np.random.default_rng([settings.seed, _BOOTSTRAP, place])
            )
            for place, side in enumerate((design.real, design.synthetic, design.other))
        ]

    def weights(self, pair: Pair) -> tuple[np.ndarray, np.ndarray]:
        """Return the weights of both sides of one of the two pairs."""
        real, synthetic, other = self._weights
        return real, synthetic if pair is self.against else other

    @cached_property
    def _patients(self) -> int:
        """Patients of the side that has the fewest."""
        sides = (side.records.patients for side in (self._design.real, self._design.synthetic, self._design.other))
        return min((len(set(patients)) for patients in sides if patients is not None), default=self.n)

    def interval(self, values: np.ndarray, measure: Measure) -> tuple[float, float, float]:
        """Return value and interval from a measure's values ``(1 + draws,)``."""
        n = self._patients if measure.bounds == SHARE else None
        return interval(values, self._settings.confidence, measure.bounds, n)


Floors = dict[tuple[str, bytes, bytes], np.ndarray]
"""Values of a measure on real records alone, by its name and the rows of both sides: equal for many synthetic sets."""


def _rows(
    name: str, measure: Measure, label: str, group: _Group, floors: Floors, settings: Settings
) -> Iterator[dict[str, Any]]:
    """Yield the rows of one measure and class: of all leads, then of each."""
    base = {"class": label, "measure": name, "direction": measure.better, "unit": measure.unit, "n": group.n}
    if group.n < measure.smallest:
        note = f"needs {measure.smallest} records a side, has {group.n}"
        yield {**base, "lead": ALL, "note": note}
        return
    try:
        found = [_values(measure, group, group.against)]
        key = (name, group.floor.a.rows.tobytes(), group.floor.b.rows.tobytes())
        if key not in floors:
            floors[key] = _values(measure, group, group.floor)
        found.append(floors[key])
        p_value = measure.p_value(group.against) if measure.p_value else float("nan")
    except NotComputed as error:
        yield {**base, "lead": ALL, "note": str(error)}
        return
    for place, lead in enumerate((ALL, *group.against.a.records.leads) if measure.by_lead else (ALL,)):
        (value, low, high), (floor, floor_low, floor_high) = (
            group.interval(values[:, place], measure) for values in found
        )
        yield {
            **base,
            "lead": lead,
            "value": value,
            "low": low,
            "high": high,
            "floor": floor,
            "floor_low": floor_low,
            "floor_high": floor_high,
            "p_value": p_value if lead == ALL else float("nan"),
            "note": "",
        }


def _values(measure: Measure, group: _Group, pair: Pair) -> np.ndarray:
    """Return a measure of all draws, ``(1 + draws, 1 or 1 + leads)``."""
    values = measure.statistic(pair)(*group.weights(pair))
    return values if values.ndim == 2 else values[:, None]


def _class_mix(real: Records, synthetic: Records, other: Records, settings: Settings) -> dict[str, Any]:
    """Compare the classes' shares: half the sum of absolute differences (total variation)."""
    base: dict[str, Any] = {"class": ALL, "measure": CLASS_MIX, "lead": ALL, "direction": "floor", "unit": ""}
    base["n"] = min(len(real), len(synthetic))
    sides = [records.labels for records in (real, synthetic, other) if records.labels is not None]
    if len(sides) < 3:
        return {**base, "note": "labels are not known"}
    names = sorted({label for labels in sides for label in labels})
    rng = np.random.default_rng([settings.seed, _MIX])
    shares = []
    for labels in sides:
        share = np.array([np.mean(labels == name) for name in names])
        draws = rng.multinomial(len(labels), share, settings.draws) / len(labels)
        shares.append(np.vstack([share, draws]))
    against, floor = (
        interval(np.abs(shares[0] - other_side).sum(axis=1) / 2, settings.confidence, (0.0, 1.0))
        for other_side in shares[1:]
    )
    keys = ("value", "low", "high", "floor", "floor_low", "floor_high")
    return {**base, "note": "", **dict(zip(keys, (*against, *floor), strict=True))}


def _absent(label: str, sides: dict[str, Records]) -> str:
    """Say on which sides a class is missing; "" if on none."""
    missing = [what for what, records in sides.items() if label not in by_class(records)]
    return f"no {' and no '.join(missing)} record of {label}" if missing else ""


class Yardstick:
    """Held-out real records and the other real ones that floors are made of, to judge many synthetic sets by.

    What was computed from a real record, and every floor, serves all sets.

    Args:
        real: held-out real records.
        train: real records the generator was trained on, for the floor; None: halves of ``real``.
        settings: how thoroughly.

    Raises:
        ValueError: if the sets differ in rate, leads or length, or one of them is empty.
    """

    def __init__(self, real: Source, train: Source | None, settings: Settings) -> None:
        self.settings = settings
        self.real = real
        self.train = train
        _require_some("real", real.records, real.records)
        if train is not None:
            _require_some("training", train.records, real.records)
        rng = np.random.default_rng([settings.seed, _SPLIT])
        self._halves = [Sample(real, rows) for rows in halves(real.records, rng)]
        self._floors: Floors = {}

    def compare(self, synthetic: Source, only: Sequence[str] | None = None) -> pd.DataFrame:
        """Compare a synthetic set, with labels if the real ones have some, by every measure of the level.

        Args:
            synthetic: what is judged.
            only: names of the measures wanted; None: all of the level.

        Returns:
            The table of :func:`evaluate`.
        """
        real, settings = self.real.records, self.settings
        _require_some("synthetic", synthetic.records, real)
        measures = {n: m for n, m in settings.measures().items() if only is None or n in only}
        designs = {h: self._design(synthetic, h) for h in {self._halved(m) for m in measures.values()}}
        sides = {"real": real, "synthetic": synthetic.records}
        other = self._halves[1].records
        if self.train is not None:
            sides["training"] = other = self.train.records
        classes = [] if real.labels is None else sorted({*by_class(real), *by_class(synthetic.records)})
        absent = {label: _absent(label, sides) for label in classes}
        rows: list[dict[str, Any]] = []
        for label in tqdm([ALL, *classes], desc="closeness", unit="class", disable=None):
            groups = {h: _Group(d if label == ALL else d.of(label), settings) for h, d in designs.items()}
            for name, measure in measures.items():
                if label != ALL and not measure.per_class:
                    continue
                found = list(_rows(name, measure, label, groups[self._halved(measure)], self._floors, settings))
                if label == ALL:
                    note = "; ".join(filter(None, absent.values()))
                    found = [{**row, "note": "; ".join(filter(None, (row["note"], note)))} for row in found]
                elif absent[label]:
                    found = [{**row, "note": absent[label]} for row in found]
                rows += found
        if only is None or CLASS_MIX in only:
            rows.append(_class_mix(real, synthetic.records, other, settings))
        return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"value": float, "p_value": float})

    def _halved(self, measure: Measure) -> bool:
        """Say whether the measure's floor compares halves of the held-out records."""
        return self.train is None or (measure.halves and self.real.maps.judge is not None)

    def _design(self, synthetic: Source, halved: bool) -> _Design:
        real, other = self._halves
        if self.train is not None and not halved:
            real, other = _whole(self.real), _whole(self.train)
        rng = np.random.default_rng([self.settings.seed, _CHOICE])
        return _Design.choose([real, _whole(synthetic), other], self.settings.most, rng)


def _whole(source: Source) -> Sample:
    return Sample(source, np.arange(len(source)))


def _require_some(what: str, records: Records, real: Records) -> None:
    """Refuse a set that is empty or of another form than the real one."""
    if len(records) < 2:
        raise ValueError(f"there are {len(records)} {what} records: at least 2 are needed")
    require_same_form(real, records, f"real and {what} records")


def _records(given: Records | np.ndarray, rate: float | None, labels: Sequence[str] | None) -> Records:
    """Return records as they are, and an array with its rate and labels as records."""
    if isinstance(given, Records):
        if rate is not None or labels is not None:
            raise ValueError("Records have rate and labels of their own: give these with arrays only")
        return given
    if rate is None:
        raise ValueError("an array does not say its sampling rate: give rate=… in Hz")
    return Records(np.asarray(given), rate, None if labels is None else np.asarray(labels, dtype=object))


def evaluate(
    real: Records | np.ndarray,
    synthetic: Records | np.ndarray,
    *,
    train: Records | np.ndarray | None = None,
    rate: float | None = None,
    labels: Sequence[Sequence[str]] | None = None,
    judge: Judge | None = None,
    settings: Settings | None = None,
    maps: Maps | None = None,
    only: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Compare synthetic with held-out real records by every measure of the level.

    Args:
        real: held-out real records; or their signals ``(n, 12, length)`` in mV, leads in the order of :data:`ecgpipe.leads.LEADS`.
        synthetic: what is judged, in the same form.
        train: real records the generator was trained on, for the floor; None: halves of ``real``.
        rate: sampling rate of arrays, Hz.
        labels: class names of the records of arrays, for rows by class: those of real, synthetic and, if given, training records.
        judge: the real-trained classifier; None leaves its measures missing.
        settings: how thoroughly.
        maps: feature maps of an earlier call (:meth:`Maps.fit`); None fits them on ``train`` or else ``real``.
        only: names of the measures wanted; None: all of the level.

    Returns:
        A row a class (and ``all``), measure and lead (and ``all``), columns :data:`COLUMNS`: value with interval, floor with interval,
        which way is better, unit, records a side, p-value, and why a value is missing.

    Raises:
        ValueError: if the sets differ in rate, leads or length, one of them is empty, or rate or labels do not fit them.
    """
    given = [real, synthetic] if train is None else [real, synthetic, train]
    if labels is not None and len(labels) != len(given):
        raise ValueError(f"there are {len(given)} sets and labels of {len(labels)}: give those of every set, or none")
    labelled: Sequence[Sequence[str] | None] = [None] * len(given) if labels is None else labels
    sets = [_records(one, rate, own) for one, own in zip(given, labelled, strict=True)]
    held_out, judged, learnt = sources(sets[0], sets[1], None if train is None else sets[2], judge, maps)
    return Yardstick(held_out, learnt, settings or Settings()).compare(judged, only)


def sources(
    real: Records, synthetic: Records, train: Records | None, judge: Judge | None = None, maps: Maps | None = None
) -> tuple[Source, Source, Source | None]:
    """Return real, synthetic and training records with their feature maps; without labels unless all have some.

    Args:
        real: held-out real records.
        synthetic: what is judged.
        train: real records the generator was trained on, if they are known.
        judge: the real-trained classifier.
        maps: of an earlier call; None fits them on ``train`` or else ``real``.

    Raises:
        ValueError: if the sets differ in rate, leads or length, or one of them is empty.
    """
    if any(records.labels is None for records in (real, synthetic, train) if records is not None):
        real, synthetic = (replace(records, labels=None, checked=True) for records in (real, synthetic))
        train = None if train is None else replace(train, labels=None, checked=True)
    for what, records in (("real", real), ("synthetic", synthetic)):
        _require_some(what, records, real)
    maps = maps or Maps.fit(real if train is None else train, judge)
    return Source(real, maps), Source(synthetic, maps), None if train is None else Source(train, maps)
