"""How the page names rhythms and what a network was trained on, and how it writes a cell of the summary."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ecgpipe.prose.rows import Row
from ecgpipe.prose.wording import BASELINE_NAMES, number
from ecgpipe.vocabulary import (
    ALL_SYNTHETIC,
    AUGMENTED,
    BALANCE,
    BASELINES,
    FINETUNED,
    FROZEN,
    NO_GENERATOR,
    NO_RATIO,
    PROBE,
    REAL,
    REAL_ON_SYNTHETIC,
    SYNTHETIC,
    SYNTHETIC_ON_SYNTHETIC,
)

TRAINED_ON = {
    REAL: "real only",
    **{name: f"real only, {BASELINE_NAMES[name]}" for name in BASELINES},
    AUGMENTED: "real + {}",
    SYNTHETIC: "{} only",
    FROZEN: "{}, fine-tuned",
    FINETUNED: "{}, all weights fine-tuned",
    PROBE: "{}, linear probe",
    SYNTHETIC_ON_SYNTHETIC: "{} only, tested on {}",
    REAL_ON_SYNTHETIC: "real only, tested on {}",
}
"""What a network was trained on, by setting; {} is the generator."""


def trained_on(setting: str, generator: str, ratio: str = ALL_SYNTHETIC) -> str:
    """Name what a network was trained on."""
    name = TRAINED_ON[setting].format(generator, generator) if generator != NO_GENERATOR else TRAINED_ON[setting]
    if ratio in (NO_RATIO, ALL_SYNTHETIC):
        return name
    return f"{name}, balanced" if ratio == BALANCE else f"{name}, {ratio}:1"


def interval(row: Row) -> tuple[str, str]:
    """Write mean and interval of a row of the summary."""
    mean, low, high = (float(row[name]) for name in ("mean", "low", "high"))
    return number(mean), "" if np.isnan(mean) else f"[{number(low, 2)}, {number(high, 2)}]"


RHYTHMS = {
    "SBRAD": "sinus bradycardia",
    "SR": "sinus rhythm",
    "AFIB": "atrial fibrillation",
    "STACH": "sinus tachycardia",
    "AFLT": "atrial flutter",
    "SARRH": "sinus arrhythmia",
    "SVTAC": "supraventricular tachycardia",
    "SB": "sinus bradycardia",
    "GSVT": "supraventricular tachycardias, grouped",
    "NORM": "normal ECG",
    "MI": "myocardial infarction",
    "STTC": "ST or T wave change",
    "CD": "conduction disturbance",
    "HYP": "hypertrophy",
}
"""Classes of the shipped label maps, spelt out."""


def spelt_out(classes: Sequence[str]) -> list[tuple[str, str]]:
    """Return the classes that have a longer name, with it."""
    return [(name, RHYTHMS[name]) for name in classes if name in RHYTHMS]
