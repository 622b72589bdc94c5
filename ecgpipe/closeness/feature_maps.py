"""Fixed feature maps: random convolution kernels over all leads, and the real-trained classifier.

The kernels follow MiniRocket (Dempster, Schmidt, Webb, KDD 2021): patterns of nine weights, six of -1 and three of 2
(so that an offset changes nothing), dilated, and the share of outputs above a bias. Here every kernel reads its own
fixed mix of all leads, so that relations between leads are seen too. Kernels and mixes come from a fixed seed. Biases
and principal components are fitted on real records only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch
from torch import nn

from ecgpipe.classify.pretrained import Pretrained
from ecgpipe.closeness.records import Records, require_same_form
from ecgpipe.dataset import SignalSpec

_SEED = 20241128
_TAPS = 9
_DILATIONS = (1, 2, 4, 8, 16, 32)
_QUANTILES = (0.3, 0.6, 0.85)
_PATTERNS = tuple(combinations(range(_TAPS), 3))
"""The taps of weight 2 of the 84 patterns; each dilation takes every third of them."""

_KERNELS = len(_PATTERNS) // 3
_BIAS_RECORDS = 128
"""Real records that the biases are taken from."""

_BLOCK = 64

KERNEL_COMPONENTS = 32
JUDGE_COMPONENTS = 16
_FITTED = 1000
"""Real records that the feature maps are fitted on."""


@dataclass(frozen=True)
class Projection:
    """Z-score and principal components of features, fitted on real records.

    This is scikit-learn's ``StandardScaler`` followed by ``PCA(svd_solver="covariance_eigh")``, signs of the components
    included, but for the order of sums. With scikit-learn 1.9 in its place, Fréchet distances in the tables of the
    default study change by up to 9e-15 of their value and the ends of their intervals by up to 4e-12. So that tables
    stay equal bit for bit whatever the version, it is written out.

    Attributes:
        mean: ``(d,)``.
        deviation: ``(d,)``; infinite where a feature does not vary, so that it counts for nothing.
        axes: principal axes, ``(d, components)``; the largest entry of each is positive.
    """

    mean: np.ndarray
    deviation: np.ndarray
    axes: np.ndarray

    @classmethod
    def fit(cls, features: np.ndarray, components: int) -> Projection:
        """Fit on the features ``(n, d)`` of real records; components beyond the rank are left out."""
        features = features.astype(np.float64)
        deviation = features.std(axis=0)
        deviation = np.where(deviation > 1e-9, deviation, np.inf)
        mean = features.mean(axis=0)
        values, vectors = np.linalg.eigh(np.cov((features - mean) / deviation, rowvar=False))
        chosen = np.argsort(values)[::-1][:components]
        chosen = chosen[values[chosen] > 1e-9 * values.max()]
        axes = vectors[:, chosen]
        return cls(mean, deviation, axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])]))

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Project ``(n, d)``: ``(n, components)``, float64."""
        return np.asarray(((features - self.mean) / self.deviation) @ self.axes)


@dataclass(frozen=True)
class RandomKernels:
    """168 kernels of three biases each: ``(n, leads, length)`` in mV to features ``(n, 504)``.

    Attributes:
        mixes: for each dilation the mix of leads that each kernel reads, ``(28, leads)``, 1/mV.
        biases: for each dilation, those of each kernel, ``(28, 3)``.
    """

    mixes: tuple[np.ndarray, ...]
    biases: tuple[np.ndarray, ...]

    @classmethod
    def fit(cls, signals: np.ndarray) -> RandomKernels:
        """Take the leads' scales and the biases from the first real records ``(n, leads, length)``, mV.

        Raises:
            ValueError: if the records are shorter than the widest kernel.
        """
        signals = signals[:_BIAS_RECORDS]
        _, leads, length = signals.shape
        if length < _TAPS * _DILATIONS[-1]:
            raise ValueError(f"records of {length} samples are too short: {_TAPS * _DILATIONS[-1]} are needed")
        scale = np.sqrt(np.mean(np.square(signals, dtype=np.float64), axis=(0, 2)))
        inverse = np.divide(1.0, scale, out=np.zeros_like(scale), where=scale > 0)
        rng = np.random.default_rng(_SEED)
        mixes, biases = [], []
        for place in range(len(_DILATIONS)):
            mixes.append((rng.standard_normal((_KERNELS, leads)) * inverse).astype(np.float32))
            thinned = [
                output[:, :length:7].ravel().copy() for _, output in _outputs(np.asarray(signals), mixes[-1], place)
            ]
            biases.append(np.quantile(thinned, _QUANTILES, axis=1).T.astype(np.float32))
        return cls(tuple(mixes), tuple(biases))

    def __call__(self, signals: np.ndarray) -> np.ndarray:
        """Return the shares of outputs above each bias: ``(n, 504)``, float32."""
        n, length = len(signals), signals.shape[2]
        counts = np.empty((n, len(_DILATIONS), len(_QUANTILES), _KERNELS), dtype=np.float32)
        for start in range(0, n, _BLOCK):
            block = np.asarray(signals[start : start + _BLOCK])
            for place, (mixes, biases) in enumerate(zip(self.mixes, self.biases, strict=True)):
                for kernel, output in _outputs(block, mixes, place):
                    for quantile, bias in enumerate(biases[kernel]):
                        counts[start : start + len(block), place, quantile, kernel] = _count(output > bias)
        return np.asarray(counts.reshape(n, -1) / length)


def _outputs(signals: np.ndarray, mixes: np.ndarray, place: int) -> Iterator[tuple[int, np.ndarray]]:
    """Yield each kernel of a dilation with its outputs on all records, ``(n, length or more)``, -inf beyond the length.

    An output is three times the sum of its three taps minus the sum of all nine. The sum of nine is built from sums of
    two and of four: additions of long vectors are several times faster than a convolution over the leads. Records are
    laid out one after the other with zeros between them. Each yielded array is overwritten by the next.
    """
    n, leads, length = signals.shape
    dilation = _DILATIONS[place]
    padding = _TAPS // 2 * dilation
    stride = -(-(length + padding) // 8) * 8
    laid = np.zeros((leads, padding + n * stride), dtype=np.float32)
    laid[:, padding:].reshape(leads, n, stride)[:, :, :length] = signals.transpose(1, 0, 2)
    mixed = mixes @ laid
    size, last = mixed.shape[1], n * stride - padding
    output = np.full(n * stride, -np.inf, dtype=np.float32)
    twos, fours = np.empty((2, size), dtype=np.float32)
    for kernel, three in enumerate(_PATTERNS[place % 3 :: 3]):
        y = mixed[kernel]
        taps = [y[tap * dilation : tap * dilation + last] for tap in range(_TAPS)]
        np.add(y[:-dilation], y[dilation:], out=twos[: size - dilation])
        np.add(twos[: size - 3 * dilation], twos[2 * dilation : size - dilation], out=fours[: size - 3 * dilation])
        nine = np.add(fours[:last], fours[4 * dilation : 4 * dilation + last], out=twos[:last])
        nine += taps[8]
        made = np.add(taps[three[0]], taps[three[1]], out=output[:last])
        made += taps[three[2]]
        made *= 3
        made -= nine
        rows = output.reshape(n, stride)
        rows[:, length:] = -np.inf
        yield kernel, rows


def _count(there: np.ndarray) -> np.ndarray:
    """Count the true values in each row ``(n, a multiple of 8)``, eight columns at a time as the bytes of a uint64."""
    eights = there.view(np.uint64)
    counts = np.zeros(len(there), dtype=np.int64)
    for start in range(0, eights.shape[1], 255):  # a byte holds no more
        added = np.add.reduce(eights[:, start : start + 255], axis=1)
        counts += added.view(np.uint8).reshape(-1, 8).sum(axis=1, dtype=np.int64)
    return counts


@dataclass(frozen=True)
class Judge:
    """The real-trained classifier, as a feature map and to name the rhythm.

    Attributes:
        network: networks as the real experiment of the classify stage writes them; that of the smallest seed is used.
    """

    network: Pretrained

    @property
    def classes(self) -> tuple[str, ...]:
        """Classes it knows."""
        return self.network.spec.classes

    def require_fit(self, records: Records) -> None:
        """Refuse records of another form.

        Raises:
            ValueError: naming what differs.
        """
        spec: SignalSpec = self.network.spec
        form = Records(np.zeros((1, len(spec.leads), spec.length)), spec.rate, leads=spec.leads)
        require_same_form(form, records, "the classifier's records and these")

    def __call__(self, signals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return penultimate features ``(n, d)`` and class probabilities ``(n, classes)`` of signals in mV."""
        seed = min(self.network.networks)
        model, standardizer = self.network.network(seed), self.network.standardizer(seed)
        layers = list(model.head) if isinstance(model.head, nn.Sequential) else [model.head]
        features, probabilities = [], []
        with torch.no_grad():
            for start in range(0, len(signals), _BLOCK):
                inputs = torch.from_numpy(standardizer(np.asarray(signals[start : start + _BLOCK])))
                hidden = model.features(inputs)
                for layer in layers[:-1]:
                    hidden = layer(hidden)
                features.append(hidden.numpy())
                probabilities.append(torch.softmax(layers[-1](hidden), dim=1).numpy())
        return np.concatenate(features).astype(np.float64), np.concatenate(probabilities)


@dataclass(frozen=True)
class FeatureMaps:
    """All feature maps of a comparison, fitted on real records once.

    Attributes:
        kernels: the fixed random kernels.
        projection: of their features.
        judge: the real-trained classifier and the projection of its features; None if there is none.
    """

    kernels: RandomKernels
    projection: Projection
    judge: tuple[Judge, Projection] | None

    @classmethod
    def fit(cls, records: Records, judge: Judge | None) -> FeatureMaps:
        """Fit on the first real records.

        Raises:
            ValueError: if they are too short for the kernels, or not of the form that the classifier reads.
        """
        signals = np.asarray(records.signals[:_FITTED], dtype=np.float32)
        kernels = RandomKernels.fit(signals)
        projection = Projection.fit(kernels(signals), KERNEL_COMPONENTS)
        if judge is None:
            return cls(kernels, projection, None)
        judge.require_fit(records)
        return cls(kernels, projection, (judge, Projection.fit(judge(signals)[0], JUDGE_COMPONENTS)))
