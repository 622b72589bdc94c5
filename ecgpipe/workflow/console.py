"""A run's progress on the console: a logger plugin, registered for one run of Snakemake.

``python -P console.py ESTIMATES …`` runs ``snakemake …`` in this process. On a terminal it shows bars, else a line for
each job that ends, with an estimate of what is left; of a job that failed it shows the end of its log. ESTIMATES is a
JSON file, ``{"cores": 8, "jobs": [{"rule": …, "name": …, "seconds": … or null}]}``. What jobs write to the terminal
goes through here, so that it does not break the bars. This imports nothing of ecgpipe: a Snakefile imports what lies
beside it.
"""

from __future__ import annotations

import collections
import json
import logging
import os
import signal
import statistics
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn
from rich.text import Text
from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent
from snakemake_interface_logger_plugins.registry import LoggerPluginRegistry

NAME = "ecgpipe-console"
TAIL = 12
"""Lines of a failed job's log that are shown."""
WIDEST = 200
"""Characters of such a line."""
UNKNOWN = 10.0
"""Seconds of a job of which nothing is known, beside others of which something is."""
CHATTER = ("Using workflow specific profile", "Assuming unrestricted shared filesystem", "Exiting because a job")
"""How lines begin that Snakemake writes and nobody needs."""

Key = tuple[str, str]
"""A job: its rule, and its wildcards joined by slashes."""


@dataclass
class Remaining:
    """What is left of a run.

    Attributes:
        estimates: seconds of each job that will run; None where nothing is known.
        cores: of this run.
    """

    estimates: dict[Key, float | None]
    cores: int
    started: dict[Key, float] = field(default_factory=dict)
    took: dict[Key, float] = field(default_factory=dict)

    def start(self, key: Key, now: float) -> None:
        """Note that a job begins."""
        self.started[key] = now

    def end(self, key: Key, now: float) -> float:
        """Note that a job is done; return the seconds it took."""
        self.took[key] = now - self.started[key]
        return self.took[key]

    def expected(self, key: Key) -> float | None:
        """Return the seconds that a job takes: as estimated, or else as the jobs of its rule took so far."""
        if (estimate := self.estimates.get(key)) is not None:
            return estimate
        same = [seconds for (rule, _), seconds in self.took.items() if rule == key[0]]
        return statistics.mean(same) if same else None

    def left(self, now: float) -> float | None:
        """Return the seconds that are left; None while too little is known."""
        waiting = [key for key in self.estimates if key not in self.took]
        expected = [self.expected(key) for key in waiting]
        known = [seconds for seconds in expected if seconds is not None]
        if waiting and 2 * len(known) < len(waiting):
            return None
        rest = []
        for key, seconds in zip(waiting, expected, strict=True):
            so_far = now - self.started[key] if key in self.started else 0.0
            rest.append(max(0.0, (UNKNOWN if seconds is None else seconds) - so_far))
        return max([sum(rest) / self.cores, *rest])

    def share(self, now: float) -> float:
        """Return the share of the run that is done, by time where it is known, by jobs where not; 0 to 1."""
        left = self.left(now)
        if left is None:
            return len(self.took) / max(1, len(self.estimates))
        done = sum(self.took.values()) / self.cores
        return done / (done + left) if done + left > 0 else 1.0


def duration(seconds: float) -> str:
    """Write a time in the unit that fits: ``12 s``, ``3 min``, ``1.5 h``."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5970 else f"{seconds / 3600:.1f} h"


class Lines:
    """Progress without a terminal: a line for each job that ends."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def say(self, text: str) -> None:
        """Write a line."""
        print(text, file=self._out, flush=True)

    def update(self, remaining: Remaining, now: float) -> None:
        """Show what runs; a line says that when it is over."""

    def close(self) -> None:
        """End."""


class Bars:
    """Progress on a terminal: a bar of the whole run, and a line for each job that runs."""

    def __init__(self, out: TextIO) -> None:
        self._console = Console(file=out, force_terminal=True, highlight=False)
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[note]}"),
        )
        self._progress = Progress(*columns, console=self._console, transient=True, refresh_per_second=4)
        self._whole = self._progress.add_task("study", total=1.0, note="")
        self._tasks: dict[Key, TaskID] = {}
        self._progress.start()

    def say(self, text: str) -> None:
        """Write a line above the bars."""
        self._console.print(Text.from_ansi(text))

    def update(self, remaining: Remaining, now: float) -> None:
        """Show what runs."""
        left = remaining.left(now)
        note = f"{len(remaining.took)} of {len(remaining.estimates)} jobs"
        note += f", about {duration(left)} left" if left else ""
        self._progress.update(self._whole, completed=remaining.share(now), note=note)
        running = {key for key in remaining.started if key not in remaining.took}
        for key in running - set(self._tasks):
            self._tasks[key] = self._progress.add_task(f"  {' '.join(key)}", total=remaining.expected(key), note="")
        for key in set(self._tasks) - running:
            self._progress.remove_task(self._tasks.pop(key))
        for key, task in self._tasks.items():
            so_far = now - remaining.started[key]
            self._progress.update(task, completed=so_far, note=duration(so_far))

    def close(self) -> None:
        """End, and take the bars away."""
        self._progress.stop()


class Reporter:
    """From what Snakemake tells of its jobs, and what these write, to lines on the console.

    Args:
        remaining: what will run.
        screen: where to show it.
        clock: seconds that go up.
    """

    def __init__(self, remaining: Remaining, screen: Lines | Bars, clock: Callable[[], float] = time.monotonic) -> None:
        self.remaining, self._screen, self._clock = remaining, screen, clock
        self._keys: dict[int, Key] = {}
        self._lock = threading.RLock()
        self._held: list[str] = []
        self._said: collections.deque[str] = collections.deque(maxlen=50)
        self.failed = 0
        self.interrupted = False
        """Whether the user has ended the run: what jobs say to that is not shown."""

    def event(self, event: Any, record: Mapping[str, Any]) -> None:
        """Take an event of Snakemake."""
        now = self._clock()
        with self._lock:
            if event == LogEvent.JOB_INFO:
                wildcards = dict(record["wildcards"] or {}).values()
                key = (str(record["rule_name"]), "/".join(map(str, wildcards)))
                self._keys[int(record["jobid"])] = key
                if key in self.remaining.estimates:  # targets only name others
                    self.remaining.start(key, now)
            elif event == LogEvent.JOB_FINISHED:
                key = self._keys.get(int(record["job_id"]), ("", ""))
                if key in self.remaining.started:
                    self._ended(key, now)
            elif event == LogEvent.JOB_ERROR:
                self._job_failed(record)
            self._screen.update(self.remaining, now)

    def _ended(self, key: Key, now: float) -> None:
        took, left = self.remaining.end(key, now), self.remaining.left(now)
        done, total = len(self.remaining.took), len(self.remaining.estimates)
        rest = f"; about {duration(left)} left" if left and done < total else ""
        self._screen.say(f"[{done}/{total}] {' '.join(key).rstrip()}: {duration(took)}{rest}")

    def _job_failed(self, record: Mapping[str, Any]) -> None:
        self.failed += 1
        if self.interrupted:
            return
        key = self._keys.get(int(record["jobid"]), (str(record["rule_name"]), ""))
        self.remaining.started.pop(key, None)
        logs = [Path(log) for log in record["log"] or [] if Path(log).exists()]
        self._screen.say(f"FAILED {' '.join(key).rstrip()}" + (f"; the end of {logs[0]}:" if logs else ""))
        lines = logs[0].read_text(encoding="utf-8", errors="replace").splitlines() if logs else self._held
        for line in lines[-TAIL:]:
            self._screen.say(f"    {line if len(line) <= WIDEST else line[: WIDEST - 1] + '…'}")
        self._held.clear()

    def message(self, level: int, text: str) -> None:
        """Take a message of Snakemake that is about no job; each is shown once, notes not at all."""
        text = text.strip()
        with self._lock:
            if level < logging.WARNING or not text or text.startswith(CHATTER) or text in self._said:
                return
            if self.interrupted:
                return
            if "CalledProcessError" in text:  # the event of the job that failed says it better
                return
            self._said.append(text)
            self._screen.say(text)

    def line(self, text: str) -> None:
        """Take a line that a job or Snakemake wrote to the terminal.

        A job's last words on its error are held back: its log, which says more, is shown.
        """
        text = text.rstrip()
        with self._lock:
            if not text or text.startswith(CHATTER) or self.interrupted:
                return
            if text.startswith(("ERROR: ", "(the full account is in ")):
                self._held.append(text)
            else:
                self._screen.say(text)

    def close(self) -> None:
        """End; an error that no log tells of is shown now."""
        with self._lock:
            if not self.failed:
                for line in self._held:
                    self._screen.say(line)
            self._screen.close()


_reporter: Reporter | None = None


class LogHandler(LogHandlerBase):
    """Hands Snakemake's events and messages to the reporter of this process."""

    writes_to_stream = True  # in place of Snakemake's own
    writes_to_file = False
    has_filter = True
    has_formatter = True
    needs_rulegraph = False

    def emit(self, record: logging.LogRecord) -> None:
        """Hand on a record."""
        if _reporter is None:
            return
        event = getattr(record, "event", None)
        if event in (LogEvent.JOB_INFO, LogEvent.JOB_FINISHED, LogEvent.JOB_ERROR):
            _reporter.event(event, record.__dict__)
        elif event in (None, LogEvent.ERROR) and not (_reporter.failed and record.levelno >= logging.ERROR):
            _reporter.message(record.levelno, record.getMessage())


def _relay(reporter: Reporter) -> threading.Thread:
    """Send what this process and its jobs write from now on through the reporter; return the thread that does it."""
    reading, writing = os.pipe()
    sys.stdout.flush(), sys.stderr.flush()
    for number in (1, 2):
        os.dup2(writing, number)
    os.close(writing)

    def read() -> None:
        with open(reading, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                reporter.line(line)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    return thread


def _note_interrupts(reporter: Reporter) -> None:
    """Let the reporter know of an interrupt (Ctrl-C) before Snakemake does."""

    def interrupted(number: int, frame: FrameType | None) -> None:
        reporter.interrupted = True
        signal.default_int_handler(number, frame)

    signal.signal(signal.SIGINT, interrupted)


def _ticking(reporter: Reporter, screen: Bars) -> None:
    while True:
        time.sleep(1)
        with reporter._lock:
            screen.update(reporter.remaining, time.monotonic())


def main(arguments: Sequence[str]) -> None:
    """Run Snakemake; the first argument is the file of estimates, the others are Snakemake's."""
    global _reporter
    import snakemake.cli

    plan = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
    remaining = Remaining({(job["rule"], job["name"]): job["seconds"] for job in plan["jobs"]}, plan["cores"])
    out = open(os.dup(2), "w", encoding="utf-8", errors="replace")  # noqa: SIM115 - for as long as the process lives
    screen = Bars(out) if out.isatty() and os.environ.get("TERM") != "dumb" else Lines(out)
    _reporter = Reporter(remaining, screen)
    thread = _relay(_reporter)
    _note_interrupts(_reporter)
    if isinstance(screen, Bars):
        threading.Thread(target=_ticking, args=(_reporter, screen), daemon=True).start()
    LoggerPluginRegistry().register_plugin(f"snakemake_logger_plugin_{NAME}", sys.modules[__name__])
    try:
        snakemake.cli.main(["--logger", NAME, *arguments[1:]])
    finally:
        sys.stdout.flush(), sys.stderr.flush()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for number in (1, 2):
            os.dup2(nowhere, number)
        thread.join(timeout=5)
        _reporter.close()
        out.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
