"""The summary of a data set: its counts by split and class, reasons of exclusion, and unknown codes."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pandas as pd

from ecgpipe.dataset import SPLITS, SignalSpec
from ecgpipe.preprocess import labels
from ecgpipe.preprocess.labels import LabelMap

UNDECIDED = "undecided"
"""Split of records that were excluded before splits were drawn."""


def count_records(
    records: pd.DataFrame, excluded: pd.DataFrame, spec: SignalSpec, not_requested: int
) -> dict[str, Any]:
    """Return the part of the summary that follows from the tables of kept and excluded records."""
    counts = Counter(zip(records["split"], records["label"], strict=True))
    labelled = excluded[excluded["label"] != ""]
    before = counts + Counter(zip(labelled["split"].replace("", UNDECIDED), labelled["label"], strict=True))
    several = records[records["also"] != ""]
    together = Counter(several["label"] + "," + several["also"])
    return {
        "rate": spec.rate,
        "length": spec.length,
        "classes": list(spec.classes),
        "read": len(records) + len(excluded),
        "kept": len(records),
        "excluded": len(excluded),
        "not_requested": not_requested,
        "excluded_by_reason": _tally(excluded["reason"]),
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
