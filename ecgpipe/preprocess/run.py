"""From a folder of raw records to a data set: each record is kept, labelled and split, or excluded with its reason."""

from __future__ import annotations

import dataclasses
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ecgpipe.arrays import SignalReader, keep_rows, signal_writer
from ecgpipe.config import DatasetSettings, Preprocess, SignalSettings
from ecgpipe.config.derived import record_length
from ecgpipe.dataset import SignalSpec, concatenate, save_records
from ecgpipe.duplicates import TwinSearch
from ecgpipe.files import atomic_path, read_json, sha256, write_json, write_parquet
from ecgpipe.leads import LEADS
from ecgpipe.manifest import NAMED
from ecgpipe.preprocess import account, catalogue, duplicates, labels, splits
from ecgpipe.preprocess.batches import Kept, ReadingSettings, read_batches
from ecgpipe.preprocess.catalogue import Excluded
from ecgpipe.preprocess.gains import doubtful_gains, unusual_amplitude
from ecgpipe.preprocess.labels import LabelMap
from ecgpipe.preprocess.losses import nothing_kept
from ecgpipe.preprocess.sites import count_sites
from ecgpipe.preprocess.summary import count_patients, count_records, count_unknown_codes

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
    aliases: Mapping[str, str | None] | None = None,
    refused: Path | None = None,
) -> None:
    """Write the data set ``source_name`` into ``out``: signals, records, excluded records and summary.

    Records are written in the order of their names, with one batch for each of ``workers`` processes in memory at a
    time; the result does not depend on their number. With more than one, the caller must be guarded by
    ``if __name__ == "__main__"``.

    Args:
        raw: folder of the raw records, in PhysioNet's layout.
        manifest: the table of its files (column ``path``, relative to ``raw``); others are ignored. Its attributes
            (:mod:`ecgpipe.manifest`) say what the acquisition left out.
        dataset: settings of the data set.
        signal: rate and length of the study's signals.
        options: label map, quality limits, filters, and the seed of the splits.
        out: folder of the data set.
        source_name: name of the data set.
        workers: processes that read records.
        aliases: what leads are called beside the names that are known, as :func:`ecgpipe.leads.named_lead` takes it.
        refused: where the table of excluded records is written if none is kept; None: ``excluded.parquet`` in ``out``.

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
    reading = ReadingSettings(raw, system, label_map, signal, options, aliases or {})
    if refused is not None:
        refused.unlink(missing_ok=True)  # of an earlier run
    kept: list[Kept] = []
    excluded = [*listed.excluded, *account.records_not_taken(manifest, dataset)]
    # Of PTB-XL the catalogue knows it from the database, which also names what is missing from the source.
    not_requested = listed.not_requested + (dataset.format != "ptbxl") * account.count_not_requested(manifest)
    if dataset.format == "ptbxl":
        not_requested = max(0, not_requested - account.count_passed_over(manifest).get(NAMED, 0))
    search = TwinSearch(signal.rate, record_length(signal))
    with atomic_path(out / "signals.npy") as signals:
        with signal_writer(signals, (len(LEADS), record_length(signal))) as writer:
            for batch in read_batches(listed.entries, reading, workers, source_name):
                writer.append(batch.signals)
                search.add(batch.signals)
                kept += batch.kept
                excluded += batch.excluded
        if not kept:
            table = _excluded_table(excluded, label_map, system)
            refused = refused or out / "excluded.parquet"
            write_parquet(refused, table.astype("string"))
            raise ValueError(nothing_kept(source_name, raw, table, refused))
        once = duplicates.exclude(signals, search, kept, source_name)
        unusual = unusual_amplitude(SignalReader.of(np.load(signals, mmap_mode="r")), options.quality.usual_gain)
        kept, excluded = once.kept, excluded + once.excluded
        records = _records_table(kept, source_name, options.split_seed, dataset)
        splits.check_patients(records)
        unused: Counter[str] = Counter()
        if dataset.training_share is not None:
            rows = splits.training_share(
                [*records["split"]], [*records["label"]], dataset.training_share, options.split_seed
            )
            keep_rows(signals, rows)
            unused = Counter(records["label"]) - Counter(records["label"].iloc[rows])
            records, kept = records.iloc[rows].reset_index(drop=True), [kept[row] for row in rows]
    spec = SignalSpec(float(signal.rate), record_length(signal), label_map.classes)
    save_records(out, records, spec)
    table = _excluded_table(excluded, label_map, system)
    write_parquet(out / "excluded.parquet", table.astype("string"))
    # Simulated records are of neither hospital, whatever their names.
    of_two = dataset.format == "ecg_arrhythmia" and dataset.source.kind != "simulated"
    summary = {
        "dataset": source_name,
        "format": dataset.format,
        "simulated": dataset.source.kind == "simulated",
        **count_records(records, table, spec, not_requested, unused),
        **count_patients([row.entry for row in kept]),
        "sites": count_sites(records, spec.classes, [source_name] if of_two else []),
        "doubtful_gains": doubtful_gains((row.gain for row in kept), options.quality.usual_gain) or unusual,
        "duplicate_recordings": once.count,
        "passed_over": account.count_passed_over(manifest),
        "label_map": {"name": options.label_map, "not_in_dictionary": unexplained},
        "unknown_codes": count_unknown_codes(records, table, label_map, system, known),
        "signals_sha256": sha256(out / "signals.npy"),
    }
    write_json(out / "summary.json", summary)
    for sentence in [
        *(text for key in ("losses", "sites") for text in summary[key]["sentences"]),
        *summary["doubtful_gains"],
    ]:
        log.warning("%s: %s", source_name, sentence)
    log.info("%s: kept %d of %d records", source_name, len(records), summary["read"])


def merge(members: dict[str, Path], out: Path) -> None:
    """Write the union of preprocessed data sets, by name, into ``out``; see :func:`ecgpipe.dataset.concatenate`.

    A recording that several members have is taken from the first of them.

    Raises:
        ValueError: if the members differ in rate, length, leads or classes, or one has no recording of its own.
    """
    shared = duplicates.between(members, out.name)
    records, spec = concatenate(members, out, shared.rows)
    tables = [pd.read_parquet(folder / "excluded.parquet").assign(source=name) for name, folder in members.items()]
    excluded = pd.concat([*tables, *shared.excluded], ignore_index=True)
    save_records(out, records, spec)
    write_parquet(out / "excluded.parquet", excluded.astype("string"))
    parts = [read_json(folder / "summary.json") for folder in members.values()]
    of_two = [part["dataset"] for part in parts if part["format"] == "ecg_arrhythmia" and not part["simulated"]]
    unused = sum((Counter(part["outside_training_share"]) for part in parts), Counter[str]())
    summary = {
        "dataset": out.name,
        "format": "merge",
        "members": list(members),
        "simulated": all(part["simulated"] for part in parts),
        "sites": count_sites(records, spec.classes, of_two),
        **count_records(records, excluded, spec, sum(part["not_requested"] for part in parts), unused),
        "duplicate_recordings": {
            **shared.count,
            "within": {name: part["duplicate_recordings"] for name, part in zip(members, parts, strict=True)},
        },
        **{
            key: {name: part[key] for name, part in zip(members, parts, strict=True)}
            for key in ("ages", "sexes", "doubtful_gains", "passed_over", "label_map", "unknown_codes")
        },
        "signals_sha256": sha256(out / "signals.npy"),
    }
    write_json(out / "summary.json", summary)
    for sentence in summary["sites"]["sentences"]:
        log.warning("%s: %s", out.name, sentence)


def _records_table(kept: Sequence[Kept], source: str, seed: int, dataset: DatasetSettings) -> pd.DataFrame:
    """Return the records table; records without a fold are split by patient, stratified by class.

    Where the folds of the dataset rotate, each record's fold is in the column ``fold``, and its split is that of the
    first rotation.
    """
    entries = [row.entry for row in kept]
    label = [row.rhythms[0] for row in kept]
    patients = [entry.patient for entry in entries]
    split = [entry.split for entry in entries]
    folds = [entry.fold for entry in entries]
    if dataset.rotate is not None and None in folds:
        folds = [*splits.deal(patients, label, seed)]
        split = [splits.by_fold(fold, splits.folds_of(dataset)) for fold in folds if fold is not None]
    elif None in split:
        shares = {} if dataset.shares is None else dataset.shares.model_dump(include={"validation", "test"})
        split = [*splits.stratified(patients, label, seed, **shares)]
    records = pd.DataFrame(
        {
            "record": [entry.record for entry in entries],
            "patient": patients,
            "label": label,
            "split": split,
            "source": source,
            "age": np.array([entry.age for entry in entries], dtype=np.float64),
            "sex": [entry.sex for entry in entries],
            "codes": [",".join(entry.codes or ()) for entry in entries],
            "also": [",".join(row.rhythms[1:]) for row in kept],
            "suspected": [row.suspected for row in kept],
        }
    )
    return records if dataset.rotate is None else records.assign(fold=np.array(folds, dtype=np.int64))


def _excluded_table(excluded: Sequence[Excluded], label_map: LabelMap, system: str) -> pd.DataFrame:
    """Return the table of excluded records, sorted, with the class that each record's codes mean, empty if none."""
    rows = []
    for row in sorted(excluded, key=lambda row: (row.record, row.reason)):
        label = next(iter(label_map.rhythms(system, row.codes.split(","))), "")
        rows.append((*dataclasses.astuple(row), label))
    return pd.DataFrame(rows, columns=list(EXCLUDED_COLUMNS))
