"""Feature maps that never change from call to call: fixed random kernels over all leads, and the real-trained classifier.

The kernels follow MiniRocket (Dempster, Schmidt, Webb, KDD 2021): patterns of nine weights, six of -1 and three of 2 (so
that an offset changes nothing), dilated, and the share of outputs above a bias. Here every kernel reads its own fixed
mix of all leads, so that relations between leads are seen too. Kernels and mixes come from a fixed seed; biases and
the projection on principal components come from real reference records only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from ecgpipe.classify.pretrained import Pretrained
from ecgpipe.closeness.records import Records, require_same_form
from ecgpipe.dataset import SignalSpec

_SEED = 20241128
_TAPS = 9
_DILATIONS = (1, 2, 4, 8, 16, 32)
_QUANTILES = (0.3, 0.6, 0.85)
_REFERENCE = 128
"""Reference records that the biases are taken from."""

_BLOCK = 64


@dataclass(frozen=True)
class Projection:
    """Standardisation by reference features and projection on their first principal components."""

    mean: np.ndarray
    deviation: np.ndarray
    axes: np.ndarray

    @classmethod
    def fit(cls, features: np.ndarray, components: int) -> Projection:
        """Fit on the features ``(n, d)`` of real records; components beyond the rank are left out."""
        deviation = features.std(axis=0)
        deviation = np.where(deviation > 1e-9, deviation, np.inf)  # what never varies among real records says nothing
        mean = features.mean(axis=0)
        values, vectors = np.linalg.eigh(np.cov((features - mean) / deviation, rowvar=False))
        chosen = np.argsort(values)[::-1][:components]
        chosen = chosen[values[chosen] > 1e-9 * values.max()]
        axes = vectors[:, chosen]
        # The sign of an eigenvector is arbitrary: its largest entry is made positive.
        return cls(mean, deviation, axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])]))

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Project ``(n, d)``: ``(n, components)``, float64."""
        return np.asarray(((features - self.mean) / self.deviation) @ self.axes)


@dataclass(frozen=True)
class RandomKernels:
    """168 kernels of three biases each: ``(n, leads, length)`` in mV to features ``(n, 504)``.

    Attributes:
        weights: for each dilation ``(28, leads, 9)``: a pattern times the mix of leads that it reads, 1/mV.
        biases: for each dilation, those of each kernel, ``(28, 3)``.
    """

    weights: tuple[np.ndarray, ...]
    biases: tuple[np.ndarray, ...]

    @classmethod
    def fit(cls, reference: np.ndarray) -> RandomKernels:
        """Scale the leads by, and take the biases from, the first reference records ``(n, leads, length)``.

        Raises:
            ValueError: if the records are shorter than the widest kernel.
        """
        reference = reference[:_REFERENCE]
        _, leads, length = reference.shape
        if length < _TAPS * _DILATIONS[-1]:
            raise ValueError(f"records of {length} samples are too short: {_TAPS * _DILATIONS[-1]} are needed")
        scale = np.sqrt(np.mean(np.square(reference, dtype=np.float64), axis=(0, 2)))
        inverse = np.divide(1.0, scale, out=np.zeros_like(scale), where=scale > 0)
        rng = np.random.default_rng(_SEED)
        patterns = np.full((84, _TAPS), -1.0)
        for row, places in zip(patterns, combinations(range(_TAPS), 3), strict=True):
            row[list(places)] = 2.0
        weights, biases = [], []
        for place, dilation in enumerate(_DILATIONS):
            chosen = patterns[place % 3 :: 3]
            mixes = rng.standard_normal((len(chosen), leads)) * inverse
            weights.append((mixes[:, :, None] * chosen[:, None, :]).astype(np.float32))
            outputs = [block[:, :, ::7] for block in _convolved(reference, weights[-1], dilation)]
            joined = np.concatenate(outputs).transpose(1, 0, 2).reshape(len(chosen), -1)
            biases.append(np.quantile(joined, _QUANTILES, axis=1).T.astype(np.float32))
        return cls(tuple(weights), tuple(biases))

    def __call__(self, signals: np.ndarray) -> np.ndarray:
        """Return the shares of outputs above each bias: ``(n, 504)``."""
        features = []
        for weights, biases, dilation in zip(self.weights, self.biases, _DILATIONS, strict=True):
            counts = [
                [np.count_nonzero(block > biases[:, j, None], axis=2) for j in range(len(_QUANTILES))]
                for block in _convolved(signals, weights, dilation)
            ]
            features += [np.concatenate(parts) for parts in zip(*counts, strict=True)]
        return np.asarray(np.concatenate(features, axis=1) / signals.shape[2])


def _convolved(signals: np.ndarray, weights: np.ndarray, dilation: int) -> Iterator[np.ndarray]:
    """Yield the outputs of one dilation's kernels ``(records, 28, length)``, a block of records at a time."""
    for start in range(0, len(signals), _BLOCK):
        block = torch.from_numpy(np.array(signals[start : start + _BLOCK], dtype=np.float32))
        padding = _TAPS // 2 * dilation
        yield F.conv1d(block, torch.from_numpy(weights), padding=padding, dilation=dilation).numpy()


@dataclass(frozen=True)
class Judge:
    """The real-trained classifier, as a feature map and as one who names the rhythm.

    Attributes:
        network: networks as the real experiment of the classify stage writes them; the one of the smallest seed judges.
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
