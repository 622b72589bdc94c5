"""What the benchmarks share: simulated records in number, a process's time and memory, sections of a document."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import psutil

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from ecgpipe.config import SimulatedSource  # noqa: E402
from ecgpipe.files import write_text  # noqa: E402
from ecgpipe.leads import LEADS  # noqa: E402
from ecgpipe.simulator.patients import Patient  # noqa: E402
from ecgpipe.simulator.records import SECONDS, PlannedRecord, draw_record  # noqa: E402
from ecgpipe.simulator.run import simulate  # noqa: E402

HEARTS = 6
"""Different hearts a rhythm in a large simulated set."""


def simulate_many(source: SimulatedSource, format: str, rate: int, folder: Path) -> pd.DataFrame:
    """Write a large simulated set: layout, tables, labels, sums and faults as ever, but of few hearts.

    Only :data:`HEARTS` recordings of each rhythm are drawn from the heart model; every record is one of them at a size
    of its own with noise of its own. Several times faster, and the same work for whatever reads it.
    """
    drawn: dict[tuple[str, bool, int], tuple[Patient, np.ndarray]] = {}
    bank = np.random.default_rng(source.seed).normal(0, 8, (12, 2 * round(SECONDS * max(rate, 500))))

    def draw(source: SimulatedSource, format: str, record: PlannedRecord, rate: int) -> tuple[Patient, np.ndarray]:
        key = (record.rhythm, not record.coded, record.number % HEARTS)
        if key not in drawn:
            patient, samples = draw_record(source, format, record, rate)
            drawn[key] = patient, samples.astype(np.float32)
        patient, heart = drawn[key]
        length = heart.shape[1]
        place, size = record.number * 7919 % length, 0.8 + 0.4 * (record.number * 104729 % 1000) / 1000
        # The limb leads' identities hold for the noise of I and II alone; the rest follow.
        noise = bank[:, place : place + length]
        varied = heart * np.float32(size)
        varied[[0, 1, *range(6, 12)]] += noise[[0, 1, *range(6, 12)]]
        one, two = varied[0], varied[1]
        varied[2:6] = two - one, -(one + two) / 2, one - two / 2, two - one / 2
        samples = np.clip(np.rint(varied), -32767, 32767).astype("<i2")
        if record.flat_lead is not None:
            samples[LEADS.index(record.flat_lead)] = 0
        return patient, samples

    shutil.rmtree(folder, ignore_errors=True)
    return simulate(source, format, rate, folder, draw)


@dataclass(frozen=True)
class Cost:
    """What some work took."""

    seconds: float
    cpu_seconds: float
    peak_mb: float
    """Largest sum of the resident memory of the process and its children; memory they share counts for each."""


def command_cost(command: list[str], **options: object) -> Cost:
    """Run a command to its end and return its cost.

    Raises:
        RuntimeError: if it fails.
    """
    began = time.perf_counter()
    with subprocess.Popen(command, **options) as process:  # type: ignore[call-overload]
        watched = psutil.Process(process.pid)
        peak, cpu = 0.0, {}
        while process.poll() is None:
            resident = 0
            for one in _family(watched):
                try:
                    times = one.cpu_times()
                    resident += one.memory_info().rss
                except psutil.Error:  # it has ended
                    continue
                cpu[one.pid, one.create_time()] = times.user + times.system
            peak = max(peak, resident / 1e6)
            time.sleep(0.1)
    if process.returncode:
        raise RuntimeError(f"{' '.join(map(str, command[:3]))} ... ended with {process.returncode}")
    return Cost(time.perf_counter() - began, sum(cpu.values()), peak)


def _family(process: psutil.Process) -> list[psutil.Process]:
    try:
        return [process, *process.children(recursive=True)]
    except psutil.Error:
        return []


def machine() -> str:
    """Say what machine this is."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists() and (match := re.search(r"model name\s*: (.+)", cpuinfo.read_text())):
        model = match[1]
    return f"{psutil.cpu_count()} cores ({model}), {psutil.virtual_memory().total / 2**30:.0f} GiB, {platform.system()}, Python {platform.python_version()}"


def write_section(document: Path, name: str, text: str) -> None:
    """Put ``text`` between the marks of section ``name`` of a Markdown document; a section that is new goes to its end."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    old = document.read_text(encoding="utf-8") if document.exists() else "# Performance\n"
    section = f"{begin}\n{text.strip()}\n{end}"
    if begin in old:
        head, _, rest = old.partition(begin)
        new = head + section + rest.partition(end)[2]
    else:
        new = f"{old.rstrip()}\n\n{section}\n"
    write_text(document, new)
