"""What a data set lost on the way from its raw records, in sentences for the terminal and the report."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd

from ecgpipe.preprocess.reasons import CODE_LINE, KEYS

EMPTY = {
    "train": "nothing can be trained on this dataset alone",
    "validation": "a training on this dataset alone has nothing to choose its weights by",
    "test": "nothing can be tested on this dataset",
}
"""Of each split, what follows if no record is in it."""

MOST_LOST = 0.1
"""Share of a set's records that may be left out without a word on the terminal."""


def losses(records: pd.DataFrame, excluded: pd.DataFrame, unused: int = 0) -> dict[str, Any]:
    """Say what is lost: the share of the records that was kept, classes of which none was, and sentences about it.

    Args:
        records: of the data set; column ``label``.
        excluded: left out; columns ``record``, ``reason``, ``detail`` and ``label`` (the class it would have had).
        unused: sound training records that ``training_share`` leaves out; they are not lost.

    Returns:
        ``kept_share``, ``lost_classes`` and ``sentences``; none if at least 90 % were kept and no class was lost.
    """
    sound = len(records) + unused
    read = sound + len(excluded)
    share = sound / read if read else 0.0
    kept = set(records["label"])
    lost = sorted(name for name in set(excluded["label"]) if name and name not in kept)
    sentences = []
    if len(excluded) > MOST_LOST * read:
        told = "; ".join(_reasons(excluded))
        sentences.append(f"{sound} of {read} records were kept ({percent(share)}). Left out: {told}.")
    for name in lost:
        mine = excluded[excluded["label"] == name]
        sentences.append(f"No record of class {name} is left, of {len(mine)}. Left out: {'; '.join(_reasons(mine))}.")
    return {"kept_share": round(share, 4), "lost_classes": lost, "sentences": [*sentences, *_one_sided(records)]}


def _one_sided(records: pd.DataFrame) -> list[str]:
    """Say that a split is empty, or that there is nothing to tell apart."""
    there = set(records["split"])
    told = [f"No record is in the {split} split: {so}." for split, so in EMPTY.items() if there and split not in there]
    if len(classes := set(records["label"])) == 1:
        told.append(f"Every record is of class {next(iter(classes))}: there is nothing to tell apart.")
    return told


def percent(share: float) -> str:
    """Write a share as whole per cent, and never 100 % of what is not whole."""
    return f"{min(round(100 * share), 99 if share < 1 else 100)} %"


def nothing_kept(name: str, raw: Path, excluded: pd.DataFrame, table: Path) -> str:
    """Return the message that data set ``name`` has no record, with reasons, examples, and settings that could help.

    Args:
        name: of the data set.
        raw: folder of its records.
        excluded: all of them; columns ``record``, ``reason``, ``detail`` and ``codes``.
        table: where that table was written.
    """
    counts = ", ".join(f"{reason} {n}" for reason, n in _tally(excluded["reason"]))
    lines = [f"{name}: none of {len(excluded)} records in {raw} could be kept ({counts})"]
    for reason, told in zip((reason for reason, _ in _tally(excluded["reason"])), _reasons(excluded), strict=True):
        without = "no codes at all (no #Dx" in told
        lines.append(f"{told}; {CODE_LINE if without else KEYS[reason]}")
    codes = _tally(pd.Series([c for text in excluded["codes"] for c in text.split(",") if c], dtype=object))
    if codes and (excluded["reason"] == "no_study_rhythm").any():
        lines.append("codes found: " + ", ".join(f"{code[:40]!r} ({n})" for code, n in codes[:10]))
    return "\n  ".join([*lines, f"all records with their reasons: {table}"])


def _reasons(excluded: pd.DataFrame) -> list[str]:
    """Say each reason with its count, its commonest detail and a record that has it, the commonest reason first."""
    told = []
    for reason, count in _tally(excluded["reason"]):
        mine = excluded[excluded["reason"] == reason]
        detail = Counter(mine["detail"]).most_common(1)[0][0]  # of equals the first
        record = mine.loc[mine["detail"] == detail, "record"].iloc[0]
        text = f"{count} {reason} ({record}: {detail})"  # names come from files
        told.append("".join(letter if letter.isprintable() else "?" for letter in text))
    return told


def _tally(values: pd.Series) -> list[tuple[str, int]]:
    """Count values, the most frequent first, ties by name."""
    return sorted(Counter(map(str, values)).items(), key=lambda item: (-item[1], item[0]))
