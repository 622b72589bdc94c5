"""A simulated heart: a moving dipole seen by twelve leads, in the seven rhythms of the study.

P, Q, R, S and T are Gaussians in time on a 3-D heart vector in Frank's axes (X to the patient's left, Y down, Z to the
back; mV), after McSharry et al., IEEE Trans. Biomed. Eng. 50(3), 2003, and Clifford et al., Comput. Cardiol. 37, 2010.
Dower's matrix takes the vector to leads I, II, V1-V6; the other four follow from them. The rhythm sets when the
ventricles beat and what the atria do; the patient sets form and axis; the hospital sets how common everything is and
how noisy the recordings are.

The normal beat's waves were fitted to the mean beat of 68 normal ECGs of PTB-XL (CC BY 4.0), then rounded and adjusted
until median amplitudes and noise lay near those of a hundred of its sinus-rhythm records; spreads, findings and rhythms are
textbook values. No patient's recording is in it. What it draws looks like an ECG and is good for trying software out,
not for medicine.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import scipy.fft

from ecgpipe.leads import twelve_from_independent

RHYTHMS: tuple[str, ...] = ("SBRAD", "SR", "AFIB", "STACH", "AFLT", "SARRH", "SVTAC")
"""The seven rhythms, by PTB-XL's names."""

FINDINGS: tuple[str, ...] = ("normal", "LVH", "RBBB", "STTC")
"""Forms a patient's ventricular complex may have: normal, left ventricular hypertrophy, right bundle branch block,
unspecific change of ST and T."""

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

# Centre after the R peak (s) and width (s) at RR = 1 s, and vector (X, Y, Z in mV) of each wave of a normal beat.
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
_NAMES = list(_WAVES)
_TEMPLATE = np.array(list(_WAVES.values()))
_P = np.array([name.startswith("P") for name in _NAMES])
_QRS = np.array([name[0] in "QRS" and name != "ST" for name in _NAMES])
_ST = np.array([name == "ST" for name in _NAMES])
_T = np.array([name.startswith("T") for name in _NAMES])

# A ventricular ectopic beat: broad, in two parts, with T opposite to it. Same columns, direction set by the patient.
_ECTOPIC = np.array(
    [
        [-0.030, 0.026, 1.3, 0.0, 0.0],
        [0.025, 0.030, 0.9, 0.5, 0.0],
        [0.100, 0.060, -0.25, 0.0, 0.0],
        [0.270, 0.060, -0.5, -0.1, 0.0],
    ]
)
# A beat paced from the apex of the right ventricle: spike, broad complex to the left, up and back, T opposite.
_PACED = np.array(
    [
        [-0.085, 0.0018, 0.4, 0.9, -0.5],
        [-0.025, 0.026, 0.35, -0.55, 0.45],
        [0.020, 0.030, 0.60, -0.85, 0.70],
        [0.110, 0.050, -0.10, 0.15, -0.12],
        [0.275, 0.055, -0.22, 0.35, -0.35],
    ]
)

MAINS = 50.0
"""Frequency of the mains, Hz."""


@dataclass(frozen=True)
class Hospital:
    """What a hospital's ECGs are like. Noise levels are medians of the deviation at one electrode, in mV."""

    mix: Mapping[str, float]
    """How often each rhythm is recorded; any scale."""
    rates: Mapping[str, tuple[float, float, float, float]]
    """Ventricular rate of each rhythm (in AFLT the atria's), 1/min: mean, deviation, lowest, highest."""
    age: tuple[float, float]
    """Mean and deviation, in years."""
    axis: tuple[float, float]
    """Frontal axis of the QRS complex at 50 years, in degrees: mean and deviation."""
    findings: tuple[float, ...]
    """How often each of ``FINDINGS`` is seen; sums to 1."""
    ectopic: float
    """Share of patients with ventricular ectopic beats."""
    wander: float
    muscle: float
    mains: float


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
"""``a`` is like PTB-XL: mostly sinus rhythm, quiet. ``b`` is like Chapman-Shaoxing-Ningbo: arrhythmias, faster, noisier."""

# Years by which patients with a rhythm differ from the hospital's mean.
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
    """The same of an ectopic beat."""
    leads: np.ndarray
    """The eight independent leads from the heart vector in this chest: (8, 3)."""

    @property
    def axis(self) -> float:
        """Frontal axis of the ventricular complex in degrees, from the areas of leads I and aVF."""
        net = (self.waves[:, 2:] * self.waves[:, 1:2])[np.abs(self.waves[:, 0]) < 0.08].sum(axis=0)
        one, two = self.leads[:2] @ net
        return float(np.degrees(np.arctan2(2 * (two - one / 2), np.sqrt(3) * one)))


def _truncated_normal(rng: np.random.Generator, mean: float, deviation: float, low: float, high: float) -> float:
    while not low <= (value := rng.normal(mean, deviation)) <= high:
        pass
    return float(value)


def _turned(vectors: np.ndarray, frontal: float, horizontal: float) -> np.ndarray:
    """Turn vectors ``(n, 3)`` by degrees: in the frontal plane towards the feet, in the horizontal plane to the back."""
    x, y, z = vectors.T
    cos, sin = np.cos(np.radians(frontal)), np.sin(np.radians(frontal))
    x, y = cos * x - sin * y, sin * x + cos * y
    cos, sin = np.cos(np.radians(horizontal)), np.sin(np.radians(horizontal))
    return np.stack([cos * x - sin * z, y, sin * x + cos * z], axis=1)


def draw_patient(rng: np.random.Generator, hospital: Hospital, rhythm: str, paced: bool = False) -> Patient:
    """Draw a patient who comes to ``hospital`` with ``rhythm``, optionally one with a pacemaker."""
    mean, deviation = hospital.age
    age = _truncated_normal(rng, mean + _AGE_SHIFT.get(rhythm, 0.0), deviation, 5, 98)
    sex = int(rng.random() < 0.48)
    finding = "paced" if paced else FINDINGS[np.searchsorted(np.cumsum(hospital.findings)[:-1], rng.random())]
    if rhythm == "SVTAC" and finding == "RBBB":
        finding = "normal"  # the study's supraventricular tachycardia is one of narrow complexes
    ectopic = bool(rng.random() < hospital.ectopic) and not paced and rhythm not in ("AFLT", "SVTAC")
    # Hearts turn left and voltages fall with age; women have lower voltages, lower T and a longer QT.
    turn = rng.normal(hospital.axis[0] - 0.35 * (age - 50), hospital.axis[1]) - 50
    voltage = rng.lognormal(0.0, 0.25) * (1.25 - 0.004 * age) * (0.95 if sex else 1.05)
    waves = _TEMPLATE.copy()
    vectors = waves[:, 2:]
    vectors[_QRS] = voltage * _turned(vectors[_QRS], turn, rng.normal(0, 12))
    recovery = voltage**0.5 * rng.lognormal(0.0, 0.3) * (1.3 - 0.006 * age) * (0.9 if sex else 1.05)
    vectors[_T] = recovery * _turned(vectors[_T], 0.5 * turn + rng.normal(0, 12), rng.normal(0, 15))
    vectors[_P] = rng.lognormal(0.0, 0.3) * _turned(vectors[_P], rng.normal(0, 15), rng.normal(0, 10))
    vectors *= rng.normal(1.0, 0.12, vectors.shape)
    vectors[_ST] += rng.normal(0.0, 0.025, 3)
    breadth = rng.lognormal(0.0, 0.09)
    waves[_QRS, :2] *= breadth
    waves[_P, 0] -= min(max(rng.normal(0.0, 0.020), -0.03), 0.08)
    waves[_P, 1] *= rng.lognormal(0.0, 0.12)
    waves[_T, :2] *= rng.lognormal(0.02 if sex else 0.0, 0.06)
    _mark(rng, finding, waves, voltage)
    if finding == "paced":
        waves = _PACED.copy()
        waves[:, 2:] = voltage * _turned(_PACED[:, 2:], rng.normal(0, 15), rng.normal(0, 10))
    ectopic_waves = _ECTOPIC.copy()
    ectopic_waves[:, 2:] = _turned(_ECTOPIC[:, 2:], rng.uniform(-180, 180), rng.uniform(-60, 60))
    leads = DOWER * rng.normal(1.0, 0.18, DOWER.shape) + rng.normal(0.0, 0.09, DOWER.shape)
    return Patient(round(age), sex, finding, ectopic, waves, ectopic_waves, leads)


def _mark(rng: np.random.Generator, finding: str, waves: np.ndarray, voltage: float) -> None:
    """Change a patient's waves in place by a finding."""
    vectors = waves[:, 2:]
    if finding == "LVH":
        vectors[_QRS] *= rng.uniform(1.4, 1.9)
        waves[_QRS, :2] *= 1.1
        strain = rng.uniform(0, 1)
        vectors[_T] *= 1 - 1.5 * strain
        vectors[_ST] += strain * np.array([-0.10, -0.03, -0.08])
    elif finding == "RBBB":
        vectors[_NAMES.index("R'")] = rng.uniform(0.7, 1.2) * voltage * np.array([-0.50, -0.05, -0.60])
        vectors[_NAMES.index("R")] *= np.array([1.0, 1.0, 0.7])
        vectors[_T] += rng.uniform(0.5, 1.0) * np.array([0.03, 0.0, 0.14])
    elif finding == "STTC":
        vectors[_T] *= rng.uniform(-0.6, 0.35)
        vectors[_ST] += rng.uniform(0, 1) * np.array([-0.07, -0.04, 0.0])


@dataclass(frozen=True)
class _Strip:
    """When the ventricles beat, and what the atria do meanwhile."""

    times: np.ndarray
    """R peaks, s from the start of the recording; a few lie outside it: (beats,)."""
    rr: np.ndarray
    """Interval before each beat, s: (beats,)."""
    atria: np.ndarray | None = None
    """Heart vector of the fibrillating or fluttering atria, mV: (3, length)."""
    p_waves: bool = False
    """Whether each beat follows a P wave."""


def _beats(rng: np.random.Generator, rr: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Put intervals one after the other, the first beat up to two intervals before the recording."""
    return np.cumsum(rr) - rr[0] - (1 + rng.random()) * rr[:3].mean(), rr


def _sinus(rng: np.random.Generator, rate: float, swing: float, jitter: float, seconds: float) -> _Strip:
    """Sinus node: ``rate`` per minute, RR swinging with the breath by ``swing`` and at random by ``jitter`` (shares of RR)."""
    mean = 60 / rate
    number = int(1.4 * seconds / mean) + 6
    breath = 2 * np.pi * rng.uniform(0.17, 0.33) * mean * np.arange(number) + rng.uniform(0, 2 * np.pi)
    rr = mean * (1 + swing * np.sin(breath)) * (1 + jitter * rng.standard_normal(number))
    return _Strip(*_beats(rng, rr), p_waves=True)


def _saw_tooth(size: int) -> np.ndarray:
    """One cycle of a smooth saw-tooth: slow fall, fast rise; deviation 1."""
    phase = 2 * np.pi * np.arange(size) / size
    harmonics = np.arange(1, 6)
    wave = (np.sinc(harmonics / 6)[:, None] * np.sin(np.outer(harmonics, phase)) / harmonics[:, None]).sum(axis=0)
    return np.asarray(wave / wave.std())


def _bump(size: int) -> np.ndarray:
    """One cycle with a single narrow wave, mean 0, deviation 1."""
    wave = np.exp(5 * (np.cos(2 * np.pi * np.arange(size) / size - 2.2) - 1))
    return np.asarray((wave - wave.mean()) / wave.std())


def _f_wave(size: int) -> np.ndarray:
    """One cycle of a wave steeper on one side, as f-waves are."""
    phase = 2 * np.pi * np.arange(size) / size
    return np.asarray(np.sin(phase + 0.5 * np.sin(phase)))


_CYCLE = 2048
_SAW_TOOTH, _BUMP, _F_WAVE = _saw_tooth(_CYCLE), _bump(_CYCLE), _f_wave(_CYCLE)


def _at(cycle: np.ndarray, turns: np.ndarray) -> np.ndarray:
    """Read a cycle at phases given in turns; much faster than sines, and finer than int16 needs."""
    return cycle[(turns * _CYCLE).astype(np.intp) % _CYCLE]


def _fibrillation(rng: np.random.Generator, rate: float, time: np.ndarray, seconds: float) -> _Strip:
    """Atrial fibrillation: independent gamma-distributed RR, no P, f-waves of 4-8 Hz that are largest in V1."""
    mean, spread = 60 / rate, rng.uniform(0.13, 0.27)
    rr = np.maximum(rng.gamma(1 / spread**2, mean * spread**2, int(1.8 * seconds / mean) + 8), 0.27)
    size = min(max(rng.lognormal(np.log(0.035), 0.55), 0.012), 0.11)
    centre = rng.uniform(4.8, 7.2)
    drift = rng.uniform(0.05, 0.2) * np.sin(2 * np.pi * rng.uniform(0.1, 0.5) * time + rng.uniform(0, 2 * np.pi))
    atria = np.zeros((3, len(time)))
    for frequency in np.clip(rng.normal(centre, 0.45, 3), 4.0, 8.0):
        wave = _at(_F_WAVE, frequency * time + drift + rng.random())
        atria += size * rng.normal([-0.3, 0.4, -0.7], 0.25)[:, None] * wave
    return _Strip(*_beats(rng, rr), atria=atria)


def _flutter(rng: np.random.Generator, rate: float, time: np.ndarray, seconds: float) -> _Strip:
    """Atrial flutter: saw-tooth at ``rate`` (atria, per minute) in the inferior leads, every 2nd to 4th conducted."""
    cycle = 60 / rate
    number = int(0.8 * seconds / cycle) + 8
    kind = rng.choice(["2:1", "3:1", "4:1", "varying"], p=[0.45, 0.10, 0.20, 0.25])
    ratio = rng.choice([2, 3, 4], number, p=[0.45, 0.2, 0.35]) if kind == "varying" else np.full(number, int(kind[0]))
    times, rr = _beats(rng, cycle * ratio)
    turns = (time - times[0]) / cycle + rng.random()
    size = min(max(rng.lognormal(np.log(0.065), 0.4), 0.025), 0.14)
    way = 1.0 if rng.random() < 0.85 else -1.0  # round the tricuspid ring, mostly counter-clockwise
    vector = np.array([0.05, 1.0, 0.1]) * rng.normal(1, 0.15, 3)
    atria = size * way * vector[:, None] * _at(_SAW_TOOTH, turns)
    atria += size * way * rng.uniform(0.3, 0.7) * np.array([-0.35, 0.0, -0.8])[:, None] * _at(_BUMP, turns)
    return _Strip(times + 0.004 * rng.standard_normal(number), rr, atria=atria)


def _reentry(rng: np.random.Generator, rate: float, seconds: float) -> _Strip:
    """Supraventricular tachycardia: regular to a hundredth, no P before the complex."""
    mean = 60 / rate
    rr = mean * (1 + 0.006 * rng.standard_normal(int(1.3 * seconds / mean) + 6))
    return _Strip(*_beats(rng, rr))


def _strip(
    rng: np.random.Generator, rhythm: str, hospital: Hospital, patient: Patient, time: np.ndarray, seconds: float
) -> _Strip:
    rate = _truncated_normal(rng, *hospital.rates[rhythm])
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
    # The young heart follows the breath more; at the border it cannot be told from sinus arrhythmia.
    swing = min(rng.lognormal(np.log(0.034), 0.55) * (1.6 - 0.012 * patient.age), 0.095)
    return _sinus(rng, rate, swing, 0.009, seconds)


def _alike(widths: np.ndarray) -> list[np.ndarray]:
    """Split waves into groups of similar width: ``(waves,)`` s to lists of their places."""
    order = np.argsort(widths)
    starts = [0]
    for place in range(1, len(order)):
        if widths[order[place]] > 1.6 * widths[order[starts[-1]]]:
            starts.append(place)
    return np.split(order, starts[1:])


def _add_waves(heart: np.ndarray, rate: float, centres: np.ndarray, widths: np.ndarray, vectors: np.ndarray) -> None:
    """Add Gaussians to the heart vector, each in a window of its own.

    Args:
        heart: (3, length), mV, changed in place.
        rate: sampling rate, Hz.
        centres: (beats, waves), s.
        widths: (beats, waves), s.
        vectors: (beats, waves, 3), mV.
    """
    length = heart.shape[1]
    # What a recorder's anti-aliasing filter does to a wave shorter than a few samples: broader, lower, same area.
    seen = np.hypot(widths, 0.3 / rate)
    vectors = vectors * (widths / seen)[..., None]
    for waves in _alike(seen.max(axis=0)):
        centre, width, vector = centres[:, waves] * rate, seen[:, waves] * rate, vectors[:, waves]
        half = int(np.ceil(3.7 * width.max()))
        seeable = (centre > -half) & (centre < length + half) & vector.any(axis=2)
        centre, width, vector = centre[seeable], width[seeable], vector[seeable].astype(np.float32)
        window = np.rint(centre).astype(np.intp)[:, None] + np.arange(-half, half + 1)
        gaussian = np.exp(-0.5 * ((window - centre[:, None]) / width[:, None]).astype(np.float32) ** 2)
        # A bin before and one behind the recording catch what lies outside. An axis at a time: larger arrays cost
        # twice the time, in memory fetched from the system and given back for each recording.
        place = np.minimum(np.maximum(window.ravel() + 1, 0), length + 1)
        for axis in range(3):
            weights = (gaussian * vector[:, axis, None]).ravel()
            heart[axis] += np.bincount(place, weights, minlength=length + 2)[1:-1]


def _complexes(
    rng: np.random.Generator, rhythm: str, patient: Patient, strip: _Strip
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return each beat's waves: centres after its R peak (beats, waves), widths, vectors (beats, waves, 3)."""
    beats = len(strip.times)
    centres = np.repeat(patient.waves[None, :, 0], beats, axis=0)
    widths = np.repeat(patient.waves[None, :, 1], beats, axis=0)
    vectors = np.repeat(patient.waves[None, :, 2:], beats, axis=0)
    # Repolarisation follows the mean interval more than the last one; PR shortens less than QT; T is lower in fast hearts.
    interval = (0.7 * strip.rr.mean() + 0.3 * strip.rr)[:, None]
    if patient.finding == "paced":
        late = patient.waves[:, 0] > 0.08
    else:
        late = _ST | _T
        centres[:, _P] *= interval**0.25
        vectors[:, _P] *= float(strip.p_waves)
        if rhythm == "SVTAC":
            # Fast hearts show ST depression; in some the atria are seen to follow the ventricles.
            vectors[:, _ST] += rng.uniform(0, 1) * np.array([-0.09, -0.05, 0.02])
            vectors[:, _T] *= rng.uniform(0.5, 1.0)
            if rng.random() < 0.4:
                centres[:, _P] = rng.uniform(0.07, 0.12)
                vectors[:, _P] = rng.uniform(0.5, 1.3) * np.array([0.0, -0.06, -0.03])
        vectors[:, _T] *= np.clip(interval, 0.3, 1.1)[..., None] ** 0.5
    centres[:, late] *= interval**0.38
    widths[:, late] *= interval**0.38
    # Breath lifts and lowers the heart, and no two beats are quite alike.
    breath = 2 * np.pi * rng.uniform(0.17, 0.33) * strip.times + rng.uniform(0, 2 * np.pi)
    size = 1 + rng.uniform(0.01, 0.06) * np.sin(breath)
    return centres, widths, vectors * size[:, None, None] * rng.normal(1.0, 0.02, (beats, 1, 3))


def heart_vector(
    rng: np.random.Generator, rhythm: str, hospital: Hospital, patient: Patient, rate: float, seconds: float
) -> np.ndarray:
    """Draw one recording's heart vector, without noise: (3, rate · seconds), mV.

    The same generator state gives the same heart at every sampling rate.

    Raises:
        ValueError: if ``rhythm`` is none of ``RHYTHMS``.
    """
    if rhythm not in RHYTHMS:
        raise ValueError(f"unknown rhythm {rhythm!r}; known: {', '.join(RHYTHMS)}")
    time = np.arange(round(rate * seconds)) / rate
    strip = _strip(rng, rhythm, hospital, patient, time, seconds)
    heart = np.zeros((3, len(time))) if strip.atria is None else strip.atria
    centres, widths, vectors = _complexes(rng, rhythm, patient, strip)
    early = np.zeros(len(strip.times), dtype=bool)
    if patient.ectopic:
        inside = np.flatnonzero((strip.times > 0.5) & (strip.times < seconds - 1))
        early[rng.permutation(inside)[: rng.integers(1, 3)]] = True
        first = strip.times[early] - rng.uniform(0.25, 0.4) * strip.rr[early]
        form = np.repeat(patient.ectopic_waves[None], len(first), axis=0)
        _add_waves(heart, rate, first[:, None] + form[..., 0], form[..., 1], form[..., 2:])
    usual = ~early
    _add_waves(heart, rate, strip.times[usual, None] + centres[usual], widths[usual], vectors[usual])
    return heart


@functools.lru_cache(maxsize=8)
def _noise_shapes(rate: float, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Return spectra that make wander and muscle noise of deviation 1 out of white noise of deviation 1.

    Wander falls with frequency from a twentieth to one Hz; muscle noise fills the band from 12 to 150 Hz of a diagnostic
    recorder, mostly its lower part. What of it lies above half the sampling rate is lost, as in sampling.
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
    power = np.sum(muscle(band) ** 2) * 0.05  # of white noise with density 1 in each Hz
    return wander.astype(np.float32), (muscle(frequency) * np.sqrt(rate / 2 / power)).astype(np.float32)


def noise(rng: np.random.Generator, hospital: Hospital, rate: float, length: int) -> np.ndarray:
    """Draw baseline wander, muscle noise and mains at nine electrodes and return leads I, II, V1-V6: (8, length), mV."""
    # Longer than needed, so that the end does not run into the beginning.
    number = scipy.fft.next_fast_len(length + length // 8, real=True)
    wander_shape, muscle_shape = _noise_shapes(rate, number)
    levels = rng.lognormal(0.0, 0.35, (3, 9, 1)) * rng.lognormal(0.0, 0.5, (3, 1, 1))
    levels *= np.array([hospital.wander, hospital.muscle, hospital.mains])[:, None, None]
    levels[1, 3:] *= 0.6  # arms and legs are the noisier ones
    wander, muscle, mains = levels.astype(np.float32)
    spectrum = rng.standard_normal((9, 2 * len(wander_shape)), dtype=np.float32).view(np.complex64)
    spectrum *= np.float32(np.sqrt(number / 2)) * (wander * wander_shape + muscle * muscle_shape)
    if rate > 2 * MAINS:
        phase = np.exp(2j * np.pi * rng.random(9))
        spectrum[:, round(MAINS * number / rate)] += number / np.sqrt(2) * mains[:, 0] * phase
    right, left, foot, *chest = scipy.fft.irfft(spectrum, number, axis=1)[:, :length]
    wilson = (right + left + foot) / 3
    return np.stack([left - right, foot - right, *(electrode - wilson for electrode in chest)])


def simulate_ecg(
    rng: np.random.Generator, rhythm: str, hospital: Hospital, patient: Patient, rate: float, seconds: float
) -> np.ndarray:
    """Draw one 12-lead recording.

    Args:
        rng: source of everything random in this recording.
        rhythm: one of ``RHYTHMS``.
        hospital: sets the rate of the heart and the noise.
        patient: whose heart it is, from :func:`draw_patient`.
        rate: sampling rate, Hz.
        seconds: length, s.

    Returns:
        (12, rate · seconds) in mV, float32, leads in the order of ``ecgpipe.leads.LEADS``; the limb-lead identities hold.

    Raises:
        ValueError: if ``rhythm`` is none of ``RHYTHMS``.
    """
    heart = heart_vector(rng, rhythm, hospital, patient, rate, seconds)
    # einsum, not a product by BLAS: its bytes do not depend on the number of threads.
    clean = np.einsum("lx,xt->lt", patient.leads.astype(np.float32), heart.astype(np.float32))
    clean += noise(rng, hospital, rate, clean.shape[1])
    return twelve_from_independent(clean)
