"""The union of several synthetic sets."""

from __future__ import annotations

from pathlib import Path

from ecgpipe.dataset import concatenate, save_records


def union(members: dict[str, Path], out: str | Path) -> None:
    """Write the synthetic sets of several datasets, by the datasets' names, into ``out``; see :func:`~ecgpipe.dataset.concatenate`.

    Raises:
        ValueError: if the members differ in rate, length, leads or classes.
    """
    records, spec = concatenate(members, out)
    save_records(out, records, spec)
