"""Simulated patients: age, sex, finding, and the form and axis of their beats.

Spreads and findings are textbook values.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ecgpipe.simulator.dipole import (
    DOWER,
    ECTOPIC_BEAT,
    IS_P,
    IS_QRS,
    IS_ST,
    IS_T,
    NORMAL_BEAT,
    PACED_BEAT,
    WAVE_NAMES,
    rotate,
)
from ecgpipe.simulator.hospitals import FINDINGS, Hospital

# Years by which the mean age of patients with a rhythm differs from the hospital's.
_AGE_SHIFT = {"AFIB": 9.0, "AFLT": 7.0, "SARRH": -14.0, "SVTAC": -8.0, "STACH": -3.0}


@dataclass(frozen=True)
class Patient:
    """One patient's heart and chest: what stays the same from one recording to the next."""

    age: int
    """Years."""
    sex: int
    """0 male, 1 female, as in PTB-XL."""
    finding: str
    """One of ``FINDINGS``, or ``paced``."""
    ectopic: bool
    """Whether ventricular ectopic beats occur."""
    waves: np.ndarray
    """Centre (s), width (s) and vector (mV) of each wave at RR = 1 s: (waves, 5)."""
    ectopic_waves: np.ndarray
    """The same for an ectopic beat."""
    leads: np.ndarray
    """Matrix from the heart vector to the eight independent leads in this chest: (8, 3)."""

    @property
    def axis(self) -> float:
        """Frontal axis of the ventricular complex in degrees, from the areas of leads I and aVF."""
        net = (self.waves[:, 2:] * self.waves[:, 1:2])[np.abs(self.waves[:, 0]) < 0.08].sum(axis=0)
        one, two = self.leads[:2] @ net
        return float(np.degrees(np.arctan2(2 * (two - one / 2), np.sqrt(3) * one)))


def truncated_normal(rng: np.random.Generator, mean: float, deviation: float, low: float, high: float) -> float:
    """Draw from a normal distribution until the value lies within ``low`` and ``high``."""
    while not low <= (value := rng.normal(mean, deviation)) <= high:
        pass
    return float(value)


def draw_patient(rng: np.random.Generator, hospital: Hospital, rhythm: str, paced: bool = False) -> Patient:
    """Draw a patient who comes to ``hospital`` with ``rhythm``, optionally one with a pacemaker."""
    mean, deviation = hospital.age
    age = truncated_normal(rng, mean + _AGE_SHIFT.get(rhythm, 0.0), deviation, 5, 98)
    sex = int(rng.random() < 0.48)
    finding = "paced" if paced else FINDINGS[np.searchsorted(np.cumsum(hospital.findings)[:-1], rng.random())]
    if rhythm == "SVTAC" and finding == "RBBB":
        finding = "normal"  # the study's supraventricular tachycardia has narrow complexes
    ectopic = bool(rng.random() < hospital.ectopic) and not paced and rhythm not in ("AFLT", "SVTAC")
    # Hearts turn left and voltages fall with age; women have lower voltages, lower T and a longer QT.
    turn = rng.normal(hospital.axis[0] - 0.35 * (age - 50), hospital.axis[1]) - 50
    voltage = rng.lognormal(0.0, 0.25) * (1.25 - 0.004 * age) * (0.95 if sex else 1.05)
    waves = NORMAL_BEAT.copy()
    vectors = waves[:, 2:]
    vectors[IS_QRS] = voltage * rotate(vectors[IS_QRS], turn, rng.normal(0, 12))
    recovery = voltage**0.5 * rng.lognormal(0.0, 0.3) * (1.3 - 0.006 * age) * (0.9 if sex else 1.05)
    vectors[IS_T] = recovery * rotate(vectors[IS_T], 0.5 * turn + rng.normal(0, 12), rng.normal(0, 15))
    vectors[IS_P] = rng.lognormal(0.0, 0.3) * rotate(vectors[IS_P], rng.normal(0, 15), rng.normal(0, 10))
    vectors *= rng.normal(1.0, 0.12, vectors.shape)
    vectors[IS_ST] += rng.normal(0.0, 0.025, 3)
    breadth = rng.lognormal(0.0, 0.09)
    waves[IS_QRS, :2] *= breadth
    waves[IS_P, 0] -= min(max(rng.normal(0.0, 0.020), -0.03), 0.08)
    waves[IS_P, 1] *= rng.lognormal(0.0, 0.12)
    waves[IS_T, :2] *= rng.lognormal(0.02 if sex else 0.0, 0.06)
    _apply_finding(rng, finding, waves, voltage)
    if finding == "paced":
        waves = PACED_BEAT.copy()
        waves[:, 2:] = voltage * rotate(PACED_BEAT[:, 2:], rng.normal(0, 15), rng.normal(0, 10))
    ectopic_waves = ECTOPIC_BEAT.copy()
    ectopic_waves[:, 2:] = rotate(ECTOPIC_BEAT[:, 2:], rng.uniform(-180, 180), rng.uniform(-60, 60))
    leads = DOWER * rng.normal(1.0, 0.18, DOWER.shape) + rng.normal(0.0, 0.09, DOWER.shape)
    return Patient(round(age), sex, finding, ectopic, waves, ectopic_waves, leads)


def _apply_finding(rng: np.random.Generator, finding: str, waves: np.ndarray, voltage: float) -> None:
    """Change a patient's waves, in place, as the finding does."""
    vectors = waves[:, 2:]
    if finding == "LVH":
        vectors[IS_QRS] *= rng.uniform(1.4, 1.9)
        waves[IS_QRS, :2] *= 1.1
        strain = rng.uniform(0, 1)
        vectors[IS_T] *= 1 - 1.5 * strain
        vectors[IS_ST] += strain * np.array([-0.10, -0.03, -0.08])
    elif finding == "RBBB":
        vectors[WAVE_NAMES.index("R'")] = rng.uniform(0.7, 1.2) * voltage * np.array([-0.50, -0.05, -0.60])
        vectors[WAVE_NAMES.index("R")] *= np.array([1.0, 1.0, 0.7])
        vectors[IS_T] += rng.uniform(0.5, 1.0) * np.array([0.03, 0.0, 0.14])
    elif finding == "STTC":
        vectors[IS_T] *= rng.uniform(-0.6, 0.35)
        vectors[IS_ST] += rng.uniform(0, 1) * np.array([-0.07, -0.04, 0.0])
