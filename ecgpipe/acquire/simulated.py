"""A PhysioNet-shaped folder of simulated ECGs: the layouts of PTB-XL 1.0.3 and ecg-arrhythmia 1.0.0, no real patient.

Headers, tables, codes and sums are written as the real data sets have them, so that whatever reads those reads these.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import shutil
import struct
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from ecgpipe.acquire.errors import AcquireError, disk_error
from ecgpipe.acquire.heart import HOSPITALS, RHYTHMS, Patient, draw_patient, simulate_ecg
from ecgpipe.acquire.lock import locked
from ecgpipe.config import SimulatedSource
from ecgpipe.leads import LEADS

SECONDS = 10.0
"""Length of every recording, as in both originals."""

WHOLE = 10
"""So many records of each class are without fault: stated as one study rhythm, all leads, a patient of their own."""

FORMATS: tuple[str, ...] = ("ptbxl", "ecg_arrhythmia")

_ADC_UNITS = 1000  # a mV
_LICENSE = """\
These records are simulated by ecgpipe. No patient's recording is among them.

They were drawn from a dipole model of the heart and laid out like a PhysioNet project, so that software can be tried
out without patients' data. They must not be taken for clinical data.
"""


@dataclass(frozen=True)
class _Shares:
    """How common what is not one plain record of one patient is, as a share of all records."""

    repeated: float
    """A further recording of a patient who has one already."""
    unstated: float
    """None of the seven rhythms is stated: a pacemaker (ptbxl), atrial tachycardia (ecg_arrhythmia)."""
    double: float
    """Two of the seven are stated."""
    ageless: float
    """The age is not known."""
    flat: float
    """One chest lead is flat."""


SHARES: dict[str, _Shares] = {
    "ptbxl": _Shares(repeated=1 - 18869 / 21799, unstated=0.02, double=0.01, ageless=0.005, flat=0.0),
    "ecg_arrhythmia": _Shares(repeated=0.0, unstated=0.01, double=0.02, ageless=0.01, flat=0.01),
}

# What a reader may state beside the rhythm that is there.
_SECOND = {"SR": "SARRH", "SBRAD": "SARRH", "SARRH": "SR", "AFIB": "AFLT", "AFLT": "AFIB"}

_SNOMED = {
    "SBRAD": ("SB", "Sinus Bradycardia", "426177001"),
    "SR": ("SR", "Sinus Rhythm", "426783006"),
    "AFIB": ("AFIB", "Atrial Fibrillation", "164889003"),
    "STACH": ("ST", "Sinus Tachycardia", "427084000"),
    "AFLT": ("AF", "Atrial Flutter", "164890007"),
    "SARRH": ("SA", "Sinus Irregularity", "427393009"),
    "SVTAC": ("SVT", "Supraventricular Tachycardia", "426761007"),
    "unstated": ("AT", "Atrial Tachycardia", "713422000"),
    "LVH": ("LVH", "left ventricle hypertrophy", "164873001"),
    "RBBB": ("RBBB", "right bundle branch block", "59118001"),
    "STTC": ("TWC", "T wave Change", "164934002"),
    "ectopic": ("VPB", "ventricular premature beat", "17338001"),
}

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


@dataclass(frozen=True)
class _Record:
    """What will be recorded, before it is."""

    number: int
    patient: int
    rhythm: str
    """What the heart does."""
    stated: tuple[str, ...]
    """Study rhythms that the record's codes name; the heart's own first."""
    ageless: bool
    flat: str | None
    """Name of a flat lead."""


def simulate(source: SimulatedSource, format: str, rate: int, folder: Path) -> pd.DataFrame:
    """Write simulated records into ``folder``, in the layout of PTB-XL or of ecg-arrhythmia.

    The same arguments give the same bytes. ``ptbxl`` is written at 100 Hz if ``rate`` is at most 100, else at 500 Hz;
    ``ecg_arrhythmia`` always at 500 Hz, as the original. Every class with weight gets at least 10 records, or, if there
    are fewer than 20 records a class, half an equal share: ``max(1, min(10, records // (2 * classes)))``. So many of
    each class are faultless records of patients of their own; beyond them, at the rates of ``SHARES``, patients come
    again (ptbxl), two rhythms or none of the seven are stated, ages are missing, leads are flat (ecg_arrhythmia).
    Folds (ptbxl) keep a patient's records together and each class's patients spread evenly.

    The folder appears whole or not at all; an older simulation in its place is replaced.

    Args:
        source: how many records, which hospital, mix and seed.
        format: ``ptbxl`` or ``ecg_arrhythmia``.
        rate: sampling rate of the study, Hz.
        folder: where to write.

    Returns:
        A row a file: path (below ``folder``, with slashes), bytes (int64), sha256; sorted by path.

    Raises:
        AcquireError: if the format or a class of the mix is unknown, no class has weight, ``folder`` holds anything but
            simulated records, or the disk refuses.
    """
    if format not in FORMATS:
        raise AcquireError(f"`format`: {format!r} is not known; allowed: {', '.join(FORMATS)}")
    records = _plan(source, format)
    try:
        with _replaced(Path(folder)) as new:
            output = _Output(new)
            if format == "ptbxl":
                _write_ptbxl(output, source, records, low=rate <= 100)
            else:
                _write_ecg_arrhythmia(output, source, records)
            return output.finish()
    except OSError as error:
        raise disk_error(Path(folder), error) from error


def class_counts(records: int, mix: Mapping[str, float]) -> dict[str, int]:
    """Divide ``records`` among the rhythms in proportion to ``mix``, none with weight below its minimum.

    The configuration has checked the mix: it names rhythms of the study, at least one with a weight above 0.
    """
    weights = {name: mix[name] for name in RHYTHMS if mix.get(name, 0) > 0}
    least = _least(records, len(weights))
    share = np.array(list(weights.values())) / sum(weights.values())
    extra = np.maximum(share * records - least, 0)
    extra *= (records - least * len(weights)) / extra.sum()
    counts = np.floor(extra).astype(int)
    largest = np.argsort(counts - extra, kind="stable")
    counts[largest[: records - least * len(weights) - counts.sum()]] += 1
    return {name: least + int(count) for name, count in zip(weights, counts, strict=True)}


def _least(records: int, classes: int) -> int:
    return max(1, min(WHOLE, records // (2 * classes)))


def _generator(source: SimulatedSource, format: str, *key: int) -> np.random.Generator:
    """Return the generator of one purpose; no two hospitals, formats, patients or records share one."""
    return np.random.default_rng([source.seed, ord(source.hospital), FORMATS.index(format), *key])


def _plan(source: SimulatedSource, format: str) -> list[_Record]:
    """Decide what each record is: rhythm, patient, what is stated, what is wrong with it."""
    rng = _generator(source, format, 0)
    mix: Mapping[str, float] = (
        HOSPITALS[source.hospital].mix if source.class_mix is None else dict(source.class_mix.items())
    )
    counts = class_counts(source.records, mix)
    rhythms = [str(name) for name in rng.permutation(np.repeat(list(counts), list(counts.values())))]
    free = list(rng.permutation(_beyond(rhythms, _least(source.records, len(counts)))))
    shares = SHARES[format]

    def taken(share: float) -> set[int]:
        number = round(share * source.records)
        chosen, free[:] = free[:number], free[number:]
        return {int(place) for place in chosen}

    unstated, ageless, flat, repeated = map(taken, (shares.unstated, shares.ageless, shares.flat, shares.repeated))
    candidates = [int(place) for place in free if rhythms[place] in _SECOND]
    double = set(candidates[: round(shares.double * source.records)])
    patients = _patients(rng, rhythms, repeated, unstated)
    chest = LEADS[6:]
    records = []
    for place, rhythm in enumerate(rhythms):
        stated: tuple[str, ...] = (rhythm, _SECOND[rhythm]) if place in double else (rhythm,)
        if place in unstated:
            # The rhythm that is nearest to what the record's own code says.
            rhythm, stated = ("SR" if format == "ptbxl" else "SVTAC"), ()
        lead = str(rng.choice(chest)) if place in flat else None
        records.append(_Record(place + 1, patients[place], rhythm, stated, place in ageless, lead))
    return records


def _beyond(rhythms: list[str], least: int) -> list[int]:
    """Return the places of all but the first ``least`` records of each class."""
    seen: Counter[str] = Counter()
    places = []
    for place, rhythm in enumerate(rhythms):
        seen[rhythm] += 1
        if seen[rhythm] > least:
            places.append(place)
    return places


def _patients(rng: np.random.Generator, rhythms: list[str], repeated: set[int], unstated: set[int]) -> list[int]:
    """Give each record its patient; who comes again has the same rhythm again."""
    first = [place for place in range(len(rhythms)) if place not in repeated]
    numbers = dict(zip(first, (int(number) + 1 for number in rng.permutation(len(first))), strict=True))
    known = defaultdict(list)
    for place in first:
        if place not in unstated:
            known[rhythms[place]].append(numbers[place])
    for place in sorted(repeated):
        numbers[place] = int(rng.choice(known[rhythms[place]]))
    return [numbers[place] for place in range(len(rhythms))]


@contextlib.contextmanager
def _replaced(folder: Path) -> Iterator[Path]:
    """Yield an empty folder beside ``folder`` that takes its place on success and vanishes on any error.

    A run that was killed leaves that folder; the next one removes it.

    Raises:
        AcquireError: if something other than a simulation stands there; downloads are too dear to be overwritten.
    """
    if folder.exists() and not (folder.is_dir() and (_is_simulated(folder) or not any(folder.iterdir()))):
        raise AcquireError(
            f"{folder} holds files that were not simulated and would be lost. Move it away, or give the dataset another name or `raw_dir` another place."
        )
    with locked(folder):
        scratch = folder.with_name(f".{folder.name}.scratch")
        _remove(scratch)
        new = scratch / "new"
        new.mkdir(parents=True)
        try:
            yield new
            if folder.exists():
                folder.rename(scratch / "old")
            new.rename(folder)
        finally:
            _remove(scratch)


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)


def _is_simulated(folder: Path) -> bool:
    license = folder / "LICENSE.txt"
    return license.is_file() and license.read_text(encoding="utf-8", errors="replace") == _LICENSE


class _Output:
    """A folder being written, and the sums of what is in it."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._made: set[Path] = set()
        self._rows: list[tuple[str, int, str]] = []

    def write(self, path: str, data: bytes) -> None:
        target = self._root / path
        if target.parent not in self._made:
            target.parent.mkdir(parents=True, exist_ok=True)
            self._made.add(target.parent)
        target.write_bytes(data)
        self._rows.append((path, len(data), hashlib.sha256(data).hexdigest()))

    def finish(self) -> pd.DataFrame:
        """Write licence and sums, and return the manifest."""
        self.write("LICENSE.txt", _LICENSE.encode())
        self.write("SHA256SUMS.txt", "".join(f"{digest} {path}\n" for path, _, digest in sorted(self._rows)).encode())
        frame = pd.DataFrame(sorted(self._rows), columns=["path", "bytes", "sha256"])
        return frame.astype({"bytes": "int64"})


def _recorded(source: SimulatedSource, format: str, record: _Record, rate: int) -> tuple[Patient, np.ndarray]:
    """Draw a record's patient and ECG: (12, length), int16 in microvolts."""
    hospital = HOSPITALS[source.hospital]
    paced = format == "ptbxl" and not record.stated
    patient = draw_patient(_generator(source, format, 1, record.patient), hospital, record.rhythm, paced)
    signal = simulate_ecg(_generator(source, format, 2, record.number), record.rhythm, hospital, patient, rate, SECONDS)
    # -32768 means "no sample" in WFDB's format 16.
    samples = np.clip(np.rint(signal * _ADC_UNITS), -32767, 32767).astype("<i2")
    if record.flat is not None:
        samples[LEADS.index(record.flat)] = 0
    return patient, samples


def _progress(records: list[_Record], format: str) -> Iterator[_Record]:
    return iter(tqdm(records, desc=f"simulating {format}", unit="record", disable=None))


# PTB-XL


def _write_ptbxl(output: _Output, source: SimulatedSource, records: list[_Record], low: bool) -> None:
    rate, name, suffix = (100, "records100", "lr") if low else (500, "records500", "hr")
    folds = _folds(_generator(source, "ptbxl", 3), records)
    rows, paths = [], []
    for record in _progress(records, "ptbxl"):
        patient, samples = _recorded(source, "ptbxl", record, rate)
        place = f"{record.number // 1000 * 1000:05d}/{record.number:05d}"
        rows.append(_database_row(record, patient, folds[record.patient], place))
        path = f"{name}/{place}_{suffix}"
        paths.append(path)
        stem = path.rpartition("/")[2]
        sums = samples.sum(axis=1, dtype=np.int64) % 65536
        lines = [f"{stem} 12 {rate} {samples.shape[1]}"]
        for lead, first, total in zip(LEADS, samples[:, 0].tolist(), sums.tolist(), strict=True):
            lines.append(f"{stem}.dat 16 1000.0(0)/mV 16 0 {first} {total} 0 {lead.upper()}")
        output.write(f"{path}.hea", ("\n".join(lines) + "\n").encode())
        output.write(f"{path}.dat", samples.T.tobytes())
    output.write("ptbxl_database.csv", pd.DataFrame(rows).to_csv(index=False, lineterminator="\n").encode())
    output.write("scp_statements.csv", _scp_statements().to_csv(lineterminator="\n").encode())
    output.write("RECORDS", "".join(f"{path}\n" for path in paths).encode())


def _folds(rng: np.random.Generator, records: list[_Record]) -> dict[int, int]:
    """Deal each class's patients over the ten folds: the first to a training fold, the next to 10 and 9."""
    patients = defaultdict(set)
    for record in records:
        patients[record.stated[:1]].add(record.patient)
    deal = (1, 10, 9, 2, 3, 4, 5, 6, 7, 8)
    return {
        int(patient): deal[turn % 10]
        for group in sorted(patients)
        for turn, patient in enumerate(rng.permutation(sorted(patients[group])))
    }


def _scp_codes(record: _Record, patient: Patient) -> dict[str, float]:
    """Return statements with their likelihood, which PTB-XL gives as 0 for rhythms."""
    healthy = patient.finding == "normal"
    unremarkable = healthy and not patient.ectopic and record.rhythm in ("SR", "SARRH", "SBRAD", "STACH")
    codes = {}
    if unremarkable or not (healthy or patient.finding == "paced"):
        codes[_SCP[patient.finding][0]] = 100.0
    if patient.ectopic:
        codes[_SCP["ectopic"][0]] = 100.0
    for name in record.stated or ("paced",):
        codes[_SCP[name][0]] = 0.0
    return codes


def _axis_name(degrees: float) -> str:
    """Name a frontal axis as PTB-XL does: middle, left, extreme left, right."""
    if -30 <= degrees < 30:
        return "LAD"
    if 30 <= degrees < 90:
        return "MID"
    return "ALAD" if -90 <= degrees < -30 else "RAD"


def _database_row(record: _Record, patient: Patient, fold: int, place: str) -> dict[str, object]:
    """Return a row of ``ptbxl_database.csv``, all columns in their order."""
    recorded = datetime.datetime(1990, 1, 1, 9) + record.number * datetime.timedelta(minutes=97)
    codes = _scp_codes(record, patient)
    text = ", ".join(description for code, description, *_ in _SCP.values() if code in codes)
    paced = patient.finding == "paced"
    return {
        "ecg_id": record.number,
        "patient_id": float(record.patient),
        # Ages above 89 would identify a person, so PTB-XL has 300 there.
        "age": None if record.ageless else 300.0 if patient.age > 89 else float(patient.age),
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
        "filename_lr": f"records100/{place}_lr",
        "filename_hr": f"records500/{place}_hr",
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


# ecg-arrhythmia


def _write_ecg_arrhythmia(output: _Output, source: SimulatedSource, records: list[_Record]) -> None:
    folders = defaultdict(list)
    for record in _progress(records, "ecg_arrhythmia"):
        patient, samples = _recorded(source, "ecg_arrhythmia", record, 500)
        name = f"JS{record.number:05d}"
        tens, ones = divmod((record.number - 1) // 100, 10)
        folder = f"WFDBRecords/{tens + 1:02d}/{tens + 1:02d}{ones}/"
        folders[folder].append(name)
        output.write(f"{folder}{name}.hea", _arrhythmia_header(name, record, patient, samples).encode())
        output.write(f"{folder}{name}.mat", _matlab(samples))
    for folder, names in folders.items():
        output.write(f"{folder}RECORDS", "".join(f"{name}\n" for name in names).encode())
    output.write("RECORDS", "".join(f"{folder}\n" for folder in folders).encode())
    table = ["AcronymName,FullName,Snomed_CT", *(",".join(row) for row in _SNOMED.values())]
    output.write("ConditionNames_SNOMED-CT.csv", ("\n".join(table) + "\n").encode("utf-8-sig"))


def _arrhythmia_header(name: str, record: _Record, patient: Patient, samples: np.ndarray) -> str:
    codes = list(record.stated or ("unstated",))
    if patient.finding != "normal":
        codes.append(patient.finding)
    if patient.ectopic:
        codes.append("ectopic")
    sums = (samples.sum(axis=1, dtype=np.int64) + 32768) % 65536 - 32768
    lines = [f"{name} 12 500 {samples.shape[1]}"]
    for lead, first, total in zip(LEADS, samples[:, 0].tolist(), sums.tolist(), strict=True):
        lines.append(f"{name}.mat 16+24 1000/mV 16 0 {first} {total} 0 {lead}")
    lines.append(f"#Age: {'NaN' if record.ageless else patient.age}")
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
