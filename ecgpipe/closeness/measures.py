"""Every measure of closeness: what it is, which way is better, how few records it takes, and what it is blind to.

A measure compares two samples of equal size, ``a`` (real) and ``b`` (synthetic, or other real records for the floor),
and returns a statistic of weights: what is costly is computed once, and the bootstrap only weights it anew.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, Literal

import numpy as np

from ecgpipe.closeness import clinical, distances, signals, twosample
from ecgpipe.closeness.dtw import BAND_SECONDS, banded_dtw
from ecgpipe.closeness.kernels import Judge, Projection, RandomKernels
from ecgpipe.closeness.records import BLOCK, Records
from ecgpipe.leads import INDEPENDENT

Statistic = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Weights of ``a`` (draws, n) and of ``b`` (draws, m) to values ``(draws,)``, or ``(draws, 1 + leads)``: all leads, then each."""

KERNEL_COMPONENTS = 32
JUDGE_COMPONENTS = 16
_REFERENCE = 1000
"""Reference records that the feature maps are fitted on."""

SHARE = (0.0, 1.0)
"""Range of measures that are shares of records."""

_SUMMED = 1024
"""Records summed at a time."""

CANDIDATES = 5
"""Nearest real records among which the one nearest in warped time is sought."""


class NotComputed(Exception):
    """Why a measure has no value here."""


@dataclass(frozen=True)
class Maps:
    """Feature maps, fitted on real records once.

    Attributes:
        kernels: the fixed random kernels.
        projection: of their features.
        judge: the real-trained classifier and the projection of its features; None if there is none.
    """

    kernels: RandomKernels
    projection: Projection
    judge: tuple[Judge, Projection] | None

    @classmethod
    def fit(cls, reference: Records, judge: Judge | None) -> Maps:
        """Fit on the first reference records."""
        signals_ = np.asarray(reference.signals[:_REFERENCE], dtype=np.float32)
        kernels = RandomKernels.fit(signals_)
        projection = Projection.fit(kernels(signals_), KERNEL_COMPONENTS)
        if judge is None:
            return cls(kernels, projection, None)
        judge.require_fit(reference)
        return cls(kernels, projection, (judge, Projection.fit(judge(signals_)[0], JUDGE_COMPONENTS)))


class Source:
    """All records of one set, with what was computed from each of them, once.

    Args:
        records: the set.
        maps: feature maps.
    """

    def __init__(self, records: Records, maps: Maps) -> None:
        self.records = records
        self.maps = maps
        self._features: dict[str, np.ndarray] = {}
        self._known: dict[str, np.ndarray] = {}

    def __len__(self) -> int:
        return len(self.records)

    def feature(self, name: str, rows: np.ndarray) -> np.ndarray:
        """Return a feature of some records, ``(rows, ...)``; what is not known of them yet is computed.

        Raises:
            NotComputed: if it cannot be had.
        """
        known = self._known.get(name)
        missing = rows if known is None else rows[~known[rows]]
        for start in range(0, len(missing), BLOCK):
            chosen = missing[start : start + BLOCK]
            for what, values in self._computed(name, chosen).items():
                if what not in self._features:
                    # Memory that no row is written to is never taken.
                    self._features[what] = np.empty((len(self), *values.shape[1:]), values.dtype)
                    self._known[what] = np.zeros(len(self), dtype=bool)
                self._features[what][chosen] = values
                self._known[what][chosen] = True
        found = self._features[name]
        return found if len(rows) == len(found) and (rows[1:] > rows[:-1]).all() else found[rows]

    def _computed(self, name: str, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Compute a feature of a block of records, and what comes with it."""
        records, rate, leads = self.records, self.records.rate, self.records.leads
        if name in ("judged", "rightness"):
            return self._judged(rows)
        if name == "projected kernels":
            return {name: self.maps.projection(self.feature("kernels", rows))}
        if name == "beats":
            return {name: clinical.beat_figures(self.feature("peaks", rows), rate)}
        found = np.asarray(records.signals[rows])
        if name == "kernels":
            return {name: self.maps.kernels(found)}
        if name in ("peaks", "waves") and "II" not in leads:
            raise NotComputed("there is no lead II to find beats in")
        if name == "peaks":
            return {name: clinical.r_peaks(found[:, leads.index("II")], rate)}
        if name == "waves":
            return {name: clinical.wave_figures(found, self.feature("peaks", rows), rate, leads)}
        functions: dict[str, Callable[[np.ndarray], np.ndarray]] = {
            "correlation": signals.interlead_correlation,
            "autocorrelation": partial(signals.autocorrelation, rate=rate),
            "spectrum": partial(signals.welch_spectrum, rate=rate),
            "histogram": signals.amplitude_histogram,
            "projections": signals.projections,
            "limb": partial(signals.limb_residual, leads=leads),
            "faulty": signals.faulty,
        }
        values = functions[name](found.astype(np.float64))
        # Those with hundreds of numbers a lead are what takes memory.
        return {name: values.astype(np.float32) if values.ndim == 3 and name != "histogram" else values}

    def _judged(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        if self.maps.judge is None:
            raise NotComputed("no classifier was given")
        judge, projection = self.maps.judge
        features, probabilities = judge(np.asarray(self.records.signals[rows]))
        right = np.full(len(rows), np.nan)
        if self.records.labels is not None:
            right = (np.array(judge.classes)[probabilities.argmax(axis=1)] == self.records.labels[rows]).astype(float)
        return {"judged": projection(features), "rightness": right}


@dataclass(frozen=True)
class Sample:
    """Some records of a set.

    Attributes:
        source: the set.
        rows: places of the records in it.
    """

    source: Source
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
            NotComputed: if it cannot be had.
        """
        return self.source.feature(name, self.rows)


@dataclass(frozen=True)
class Pair:
    """Two samples that are compared, and what several measures share."""

    a: Sample
    b: Sample
    seed: int
    _shared: dict[str, Any] = field(default_factory=dict)

    def features(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Return a feature of both sides."""
        return self.a.feature(name), self.b.feature(name)

    def manifold(self) -> dict[str, np.ndarray]:
        """Return what precision, recall, density and coverage are means of."""
        if "manifold" not in self._shared:
            self._shared["manifold"] = distances.manifold_scores(*self.features("projected kernels"))
        found: dict[str, np.ndarray] = self._shared["manifold"]
        return found


@dataclass(frozen=True)
class Measure:
    """One measure.

    Attributes:
        title: what a reader calls it.
        definition: what it is, in a sentence.
        unit: of its values; "" for a pure number.
        better: ``lower``, ``higher``, or ``floor``: the floor itself is best.
        smallest: fewest records a side that it takes.
        blind: what it cannot see.
        statistic: see the module.
        bounds: range of its values.
        level: ``quick``: part of every study; ``full``: of full studies only.
        by_lead: the statistic also gives one value a lead.
        halves: its floor compares halves of the held-out records, for the judge knows the training records by heart.
        per_class: also computed for each class.
        p_value: its test, where it has one.
    """

    title: str
    definition: str
    unit: str
    better: Literal["lower", "higher", "floor"]
    smallest: int
    blind: str
    statistic: Callable[[Pair], Statistic]
    bounds: tuple[float, float] = (0.0, np.inf)
    level: Literal["quick", "full"] = "quick"
    by_lead: bool = False
    halves: bool = False
    per_class: bool = True
    p_value: Callable[[Pair], float] | None = None


def _mean(w: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return weighted means over records: ``(draws, n)`` and ``(n, ...)`` to ``(draws, ...)``, float64."""
    w = w.astype(np.float64)
    w /= w.sum(axis=1, keepdims=True)
    flat = x.reshape(len(x), -1)
    total = np.zeros((len(w), flat.shape[1]))
    for start in range(0, len(flat), _SUMMED):
        rows = slice(start, start + _SUMMED)
        total += w[:, rows] @ flat[rows].astype(np.float64)
    return total.reshape(len(w), *x.shape[1:])


def _all_and_each(by_lead: np.ndarray) -> np.ndarray:
    """Put the mean over leads before the leads: ``(draws, leads)`` to ``(draws, 1 + leads)``."""
    return np.concatenate([by_lead.mean(axis=1, keepdims=True), by_lead], axis=1)


def _two(name: str, function: Callable[..., np.ndarray]) -> Callable[[Pair], Statistic]:
    """Return the statistic of a distance between the features of both sides."""
    return lambda pair: partial(function, *pair.features(name))


def _correlation(pair: Pair) -> Statistic:
    a, b = pair.features("correlation")
    leads = a.shape[1]
    if leads < 2:
        raise NotComputed("there is one lead only")

    def statistic(wa: np.ndarray, wb: np.ndarray) -> np.ndarray:
        return _all_and_each(np.abs(_mean(wa, a) - _mean(wb, b)).sum(axis=2) / (leads - 1))

    return statistic


def _autocorrelation(pair: Pair) -> Statistic:
    a, b = pair.features("autocorrelation")
    return lambda wa, wb: _all_and_each(np.abs(_mean(wa, a) - _mean(wb, b)).mean(axis=2))


_LEAST_POWER = 1e-8
"""mV²/Hz; about that of rounding to a microvolt, so that constant leads have a level in dB."""


def decibels(power: np.ndarray) -> np.ndarray:
    """Return a power density in mV²/Hz as dB."""
    return np.asarray(10 * np.log10(np.maximum(power, _LEAST_POWER)))


def _spectrum(pair: Pair) -> Statistic:
    a, b = pair.features("spectrum")
    return lambda wa, wb: _all_and_each(np.abs(decibels(_mean(wa, a)) - decibels(_mean(wb, b))).mean(axis=2))


def _amplitude(pair: Pair) -> Statistic:
    a, b = pair.features("histogram")
    step = signals.AMPLITUDE_STEP / pair.a.records.signals.shape[2]
    return lambda wa, wb: _all_and_each(np.abs(np.cumsum(_mean(wa, a) - _mean(wb, b), axis=2)).sum(axis=2) * step)


def _manifold(name: str, side: Literal["a", "b"]) -> Callable[[Pair], Statistic]:
    def prepared(pair: Pair) -> Statistic:
        scores = pair.manifold()[name]
        return lambda wa, wb: _mean(wa if side == "a" else wb, scores)

    return prepared


def _ridge(pair: Pair) -> Statistic:
    return partial(twosample.score, *twosample.ridge_correct(*pair.features("kernels"), pair.seed))


def _cnn(pair: Pair) -> Statistic:
    answers = twosample.cnn_correct(pair.a.records, pair.b.records, pair.seed)
    asked = [~np.isnan(part) for part in answers]
    a, b = (part[there] for part, there in zip(answers, asked, strict=True))
    return lambda wa, wb: twosample.score(a, b, wa[:, asked[0]], wb[:, asked[1]])


def _mean_of(name: str, missing: str) -> Callable[[Pair], Statistic]:
    """Return the statistic of a figure of each record of ``b`` alone."""

    def prepared(pair: Pair) -> Statistic:
        values = pair.b.feature(name)
        if np.isnan(values).any():
            raise NotComputed(missing)
        return lambda wa, wb: _mean(wb, values)

    return prepared


def _nearest(pair: Pair) -> Statistic:
    distance = signals.nearest_record(pair.b.records, pair.a.records)
    return lambda wa, wb: _mean(wb, distance)


def _labels(sample: Sample) -> np.ndarray:
    labels = sample.records.labels
    return np.zeros(len(sample), dtype=np.int64) if labels is None else labels


def _warped(pair: Pair) -> Statistic:
    records, synthetic = (sample.records.take(np.arange(len(sample))) for sample in (pair.a, pair.b))
    a, b = (side.signals[:].reshape(len(side), -1) for side in (records, synthetic))
    leads = records.leads
    chosen = [leads.index(n) for n in INDEPENDENT] if set(INDEPENDENT) <= set(leads) else list(range(len(leads)))
    a_labels, b_labels = _labels(pair.a), _labels(pair.b)
    warped = np.full(len(b), np.nan)
    for label in np.unique(b_labels):
        ours, theirs = np.flatnonzero(b_labels == label), np.flatnonzero(a_labels == label)
        k = min(CANDIDATES, len(theirs))
        candidates = theirs[distances.nearest(b[ours], a[theirs], k)[0]]
        x = synthetic.signals[np.repeat(ours, k)][:, chosen]
        y = records.signals[candidates.ravel()][:, chosen]
        warped[ours] = banded_dtw(x, y, round(BAND_SECONDS * records.rate)).reshape(-1, k).min(axis=1)
    return lambda wa, wb: _mean(wb, warped)


def _figure(feature: str, place: int) -> Callable[[Pair], Statistic]:
    """Return the distance between the distributions of one figure of :mod:`ecgpipe.closeness.clinical`."""

    def prepared(pair: Pair) -> Statistic:
        a, b = (values[:, place] for values in pair.features(feature))
        known = min(int((~np.isnan(a)).sum()), int((~np.isnan(b)).sum()))
        if known < FEWEST_FIGURES:
            raise NotComputed(f"could be measured in {known} records of one side, {FEWEST_FIGURES} are needed")
        if feature == "waves" and clinical.WAVES[place] == "axis":
            # Degrees go round: both are turned so that the real axes lie around 0.
            middle = np.degrees(np.angle(np.nanmean(np.exp(1j * np.radians(a)))))
            a, b = ((values - middle + 180) % 360 - 180 for values in (a, b))
        return partial(distances.wasserstein, a, b)

    return prepared


def _missing(feature: str) -> Callable[[Pair], Statistic]:
    """Return the share of records of ``b`` that lack a figure of :mod:`ecgpipe.closeness.clinical`."""

    def prepared(pair: Pair) -> Statistic:
        missing = np.isnan(pair.b.feature(feature)).any(axis=1).astype(np.float64)
        return lambda wa, wb: _mean(wb, missing)

    return prepared


FEWEST_FIGURES = 5

_DELINEATED = "records that cannot be delineated, see their share; waves that are found in noise"
_NO_P = f"{_DELINEATED}, or between the beats of fibrillation, where there is no P wave"

MEASURES: dict[str, Measure] = {
    "frechet_kernels": Measure(
        "Fréchet distance, random kernels",
        "Squared Fréchet distance between Gaussians fitted to 32 principal components of 504 fixed random-kernel features.",
        "",
        "lower",
        2 * KERNEL_COMPONENTS,
        "copies of training records; whatever leaves mean and covariance of the features alone",
        _two("projected kernels", distances.frechet),
    ),
    "frechet_classifier": Measure(
        "Fréchet distance, classifier",
        "Squared Fréchet distance between Gaussians fitted to 16 principal components of the real-trained classifier's penultimate layer.",
        "",
        "lower",
        2 * JUDGE_COMPONENTS,
        "copies; whatever does not matter to the classifier (noise, morphology, single leads)",
        _two("judged", distances.frechet),
        halves=True,
    ),
    "mmd": Measure(
        "MMD²",
        "Unbiased squared maximum mean discrepancy of the random-kernel features, five Gaussian widths around the real records' median distance; with a permutation p-value.",
        "",
        "lower",
        10,
        "copies of training records",
        _two("projected kernels", distances.mmd),
        bounds=(-np.inf, np.inf),
        p_value=lambda pair: distances.mmd_p_value(
            *pair.features("projected kernels"), np.random.default_rng([pair.seed, 1])
        ),
    ),
    "precision": Measure(
        "precision",
        "Share of synthetic records within the 5-neighbour manifold of the real ones (random-kernel features).",
        "",
        "higher",
        10,
        "missing kinds of records; copies; noise and surrogates, which may fall among the real records' features",
        _manifold("precision", "b"),
        bounds=SHARE,
    ),
    "recall": Measure(
        "recall",
        "Share of real records within the 5-neighbour manifold of the synthetic ones.",
        "",
        "higher",
        10,
        "synthetic records that look like no real one, which can even raise it",
        _manifold("recall", "a"),
        bounds=SHARE,
    ),
    "density": Measure(
        "density",
        "Mean number of real 5-neighbour balls around a synthetic record, divided by 5.",
        "",
        "floor",
        10,
        "missing kinds of records; a generator that keeps to the middle raises it",
        _manifold("density", "b"),
    ),
    "coverage": Measure(
        "coverage",
        "Share of real 5-neighbour balls with a synthetic record in them.",
        "",
        "higher",
        10,
        "copies; a few records that look like no real one",
        _manifold("coverage", "a"),
        bounds=SHARE,
    ),
    "c2st": Measure(
        "two-sample test, ridge",
        "1 - 2 |accuracy - 0.5| of a cross-validated ridge classifier on the random-kernel features: 1 if real and synthetic cannot be told apart.",
        "",
        "higher",
        20,
        "copies; kinds of records that are missing but rare",
        _ridge,
        bounds=SHARE,
    ),
    "c2st_cnn": Measure(
        "two-sample test, CNN",
        "The same score by a small CNN on the signals, mean of 5 seeds.",
        "",
        "higher",
        100,
        "copies; with few records whatever the CNN has no time to learn",
        _cnn,
        bounds=SHARE,
        level="full",
        per_class=False,
    ),
    "class_fidelity": Measure(
        "class fidelity",
        "Share of synthetic records in which the real-trained classifier sees the requested rhythm; the floor is its accuracy on held-out real records.",
        "",
        "higher",
        5,
        "everything but the rhythm; a typical record repeated scores above the floor",
        _mean_of("rightness", "labels are not known"),
        bounds=SHARE,
        halves=True,
    ),
    "interlead_correlation": Measure(
        "inter-lead correlation",
        "Mean absolute difference of the mean correlations between leads.",
        "",
        "lower",
        5,
        "time: shuffled or phase-randomised records keep it; amplitude",
        _correlation,
        by_lead=True,
    ),
    "autocorrelation": Measure(
        "autocorrelation",
        "Mean absolute difference of the mean autocorrelations at lags up to 1.5 s.",
        "",
        "lower",
        5,
        "phase (surrogates keep it), amplitude, relations between leads",
        _autocorrelation,
        by_lead=True,
    ),
    "spectrum": Measure(
        "power spectrum",
        "Mean absolute difference of the mean Welch spectra, 0.5-40 Hz.",
        "dB",
        "lower",
        5,
        "phase (surrogates keep it), relations between leads",
        _spectrum,
        by_lead=True,
    ),
    "amplitude": Measure(
        "amplitude distribution",
        "1-Wasserstein distance between the distributions of all samples of a lead, mean over leads.",
        "mV",
        "lower",
        5,
        "time: any reordering of the samples keeps it",
        _amplitude,
        by_lead=True,
    ),
    "sliced_wasserstein": Measure(
        "sliced Wasserstein distance",
        "Mean 1-Wasserstein distance over 64 fixed random projections of the whole record.",
        "mV",
        "lower",
        10,
        "nearly everything but amplitude and slow drift: records are not aligned in time",
        _two("projections", distances.sliced_wasserstein),
    ),
    "nearest_distance": Measure(
        "distance to the nearest real record",
        "Root mean square difference to the nearest held-out real record, mean over the synthetic ones.",
        "mV",
        "floor",
        5,
        "rhythm and phase; noise of the records' size; small or smooth records come near to all others",
        _nearest,
    ),
    "dtw_distance": Measure(
        "warped distance to the nearest real record",
        "The same to a record of the same rhythm after warping time by up to 0.1 s (least of the 5 nearest).",
        "mV",
        "floor",
        5,
        "small or smooth records come near to all others",
        _warped,
        level="full",
    ),
    "limb_residual": Measure(
        "limb-lead residual",
        "Largest violation of Einthoven's and Goldberger's identities in a record, mean over records.",
        "mV",
        "lower",
        5,
        "everything but the relations of the six limb leads",
        _mean_of("limb", "needs the six limb leads in standard order"),
    ),
    "faulty_share": Measure(
        "flat or clipped records",
        "Share of records with a lead that is flat (range below 0.005 mV) or stays at its extreme for 5 samples.",
        "",
        "lower",
        5,
        "everything else",
        _mean_of("faulty", ""),
        bounds=SHARE,
    ),
    "heart_rate": Measure(
        "heart rate",
        "1-Wasserstein distance between the distributions of the heart rate from R peaks in lead II.",
        "1/min",
        "lower",
        FEWEST_FIGURES,
        "whatever keeps the R peaks",
        _figure("beats", 0),
    ),
    "rr_variation": Measure(
        "RR variation",
        "The same of the variation of successive RR intervals (RMSSD).",
        "ms",
        "lower",
        FEWEST_FIGURES,
        "whatever keeps the R peaks",
        _figure("beats", 1),
    ),
    "beatless_share": Measure(
        "records without beats",
        "Share of records in which fewer than three R peaks were found in lead II; they have no heart rate.",
        "",
        "lower",
        5,
        "everything else; a peak finder finds peaks in noise, too",
        _missing("beats"),
        bounds=SHARE,
    ),
    **{
        name: Measure(
            title,
            f"The same of the {title} (median over beats).",
            unit,
            "lower",
            FEWEST_FIGURES,
            blind,
            _figure("waves", clinical.WAVES.index(name)),
            level="full",
        )
        for name, title, unit, blind in (
            ("pr_interval", "PR interval", "ms", _NO_P),
            ("qrs_duration", "QRS duration", "ms", _DELINEATED),
            ("qt_interval", "QT interval", "ms", _DELINEATED),
            ("qtc_interval", "QTc interval (Fridericia)", "ms", _DELINEATED),
            ("p_amplitude", "P amplitude", "mV", _NO_P),
            ("t_amplitude", "T amplitude", "mV", _DELINEATED),
            ("st_level", "ST level", "mV", _DELINEATED),
            ("axis", "frontal QRS axis", "°", _DELINEATED),
        )
    },
    "undelineated_share": Measure(
        "records not delineated",
        "Share of records in which one of the intervals, amplitudes or the axis could not be measured.",
        "",
        "floor",
        5,
        "everything else",
        _missing("waves"),
        bounds=SHARE,
        level="full",
    ),
}
"""All measures by name, in the order of the tables."""
