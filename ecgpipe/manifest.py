"""The manifest of raw records, as a file: the files that belong to a dataset, and the account of what does not.

The account stands in the attributes of the table and in the metadata of its file.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from ecgpipe import files

NOT_REQUESTED = "not_requested"
"""Attribute: number of records that ``records``, ``limit`` or a subset leave out."""
PASSED_OVER = "passed_over"
"""Attribute: pairs of a path and the reason why what lies there was not taken."""
NOT_THERE = "in the folder's SHA256SUMS.txt, but not there"
NAMED = "named in RECORDS or ptbxl_database.csv, but not there"
"""The reasons of what was not found."""


def path_of(folder: str | Path) -> Path:
    """Return where the manifest of a folder of raw records lies: beside it."""
    folder = Path(folder)
    return folder.with_name(f"{folder.name}.parquet")


def write(path: Path, manifest: pd.DataFrame) -> None:
    """Write a manifest with its attributes."""
    files.write_parquet(path, manifest, metadata={str(key): value for key, value in manifest.attrs.items()})


def read(path: Path) -> pd.DataFrame:
    """Read a manifest with its attributes."""
    manifest = pd.read_parquet(path)
    manifest.attrs.update(files.read_parquet_metadata(path))
    return manifest
