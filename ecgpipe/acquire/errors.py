"""What can go wrong while records are brought here, said so that the reader knows what to do."""

from __future__ import annotations

import errno
from pathlib import Path


class AcquireError(Exception):
    """Records that could not be had; the message names the file or address and what to do."""


def disk_error(path: Path, error: OSError) -> AcquireError:
    """Say what the disk refused for ``path``."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return AcquireError(
            f"{path}: the disk is full. Free some space, or set `raw_dir` to another disk, and run again; what is already here is kept."
        )
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return AcquireError(
            f"{path}: not permitted ({error.strerror}). Make the folder readable and writable, or set `raw_dir` to another one."
        )
    return AcquireError(f"{path}: {error.strerror or error}")
