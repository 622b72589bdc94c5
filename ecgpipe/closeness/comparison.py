"""How close are synthetic ECGs to real ones? One table of all measures, with intervals and floors.

``real`` are held-out records, which neither generator nor classifier learned from: the reference. ``train`` are the
records the generator was trained on. Synthetic and training records are compared with the held-out ones at the same
size, class by class. The value that training records reach is the floor; a difference below it means nothing. Without
``train`` the floor compares two halves of ``real``. Pooled rows are stratified: every side has as many records of each
class, so that they speak of the signals. The mix of the classes is a measure of its own.

>>> table = evaluate(real, synthetic, rate=100.0)  # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from ecgpipe.closeness.feature_cache import FeatureCache, Sample
from ecgpipe.closeness.feature_maps import FeatureMaps, Judge
from ecgpipe.closeness.groups import Floors, Group, absent, class_mix
from ecgpipe.closeness.measures import Measure
from ecgpipe.closeness.names import CLASS_MIX
from ecgpipe.closeness.records import Records, require_same_form
from ecgpipe.closeness.settings import CHOICE_STREAM, SPLIT_STREAM
from ecgpipe.closeness.settings import Settings as Settings
from ecgpipe.closeness.stratified import StratifiedSamples, rows_by_class, split_halves
from ecgpipe.vocabulary import ALL

COLUMNS = (
    *("class", "measure", "lead", "value", "low", "high", "floor", "floor_low", "floor_high"),
    *("direction", "unit", "n", "p_value", "note"),
)


class Reference:
    """Held-out real records, and the other real ones that make the floor, to compare many synthetic sets with.

    Features of real records and floors are computed once for all sets.

    Args:
        real: held-out real records.
        train: real records the generator was trained on, for the floor; None: halves of ``real``.
        settings: how thoroughly.

    Raises:
        ValueError: if the sets differ in rate, leads or length, or one of them has fewer than two records.
    """

    def __init__(self, real: FeatureCache, train: FeatureCache | None, settings: Settings) -> None:
        self.settings = settings
        self.real = real
        self.train = train
        _require_some("real", real.records, real.records)
        if train is not None:
            _require_some("training", train.records, real.records)
        rng = np.random.default_rng([settings.seed, SPLIT_STREAM])
        self._halves = [Sample(real, rows) for rows in split_halves(real.records, rng)]
        self._floors: Floors = {}

    def compare(self, synthetic: FeatureCache, only: Sequence[str] | None = None) -> pd.DataFrame:
        """Compare a synthetic set, with labels if the real ones have some, by every measure of the level.

        Args:
            synthetic: what is judged.
            only: names of the measures wanted; None: all of the level.

        Returns:
            The table of :func:`evaluate`.
        """
        real = self.real.records
        _require_some("synthetic", synthetic.records, real)
        measures = {n: m for n, m in self.settings.measures().items() if only is None or n in only}
        samples = {h: self._samples(synthetic, h) for h in {self._halved(m) for m in measures.values()}}
        sides = {"real": real, "synthetic": synthetic.records}
        other = self._halves[1].records
        if self.train is not None:
            sides["training"] = other = self.train.records
        classes = [] if real.labels is None else sorted({*rows_by_class(real), *rows_by_class(synthetic.records)})
        missing = {label: absent(label, sides) for label in classes}
        missing[ALL] = "; ".join(filter(None, missing.values()))
        rows: list[dict[str, Any]] = []
        for label in tqdm([ALL, *classes], desc="closeness", unit="class", disable=None):
            groups = {
                halved: Group(label, whole if label == ALL else whole.of(label), self.settings, self._floors)
                for halved, whole in samples.items()
            }
            for name, measure in measures.items():
                if label == ALL or measure.per_class:
                    for row in groups[self._halved(measure)].rows(name, measure):
                        notes = (row["note"], missing[ALL]) if label == ALL else (missing[label] or row["note"],)
                        rows.append({**row, "note": "; ".join(filter(None, notes))})
        if only is None or CLASS_MIX in only:
            rows.append(class_mix(real, synthetic.records, other, self.settings))
        return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"value": float, "p_value": float})

    def _halved(self, measure: Measure) -> bool:
        """Say whether the measure's floor compares halves of the held-out records."""
        return self.train is None or (measure.halves and self.real.maps.judge is not None)

    def _samples(self, synthetic: FeatureCache, halved: bool) -> StratifiedSamples:
        real, other = self._halves
        if self.train is not None and not halved:
            real, other = _whole(self.real), _whole(self.train)
        rng = np.random.default_rng([self.settings.seed, CHOICE_STREAM])
        return StratifiedSamples.draw([real, _whole(synthetic), other], self.settings.most, rng)


def _whole(records: FeatureCache) -> Sample:
    return Sample(records, np.arange(len(records)))


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
    maps: FeatureMaps | None = None,
    only: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Compare synthetic with held-out real records by every measure of the level.

    Args:
        real: held-out real records; or their signals ``(n, 12, length)`` in mV, leads in the order of
            :data:`ecgpipe.leads.LEADS`.
        synthetic: what is judged, in the same form.
        train: real records the generator was trained on, for the floor; None: halves of ``real``.
        rate: sampling rate of arrays, Hz.
        labels: class names of the records of arrays, for rows by class: those of real, synthetic and, if given,
            training records.
        judge: the real-trained classifier; None leaves its measures missing.
        settings: how thoroughly.
        maps: feature maps of an earlier call (:meth:`FeatureMaps.fit`); None fits them on ``train`` or else ``real``.
        only: names of the measures wanted; None: all of the level.

    Returns:
        A row a class (and ``all``), measure and lead (and ``all``), columns :data:`COLUMNS`: value with interval, floor
        with interval, which way is better, unit, records a side, p-value, and why a value is missing.

    Raises:
        ValueError: if the sets differ in rate, leads or length, one of them has fewer than two records, or rate or
            labels do not fit them.
    """
    given = [real, synthetic] if train is None else [real, synthetic, train]
    if labels is not None and len(labels) != len(given):
        raise ValueError(f"there are {len(given)} sets and labels of {len(labels)}: give those of every set, or none")
    labelled: Sequence[Sequence[str] | None] = [None] * len(given) if labels is None else labels
    sets = [_records(one, rate, own) for one, own in zip(given, labelled, strict=True)]
    held_out, judged, trained_on = feature_caches(sets[0], sets[1], None if train is None else sets[2], judge, maps)
    return Reference(held_out, trained_on, settings or Settings()).compare(judged, only)


def feature_caches(
    real: Records,
    synthetic: Records,
    train: Records | None,
    judge: Judge | None = None,
    maps: FeatureMaps | None = None,
) -> tuple[FeatureCache, FeatureCache, FeatureCache | None]:
    """Return real, synthetic and training records on the same feature maps; without labels unless all have some.

    Args:
        real: held-out real records.
        synthetic: what is judged.
        train: real records the generator was trained on, if they are known.
        judge: the real-trained classifier.
        maps: of an earlier call; None fits them on ``train`` or else ``real``.

    Raises:
        ValueError: if the sets differ in rate, leads or length, or one of them has fewer than two records.
    """
    if any(records.labels is None for records in (real, synthetic, train) if records is not None):
        real, synthetic = (replace(records, labels=None, checked=True) for records in (real, synthetic))
        train = None if train is None else replace(train, labels=None, checked=True)
    for what, records in (("real", real), ("synthetic", synthetic)):
        _require_some(what, records, real)
    maps = maps or FeatureMaps.fit(real if train is None else train, judge)
    return FeatureCache(real, maps), FeatureCache(synthetic, maps), None if train is None else FeatureCache(train, maps)
