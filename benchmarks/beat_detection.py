"""How well beats are found by the detector of drafts, neurokit2 and wfdb, into ``docs/data/beat_detection.csv``.

    python benchmarks/beat_detection.py                  # a few minutes
    python benchmarks/beat_detection.py --records 70     # a look
    python benchmarks/beat_detection.py --render         # writes the section of docs/generators.md again

Simulated records of both hospitals, some with ectopic beats or a pacemaker, know their beats. A found beat is right
within 150 ms (ANSI/AAMI EC57). Where ECGPIPE_PHYSIONET names a folder with PTB-XL, its records are read too. Nobody has
marked their beats: what at least half of six library detectors find at 500 Hz is taken for the truth, between 0.5 and
9.4 s, since most of these find nothing near the ends. The drafts' own detector has no vote.
"""

from __future__ import annotations

import ast
import os
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.signal
import torch
from measuring import DOCS, ROOT, markdown_table, parser, write_section

from ecgpipe.generate.drafts.analysis import analyse
from ecgpipe.generate.drafts.detection import detect
from ecgpipe.leads import LEADS, independent_from_twelve
from ecgpipe.simulator.ecg import simulate_ecg_with_beats
from ecgpipe.simulator.hospitals import HOSPITALS, RHYTHMS
from ecgpipe.simulator.patients import draw_patient

CSV = ROOT / "docs" / "data" / "beat_detection.csv"
DOCUMENT = DOCS / "generators.md"
WITHIN = 0.15
"""s."""
SECONDS = 10.0
SEED = 7
LOW_VOLTAGE, LIMB_LEADS_BELOW = "low voltage", 0.7
"""Records are of low voltage if every limb lead's range (2-35 Hz, 99.8 % of the samples) is below so many mV.
Clinicians use 0.5 mV of the QRS complex; three records of each set have that."""
Detector = Callable[[np.ndarray, float], list[np.ndarray]]
"""detector(signals ``(n, 12, length)`` in mV, rate in Hz) -> times of the beats of each record, s."""


def simulated(number: int, rate: float) -> tuple[np.ndarray, list[np.ndarray], list[str]]:
    """Return signals ``(n, 12, length)``, their beats, and what each record is: a rhythm, ``ectopic`` or ``paced``."""
    signals, truth, kinds = [], [], []
    for i in range(number):
        rng, rhythm, hospital = np.random.default_rng([SEED, i]), RHYTHMS[i % 7], HOSPITALS["ab"[i // 7 % 2]]
        patient = draw_patient(rng, hospital, rhythm, paced=i % 29 == 0)
        signal, beats = simulate_ecg_with_beats(rng, rhythm, hospital, patient, rate, SECONDS)
        signals.append(signal)
        truth.append(beats.times)
        kinds.append("paced" if patient.finding == "paced" else "ectopic" if beats.ectopic.any() else rhythm)
    return np.stack(signals), truth, kinds


def drafts(signals: np.ndarray, rate: float) -> list[np.ndarray]:
    """The detector of drafts."""
    return detect(independent_from_twelve(signals), rate)


def analysis(signals: np.ndarray, rate: float) -> list[np.ndarray]:
    """The same with the broad beats that the mean beat leaves, and without what is no beat."""
    plans = analyse(independent_from_twelve(signals), rate).plans
    return [plans.beats(row) for row in range(len(plans))]


def each(find: Callable[[np.ndarray, float], np.ndarray], lead: str) -> Detector:
    """Return a detector that looks at one lead, or at the root of the sum of squares of eight of 5-35 Hz (``all``)."""
    band = {rate: scipy.signal.butter(2, (5, 35), "bandpass", fs=rate, output="sos") for rate in (100.0, 500.0)}

    def detector(signals: np.ndarray, rate: float) -> list[np.ndarray]:
        found = []
        for record in signals:
            if lead == "all":
                filtered = scipy.signal.sosfiltfilt(band[rate], independent_from_twelve(record), axis=-1)
                one = np.sqrt(np.square(filtered).sum(axis=0))
            else:
                one = record[LEADS.index(lead)].astype(np.float64)
            try:  # libraries raise whatever their parts raise on a signal they do not expect
                found.append(np.asarray(find(one, rate), dtype=np.float64) / rate)
            except Exception:
                found.append(np.zeros(0))
        return found

    return detector


def neurokit(method: str, clean: bool = True) -> Callable[[np.ndarray, float], np.ndarray]:
    """Return neurokit2's detector of a name."""

    def find(lead: np.ndarray, rate: float) -> np.ndarray:
        import neurokit2

        cleaned = neurokit2.ecg_clean(lead, sampling_rate=int(rate)) if clean else lead
        return np.asarray(neurokit2.ecg_findpeaks(cleaned, sampling_rate=int(rate), method=method)["ECG_R_Peaks"])

    return find


def xqrs(lead: np.ndarray, rate: float) -> np.ndarray:
    """Return what ``wfdb.processing.XQRS`` finds."""
    from wfdb.processing import XQRS

    detector = XQRS(sig=lead, fs=rate)
    detector.detect(verbose=False)
    return np.asarray(detector.qrs_inds)


def gqrs(lead: np.ndarray, rate: float) -> np.ndarray:
    """Return what ``wfdb.processing.gqrs_detect`` finds."""
    from wfdb.processing import gqrs_detect

    return np.asarray(gqrs_detect(sig=lead, fs=rate, adc_gain=200, adc_zero=0))


DETECTORS: dict[str, Detector] = {
    "drafts.detection (all leads)": drafts,
    "drafts.analysis (all leads)": analysis,
    **{
        f"neurokit2 {name} (II)": each(neurokit(name), "II")
        for name in (
            *("neurokit", "pantompkins1985", "hamilton2002", "christov2004", "elgendi2010", "engzeemod2012"),
            *("kalidas2017", "rodrigues2021", "manikandan2012", "khamis2016"),
        )
    },
    **{f"neurokit2 {name} (all leads)": each(neurokit(name), "all") for name in ("neurokit", "rodrigues2021")},
    "wfdb xqrs (II)": each(xqrs, "II"),
    "wfdb gqrs (II)": each(gqrs, "II"),
}
VOTERS: tuple[Detector, ...] = (
    each(neurokit("neurokit"), "II"),
    each(neurokit("neurokit"), "V5"),
    each(neurokit("neurokit", clean=False), "all"),
    each(neurokit("kalidas2017"), "II"),
    each(neurokit("manikandan2012"), "II"),
    each(xqrs, "II"),
)


def matched(found: np.ndarray, truth: np.ndarray, first: float, last: float) -> tuple[int, int, int]:
    """Count true beats found, true beats missed and found beats that are none, between two times.

    Each beat is matched once, in the order of time.
    """
    taken = np.zeros(len(found), dtype=bool)
    right = missed = 0
    for beat in truth:
        near = np.flatnonzero(~taken & (np.abs(found - beat) <= WITHIN))
        if len(near):
            taken[near[np.argmin(np.abs(found[near] - beat))]] = True
            right += first <= beat <= last
        else:
            missed += first <= beat <= last
    return right, missed, int((~taken & (found >= first) & (found <= last)).sum())


def consensus(votes: list[np.ndarray], needed: int) -> np.ndarray:
    """Return the times at which at least so many detectors found a beat: medians of what lies within 160 ms."""
    events = sorted((float(t), voter) for voter, times in enumerate(votes) for t in times)
    groups: list[list[tuple[float, int]]] = []
    for event in events:
        if not groups or event[0] - groups[-1][0][0] > 0.16:
            groups.append([])
        groups[-1].append(event)
    kept = [float(np.median([t for t, _ in g])) for g in groups if len({v for _, v in g}) >= needed]
    return np.array([t for i, t in enumerate(kept) if not i or t - kept[i - 1] > 0.2])


def real_records(root: Path, number: int) -> tuple[np.ndarray, list[np.ndarray], list[str]]:
    """Return PTB-XL records at 100 Hz, what most detectors find in them at 500 Hz, and their rhythms."""
    import wfdb

    table = pd.read_csv(root / "ptbxl_database.csv").head(number)
    low, high = (
        np.stack([wfdb.rdsamp(str(root / name))[0].T for name in table[column]])
        for column in ("filename_lr", "filename_hr")
    )
    votes = [voter(high, 500.0) for voter in VOTERS]
    truth = [consensus([v[row] for v in votes], len(VOTERS) // 2) for row in range(len(table))]
    codes = [ast.literal_eval(text) for text in table["scp_codes"]]
    kinds = [
        "paced" if "PACE" in own else "ectopic" if "PVC" in own else next((r for r in RHYTHMS if r in own), "other")
        for own in codes
    ]
    return low, truth, kinds


def of_low_voltage(signals: np.ndarray) -> np.ndarray:
    """Say which of the records ``(n, 12, length)`` at 100 Hz are of low voltage."""
    filtered = scipy.signal.sosfiltfilt(scipy.signal.butter(2, (2, 35), "bandpass", fs=100, output="sos"), signals)
    low, high = np.quantile(filtered[:, :6], (0.001, 0.999), axis=-1)
    return (high - low).max(axis=1) < LIMB_LEADS_BELOW


def rows(data: str, signals: np.ndarray, truth: list[np.ndarray], kinds: list[str], first: float, last: float) -> list:
    """Return a row a detector and kind of record; a record of low voltage is also of another kind."""
    out: list[dict[str, object]] = []
    groups = {"all": np.ones(len(kinds), dtype=bool)}
    groups |= {kind: np.array([k == kind for k in kinds]) for kind in sorted(set(kinds))}
    if (low := of_low_voltage(signals)).any():
        groups[LOW_VOLTAGE] = low
    for name, detector in DETECTORS.items():
        clock = time.process_time()
        found = detector(signals, 100.0)
        milliseconds = 1000 * (time.process_time() - clock) / len(signals)
        counts = np.array([matched(f, t, first, last) for f, t in zip(found, truth, strict=True)])
        for kind, which in groups.items():
            own = counts[which]
            right, missed, extra = own.sum(axis=0)
            out.append(
                {
                    "data": data,
                    "detector": name,
                    "records": kind,
                    "number": len(own),
                    "beats": right + missed,
                    "sensitivity": right / max(1, right + missed),
                    "ppv": right / max(1, right + extra),
                    "records_without_error": float((own[:, 1:].sum(axis=1) == 0).mean()),
                    "cpu_ms_a_record": milliseconds,
                }
            )
        print(data, name, f"{out[-len(groups)]}", flush=True)
    return out


def render(table: pd.DataFrame) -> str:
    """Return the section of docs/generators.md: all records together, and those that are hard."""
    kinds = ("AFIB", "AFLT", "ectopic", "paced", LOW_VOLTAGE)
    heads = ["records", "detector", "sensitivity", "positive predictive value", "records without an error"]
    lines = []
    for (data, detector), rows in table.groupby(["data", "detector"], sort=False):
        own = rows.set_index("records")
        values = [f"{own.loc['all', c]:.3f}" for c in ("sensitivity", "ppv", "records_without_error")]
        hard = (f"{own.loc[k, 'records_without_error']:.2f}" if k in own.index else "–" for k in kinds)
        lines.append([data, detector, *values, *hard, f"{own.loc['all', 'cpu_ms_a_record']:.1f}"])
    numbers = []
    for data, rows in table.groupby("data", sort=False):
        number = rows.drop_duplicates("records").set_index("records")["number"]
        counted = [f"{number[k]} {'of ' * (k == LOW_VOLTAGE)}{k}" for k in kinds if k in number]
        numbers.append(f"{data}: {', '.join(counted)} of {number['all']}")
    counts = f"\nHard records: {'; '.join(numbers)}.\n"
    return markdown_table([*heads, *(f"of {kind}" for kind in kinds), "CPU ms a record"], lines) + counts


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--records", type=int, default=700, help="simulated records, and real ones at most")
    args = arguments.parse_args()
    if not args.render:
        measure(args.records)
    write_section(DOCUMENT, CSV.stem, render(pd.read_csv(CSV)))


def measure(records: int) -> None:
    """Write the CSV."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    table = rows("simulated", *simulated(records, 100.0), 0.1, SECONDS - 0.1)
    root = Path(os.environ.get("ECGPIPE_PHYSIONET", "")) / "files" / "ptb-xl" / "1.0.3"
    if (root / "records500").exists():
        table += rows("PTB-XL, by majority", *real_records(root, records), 0.5, 9.4)
    CSV.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(table).to_csv(CSV, index=False, float_format="%.4g")


if __name__ == "__main__":
    main()
