"""Simulated records in the layout of PTB-XL 1.0.3: its folders, tables, codes and folds."""

from __future__ import annotations

import datetime
from collections import defaultdict

import numpy as np
import pandas as pd

from ecgpipe.config import SimulatedSource
from ecgpipe.layouts import PTBXL_DATABASE, SCP_DICTIONARY, ptbxl_records
from ecgpipe.leads import LEADS
from ecgpipe.simulator.output import ProjectWriter
from ecgpipe.simulator.patients import Patient
from ecgpipe.simulator.records import DrawRecord, PlannedRecord, generator, progress

# Code, description, kind (diagnostic, form or rhythm), diagnostic class, category of the SCP-ECG standard.
_RHYTHM_STATEMENTS = "Statements related to impulse formation (abnormalities)"
_SCP = {
    "SBRAD": ("SBRAD", "sinus bradycardia", "rhythm", "", _RHYTHM_STATEMENTS),
    "SR": ("SR", "sinus rhythm", "rhythm", "", _RHYTHM_STATEMENTS),
    "AFIB": ("AFIB", "atrial fibrillation", "rhythm", "", _RHYTHM_STATEMENTS),
    "STACH": ("STACH", "sinus tachycardia", "rhythm", "", _RHYTHM_STATEMENTS),
    "AFLT": ("AFLT", "atrial flutter", "rhythm", "", _RHYTHM_STATEMENTS),
    "SARRH": ("SARRH", "sinus arrhythmia", "rhythm", "", _RHYTHM_STATEMENTS),
    "SVTAC": ("SVTAC", "supraventricular tachycardia", "rhythm", "", _RHYTHM_STATEMENTS),
    "paced": (
        "PACE",
        "normal functioning artificial pacemaker",
        "rhythm",
        "",
        "Pacemaker types and pacemaker function",
    ),
    "normal": ("NORM", "normal ECG", "diagnostic", "NORM", "Normal/abnormal"),
    "LVH": ("LVH", "left ventricular hypertrophy", "diagnostic", "HYP", "Ventricular Hypertrophy"),
    "RBBB": (
        "CRBBB",
        "complete right bundle branch block",
        "diagnostic",
        "CD",
        "Intraventricular and intra-atrial Conduction disturbances",
    ),
    "STTC": ("NDT", "non-diagnostic T abnormalities", "diagnostic", "STTC", "other ST-T descriptive statements"),
    "ectopic": (
        "PVC",
        "ventricular premature complex",
        "form",
        "",
        "Statements related to ectopic rhythm abnormalities",
    ),
}


def write_ptbxl(
    output: ProjectWriter, source: SimulatedSource, records: list[PlannedRecord], rate: int, draw: DrawRecord
) -> None:
    """Write the project for a study at ``rate`` Hz."""
    files = ptbxl_records(rate)
    folds = _folds(generator(source, "ptbxl", 3), records)
    rows, paths = [], []
    for record in progress(records, "ptbxl"):
        patient, samples = draw(source, "ptbxl", record, files.rate)
        stem = f"{record.number // 1000 * 1000:05d}/{record.number:05d}"
        rows.append(database_row(record, patient, folds[record.patient], stem))
        path = f"{files.folder}/{stem}{files.suffix}"
        paths.append(path)
        name = path.rpartition("/")[2]
        sums = samples.sum(axis=1, dtype=np.int64) % 65536
        lines = [f"{name} 12 {files.rate} {samples.shape[1]}"]
        for lead, first, total in zip(LEADS, samples[:, 0].tolist(), sums.tolist(), strict=True):
            lines.append(f"{name}.dat 16 1000.0(0)/mV 16 0 {first} {total} 0 {lead.upper()}")
        output.write(f"{path}.hea", ("\n".join(lines) + "\n").encode())
        output.write(f"{path}.dat", samples.T.tobytes())
    output.write(PTBXL_DATABASE, pd.DataFrame(rows).to_csv(index=False, lineterminator="\n").encode())
    output.write(SCP_DICTIONARY, _scp_statements().to_csv(lineterminator="\n").encode())
    output.write("RECORDS", "".join(f"{path}\n" for path in paths).encode())


def _folds(rng: np.random.Generator, records: list[PlannedRecord]) -> dict[int, int]:
    """Distribute each class's patients over the ten folds: the first to a training fold, the next two to 10 and 9."""
    patients = defaultdict(set)
    for record in records:
        patients[record.coded[:1]].add(record.patient)
    order = (1, 10, 9, 2, 3, 4, 5, 6, 7, 8)
    return {
        int(patient): order[index % 10]
        for group in sorted(patients)
        for index, patient in enumerate(rng.permutation(sorted(patients[group])))
    }


def _scp_codes(record: PlannedRecord, patient: Patient) -> dict[str, float]:
    """Return the record's SCP codes with their likelihoods, which PTB-XL gives as 0 for rhythms."""
    healthy = patient.finding == "normal"
    unremarkable = healthy and not patient.ectopic and record.rhythm in ("SR", "SARRH", "SBRAD", "STACH")
    codes = {}
    if unremarkable or not (healthy or patient.finding == "paced"):
        codes[_SCP[patient.finding][0]] = 100.0
    if patient.ectopic:
        codes[_SCP["ectopic"][0]] = 100.0
    for name in record.coded or ("paced",):
        codes[_SCP[name][0]] = 0.0
    return codes


def _axis_name(degrees: float) -> str:
    """Name a frontal axis as PTB-XL does: middle, left, extreme left, right."""
    if -30 <= degrees < 30:
        return "LAD"
    if 30 <= degrees < 90:
        return "MID"
    return "ALAD" if -90 <= degrees < -30 else "RAD"


def database_row(record: PlannedRecord, patient: Patient, fold: int, stem: str) -> dict[str, object]:
    """Return a row of ``ptbxl_database.csv``, all columns in order; ``stem`` is the record's path without its rate."""
    recorded = datetime.datetime(1990, 1, 1, 9) + record.number * datetime.timedelta(minutes=97)
    codes = _scp_codes(record, patient)
    text = ", ".join(description for code, description, *_ in _SCP.values() if code in codes)
    paced = patient.finding == "paced"
    return {
        "ecg_id": record.number,
        "patient_id": float(record.patient),
        # PTB-XL stores ages above 89 as 300, because they would identify a person.
        "age": None if record.age_unknown else 300.0 if patient.age > 89 else float(patient.age),
        "sex": patient.sex,
        "height": None,
        "weight": None,
        "nurse": None,
        "site": 0.0,
        "device": "simulated",
        "recording_date": str(recorded),
        "report": f"simulated: {text}",
        "scp_codes": str(codes),
        "heart_axis": _axis_name(patient.axis),
        "infarction_stadium1": None,
        "infarction_stadium2": None,
        "validated_by": None,
        "second_opinion": False,
        "initial_autogenerated_report": True,
        "validated_by_human": False,
        "baseline_drift": None,
        "static_noise": None,
        "burst_noise": None,
        "electrodes_problems": None,
        "extra_beats": "VES" if patient.ectopic else None,
        "pacemaker": "ja, pacemaker" if paced else None,
        "strat_fold": fold,
        **{files.column: f"{files.folder}/{stem}{files.suffix}" for files in map(ptbxl_records, (100, 500))},
    }


def _scp_statements() -> pd.DataFrame:
    """Return the dictionary of the codes in use, with the columns of ``scp_statements.csv``."""
    rows = {}
    for code, description, kind, group, category in _SCP.values():
        rows[code] = {
            "description": description,
            "diagnostic": 1.0 if kind == "diagnostic" else None,
            "form": 1.0 if kind == "form" else None,
            "rhythm": 1.0 if kind == "rhythm" else None,
            "diagnostic_class": group or None,
            "diagnostic_subclass": group or None,
            "Statement Category": category,
            "SCP-ECG Statement Description": description,
            "AHA code": None,
            "aECG REFID": None,
            "CDISC Code": None,
            "DICOM Code": None,
        }
    return pd.DataFrame.from_dict(rows, orient="index")
