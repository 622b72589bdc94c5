"""The files below a folder, links to other folders included, and what was passed over there."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

HIDDEN = "hidden"
"""Reason of what has a name that begins with a dot."""
MOST_ENTRIES = 3_000_000
"""Entries read below one folder before a link in it is taken for a mistake; the largest set has some 100,000."""


class PassedOver(NamedTuple):
    """An entry that is not read, by its path below the folder."""

    path: str
    reason: str


class Found(NamedTuple):
    """What lies below a folder."""

    files: dict[str, os.stat_result]
    """Regular files, by path below the folder with slashes, in order of the paths."""
    passed_over: list[PassedOver]
    links: list[str]
    """Links to folders that were followed."""


class FolderError(Exception):
    """A folder that cannot be read; the message names it and says what to do."""


def walk(folder: Path) -> Found:
    """Return all files below ``folder`` but hidden ones.

    Links are followed. Each folder is read once, however many links lead to it: by its own path if it lies below
    ``folder``, else by the first link in order of the names. So no link leads in a circle.

    Raises:
        FolderError: if ``folder`` or a folder below it cannot be read, or there are too many files.
    """
    files: dict[str, os.stat_result] = {}
    passed_over: list[PassedOver] = []
    links: list[str] = []
    seen: dict[tuple[int, int], str] = {}
    entries = 0
    waiting = [""]  # links to folders, and the folder itself: read after all that lies below one of them
    while waiting:
        start = waiting.pop(0)
        inner = [start]
        while inner:
            place = inner.pop()
            here = os.path.join(folder, place)
            status = _stat(here)
            first = seen.setdefault((status.st_dev, status.st_ino), place or ".")
            if first != (place or "."):
                passed_over.append(PassedOver(place, f"a link to {first}, which is read already"))
                continue
            if place == start != "":
                links.append(place)
            for entry in _entries(here):
                entries += 1
                if entries > MOST_ENTRIES:
                    raise FolderError(
                        f"{folder} has more than {MOST_ENTRIES:,} entries"
                        + (f", the last of them below the link {start}: remove it if it is wrong" if start else "")
                    )
                path = f"{place}/{entry.name}" if place else entry.name
                if entry.name.startswith("."):
                    passed_over.append(PassedOver(path, HIDDEN))
                elif entry.is_dir(follow_symlinks=False):
                    inner.append(path)
                elif (found := _file(entry, path, passed_over)) is not None:
                    files[path] = found
                elif entry.is_symlink() and entry.is_dir():
                    waiting.append(path)
        waiting.sort()
    return Found(dict(sorted(files.items())), sorted(passed_over), sorted(links))


def _stat(path: str) -> os.stat_result:
    try:
        return os.stat(path)
    except OSError as error:
        raise FolderError(f"{path} cannot be read: {error.strerror}") from error


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except NotADirectoryError:
        raise FolderError(f"{folder} is a file and no folder") from None
    except OSError as error:
        raise FolderError(f"{folder} cannot be read: {error.strerror}. Make it readable, or remove it") from error


def _file(entry: os.DirEntry[str], path: str, passed_over: list[PassedOver]) -> os.stat_result | None:
    """Return the status of a regular file, or of what a link to one leads to; None for a folder and what is no file."""
    try:
        status = entry.stat()
    except OSError as error:
        reason = f"a link that leads nowhere ({error.strerror})" if entry.is_symlink() else str(error.strerror)
        passed_over.append(PassedOver(path, reason))
        return None
    if stat.S_ISREG(status.st_mode):
        return status
    if not stat.S_ISDIR(status.st_mode):
        passed_over.append(PassedOver(path, "no regular file"))
    return None


def summary(passed_over: Iterable[PassedOver], most: int = 3) -> list[str]:
    """Return a line for each reason, with the number of its paths and the first of them."""
    passed_over = list(passed_over)
    lines = []
    for reason, number in Counter(entry.reason for entry in passed_over).most_common():
        paths = [entry.path for entry in passed_over if entry.reason == reason]
        lines.append(f"{number:,} {reason}: {abbreviate(paths, most)}")
    return lines


def abbreviate(names: Iterable[str], most: int = 5) -> str:
    """Return the first names, and how many more there are."""
    names = list(names)
    return ", ".join(names[:most]) + (f" and {len(names) - most:,} more" if len(names) > most else "")
