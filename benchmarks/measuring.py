"""What the benchmarks share: large simulated sets, the time and memory of a process, and sections of a document.

A benchmark writes what it measured to CSV files in ``docs/data`` and then a section of a Markdown document. With
``--render`` it measures nothing and writes the section again from the CSV files.
"""

from __future__ import annotations

import argparse
import logging
import pickle
import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd
import psutil

Made = TypeVar("Made")

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from ecgpipe.config import SimulatedSource  # noqa: E402
from ecgpipe.files import atomic_path, write_text  # noqa: E402
from ecgpipe.leads import LEADS  # noqa: E402
from ecgpipe.simulator.patients import Patient  # noqa: E402
from ecgpipe.simulator.records import SECONDS, PlannedRecord, draw_record  # noqa: E402
from ecgpipe.simulator.run import simulate  # noqa: E402

DOCS = ROOT / "docs"
DATA = DOCS / "data"
"""The measured values that the documents are made of."""

HEARTS = 6
"""Different hearts per rhythm in a large simulated set."""

INDEPENDENT = [0, 1, *range(6, 12)]
"""Leads from which the other four follow."""

WAVES = 4
"""Sine waves a record whose sum makes its beats come sooner and later than its heart's."""


def parser(description: str | None) -> argparse.ArgumentParser:
    """Return a benchmark's argument parser, which has the option ``--render``."""
    arguments = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--render", action="store_true", help="write the document from the last measurement")
    return arguments


def parse(arguments: argparse.ArgumentParser) -> argparse.Namespace:
    """Parse the command line of a benchmark that keeps its intermediate results in ``--work``."""
    args = arguments.parse_args()
    if not args.render and args.work is None:
        arguments.error("--work or --render is needed")
    return args


def remembered(folder: Path | None, name: str, make: Callable[[], Made]) -> Made:
    """Return what ``make`` returns; with a folder, what it returned there before under this name, and keep it there.

    So a measurement that was stopped goes on where it was, and what was drawn or trained can be judged anew.
    """
    if folder is None:
        return make()
    path = folder / f"{name}.pickle"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as unfinished:
            unfinished.write_bytes(pickle.dumps(make()))
    found: Made = pickle.loads(path.read_bytes())  # noqa: S301 - written here
    return found


LEARNING = ROOT / "results" / "learning"
"""The working folder of learning.py."""


def writes_tables(args: argparse.Namespace) -> bool:
    """Say whether a call writes tables into the documents: a trial in a folder of its own does not, unless asked to."""
    if args.collect or args.render or args.work == LEARNING:
        return True
    logging.getLogger(__name__).info("measured in %s; --collect writes the tables of it", args.work)
    return False


def learning_parser(description: str | None) -> argparse.ArgumentParser:
    """Return the argument parser of a benchmark that keeps its measurements in the working folder of learning.py."""
    arguments = parser(description)
    text = (
        "working folder, that of learning.py; with another one than the default, tables are written with --collect only"
    )
    arguments.add_argument("--work", type=Path, default=LEARNING, help=text)
    arguments.add_argument("--collect", action="store_true", help="compute nothing; the tables of what is in --work")
    return arguments


def publish(
    args: argparse.Namespace,
    csv: Path,
    document: Path,
    collect: Callable[[Path], pd.DataFrame],
    render: Callable[[pd.DataFrame], str],
    form: str = "%.6g",
) -> None:
    """Write what is in the working folder to the CSV file, unless only asked to render, and then the section of it.

    Nothing is written for a trial; see :func:`writes_tables`.

    Args:
        args: of :func:`learning_parser`.
        csv: file in ``docs/data``, whose name is the section's.
        document: that holds the section.
        collect: from the working folder to a table.
        render: from the CSV's table to the section.
        form: of floating-point numbers in the CSV.
    """
    if not writes_tables(args):
        return
    if not args.render:
        collect(args.work).to_csv(csv, index=False, float_format=form)
    write_section(document, csv.stem, render(pd.read_csv(csv)))


def markdown_table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a Markdown table; every line ends with a newline."""
    return "".join(f"| {' | '.join(map(str, line))} |\n" for line in [heads, ["---"] * len(heads), *rows])


def simulate_many(source: SimulatedSource, format: str, rate: int, folder: Path) -> pd.DataFrame:
    """Write a large simulated set with the usual layout, tables, labels, checksums and faults, but from few hearts.

    The heart model draws only :data:`HEARTS` recordings of each rhythm. Every record is one of them, scaled, with new
    noise, and with beats at times of its own, so that no two are the same recording. This is several times faster than
    drawing every record, and the same work for whatever reads them.
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
        # Noise is added to I and II only; the other limb leads follow from them, so that their identities hold.
        noise = bank[:, place : place + length]
        varied = np.zeros_like(heart)
        varied[INDEPENDENT] = _at_times_of_its_own(heart[INDEPENDENT], [source.seed, record.number])
        varied *= np.float32(size)
        varied[INDEPENDENT] += noise[INDEPENDENT]
        one, two = varied[0], varied[1]
        varied[2:6] = two - one, -(one + two) / 2, one - two / 2, two - one / 2
        samples = np.clip(np.rint(varied), -32767, 32767).astype("<i2")
        if record.flat_lead is not None:
            samples[LEADS.index(record.flat_lead)] = 0
        return patient, samples

    shutil.rmtree(folder, ignore_errors=True)
    return simulate(source, format, rate, folder, draw)


def _at_times_of_its_own(heart: np.ndarray, seed: list[int]) -> np.ndarray:
    """Read ``(8, length)`` at a changing pace: a tenth slower, and each moment some hundredths of a second off."""
    length, generator = heart.shape[1], np.random.default_rng(seed)
    part = np.arange(length, dtype=np.float32) / length
    angles = 2 * np.pi * np.arange(1, WAVES + 1, dtype=np.float32)[:, None] * part
    sizes = generator.normal(0, 0.004, (2, WAVES)).astype(np.float32)
    moment = 0.04 + generator.uniform(0.86, 0.92) * part + sizes[0] @ np.sin(angles) + sizes[1] @ np.cos(angles)
    place = np.clip(moment, 0, 1 - 2 / length) * length
    before = place.astype(np.int64)
    share = (place - before).astype(np.float32)
    result: np.ndarray = heart[:, before] * (1 - share) + heart[:, before + 1] * share
    return result


@dataclass(frozen=True)
class Cost:
    """What a command took."""

    seconds: float
    cpu_seconds: float
    peak_mb: float
    """Largest total resident memory of the process and its children; shared pages count once per process."""


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


def processor() -> str:
    """Return the name of this machine's processor."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists() and (match := re.search(r"model name\s*: (.+)", cpuinfo.read_text())):
        return match[1]
    return platform.processor() or platform.machine()


def machine() -> str:
    """Describe this machine in one line."""
    memory = psutil.virtual_memory().total / 2**30
    system = f"{platform.system()}, Python {platform.python_version()}"
    return f"{psutil.cpu_count()} cores ({processor()}), {memory:.0f} GiB, {system}"


def write_section(document: Path, name: str, text: str) -> None:
    """Put ``text`` between the marks of section ``name`` of a Markdown document; a new section goes to the end."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    old = document.read_text(encoding="utf-8") if document.exists() else "# Performance\n"
    section = f"{begin}\n{text.strip()}\n{end}"
    if begin in old:
        head, _, rest = old.partition(begin)
        new = head + section + rest.partition(end)[2]
    else:
        new = f"{old.rstrip()}\n\n{section}\n"
    write_text(document, new)
