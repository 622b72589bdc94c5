"""The table of `device.py`: each row is written when it is measured, by whichever process measured it."""

from __future__ import annotations

import contextlib
import csv
import fcntl
import io
import math
import os
import time
from collections.abc import Iterator
from pathlib import Path

COLUMNS = (
    *("kind", "name", "preset", "stage", "way", "batch", "records_per_second", "step_ms", "first_step_s", "busy"),
    *("gigaflops", "peak_mb", "loss", "value", "note"),
)
"""``gigaflops``: of a step, counted. ``busy``: share of a step in which the GPU has work. ``value``: what a ceiling or
a check measures, the steps of a preset, or the number of repetitions."""


class Table:
    """Rows of measurements, appended to a CSV file, and the time until which there may be more of them."""

    def __init__(self, path: Path, ends: float = math.inf) -> None:
        """Take the file, and when to stop measuring (:func:`time.time`)."""
        self.path, self.ends = path, ends

    def begin(self) -> None:
        """Write a new file with the head only."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(",".join(COLUMNS) + "\n", encoding="utf-8")

    def add(self, **row: object) -> None:
        """Append a row in one write, so that rows of several processes do not mix."""
        text = io.StringIO()
        rounded = {k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()}
        csv.DictWriter(text, COLUMNS, lineterminator="\n").writerow(rounded)
        with open(self.path, "ab", buffering=0) as handle:
            handle.write(text.getvalue().encode())
        said = [f"{k} {v}" for k, v in rounded.items() if v not in ("", None)]
        print(f"{time.strftime('%H:%M:%S')} {', '.join(said)}", flush=True)

    @property
    def seconds_left(self) -> float:
        """Seconds until measuring has to stop."""
        return self.ends - time.time()

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Wait until no other process of this benchmark times anything, and keep it so."""
        with open(f"{self.path}.lock", "ab") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield


def remove_lock(table: Table) -> None:
    """Remove the file that :meth:`Table.alone` locks."""
    with contextlib.suppress(FileNotFoundError):
        os.remove(f"{table.path}.lock")
