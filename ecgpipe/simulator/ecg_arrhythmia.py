"""Simulated records in the layout of ecg-arrhythmia 1.0.0: headers with SNOMED-CT codes, MATLAB files."""

from __future__ import annotations

import struct
from collections import defaultdict

import numpy as np

from ecgpipe.config import SimulatedSource
from ecgpipe.layouts import ARRHYTHMIA_RECORDS, SNOMED_DICTIONARY
from ecgpipe.leads import LEADS
from ecgpipe.simulator.output import ProjectWriter
from ecgpipe.simulator.patients import Patient
from ecgpipe.simulator.records import DrawRecord, PlannedRecord, progress

# Acronym, name and SNOMED-CT code.
_SNOMED = {
    "SBRAD": ("SB", "Sinus Bradycardia", "426177001"),
    "SR": ("SR", "Sinus Rhythm", "426783006"),
    "AFIB": ("AFIB", "Atrial Fibrillation", "164889003"),
    "STACH": ("ST", "Sinus Tachycardia", "427084000"),
    "AFLT": ("AF", "Atrial Flutter", "164890007"),
    "SARRH": ("SA", "Sinus Irregularity", "427393009"),
    "SVTAC": ("SVT", "Supraventricular Tachycardia", "426761007"),
    "AT": ("AT", "Atrial Tachycardia", "713422000"),
    "LVH": ("LVH", "left ventricle hypertrophy", "164873001"),
    "RBBB": ("RBBB", "right bundle branch block", "59118001"),
    "STTC": ("TWC", "T wave Change", "164934002"),
    "ectopic": ("VPB", "ventricular premature beat", "17338001"),
}


def write_ecg_arrhythmia(
    output: ProjectWriter, source: SimulatedSource, records: list[PlannedRecord], draw: DrawRecord
) -> None:
    """Write the project; its records are at 500 Hz."""
    folders = defaultdict(list)
    for record in progress(records, "ecg_arrhythmia"):
        patient, samples = draw(source, "ecg_arrhythmia", record, 500)
        name = f"JS{record.number:05d}"
        tens, ones = divmod((record.number - 1) // 100, 10)
        folder = f"{ARRHYTHMIA_RECORDS}/{tens + 1:02d}/{tens + 1:02d}{ones}/"
        folders[folder].append(name)
        output.write(f"{folder}{name}.hea", _header(name, record, patient, samples).encode())
        output.write(f"{folder}{name}.mat", _matlab(samples))
    for folder, names in folders.items():
        output.write(f"{folder}RECORDS", "".join(f"{name}\n" for name in names).encode())
    output.write("RECORDS", "".join(f"{folder}\n" for folder in folders).encode())
    table = ["AcronymName,FullName,Snomed_CT", *(",".join(row) for row in _SNOMED.values())]
    output.write(SNOMED_DICTIONARY, ("\n".join(table) + "\n").encode("utf-8-sig"))


def _header(name: str, record: PlannedRecord, patient: Patient, samples: np.ndarray) -> str:
    """Return the WFDB header of a record with samples (12, length)."""
    codes = list(record.coded or ("AT",))
    if patient.finding != "normal":
        codes.append(patient.finding)
    if patient.ectopic:
        codes.append("ectopic")
    sums = (samples.sum(axis=1, dtype=np.int64) + 32768) % 65536 - 32768
    lines = [f"{name} 12 500 {samples.shape[1]}"]
    for lead, first, total in zip(LEADS, samples[:, 0].tolist(), sums.tolist(), strict=True):
        lines.append(f"{name}.mat 16+24 1000/mV 16 0 {first} {total} 0 {lead}")
    lines.append(f"#Age: {'NaN' if record.age_unknown else patient.age}")
    lines.append(f"#Sex: {'Female' if patient.sex else 'Male'}")
    lines.append(f"#Dx: {','.join(_SNOMED[code][2] for code in codes)}")
    lines.extend(f"#{key}: Unknown" for key in ("Rx", "Hx", "Sx"))
    return "\n".join(lines) + "\n"


def _matlab(samples: np.ndarray) -> bytes:
    """Return a MATLAB 4 file with the int16 matrix ``val`` (12, length): a header of 24 bytes, then column by column.

    Source: MAT-File Format, The MathWorks, section on level 4.
    """
    little_endian_int16 = 30
    name = b"val\0"
    return struct.pack("<5i", little_endian_int16, *samples.shape, 0, len(name)) + name + samples.T.tobytes()
