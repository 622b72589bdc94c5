"""How thoroughly sets are compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ecgpipe.closeness.measures import MEASURES, Measure

SPLIT_STREAM, CHOICE_STREAM, BOOTSTRAP_STREAM, MIX_STREAM = range(4)
"""Streams of random numbers that are independent of each other: what follows the seed in ``default_rng([seed, …])``."""


@dataclass(frozen=True)
class Settings:
    """How thoroughly to compare.

    Attributes:
        level: ``quick`` or ``full`` set of measures.
        most: most records a side.
        draws: bootstrap draws behind each interval.
        confidence: level of the intervals.
        seed: of the choice of records, bootstrap, permutations and two-sample tests.
    """

    level: Literal["quick", "full"] = "quick"
    most: int = 2000
    draws: int = 200
    confidence: float = 0.95
    seed: int = 0

    def measures(self) -> dict[str, Measure]:
        """Return the measures of the level."""
        return {name: m for name, m in MEASURES.items() if self.level == "full" or m.level == "quick"}
