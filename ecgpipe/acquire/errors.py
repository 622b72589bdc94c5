"""What can go wrong while records are brought here, said so that the reader knows what to do."""

from __future__ import annotations

import errno
from pathlib import Path

from ecgpipe.redaction import without_passwords


class AcquireError(Exception):
    """Records that could not be had; the message names the file or address, less its password, and what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(without_passwords(message))


def disk_error(path: Path, error: OSError) -> AcquireError:
    """Say what the disk refused for ``path``."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return AcquireError(
            f"{path}: the disk is full ({error.strerror}). Free some space, or set `raw_dir` to another disk, and run again; what is already here is kept."
        )
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return AcquireError(
            f"{path}: not permitted ({error.strerror}). Make the folder readable and writable, or set `raw_dir` to another one."
        )
    return AcquireError(f"{path}: {error.strerror or error}")
