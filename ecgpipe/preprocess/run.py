"""From a folder of raw records to a data set: each record is kept, labelled and split, or excluded with its reason."""

from __future__ import annotations

import dataclasses
import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ecgpipe.arrays import signal_writer
from ecgpipe.config import DatasetSettings, Preprocess, SignalSettings
from ecgpipe.config.derived import record_length
from ecgpipe.dataset import SignalSpec, concatenate, require_distinct, save_records
from ecgpipe.files import read_json, sha256, write_json, write_parquet
from ecgpipe.leads import LEADS
from ecgpipe.preprocess import catalogue, labels, splits
from ecgpipe.preprocess.batches import Kept, ReadingSettings, read_batches
from ecgpipe.preprocess.catalogue import Excluded
from ecgpipe.preprocess.labels import LabelMap
from ecgpipe.preprocess.summary import count_records, count_unknown_codes

log = logging.getLogger(__name__)

EXCLUDED_COLUMNS: tuple[str, ...] = ("record", "reason", "detail", "codes", "split", "label")


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
    """Write the data set ``source_name`` into ``out``: signals, records, excluded records and summary.

    Records are written in the order of their names, with one batch for each of ``workers`` processes in memory at a
    time; the result does not depend on their number. With more than one, the caller must be guarded by
    ``if __name__ == "__main__"``.

    Args:
        raw: folder of the raw records, in PhysioNet's layout.
        manifest: the table of its files (column ``path``, relative to ``raw``); others are ignored.
        dataset: settings of the data set.
        signal: rate and length of the study's signals.
        options: label map, quality limits, filters, and the seed of the splits.
        out: folder of the data set.
        source_name: name of the data set.
        workers: processes that read records.

    Raises:
        ValueError: if the raw folder, its tables or the label map are unusable, if no record could be kept, or if the
            folds put a patient into two splits.
        RuntimeError: if a worker process was killed.
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
    listed = catalogue.list_records(raw, manifest, dataset, signal.rate)
    reading = ReadingSettings(raw, system, label_map, signal, options)
    kept: list[Kept] = []
    excluded = list(listed.excluded)
    with signal_writer(out / "signals.npy", (len(LEADS), record_length(signal))) as writer:
        for batch in read_batches(listed.entries, reading, workers, source_name):
            writer.append(batch.signals)
            kept += batch.kept
            excluded += batch.excluded
        if not kept:
            reasons = ", ".join(f"{reason} {n}" for reason, n in Counter(e.reason for e in excluded).most_common())
            raise ValueError(f"{source_name}: none of {len(excluded)} records in {raw} could be kept ({reasons})")
        records = _records_table(kept, source_name, options.split_seed)
        splits.check_patients(records)
    spec = SignalSpec(float(signal.rate), record_length(signal), label_map.classes)
    save_records(out, records, spec)
    table = _excluded_table(excluded, label_map, system)
    write_parquet(out / "excluded.parquet", table.astype("string"))
    summary = {
        "dataset": source_name,
        "format": dataset.format,
        "simulated": dataset.source.kind == "simulated",
        **count_records(records, table, spec, listed.not_requested),
        "label_map": {"name": options.label_map, "not_in_dictionary": unexplained},
        "unknown_codes": count_unknown_codes(records, table, label_map, system, known),
        "signals_sha256": sha256(out / "signals.npy"),
    }
    write_json(out / "summary.json", summary)
    log.info("%s: kept %d of %d records", source_name, len(records), len(records) + len(table))


def merge(members: dict[str, Path], out: Path) -> None:
    """Write the union of preprocessed data sets, by name, into ``out``; see :func:`ecgpipe.dataset.concatenate`.

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
        **count_records(records, excluded, spec, sum(part["not_requested"] for part in parts)),
        "label_map": {name: part["label_map"] for name, part in zip(members, parts, strict=True)},
        "unknown_codes": {name: part["unknown_codes"] for name, part in zip(members, parts, strict=True)},
        "signals_sha256": sha256(out / "signals.npy"),
    }
    write_json(out / "summary.json", summary)


def _records_table(kept: Sequence[Kept], source: str, seed: int) -> pd.DataFrame:
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


def _excluded_table(excluded: Sequence[Excluded], label_map: LabelMap, system: str) -> pd.DataFrame:
    """Return the table of excluded records, sorted, with the class that each record's codes mean, empty if none."""
    rows = []
    for row in sorted(excluded, key=lambda row: (row.record, row.reason)):
        label = next(iter(label_map.rhythms(system, row.codes.split(","))), "")
        rows.append((*dataclasses.astuple(row), label))
    return pd.DataFrame(rows, columns=list(EXCLUDED_COLUMNS))
