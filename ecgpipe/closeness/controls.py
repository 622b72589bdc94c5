"""Controls: sets whose faults are known, made from real training records and their labels.

The value of a measure on a control shows whether the measure can see that fault.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ecgpipe.closeness.records import Records


def _noise(records: Records, rng: np.random.Generator) -> Records:
    """White noise with each lead's mean and deviation."""
    signals = records.signals[:]
    mean, deviation = signals.mean(axis=2, keepdims=True), signals.std(axis=2, keepdims=True)
    return replace(records, signals=(mean + deviation * rng.standard_normal(signals.shape)).astype(np.float32))


def _surrogates(records: Records, rng: np.random.Generator) -> Records:
    """Phase-randomised surrogates, the same phases for all leads: spectra and cross-spectra stay, beats are lost.

    Prichard and Theiler, Generating surrogate data for time series with several simultaneously measured variables,
    PRL 1994.
    """
    length = records.signals.shape[2]
    spectrum = np.fft.rfft(records.signals[:], axis=2)
    rotations = np.exp(2j * np.pi * rng.random((len(records), 1, spectrum.shape[2])))
    rotations[..., 0] = 1
    if length % 2 == 0:
        rotations[..., -1] = 1
    return replace(records, signals=np.fft.irfft(spectrum * rotations, length, axis=2).astype(np.float32))


def _shuffled_leads(records: Records, rng: np.random.Generator) -> Records:
    """Leads of each record in a random order."""
    order = rng.permuted(np.tile(np.arange(len(records.leads)), (len(records), 1)), axis=1)
    return replace(records, signals=np.take_along_axis(records.signals[:], order[:, :, None], axis=1))


def _copies(records: Records, rng: np.random.Generator) -> Records:
    """The training records themselves."""
    return records


def _other_class(records: Records, rng: np.random.Generator) -> Records:
    """Records of the next class by name under the label of this one."""
    if records.labels is None:
        raise ValueError("the control `other_class` needs labels")
    names = sorted(set(records.labels))
    following = dict(zip(names, names[1:] + names[:1], strict=True))
    return replace(records, labels=np.array([following[label] for label in records.labels], dtype=object))


CONTROLS: dict[str, Callable[[Records, np.random.Generator], Records]] = {
    "noise": _noise,
    "surrogates": _surrogates,
    "shuffled_leads": _shuffled_leads,
    "copies": _copies,
    "other_class": _other_class,
}
"""The controls by name; each takes training records and a source of randomness."""
