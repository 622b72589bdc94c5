"""Rhythms: when the ventricles beat in a recording, and what the atria do meanwhile. Textbook values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ecgpipe.simulator.hospitals import Hospital
from ecgpipe.simulator.patients import Patient, truncated_normal


@dataclass(frozen=True)
class RhythmStrip:
    """When the ventricles beat in a recording, and what the atria do meanwhile."""

    times: np.ndarray
    """R peaks in s from the start of the recording, a few of them outside it: (beats,)."""
    rr: np.ndarray
    """RR interval before each beat in s: (beats,)."""
    atria: np.ndarray | None = None
    """Heart vector of fibrillating or fluttering atria in mV: (3, length)."""
    p_waves: bool = False
    """Whether a P wave precedes each beat."""


def _place_beats(rng: np.random.Generator, rr: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return R peaks and their RR intervals; the first beat lies up to two intervals before the recording."""
    return np.cumsum(rr) - rr[0] - (1 + rng.random()) * rr[:3].mean(), rr


def _sinus(rng: np.random.Generator, rate: float, swing: float, jitter: float, seconds: float) -> RhythmStrip:
    """Sinus rhythm of ``rate`` per minute; RR varies with breathing by the share ``swing``, at random by ``jitter``."""
    mean = 60 / rate
    number = int(1.4 * seconds / mean) + 6
    breath = 2 * np.pi * rng.uniform(0.17, 0.33) * mean * np.arange(number) + rng.uniform(0, 2 * np.pi)
    rr = mean * (1 + swing * np.sin(breath)) * (1 + jitter * rng.standard_normal(number))
    return RhythmStrip(*_place_beats(rng, rr), p_waves=True)


def _sawtooth(size: int) -> np.ndarray:
    """Return one cycle of a smooth sawtooth, slow fall and fast rise, of standard deviation 1: (size,)."""
    phase = 2 * np.pi * np.arange(size) / size
    harmonics = np.arange(1, 6)
    wave = (np.sinc(harmonics / 6)[:, None] * np.sin(np.outer(harmonics, phase)) / harmonics[:, None]).sum(axis=0)
    return np.asarray(wave / wave.std())


def _bump(size: int) -> np.ndarray:
    """Return one cycle with a single narrow wave, of mean 0 and standard deviation 1: (size,)."""
    wave = np.exp(5 * (np.cos(2 * np.pi * np.arange(size) / size - 2.2) - 1))
    return np.asarray((wave - wave.mean()) / wave.std())


def _f_wave(size: int) -> np.ndarray:
    """Return one cycle of a wave that is steeper on one side, as f-waves are: (size,)."""
    phase = 2 * np.pi * np.arange(size) / size
    return np.asarray(np.sin(phase + 0.5 * np.sin(phase)))


_CYCLE = 2048
_SAWTOOTH, _BUMP, _F_WAVE = _sawtooth(_CYCLE), _bump(_CYCLE), _f_wave(_CYCLE)


def _read_cycle(cycle: np.ndarray, phase: np.ndarray) -> np.ndarray:
    """Look a cycle up at phases in cycles: much faster than sines, and finer than int16 samples need."""
    return cycle[(phase * _CYCLE).astype(np.intp) % _CYCLE]


def _fibrillation(rng: np.random.Generator, rate: float, time: np.ndarray, seconds: float) -> RhythmStrip:
    """Atrial fibrillation: independent gamma-distributed RR, no P, f-waves of 4-8 Hz, largest in V1."""
    mean, spread = 60 / rate, rng.uniform(0.13, 0.27)
    rr = np.maximum(rng.gamma(1 / spread**2, mean * spread**2, int(1.8 * seconds / mean) + 8), 0.27)
    size = min(max(rng.lognormal(np.log(0.035), 0.55), 0.012), 0.11)
    centre = rng.uniform(4.8, 7.2)
    drift = rng.uniform(0.05, 0.2) * np.sin(2 * np.pi * rng.uniform(0.1, 0.5) * time + rng.uniform(0, 2 * np.pi))
    atria = np.zeros((3, len(time)))
    for frequency in np.clip(rng.normal(centre, 0.45, 3), 4.0, 8.0):
        wave = _read_cycle(_F_WAVE, frequency * time + drift + rng.random())
        atria += size * rng.normal([-0.3, 0.4, -0.7], 0.25)[:, None] * wave
    return RhythmStrip(*_place_beats(rng, rr), atria=atria)


def _flutter(rng: np.random.Generator, rate: float, time: np.ndarray, seconds: float) -> RhythmStrip:
    """Atrial flutter: a sawtooth of ``rate`` per minute in the inferior leads; every 2nd to 4th wave is conducted."""
    cycle = 60 / rate
    number = int(0.8 * seconds / cycle) + 8
    conduction = rng.choice(["2:1", "3:1", "4:1", "varying"], p=[0.45, 0.10, 0.20, 0.25])
    ratio = (
        rng.choice([2, 3, 4], number, p=[0.45, 0.2, 0.35])
        if conduction == "varying"
        else np.full(number, int(conduction[0]))
    )
    times, rr = _place_beats(rng, cycle * ratio)
    phase = (time - times[0]) / cycle + rng.random()
    size = min(max(rng.lognormal(np.log(0.065), 0.4), 0.025), 0.14)
    direction = 1.0 if rng.random() < 0.85 else -1.0  # around the tricuspid annulus, mostly counterclockwise
    vector = np.array([0.05, 1.0, 0.1]) * rng.normal(1, 0.15, 3)
    atria = size * direction * vector[:, None] * _read_cycle(_SAWTOOTH, phase)
    atria += (
        size * direction * rng.uniform(0.3, 0.7) * np.array([-0.35, 0.0, -0.8])[:, None] * _read_cycle(_BUMP, phase)
    )
    return RhythmStrip(times + 0.004 * rng.standard_normal(number), rr, atria=atria)


def _reentry(rng: np.random.Generator, rate: float, seconds: float) -> RhythmStrip:
    """Supraventricular tachycardia: RR regular to within 1 %, no P wave before the complex."""
    mean = 60 / rate
    rr = mean * (1 + 0.006 * rng.standard_normal(int(1.3 * seconds / mean) + 6))
    return RhythmStrip(*_place_beats(rng, rr))


def draw_strip(
    rng: np.random.Generator, rhythm: str, hospital: Hospital, patient: Patient, time: np.ndarray, seconds: float
) -> RhythmStrip:
    """Draw the beats of one recording; ``time`` is (length,) in s, and ``seconds`` its length."""
    rate = truncated_normal(rng, *hospital.rates[rhythm])
    if patient.finding == "paced":
        return _sinus(rng, rng.uniform(60, 75), 0.0, 0.002, seconds)
    if rhythm == "AFIB":
        return _fibrillation(rng, rate, time, seconds)
    if rhythm == "AFLT":
        return _flutter(rng, rate, time, seconds)
    if rhythm == "SVTAC":
        return _reentry(rng, rate, seconds)
    if rhythm == "SARRH":
        return _sinus(rng, rate, rng.uniform(0.09, 0.22), 0.025, seconds)
    if rhythm == "STACH":
        return _sinus(rng, rate, rng.uniform(0.003, 0.02), 0.006, seconds)
    # Young hearts follow the breath more; at the upper limit this cannot be told from sinus arrhythmia.
    swing = min(rng.lognormal(np.log(0.034), 0.55) * (1.6 - 0.012 * patient.age), 0.095)
    return _sinus(rng, rate, swing, 0.009, seconds)
