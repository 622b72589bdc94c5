"""Checksums of results: what jobs are compared by, and how a changed file is noticed.

Each job notes the SHA-256 of its results in ``provenance.json``. It writes ``SHA256SUMS`` (the format of ``sha256sum``)
beside them, without the files that tell times. Jobs that read these results depend on that small file, which Snakemake
compares by content, and not on time stamps. A job checks what it reads against the provenance of the job that made it.
When Snakemake starts, files whose size or time stamp is not known are read again.
"""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ecgpipe.files import read_json, sha256, write_json, write_text
from ecgpipe.workflow.jobs import CHECKSUMS, PROVENANCE

log = logging.getLogger(__name__)

TIMED = ("history.parquet", "runtime.parquet", "training.parquet")
"""Results with columns that tell times. They differ from run to run, and are no part of what jobs are compared by."""
MUCH = 2_000_000_000
"""Bytes to read again at a start that are worth a word: some seconds."""


class ChangedFileError(Exception):
    """A result is not what its job wrote. The message names the file and says what to do."""


def checksum_file(provenance: Path) -> Path:
    """Return the checksum file that belongs to a provenance file."""
    return provenance.with_name(provenance.name.removesuffix(PROVENANCE) + CHECKSUMS)


def _files(outputs: Iterable[Path]) -> Iterator[Path]:
    """Yield files; a folder stands for all files in it."""
    for path in outputs:
        if path.is_dir():
            yield from sorted(p for p in path.rglob("*") if p.is_file())
        else:
            yield path


def _lines(noted: Mapping[str, Mapping[str, Any]]) -> str:
    return "".join(f"{entry['sha256']}  {name}\n" for name, entry in noted.items() if Path(name).name not in TIMED)


def write(provenance: Path, outputs: Sequence[Path]) -> dict[str, Any]:
    """Write the checksum file of a job.

    Args:
        provenance: its provenance file, which need not be there yet.
        outputs: all its outputs; its provenance and checksum files are left out.

    Returns:
        By name relative to the folder of ``provenance``: sha256 and bytes of each file.
    """
    own = checksum_file(provenance)
    noted = {
        path.relative_to(provenance.parent).as_posix(): {"sha256": sha256(path), "bytes": path.stat().st_size}
        for path in _files(p for p in outputs if p not in (provenance, own))
    }
    write_text(own, _lines(noted))
    return noted


def _noted(provenance: Path) -> dict[str, dict[str, Any]]:
    """Return what a job noted of its results, by name relative to the folder of its provenance."""
    return _outputs_and_inputs(provenance)[0]


def _outputs_and_inputs(provenance: Path) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """Return what a job noted of its results, and the SHA-256 of its inputs by path.

    Raises:
        ChangedFileError: if the provenance, or the checksum file beside it, is damaged.
    """
    advice = "delete it, and the next run that needs its folder's results makes them again"
    try:
        made = read_json(provenance)
        noted: dict[str, dict[str, Any]] = made.get("outputs", {})
        lines = _lines(noted)
    except (ValueError, AttributeError, TypeError, KeyError) as error:
        raise ChangedFileError(f"{provenance} is damaged ({error}): {advice}") from error
    sums = checksum_file(provenance)
    if sums.exists() and sums.read_text(encoding="utf-8", errors="replace") != lines:
        raise ChangedFileError(f"{sums} is not what {provenance} says: {advice}")
    return noted, made.get("inputs", {})


@functools.cache
def _noted_of_folder(folder: Path) -> dict[str, tuple[str, Path]]:
    """Return the noted checksum of each result in a folder, and the provenance that notes it."""
    return {
        name: (entry["sha256"], path)
        for path in sorted(folder.glob(f"*{PROVENANCE}"))
        for name, entry in _noted(path).items()
    }


@functools.cache
def _sum(path: Path) -> str:
    return sha256(path)


def verified(paths: Iterable[Path]) -> dict[str, str]:
    """Return the SHA-256 of a job's inputs, by path, each compared with what the job that made it noted.

    Raises:
        ChangedFileError: if an input is not the file that its job wrote.
    """
    sums = {}
    for path in paths:
        sums[str(path)] = digest = _sum(path)
        noted = _noted_of_folder(path.parent).get(path.name)
        if noted is not None and noted[0] != digest:
            raise ChangedFileError(_changed(path, noted[1]))
    return sums


def _changed(path: Path, provenance: Path) -> str:
    sums = checksum_file(provenance)
    return (
        f"{path} is not the file that its job wrote: its SHA-256 is not that in {provenance}. Put the original back, "
        f"or delete it and {sums} and make it again: snakemake --cores 1 {sums}"
    )


def damaged(provenances: Iterable[Path]) -> list[str]:
    """Read all results again and compare them with their noted checksums.

    Args:
        provenances: provenance files of the jobs.

    Returns:
        One sentence for each file that is missing or changed.
    """
    found = []
    for provenance in provenances:
        try:
            noted = _noted(provenance)
        except ChangedFileError as error:
            found.append(str(error))
            continue
        for name, entry in noted.items():
            path = provenance.parent / name
            if not path.exists():
                found.append(f"{path} is missing: make it again with snakemake --cores 1 {checksum_file(provenance)}")
            elif sha256(path) != entry["sha256"]:
                found.append(_changed(path, provenance))
    return found


def damaged_raw(manifest: Path) -> list[str]:
    """Read all raw records of a dataset again and compare them with its manifest.

    Args:
        manifest: Parquet with the columns path (below the folder of the records, which lies beside it) and sha256.

    Returns:
        One sentence for each file that is missing or changed.
    """
    listed = pd.read_parquet(manifest, columns=["path", "sha256"])
    found = []
    for name, digest in zip(listed["path"], listed["sha256"], strict=True):
        path = manifest.with_suffix("") / name
        if not path.exists() or sha256(path) != digest:
            what = "is not the file that was fetched" if path.exists() else "is missing"
            found.append(f"{path} {what}: delete {manifest} and run again; what is whole is not fetched again")
    return found


class KnownFiles:
    """Sizes and time stamps of results that were compared with their checksums, kept in a JSON file.

    Args:
        path: the JSON file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stamps: dict[str, list[int]] = read_json(path) if path.exists() else {}

    def save(self) -> None:
        """Write the file."""
        write_json(self.path, self._stamps)

    def remember(self, provenances: Iterable[Path]) -> None:
        """Take results as they are, without reading them: those of jobs that ended just now."""
        for provenance in provenances:
            for name in _noted(provenance):
                path = provenance.parent / name
                if path.exists():
                    self._stamps[str(path)] = _stamp(path)

    def changed(self, provenances: Iterable[Path]) -> dict[Path, str]:
        """Find results that were changed after their job had ended.

        Only files whose size or time stamp is not known are read.

        Returns:
            One sentence for each changed file. Files that are missing are Snakemake's business.
        """
        found: dict[Path, str] = {}
        unknown: list[tuple[Path, Path, str]] = []
        for provenance in provenances:
            for name, entry in _noted(provenance).items():
                path = provenance.parent / name
                if not path.exists() or _stamp(path) == self._stamps.get(str(path)):
                    continue
                if path.stat().st_size != entry["bytes"]:
                    found[path] = _changed(path, provenance)
                else:
                    unknown.append((path, provenance, entry["sha256"]))
        if (total := sum(path.stat().st_size for path, _, _ in unknown)) > MUCH:
            log.warning("comparing %.1f GB of results with their checksums", total / 1e9)
        try:
            for path, provenance, digest in unknown:
                stamp = _stamp(path)
                if sha256(path) == digest:
                    self._stamps[str(path)] = stamp
                else:
                    found[path] = _changed(path, provenance)
        finally:  # an interrupted start goes on where it was
            if unknown:
                self.save()
        return found


def _stamp(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


def renew_stale(provenances: Sequence[Path]) -> list[Path]:
    """Give the checksum files of results that others were not made from a new time stamp.

    Snakemake compares the content of an input only if it is newer than the outputs. A set that was put in the place of
    another with an older time stamp would go unnoticed.

    Args:
        provenances: provenance files of the jobs.

    Returns:
        The checksum files that were touched.
    """
    now: dict[str, tuple[str, Path]] = {}
    read: list[Mapping[str, str]] = []
    for provenance in provenances:
        outputs, inputs = _outputs_and_inputs(provenance)
        for name, entry in outputs.items():
            now[str(provenance.parent / name)] = (entry["sha256"], provenance)
        read.append(inputs)
    stale = {
        checksum_file(now[path][1])
        for inputs in read
        for path, digest in inputs.items()
        if path in now and now[path][0] != digest and Path(path).name not in TIMED
    }
    for sums in stale:
        if sums.exists():
            os.utime(sums)
    return sorted(stale)
