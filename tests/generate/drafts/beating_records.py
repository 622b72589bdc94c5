"""Small labelled records whose beats, kinds and atrial waves are known, for the tests of drafts."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ecgpipe.dataset import Dataset, SignalSpec
from ecgpipe.simulator.ecg import simulate_ecg_with_beats
from ecgpipe.simulator.hospitals import HOSPITALS, RHYTHMS
from ecgpipe.simulator.patients import draw_patient

RATE, LENGTH = 100.0, 1000


def simulated(number: int, seed: int = 5) -> tuple[Dataset, list[np.ndarray], list[np.ndarray]]:
    """Return records of all rhythms in turn, four of five to train and the fifth to validate, with beats and kinds."""
    signals, times, kinds = [], [], []
    for i in range(number):
        rng, rhythm, hospital = np.random.default_rng([seed, i]), RHYTHMS[i % 7], HOSPITALS["ab"[i // 7 % 2]]
        patient = draw_patient(rng, hospital, rhythm)
        signal, beats = simulate_ecg_with_beats(rng, rhythm, hospital, patient, RATE, LENGTH / RATE)
        signals.append(signal)
        times.append(beats.times)
        kinds.append(beats.ectopic.astype(float))
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
