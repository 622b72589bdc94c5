"""A mirror: a place that holds the files of a project. Here are its protocol and the mirror in a local folder."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol, TypeVar

from ecgpipe import files
from ecgpipe.acquire.errors import AcquireError
from ecgpipe.acquire.listing import ProjectFile
from ecgpipe.acquire.retry import FileFailed
from ecgpipe.layouts import CHECKSUMS

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
        listed: whether it must hold a ``SHA256SUMS.txt``; if not, a missing one is computed from the files found.
    """

    def __init__(self, folder: Path, listed: bool = True) -> None:
        self._folder = folder
        self._listed = listed

    def __str__(self) -> str:
        return str(self._folder)

    async def __aenter__(self) -> FolderMirror:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def read(self, path: str, parse: Callable[[bytes], T]) -> T:
        if path == CHECKSUMS and not self._listed and self._folder.is_dir() and not (self._folder / CHECKSUMS).exists():
            raw = await asyncio.to_thread(_compute_checksums, self._folder)
        else:
            with self._missing_file(path):
                raw = (self._folder / path).read_bytes()
        try:
            return parse(raw)
        except ValueError as error:
            raise FileFailed(str(error)) from None

    async def size(self, path: str) -> int | None:
        with self._missing_file(path):
            return (self._folder / path).stat().st_size

    async def fetch(self, file: ProjectFile, target: Path) -> int:
        return await asyncio.to_thread(self._copy, file, target)

    def _copy(self, file: ProjectFile, target: Path) -> int:
        part = partial_path(target)
        with self._missing_file(file.path):
            shutil.copyfile(self._folder / file.path, part)
        if (found := files.sha256(part)) != file.sha256:
            part.unlink()
            raise FileFailed(checksum_mismatch(file, found))
        size = part.stat().st_size
        part.replace(target)
        return size

    @contextlib.contextmanager
    def _missing_file(self, path: str) -> Iterator[None]:
        """Turn a missing file into FileFailed."""
        try:
            yield
        except FileNotFoundError:
            raise FileFailed(f"there is no {self._folder / path}") from None


def _compute_checksums(folder: Path) -> bytes:
    """Return a ``SHA256SUMS.txt`` of all files below a folder but hidden ones.

    Raises:
        AcquireError: if a file's name cannot stand in such a list.
    """
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    shown = [name for name in names if not any(part.startswith(".") for part in name.split("/"))]
    for name in shown:
        if not name.isprintable():  # a line break, or bytes that are not UTF-8
            raise AcquireError(f"{folder}: the file name {name!r} cannot stand in a list of files; rename or remove it")
    return "".join(f"{files.sha256(folder / name)} {name}\n" for name in shown).encode()
