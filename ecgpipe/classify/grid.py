"""The trainings of each experiment: combinations of settings, shares, ratios and seeds; and their number."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ecgpipe.classify.subsets import feasible_ratios, subset
from ecgpipe.config import Ratio
from ecgpipe.vocabulary import ALL_SYNTHETIC, AUGMENTED, BALANCE, NO_GENERATOR, NO_RATIO, REAL, SYNTHETIC


@dataclass(frozen=True)
class Training:
    """One training of one network, by the columns of the tables that name it."""

    setting: str
    generator: str
    fraction: float
    ratio: str
    seed: int

    def __str__(self) -> str:
        ratio = "" if self.ratio in (NO_RATIO, ALL_SYNTHETIC) else f" ratio {self.ratio}"
        return f"{self.setting} {self.generator} fraction {self.fraction}{ratio} seed {self.seed}"

    @property
    def state(self) -> str:
        """Name of the file that keeps a finished training."""
        return f"{self.setting}-{self.fraction!r}-{self.ratio}-{self.seed}.safetensors"


def grid(
    setting: str,
    generator: str,
    fractions: Iterable[float],
    seeds: Iterable[int],
    ratios: Sequence[str] = (NO_RATIO,),
) -> list[Training]:
    """Return every combination, by fraction, ratio and seed."""
    return [
        Training(setting, generator, fraction, ratio, seed)
        for fraction in sorted(set(fractions))
        for ratio in ratios
        for seed in sorted(set(seeds))
    ]


def real_trainings(fractions: Iterable[float], seeds: Iterable[int]) -> list[Training]:
    """Return the trainings of TrRTeR."""
    return grid(REAL, NO_GENERATOR, fractions, seeds)


def baseline_trainings(baselines: Iterable[str], fractions: Iterable[float], seeds: Iterable[int]) -> list[Training]:
    """Return the trainings of simple baselines, baseline by baseline."""
    fractions, seeds = list(fractions), list(seeds)
    return [training for baseline in baselines for training in grid(baseline, NO_GENERATOR, fractions, seeds)]


def synthetic_trainings(generator: str, seeds: Iterable[int]) -> list[Training]:
    """Return the trainings of TrSTeR."""
    return grid(SYNTHETIC, generator, [0.0], seeds)


def augmented_trainings(
    generator: str, ratios_by_fraction: Mapping[float, Sequence[str]], seeds: Iterable[int]
) -> list[Training]:
    """Return the trainings of TrRSTeR, from the ratios that are feasible at each share of the real records."""
    seeds = list(seeds)
    return [
        training
        for fraction, ratios in sorted(ratios_by_fraction.items())
        for training in grid(AUGMENTED, generator, [fraction], seeds, ratios)
    ]


def transfer_trainings(
    methods: Iterable[str], generator: str, fractions: Iterable[float], seeds: Iterable[int]
) -> list[Training]:
    """Return the trainings of transfer, method by method."""
    fractions, seeds = list(fractions), list(seeds)
    return [training for method in methods for training in grid(method, generator, fractions, seeds)]


def ratio_name(ratio: Ratio) -> str:
    """Write a ratio as in the tables: ``all``, ``balance``, ``0.5``."""
    return ratio if isinstance(ratio, str) else f"{ratio:g}"


def count_trainings(settings: Mapping[str, Any], real: int | None = None, synthetic: int = 0) -> int:
    """Count the networks that a job of the classify stage trains, before its records are there.

    With numbers of records but no labels this is an upper bound: ``balance`` is always counted, and shares are rounded
    once instead of class by class.

    Args:
        settings: the job's parameters: ``fractions`` and ``seeds``; for transfer ``methods``; for simple baselines
            ``baselines``; for augmentation and cross-set ``settings`` (TrSTeR, TrRSTeR) and ``ratios``.
        real: training records of its dataset; if they are not known, no ratio is left out.
        synthetic: training records of the synthetic set.
    """
    fractions, seeds = settings["fractions"], settings["seeds"]
    if "methods" in settings:
        return len(transfer_trainings(settings["methods"], "", fractions, seeds))
    if "baselines" in settings:
        return len(baseline_trainings(settings["baselines"], fractions, seeds))
    if "settings" not in settings:
        return len(real_trainings(fractions, seeds))
    trainings = synthetic_trainings("", seeds) if SYNTHETIC in settings["settings"] else []
    if AUGMENTED in settings["settings"]:
        ratios = [ratio_name(ratio) for ratio in settings["ratios"]]
        by_fraction = {fraction: _assumed_ratios(ratios, fraction, real, synthetic) for fraction in fractions}
        trainings += augmented_trainings("", by_fraction, seeds)
    return len(trainings)


def _assumed_ratios(ratios: Sequence[str], fraction: float, real: int | None, synthetic: int) -> list[str]:
    """Return the ratios that are feasible as far as numbers of records tell."""
    if real is None:
        return list(ratios)
    one_class = np.zeros(max(real, synthetic), dtype=np.int64)
    share = one_class[subset(one_class[:real], fraction, 0)]
    numbers = feasible_ratios([ratio for ratio in ratios if ratio != BALANCE], share, one_class[:synthetic])
    return [ratio for ratio in ratios if ratio == BALANCE or ratio in numbers]
