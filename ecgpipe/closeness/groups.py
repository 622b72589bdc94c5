"""The rows of the table: each measure of one class, or of all records, with its interval and its floor."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np

from ecgpipe.closeness.bootstrap import bootstrap_interval, bootstrap_weights
from ecgpipe.closeness.feature_cache import NotComputed
from ecgpipe.closeness.measures import SHARE, Measure
from ecgpipe.closeness.names import CLASS_MIX
from ecgpipe.closeness.records import Records
from ecgpipe.closeness.settings import BOOTSTRAP_STREAM, MIX_STREAM, Settings
from ecgpipe.closeness.statistics import Pair
from ecgpipe.closeness.stratified import StratifiedSamples, rows_by_class
from ecgpipe.vocabulary import ALL

Floors = dict[tuple[str, bytes, bytes], np.ndarray]
"""Bootstrap values of a measure on real records alone, by its name and the rows of both sides."""


class Group:
    """The records of one class, or of all, with bootstrap weights and pairs that all measures share.

    Args:
        label: the class, or ``all``.
        samples: their records.
        settings: how thoroughly.
        floors: floors that are known; those computed here are added.
    """

    def __init__(self, label: str, samples: StratifiedSamples, settings: Settings, floors: Floors) -> None:
        self._label = label
        self._samples = samples
        self._settings = settings
        self._floors = floors
        self._against = Pair(samples.real, samples.synthetic, settings.seed)
        self._floor = Pair(samples.real, samples.other, settings.seed)

    def rows(self, name: str, measure: Measure) -> Iterator[dict[str, Any]]:
        """Yield the rows of one measure: of all leads, then of each."""
        n = len(self._samples)
        base = {"class": self._label, "measure": name, "direction": measure.better, "unit": measure.unit, "n": n}
        if n < measure.smallest:
            yield {**base, "lead": ALL, "note": f"needs {measure.smallest} records a side, has {n}"}
            return
        try:
            against, floor = self._values(measure, self._against), self._floor_values(name, measure)
            p_value = measure.p_value(self._against) if measure.p_value else float("nan")
        except NotComputed as error:
            yield {**base, "lead": ALL, "note": str(error)}
            return
        leads = (ALL, *self._samples.real.records.leads) if measure.by_lead else (ALL,)
        for column, lead in enumerate(leads):
            value, low, high = self._interval(against[:, column], measure)
            floor_value, floor_low, floor_high = self._interval(floor[:, column], measure)
            yield {
                **base,
                "lead": lead,
                "value": value,
                "low": low,
                "high": high,
                "floor": floor_value,
                "floor_low": floor_low,
                "floor_high": floor_high,
                "p_value": p_value if lead == ALL else float("nan"),
                "note": "",
            }

    def _values(self, measure: Measure, pair: Pair) -> np.ndarray:
        """Return a measure of one pair on the data and on every draw, ``(1 + draws, 1 or 1 + leads)``."""
        real, synthetic, other = self._weights
        values = measure.statistic(pair)(real, synthetic if pair is self._against else other)
        return values if values.ndim == 2 else values[:, None]

    def _floor_values(self, name: str, measure: Measure) -> np.ndarray:
        key = (name, self._floor.a.rows.tobytes(), self._floor.b.rows.tobytes())
        if key not in self._floors:
            self._floors[key] = self._values(measure, self._floor)
        return self._floors[key]

    @cached_property
    def _weights(self) -> list[np.ndarray]:
        """Bootstrap weights of real, synthetic and other records."""
        settings, samples = self._settings, self._samples
        return [
            bootstrap_weights(
                len(side),
                side.records.patients,
                settings.draws,
                np.random.default_rng([settings.seed, BOOTSTRAP_STREAM, place]),
            )
            for place, side in enumerate((samples.real, samples.synthetic, samples.other))
        ]

    @cached_property
    def _patients(self) -> int:
        """Patients of the side that has the fewest."""
        samples = self._samples
        sides = (side.records.patients for side in (samples.real, samples.synthetic, samples.other))
        return min((len(set(patients)) for patients in sides if patients is not None), default=len(samples))

    def _interval(self, values: np.ndarray, measure: Measure) -> tuple[float, float, float]:
        n = self._patients if measure.bounds == SHARE else None
        return bootstrap_interval(values, self._settings.confidence, measure.bounds, n)


def class_mix(real: Records, synthetic: Records, other: Records, settings: Settings) -> dict[str, Any]:
    """Return the row of the mix of classes: total variation distance between the shares of the classes."""
    base: dict[str, Any] = {"class": ALL, "measure": CLASS_MIX, "lead": ALL, "direction": "floor", "unit": ""}
    base["n"] = min(len(real), len(synthetic))
    sides = [records.labels for records in (real, synthetic, other) if records.labels is not None]
    if len(sides) < 3:
        return {**base, "note": "labels are not known"}
    names = sorted({label for labels in sides for label in labels})
    rng = np.random.default_rng([settings.seed, MIX_STREAM])
    shares = []
    for labels in sides:
        share = np.array([np.mean(labels == name) for name in names])
        draws = rng.multinomial(len(labels), share, settings.draws) / len(labels)
        shares.append(np.vstack([share, draws]))
    against, floor = (
        bootstrap_interval(np.abs(shares[0] - other_side).sum(axis=1) / 2, settings.confidence, (0.0, 1.0))
        for other_side in shares[1:]
    )
    keys = ("value", "low", "high", "floor", "floor_low", "floor_high")
    return {**base, "note": "", **dict(zip(keys, (*against, *floor), strict=True))}


def absent(label: str, sides: dict[str, Records]) -> str:
    """Say on which sides a class is missing; "" if on none."""
    missing = [what for what, records in sides.items() if label not in rows_by_class(records)]
    return f"no {' and no '.join(missing)} record of {label}" if missing else ""
