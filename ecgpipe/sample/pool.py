"""Pool synthetic sets: one generator's of several datasets, or several generators' of one dataset."""

from __future__ import annotations

from pathlib import Path

from ecgpipe.dataset import concatenate, save_records


def pool_samples(members: dict[str, Path], out: str | Path) -> None:
    """Write the records of several synthetic sets into one; see :func:`ecgpipe.dataset.concatenate`.

    Args:
        members: folder of each set, by the name that goes into ``source``.
        out: folder for ``signals.npy`` and ``records.parquet``.

    Raises:
        ValueError: if the members differ in rate, length, leads or classes.
    """
    records, spec = concatenate(members, out)
    save_records(out, records, spec)
