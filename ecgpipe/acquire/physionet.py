"""Download the files of a PhysioNet project to a local folder, verified by the project's ``SHA256SUMS.txt``.

A file arrives as ``<name>.part`` and is renamed once its checksum is verified. A run may therefore be interrupted at
any moment; the next one verifies what is there and fetches the rest.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ecgpipe.acquire import listing
from ecgpipe.acquire.archive import ZipMirror
from ecgpipe.acquire.errors import AcquireError, disk_errors
from ecgpipe.acquire.listing import ProjectFile
from ecgpipe.acquire.lock import locked
from ecgpipe.acquire.manifest import DownloadPlan, manifest, write_if_changed
from ecgpipe.acquire.mirror import Mirror
from ecgpipe.acquire.origin import is_of, write_origin
from ecgpipe.acquire.retry import DEFAULT_POLICY, FileFailed, RetryPolicy
from ecgpipe.acquire.selection import Selection, layout, select_files
from ecgpipe.acquire.sources import open_mirror, project_key
from ecgpipe.acquire.transfer import complete, for_each, verify
from ecgpipe.config import PhysioNetSource
from ecgpipe.layouts import CHECKSUMS, Format

logger = logging.getLogger(__name__)

SIZE_SAMPLES = 20
"""Files of one kind whose sizes a plan asks for; the sizes of the others are estimated from these."""


@dataclass(frozen=True)
class Download:
    """The files that a dataset needs of a PhysioNet project, and the folder that they are downloaded to."""

    source: PhysioNetSource
    """The project, where it is, and which of its records."""
    format: Format
    """Layout of the project."""
    rate: int
    """The study's sampling rate in Hz; decides which of PTB-XL's two folders is fetched."""
    folder: Path
    """Gets the project's layout and its ``SHA256SUMS.txt``."""
    subset: str | None = None
    """Of ecg_arrhythmia, ``chapman`` or ``ningbo``; of challenge, the folder that holds the records."""
    policy: RetryPolicy = DEFAULT_POLICY
    """Time-outs and retries over the network."""

    def fetch(self) -> pd.DataFrame:
        """Fetch what is missing, and verify all files; a second run at the same time waits for the first.

        Returns:
            The manifest, a row a file, sorted by path: path (below ``folder``), bytes, sha256.

        Raises:
            AcquireError: if a file cannot be fetched, has another checksum than listed, or would lie outside
                ``folder``.
        """
        folder = self.folder
        with disk_errors(folder), locked(folder):
            mirror = self._mirror()
            project = self._unpacked_before(mirror)
            if project is None:
                raw, project = asyncio.run(self._read_listing(mirror))
                listing.check_symlinks(folder, (file.path for file in project.wanted.files))
                write_if_changed(folder / CHECKSUMS, raw)
                write_origin(folder, project_key(self.source))
            project.wanted.tell_halves()
            wanted = project.wanted.files
            sizes = complete(mirror, folder, wanted, "fetch", self.source.connections)
            if isinstance(mirror, ZipMirror):
                mirror.remove_download()
            self._check_list(project, mirror)
        return manifest(wanted, sizes, project.wanted.not_requested, project.wanted.passed_over)

    def plan(self) -> DownloadPlan:
        """Return what :meth:`fetch` would fetch now; write nothing.

        Of a kind of files (one folder at the top, one extension) with more than :data:`SIZE_SAMPLES`, only that many
        sizes are asked for: no server should be asked 40,000 times for an estimate.

        Raises:
            AcquireError: as :meth:`fetch`.
        """
        with disk_errors(self.folder):
            mirror = self._mirror()
            unpacked = self._unpacked_before(mirror)
            if unpacked is not None:
                return DownloadPlan(0, 0, True, len(unpacked.wanted.files))
            if isinstance(mirror, ZipMirror) and not mirror.is_local:
                try:
                    return DownloadPlan(1, asyncio.run(mirror.archive_size()), True, 0)
                except FileFailed as error:
                    raise AcquireError(f"{mirror}: {error}. Check `base_url`, `slug` and `version`.") from error
            wanted = asyncio.run(self._read_listing(mirror))[1].wanted.files
            present = verify(self.folder, wanted)
            missing = [file for file in wanted if file.path not in present]
            kinds = defaultdict(list)
            for file in missing:
                kinds[file.path.partition("/")[0], Path(file.path).suffix].append(file)
            sampled = [file for kind in kinds.values() for file in _sample(kind)]
            sizes = asyncio.run(
                for_each(mirror, sampled, "sizes", lambda file: mirror.size(file.source_path), self.source.connections)
            )
        total = 0.0
        for kind in kinds.values():
            known = [size for file in _sample(kind) if (size := sizes[file.path]) is not None]
            if len(known) < len(_sample(kind)):
                return DownloadPlan(len(missing), None, False, len(present))
            total += len(kind) * sum(known) / len(known)
        return DownloadPlan(len(missing), round(total), len(sampled) == len(missing), len(present))

    def _mirror(self) -> Mirror:
        return open_mirror(self.source, self.folder, self.policy)

    def _project(self, files: Sequence[ProjectFile]) -> _Project:
        """Return the project that a list is of, and which of its files the dataset needs."""
        wanted = select_files(
            files, self.format, self.rate, subset=self.subset, names=self.source.records, limit=self.source.limit
        )
        return _Project(files, wanted)

    def _unpacked_before(self, mirror: Mirror) -> _Project | None:
        """Return the project if an earlier run unpacked all that is needed of it, so that no archive is needed."""
        if not isinstance(mirror, ZipMirror) or mirror.is_local or not is_of(self.folder, project_key(self.source)):
            return None
        try:
            project = self._project(listing.parse((self.folder / CHECKSUMS).read_bytes()))
        except (ValueError, AcquireError):
            return None
        return project if len(verify(self.folder, project.wanted.files)) == len(project.wanted.files) else None

    async def _read_listing(self, mirror: Mirror) -> tuple[bytes, _Project]:
        """Return the project's ``SHA256SUMS.txt`` as it is, and what it lists."""
        try:
            async with mirror:
                raw, files = await mirror.read(CHECKSUMS, lambda raw: (raw, listing.parse(raw)))
        except FileFailed as error:
            raise AcquireError(
                f"{CHECKSUMS} of {mirror} could not be read: {error}. Check `base_url`, `slug` and `version`."
            ) from error
        return raw, self._project(files)

    def _check_list(self, project: _Project, mirror: Mirror) -> None:
        """Make sure that the list names what the project's own tables name; records named in the config suffice.

        Raises:
            AcquireError: if the list was cut short.
        """
        if self.source.records is not None:
            return
        form = layout(self.format, self.rate)
        spelled = [file._replace(path=form.spelling(file.path) or file.path) for file in project.files]
        below = f"{self.subset}/" if self.format == "challenge" and self.subset else form.folder
        if missing := listing.not_listed(self.folder, spelled, self.format, self.rate, below):
            raise listing.cut_short(missing, mirror)


@dataclass(frozen=True)
class _Project:
    """What a list names, and what is needed of it."""

    files: Sequence[ProjectFile]
    wanted: Selection


def _sample(files: Sequence[ProjectFile]) -> Sequence[ProjectFile]:
    """Return at most :data:`SIZE_SAMPLES` files, evenly spaced."""
    if len(files) <= SIZE_SAMPLES:
        return files
    return [files[index * len(files) // SIZE_SAMPLES] for index in range(SIZE_SAMPLES)]
