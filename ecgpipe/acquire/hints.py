"""What was probably meant by a path or address that leads nowhere."""

from __future__ import annotations

import re
from pathlib import Path

ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar", ".zst")
"""Ends of names of packed files."""

UNREAD = (*ARCHIVES, ".xml", ".dcm", ".edf", ".bdf", ".scp", ".hl7", ".ecg", ".h5", ".hdf5", ".npy", ".npz")
"""Ends of names of files that may hold records, and are not read."""


def no_folder(folder: Path, given: str) -> str:
    """Say that there is no such folder, and what may be meant.

    Args:
        folder: where there is none.
        given: as the config has it.
    """
    place = folder.absolute()
    if folder.exists():
        what = "an archive: unpack it, and set" if folder.suffix.lower() in ARCHIVES else "a file and no folder: set"
        return f"{place} is {what} the source's `path` to the folder that holds the records"
    why = _why(given, place) or "check the `path` of the dataset's source"
    return f"there is no {place}: {why}"


def _why(given: str, place: Path) -> str:
    bare = given.strip(" \t\"'")
    if bare != given and Path(bare).expanduser().is_dir():
        return f"{given!r} has blanks or quotes around it; set `path` to {bare}"
    if re.search(r"\$\w|\$\{|%\w+%", given):
        return f"variables are not replaced in `path` {given!r}; write the folder's name"
    if re.match(r"[A-Za-z]:[\\/]|\\\\", given):
        return f"`path` {given!r} is one of Windows, and this is another system"
    parent = next((folder for folder in place.parents if folder.is_dir()), place)
    wanted = place.relative_to(parent).parts[0]
    inside = _folders(parent)
    if near := [name for name in inside if name.lower() == wanted.lower()]:
        return f"did you mean {parent / near[0]}? Set the source's `path` to that"
    return ""


def _folders(place: Path) -> list[str]:
    try:
        return sorted(path.name for path in place.iterdir() if path.is_dir())
    except OSError:
        return []
