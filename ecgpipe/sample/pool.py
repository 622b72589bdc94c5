"""The union of several synthetic sets."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from ecgpipe.dataset import Dataset, save_records
from ecgpipe.preprocess.arrays import signal_writer

BLOCK = 512
"""Records copied at a time."""


def union(members: dict[str, Path], out: str | Path) -> None:
    """Write the synthetic sets of several datasets, by the datasets' names, one after the other into ``out``.

    ``source`` tells the members apart, and a patient's name gets it as a prefix, as in merged real datasets.

    Raises:
        ValueError: if the members differ in rate, length, leads or classes.
    """
    sets = {name: Dataset.load(folder) for name, folder in members.items()}
    first, *others = sets
    spec = sets[first].spec
    for name in others:
        for part in ("rate", "length", "leads", "classes"):
            ours, theirs = getattr(spec, part), getattr(sets[name].spec, part)
            if ours != theirs:
                raise ValueError(
                    f"the samples of {first} ({members[first]}) and {name} ({members[name]}) cannot be pooled: {part} is {ours} and {theirs}"
                )
    records = pd.concat([s.records.assign(source=name) for name, s in sets.items()], ignore_index=True)
    records["patient"] = records["source"] + "/" + records["patient"]
    with signal_writer(Path(out) / "signals.npy", (len(spec.leads), spec.length)) as writer:
        for member in sets.values():
            for start in range(0, len(member), BLOCK):
                writer.append(member.signals[start : start + BLOCK])
    save_records(out, records, spec)
