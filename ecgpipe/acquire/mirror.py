"""A mirror: a place that holds the files of a project. Here are its protocol and the mirror in a local folder."""

from __future__ import annotations

import asyncio
import importlib.metadata
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeVar

from ecgpipe import files
from ecgpipe.acquire.listing import MAX_LIST_BYTES, ProjectFile
from ecgpipe.acquire.retry import FileFailed

T = TypeVar("T")

CHUNK = 1 << 16
"""Bytes read at a time."""


class Mirror(Protocol):
    """A place that holds a project; used as an async context manager."""

    async def __aenter__(self) -> Mirror: ...

    async def __aexit__(self, *_: object) -> None: ...

    async def read(self, path: str, parse: Callable[[bytes], T]) -> T:
        """Return what ``parse`` makes of a small file; a ValueError of ``parse`` means a damaged copy."""
        ...

    async def size(self, path: str) -> int | None:
        """Return a file's size in bytes, or None if the mirror does not say."""
        ...

    async def fetch(self, file: ProjectFile, target: Path) -> int:
        """Bring a file to ``target`` by way of ``<target>.part``, its checksum verified; return its size in bytes."""
        ...


def partial_path(target: Path) -> Path:
    """Return where a file lies until it is complete and verified."""
    return target.with_name(f"{target.name}.part")


def checksum_mismatch(file: ProjectFile, found: str) -> str:
    """Return the message for a file whose SHA-256 is ``found``."""
    return f"expected SHA-256 {file.sha256}, got {found}"


def user_agent() -> str:
    """Return how this project identifies itself to servers."""
    try:
        version = importlib.metadata.version("ecgpipe")
    except importlib.metadata.PackageNotFoundError:  # run from a checkout that is not installed
        version = "unreleased"
    return f"ecgpipe/{version}"


class FolderMirror:
    """A project in a local folder; files are copied and verified like any others.

    Args:
        folder: holds the project's files.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __str__(self) -> str:
        return str(self._folder)

    async def __aenter__(self) -> FolderMirror:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def read(self, path: str, parse: Callable[[bytes], T]) -> T:
        if self._regular(path).st_size > MAX_LIST_BYTES:
            raise FileFailed(f"it has more than {MAX_LIST_BYTES >> 20} MB, which is no list of files")
        try:
            return parse((self._folder / path).read_bytes())
        except ValueError as error:
            raise FileFailed(str(error)) from None

    async def size(self, path: str) -> int | None:
        return self._regular(path).st_size

    async def fetch(self, file: ProjectFile, target: Path) -> int:
        return await asyncio.to_thread(self._copy, file, target)

    def _copy(self, file: ProjectFile, target: Path) -> int:
        part = partial_path(target)
        self._regular(file.source_path)
        shutil.copyfile(self._folder / file.source_path, part)
        if (found := files.sha256(part)) != file.sha256:
            part.unlink()
            raise FileFailed(checksum_mismatch(file, found))
        size = part.stat().st_size
        part.replace(target)
        return size

    def _regular(self, path: str) -> os.stat_result:
        """Return the status of a regular file; a pipe or a device would have no end.

        Raises:
            FileFailed: if it is none, or is not there.
        """
        try:
            status = (self._folder / path).stat()
        except (FileNotFoundError, NotADirectoryError):
            raise FileFailed(f"there is no {self._folder / path}") from None
        if not stat.S_ISREG(status.st_mode):
            raise FileFailed(f"{self._folder / path} is no regular file")
        return status
