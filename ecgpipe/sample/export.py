"""Export a dataset, synthetic or real, as WFDB records that any reader of PhysioNet's files takes.

``ecgpipe export results/samples/demo_ptbxl/diffwave --to wfdb --out exported`` writes

* ``<source>/<record>.hea`` and ``.dat``: format 16, 1000 steps a mV, twelve leads, with the comments that
  ecg-arrhythmia's headers have (``Age``, ``Sex``, ``Dx``: SNOMED-CT codes) and ``Class``; of a synthetic record also
  its generator, seed and sampler;
* ``RECORDS``, ``records.csv`` (the whole table, with the record's path) and ``SHA256SUMS.txt``.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import wfdb
from tqdm import tqdm

from ecgpipe.arrays import SignalReader
from ecgpipe.dataset import Dataset
from ecgpipe.files import sha256, write_text
from ecgpipe.preprocess import labels

GAIN = 1000.0
"""Steps a mV, as in PTB-XL and ecg-arrhythmia: a step is a microvolt."""
LARGEST = 32767
"""Largest step of format 16; -32768 means "no value"."""


def snomed_codes(label_map: str) -> dict[str, str]:
    """Return the first SNOMED-CT code of each class that has one in a label map (``rhythms7`` or a CSV's path)."""
    codes: dict[str, str] = {}
    for (system, code), label in labels.load(label_map).by_code.items():
        if system == "SNOMED-CT":
            codes.setdefault(label, code)
    return codes


def export_wfdb(folder: str | Path, out: str | Path, label_map: str) -> None:
    """Write the dataset in ``folder`` as WFDB records into a new folder; what the workflow calls.

    Args:
        folder: has ``signals.npy`` and ``records.parquet``.
        out: folder to make.
        label_map: see :func:`snomed_codes`.

    Raises:
        FileNotFoundError, FileExistsError, ValueError: see :meth:`Dataset.load` and :func:`export`.
    """
    export(Dataset.load(folder), Path(out), snomed_codes(label_map))


def export(dataset: Dataset, out: Path, codes: Mapping[str, str]) -> None:
    """Write a dataset as WFDB records into a new folder; the folder is there whole or not at all.

    Args:
        dataset: signals in mV.
        out: folder to make.
        codes: SNOMED-CT code of each class, for ``Dx``; a class without one has ``Class`` only.

    Raises:
        FileExistsError: if ``out`` is there and not empty.
        ValueError: if two records would have the same file, or a signal does not fit format 16.
    """
    paths = record_paths(dataset)
    with new_folder(out) as temporary:
        signals = SignalReader.of(dataset.signals)
        rows = zip(paths, dataset.records.to_dict("records"), strict=True)
        for number, (path, row) in enumerate(tqdm(rows, total=len(paths), desc="export", unit="record", disable=None)):
            _write(temporary / path, signals[number], dataset, row, codes)
        write_text(temporary / "RECORDS", "".join(f"{path}\n" for path in paths))
        write_table(temporary, dataset, paths)
        write_sums(temporary)


@contextlib.contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """Yield a temporary folder beside ``out``; it becomes ``out`` on success and is removed on any error.

    Raises:
        FileExistsError: if ``out`` is there and not empty.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise FileExistsError(f"{out} is there already; name a folder that is not, or remove it")
    temporary = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    try:
        temporary.mkdir(parents=True)
        yield temporary
        if out.exists():
            out.rmdir()
        os.replace(temporary, out)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def record_paths(dataset: Dataset) -> list[str]:
    """Return where each record goes: ``<source>/<record>``, without a suffix.

    Raises:
        ValueError: if two records would have the same file.
    """
    sources, records = (dataset.records[column] for column in ("source", "record"))
    paths = [_path(str(source), str(record)) for source, record in zip(sources, records, strict=True)]
    if len(set(paths)) < len(paths):
        twice = next(path for path in paths if paths.count(path) > 1)
        raise ValueError(f"two records of this dataset would both be {twice}: give records names of their own")
    return paths


def write_table(folder: Path, dataset: Dataset, paths: list[str]) -> None:
    """Write ``records.csv``: the whole table, with the path of each record."""
    dataset.records.assign(path=paths).to_csv(folder / "records.csv", index=False, lineterminator="\n")


def write_sums(folder: Path) -> None:
    """Write ``SHA256SUMS.txt`` of all files in a folder."""
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    write_text(folder / "SHA256SUMS.txt", "".join(f"{sha256(folder / name)} {name}\n" for name in files))


def _path(source: str, record: str) -> str:
    """Return where a record goes; WFDB names have letters, digits, ``_`` and ``-`` only."""
    return "/".join(re.sub(r"[^A-Za-z0-9_-]", "_", name) for name in (source, record))


def _write(stem: Path, signals: np.ndarray, dataset: Dataset, row: Mapping[Any, Any], codes: Mapping[str, str]) -> None:
    steps = np.rint(signals.T.astype(np.float64) * GAIN)
    if not np.abs(steps).max() <= LARGEST:  # also if a sample is not finite
        raise ValueError(f"record {row['record']}: {np.abs(signals).max():g} mV does not fit WFDB's format 16")
    stem.parent.mkdir(parents=True, exist_ok=True)
    number = len(dataset.spec.leads)
    wfdb.wrsamp(
        stem.name,
        fs=dataset.spec.rate,
        units=["mV"] * number,
        sig_name=list(dataset.spec.leads),
        d_signal=steps.astype(np.int64),
        fmt=["16"] * number,
        adc_gain=[GAIN] * number,
        baseline=[0] * number,
        comments=_comments(row, codes),
        write_dir=str(stem.parent),
    )


def _comments(row: Mapping[Any, Any], codes: Mapping[str, str]) -> list[str]:
    age = "Unknown" if pd.isna(row["age"]) else f"{row['age']:g}"
    comments = [f"Age: {age}", f"Sex: {str(row['sex']).capitalize()}"]
    if row["label"] in codes:
        comments.append(f"Dx: {codes[row['label']]}")
    comments.append(f"Class: {row['label']}")
    if "generator" in row:
        how = [
            f"{key} {row[key]}"
            for key in ("generator", "seed", "sampler", "evaluations", "guidance")
            if not pd.isna(row[key])
        ]
        comments.append(f"Synthetic: {', '.join(how)}")
    return comments
