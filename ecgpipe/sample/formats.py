"""Datasets in formats that others read: WFDB, NumPy arrays, CSV and EDF."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from ecgpipe.arrays import SignalReader
from ecgpipe.dataset import Dataset, save_dataset
from ecgpipe.sample.export import export, new_folder, record_paths, snomed_codes, write_sums, write_table

FORMATS = ("wfdb", "npy", "csv", "edf")
DIGITS = 4
"""Decimals of CSV files: a tenth of a microvolt."""


class MissingPackageError(Exception):
    """A format needs a package that is not installed; the message says how to install it."""


def write(dataset: Dataset, out: Path, form: str, label_map: str = "rhythms7") -> None:
    """Write a dataset into a new folder; the folder is there whole or not at all.

    Args:
        dataset: signals in mV.
        out: folder to make. Each format has ``records.csv`` with a row a record, and ``SHA256SUMS.txt``.
        form: ``wfdb``: see :mod:`ecgpipe.sample.export`; ``npy``: ``signals.npy`` ``(n, 12, length)`` float32 mV and
            ``records.parquet``, a dataset that every command here reads; ``csv``: a file a record, columns ``time_s``
            and the leads in mV; ``edf``: a file a record (European Data Format, 16 bit).
        label_map: whose SNOMED-CT codes WFDB headers get.

    Raises:
        FileExistsError: if ``out`` is there and not empty.
        MissingPackageError: for EDF without edfio.
        ValueError: if two records would have the same file, or a signal does not fit the format.
    """
    if form not in FORMATS:
        raise ValueError(f"there is no format {form!r}; there are {', '.join(FORMATS)}")
    if form == "wfdb":
        export(dataset, out, snomed_codes(label_map))
    elif form == "npy":
        with new_folder(out) as folder:
            save_dataset(folder, np.asarray(dataset.signals), dataset.records, dataset.spec)
            dataset.records.to_csv(folder / "records.csv", index=False, lineterminator="\n")
            write_sums(folder)
    else:
        _one_file_a_record(dataset, out, form, _csv if form == "csv" else _edf_writer())


def _one_file_a_record(dataset: Dataset, out: Path, form: str, write_one: Callable[..., None]) -> None:
    paths = [f"{path}.{form}" for path in record_paths(dataset)]
    with new_folder(out) as folder:
        signals = SignalReader.of(dataset.signals)
        for number, path in enumerate(tqdm(paths, desc="export", unit="record", disable=None)):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            write_one(folder / path, signals[number], dataset, str(dataset.records["record"].iloc[number]))
        write_table(folder, dataset, paths)
        write_sums(folder)


def _csv(path: Path, signals: np.ndarray, dataset: Dataset, record: str) -> None:
    times = np.arange(dataset.spec.length) / dataset.spec.rate
    header = ",".join(["time_s", *dataset.spec.leads])
    table = np.column_stack([times, signals.T.astype(np.float64)])
    np.savetxt(
        path,
        table,
        fmt=["%.6g", *[f"%.{DIGITS}f"] * len(dataset.spec.leads)],
        delimiter=",",
        header=header,
        comments="",
    )


def _edf_writer() -> Callable[[Path, np.ndarray, Dataset, str], None]:
    try:
        import edfio
    except ModuleNotFoundError as error:
        raise MissingPackageError("EDF needs the package edfio: pip install 'ecgpipe[edf]'") from error

    def write_one(path: Path, signals: np.ndarray, dataset: Dataset, record: str) -> None:
        if not np.isfinite(signals).all():
            raise ValueError(f"record {record} has samples that are not finite: EDF cannot hold them")
        leads: list[Any] = [
            edfio.EdfSignal(
                np.asarray(values, dtype=np.float64),
                sampling_frequency=dataset.spec.rate,
                label=f"ECG {lead}",
                physical_dimension="mV",
            )
            for lead, values in zip(dataset.spec.leads, signals, strict=True)
        ]
        edfio.Edf(leads, recording=edfio.Recording(equipment_code="ecgpipe")).write(path)

    return write_one
