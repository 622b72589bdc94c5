"""What the report draws of a set of records: mean curves by class and lead, and the places of records in a feature space."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import pandas as pd

from ecgpipe.closeness import clinical, signals
from ecgpipe.closeness.evaluate import by_class, some_of_each_class
from ecgpipe.closeness.measures import Maps
from ecgpipe.closeness.names import AMPLITUDE, AUTOCORRELATION, BEAT, INTERVALS, RR, SPECTRUM
from ecgpipe.closeness.records import Records

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


def curves(records: Records, *, waves: bool) -> pd.DataFrame:
    """Return the mean curves of each class.

    Args:
        records: at least one of each class they have.
        waves: delineate records too, for the distributions of PR, QRS and QT.

    Returns:
        A row a picture, class and lead, columns :data:`CURVE_COLUMNS`; x and y are arrays: ``spectrum`` (Hz, mV²/Hz),
        ``autocorrelation`` (s, 1), ``amplitude`` (mV, density in 1/mV), ``beat`` (s from the R peak, mV about the lead's
        median), ``RR`` (s, density in 1/s), ``PR``, ``QRS``, ``QT`` (ms, density in 1/ms). n is the number of records behind a curve.
    """
    rows = [
        (picture, label, lead, n, x.astype(np.float32), y.astype(np.float32))
        for label, chosen in by_class(records).items()
        for picture, lead, n, x, y in _curves(records.take(chosen), waves)
    ]
    return pd.DataFrame(rows, columns=list(CURVE_COLUMNS))


def _curves(records: Records, waves: bool) -> Iterator[Curve]:
    """Yield the curves of the records of one class."""
    rate, length = records.rate, records.signals.shape[2]
    spectrum = signals.in_blocks(partial(signals.welch_spectrum, rate=rate), records.signals).mean(axis=0)
    yield from _by_lead(SPECTRUM, records, signals.welch_frequencies(length, rate)[0], spectrum)
    correlation = signals.in_blocks(partial(signals.autocorrelation, rate=rate), records.signals).mean(axis=0)
    yield from _by_lead(AUTOCORRELATION, records, np.arange(1, correlation.shape[1] + 1) / rate, correlation)
    share = signals.in_blocks(signals.amplitude_histogram, records.signals).mean(axis=0)
    share = share.reshape(len(share), -1, _WIDER).sum(axis=2)
    step = signals.AMPLITUDE_STEP * _WIDER
    middles = np.arange(share.shape[1]) * step - signals.AMPLITUDE + step / 2
    yield from _by_lead(AMPLITUDE, records, middles, share / step)
    if "II" in records.leads:
        yield from _beats(records)
        if waves:
            figures = clinical.wave_figures(records.signals, rate, records.leads)
            for name in INTERVALS:
                values = figures[:, clinical.WAVES.index(_WAVES[name])]
                yield _distribution(name, values[np.isfinite(values)], _WAVE_BINS[name])


def _by_lead(picture: str, records: Records, x: np.ndarray, y: np.ndarray) -> Iterator[Curve]:
    for lead, values in zip(records.leads, y, strict=True):
        yield picture, lead, len(records), x, values


def _distribution(picture: str, values: np.ndarray, bins: np.ndarray, n: int | None = None) -> Curve:
    """Return the density of some numbers over bins; what lies beyond falls into the outermost."""
    inside = np.clip(values, bins[0], bins[-1])
    density = np.histogram(inside, bins)[0] / (max(1, len(values)) * np.diff(bins))
    return picture, "II", len(values) if n is None else n, (bins[:-1] + bins[1:]) / 2, density


def _beats(records: Records) -> Iterator[Curve]:
    """Yield the distribution of RR intervals, and the mean beat of each lead, every record counting once."""
    rate, two = records.rate, records.leads.index("II")
    before, after = round(BEFORE * rate), round(AFTER * rate)
    window = np.arange(-before, after + 1)
    intervals, means = [], []
    for record in records.signals:
        peaks, _ = clinical.r_peaks(record[two], rate)
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


def points(records: Records, maps: Maps, rng: np.random.Generator) -> pd.DataFrame:
    """Return where some records of each class lie in the space of the random kernels.

    Returns:
        A row a record: class, record, features (their principal components, those of real training records).
    """
    some = some_of_each_class(records, POINTS, rng)
    features = maps.projection(signals.in_blocks(maps.kernels, some.signals)).astype(np.float32)
    labels = some.labels if some.labels is not None else np.full(len(some), "")
    names = [some.name(row) for row in range(len(some))]
    return pd.DataFrame({"class": labels, "record": names, "features": list(features)})
