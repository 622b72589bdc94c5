"""One simulated ECG: rhythms, leads, noise."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy.signal import butter, find_peaks, resample_poly, sosfiltfilt, welch

from ecgpipe.leads import LEADS, independent_from_twelve, limb_lead_residual
from ecgpipe.simulator.ecg import heart_vector, simulate_ecg
from ecgpipe.simulator.hospitals import FINDINGS, HOSPITALS, RHYTHMS
from ecgpipe.simulator.noise import noise
from ecgpipe.simulator.patients import Patient, draw_patient

RATE, SECONDS = 500, 10.0
HOSPITAL = HOSPITALS["a"]
SINUS = ("SBRAD", "SR", "STACH", "SARRH")


def steady_patient(seed: int, rhythm: str) -> Patient:
    """Draw a patient without ectopic beats."""
    return dataclasses.replace(draw_patient(np.random.default_rng([seed, 1]), HOSPITAL, rhythm), ectopic=False)


def clean_ecg(seed: int, rhythm: str, patient: Patient) -> np.ndarray:
    """Leads I, II, V1-V6 without noise."""
    return patient.leads @ heart_vector(np.random.default_rng([seed, 2]), rhythm, HOSPITAL, patient, RATE, SECONDS)


def r_peaks(leads: np.ndarray) -> np.ndarray:
    """Times of the R peaks, s: where there is most power between 12 and 40 Hz."""
    band = sosfiltfilt(butter(2, (12, 40), "bandpass", fs=RATE, output="sos"), leads, axis=1)
    power = np.convolve((band**2).sum(axis=0), np.ones(35) / 35, mode="same")
    return find_peaks(power, height=0.2 * power.max(), distance=0.2 * RATE)[0] / RATE


def atria_alone(seed: int, rhythm: str) -> np.ndarray:
    """Heart vector of a patient whose ventricles are silent."""
    patient = steady_patient(seed, rhythm)
    silent = patient.waves.copy()
    silent[:, 2:] = 0
    patient = dataclasses.replace(patient, waves=silent)
    return heart_vector(np.random.default_rng([seed, 2]), rhythm, HOSPITAL, patient, RATE, SECONDS)


@pytest.mark.parametrize(
    ("rhythm", "slowest", "fastest"),
    [
        ("SBRAD", 36, 62),
        ("SR", 56, 104),
        ("AFIB", 40, 200),
        ("STACH", 96, 153),
        ("AFLT", 58, 173),
        ("SARRH", 46, 104),
        ("SVTAC", 147, 224),
    ],
)
def test_heart_rate_lies_in_the_rhythms_range(rhythm: str, slowest: float, fastest: float) -> None:
    rates = []
    for seed in range(15):
        peaks = r_peaks(clean_ecg(seed, rhythm, steady_patient(seed, rhythm)))
        rates.append(60 / np.diff(peaks).mean())
    assert slowest <= min(rates)
    assert max(rates) <= fastest
    assert max(rates) - min(rates) > 10  # patients differ


def test_only_fibrillation_and_sinus_arrhythmia_are_irregular() -> None:
    variation = {}
    for rhythm in ("SR", "AFIB", "STACH", "SARRH", "SVTAC"):
        intervals = [np.diff(r_peaks(clean_ecg(seed, rhythm, steady_patient(seed, rhythm)))) for seed in range(12)]
        variation[rhythm] = np.median([rr.std() / rr.mean() for rr in intervals])
    assert variation["SVTAC"] < variation["STACH"] < variation["SR"] < 0.05
    assert 0.06 < variation["SARRH"] < 0.17
    assert 0.11 < variation["AFIB"] < 0.30


def test_sinus_arrhythmia_is_smooth_and_fibrillation_is_not() -> None:
    """The breath lengthens intervals one after another; fibrillation throws dice each time."""

    def memory(rhythm: str) -> float:
        values = []
        for seed in range(20):
            rr = np.diff(r_peaks(clean_ecg(seed, rhythm, steady_patient(seed, rhythm))))
            centred = rr - rr.mean()
            values.append((centred[2:] - centred[:-2]).var() / (2 * centred.var()))
        return float(np.mean(values))

    assert memory("SARRH") > 1.2  # half a breath apart: opposite
    assert 0.7 < memory("AFIB") < 1.3


def test_p_waves_come_before_sinus_beats_only() -> None:
    def before_beats(rhythm: str) -> float:
        """Mean of lead II 190 to 90 ms before R, above its level 60 ms before R, mV."""
        heights = []
        for seed in range(10):
            patient = steady_patient(seed, rhythm)
            lead = clean_ecg(seed, rhythm, patient)
            for peak in (r_peaks(lead) * RATE).astype(int):
                if peak > 150:
                    heights.append(lead[1, peak - 95 : peak - 45].mean() - lead[1, peak - 35 : peak - 25].mean())
        return float(np.mean(heights))

    assert before_beats("SR") > 0.04
    assert before_beats("SBRAD") > 0.04
    assert abs(before_beats("AFIB")) < 0.02


@pytest.mark.parametrize("rhythm", SINUS)
def test_sinus_rhythms_have_no_atrial_activity_but_p(rhythm: str) -> None:
    assert not atria_alone(3, rhythm).any()


@pytest.mark.parametrize(("rhythm", "low", "high"), [("AFIB", 4.0, 8.0), ("AFLT", 3.8, 5.9)])
def test_f_waves_and_flutter_waves_have_their_frequency(rhythm: str, low: float, high: float) -> None:
    for seed in range(10):
        frequency, power = welch(atria_alone(seed, rhythm), RATE, nperseg=2048)
        total = power.sum(axis=0)
        assert low - 0.3 <= frequency[total.argmax()] <= high + 0.3
        assert total[(frequency > low - 0.5)].sum() > 0.95 * total.sum()


def test_flutter_conducts_every_second_to_fourth_wave() -> None:
    for seed in range(12):
        patient = steady_patient(seed, "AFLT")
        frequency, power = welch(atria_alone(seed, "AFLT")[1], RATE, nperseg=5000)
        cycle = 1 / frequency[power.argmax()]
        ratios = np.diff(r_peaks(clean_ecg(seed, "AFLT", patient))) / cycle
        assert np.all(np.abs(ratios - np.rint(ratios)) < 0.25)
        assert set(np.rint(ratios)) <= {2, 3, 4}


def test_qt_shortens_with_the_interval() -> None:
    def t_peak(rhythm: str) -> float:
        """Median time from R to the largest deflection behind the complex, s, over normal patients."""
        times = []
        for seed in range(60):
            patient = steady_patient(seed, rhythm)
            if patient.finding != "normal":
                continue
            size = np.linalg.norm(clean_ecg(seed, rhythm, patient), axis=0)
            for peak in (r_peaks(size[None]) * RATE).astype(int):
                if peak + 220 < len(size):
                    times.append((size[peak + 60 : peak + 220].argmax() + 60) / RATE)
        return float(np.median(times))

    assert 0.15 < t_peak("STACH") < t_peak("SR") < t_peak("SBRAD") < 0.42


def test_recording_is_the_same_heart_at_both_rates() -> None:
    for rhythm in ("SR", "AFLT"):
        patient = steady_patient(1, rhythm)
        fine, coarse = (
            heart_vector(np.random.default_rng(5), rhythm, HOSPITAL, patient, r, SECONDS) for r in (500, 100)
        )
        assert coarse.shape == (3, 1000)
        assert np.corrcoef(resample_poly(fine, 1, 5, axis=1).ravel(), coarse.ravel())[0, 1] > 0.99


def test_limb_leads_obey_einthoven_and_goldberger() -> None:
    rng = np.random.default_rng(3)
    for rhythm in RHYTHMS:
        ecg = simulate_ecg(rng, rhythm, HOSPITAL, draw_patient(rng, HOSPITAL, rhythm), RATE, SECONDS)
        assert ecg.shape == (12, 5000)
        assert np.isfinite(ecg).all()
        assert limb_lead_residual(ecg) < 1e-5


def test_leads_look_as_in_a_normal_adult() -> None:
    """R grows from V1 to V4, V1 and aVR point down, T stands with R; amplitudes are those of people."""
    forms = []
    for seed in range(80):
        patient = steady_patient(seed, "SR")
        if patient.finding != "normal":
            continue
        leads = simulate_ecg(np.random.default_rng([seed, 2]), "SR", HOSPITAL, patient, RATE, SECONDS)
        leads = leads - np.median(leads, axis=1, keepdims=True)
        forms.append([leads.max(axis=1), leads.min(axis=1)])
    high, low = np.median(forms, axis=0)
    at = LEADS.index
    assert high[at("V1")] < high[at("V2")] < high[at("V3")] < high[at("V4")]
    assert -low[at("V1")] > 2 * high[at("V1")]
    assert -low[at("aVR")] > 2 * high[at("aVR")]
    assert 0.5 < high[at("II")] < 1.5
    assert 0.8 < high[at("V5")] < 2.2
    assert -low[at("V2")] > 0.7


@pytest.mark.parametrize(("finding", "taller"), [("LVH", True), ("STTC", False)])
def test_hypertrophy_is_tall(finding: str, taller: bool) -> None:
    def height(wanted: str) -> float:
        only = dataclasses.replace(HOSPITAL, findings=tuple(float(name == wanted) for name in FINDINGS))
        patients = [draw_patient(np.random.default_rng(seed), only, "SR") for seed in range(40)]
        assert {patient.finding for patient in patients} == {wanted}
        return float(np.median([np.abs(clean_ecg(seed, "SR", p)).max() for seed, p in enumerate(patients)]))

    assert (height(finding) > 1.3 * height("normal")) is taller


def test_right_bundle_branch_block_ends_to_the_right() -> None:
    only = dataclasses.replace(HOSPITAL, findings=(0.0, 0.0, 1.0, 0.0))
    patients = [
        dataclasses.replace(draw_patient(np.random.default_rng(s), only, "SR"), ectopic=False) for s in range(20)
    ]
    late = []
    for seed, patient in enumerate(patients):
        leads = clean_ecg(seed, "SR", patient)
        for peak in (r_peaks(leads) * RATE).astype(int)[1:-1]:
            late.append(leads[[0, 2], peak + 22 : peak + 38].mean(axis=1))  # I and V1, 45 to 75 ms behind R
    one, v1 = np.mean(late, axis=0)
    assert v1 > 0.2
    assert one < -0.1


def test_ectopic_beats_come_early() -> None:
    patient = steady_patient(4, "STACH")
    usual = clean_ecg(4, "STACH", patient)
    other = clean_ecg(4, "STACH", dataclasses.replace(patient, ectopic=True))
    peaks = (r_peaks(usual) * RATE).astype(int)
    complexes = np.array([np.abs(usual[:, peak - 10 : peak + 10]).sum() for peak in peaks])
    changes = np.array([np.abs((other - usual)[:, peak - 10 : peak + 10]).sum() for peak in peaks])
    replaced = changes > 0.5 * complexes
    assert 1 <= replaced.sum() <= 2
    assert replaced.sum() < len(peaks) - 5
    interval = int(np.diff(peaks).mean())
    for peak in peaks[replaced]:
        before = slice(peak - int(0.45 * interval), peak - int(0.15 * interval))
        assert np.abs(other[:, before]).max() > 2 * np.abs(usual[:, before]).max()


def test_pacemaker_is_regular_broad_and_spiked() -> None:
    patient = draw_patient(np.random.default_rng(0), HOSPITAL, "SR", paced=True)
    assert patient.finding == "paced"
    leads = clean_ecg(0, "SR", patient)
    fastest = np.abs(np.diff(leads, axis=1)).max(axis=0)
    spikes = find_peaks(fastest, height=0.6 * fastest.max(), distance=0.3 * RATE)[0] / RATE
    assert 60 <= 60 / np.diff(spikes).mean() <= 75
    assert np.diff(spikes).std() < 0.01


def test_noise_has_the_hospitals_level_and_bands() -> None:
    rng = np.random.default_rng(8)
    for name in ("a", "b"):
        quiet = dataclasses.replace(HOSPITALS[name], wander=0.0, mains=0.0)
        loud = dataclasses.replace(quiet, muscle=10 * quiet.muscle)
        level = np.median([noise(rng, quiet, RATE, 5000).std() for _ in range(60)])
        assert 0.5 < level / HOSPITALS[name].muscle < 2
        assert np.median([noise(rng, loud, RATE, 5000).std() for _ in range(60)]) > 5 * level
    only = {
        "wander": (dataclasses.replace(HOSPITALS["b"], muscle=0.0, mains=0.0), 0.0, 1.2),
        "mains": (dataclasses.replace(HOSPITALS["b"], muscle=0.0, wander=0.0), 49.0, 51.0),
        "muscle": (dataclasses.replace(HOSPITALS["b"], mains=0.0, wander=0.0), 5.0, 180.0),
    }
    for hospital, low, high in only.values():
        frequency, power = welch(noise(rng, hospital, RATE, 5000), RATE, nperseg=2500)
        inside = (frequency >= low) & (frequency <= high)
        assert power[:, inside].sum() > 0.97 * power.sum()


def test_noise_at_100_hz_has_no_mains_and_less_muscle() -> None:
    rng = np.random.default_rng(9)
    mains = dataclasses.replace(HOSPITALS["b"], muscle=0.0, wander=0.0)
    assert not noise(rng, mains, 100, 1000).any()
    muscle = dataclasses.replace(HOSPITALS["b"], mains=0.0, wander=0.0)
    coarse, fine = (np.median([noise(rng, muscle, r, 10 * r).std() for _ in range(60)]) for r in (100, 500))
    assert 0.5 * fine < coarse < fine


def test_hospitals_differ_as_said() -> None:
    patients = {
        name: [draw_patient(np.random.default_rng([s, 0]), hospital, "SR") for s in range(300)]
        for name, hospital in HOSPITALS.items()
    }
    age = {name: np.mean([p.age for p in group]) for name, group in patients.items()}
    axis = {name: np.median([p.axis for p in group]) for name, group in patients.items()}
    assert age["a"] > age["b"] + 2
    assert axis["b"] > axis["a"] + 5
    assert HOSPITALS["b"].muscle > HOSPITALS["a"].muscle
    for rhythm in ("SR", "STACH", "AFIB", "SVTAC", "SARRH"):
        assert HOSPITALS["b"].rates[rhythm][0] > HOSPITALS["a"].rates[rhythm][0]
    share = {name: hospital.mix["SR"] / sum(hospital.mix.values()) for name, hospital in HOSPITALS.items()}
    assert share["a"] > 0.8 > 0.2 > share["b"]


def test_same_generator_same_ecg() -> None:
    patient = steady_patient(0, "AFIB")
    one, two, other = (
        simulate_ecg(np.random.default_rng(seed), "AFIB", HOSPITAL, patient, 100, SECONDS) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, two)
    assert np.abs(one - other).max() > 0.1
    assert independent_from_twelve(one).shape == (8, 1000)


def test_unknown_rhythm_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="unknown rhythm 'VF'; known: SBRAD, SR"):
        simulate_ecg(np.random.default_rng(0), "VF", HOSPITAL, steady_patient(0, "SR"), 100, SECONDS)
