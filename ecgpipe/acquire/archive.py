"""A project as one zip archive, as PhysioNet offers it: fetched whole, then unpacked file by file, each verified.

Only the files that the project's own ``SHA256SUMS.txt`` lists are unpacked. An archive with a path that would leave its
folder, or with a symbolic link, is refused as a whole.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import stat
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import TypeVar

from ecgpipe.acquire.errors import AcquireError
from ecgpipe.acquire.http import HttpMirror
from ecgpipe.acquire.listing import ProjectFile, leaves_folder
from ecgpipe.acquire.mirror import CHUNK, checksum_mismatch, partial_path
from ecgpipe.acquire.retry import FileFailed
from ecgpipe.layouts import CHECKSUMS

logger = logging.getLogger(__name__)

T = TypeVar("T")


class ZipMirror:
    """The files in a zip archive.

    Args:
        archive: path of the archive; a downloaded one is removed once all that is needed is unpacked.
        remote: server, and path on it, that the archive is downloaded from; None: ``archive`` is the user's own.
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
        archive = await self._open_once()
        try:
            return parse(await asyncio.to_thread(archive.read, self._member(archive, path)))
        except (ValueError, zipfile.BadZipFile, zlib.error) as error:
            raise FileFailed(str(error)) from None

    async def size(self, path: str) -> int | None:
        archive = await self._open_once()
        return self._member(archive, path).file_size

    async def fetch(self, file: ProjectFile, target: Path) -> int:
        archive = await self._open_once()
        return await asyncio.to_thread(self._unpack, archive, file, target)

    @property
    def is_local(self) -> bool:
        """Whether the archive is on this machine."""
        return self._archive.is_file()

    async def archive_size(self) -> int | None:
        """Return the size in bytes of an archive that is not here yet, or None if its server does not say."""
        if self._remote is None:
            raise FileFailed(f"there is no {self._archive}")
        server, path = self._remote
        async with server:
            return await server.size(path)

    def remove_download(self) -> None:
        """Remove an archive that was downloaded; the user's own stays."""
        if self._remote is not None:
            self._archive.unlink(missing_ok=True)

    async def _open_once(self) -> zipfile.ZipFile:
        """Return the open archive, fetching it first if need be."""
        async with self._opening:
            if self._zip is None:
                await self._open()
            assert self._zip is not None
            return self._zip

    async def _open(self) -> None:
        if not self.is_local:
            if self._remote is None:
                raise FileFailed(f"there is no {self._archive}")
            server, path = self._remote
            async with server:
                logger.info("fetching %s into %s", self, self._archive)
                await server.download(path, self._archive, _check_archive)
        try:
            self._zip = zipfile.ZipFile(self._archive)
            self._top = _top_folder(self._zip)
        except (zipfile.BadZipFile, ValueError) as error:
            self.remove_download()
            raise FileFailed(f"{self._archive} is no whole zip archive of a PhysioNet project: {error}") from None

    def _member(self, archive: zipfile.ZipFile, path: str) -> zipfile.ZipInfo:
        try:
            return archive.getinfo(self._top + path)
        except KeyError:
            raise FileFailed(f"{self} does not hold it") from None

    def _unpack(self, archive: zipfile.ZipFile, file: ProjectFile, target: Path) -> int:
        part, hasher = partial_path(target), hashlib.sha256()
        try:
            with archive.open(self._member(archive, file.path)) as packed, open(part, "wb") as handle:
                while chunk := packed.read(CHUNK):
                    hasher.update(chunk)
                    handle.write(chunk)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
            part.unlink(missing_ok=True)
            raise self._damaged(f"cannot be unpacked: {error}") from None
        if (found := hasher.hexdigest()) != file.sha256:
            part.unlink()
            raise self._damaged(checksum_mismatch(file, found))
        size = part.stat().st_size
        part.replace(target)
        return size

    def _damaged(self, reason: str) -> FileFailed:
        """Remove a downloaded archive that holds a wrong file, so that the next run fetches it again."""
        self.remove_download()
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
        if leaves_folder(info.filename) or stat.S_ISLNK(info.external_attr >> 16):
            raise AcquireError(
                f"{archive.filename}: the entry {info.filename!r} would leave the folder it is unpacked to, or is a "
                "link; nothing was unpacked. Do not trust this archive."
            )
    found = sorted(
        (len(PurePosixPath(name).parts), name) for name in archive.namelist() if PurePosixPath(name).name == CHECKSUMS
    )
    if not found or (len(found) > 1 and found[1][0] == found[0][0]):
        raise ValueError(f"{len(found)} files {CHECKSUMS} at its top where one is needed")
    return found[0][1].removesuffix(CHECKSUMS)
