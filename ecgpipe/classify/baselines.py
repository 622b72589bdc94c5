"""Simple baselines: more made of the real records at hand, at the same number of optimiser steps.

Synthetic records are worth their cost only if they help more than these do. Each changes one thing of plain training;
network, records, validation and budget stay:

* ``oversampling``: every class is drawn equally often, so that records of rare classes are repeated (He and Garcia,
  IEEE TKDE 21:1263, 2009).
* ``class_weights``: the loss weighs classes equally (:func:`ecgpipe.classify.training.losses`).
* ``classical_augmentation``: each time a record is read it is stretched and shifted in time, scaled, made noisy, and
  loses leads at random (Iwana and Uchida, PLOS ONE 16:e0254841, 2021). The strengths below leave the rhythm as it is.
* ``mixup``: each time a record is read it is mixed with another of its class, so that the label stays (Zhang et al.,
  arXiv 1710.09412, within a class).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from ecgpipe.classify.inputs import Inputs
from ecgpipe.vocabulary import CLASSICAL_AUGMENTATION, MIXUP, OVERSAMPLING

SHIFT = 0.05
"""Most that a record is shifted, as a part of its length; what is missing at an end is its mirror image."""
WARP = 0.05
"""Most by which time runs faster or slower: the change is one period of a sine over the record."""
SCALE = 1.25
"""Most by which a record's amplitude is multiplied or divided."""
NOISE = 0.1
"""Most standard deviation of the added white noise; standardised signals have 1."""
DROPOUT = 0.1
"""Probability of each lead to be set to its mean."""
ALPHA = 0.2
"""Both parameters of the beta distribution of mixing weights."""

Reader = Callable[[np.ndarray], Tensor]
"""From positions of training records to what the network is given for them."""


def balanced_passes(labels: np.ndarray, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Yield passes without end, each as many positions as there are records, with all classes equally often.

    A record is not drawn again before all of its class have been.

    Args:
        labels: class ids, ``(n,)``.
        rng: of the order.
    """
    supplies = [_endless(np.flatnonzero(labels == label), rng) for label in np.unique(labels)]
    while True:
        counts = np.full(len(supplies), len(labels) // len(supplies))
        counts[rng.permutation(len(supplies))[: len(labels) % len(supplies)]] += 1
        drawn = [position for s, count in zip(supplies, counts, strict=True) for position in itertools.islice(s, count)]
        yield rng.permutation(np.array(drawn, dtype=np.int64))


def _endless(members: np.ndarray, rng: np.random.Generator) -> Iterator[np.int64]:
    while True:
        yield from rng.permutation(members)


def passes(baseline: str | None, labels: np.ndarray, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Return orders of the training records without end: plainly each record once, in a new order each time."""
    if baseline == OVERSAMPLING:
        return balanced_passes(labels, rng)
    return (rng.permutation(len(labels)) for _ in itertools.count())


def reader(baseline: str | None, train: Inputs, rng: np.random.Generator) -> Reader:
    """Return what reads training records for a baseline; for others than two it reads them as they are.

    Args:
        baseline: one of :data:`ecgpipe.vocabulary.BASELINES`, or None for plain training.
        train: standardised signals, ``(n, leads, length)``.
        rng: of the changes.
    """
    if baseline == CLASSICAL_AUGMENTATION:
        return lambda positions: augmented(train.batch(positions), rng)
    if baseline == MIXUP:
        partner = partners(train.labels.cpu().numpy(), rng)
        return lambda positions: mixed(train.batch(positions), train.batch(partner(positions)), rng)
    return train.batch


def partners(labels: np.ndarray, rng: np.random.Generator) -> Callable[[np.ndarray], np.ndarray]:
    """Return what draws, for each of some positions, a record of the same class (at times the same record)."""
    order, counts = np.argsort(labels, kind="stable"), np.bincount(labels)
    first = np.cumsum(counts) - counts

    def draw(positions: np.ndarray) -> np.ndarray:
        own = labels[positions]
        place = (rng.random(len(positions)) * counts[own]).astype(np.int64)
        drawn: np.ndarray = order[first[own] + place]
        return drawn

    return draw


def mixed(signals: Tensor, others: Tensor, rng: np.random.Generator) -> Tensor:
    """Mix signals ``(n, leads, length)`` with others, each pair by a weight of its own."""
    weights = torch.from_numpy(rng.beta(ALPHA, ALPHA, len(signals)).astype(np.float32)).to(signals.device)
    return torch.lerp(others, signals, weights[:, None, None])


def augmented(signals: Tensor, rng: np.random.Generator) -> Tensor:
    """Stretch, shift, scale, make noisy and drop leads of standardised signals ``(n, leads, length)``."""
    n, leads, length = signals.shape

    def tensor(values: np.ndarray) -> Tensor:
        return torch.from_numpy(values.astype(np.float32, copy=False)).to(signals.device)

    by_sample = _at_times(signals.transpose(1, 2), tensor(_times(n, length, rng)))
    by_sample = by_sample * tensor(SCALE ** rng.uniform(-1, 1, (n, 1, 1)))
    noise = rng.standard_normal((n, length, leads), dtype=np.float32)
    by_sample = by_sample + tensor(rng.uniform(0, NOISE, (n, 1, 1))) * tensor(noise)
    return (by_sample * tensor(rng.random((n, 1, leads)) >= DROPOUT)).transpose(1, 2)


def _times(n: int, length: int, rng: np.random.Generator) -> np.ndarray:
    """Return where each sample of a stretched and shifted record is read in the given one, ``(n, length)``."""
    shift = rng.uniform(-SHIFT, SHIFT, (n, 1)) * length
    reach = rng.uniform(-WARP, WARP, (n, 1)) * length / (2 * np.pi)
    phase = rng.uniform(0, 2 * np.pi, (n, 1))
    samples = np.arange(length)
    times = samples + shift + reach * np.sin(2 * np.pi * samples / length + phase)
    last = length - 1
    within: np.ndarray = np.clip(last - np.abs(last - np.abs(times)), 0, last)
    return within


def _at_times(by_sample: Tensor, times: Tensor) -> Tensor:
    """Read signals ``(n, length, leads)`` between their samples, by straight lines, at ``times`` ``(n, length)``."""
    before = times.floor().long().clamp(max=by_sample.shape[1] - 2)
    index = before[:, :, None].expand(-1, -1, by_sample.shape[2])
    return torch.lerp(by_sample.gather(1, index), by_sample.gather(1, index + 1), (times - before)[:, :, None])
