"""Copy the records of a user's own folder, verified, and note what the folder was like."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ecgpipe.acquire import listing
from ecgpipe.acquire.errors import disk_errors
from ecgpipe.acquire.folder import Scan, scan
from ecgpipe.acquire.hints import UNREAD
from ecgpipe.acquire.listing import ProjectFile
from ecgpipe.acquire.lock import locked
from ecgpipe.acquire.manifest import DownloadPlan, manifest, write_if_changed
from ecgpipe.acquire.mirror import FolderMirror
from ecgpipe.acquire.origin import Seen, write_record
from ecgpipe.acquire.transfer import checksums, complete
from ecgpipe.config import FolderSource
from ecgpipe.folders import EXPECTED, summary
from ecgpipe.layouts import CHECKSUMS, Format

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class FolderCopy:
    """The files that a dataset needs of a folder, and the folder that they are copied to."""

    source: FolderSource
    format: Format
    rate: int
    """The study's sampling rate in Hz; decides which of PTB-XL's two folders is copied."""
    folder: Path
    """Gets the format's layout and a ``SHA256SUMS.txt``."""
    subset: str | None = None
    """Of ecg_arrhythmia, ``chapman`` or ``ningbo``; of challenge, the folder that holds the records."""

    def fetch(self) -> pd.DataFrame:
        """Copy what is missing, and verify all files; a second run at the same time waits for the first.

        Returns:
            The manifest, a row a file, sorted by path: path (below ``folder``), bytes, sha256.

        Raises:
            AcquireError: if the folder holds no such records, or a file cannot be copied, or has another checksum than
                the folder's own list says.
        """
        folder = self.folder
        with disk_errors(folder), locked(folder):
            found = scan(self.source, self.format, self.rate, self.subset, self.folder)
            _tell(found)
            wanted = _with_checksums(found)
            listing.check_symlinks(folder, (file.path for file in wanted))
            # Of files in another spelling, the folder's list would not be that of the copy.
            sums = "".join(f"{file.sha256} {file.path}\n" for file in wanted).encode()
            write_if_changed(folder / CHECKSUMS, sums if found.sums is None else found.sums)
            sizes = complete(FolderMirror(found.folder), folder, wanted, "copy", self.source.connections)
            write_record(folder, record(found, {file.path: file.sha256 for file in wanted}))
        return manifest(wanted, sizes, found.chosen.not_requested, found.notable)

    def plan(self) -> DownloadPlan:
        """Return what :meth:`fetch` would copy now; write nothing.

        Raises:
            AcquireError: as :meth:`fetch`.
        """
        with disk_errors(self.folder):
            found = scan(self.source, self.format, self.rate, self.subset, self.folder)
            here = [file for file in found.chosen.files if (self.folder / file.path).is_file()]
            own = checksums(self.folder, [file.path for file in here], "verify")
            there = checksums(found.folder, [file.source_path for file in here], "verify")
            present = [file for file in here if own[file.path] == there[file.source_path]]
        size = sum(found.status[f.path].st_size for f in found.chosen.files) - sum(own[f.path][1] for f in present)
        return DownloadPlan(len(found.chosen.files) - len(present), size, True, len(present))


def record(found: Scan, sums: dict[str, str]) -> dict[str, Seen]:
    """Return what is noted of a folder: the files that are taken, and what is passed over.

    Args:
        found: the folder as it is.
        sums: SHA-256 of each file that is taken, by path; empty where it is not known.
    """
    noted = {
        path: Seen(status.st_size, status.st_mtime_ns, sums.get(path, "")) for path, status in found.status.items()
    }
    return noted | {f"{entry.path} ({entry.reason})": Seen(-1, -1, "") for entry in found.notable}


def _with_checksums(found: Scan) -> list[ProjectFile]:
    """Return the files of a folder with their checksums: of its list, or else computed."""
    if found.sums is not None:
        return found.chosen.files
    sums = checksums(found.folder, [file.source_path for file in found.chosen.files], "read")
    return [file._replace(sha256=sums[file.source_path][0]) for file in found.chosen.files]


def _tell(found: Scan) -> None:
    """Log what is not taken of a folder; on the terminal, what a user may not expect."""
    found.chosen.tell_halves()
    expected = [entry for entry in found.passed_over if entry.reason in EXPECTED]
    other = ", ".join(f"{number:,} {ending}" for ending, number in found.chosen.other.most_common())
    for what, said in (
        ("links to folders, followed", ", ".join(found.links)),
        ("files of no record", other),
        ("passed over", "; ".join(summary(expected))),
    ):
        if said:
            logger.info("%s: %s: %s", found.folder, what, said)
    unread = {ending: number for ending, number in found.chosen.other.most_common() if ending in UNREAD}
    if unread:
        told = ", ".join(f"{number:,} {ending}" for ending, number in unread.items())
        logger.warning(
            "%s: not read: %s; unpack archives, and convert other formats to WFDB, if they hold records",
            found.folder,
            told,
        )
    if found.looks_like_ptbxl:
        logger.warning("%s has PTB-XL's table, which only `format: ptbxl` reads; check `format`", found.folder)
    if found.notable:
        logger.warning("%s: passed over: %s", found.folder, "; ".join(summary(found.notable)))
