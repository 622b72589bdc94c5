"""How numbers, intervals, metrics and lists are written in sentences."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ecgpipe.vocabulary import ALL_SYNTHETIC, BALANCE, BASELINES

METRIC_NAMES = {
    "macro_f1": "macro F1",
    "macro_roc_auc": "macro ROC-AUC",
    "macro_precision": "macro precision",
    "balanced_accuracy": "balanced accuracy",
    "accuracy": "accuracy",
}
"""Printed names of :data:`ecgpipe.vocabulary.COMPARED`."""

BASELINE_NAMES = {name: name.replace("_", " ") for name in BASELINES}
"""Printed names of :data:`ecgpipe.vocabulary.BASELINES`."""

BASELINE_MEANINGS = {
    "oversampling": "records of rare classes are repeated",
    "class_weights": "the loss weighs all classes equally",
    "classical_augmentation": "records are randomly shifted, stretched and scaled, with noise added and leads dropped",
    "mixup": "records are mixed with others of their class",
}
"""What each of :data:`ecgpipe.vocabulary.BASELINES` does, in a few words."""

MINUS = "\N{MINUS SIGN}"


def added(ratios: Sequence[str | float]) -> str:
    """Say which synthetic training records are added to the real ones: ``experiments.ratios``."""
    words = {
        ALL_SYNTHETIC: "all synthetic training records",
        BALANCE: "as many synthetic records as it takes to fill rare classes up to the most common one",
    }
    told = [words[ratio] for ratio in ratios if isinstance(ratio, str)]
    times = [f"{ratio:g}" for ratio in ratios if not isinstance(ratio, str)]
    told += [f"{_either(times)} times as many synthetic records as real ones"] if times else []
    return _either(told)


def _either(items: Sequence[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} or {items[-1]}"


def number(value: float, digits: int = 3) -> str:
    """Write a figure; a missing one is a dash."""
    return "–" if math.isnan(value) else f"{value:.{digits}f}".replace("-", MINUS)


def signed(value: float, digits: int = 3) -> str:
    """Write a difference with its sign; one that rounds to zero has none."""
    text = number(value, digits)
    return text.removeprefix(MINUS) if not text.strip(f"{MINUS}0.") else (f"+{text}" if value > 0 else text)


def bounds(low: float, high: float) -> str:
    """Write an interval of differences."""
    if math.isnan(low):
        return "[no interval]"
    return f"[{signed(low)}, {signed(high)}]"


def listed(items: list[str]) -> str:
    """Join words: ``a``, ``a and b``, ``a, b and c``."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"
