"""The dipole model of the heart: waves as Gaussians on a moving heart vector, and the leads that see it.

P, Q, R, S and T are Gaussians in time on a 3-D heart vector in Frank's axes (X to the patient's left, Y down, Z to the
back; mV), after McSharry et al., IEEE Trans. Biomed. Eng. 50(3), 2003, and Clifford et al., Comput. Cardiol. 37, 2010.
Dower's matrix projects the vector onto leads I, II, V1-V6; the other four leads follow from them.

The waves of the normal beat were fitted to the mean beat of 68 normal ECGs of PTB-XL (CC BY 4.0), then rounded, and
adjusted until median amplitudes and noise were close to those of a hundred of its sinus-rhythm records. No patient's
recording is part of it.
"""

from __future__ import annotations

import numpy as np

DOWER = np.array(
    [
        [0.632, -0.235, 0.059],  # I
        [0.235, 1.066, -0.132],  # II
        [-0.515, 0.157, -0.917],  # V1
        [0.044, 0.164, -1.387],  # V2
        [0.882, 0.098, -1.277],  # V3
        [1.213, 0.127, -0.601],  # V4
        [1.125, 0.127, -0.086],  # V5
        [0.831, 0.076, 0.230],  # V6
    ]
)
"""Leads I, II, V1-V6 from Frank's X, Y, Z. Source: Dower, Machado, Osborne, Clin. Cardiol. 3(2):87-95, 1980."""

_WAVES: dict[str, tuple[float, float, float, float, float]] = {
    "P right": (-0.164, 0.021, 0.038, 0.072, -0.048),
    "P left": (-0.134, 0.019, 0.058, 0.062, 0.030),
    "Q": (-0.023, 0.0080, -0.14, -0.09, -0.24),
    "R early": (-0.010, 0.0085, 0.37, 0.18, -0.20),
    "R": (0.000, 0.0080, 1.05, 0.74, 0.66),
    "S": (0.015, 0.0080, -0.06, 0.04, 0.66),
    "S late": (0.029, 0.0090, -0.08, -0.01, 0.14),
    "R'": (0.058, 0.0140, 0.0, 0.0, 0.0),
    "ST": (0.100, 0.0420, 0.0, 0.0, -0.06),
    "T rise": (0.236, 0.0560, 0.22, 0.09, -0.27),
    "T": (0.272, 0.0340, 0.31, 0.20, -0.03),
}
WAVE_NAMES = list(_WAVES)
NORMAL_BEAT = np.array(list(_WAVES.values()))
"""Waves of a normal beat: centre after the R peak (s) and width (s) at RR = 1 s, vector X, Y, Z (mV): (waves, 5)."""

# Which waves of the normal beat belong to P, QRS, ST and T: (waves,) each.
IS_P = np.array([name.startswith("P") for name in WAVE_NAMES])
IS_QRS = np.array([name[0] in "QRS" and name != "ST" for name in WAVE_NAMES])
IS_ST = np.array([name == "ST" for name in WAVE_NAMES])
IS_T = np.array([name.startswith("T") for name in WAVE_NAMES])

ECTOPIC_BEAT = np.array(
    [
        [-0.030, 0.026, 1.3, 0.0, 0.0],
        [0.025, 0.030, 0.9, 0.5, 0.0],
        [0.100, 0.060, -0.25, 0.0, 0.0],
        [0.270, 0.060, -0.5, -0.1, 0.0],
    ]
)
"""A ventricular ectopic beat, same columns: broad, in two parts, T opposite. The patient sets its direction."""

PACED_BEAT = np.array(
    [
        [-0.085, 0.0018, 0.4, 0.9, -0.5],
        [-0.025, 0.026, 0.35, -0.55, 0.45],
        [0.020, 0.030, 0.60, -0.85, 0.70],
        [0.110, 0.050, -0.10, 0.15, -0.12],
        [0.275, 0.055, -0.22, 0.35, -0.35],
    ]
)
"""A beat paced from the apex of the right ventricle: spike, broad complex to the left, up and back, T opposite."""


def rotate(vectors: np.ndarray, frontal: float, horizontal: float) -> np.ndarray:
    """Rotate vectors ``(n, 3)`` by degrees: ``frontal`` towards the feet, then ``horizontal`` towards the back."""
    x, y, z = vectors.T
    cos, sin = np.cos(np.radians(frontal)), np.sin(np.radians(frontal))
    x, y = cos * x - sin * y, sin * x + cos * y
    cos, sin = np.cos(np.radians(horizontal)), np.sin(np.radians(horizontal))
    return np.stack([cos * x - sin * z, y, sin * x + cos * z], axis=1)


def _group_by_width(widths: np.ndarray) -> list[np.ndarray]:
    """Return the indices of waves in groups of similar width; ``widths`` is (waves,) in s."""
    order = np.argsort(widths)
    starts = [0]
    for index in range(1, len(order)):
        if widths[order[index]] > 1.6 * widths[order[starts[-1]]]:
            starts.append(index)
    return np.split(order, starts[1:])


def add_waves(heart: np.ndarray, rate: float, centres: np.ndarray, widths: np.ndarray, vectors: np.ndarray) -> None:
    """Add Gaussian waves to the heart vector, each in its own window.

    Args:
        heart: (3, length) in mV; changed in index.
        rate: sampling rate, Hz.
        centres: (beats, waves), s.
        widths: (beats, waves), s.
        vectors: (beats, waves, 3), mV.
    """
    length = heart.shape[1]
    # A recorder's anti-aliasing filter makes a wave of a few samples broader and lower, with the same area.
    recorded = np.hypot(widths, 0.3 / rate)
    vectors = vectors * (widths / recorded)[..., None]
    for waves in _group_by_width(recorded.max(axis=0)):
        centre, width, vector = centres[:, waves] * rate, recorded[:, waves] * rate, vectors[:, waves]
        half = int(np.ceil(3.7 * width.max()))
        visible = (centre > -half) & (centre < length + half) & vector.any(axis=2)
        centre, width, vector = centre[visible], width[visible], vector[visible].astype(np.float32)
        window = np.rint(centre).astype(np.intp)[:, None] + np.arange(-half, half + 1)
        gaussian = np.exp(-0.5 * ((window - centre[:, None]) / width[:, None]).astype(np.float32) ** 2)
        # One bin before and one after the recording collect what lies outside. One axis at a time: larger arrays
        # take twice as long, because their memory is allocated and freed for each recording.
        index = np.minimum(np.maximum(window.ravel() + 1, 0), length + 1)
        for axis in range(3):
            weights = (gaussian * vector[:, axis, None]).ravel()
            heart[axis] += np.bincount(index, weights, minlength=length + 2)[1:-1]
