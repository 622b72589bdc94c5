"""The files below a folder, links to other folders included, and what was passed over there."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import NamedTuple

HIDDEN = "hidden"
"""Reason of what has a name that begins with a dot."""
OWN = "this study's own copies of raw records"
"""Reason of a folder that was not to be read."""
NOWHERE = "a link that leads nowhere"
"""Beginning of the reason of a link to what is not there."""
EXPECTED = (HIDDEN, OWN)
"""Reasons that surprise no one."""
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


def walk(folder: Path, without: Collection[Path] = ()) -> Found:
    """Return all files below ``folder`` but hidden ones.

    Links are followed. Each folder is read once, however many links lead to it: by its own path if it lies below
    ``folder``, else by the first link in order of the names. So no link leads in a circle.

    Args:
        folder: where to look.
        without: folders below it that are passed over, by whatever path they are reached.

    Raises:
        FolderError: if ``folder`` or a folder below it cannot be read, or there are too many files.
    """
    walker = _Walker(folder, without)
    waiting = [""]  # links to folders, and the folder itself: read after all that lies below one of them
    while waiting:
        waiting += walker.read(waiting.pop(0))
        waiting.sort()
    return Found(dict(sorted(walker.files.items())), sorted(walker.passed_over), sorted(walker.links))


class _Walker:
    """What was found so far below a folder."""

    def __init__(self, folder: Path, without: Collection[Path]) -> None:
        self.files: dict[str, os.stat_result] = {}
        self.passed_over: list[PassedOver] = []
        self.links: list[str] = []
        self._folder = folder
        self._entries = 0
        self._first: dict[tuple[int, int], str] = {}
        """Path of each folder that was read, by what the file system knows it by."""
        self._without = {_identity(str(path)) for path in without if path.is_dir()} - {_identity(str(folder))}

    def read(self, start: str) -> list[str]:
        """Read ``start`` and all below it; return the links to folders that were found."""
        links: list[str] = []
        inner = [start]
        while inner:
            place = inner.pop()
            here = os.path.join(self._folder, place) if place else str(self._folder)
            identity = _identity(here)
            if identity in self._without:
                self.passed_over.append(PassedOver(place, OWN))
                continue
            first = self._first.setdefault(identity, place or ".")
            if first != (place or "."):
                self.passed_over.append(PassedOver(place, f"a link to {first}, which is read already"))
                continue
            if place == start != "":
                self.links.append(place)
            for entry in _sorted_entries(here):
                self._count(start)
                path = f"{place}/{entry.name}" if place else entry.name
                if self._is_folder(entry, path):
                    (links if entry.is_symlink() else inner).append(path)
        return links

    def _count(self, start: str) -> None:
        self._entries += 1
        if self._entries > MOST_ENTRIES:
            link = f", the last of them below the link {start}: remove it if it is wrong" if start else ""
            raise FolderError(f"{self._folder} has more than {MOST_ENTRIES:,} entries{link}")

    def _is_folder(self, entry: os.DirEntry[str], path: str) -> bool:
        """Return whether an entry is a folder to be read, or a link to one; take or pass over everything else."""
        if entry.name.startswith("."):
            self.passed_over.append(PassedOver(path, HIDDEN))
            return False
        try:
            status = entry.stat()
        except OSError as error:
            reason = f"{NOWHERE} ({error.strerror})" if entry.is_symlink() else str(error.strerror)
            self.passed_over.append(PassedOver(path, reason))
            return False
        if stat.S_ISREG(status.st_mode):
            self.files[path] = status
        elif not stat.S_ISDIR(status.st_mode):
            self.passed_over.append(PassedOver(path, "no regular file"))
        return stat.S_ISDIR(status.st_mode)


def _identity(path: str) -> tuple[int, int]:
    try:
        status = os.stat(path)
    except OSError as error:
        raise FolderError(f"{path} cannot be read: {error.strerror}") from error
    return status.st_dev, status.st_ino


def _sorted_entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except NotADirectoryError:
        raise FolderError(f"{folder} is a file and no folder") from None
    except OSError as error:
        raise FolderError(f"{folder} cannot be read: {error.strerror}. Make it readable, or remove it") from error


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
