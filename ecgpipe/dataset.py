"""A set of labelled 12-lead ECGs on disk: ``signals.npy`` and ``records.parquet`` in one folder.

Real, simulated and synthetic sets have the same form, so that whatever reads one reads all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from ecgpipe.arrays import SignalReader, signal_writer
from ecgpipe.files import atomic_path, read_parquet_metadata, write_parquet
from ecgpipe.leads import LEADS

SPLITS: tuple[str, ...] = ("train", "validation", "test")
COLUMNS: tuple[str, ...] = ("record", "patient", "label", "split", "source", "age", "sex", "codes")
"""Columns every ``records.parquet`` has; samples and merged sets add their own behind them."""


@dataclass(frozen=True)
class SignalSpec:
    """What an array of signals means: leads on axis 1, samples on axis 2, mV."""

    rate: float
    """Sampling rate in Hz."""
    length: int
    """Samples a record."""
    classes: tuple[str, ...]
    """Class names; a label's id is its index here."""
    leads: tuple[str, ...] = LEADS

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-serialisable form that :meth:`from_json` reads back."""
        return {"rate": self.rate, "length": self.length, "classes": list(self.classes), "leads": list(self.leads)}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> SignalSpec:
        """Rebuild a specification written by :meth:`to_json`."""
        return cls(float(value["rate"]), int(value["length"]), tuple(value["classes"]), tuple(value["leads"]))


@dataclass(frozen=True)
class Dataset:
    """Signals ``(n, 12, length)`` in mV (float32, memory-mapped when loaded) with one row of ``records`` each."""

    signals: np.ndarray
    records: pd.DataFrame
    spec: SignalSpec

    def __post_init__(self) -> None:
        expected = (len(self.records), len(self.spec.leads), self.spec.length)
        if self.signals.shape != expected:
            raise ValueError(f"signals have shape {self.signals.shape}, the records table says {expected}")

    def __len__(self) -> int:
        return len(self.records)

    @property
    def labels(self) -> np.ndarray:
        """Class ids ``(n,)``, int64."""
        ids = {name: i for i, name in enumerate(self.spec.classes)}
        return np.array([ids[name] for name in self.records["label"]], dtype=np.int64)

    def indices(self, split: str) -> np.ndarray:
        """Return the rows of a split (``train``, ``validation``, ``test``), in file order."""
        if split not in SPLITS:
            raise ValueError(f"unknown split {split!r}; known: {', '.join(SPLITS)}")
        return np.flatnonzero((self.records["split"] == split).to_numpy())

    @classmethod
    def load(cls, folder: str | Path) -> Dataset:
        """Open the set in ``folder``; signals stay on disk until they are used.

        Raises:
            FileNotFoundError: if one of the two files is missing.
            ValueError: if the files do not belong together.
        """
        folder = Path(folder)
        for name in ("signals.npy", "records.parquet"):
            if not (folder / name).exists():
                raise FileNotFoundError(f"{folder / name} is missing: {folder} is not a dataset of ecgpipe")
        metadata = read_parquet_metadata(folder / "records.parquet")
        if "rate" not in metadata:
            raise ValueError(
                f"{folder / 'records.parquet'} does not say rate, leads and classes: not written by ecgpipe"
            )
        signals = np.load(folder / "signals.npy", mmap_mode="r", allow_pickle=False)
        records = pd.read_parquet(folder / "records.parquet")
        try:
            return cls(signals, records, SignalSpec.from_json(metadata))
        except ValueError as error:
            raise ValueError(f"{folder}: {error}") from error


def save_records(folder: str | Path, records: pd.DataFrame, spec: SignalSpec) -> None:
    """Write ``records.parquet`` of a set; the specification travels in the file.

    Raises:
        ValueError: if a required column is missing or a label is not a class of ``spec``.
    """
    missing = [name for name in COLUMNS if name not in records.columns]
    if missing:
        raise ValueError("records table lacks " + ", ".join(missing))
    unknown = sorted(set(records["label"]) - set(spec.classes))
    if unknown:
        raise ValueError(f"labels {unknown} are no classes of {list(spec.classes)}")
    rest = [name for name in records.columns if name not in COLUMNS]
    write_parquet(Path(folder) / "records.parquet", records[[*COLUMNS, *rest]], spec.to_json())


def save_dataset(folder: str | Path, signals: np.ndarray, records: pd.DataFrame, spec: SignalSpec) -> None:
    """Write a set that is in memory; one that is not goes through :func:`ecgpipe.arrays.signal_writer`."""
    Dataset(signals, records, spec)
    with atomic_path(Path(folder) / "signals.npy") as temporary, open(temporary, "wb") as handle:
        np.save(handle, np.ascontiguousarray(signals, dtype=np.float32), allow_pickle=False)
    save_records(folder, records, spec)


def require_same_form(specs: Mapping[str, SignalSpec]) -> SignalSpec:
    """Return the one specification of several sets that are to be used together.

    Args:
        specs: by what a message should call each set (its folder).

    Raises:
        ValueError: if rate, length, classes or leads differ.
    """
    (first, spec), *others = specs.items()
    ours = spec.to_json()
    for name, other in others:
        theirs = other.to_json()
        if differences := [f"{key}: {ours[key]} and {theirs[key]}" for key in ours if ours[key] != theirs[key]]:
            raise ValueError(
                f"{first} and {name} do not fit together ({'; '.join(differences)}): make both with the same config"
            )
    return spec


def require_distinct(members: Mapping[str, Path]) -> None:
    """Make sure that no recording is in two of several sets, by name.

    A classifier could otherwise train on a recording in one set and be tested on it in the other.

    Raises:
        ValueError: naming a recording whose signals two sets have.
    """
    if len(members) < 2:  # nothing to compare, and hashing reads all signals
        return
    first: dict[bytes, tuple[str, int]] = {}
    sets = {name: Dataset.load(folder) for name, folder in members.items()}
    twins = []
    for name, member in sets.items():
        every = (signals for block in SignalReader.of(member.signals).blocks() for signals in block)
        for row, signals in enumerate(every):
            digest = hashlib.blake2b(signals, digest_size=16).digest()
            other, place = first.setdefault(digest, (name, row))
            if other != name:
                twins.append(((other, place), (name, row)))
    if twins:
        one, two = (f"{sets[name].records['record'].iloc[row]} of {name}" for name, row in twins[0])
        raise ValueError(
            f"{one} and {two} have the same signals, and so have {len(twins)} pairs in all: sets that share recordings "
            "cannot be merged or tested on each other; take other records or leave one set out"
        )


def concatenate(members: Mapping[str, Path], out: str | Path) -> tuple[pd.DataFrame, SignalSpec]:
    """Write the signals of several sets, by name, one after the other into ``signals.npy`` in ``out``.

    Returns:
        Their records in the same order, and the specification they share. ``source`` is the set's name; a patient's
        name gets it as a prefix (``demo_ptbxl/123``), because two sets may number different people alike.

    Raises:
        ValueError: if the members differ in rate, length, leads or classes.
    """
    sets = {name: Dataset.load(folder) for name, folder in members.items()}
    spec = require_same_form({str(members[name]): member.spec for name, member in sets.items()})
    with signal_writer(Path(out) / "signals.npy", (len(spec.leads), spec.length)) as writer:
        for name, member in sets.items():
            blocks = SignalReader.of(member.signals).blocks()
            for block in tqdm(blocks, desc=f"copy {name}", unit="block", disable=None):
                writer.append(block)
    records = pd.concat([member.records.assign(source=name) for name, member in sets.items()], ignore_index=True)
    records["patient"] = records["source"] + "/" + records["patient"]
    return records, spec
