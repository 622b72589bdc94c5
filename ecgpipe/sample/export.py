"""Export a dataset, synthetic or real, as WFDB records that any reader of PhysioNet's files takes.

``python -m ecgpipe.sample.export results/samples/demo_ptbxl/diffwave exported`` writes

* ``<source>/<record>.hea`` and ``.dat``: format 16, 1000 steps a mV, twelve leads, with the comments that
  ecg-arrhythmia's headers have (``Age``, ``Sex``, ``Dx``: SNOMED-CT codes) and ``Class``; of a synthetic record also
  its generator, seed and sampler;
* ``RECORDS``, ``records.csv`` (the whole table, with the record's path) and ``SHA256SUMS.txt``.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import wfdb
from tqdm import tqdm

from ecgpipe.arrays import SignalReader
from ecgpipe.config.derived import LABEL_MAPS
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
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise FileExistsError(f"{out} is there already; name a folder that is not, or remove it")
    paths = [
        _path(source, record)
        for source, record in zip(*(dataset.records[c] for c in ("source", "record")), strict=True)
    ]
    if len(set(paths)) < len(paths):
        twice = next(path for path in paths if paths.count(path) > 1)
        raise ValueError(f"two records of this dataset would both be {twice}: give records names of their own")
    temporary = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    try:
        signals = SignalReader.of(dataset.signals)
        rows = zip(paths, dataset.records.to_dict("records"), strict=True)
        for number, (path, row) in enumerate(tqdm(rows, total=len(paths), desc="export", unit="record", disable=None)):
            _write(temporary / path, signals[number], dataset, row, codes)
        dataset.records.assign(path=paths).to_csv(temporary / "records.csv", index=False, lineterminator="\n")
        write_text(temporary / "RECORDS", "".join(f"{path}\n" for path in paths))
        files = sorted(path.relative_to(temporary).as_posix() for path in temporary.rglob("*") if path.is_file())
        write_text(temporary / "SHA256SUMS.txt", "".join(f"{sha256(temporary / name)} {name}\n" for name in files))
        if out.exists():
            out.rmdir()
        out.parent.mkdir(parents=True, exist_ok=True)
        os.replace(temporary, out)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


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


def main() -> None:
    """Read the command line and export."""
    parser = argparse.ArgumentParser(
        prog="python -m ecgpipe.sample.export", description="Export a dataset as WFDB records."
    )
    parser.add_argument("dataset", type=Path, help="folder with signals.npy and records.parquet")
    parser.add_argument("out", type=Path, help="folder to make")
    parser.add_argument(
        "--label-map",
        default="rhythms7",
        help=f"{', '.join(LABEL_MAPS)} or a CSV as in preprocess.label_map: codes of the classes",
    )
    args = parser.parse_args()
    try:
        export_wfdb(args.dataset, args.out, args.label_map)
    except (OSError, ValueError) as error:
        raise SystemExit(f"ERROR: {error}") from None


if __name__ == "__main__":
    main()
