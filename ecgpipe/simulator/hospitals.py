"""The two simulated hospitals: which rhythms and patients they see, and how noisy their recordings are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

RHYTHMS: tuple[str, ...] = ("SBRAD", "SR", "AFIB", "STACH", "AFLT", "SARRH", "SVTAC")
"""The seven rhythms, by PTB-XL's names."""

FINDINGS: tuple[str, ...] = ("normal", "LVH", "RBBB", "STTC")
"""Forms of a patient's beats: normal, left ventricular hypertrophy, right bundle branch block, ST-T change."""


@dataclass(frozen=True)
class Hospital:
    """What a hospital's ECGs are like; noise levels are medians of the standard deviation at one electrode, in mV."""

    mix: Mapping[str, float]
    """Relative frequency of each rhythm, on any scale."""
    rates: Mapping[str, tuple[float, float, float, float]]
    """Ventricular rate of each rhythm (of AFLT the atrial rate), 1/min: mean, standard deviation, lowest, highest."""
    age: tuple[float, float]
    """Mean and standard deviation, in years."""
    axis: tuple[float, float]
    """Frontal axis of the QRS complex at the age of 50, in degrees: mean and standard deviation."""
    findings: tuple[float, ...]
    """Relative frequency of each of ``FINDINGS``; sums to 1."""
    ectopic: float
    """Share of patients with ventricular ectopic beats."""
    wander: float
    """Level of baseline wander."""
    muscle: float
    """Level of muscle noise."""
    mains: float
    """Level of mains hum."""


HOSPITALS: dict[str, Hospital] = {
    # Counts of PTB-XL 1.0.3.
    "a": Hospital(
        mix={"SBRAD": 637, "SR": 16780, "AFIB": 1514, "STACH": 826, "AFLT": 73, "SARRH": 772, "SVTAC": 27},
        rates={
            "SBRAD": (53, 5, 38, 61),
            "SR": (73, 10, 58, 101),
            "AFIB": (88, 22, 50, 165),
            "STACH": (108, 10, 98, 150),
            "AFLT": (290, 22, 240, 340),
            "SARRH": (66, 9, 50, 98),
            "SVTAC": (172, 16, 150, 220),
        },
        age=(62, 17),
        axis=(46, 27),
        findings=(0.72, 0.09, 0.05, 0.14),
        ectopic=0.04,
        wander=0.035,
        muscle=0.007,
        mains=0.0008,
    ),
    # Counts of Chapman-Shaoxing-Ningbo (ecg-arrhythmia 1.0.0).
    "b": Hospital(
        mix={"SBRAD": 16559, "SR": 8125, "AFIB": 1780, "STACH": 7255, "AFLT": 8060, "SARRH": 2550, "SVTAC": 724},
        rates={
            "SBRAD": (54, 5, 38, 61),
            "SR": (77, 11, 58, 101),
            "AFIB": (99, 25, 50, 165),
            "STACH": (116, 13, 98, 150),
            "AFLT": (298, 24, 240, 340),
            "SARRH": (73, 11, 50, 98),
            "SVTAC": (178, 18, 150, 220),
        },
        age=(57, 19),
        axis=(56, 30),
        findings=(0.68, 0.05, 0.08, 0.19),
        ectopic=0.05,
        wander=0.030,
        muscle=0.015,
        mains=0.003,
    ),
}
"""``a`` is like PTB-XL: mostly sinus rhythm, little noise. ``b`` is like Chapman-Shaoxing-Ningbo: many arrhythmias,
faster hearts, more noise."""
