"""What the report draws of a set of records: mean curves by class and lead, and points in a feature space."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from ecgpipe.closeness import clinical, signals
from ecgpipe.closeness.feature_cache import FeatureCache, Sample
from ecgpipe.closeness.names import AMPLITUDE, AUTOCORRELATION, BEAT, INTERVALS, RR, SPECTRUM
from ecgpipe.closeness.stratified import draw_by_class, rows_by_class

CURVE_COLUMNS = ("picture", "class", "lead", "n", "x", "y")

BEFORE, AFTER = 0.3, 0.5
"""Seconds of a beat before and after its R peak."""

POINTS = 210
"""Records of a set on the maps: thirty of each of seven rhythms."""

_PERPLEXITY = 30.0
_TSNE_SEED = 20241130

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
        ``autocorrelation`` (s, 1), ``amplitude`` (mV, density in 1/mV), ``beat`` (s from the R peak, mV about the
        lead's median), ``RR`` (s, density in 1/s), ``PR``, ``QRS``, ``QT`` (ms, density in 1/ms). n is the number of
        records behind a curve.
    """
    rows = [
        (picture, label, lead, n, x.astype(np.float32), y.astype(np.float32))
        for label, chosen in rows_by_class(sample.records).items()
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
    """Return the density of numbers over bins; those beyond are counted in the outermost bins."""
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


def points(cache: FeatureCache, rng: np.random.Generator) -> pd.DataFrame:
    """Return the principal components of the random-kernel features of some records of each class.

    Returns:
        A row a record: class, record, features (the components, which were fitted on real training records).
    """
    rows = draw_by_class(cache.records, POINTS, rng)
    features = cache.feature("kernel components", rows).astype(np.float32)
    some = cache.records.view(rows)
    labels = some.labels if some.labels is not None else np.full(len(some), "")
    names = [some.name(row) for row in range(len(some))]
    return pd.DataFrame({"class": labels, "record": names, "features": list(features)})


def map_points(table: pd.DataFrame) -> pd.DataFrame:
    """Place the records of each dataset on two maps: principal components and t-SNE.

    Args:
        table: columns dataset, generator, class, record, features (arrays).

    Returns:
        Instead of the features ``pca_1``, ``pca_2``, the first two principal components (fitted on real training
        records), and ``tsne_1``, ``tsne_2``: t-SNE (van der Maaten and Hinton, JMLR 2008) of all records of a dataset
        together, real ones and every generator's; NaN where there are fewer than four.
    """
    from sklearn.manifold import TSNE  # slow to load

    parts = []
    for _, own in table.groupby("dataset", sort=False):
        features = np.stack(own["features"].to_list())
        plane = np.full((len(own), 2), np.nan)
        plane[:, : features.shape[1]] = features[:, :2]
        places = np.full((len(own), 2), np.nan)
        if len(own) > 3:
            perplexity = min(_PERPLEXITY, (len(own) - 1) / 3)
            places = TSNE(perplexity=perplexity, init="pca", random_state=_TSNE_SEED).fit_transform(features)
        parts.append(
            own.drop(columns="features").assign(
                pca_1=plane[:, 0], pca_2=plane[:, 1], tsne_1=places[:, 0], tsne_2=places[:, 1]
            )
        )
    return pd.concat(parts, ignore_index=True)
