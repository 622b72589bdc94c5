"""What becomes of a recording that is there twice: the first record is kept, each later one is excluded.

Giving both one split would be enough for honest test results. But the recording would still count twice in training,
in the intervals and in the privacy measures, and PTB-XL's folds, which are fixed, may not even allow it. PTB-XL's own
authors removed such records in version 1.0.3.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ecgpipe.arrays import SignalReader, keep_rows
from ecgpipe.duplicates import TwinSearch, shared_recordings, told
from ecgpipe.preprocess.batches import Kept
from ecgpipe.preprocess.catalogue import Excluded

log = logging.getLogger(__name__)

REASON = "duplicate_recording"


@dataclass(frozen=True)
class Record:
    """What is compared between two records of one recording."""

    name: str
    label: str
    split: str = ""
    """Empty if it is not drawn yet."""
    patient: str = ""
    """Empty if the set does not tell patients apart, and between sets."""


@dataclass(frozen=True)
class Pair:
    """A record that is kept, and a later one of the same recording."""

    first: Record
    second: Record
    correlation: float

    def detail(self) -> str:
        """Say what was found, and how the two records differ."""
        pairs = [
            (f"patient {self.first.patient}", f"patient {self.second.patient}"),
            (self.first.split, self.second.split),
            (self.first.label, self.second.label),
        ]
        differences = "".join(f"; {one}, here {other}" for one, other in pairs if one != other)
        return f"the same as {self.first.name} (correlation {self.correlation:.4f}{differences})"


def count(pairs: Sequence[Pair]) -> dict[str, int]:
    """Count pairs, and those whose records have other patients, splits and labels."""
    return {
        "excluded": len(pairs),
        "other_patient": sum(pair.first.patient != pair.second.patient for pair in pairs),
        "other_split": sum(pair.first.split != pair.second.split for pair in pairs),
        "other_label": sum(pair.first.label != pair.second.label for pair in pairs),
    }


@dataclass(frozen=True)
class Once:
    """The records of a set without those that repeat a recording."""

    kept: list[Kept]
    excluded: list[Excluded]
    count: dict[str, int]


def exclude(signals: Path, search: TwinSearch, kept: Sequence[Kept], name: str) -> Once:
    """Remove from the file ``signals`` the rows whose recording an earlier row has, and list them as excluded.

    Args:
        signals: array ``(n, 12, length)``; it is written anew if there is such a row.
        search: has seen the rows of ``signals``.
        kept: their records.
        name: name of the set, for a warning.
    """
    rows = SignalReader.of(np.load(signals, mmap_mode="r"))
    twins = search.find(rows)
    pairs = [Pair(_record(kept[twin.first]), _record(kept[twin.second]), twin.correlation) for twin in twins]
    excluded = [
        Excluded(
            pair.second.name, REASON, pair.detail(), ",".join(kept[twin.second].entry.codes or ()), pair.second.split
        )
        for twin, pair in zip(twins, pairs, strict=True)
    ]
    counted = count(pairs)
    if twins:
        left = np.delete(np.arange(len(rows)), [twin.second for twin in twins])
        keep_rows(signals, left)
        kept = [kept[int(row)] for row in left]
        log.warning(
            "%s: %d records repeat a recording that another record has; they are excluded as %s (%s)",
            name, len(twins), REASON, _text(counted),
        )  # fmt: skip
    return Once(list(kept), excluded, counted)


def _record(kept: Kept) -> Record:
    entry = kept.entry
    patient = entry.patient if entry.split is not None else ""  # formats without folds number no patients
    return Record(entry.record, kept.rhythms[0], entry.split or "", patient)


def _text(counted: Mapping[str, int]) -> str:
    return (
        f"{counted['other_patient']} under another patient, {counted['other_split']} in another split, "
        f"{counted['other_label']} with another class"
    )


@dataclass(frozen=True)
class Between:
    """The recordings that several members of a merge have."""

    rows: dict[str, list[int]]
    """For each member, the rows that are left out."""
    excluded: list[pd.DataFrame]
    """They as rows of ``excluded.parquet``, with the column ``source``: one table, none if there is nothing."""
    count: dict[str, int]


def between(members: Mapping[str, Path], name: str) -> Between:
    """Find the recordings that a member shares with an earlier one.

    Args:
        members: folder of each member, by name.
        name: name of the merge, for a warning.

    Raises:
        ValueError: if the members differ in form, or a member has no recording of its own.
    """
    tables = {member: pd.read_parquet(folder / "records.parquet") for member, folder in members.items()}
    shared = shared_recordings(members)
    rows: dict[str, list[int]] = {}
    pairs, listed = [], []
    for twin in shared:
        (one, first), (other, second) = twin.one, twin.other
        rows.setdefault(other, []).append(second)
        own = tables[other].iloc[second]
        pair = Pair(_row(tables[one].iloc[first], one), _row(own, other), twin.correlation)
        pairs.append(pair)
        listed.append((own["record"], REASON, pair.detail(), own["codes"], own["split"], own["label"], other))
    for member, repeated in rows.items():
        if len(repeated) == len(tables[member]):
            raise ValueError(
                f"{told(shared, members)}: {member} has no recording of its own; leave it out of the merge {name}"
            )
    columns = ["record", "reason", "detail", "codes", "split", "label", "source"]
    counted = count(pairs)
    if pairs:
        log.warning(
            "%s: %d records repeat a recording that an earlier member has; they are excluded as %s (%s)",
            name, len(pairs), REASON, _text(counted),
        )  # fmt: skip
    return Between(rows, [pd.DataFrame(listed, columns=columns)] if listed else [], counted)


def _row(row: pd.Series, member: str) -> Record:
    return Record(f"{row['record']} of {member}", row["label"], row["split"])
