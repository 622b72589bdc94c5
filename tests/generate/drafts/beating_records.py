"""Small labelled records whose beats, kinds and atrial waves are known, for the tests of drafts."""

from __future__ import annotations

import copy

import numpy as np
import pandas as pd

from ecgpipe.dataset import Dataset, SignalSpec
from ecgpipe.simulator.ecg import _beat_waves, simulate_ecg
from ecgpipe.simulator.hospitals import HOSPITALS, RHYTHMS, Hospital
from ecgpipe.simulator.patients import Patient, draw_patient
from ecgpipe.simulator.rhythms import draw_strip

RATE, LENGTH = 100.0, 1000


def true_beats(
    rng: np.random.Generator, rhythm: str, hospital: Hospital, patient: Patient, seconds: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the R peaks of what ``simulate_ecg`` would draw from the same state, s, and which are ectopic."""
    rng = copy.deepcopy(rng)
    time = np.arange(round(RATE * seconds)) / RATE
    strip = draw_strip(rng, rhythm, hospital, patient, time, seconds)
    _beat_waves(rng, rhythm, patient, strip)
    early, first = np.zeros(len(strip.times), dtype=bool), np.zeros(0)
    if patient.ectopic:
        inside = np.flatnonzero((strip.times > 0.5) & (strip.times < seconds - 1))
        early[rng.permutation(inside)[: rng.integers(1, 3)]] = True
        first = strip.times[early] - rng.uniform(0.25, 0.4) * strip.rr[early]
    times = np.concatenate([strip.times[~early], first])
    kinds = np.concatenate([np.zeros((~early).sum()), np.ones(len(first))])
    order = np.argsort(times)
    times, kinds = times[order], kinds[order]
    inside = (times >= 0) & (times < seconds)
    return times[inside], kinds[inside]


def simulated(number: int, seed: int = 5) -> tuple[Dataset, list[np.ndarray], list[np.ndarray]]:
    """Return records of all rhythms in turn, four of five to train and the fifth to validate, with beats and kinds."""
    signals, times, kinds = [], [], []
    for i in range(number):
        rng, rhythm, hospital = np.random.default_rng([seed, i]), RHYTHMS[i % 7], HOSPITALS["ab"[i // 7 % 2]]
        patient = draw_patient(rng, hospital, rhythm)
        own_times, own_kinds = true_beats(rng, rhythm, hospital, patient, LENGTH / RATE)
        times.append(own_times)
        kinds.append(own_kinds)
        signals.append(simulate_ecg(rng, rhythm, hospital, patient, RATE, LENGTH / RATE))
    records = pd.DataFrame(
        {
            "record": [f"{i:04d}" for i in range(number)],
            "patient": [f"{i:04d}" for i in range(number)],
            "label": [RHYTHMS[i % 7] for i in range(number)],
            "split": np.where(np.arange(number) // 7 % 5 == 4, "validation", "train"),
            "source": "simulated",
            "age": 60.0,
            "sex": "",
            "codes": "",
        }
    )
    return Dataset(np.stack(signals), records, SignalSpec(RATE, LENGTH, RHYTHMS)), times, kinds
