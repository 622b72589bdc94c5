"""What jobs compute from settings. Digests of code follow this module, and no other of the package.

The rest of :mod:`ecgpipe.config` describes, checks and fills in settings, which reach a job as its parameters. Whatever
else decides a result stands here, so this module holds no default, no description and no message.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ecgpipe.config.sections.datasets import DatasetSettings
    from ecgpipe.config.sections.signal import SignalSettings

LABEL_MAPS = ("rhythms7", "rhythms4", "superclasses5")
"""Names of the label maps that come with the package (ecgpipe/preprocess/<name>.csv)."""


def record_length(signal: SignalSettings) -> int:
    """Return the samples of a record."""
    return round(signal.rate * signal.seconds)


def is_simulated(dataset_settings: Mapping[str, DatasetSettings], name: str) -> bool:
    """Say whether a dataset has simulated records, of its own or a member's."""
    settings = dataset_settings[name]
    if settings.source is None:
        return any(is_simulated(dataset_settings, member) for member in settings.merge or [])
    return settings.source.kind == "simulated"


def is_partial(dataset_settings: Mapping[str, DatasetSettings], name: str) -> bool:
    """Say whether a dataset, or a member of it, leaves training records out."""
    settings = dataset_settings[name]
    members = settings.merge or []
    return settings.training_share is not None or any(is_partial(dataset_settings, member) for member in members)


POOL, STRIDE = 5, 2
"""Samples of each max pooling of the paper's CNN, and its stride."""


def pooled_length(length: int, blocks: int) -> int:
    """Return the samples left of ``length`` after ``blocks`` poolings (below 1: none)."""
    for _ in range(blocks):
        length = (length - POOL) // STRIDE + 1
    return length


def shortest_length(blocks: int) -> int:
    """Return the samples of the shortest record that ``blocks`` poolings leave something of."""
    length = 1
    for _ in range(blocks):
        length = STRIDE * (length - 1) + POOL
    return length
