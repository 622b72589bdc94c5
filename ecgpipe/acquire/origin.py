"""What a folder of raw records is of, noted beside it: what is kept there serves no other project or folder.

* ``.<dataset>.origin.json``: the project, and the SHA-256 of its ``SHA256SUMS.txt``.
* ``.<dataset>.source.parquet``: of a source that is a folder, each file that was taken, as it was then.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from ecgpipe import files
from ecgpipe.layouts import CHECKSUMS


def _origin_path(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.origin.json")


def write_origin(folder: Path, project: str) -> None:
    """Note of which project the list in ``folder`` is, unless that is noted already."""
    origin = {"project": project, "sha256": files.sha256(folder / CHECKSUMS)}
    if _read_origin(folder) != origin:
        files.write_json(_origin_path(folder), origin)


def is_of(folder: Path, project: str) -> bool:
    """Return whether ``folder`` holds the list of this project, as it was fetched."""
    sums = folder / CHECKSUMS
    return sums.is_file() and _read_origin(folder) == {"project": project, "sha256": files.sha256(sums)}


def _read_origin(folder: Path) -> object:
    path = _origin_path(folder)
    try:
        return files.read_json(path) if path.is_file() else None
    except ValueError:  # cut off: as if it were not there
        return None


class Seen(NamedTuple):
    """A file of a source folder as it was when it was read."""

    bytes: int
    mtime_ns: int
    sha256: str


def record_path(folder: Path) -> Path:
    """Return where the files of a source folder are noted: beside the folder of raw records."""
    return folder.with_name(f".{folder.name}.source.parquet")


def write_record(folder: Path, taken: Mapping[str, Seen]) -> None:
    """Note the files of a source folder, by path in the folder of raw records."""
    rows: Iterable[tuple[object, ...]] = ((path, *seen) for path, seen in sorted(taken.items()))
    columns = [list(column) for column in zip(*rows, strict=True)] or [[], [], [], []]
    table = pa.table(
        columns,
        schema=pa.schema(
            [("path", pa.string()), ("bytes", pa.int64()), ("mtime_ns", pa.int64()), ("sha256", pa.string())]
        ),
    )
    with files.atomic_path(record_path(folder)) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def read_record(folder: Path) -> dict[str, Seen] | None:
    """Return the noted files of a source folder; None if nothing (readable) is noted."""
    try:
        table = pq.read_table(record_path(folder), columns=["path", *Seen._fields])
    except (OSError, pa.ArrowInvalid, pa.ArrowKeyError):
        return None
    columns = [table.column(name).to_pylist() for name in ("path", *Seen._fields)]
    return {path: Seen(*row) for path, *row in zip(*columns, strict=True)}
