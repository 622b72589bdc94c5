"""A project as one zip archive, as PhysioNet offers it: fetched whole, then unpacked file by file, each verified.

Only files that the project's own ``SHA256SUMS.txt`` lists are unpacked, to the names given there; an archive with a name
that would leave its folder, or with a link, is refused as a whole.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
import stat
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import TypeVar

from ecgpipe.acquire.errors import AcquireError
from ecgpipe.acquire.listing import SUMS, Entry
from ecgpipe.acquire.mirror import CHUNK, FileFailed, HttpMirror, part_of

logger = logging.getLogger(__name__)

T = TypeVar("T")

_UNSAFE = re.compile(r"[\x00-\x1f\x7f\\]|^[A-Za-z]:|^/|(?:^|/)\.\.(?:/|$)")


class ZipMirror:
    """The files in a zip archive.

    Args:
        archive: the archive, or where it will lie until all of it is unpacked.
        remote: server and path there that the archive is fetched from first; None: ``archive`` is the user's own.
    """

    def __init__(self, archive: Path, remote: tuple[HttpMirror, str] | None) -> None:
        self._archive = archive
        self._remote = remote
        self._zip: zipfile.ZipFile | None = None
        self._top = ""
        self._opening = asyncio.Lock()

    def __str__(self) -> str:
        return str(self._archive) if self._remote is None else f"{self._remote[0]} ({self._remote[1]})"

    async def __aenter__(self) -> ZipMirror:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._zip is not None:
            self._zip.close()
            self._zip = None

    async def read(self, path: str, parse: Callable[[bytes], T]) -> T:
        archive = await self._ready()
        try:
            return parse(await asyncio.to_thread(archive.read, self._member(archive, path)))
        except (ValueError, zipfile.BadZipFile, zlib.error) as error:
            raise FileFailed(str(error)) from None

    async def size(self, path: str) -> int | None:
        archive = await self._ready()
        return self._member(archive, path).file_size

    async def fetch(self, entry: Entry, target: Path) -> int:
        archive = await self._ready()
        return await asyncio.to_thread(self._unpack, archive, entry, target)

    @property
    def here(self) -> bool:
        """Whether the archive is on this machine."""
        return self._archive.is_file()

    async def archive_size(self) -> int | None:
        """Return the bytes of an archive that is not here yet, or None if its server does not say."""
        if self._remote is None:
            raise FileFailed(f"there is no {self._archive}")
        server, path = self._remote
        async with server:
            return await server.size(path)

    def discard(self) -> None:
        """Remove an archive that was fetched; one of the user's own stays."""
        if self._remote is not None:
            self._archive.unlink(missing_ok=True)

    async def _ready(self) -> zipfile.ZipFile:
        """Return the open archive, fetching it first if need be."""
        async with self._opening:
            if self._zip is None:
                await self._open()
            assert self._zip is not None
            return self._zip

    async def _open(self) -> None:
        if not self.here:
            if self._remote is None:
                raise FileFailed(f"there is no {self._archive}")
            server, path = self._remote
            async with server:
                logger.info("fetching %s into %s", self, self._archive)
                await server.bring(path, self._archive, _check_archive)
        try:
            self._zip = zipfile.ZipFile(self._archive)
            self._top = _top_folder(self._zip)
        except (zipfile.BadZipFile, ValueError) as error:
            self.discard()
            raise FileFailed(f"{self._archive} is no whole zip archive of a PhysioNet project: {error}") from None

    def _member(self, archive: zipfile.ZipFile, path: str) -> zipfile.ZipInfo:
        try:
            return archive.getinfo(self._top + path)
        except KeyError:
            raise FileFailed(f"{self} does not hold it") from None

    def _unpack(self, archive: zipfile.ZipFile, entry: Entry, target: Path) -> int:
        part, hasher = part_of(target), hashlib.sha256()
        try:
            with archive.open(self._member(archive, entry.path)) as packed, open(part, "wb") as handle:
                while chunk := packed.read(CHUNK):
                    hasher.update(chunk)
                    handle.write(chunk)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
            part.unlink(missing_ok=True)
            raise self._damaged(f"cannot be unpacked: {error}") from None
        if (got := hasher.hexdigest()) != entry.sha256:
            part.unlink()
            raise self._damaged(f"expected SHA-256 {entry.sha256}, got {got}")
        size = part.stat().st_size
        part.replace(target)
        return size

    def _damaged(self, reason: str) -> FileFailed:
        """Drop a fetched archive that holds a wrong file, so that the next run fetches it anew."""
        self.discard()
        return FileFailed(reason)


def _check_archive(path: Path) -> None:
    """Raise ValueError if the file is no whole archive of a project."""
    try:
        with zipfile.ZipFile(path) as archive:
            _top_folder(archive)
    except zipfile.BadZipFile as error:
        raise ValueError(f"no whole zip archive: {error}") from None


def _top_folder(archive: zipfile.ZipFile) -> str:
    """Return the folder of the archive that holds its ``SHA256SUMS.txt``: empty, or ending in a slash.

    Raises:
        ValueError: if no file or several files of that name are equally near the top.
        AcquireError: if a name in the archive would leave the folder it is unpacked to, or is a link.
    """
    for info in archive.infolist():
        # A symbolic link is an entry whose Unix mode, in the upper half of the attributes, says so.
        if _UNSAFE.search(info.filename) or stat.S_ISLNK(info.external_attr >> 16):
            raise AcquireError(
                f"{archive.filename}: the entry {info.filename!r} would leave the folder it is unpacked to, or is a link; nothing was unpacked. Do not trust this archive."
            )
    found = sorted(
        (len(PurePosixPath(name).parts), name) for name in archive.namelist() if PurePosixPath(name).name == SUMS
    )
    if not found or (len(found) > 1 and found[1][0] == found[0][0]):
        raise ValueError(f"{len(found)} files {SUMS} at its top where one is needed")
    return found[0][1].removesuffix(SUMS)
