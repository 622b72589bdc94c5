"""A job's plain-text log, and what it says on the terminal."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

from ecgpipe.redaction import printable, without_passwords


class _RedactingFormatter(logging.Formatter):
    """Writes no password that stands in an address, and no code that a terminal would obey, wherever it is."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(without_passwords(super().format(record)))


@contextlib.contextmanager
def writable(log: Path) -> Iterator[None]:
    """Make the folder of a log; end the job with one sentence if the log cannot be written there."""
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        sys.exit(
            f"ERROR: the log {log} cannot be written ({error.strerror or error}): "
            f"make {log.parent} a folder that you may write to, with space left, and run again"
        )


def start_logging(path: Path, rank: str | None) -> logging.Handler:
    """Log everything to a file, and warnings and errors to the terminal.

    Args:
        path: of the log. It is begun anew, unless several processes of one job share it.
        rank: of this process among them; None if there is just one.

    Returns:
        The handler of the terminal.
    """
    to_file = logging.FileHandler(path, mode="w" if rank is None else "a", encoding="utf-8")
    process = "" if rank is None else f" process {rank}:"
    to_file.setFormatter(_RedactingFormatter(f"%(asctime)s %(levelname)s{process} %(message)s"))
    to_terminal = logging.StreamHandler()
    to_terminal.setLevel(logging.WARNING)
    to_terminal.setFormatter(_RedactingFormatter("%(levelname)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[to_file, to_terminal])
    logging.captureWarnings(True)
    logging.getLogger("fontTools").setLevel(logging.WARNING)  # thousands of lines on the fonts of PDF figures
    return to_terminal
