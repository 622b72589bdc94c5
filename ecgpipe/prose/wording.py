"""How numbers, intervals, metrics and lists are written in sentences."""

from __future__ import annotations

import math

from ecgpipe.vocabulary import BASELINES

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

MINUS = "\N{MINUS SIGN}"


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
