"""Other people's ECGs: a ``.npy`` file, a folder of WFDB records, or a dataset of ecgpipe."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from tqdm import tqdm

from ecgpipe.closeness.records import Records
from ecgpipe.dataset import SPLITS, Dataset
from ecgpipe.preprocess.reading import read_header, read_leads
from ecgpipe.preprocess.reasons import Refusal
from ecgpipe.preprocess.resample import crop, resample


def read_records(path: str | Path, rate: float, seconds: float) -> Records:
    """Read a set of 12-lead ECGs.

    Args:
        path: a ``.npy`` file with an array (n, 12, length) in mV, leads in standard order; a folder of WFDB records, which
            are cropped and resampled; or a folder with ``signals.npy`` and ``records.parquet``.
        rate: Hz; of the array, or to bring WFDB records to.
        seconds: length to crop WFDB records to.

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
        return Records.of(dataset, SPLITS)
    headers = sorted(path.glob("**/*.hea"))
    if not headers:
        raise ValueError(f"{path} is no .npy file and holds neither WFDB headers (*.hea) nor a dataset of ecgpipe")
    signals = []
    for header_path in tqdm(headers, desc=path.name, unit="record", disable=None):
        try:
            header = read_header(header_path)
            leads = crop(read_leads(header, header_path.parent), header.rate, rate, round(rate * seconds))
            signals.append(resample(leads, header.rate, rate, round(rate * seconds)).astype(np.float32))
        except Refusal as error:
            raise ValueError(f"{header_path} cannot be used ({error}): leave it out") from error
    names = np.array([str(p.relative_to(path).with_suffix("")) for p in headers], dtype=object)
    return Records(np.stack(signals), rate, names=names)
