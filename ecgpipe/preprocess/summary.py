"""The summary of a data set: its counts by split and class, reasons of exclusion, and unknown codes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from ecgpipe.dataset import SPLITS, SignalSpec
from ecgpipe.preprocess import labels
from ecgpipe.preprocess.catalogue import Entry
from ecgpipe.preprocess.comments import is_stated
from ecgpipe.preprocess.labels import LabelMap
from ecgpipe.preprocess.losses import losses

UNDECIDED = "undecided"
"""Split of records that were excluded before splits were drawn."""


def count_records(
    records: pd.DataFrame,
    excluded: pd.DataFrame,
    spec: SignalSpec,
    not_requested: int,
    unused: Mapping[str, int] | None = None,
) -> dict[str, Any]:
    """Return the part of the summary that follows from the tables of kept and excluded records.

    Args:
        records: of the data set.
        excluded: records that were left out.
        spec: of the signals.
        not_requested: records of the source that were not asked for.
        unused: by class, sound training records that ``training_share`` leaves out. They were read.
    """
    unused = dict(sorted((unused or {}).items()))
    counts = Counter(zip(records["split"], records["label"], strict=True))
    labelled = excluded[excluded["label"] != ""]
    before = counts + Counter(zip(labelled["split"].replace("", UNDECIDED), labelled["label"], strict=True))
    before += Counter({("train", name): number for name, number in unused.items()})
    several = records[records["also"] != ""]
    together = Counter(several["label"] + "," + several["also"])
    return {
        "rate": spec.rate,
        "length": spec.length,
        "classes": list(spec.classes),
        "read": len(records) + sum(unused.values()) + len(excluded),
        "kept": len(records),
        "excluded": len(excluded),
        "not_requested": not_requested,
        "outside_training_share": unused,
        "excluded_by_reason": _tally(excluded["reason"]),
        "losses": losses(records, excluded, sum(unused.values())),
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


def count_patients(entries: Sequence[Entry]) -> dict[str, Any]:
    """Count ages and sexes of kept records: known, not stated, and stated in a way that could not be read."""
    return {
        "ages": _count_read([(entry.stated.age, entry.age == entry.age) for entry in entries]),
        "sexes": _count_read([(entry.stated.sex, entry.sex != "unknown") for entry in entries]),
    }


def _count_read(values: Sequence[tuple[str, bool]]) -> dict[str, Any]:
    """Count texts of which each was understood or not."""
    unread = [text[:40] for text, known in values if not known and is_stated(text)]
    known = sum(known for _, known in values)
    return {
        "known": known,
        "not_stated": len(values) - known - len(unread),
        "not_read": len(unread),
        "not_read_texts": dict(list(_tally(pd.Series(unread, dtype=object)).items())[:20]),
    }


def _tally(values: pd.Series) -> dict[str, int]:
    """Count values, the most frequent first, ties by name."""
    counted = Counter(str(value) for value in values)
    return dict(sorted(counted.items(), key=lambda item: (-item[1], item[0])))


def count_unknown_codes(
    records: pd.DataFrame, excluded: pd.DataFrame, label_map: LabelMap, system: str, known: frozenset[str] | None
) -> dict[str, Any]:
    """Count codes that are neither in the label map nor in the data set's dictionary (``known``, None without one)."""
    every = [code for codes in (records["codes"], excluded["codes"]) for text in codes for code in text.split(",")]
    unknown = [c for c in every if c and (system, c) not in label_map.by_code and c not in (known or ())]
    counted = _tally(pd.Series(unknown, dtype=object))
    return {
        "dictionary": known is not None,
        "codes": len(counted),
        "occurrences": len(unknown),
        "most_frequent": counted,
    }
