"""Checksums of results: what jobs are compared by, and how a changed file is noticed.

Each job writes ``SHA256SUMS`` (the format of ``sha256sum``) beside its results. Jobs that read these results depend on
that small file, which Snakemake compares by content, and not on time stamps. A job checks what it reads against it.
When Snakemake starts, files whose size or time stamp differ from what their job noted are read again.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ecgpipe.files import read_json, sha256, write_json, write_text
from ecgpipe.workflow.jobs import CHECKSUMS, PROVENANCE


class ChangedFileError(Exception):
    """A result is not what its job wrote. The message names the file and says what to do."""


def beside(provenance: Path) -> Path:
    """Return the checksum file that belongs to a provenance file."""
    return provenance.with_name(provenance.name.removesuffix(PROVENANCE) + CHECKSUMS)


def _files(outputs: Iterable[Path]) -> Iterator[Path]:
    """Yield files; a folder stands for all files in it."""
    for path in outputs:
        if path.is_dir():
            yield from sorted(p for p in path.rglob("*") if p.is_file())
        else:
            yield path


def write(provenance: Path, outputs: Sequence[Path]) -> dict[str, Any]:
    """Write the checksum file of a job.

    Args:
        provenance: its provenance file, which need not be there yet.
        outputs: all its outputs; its provenance and checksum files are left out.

    Returns:
        By name relative to the folder of ``provenance``: sha256, bytes and mtime_ns of each file.
    """
    own = beside(provenance)
    noted = {}
    for path in _files(p for p in outputs if p not in (provenance, own)):
        status = path.stat()
        name = path.relative_to(provenance.parent).as_posix()
        noted[name] = {"sha256": sha256(path), "bytes": status.st_size, "mtime_ns": status.st_mtime_ns}
    write_text(own, "".join(f"{entry['sha256']}  {name}\n" for name, entry in noted.items()))
    return noted


def read(path: Path) -> dict[str, str]:
    """Read a checksum file: SHA-256 by name.

    Raises:
        ChangedFileError: if it is damaged.
    """
    sums = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        digest, separator, name = line.partition("  ")
        if not separator or len(digest) != 64:
            raise ChangedFileError(f"{path} is damaged: delete it, and the next run makes its folder's results again")
        sums[name] = digest
    return sums


@functools.cache
def _recorded(folder: Path) -> dict[str, tuple[str, Path]]:
    """Return the recorded checksum of each file in a folder, and where it is recorded."""
    return {
        name: (digest, path) for path in sorted(folder.glob(f"*{CHECKSUMS}")) for name, digest in read(path).items()
    }


@functools.cache
def _sum(path: Path) -> str:
    return sha256(path)


def verified(paths: Iterable[Path]) -> dict[str, str]:
    """Return the SHA-256 of a job's inputs, by path, each compared with what the job that made it recorded.

    Raises:
        ChangedFileError: if an input is not the file that its job wrote.
    """
    sums = {}
    for path in paths:
        sums[str(path)] = digest = _sum(path)
        recorded = _recorded(path.parent).get(path.name)
        if recorded is not None and recorded[0] != digest:
            raise ChangedFileError(_changed(path, recorded[1]))
    return sums


def _changed(path: Path, recorded: Path) -> str:
    return (
        f"{path} is not the file that its job wrote: its SHA-256 differs from {recorded}. "
        "Put the original back, or delete it and that file: the next run that needs it makes it again"
    )


def damaged(provenances: Iterable[Path]) -> list[str]:
    """Read all results again and compare them with their recorded checksums.

    Args:
        provenances: provenance files of the jobs.

    Returns:
        One sentence for each file that is missing or changed.
    """
    found = []
    for provenance in provenances:
        sums = beside(provenance)
        if not sums.exists():
            found.append(f"{sums} is missing: the results beside {provenance} cannot be checked")
            continue
        for name, digest in read(sums).items():
            path = sums.parent / name
            if not path.exists():
                found.append(f"{path} is missing")
            elif sha256(path) != digest:
                found.append(_changed(path, sums))
    return found


def changed_since(provenances: Iterable[Path], remembered: Path) -> list[str]:
    """Find results that were changed after their job had ended.

    Only files whose size or time stamp is new are read.

    Args:
        provenances: provenance files of the jobs.
        remembered: JSON file of sizes and time stamps that were checked before; a copied study is read just once.

    Returns:
        One sentence for each changed file. Files that are missing are Snakemake's business.
    """
    before: Mapping[str, list[int]] = read_json(remembered) if remembered.exists() else {}
    found, checked = [], dict(before)
    for provenance in provenances:
        outputs = json.loads(provenance.read_text(encoding="utf-8")).get("outputs", {})
        for name, noted in outputs.items():
            path = provenance.parent / name
            try:
                status = path.stat()
            except FileNotFoundError:
                continue
            now = [status.st_size, status.st_mtime_ns]
            if now in ([noted["bytes"], noted["mtime_ns"]], before.get(str(path))):
                continue
            if status.st_size != noted["bytes"] or sha256(path) != noted["sha256"]:
                found.append(_changed(path, beside(provenance)))
            else:
                checked[str(path)] = now
    if checked != before:
        write_json(remembered, checked)
    return found
