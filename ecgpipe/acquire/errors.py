"""Errors of the acquisition, worded so that the reader knows what to do."""

from __future__ import annotations

import errno
from pathlib import Path

from ecgpipe.redaction import without_passwords


class AcquireError(Exception):
    """Records that could not be acquired; the message names the file or address, without passwords, and what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(without_passwords(message))


def disk_error(path: Path, error: OSError) -> AcquireError:
    """Return the error for what the disk refused to do with ``path``."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return AcquireError(
            f"{path}: the disk is full ({error.strerror}). Free some space, or set `raw_dir` to another disk, and run "
            "again; what is already here is kept."
        )
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return AcquireError(
            f"{path}: not permitted ({error.strerror}). Make the folder readable and writable, or set `raw_dir` to "
            "another one."
        )
    return AcquireError(f"{path}: {error.strerror or error}")
