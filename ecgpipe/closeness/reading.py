"""Read ECGs to compare (a ``.npy`` file, a folder of WFDB records, or a dataset of ecgpipe) and tables of labels."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from ecgpipe.closeness.records import Records
from ecgpipe.dataset import SPLITS, Dataset
from ecgpipe.folders import EXPECTED, FolderError, summary, walk
from ecgpipe.preprocess.reading import read_header, read_recording
from ecgpipe.preprocess.reasons import InvalidRecord
from ecgpipe.preprocess.resample import resample

log = logging.getLogger(__name__)

SPLITS_OF = {"real": ("validation", "test"), "synthetic": SPLITS, "train": ("train",)}
"""Splits of a dataset that stand for each set of a judgement: a generator learns from the training split only."""


def records_of(dataset: Dataset, role: str, where: str) -> Records:
    """Return the records of a dataset that stand for a set of a judgement.

    Args:
        dataset: any.
        role: ``real``, ``synthetic`` or ``train``.
        where: the dataset, in the error's words.

    Raises:
        ValueError: if it has no such records.
    """
    records = Records.of(dataset, SPLITS_OF[role])
    if not len(records):
        raise ValueError(f"{where} has no {' or '.join(SPLITS_OF[role])} records to take as {role} ones: give others")
    return records


def read_records(path: str | Path, rate: float, seconds: float, role: str = "synthetic") -> Records:
    """Read a set of 12-lead ECGs.

    Args:
        path: a ``.npy`` file with an array (n, 12, length) in mV, leads in standard order; a folder of WFDB records,
            which are cropped and resampled; or a folder with ``signals.npy`` and ``records.parquet``, of which the
            splits of :data:`SPLITS_OF` are read.
        rate: Hz; of the array, or to bring WFDB records to.
        seconds: length to crop WFDB records to.
        role: ``real``, ``synthetic`` or ``train``.

    Raises:
        FileNotFoundError: if there is nothing at ``path``.
        ValueError: if it is none of these, or a record cannot be used; the message names it.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist")
    if path.suffix == ".npy":
        return Records(np.load(path, mmap_mode="r", allow_pickle=False), rate)
    if (path / "records.parquet").exists():
        dataset = Dataset.load(path)
        if dataset.spec.rate != rate:
            raise ValueError(f"{path} is at {dataset.spec.rate:g} Hz, not at {rate:g} Hz: give its rate")
        return records_of(dataset, role, str(path))
    headers = _headers(path)
    if not headers:
        raise ValueError(f"{path} is no .npy file and holds neither WFDB headers (*.hea) nor a dataset of ecgpipe")
    signals = []
    for header_path in tqdm(headers, desc=path.name, unit="record", disable=None):
        try:
            header = read_header(header_path)
            found = read_recording(header, header_path.parent, rate, round(rate * seconds))
            signals.append(resample(found.signals, found.rate, rate, round(rate * seconds)).astype(np.float32))
        except InvalidRecord as error:
            raise ValueError(f"{header_path} cannot be used ({error}): leave it out") from error
    names = np.array([str(p.relative_to(path).with_suffix("")) for p in headers], dtype=object)
    return Records(np.stack(signals), rate, names=names)


def _headers(folder: Path) -> list[Path]:
    """Return the WFDB headers below a folder, links followed; what is passed over is told.

    Raises:
        ValueError: if the folder cannot be read.
    """
    if not folder.is_dir():
        return []
    try:
        found = walk(folder)
    except FolderError as error:
        raise ValueError(str(error)) from error
    if odd := [entry for entry in found.passed_over if entry.reason not in EXPECTED]:
        log.warning("%s: passed over: %s", folder, "; ".join(summary(odd)))
    return [folder / path for path in found.files if path.lower().endswith(".hea")]


def labelled(records: Records, path: str | Path) -> Records:
    """Return records with the labels that a table says, and with its patients if it names them.

    Args:
        records: named by their place (0, 1, ...) in an array, or by their path below a WFDB folder.
        path: CSV with columns ``record`` and ``label``, and perhaps ``patient``; rows of other records are left alone.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if a column or a record's label is missing, or a record is named twice; the message names it.
    """
    if not Path(path).exists():
        raise FileNotFoundError(f"{path} does not exist")
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    if missing := [name for name in ("record", "label") if name not in table]:
        raise ValueError(f"{path} has no column {' and no column '.join(missing)}: it needs record and label")
    if (twice := table["record"].duplicated()).any():
        raise ValueError(f"{path} names record {table.loc[twice, 'record'].iloc[0]} twice")
    names = [records.name(row) for row in range(len(records))]
    mine = table[table["label"] != ""].set_index("record").reindex(names)
    if (without := mine["label"].isna()).any():
        raise ValueError(
            f"{path} has no label of record {mine.index[without][0]} ({without.sum()} of {len(mine)} lack one)"
        )
    patients = mine["patient"].to_numpy(dtype=object) if "patient" in mine else records.patients
    return replace(records, labels=mine["label"].to_numpy(dtype=object), patients=patients)
