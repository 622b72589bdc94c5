"""What the report draws of a set of records: mean curves by class and lead, and the places of records in a feature space."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from ecgpipe.closeness import clinical, signals
from ecgpipe.closeness.comparison import by_class, some_of_each_class
from ecgpipe.closeness.measures import Sample, Source
from ecgpipe.closeness.names import AMPLITUDE, AUTOCORRELATION, BEAT, INTERVALS, RR, SPECTRUM

CURVE_COLUMNS = ("picture", "class", "lead", "n", "x", "y")

BEFORE, AFTER = 0.3, 0.5
"""Seconds of a beat before and after its R peak."""

POINTS = 210
"""Records of a set on the maps: thirty of each of seven rhythms."""

_WIDER = 2
"""Bins of :func:`ecgpipe.closeness.signals.amplitude_histogram` that are drawn as one."""

_RR_BINS = np.arange(0.2, 2.05, 0.05)
_WAVE_BINS = {"PR": np.arange(0, 405, 20.0), "QRS": np.arange(0, 305, 20.0), "QT": np.arange(150, 655, 25.0)}
"""ms."""
_WAVES = {"PR": "pr_interval", "QRS": "qrs_duration", "QT": "qt_interval"}

Curve = tuple[str, str, int, np.ndarray, np.ndarray]
"""Picture, lead, number of records, x, y."""


def curves(sample: Sample, *, waves: bool) -> pd.DataFrame:
    """Return the mean curves of each class.

    Args:
        sample: at least one record of each class it has.
        waves: delineate records too, for the distributions of PR, QRS and QT.

    Returns:
        A row a picture, class and lead, columns :data:`CURVE_COLUMNS`; x and y are arrays: ``spectrum`` (Hz, mV²/Hz),
        ``autocorrelation`` (s, 1), ``amplitude`` (mV, density in 1/mV), ``beat`` (s from the R peak, mV about the lead's
        median), ``RR`` (s, density in 1/s), ``PR``, ``QRS``, ``QT`` (ms, density in 1/ms). n is the number of records behind a curve.
    """
    rows = [
        (picture, label, lead, n, x.astype(np.float32), y.astype(np.float32))
        for label, chosen in by_class(sample.records).items()
        for picture, lead, n, x, y in _curves(sample.take(chosen), waves)
    ]
    return pd.DataFrame(rows, columns=list(CURVE_COLUMNS))


def _curves(sample: Sample, waves: bool) -> Iterator[Curve]:
    """Yield the curves of the records of one class."""
    leads, rate, length = sample.records.leads, sample.records.rate, sample.records.signals.shape[2]
    spectrum = _mean(sample, "spectrum")
    yield from _by_lead(SPECTRUM, sample, signals.welch_frequencies(length, rate)[0], spectrum)
    correlation = _mean(sample, "autocorrelation")
    yield from _by_lead(AUTOCORRELATION, sample, np.arange(1, correlation.shape[1] + 1) / rate, correlation)
    share = _mean(sample, "histogram") / length
    share = share.reshape(len(share), -1, _WIDER).sum(axis=2)
    step = signals.AMPLITUDE_STEP * _WIDER
    middles = np.arange(share.shape[1]) * step - signals.AMPLITUDE + step / 2
    yield from _by_lead(AMPLITUDE, sample, middles, share / step)
    if "II" in leads:
        yield from _beats(sample)
        if waves:
            figures = sample.feature("waves")
            for name in INTERVALS:
                values = figures[:, clinical.WAVES.index(_WAVES[name])]
                yield _distribution(name, values[np.isfinite(values)], _WAVE_BINS[name])


def _mean(sample: Sample, feature: str) -> np.ndarray:
    """Return the mean of a feature over records, ``(leads, ...)``, float64."""
    return np.asarray(sample.feature(feature).mean(axis=0, dtype=np.float64))


def _by_lead(picture: str, sample: Sample, x: np.ndarray, y: np.ndarray) -> Iterator[Curve]:
    for lead, values in zip(sample.records.leads, y, strict=True):
        yield picture, lead, len(sample), x, values


def _distribution(picture: str, values: np.ndarray, bins: np.ndarray, n: int | None = None) -> Curve:
    """Return the density of some numbers over bins; what lies beyond falls into the outermost."""
    inside = np.clip(values, bins[0], bins[-1])
    density = np.histogram(inside, bins)[0] / (max(1, len(values)) * np.diff(bins))
    return picture, "II", len(values) if n is None else n, (bins[:-1] + bins[1:]) / 2, density


def _beats(sample: Sample) -> Iterator[Curve]:
    """Yield the distribution of RR intervals, and the mean beat of each lead, every record counting once."""
    records, rate = sample.records, sample.records.rate
    before, after = round(BEFORE * rate), round(AFTER * rate)
    window = np.arange(-before, after + 1)
    intervals, means = [], []
    for row, peaks in enumerate(sample.feature("peaks")):
        record = records.signals[row]
        intervals.append(np.diff(peaks) / rate)
        whole = peaks[(peaks >= before) & (peaks < record.shape[1] - after)]
        if len(whole):
            centred = record - np.median(record, axis=1, keepdims=True)
            means.append(centred[:, whole[:, None] + window].mean(axis=1))
    measured = sum(len(own) > 0 for own in intervals)
    yield _distribution(RR, np.concatenate(intervals), _RR_BINS, measured)
    if means:
        mean = np.mean(means, axis=0)
        for lead, values in zip(records.leads, mean, strict=True):
            yield BEAT, lead, len(means), window / rate, values


def points(source: Source, rng: np.random.Generator) -> pd.DataFrame:
    """Return where some records of each class lie in the space of the random kernels.

    Returns:
        A row a record: class, record, features (their principal components, those of real training records).
    """
    rows = some_of_each_class(source.records, POINTS, rng)
    features = source.feature("projected kernels", rows).astype(np.float32)
    some = source.records.view(rows)
    labels = some.labels if some.labels is not None else np.full(len(some), "")
    names = [some.name(row) for row in range(len(some))]
    return pd.DataFrame({"class": labels, "record": names, "features": list(features)})
