"""Small raw folders in PhysioNet's layouts, written by hand so that every flavour and fault can be made."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ecgpipe.config import DatasetSettings
from ecgpipe.leads import LEADS, twelve_from_independent

SINUS_RHYTHM = "426783006"
SINUS_BRADYCARDIA = "426177001"
ATRIAL_FIBRILLATION = "164889003"
PTBXL_HEADER = "ecg_id,patient_id,age,sex,scp_codes,strat_fold,filename_lr,filename_hr"


def digital_ecg(seed: int = 0, rate: int = 500, seconds: float = 10.0) -> np.ndarray:
    """Return ``(n, 12)`` int16 at 1000 units a mV: a heart-like spike train with some wander, about 1 mV high.

    The limb leads obey their identities, to rounding.
    """
    generator = np.random.default_rng(seed)
    time = np.arange(round(rate * seconds)) / rate
    phase = (time * generator.uniform(0.9, 1.4)) % 1.0
    beat = 1.1 * np.exp(-(((phase - 0.4) / 0.02) ** 2)) + 0.3 * np.exp(-(((phase - 0.7) / 0.06) ** 2))
    weights = np.array([0.6, 1.3, *generator.uniform(0.7, 1.5, 6)])
    wander = 0.2 * np.sin(2 * np.pi * (0.3 * time[:, None] + generator.uniform(size=8)))
    leads = twelve_from_independent((beat[:, None] * weights + wander).T)
    return np.round(1000 * leads.T).astype(np.int16)


def signal_lines(
    data_file: str,
    digital: np.ndarray,
    storage: str = "16+24",
    scale: str = "1000/mV",
    leads: Sequence[str] = LEADS,
    signed: bool = True,
) -> list[str]:
    """Return the signal lines of a header, with true checksums."""
    sums = digital.sum(axis=0, dtype=np.int64) % 65536
    if signed:
        sums = (sums + 32768) % 65536 - 32768
    return [
        f"{data_file} {storage} {scale} 16 0 {first} {total} 0 {lead}"
        for first, total, lead in zip(digital[0], sums, leads, strict=True)
    ]


def write_record(
    folder: Path,
    name: str = "JS00001",
    digital: np.ndarray | None = None,
    *,
    record_line: str | None = None,
    lines: Sequence[str] | None = None,
    comments: Sequence[str] = ("#Age: 59", "#Sex: Female", f"#Dx: {SINUS_RHYTHM}"),
    scale: str = "1000/mV",
    leads: Sequence[str] = LEADS,
    rate: int = 500,
) -> np.ndarray:
    """Write a record as ecg-arrhythmia has it and return its digital signals ``(n, 12)``."""
    folder.mkdir(parents=True, exist_ok=True)
    digital = digital_ecg(rate=rate) if digital is None else digital
    (folder / f"{name}.mat").write_bytes(b"\0" * 24 + digital.astype("<i2").tobytes())
    record_line = record_line or f"{name} {digital.shape[1]} {rate} {len(digital)} 23-Mar-2021 20:20:55"
    if lines is None:
        lines = signal_lines(f"{name}.mat", digital, scale=scale, leads=leads)
    (folder / f"{name}.hea").write_text("\n".join([record_line, *lines, *comments]) + "\n", encoding="utf-8")
    return digital


def manifest(raw: Path) -> pd.DataFrame:
    """List the files of a raw folder as the acquisition does."""
    paths = sorted(path.relative_to(raw).as_posix() for path in raw.rglob("*") if path.is_file())
    return pd.DataFrame({"path": paths})


def arrhythmia_settings(subset: str | None = None) -> DatasetSettings:
    """Return a data set of format ecg_arrhythmia."""
    source = {"kind": "physionet", "slug": "ecg-arrhythmia", "version": "1.0.0"}
    return DatasetSettings.model_validate({"format": "ecg_arrhythmia", "source": source, "subset": subset})


def ptbxl_settings() -> DatasetSettings:
    """Return a data set of format ptbxl."""
    source = {"kind": "physionet", "slug": "ptb-xl", "version": "1.0.3"}
    return DatasetSettings.model_validate({"format": "ptbxl", "source": source})


def write_arrhythmia(raw: Path, codes: Sequence[str], seed: int = 0) -> Path:
    """Write an ecg-arrhythmia folder with a record JS00001, JS00002, ... for each text of codes."""
    for number, text in enumerate(codes, start=1):
        comments = ["#Age: 59", "#Sex: Female", f"#Dx: {text}"]
        write_record(
            raw / "WFDBRecords" / "01" / "010", f"JS{number:05d}", digital_ecg(seed + number), comments=comments
        )
    return raw


def ptbxl_row(
    number: int,
    codes: str = "{'SR': 0.0}",
    patient: str | None = None,
    fold: str = "1",
    age: str = "56.0",
    sex: str = "1",
) -> str:
    """Return a line of ptbxl_database.csv."""
    patient = f"{number + 100}.0" if patient is None else patient
    stem = f"00000/{number:05d}"
    return f'{number},{patient},{age},{sex},"{codes}",{fold},records100/{stem}_lr,records500/{stem}_hr'


def write_ptbxl(raw: Path, rows: Sequence[str], rate: int = 100) -> Path:
    """Write a PTB-XL folder with the given lines of its table and a record for each."""
    folder = raw / f"records{rate}" / "00000"
    folder.mkdir(parents=True, exist_ok=True)
    names = [*LEADS[:3], "AVR", "AVL", "AVF", *LEADS[6:]]
    for row in rows:
        number = int(row.split(",", 1)[0])
        name = f"{number:05d}_{'lr' if rate == 100 else 'hr'}"
        digital = digital_ecg(number, rate)
        lines = signal_lines(f"{name}.dat", digital, "16", "1000.0(0)/mV", names, signed=False)
        (folder / f"{name}.dat").write_bytes(digital.astype("<i2").tobytes())
        (folder / f"{name}.hea").write_text("\n".join([f"{name} 12 {rate} {len(digital)}", *lines]) + "\n")
    (raw / "ptbxl_database.csv").write_text("\n".join([PTBXL_HEADER, *rows]) + "\n")
    return raw
