"""Speed on a GPU: training, sampling and classifiers, with the results compared with those of the CPU.

    python benchmarks/device.py                       # about three minutes on an idle GPU
    python benchmarks/device.py --csv /tmp/device.csv # writes no document; --smoke: tiny networks, on any machine
    python benchmarks/device.py --render              # writes the section of docs/performance.md again

Needs no package besides those of the study and psutil. Rows are written as they are measured, so that a run that is
stopped leaves what it has. After `--seconds` no more is measured. Compiled networks train in processes of their own,
which compile while others are timed, but steps are timed by one process at a time.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import statistics
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd
import torch
from device_checks import CASES, beside_the_cpu, deterministic, drawn_beside_the_cpu, repeated, resumed
from device_table import Table, remove_lock
from device_tables import render
from device_training import (
    BF16,
    COMPILED,
    FP32,
    GENERATORS,
    TF32,
    Cell,
    clock,
    free,
    simulated_records,
    tf32,
    time_sampling,
    time_training,
)
from measuring import DATA, DOCS, ROOT, machine, parser, write_section

from ecgpipe.classify import training as classifier_training
from ecgpipe.classify.inputs import InMemory, Standardizer, Streamed, select, standardized
from ecgpipe.config import load
from ecgpipe.dataset import Dataset
from ecgpipe.generate.training import pick_device

CSV = DATA / "device.csv"
RECORDS, CHUNK = 2016, 500
LARGER = 4
"""How many times as large as the preset's the larger batches are."""
REPETITIONS, STEPS = 25, 10
"""Trainings of a classifier that are run one after another and together, and their steps."""
PTBXL = {"blocks": 6, "channels": 32, "kernel": 7, "width": 256, "dense_layers": 3}
"""The classifier that `configs/paper.yaml` trains on PTB-XL."""
CHECKED_RECORDS = 140


def ceilings(table: Table, device: torch.device, smoke: bool) -> None:
    """Measure what the device reaches: large products of random matrices, and a large copy."""
    n = 256 if smoke else 8192
    for way, dtype in ((FP32, torch.float32), (TF32, torch.float32), (BF16, torch.bfloat16)):
        with tf32(way):
            a, b = (torch.randn(n, n, device=device).to(dtype) for _ in range(2))
            found = _median(lambda: a @ b, device)  # noqa: B023 - called at once
        table.add(kind="ceiling", name="product", way=way, value=2 * n**3 / found / 1e12, note=f"TFLOP/s, {n} x {n}")
    block = torch.randn(n, 8 * n, device=device)
    to = torch.empty_like(block)
    moved = 2 * block.numel() * block.element_size()
    table.add(kind="ceiling", name="copy", value=moved / _median(lambda: to.copy_(block), device) / 1e12, note="TB/s")


def _median(work: Callable[[], object], device: torch.device) -> float:
    times = []
    for _ in range(7):
        started = clock(device)
        work()
        times.append(clock(device) - started)
    return statistics.median(times[2:])


def classifiers(dataset: Dataset, table: Table, device: torch.device, smoke: bool) -> None:
    """Train the paper's classifiers with records that are kept on the device, and with records read for each batch."""
    config = load(ROOT / "configs" / "paper.yaml")
    records, validation = select(dataset, "train"), select(dataset, "validation")
    standardizer = Standardizer.fit(records)
    held_out = standardized(validation.subset(np.arange(min(64, len(validation)))), standardizer, device)
    for name in ("chapman",) if smoke else config.classifiers:
        settings = config.classifiers[name]
        kept = standardized(records, standardizer, device)
        assert isinstance(kept, InMemory)
        for way, inputs in (
            ("records on the device", kept),
            ("records read for each batch", Streamed(records, standardizer, kept.labels)),
        ):

            def train(steps: int, inputs: Any = inputs, settings: Any = settings) -> float:
                chosen = settings.model_copy(update={"steps": steps, "patience": 1000})
                network = classifier_training.build(dataset.spec, chosen, 0)
                started = clock(device)
                classifier_training.fit(network, inputs, held_out, chosen, 0, device)
                return clock(device) - started

            steps = 2 if smoke else 300
            train(min(10, steps))
            with table.alone():
                taken = train(steps)
            rate = steps * settings.batch / taken
            table.add(
                kind="classifier",
                name=name,
                way=way,
                batch=settings.batch,
                records_per_second=rate,
                step_ms=1000 * taken / steps,
            )
        network = classifier_training.build(dataset.spec, settings, 0).to(device)
        classifier_training.mean_loss(network, held_out)
        with table.alone():
            started = clock(device)
            classifier_training.mean_loss(network, kept)
            taken = clock(device) - started
        table.add(kind="classifier", name=name, way="validation", records_per_second=len(records) / taken)


def repetitions(table: Table, device: torch.device, smoke: bool) -> None:
    """Time repetitions of classifiers one after another and together; see `repetitions.py`."""
    import repetitions as benchmark

    batch, number, steps = (4, 2, 2) if smoke else (32, REPETITIONS, STEPS)
    networks = {**benchmark.NETWORKS, "ptbxl": PTBXL}
    for name in ("demo",) if smoke else networks:
        free(str(device))
        with table.alone(), mock.patch.dict(benchmark.NETWORKS, networks):
            row = benchmark.measure(name, number, batch, steps, device)
        for way in ("one after another", "together"):
            seconds = float(str(row[f"{way.replace(' ', '_')}_s"]))
            table.add(
                kind="repetitions",
                name=name,
                way=way,
                batch=batch,
                value=number,
                step_ms=1000 * seconds / steps,
                records_per_second=number * batch * steps / seconds if seconds else "",
                note=f"probabilities differ by {row['largest_difference_of_probabilities']}",
            )


def checks(dataset: Dataset, table: Table, device: str) -> None:
    """Compare losses, gradients and drawn records with the CPU's, and trainings with their repetition."""
    for case in CASES:
        if table.seconds_left < 5:
            table.add(kind="check", name=case, note="left out: no time")
            continue
        with _kept(table, kind="check", name=case), tf32(FP32):
            loss, gradient = beside_the_cpu(case, dataset, device)
            table.add(kind="check", name=case, stage="loss", value=loss)
            table.add(kind="check", name=case, stage="gradient", value=gradient)
            drawn = drawn_beside_the_cpu(case, dataset, device)
            table.add(kind="check", name=case, stage="records drawn", value=drawn)
        with _kept(table, kind="check", name=case):
            table.add(kind="check", name=case, stage="trained twice", value=repeated(case, dataset, device))
            with deterministic():
                found = repeated(case, dataset, device)
                table.add(kind="check", name=case, stage="trained twice, deterministic", value=found)
                found = resumed(case, dataset, device)
                table.add(kind="check", name=case, stage="resumed, deterministic", value=found)


@contextlib.contextmanager
def _kept(table: Table, **about: object) -> Iterator[None]:
    """Turn a failure into a row, so that what follows is measured."""
    try:
        yield
    except Exception as error:  # whatever a device may do
        traceback.print_exc()
        table.add(**about, note=f"failed: {type(error).__name__}: {str(error)[:150]}")


class Compiling:
    """The processes that compile networks and time them; see :func:`compiled`."""

    def __init__(self, args: argparse.Namespace, names: tuple[str, ...], presets: tuple[str, ...]) -> None:
        environment = {"TORCHINDUCTOR_COMPILE_THREADS": "3", "OMP_NUM_THREADS": "2", **os.environ}
        self.processes = {}
        for name, preset in ((n, p) for p in presets for n in names):
            command = [sys.executable, __file__, "--csv", str(args.csv), "--device", args.device]
            command += ["--compiled", name, preset, "--window", str(args.window), "--ends", str(args.ends)]
            command += ["--smoke"] if args.smoke else []
            self.processes[name, preset] = subprocess.Popen(command, env=environment, start_new_session=True)

    def wait(self, table: Table) -> None:
        """Wait until all have ended or the time is over, and end those that have not."""
        for (name, preset), process in self.processes.items():
            try:
                code = process.wait(timeout=max(1.0, table.seconds_left))
            except subprocess.TimeoutExpired:
                self._kill(process)
                code = "no time"
            if code:
                note = f"left out: {code}" if code == "no time" else f"failed: exit code {code}"
                table.add(kind="training", name=name, preset=preset, way=COMPILED, note=note)

    def kill(self) -> None:
        """End all that are left, with the compilers that they started."""
        for process in self.processes.values():
            self._kill(process)

    @staticmethod
    def _kill(process: subprocess.Popen[bytes]) -> None:
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def compiled(args: argparse.Namespace, table: Table) -> None:
    """Compile a generator's networks and time their training: the work of a process of :class:`Compiling`."""
    name, preset = args.compiled
    torch.set_num_threads(2)
    cell = Cell(name, preset, COMPILED)
    time_training(
        cell, simulated_records(args.records), table, device=args.device, seconds=args.window, smoke=args.smoke
    )


def tasks(args: argparse.Namespace, table: Table) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield what is measured, the most important first."""
    device = torch.device(args.device)
    dataset = simulated_records(args.records)
    config = load(ROOT / "configs" / "paper.yaml")
    how: dict[str, Any] = {"device": args.device, "seconds": args.window, "smoke": args.smoke}
    trained: dict[tuple[str, str], Any] = {}

    def train(cell: Cell) -> None:
        trained[cell.generator, cell.preset] = time_training(cell, dataset, table, **how)

    def draw(name: str, preset: str) -> None:
        entry = config.generator_settings[name]
        sample = entry.sample if preset == "paper" else {}
        time_sampling(
            trained.pop((name, preset)),
            sample,
            table,
            number=4 if args.smoke else CHUNK,
            device=args.device,
            seconds=4 * args.window,
            name=name,
            preset=preset,
        )

    yield "ceilings", lambda: ceilings(table, device, args.smoke)
    for name in GENERATORS:
        for way in (FP32, TF32, BF16):
            yield f"{name}, {way}", lambda name=name, way=way: train(Cell(name, "paper", way))
        yield f"{name}, sampling", lambda name=name: draw(name, "paper")
    yield "classifiers", lambda: classifiers(dataset, table, device, args.smoke)
    yield "repetitions", lambda: repetitions(table, device, args.smoke)
    yield "checks", lambda: checks(simulated_records(CHECKED_RECORDS), table, args.device)
    for name in GENERATORS:
        yield f"{name}, larger batch", lambda name=name: train(Cell(name, "paper", BF16, LARGER))
    for name in GENERATORS:
        yield f"{name}, full", lambda name=name: train(Cell(name, "full", BF16))
        yield f"{name}, full, sampling", lambda name=name: draw(name, "full")
    for name in GENERATORS:
        for way in (FP32, TF32):
            yield f"{name}, larger batch, {way}", lambda name=name, way=way: train(Cell(name, "paper", way, LARGER))


def measure(args: argparse.Namespace, table: Table) -> None:
    """Measure all there is time for."""
    table.begin()
    gpu = torch.cuda.get_device_name() if torch.device(args.device).type == "cuda" else "no GPU"
    day = time.strftime("%Y-%m-%d", time.gmtime())
    table.add(kind="machine", name=gpu, stage=f"torch {torch.__version__}", way=machine(), note=day)
    torch.set_num_threads(min(4, os.cpu_count() or 1))
    compiling = Compiling(args, args.compile, ("paper", "full") if args.compile_full else ("paper",))
    try:
        for name, work in tasks(args, table):
            if table.seconds_left < 3:
                table.add(kind="task", name=name, note="left out: no time")
                continue
            began = time.time()
            with _kept(table, kind="task", name=name):
                work()
            print(f"{name}: {time.time() - began:.1f} s, {table.seconds_left:.0f} s left", flush=True)
        compiling.wait(table)
    finally:
        compiling.kill()
        remove_lock(table)


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--csv", type=Path, default=CSV, help="where rows are written")
    arguments.add_argument("--device", default="auto")
    arguments.add_argument("--seconds", type=float, default=180.0, help="time after which nothing more is measured")
    arguments.add_argument("--window", type=float, default=0.6, help="seconds that the steps of a cell are timed")
    arguments.add_argument("--records", type=int, default=RECORDS)
    arguments.add_argument("--compile", nargs="*", default=GENERATORS, choices=GENERATORS)
    arguments.add_argument("--compile-full", action="store_true", help="also compile the presets `full`")
    arguments.add_argument("--smoke", action="store_true", help="tiny networks, to try this script")
    arguments.add_argument("--compiled", nargs=2, help=argparse.SUPPRESS)
    arguments.add_argument("--ends", type=float, help=argparse.SUPPRESS)
    args = arguments.parse_args()
    args.device = pick_device(args.device)
    args.ends = args.ends or time.time() + args.seconds
    table = Table(args.csv, args.ends)
    if args.compiled:
        compiled(args, table)
        return
    if not args.render:
        measure(args, table)
    if args.csv == CSV:
        write_section(DOCS / "performance.md", "device", render(pd.read_csv(CSV)))


if __name__ == "__main__":
    main()
