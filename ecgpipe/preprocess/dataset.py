"""From a raw folder to a data set: every record is read, labelled and split, or listed with the reason why not."""

from __future__ import annotations

import dataclasses
import logging
import multiprocessing
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from ecgpipe.arrays import signal_writer
from ecgpipe.config import DatasetSettings, Preprocess, SignalSettings
from ecgpipe.config.derived import record_length
from ecgpipe.dataset import SPLITS, SignalSpec, concatenate, require_distinct, save_records
from ecgpipe.files import read_json, sha256, write_json, write_parquet
from ecgpipe.leads import LEADS
from ecgpipe.preprocess import catalogue, labels, splits
from ecgpipe.preprocess.catalogue import Catalogue, Entry, Excluded
from ecgpipe.preprocess.filtering import filtered
from ecgpipe.preprocess.headers import Header
from ecgpipe.preprocess.labels import LabelMap
from ecgpipe.preprocess.reading import gains, read_header, read_leads
from ecgpipe.preprocess.reasons import Refusal
from ecgpipe.preprocess.resample import crop, resample
from ecgpipe.preprocess.screen import screen

log = logging.getLogger(__name__)

BATCH = 32
"""Records a process reads before it hands them over: 15 MB at 500 Hz."""

FEWEST_BATCHES = 48
"""Below this, one process reads all: starting others, which load scipy and pandas first, would take longer."""

EXCLUDED_COLUMNS: tuple[str, ...] = ("record", "reason", "detail", "codes", "split", "label")

UNDECIDED = "undecided"
"""Split of records that were excluded before splits were drawn."""


@dataclass(frozen=True)
class _Job:
    """What a process needs to know to read records."""

    raw: Path
    system: str
    labels: LabelMap
    signal: SignalSettings
    options: Preprocess


@dataclass(frozen=True)
class _Kept:
    """A record of the data set: its study rhythms, the label first, and what its signals are suspected of."""

    entry: Entry
    rhythms: list[str]
    suspected: str


@dataclass(frozen=True)
class _Batch:
    """What came of some entries, in their order."""

    signals: np.ndarray
    """``(k, 12, length)``, float32, mV; the kept records."""
    kept: list[_Kept]
    excluded: list[Excluded]


def preprocess(
    raw: Path,
    manifest: pd.DataFrame,
    dataset: DatasetSettings,
    signal: SignalSettings,
    options: Preprocess,
    out: Path,
    *,
    source_name: str,
    workers: int,
) -> None:
    """Write the data set ``source_name`` into ``out``: signals, records, excluded and summary.

    ``raw`` is a folder in PhysioNet's layout and ``manifest`` the table of its files (column ``path``, relative to
    ``raw``). Records go in order of their names, one batch for each of ``workers`` processes in memory at a time; the
    result does not depend on their number. With more than one, the calling script's work must stand under
    ``if __name__ == "__main__"``.

    Raises:
        ValueError: if the raw folder, its tables or the label map are unfit, if no record could be kept, or if the
            folds put a patient into two splits.
    """
    if dataset.format is None or dataset.source is None:
        raise ValueError(f"{source_name} is a merge; it is made by merge()")
    label_map = labels.load(options.label_map)
    system = catalogue.CODE_SYSTEM[dataset.format]
    if not label_map.knows(system):
        raise ValueError(f"preprocess.label_map: {options.label_map} has no {system} code, which {source_name} needs")
    known = catalogue.dictionary(raw, system)
    unexplained = [code for code in label_map.codes(system) if known is not None and code not in known]
    if unexplained:
        log.warning(
            "%s: its dictionary does not have %s of label map %s",
            source_name,
            ", ".join(unexplained),
            options.label_map,
        )
    listed = _listed(raw, manifest, dataset, signal.rate)
    job = _Job(raw, system, label_map, signal, options)
    kept: list[_Kept] = []
    excluded = list(listed.excluded)
    with signal_writer(out / "signals.npy", (len(LEADS), record_length(signal))) as writer:
        for batch in _read_all(listed.entries, job, workers, source_name):
            writer.append(batch.signals)
            kept += batch.kept
            excluded += batch.excluded
        if not kept:
            reasons = ", ".join(f"{reason} {n}" for reason, n in Counter(e.reason for e in excluded).most_common())
            raise ValueError(f"{source_name}: none of {len(excluded)} records in {raw} could be kept ({reasons})")
        records = _records(kept, source_name, options.split_seed)
        splits.check_patients(records)
    spec = SignalSpec(float(signal.rate), record_length(signal), label_map.classes)
    save_records(out, records, spec)
    excluded.sort(key=lambda row: (row.record, row.reason))
    table = pd.DataFrame(
        [(*dataclasses.astuple(row), _label(row.codes, label_map, system)) for row in excluded],
        columns=list(EXCLUDED_COLUMNS),
    )
    write_parquet(out / "excluded.parquet", table.astype("string"))
    summary = {
        "dataset": source_name,
        "format": dataset.format,
        "simulated": dataset.source.kind == "simulated",
        **_counts(records, table, spec, listed),
        "label_map": {"name": options.label_map, "not_in_dictionary": unexplained},
        "unknown_codes": _unknown_codes(records, table, label_map, system, known),
        "signals_sha256": sha256(out / "signals.npy"),
    }
    write_json(out / "summary.json", summary)
    log.info("%s: kept %d of %d records", source_name, len(records), len(records) + len(table))


def _listed(raw: Path, manifest: pd.DataFrame, dataset: DatasetSettings, rate: int) -> Catalogue:
    if dataset.format == "ptbxl":
        return catalogue.ptbxl(raw, manifest, rate)
    if dataset.format == "challenge":
        return catalogue.challenge(raw, manifest, dataset.folder)
    return catalogue.ecg_arrhythmia(raw, manifest, dataset.subset)


def _label(codes: str, label_map: LabelMap, system: str) -> str:
    """Return the class that comma-separated codes mean, empty if they mean none."""
    return next(iter(label_map.rhythms(system, codes.split(","))), "")


def merge(members: dict[str, Path], out: Path) -> None:
    """Write the union of prepared data sets, by name, into ``out``; see :func:`ecgpipe.dataset.concatenate`.

    Raises:
        ValueError: if the members differ in rate, length, leads or classes, or hold the same recording.
    """
    require_distinct(members)
    records, spec = concatenate(members, out)
    excluded = pd.concat(
        [pd.read_parquet(folder / "excluded.parquet").assign(source=name) for name, folder in members.items()],
        ignore_index=True,
    )
    save_records(out, records, spec)
    write_parquet(out / "excluded.parquet", excluded.astype("string"))
    parts = [read_json(folder / "summary.json") for folder in members.values()]
    summary = {
        "dataset": out.name,
        "format": "merge",
        "members": list(members),
        "simulated": all(part["simulated"] for part in parts),
        **_counts(records, excluded, spec, Catalogue([], [], sum(part["not_requested"] for part in parts))),
        "label_map": {name: part["label_map"] for name, part in zip(members, parts, strict=True)},
        "unknown_codes": {name: part["unknown_codes"] for name, part in zip(members, parts, strict=True)},
        "signals_sha256": sha256(out / "signals.npy"),
    }
    write_json(out / "summary.json", summary)


def _read_all(entries: Sequence[Entry], job: _Job, workers: int, name: str) -> Iterator[_Batch]:
    """Yield batches in the order of the entries."""
    chunks = [entries[start : start + BATCH] for start in range(0, len(entries), BATCH)]
    with tqdm(total=len(entries), desc=f"preprocess {name}", unit="record", disable=None) as bar:
        for chunk, batch in zip(chunks, _batches(chunks, job, workers), strict=True):
            bar.update(len(chunk))
            yield batch


def _batches(chunks: Sequence[Sequence[Entry]], job: _Job, workers: int) -> Iterator[_Batch]:
    if workers == 1 or len(chunks) < FEWEST_BATCHES:
        for chunk in chunks:
            yield _read_batch(chunk, job)
        return
    # A fork server: workers start from a clean process that has the imports, not from one with threads running.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    pool = ProcessPoolExecutor(max_workers=workers, mp_context=context)
    waiting: deque[Future[_Batch]] = deque()
    try:
        for chunk in chunks:
            waiting.append(pool.submit(_read_batch, chunk, job))
            if len(waiting) > workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool as error:
        raise RuntimeError(
            f"a process that reads records below {job.raw} ended suddenly, most likely for want of memory; "
            "set compute.workers lower"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _read_batch(entries: Sequence[Entry], job: _Job) -> _Batch:
    """Read, screen and resample records; what is refused is listed."""
    shape = (len(LEADS), record_length(job.signal))
    signals: list[np.ndarray] = []
    kept: list[_Kept] = []
    excluded: list[Excluded] = []
    for listed in entries:
        entry = listed
        try:
            path = job.raw / f"{entry.stem}.hea"
            header = read_header(path)
            if entry.codes is None:
                entry = dataclasses.replace(entry, age=header.age, sex=header.sex, codes=header.codes)
            rhythms = _rhythms(entry.codes or (), job)
            found, suspected = _signals(header, path.parent, job)
        except Refusal as refusal:
            codes = ",".join(entry.codes or ())
            excluded.append(Excluded(entry.record, refusal.reason, refusal.detail, codes, entry.split or ""))
        else:
            signals.append(found)
            kept.append(_Kept(entry, rhythms, suspected))
    stacked = np.stack(signals) if signals else np.empty((0, *shape), np.float32)
    return _Batch(stacked, kept, excluded)


def _rhythms(codes: Sequence[str], job: _Job) -> list[str]:
    rhythms = job.labels.rhythms(job.system, codes)
    if rhythms:
        return rhythms
    text = [code for code in codes if not code.isdigit()] if job.system == "SNOMED-CT" else []
    if text:
        raise Refusal("no_study_rhythm", f"text in place of SNOMED-CT codes: {', '.join(text)}")
    raise Refusal("no_study_rhythm", f"none of its {len(codes)} codes means one" if codes else "no codes at all")


def _signals(header: Header, folder: Path, job: _Job) -> tuple[np.ndarray, str]:
    """Return a record's signals in the study's form, ``(12, length)``, float32, mV, and what they are suspected of."""
    target, length = job.signal.rate, record_length(job.signal)
    native = crop(read_leads(header, folder), header.rate, target, length)
    sound, suspected = screen(native, gains(header), header.rate, job.options.quality)
    clean = filtered(sound, header.rate, job.options.filters)
    return resample(clean, header.rate, target, length).astype(np.float32), suspected


def _records(kept: Sequence[_Kept], source: str, seed: int) -> pd.DataFrame:
    """Return the records table; records without a fold are split by patient, stratified by class."""
    entries = [row.entry for row in kept]
    label = [row.rhythms[0] for row in kept]
    patients = [entry.patient for entry in entries]
    folds = [entry.split for entry in entries]
    drawn = splits.stratified(patients, label, seed) if None in folds else folds
    return pd.DataFrame(
        {
            "record": [entry.record for entry in entries],
            "patient": patients,
            "label": label,
            "split": drawn,
            "source": source,
            "age": np.array([entry.age for entry in entries], dtype=np.float64),
            "sex": [entry.sex for entry in entries],
            "codes": [",".join(entry.codes or ()) for entry in entries],
            "also": [",".join(row.rhythms[1:]) for row in kept],
            "suspected": [row.suspected for row in kept],
        }
    )


def _counts(records: pd.DataFrame, excluded: pd.DataFrame, spec: SignalSpec, listed: Catalogue) -> dict[str, Any]:
    """Return the part of the summary that follows from the two tables."""
    counts = Counter(zip(records["split"], records["label"], strict=True))
    labelled = excluded[excluded["label"] != ""]
    before = counts + Counter(zip(labelled["split"].replace("", UNDECIDED), labelled["label"], strict=True))
    several = records[records["also"] != ""]
    together = Counter(several["label"] + "," + several["also"])
    return {
        "rate": spec.rate,
        "length": spec.length,
        "classes": list(spec.classes),
        "read": len(records) + len(excluded),
        "kept": len(records),
        "excluded": len(excluded),
        "not_requested": listed.not_requested,
        "excluded_by_reason": _tally(excluded["reason"]),
        "suspected": int((records["suspected"] != "").sum()),
        "counts_before_exclusion": {
            split: {name: before[split, name] for name in spec.classes} for split in (*SPLITS, UNDECIDED)
        },
        "counts": {split: {name: counts[split, name] for name in spec.classes} for split in SPLITS},
        "several_rhythms": {
            "records": len(several),
            "rule": labels.RULE,
            "combinations": dict(sorted(together.items())),
        },
    }


def _tally(values: pd.Series) -> dict[str, int]:
    """Count values, the most frequent first, equals by name."""
    counted = Counter(str(value) for value in values)
    return dict(sorted(counted.items(), key=lambda item: (-item[1], item[0])))


def _unknown_codes(
    records: pd.DataFrame, excluded: pd.DataFrame, label_map: LabelMap, system: str, known: frozenset[str] | None
) -> dict[str, Any]:
    """Count codes that neither the label map nor the data set's own dictionary (``known``, if it was fetched) has."""
    every = [code for codes in (records["codes"], excluded["codes"]) for text in codes for code in text.split(",")]
    unknown = [c for c in every if c and (system, c) not in label_map.by_code and c not in (known or ())]
    counted = _tally(pd.Series(unknown, dtype=object))
    return {
        "dictionary": known is not None,
        "codes": len(counted),
        "occurrences": len(unknown),
        "most_frequent": counted,
    }
