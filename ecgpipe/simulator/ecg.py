"""One simulated 12-lead ECG: a patient's beats in a rhythm, seen by the leads, with noise.

The rhythm decides when the ventricles beat and what the atria do, the patient the form and axis of the beats, and the
hospital how fast hearts are and how noisy recordings are. The result looks like an ECG and is good for trying software
out, not for medicine.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ecgpipe.leads import twelve_from_independent
from ecgpipe.simulator.dipole import IS_P, IS_ST, IS_T, add_waves
from ecgpipe.simulator.hospitals import RHYTHMS, Hospital
from ecgpipe.simulator.noise import noise
from ecgpipe.simulator.patients import Patient
from ecgpipe.simulator.rhythms import RhythmStrip, draw_strip


def _beat_waves(
    rng: np.random.Generator, rhythm: str, patient: Patient, strip: RhythmStrip
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return each beat's waves: centres after its R peak in s, widths in s, both (beats, waves), and vectors in mV.

    The vectors are (beats, waves, 3).
    """
    beats = len(strip.times)
    centres = np.repeat(patient.waves[None, :, 0], beats, axis=0)
    widths = np.repeat(patient.waves[None, :, 1], beats, axis=0)
    vectors = np.repeat(patient.waves[None, :, 2:], beats, axis=0)
    # Repolarisation follows the mean interval more than the last one; PR shortens less than QT; T is lower at high
    # heart rates.
    interval = (0.7 * strip.rr.mean() + 0.3 * strip.rr)[:, None]
    if patient.finding == "paced":
        late = patient.waves[:, 0] > 0.08
    else:
        late = IS_ST | IS_T
        centres[:, IS_P] *= interval**0.25
        vectors[:, IS_P] *= float(strip.p_waves)
        if rhythm == "SVTAC":
            # ST depression at high rates; in some patients retrograde P waves follow the ventricles.
            vectors[:, IS_ST] += rng.uniform(0, 1) * np.array([-0.09, -0.05, 0.02])
            vectors[:, IS_T] *= rng.uniform(0.5, 1.0)
            if rng.random() < 0.4:
                centres[:, IS_P] = rng.uniform(0.07, 0.12)
                vectors[:, IS_P] = rng.uniform(0.5, 1.3) * np.array([0.0, -0.06, -0.03])
        vectors[:, IS_T] *= np.clip(interval, 0.3, 1.1)[..., None] ** 0.5
    centres[:, late] *= interval**0.38
    widths[:, late] *= interval**0.38
    # Breathing moves the heart, and no two beats are quite alike.
    breath = 2 * np.pi * rng.uniform(0.17, 0.33) * strip.times + rng.uniform(0, 2 * np.pi)
    size = 1 + rng.uniform(0.01, 0.06) * np.sin(breath)
    return centres, widths, vectors * size[:, None, None] * rng.normal(1.0, 0.02, (beats, 1, 3))


class Beats(NamedTuple):
    """The ventricles' beats within a recording, in order of time."""

    times: np.ndarray
    """R peaks, (beats,) in s."""
    ectopic: np.ndarray
    """Which of them are ectopic, (beats,) bool."""


def heart_vector(
    rng: np.random.Generator, rhythm: str, hospital: Hospital, patient: Patient, rate: float, seconds: float
) -> np.ndarray:
    """Draw the heart vector of one recording, without noise: (3, rate · seconds) in mV.

    The same generator state gives the same heart at every sampling rate.

    Raises:
        ValueError: if ``rhythm`` is none of ``RHYTHMS``.
    """
    return _heart_and_beats(rng, rhythm, hospital, patient, rate, seconds)[0]


def _heart_and_beats(
    rng: np.random.Generator, rhythm: str, hospital: Hospital, patient: Patient, rate: float, seconds: float
) -> tuple[np.ndarray, Beats]:
    if rhythm not in RHYTHMS:
        raise ValueError(f"unknown rhythm {rhythm!r}; known: {', '.join(RHYTHMS)}")
    time = np.arange(round(rate * seconds)) / rate
    strip = draw_strip(rng, rhythm, hospital, patient, time, seconds)
    heart = np.zeros((3, len(time))) if strip.atria is None else strip.atria
    centres, widths, vectors = _beat_waves(rng, rhythm, patient, strip)
    replaced, first = np.zeros(len(strip.times), dtype=bool), np.zeros(0)
    if patient.ectopic:
        inside = np.flatnonzero((strip.times > 0.5) & (strip.times < seconds - 1))
        replaced[rng.permutation(inside)[: rng.integers(1, 3)]] = True
        first = strip.times[replaced] - rng.uniform(0.25, 0.4) * strip.rr[replaced]
        beats = np.repeat(patient.ectopic_waves[None], len(first), axis=0)
        add_waves(heart, rate, first[:, None] + beats[..., 0], beats[..., 1], beats[..., 2:])
    kept = ~replaced
    add_waves(heart, rate, strip.times[kept, None] + centres[kept], widths[kept], vectors[kept])
    times = np.concatenate([strip.times[kept], first])
    order = np.argsort(times)
    order = order[(times[order] >= 0) & (times[order] < seconds)]
    return heart, Beats(times[order], order >= kept.sum())


def simulate_ecg(
    rng: np.random.Generator, rhythm: str, hospital: Hospital, patient: Patient, rate: float, seconds: float
) -> np.ndarray:
    """Draw one 12-lead recording; :func:`simulate_ecg_with_beats` says where its beats are."""
    return simulate_ecg_with_beats(rng, rhythm, hospital, patient, rate, seconds)[0]


def simulate_ecg_with_beats(
    rng: np.random.Generator, rhythm: str, hospital: Hospital, patient: Patient, rate: float, seconds: float
) -> tuple[np.ndarray, Beats]:
    """Draw one 12-lead recording.

    Args:
        rng: random generator of this recording.
        rhythm: one of ``RHYTHMS``.
        hospital: sets heart rates and noise levels.
        patient: whose heart it is, from :func:`draw_patient`.
        rate: sampling rate, Hz.
        seconds: length, s.

    Returns:
        (12, rate · seconds), float32, mV, leads in the order of ``ecgpipe.leads.LEADS``, and its beats. The limb-lead
        identities hold.

    Raises:
        ValueError: if ``rhythm`` is none of ``RHYTHMS``.
    """
    heart, beats = _heart_and_beats(rng, rhythm, hospital, patient, rate, seconds)
    # einsum, not a product by BLAS: its bytes do not depend on the number of threads.
    clean = np.einsum("lx,xt->lt", patient.leads.astype(np.float32), heart.astype(np.float32))
    clean += noise(rng, hospital, rate, clean.shape[1])
    return twelve_from_independent(clean), beats
