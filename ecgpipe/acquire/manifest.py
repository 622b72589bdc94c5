"""What an acquisition returns: the manifest of what it brought, or the plan of what it would bring."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from ecgpipe import files
from ecgpipe.acquire.listing import ProjectFile
from ecgpipe.folders import PassedOver
from ecgpipe.manifest import NOT_REQUESTED, PASSED_OVER


class DownloadPlan(NamedTuple):
    """What a download would fetch now."""

    files: int
    """Files, or 1 for an archive."""
    bytes: int | None
    """Their total size; None if the mirror does not tell sizes."""
    exact: bool
    """Whether ``bytes`` is exact; otherwise it is an estimate from a sample of each kind of file."""
    present: int
    """Files that are present and verified already."""

    def __str__(self) -> str:
        size = "size not told" if self.bytes is None else f"{'' if self.exact else 'about '}{self.bytes / 1e6:,.1f} MB"
        word = "file" if self.files == 1 else "files"
        return f"{self.files:,} {word}, {size}; {self.present:,} files are here already"


def manifest(
    wanted: Sequence[ProjectFile], sizes: dict[str, int], not_requested: int, passed_over: Sequence[PassedOver] = ()
) -> pd.DataFrame:
    """Return the manifest of files with these sizes in bytes; its attributes are those of :mod:`ecgpipe.manifest`."""
    table = pd.DataFrame(
        {
            "path": [file.path for file in wanted],
            "bytes": [sizes[file.path] for file in wanted],
            "sha256": [file.sha256 for file in wanted],
        }
    )
    table.attrs = {NOT_REQUESTED: not_requested, PASSED_OVER: [list(entry) for entry in passed_over]}
    return table


def write_if_changed(path: Path, raw: bytes) -> None:
    """Write a file unless it is there already, so that a complete folder may be read-only."""
    if not path.is_file() or path.read_bytes() != raw:
        with files.atomic_path(path) as temporary:
            temporary.write_bytes(raw)
