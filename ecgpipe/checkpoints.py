"""Files that a killed job goes on from. Damage to one is noticed, and the work goes on from what else is there.

``train.safetensors`` is on the disk as ``train.<16 digits>.safetensors``, where the digits are the beginning of the
SHA-256 of its bytes. So file and checksum appear at once.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from ecgpipe.files import atomic_path, sha256

log = logging.getLogger(__name__)

DIGITS = 16
_NAME = re.compile(rf"([^.].*)\.[0-9a-f]{{{DIGITS}}}(\.\w+)")
DAMAGED = ".damaged"
"""What a damaged file's name ends in when it is set aside."""


@contextlib.contextmanager
def writing(path: Path, keep: int | None = None) -> Iterator[Path]:
    """Yield a temporary path; what is written there becomes the newest version of a checkpoint.

    Args:
        path: of the checkpoint.
        keep: versions that stay, this one included; None: all, and none is looked for.
    """
    whole = path.with_name(f".{path.name}.{os.getpid()}.new")
    with atomic_path(whole) as temporary:
        yield temporary
    new = path.with_name(f"{path.stem}.{sha256(whole)[:DIGITS]}{path.suffix}")
    os.replace(whole, new)
    if keep is not None:
        older = [version for version in versions(path.parent).get(path.name, []) if version != new]
        for version in older[: len(older) + 1 - keep]:
            version.unlink(missing_ok=True)


def sound(path: Path, there: Mapping[str, list[Path]] | None = None) -> Iterator[Path]:
    """Yield the versions of a checkpoint, the newest first; set those aside that are not what was written, and say so.

    Args:
        path: of the checkpoint.
        there: what :func:`versions` has found in its folder, where many are asked for.
    """
    found = versions(path.parent) if there is None else there
    for version in reversed(found.get(path.name, [])):
        try:
            whole = sha256(version)[:DIGITS] == version.stem.rpartition(".")[2]
        except FileNotFoundError:  # another process of this job has set it aside
            continue
        if whole:
            yield version
            continue
        aside = version.with_name(version.name + DAMAGED)
        with contextlib.suppress(FileNotFoundError):
            version.rename(aside)
        log.warning(
            "%s is damaged: it is not what was written there. It is set aside as %s, and the work goes on from what "
            "was done before it; look after that disk",
            version,
            aside.name,
        )


def versions(folder: Path) -> dict[str, list[Path]]:
    """Return the versions of all checkpoints in a folder by the checkpoint's name, the oldest first."""
    found: dict[str, list[Path]] = {}
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return found
    for name in names:
        if parts := _NAME.fullmatch(name):
            found.setdefault(parts[1] + parts[2], []).append(folder / name)
    for paths in found.values():
        if len(paths) > 1:
            paths.sort(key=lambda version: (version.stat().st_mtime_ns, version.name))
    return found
