"""Which records a simulated data set holds, and the drawing of each.

Rhythms follow the hospital's mix. A few records are not one plain recording of one patient, at the rates of the real
data sets: patients come again, codes name two rhythms or none of the study's, ages are missing, leads are flat.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from tqdm import tqdm

from ecgpipe.config import SimulatedSource
from ecgpipe.leads import LEADS
from ecgpipe.simulator.ecg import simulate_ecg
from ecgpipe.simulator.hospitals import HOSPITALS, RHYTHMS
from ecgpipe.simulator.patients import Patient, draw_patient

_ADC_UNITS = 1000  # per mV

SECONDS = 10.0
"""Length of every recording, as in both originals."""

FAULTLESS_PER_CLASS = 10
"""Records of each class that are without fault: one study rhythm among the codes, all leads, a patient of their own."""

FORMATS: tuple[str, ...] = ("ptbxl", "ecg_arrhythmia")


@dataclass(frozen=True)
class _Shares:
    """How common each deviation from one plain record of one patient is, as a share of all records."""

    repeated: float
    """Another recording of a patient who already has one."""
    uncoded: float
    """The codes name none of the seven rhythms: a pacemaker (ptbxl), atrial tachycardia (ecg_arrhythmia)."""
    double: float
    """The codes name two of the seven."""
    age_unknown: float
    """The age is unknown."""
    flat_lead: float
    """One chest lead is flat."""


SHARES: dict[str, _Shares] = {
    "ptbxl": _Shares(repeated=1 - 18869 / 21799, uncoded=0.02, double=0.01, age_unknown=0.005, flat_lead=0.0),
    "ecg_arrhythmia": _Shares(repeated=0.0, uncoded=0.01, double=0.02, age_unknown=0.01, flat_lead=0.01),
}

# A second rhythm that a reader may code beside the true one.
_SECOND_RHYTHM = {"SR": "SARRH", "SBRAD": "SARRH", "SARRH": "SR", "AFIB": "AFLT", "AFLT": "AFIB"}


@dataclass(frozen=True)
class PlannedRecord:
    """A record that is planned but not yet drawn."""

    number: int
    """Number of the record, from 1."""
    patient: int
    """Number of its patient."""
    rhythm: str
    """The heart's true rhythm."""
    coded: tuple[str, ...]
    """Study rhythms that the record's codes name, the true one first."""
    age_unknown: bool
    flat_lead: str | None


def class_counts(records: int, mix: Mapping[str, float]) -> dict[str, int]:
    """Divide ``records`` among the rhythms in proportion to ``mix``; each with a weight gets at least its minimum.

    The config has validated the mix: it names rhythms of the study, at least one of them with a weight above 0.
    """
    weights = {name: mix[name] for name in RHYTHMS if mix.get(name, 0) > 0}
    minimum = _class_minimum(records, len(weights))
    share = np.array(list(weights.values())) / sum(weights.values())
    extra = np.maximum(share * records - minimum, 0)
    extra *= (records - minimum * len(weights)) / extra.sum()
    counts = np.floor(extra).astype(int)
    largest = np.argsort(counts - extra, kind="stable")
    counts[largest[: records - minimum * len(weights) - counts.sum()]] += 1
    return {name: minimum + int(count) for name, count in zip(weights, counts, strict=True)}


def _class_minimum(records: int, classes: int) -> int:
    """Return the fewest records of a class, which are also its faultless ones."""
    return max(1, min(FAULTLESS_PER_CLASS, records // (2 * classes)))


def generator(source: SimulatedSource, format: str, *key: int) -> np.random.Generator:
    """Return the random generator of one purpose; no two hospitals, formats, patients or records share one."""
    return np.random.default_rng([source.seed, ord(source.hospital), FORMATS.index(format), *key])


def plan_records(source: SimulatedSource, format: str) -> list[PlannedRecord]:
    """Decide what each record is: its rhythm, patient and codes, and what is wrong with it."""
    rng = generator(source, format, 0)
    mix: Mapping[str, float] = (
        HOSPITALS[source.hospital].mix if source.class_mix is None else dict(source.class_mix.items())
    )
    counts = class_counts(source.records, mix)
    rhythms = [str(name) for name in rng.permutation(np.repeat(list(counts), list(counts.values())))]
    free = list(rng.permutation(_after_first(rhythms, _class_minimum(source.records, len(counts)))))
    shares = SHARES[format]

    def take(share: float) -> set[int]:
        number = round(share * source.records)
        taken, free[:] = free[:number], free[number:]
        return {int(index) for index in taken}

    uncoded, age_unknown, flat, repeated = map(
        take, (shares.uncoded, shares.age_unknown, shares.flat_lead, shares.repeated)
    )
    candidates = [int(index) for index in free if rhythms[index] in _SECOND_RHYTHM]
    double = set(candidates[: round(shares.double * source.records)])
    patients = _assign_patients(rng, rhythms, repeated, uncoded)
    chest = LEADS[6:]
    records = []
    for index, rhythm in enumerate(rhythms):
        coded: tuple[str, ...] = (rhythm, _SECOND_RHYTHM[rhythm]) if index in double else (rhythm,)
        if index in uncoded:
            # The study's rhythm that is closest to what the record's own code says.
            rhythm, coded = ("SR" if format == "ptbxl" else "SVTAC"), ()
        lead = str(rng.choice(chest)) if index in flat else None
        records.append(PlannedRecord(index + 1, patients[index], rhythm, coded, index in age_unknown, lead))
    return records


def _after_first(rhythms: list[str], minimum: int) -> list[int]:
    """Return the indices of all but the first ``minimum`` records of each class."""
    seen: Counter[str] = Counter()
    indices = []
    for index, rhythm in enumerate(rhythms):
        seen[rhythm] += 1
        if seen[rhythm] > minimum:
            indices.append(index)
    return indices


def _assign_patients(rng: np.random.Generator, rhythms: list[str], repeated: set[int], uncoded: set[int]) -> list[int]:
    """Return each record's patient; a patient who comes again has the same rhythm again."""
    first = [index for index in range(len(rhythms)) if index not in repeated]
    numbers = dict(zip(first, (int(number) + 1 for number in rng.permutation(len(first))), strict=True))
    known = defaultdict(list)
    for index in first:
        if index not in uncoded:
            known[rhythms[index]].append(numbers[index])
    for index in sorted(repeated):
        numbers[index] = int(rng.choice(known[rhythms[index]]))
    return [numbers[index] for index in range(len(rhythms))]


def draw_record(source: SimulatedSource, format: str, record: PlannedRecord, rate: int) -> tuple[Patient, np.ndarray]:
    """Draw a record's patient and its ECG: (12, length), int16, in microvolts."""
    hospital = HOSPITALS[source.hospital]
    paced = format == "ptbxl" and not record.coded
    patient = draw_patient(generator(source, format, 1, record.patient), hospital, record.rhythm, paced)
    signal = simulate_ecg(generator(source, format, 2, record.number), record.rhythm, hospital, patient, rate, SECONDS)
    # -32768 means "no sample" in WFDB's format 16.
    samples = np.clip(np.rint(signal * _ADC_UNITS), -32767, 32767).astype("<i2")
    if record.flat_lead is not None:
        samples[LEADS.index(record.flat_lead)] = 0
    return patient, samples


class DrawRecord(Protocol):
    """Draws a record's patient and its ECG, as :func:`draw_record` does."""

    def __call__(
        self, source: SimulatedSource, format: str, record: PlannedRecord, rate: int
    ) -> tuple[Patient, np.ndarray]: ...


def progress(records: list[PlannedRecord], format: str) -> Iterator[PlannedRecord]:
    """Iterate over records with a progress bar."""
    return iter(tqdm(records, desc=f"simulating {format}", unit="record", disable=None))
