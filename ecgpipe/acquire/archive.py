"""A project as one zip archive, as PhysioNet offers it: fetched whole, then unpacked file by file, each verified.

Only the files that the project's own ``SHA256SUMS.txt`` lists are unpacked. An archive with a path that would leave its
folder, or with a symbolic link, is refused as a whole. A downloaded archive lies under a name that tells what it is of,
and one that cannot be read is fetched again, once.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
import stat
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import TypeVar

from ecgpipe.acquire.errors import AcquireError
from ecgpipe.acquire.http import HttpMirror
from ecgpipe.acquire.listing import MAX_LIST_BYTES, ProjectFile, leaves_folder
from ecgpipe.acquire.mirror import CHUNK, checksum_mismatch, partial_path
from ecgpipe.acquire.retry import FileFailed
from ecgpipe.layouts import CHECKSUMS

logger = logging.getLogger(__name__)

T = TypeVar("T")

_VERSION = re.compile(r"(?:^|-)([0-9]{1,2}(?:\.[0-9]{1,3}){1,2})$")


class DamagedArchive(Exception):
    """An archive, or a file in it, that cannot be read or is not what is listed; the message says why."""


class ZipMirror:
    """The files in a zip archive.

    Args:
        archive: path of the archive; a downloaded one is removed once all that is needed is unpacked.
        version: of the project that it must be.
        remote: server, and path on it, that the archive is downloaded from; None: ``archive`` is the user's own.
    """

    def __init__(self, archive: Path, version: str, remote: tuple[HttpMirror, str] | None) -> None:
        self._archive = archive
        self._version = version
        self._remote = remote
        self._zip: zipfile.ZipFile | None = None
        self._top = ""
        self._opening = asyncio.Lock()
        self._fetched_anew = self._is_spoilt = False

    def __str__(self) -> str:
        return str(self._archive) if self._remote is None else f"{self._remote[0]} ({self._remote[1]})"

    async def __aenter__(self) -> ZipMirror:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._close()
        if self._is_spoilt:  # not before: other files may still be unpacked
            self.remove_download()

    async def read(self, path: str, parse: Callable[[bytes], T]) -> T:
        def read(archive: zipfile.ZipFile) -> T:
            raw = bytearray()
            for chunk in self._chunks(archive, path):
                raw += chunk
                if len(raw) > MAX_LIST_BYTES:
                    raise FileFailed(f"it has more than {MAX_LIST_BYTES >> 20} MB, which is no list of files")
            try:
                return parse(bytes(raw))
            except ValueError as error:
                raise DamagedArchive(str(error)) from None

        return await self._use(read)

    async def size(self, path: str) -> int | None:
        return await self._use(lambda archive: self._member(archive, path).file_size)

    async def fetch(self, file: ProjectFile, target: Path) -> int:
        return await self._use(lambda archive: self._unpack(archive, file, target))

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
            self._close()
            self._archive.unlink(missing_ok=True)

    async def _use(self, work: Callable[[zipfile.ZipFile], T]) -> T:
        """Return what ``work`` makes of the open archive; a damaged download is fetched again, once, and used again.

        Raises:
            FileFailed: if the archive, or what is asked of it, is damaged still, or is the user's own.
        """
        archive: zipfile.ZipFile | None = None
        for _ in range(1 if self._remote is None else 2):
            try:
                archive = await self._open_once(archive)
                return await asyncio.to_thread(work, archive)
            except DamagedArchive as error:
                reason = str(error)
        if self._remote is None:
            raise FileFailed(f"{self._archive} is damaged: {reason}; replace it by a whole copy")
        self._is_spoilt = True
        raise FileFailed(f"{reason} (the archive was fetched again, and is no better)")

    async def _open_once(self, damaged: zipfile.ZipFile | None) -> zipfile.ZipFile:
        """Return the open archive, fetching it first if need be: anew if it is the one found damaged."""
        async with self._opening:
            if damaged is not None and damaged is self._zip:
                self._discard("a file in it is damaged")
            while self._zip is None:
                try:
                    await self._open()
                except DamagedArchive as error:
                    if not self._may_fetch_anew:
                        raise
                    self._discard(str(error))
            return self._zip

    @property
    def _may_fetch_anew(self) -> bool:
        return self._remote is not None and not self._fetched_anew

    def _discard(self, reason: str) -> None:
        """Remove a damaged download, if it was not fetched again already."""
        if self._may_fetch_anew:
            logger.warning("%s: %s; it is fetched again", self, reason)
            self._fetched_anew = True
            self.remove_download()

    def _close(self) -> None:
        if self._zip is not None:
            self._zip.close()
            self._zip = None

    async def _open(self) -> None:
        if not self.is_local:
            if self._remote is None:
                raise FileFailed(f"there is no {self._archive}")
            server, path = self._remote
            async with server:
                logger.info("fetching %s into %s", self, self._archive)
                await server.download(path, self._archive, self._check)
        try:
            self._zip, self._top = _open(self._archive, self._version)
        except AcquireError:
            self.remove_download()
            raise

    def _check(self, path: Path) -> None:
        """Raise ValueError if a file is no whole archive of a project."""
        try:
            archive, _ = _open(path, self._version)
        except DamagedArchive as error:
            raise ValueError(str(error)) from None
        except AcquireError:
            path.unlink(missing_ok=True)
            raise
        archive.close()

    def _member(self, archive: zipfile.ZipFile, path: str) -> zipfile.ZipInfo:
        try:
            return archive.getinfo(self._top + path)
        except KeyError:
            raise DamagedArchive(f"{self} does not hold it") from None

    def _chunks(self, archive: zipfile.ZipFile, path: str) -> Iterator[bytes]:
        """Yield the bytes of a file in the archive.

        Raises:
            DamagedArchive: whatever goes wrong: the decompressors raise errors of many kinds.
        """
        member = self._member(archive, path)
        try:
            with archive.open(member) as packed:
                while chunk := packed.read(CHUNK):
                    yield chunk
        except Exception as error:
            raise DamagedArchive(f"it cannot be unpacked: {error or type(error).__name__}") from None

    def _unpack(self, archive: zipfile.ZipFile, file: ProjectFile, target: Path) -> int:
        part, hasher = partial_path(target), hashlib.sha256()
        try:
            with open(part, "wb") as handle:
                for chunk in self._chunks(archive, file.source_path):
                    hasher.update(chunk)
                    handle.write(chunk)
            if (found := hasher.hexdigest()) != file.sha256:
                raise DamagedArchive(checksum_mismatch(file, found))
        except (DamagedArchive, FileFailed):
            part.unlink(missing_ok=True)
            raise
        size = part.stat().st_size
        part.replace(target)
        return size


def _open(path: Path, version: str) -> tuple[zipfile.ZipFile, str]:
    """Open an archive, and find the folder in it that holds the project.

    Raises:
        DamagedArchive: if it is no whole archive of a project.
        AcquireError: if it holds another version, or a name in it would leave the folder it is unpacked to.
    """
    try:
        archive = zipfile.ZipFile(path)
    except (FileNotFoundError, PermissionError):
        raise
    except Exception as error:
        raise DamagedArchive(f"no whole zip archive: {error or type(error).__name__}") from None
    try:
        top = _top_folder(archive)
        check_version(PurePosixPath(top).name, version, path)
    except BaseException:
        archive.close()
        raise
    return archive, top


def check_version(folder: str, version: str, place: Path) -> None:
    """Check that a project's folder does not name another version than the one that is asked for.

    Raises:
        AcquireError: naming both versions; provenance would name the wrong one.
    """
    found = _VERSION.search(folder)
    if found is not None and found[1] != version:
        raise AcquireError(
            f"{place} holds version {found[1]} ({folder}), but `version` is {version}: set `version`, or `base_url` to "
            "a copy of that version"
        )


def _top_folder(archive: zipfile.ZipFile) -> str:
    """Return the folder of the archive that holds its ``SHA256SUMS.txt``: empty, or ending in a slash.

    Raises:
        DamagedArchive: if no file or several files of that name are equally near the top.
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
        raise DamagedArchive(
            f"no whole zip archive of a PhysioNet project: {len(found)} files {CHECKSUMS} at its top, one is needed"
        )
    return found[0][1].removesuffix(CHECKSUMS)
