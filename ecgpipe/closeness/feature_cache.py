"""A set of records together with the features computed from them: each feature of a record is computed once.

Features by name:

======================= ================================================================================
kernels                 shares of the fixed random kernels' outputs above each bias, ``(n, 504)``
kernel components       their principal components, ``(n, 32)``
classifier components   principal components of the classifier's penultimate layer, ``(n, 16)``
classifier correct      whether the classifier names the record's rhythm, ``(n,)``; NaN without labels
peaks                   R peaks in lead II, an array of samples a record
beats                   :data:`ecgpipe.closeness.clinical.BEATS`, ``(n, 2)``
waves                   :data:`ecgpipe.closeness.clinical.WAVES`, ``(n, 8)``
the others              functions of :mod:`ecgpipe.closeness.signals`, see :data:`SIGNAL_FEATURES`
======================= ================================================================================
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ecgpipe.closeness import clinical, signals
from ecgpipe.closeness.feature_maps import FeatureMaps
from ecgpipe.closeness.records import BLOCK, Records


class NotComputed(Exception):
    """Why a measure has no value here."""


SIGNAL_FEATURES: dict[str, Callable[[np.ndarray, Records], np.ndarray]] = {
    "correlation": lambda x, _: signals.interlead_correlation(x),
    "autocorrelation": lambda x, records: signals.autocorrelation(x, records.rate),
    "spectrum": lambda x, records: signals.welch_spectrum(x, records.rate),
    "histogram": lambda x, _: signals.amplitude_histogram(x),
    "projections": lambda x, _: signals.projections(x),
    "limb residual": lambda x, records: signals.limb_residual(x, records.leads),
    "faulty": lambda x, _: signals.faulty(x),
}
"""Features by name, as functions of the signals ``(n, leads, length)`` in float64 and of the set they are from."""


class FeatureCache:
    """A set of records; each feature of a record is computed when it is first asked for, and kept.

    Args:
        records: the set.
        maps: feature maps.
    """

    def __init__(self, records: Records, maps: FeatureMaps) -> None:
        self.records = records
        self.maps = maps
        self._features: dict[str, np.ndarray] = {}
        self._known: dict[str, np.ndarray] = {}

    def __len__(self) -> int:
        return len(self.records)

    def feature(self, name: str, rows: np.ndarray) -> np.ndarray:
        """Return a feature of some records, ``(len(rows), ...)``, computing it for those that lack it.

        Raises:
            NotComputed: if it cannot be computed for this set.
        """
        known = self._known.get(name)
        missing = rows if known is None else rows[~known[rows]]
        for start in range(0, len(missing), BLOCK):
            chosen = missing[start : start + BLOCK]
            for what, values in self._compute(name, chosen).items():
                if what not in self._features:
                    # The operating system gives memory to those rows only that are written to.
                    self._features[what] = np.empty((len(self), *values.shape[1:]), values.dtype)
                    self._known[what] = np.zeros(len(self), dtype=bool)
                self._features[what][chosen] = values
                self._known[what][chosen] = True
        found = self._features[name]
        return found if len(rows) == len(found) and (rows[1:] > rows[:-1]).all() else found[rows]

    def _compute(self, name: str, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Compute a feature of a block of records, and those that come with it."""
        if name in ("classifier components", "classifier correct"):
            return self._classified(rows)
        if name == "kernel components":
            return {name: self.maps.projection(self.feature("kernels", rows))}
        if name == "beats":
            return {name: clinical.beat_figures(self.feature("peaks", rows), self.records.rate)}
        found = np.asarray(self.records.signals[rows])
        if name == "kernels":
            return {name: self.maps.kernels(found)}
        if name in ("peaks", "waves"):
            return {name: self._clinical(name, rows, found)}
        values = SIGNAL_FEATURES[name](found.astype(np.float64), self.records)
        # Features with hundreds of numbers a lead take most of the memory: float32 is enough for them.
        return {name: values.astype(np.float32) if values.ndim == 3 and name != "histogram" else values}

    def _clinical(self, name: str, rows: np.ndarray, found: np.ndarray) -> np.ndarray:
        rate, leads = self.records.rate, self.records.leads
        if "II" not in leads:
            raise NotComputed("there is no lead II to find beats in")
        if name == "peaks":
            return clinical.r_peaks(found[:, leads.index("II")], rate)
        return clinical.wave_figures(found, self.feature("peaks", rows), rate, leads)

    def _classified(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        if self.maps.judge is None:
            raise NotComputed("no classifier was given")
        judge, projection = self.maps.judge
        features, probabilities = judge(np.asarray(self.records.signals[rows]))
        correct = np.full(len(rows), np.nan)
        if self.records.labels is not None:
            predicted = np.array(judge.classes)[probabilities.argmax(axis=1)]
            correct = (predicted == self.records.labels[rows]).astype(float)
        return {"classifier components": projection(features), "classifier correct": correct}


@dataclass(frozen=True)
class Sample:
    """Some records of a set.

    Attributes:
        source: the set.
        rows: rows of the records in it, ``(n,)``.
    """

    source: FeatureCache
    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def records(self) -> Records:
        """The records themselves."""
        return self.source.records.view(self.rows)

    def take(self, rows: np.ndarray) -> Sample:
        """Return some of these records."""
        return Sample(self.source, self.rows[rows])

    def feature(self, name: str) -> np.ndarray:
        """Return a feature of every record, ``(n, ...)``.

        Raises:
            NotComputed: if it cannot be computed for this set.
        """
        return self.source.feature(name, self.rows)
