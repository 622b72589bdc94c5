"""Noise of the electrodes: baseline wander, muscle noise and mains hum."""

from __future__ import annotations

import functools

import numpy as np
import scipy.fft

from ecgpipe.simulator.hospitals import Hospital

MAINS = 50.0
"""Frequency of the mains, Hz."""


@functools.lru_cache(maxsize=8)
def _noise_shapes(rate: float, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the spectra that shape white noise into wander and into muscle noise, all of standard deviation 1.

    Wander falls with frequency from 0.05 to 1 Hz. Muscle noise fills the band of a diagnostic recorder from 12 to
    150 Hz, mostly its lower part; what lies above half the sampling rate is lost, as in sampling.
    """
    band = np.arange(0, 180, 0.05)
    frequency = np.fft.rfftfreq(number, 1 / rate)
    frequency = frequency[frequency < band[-1]]

    def muscle(f: np.ndarray) -> np.ndarray:
        return (f / 12) ** 2 / (1 + (f / 12) ** 2) / (1 + (f / 45) ** 2) / (1 + (f / 150) ** 8)

    wander = np.zeros_like(frequency)
    slow = (frequency > 0.04) & (frequency < 1.0)
    wander[slow] = frequency[slow] ** -1.3
    wander *= np.sqrt(number / 2 / np.sum(wander**2))
    power = np.sum(muscle(band) ** 2) * 0.05  # of white noise with density 1 per Hz
    return wander.astype(np.float32), (muscle(frequency) * np.sqrt(rate / 2 / power)).astype(np.float32)


def noise(rng: np.random.Generator, hospital: Hospital, rate: float, length: int) -> np.ndarray:
    """Draw wander, muscle noise and mains hum at nine electrodes, as leads I, II, V1-V6 see them: (8, length) in mV."""
    # Longer than needed, so that the end does not wrap around to the beginning.
    number = scipy.fft.next_fast_len(length + length // 8, real=True)
    wander_shape, muscle_shape = _noise_shapes(rate, number)
    levels = rng.lognormal(0.0, 0.35, (3, 9, 1)) * rng.lognormal(0.0, 0.5, (3, 1, 1))
    levels *= np.array([hospital.wander, hospital.muscle, hospital.mains])[:, None, None]
    levels[1, 3:] *= 0.6  # arms and legs are noisier
    wander, muscle, mains = levels.astype(np.float32)
    spectrum = rng.standard_normal((9, 2 * len(wander_shape)), dtype=np.float32).view(np.complex64)
    spectrum *= np.float32(np.sqrt(number / 2)) * (wander * wander_shape + muscle * muscle_shape)
    if rate > 2 * MAINS:
        phase = np.exp(2j * np.pi * rng.random(9))
        spectrum[:, round(MAINS * number / rate)] += number / np.sqrt(2) * mains[:, 0] * phase
    right, left, foot, *chest = scipy.fft.irfft(spectrum, number, axis=1)[:, :length]
    wilson = (right + left + foot) / 3
    return np.stack([left - right, foot - right, *(electrode - wilson for electrode in chest)])
