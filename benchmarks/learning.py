"""What each generator learns in a minute, five and sixty of one core's time, with drafts and without.

    python benchmarks/learning.py                           # all cells that are missing in --work, then the tables
    python benchmarks/learning.py --drafts none --seeds 1   # some of them
    python benchmarks/learning.py --again                   # also those of older code or other settings
    python benchmarks/learning.py --workers 16              # as many cells at a time, on a machine with more cores
    python benchmarks/learning.py --budgets 3600 --device cuda --workers 3
    python benchmarks/learning.py --confirm                 # which older code draws the same samples, see below
    python benchmarks/learning.py --collect                 # the tables of docs/generators.md, of the cells in --work
    python benchmarks/learning.py --render                  # the tables, of the CSV files in docs/data

A cell is a set of records, a generator, whether it has drafts, a budget and a seed. Sets are two simulated hospitals
and, if ECGPIPE_PHYSIONET names a copy of PTB-XL, real records. A budget is a number of steps that
took about that many CPU seconds on one core of a busy machine (`learning_cells.py`); training does not look at the
clock. The simulated sets have one judge, the study's classifier trained on other simulated records; the real set's
judge learned from its training records.

Each finished cell is a file in ``--work``, with its settings and a digest of the code it depends on. A cell whose
settings or code have changed is marked in the tables; ``--again`` computes it again. Much code can change without a
change of the samples. ``--confirm`` trains one cell of each generator again, with the same settings: if its samples are
the same in all bits, the older code counts as the present one.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import json
import logging
import multiprocessing
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from learning_cells import BUDGETS, CONTROL, DATASETS, NEURAL, SEEDS, Cell, cells
from learning_measures import Measure
from learning_records import DRAWN, Set, hospital_records, real_judge, real_records, simulated_judge
from learning_tables import CSV, DOCUMENT, LOSSES, LOSSES_CSV, losses_table, table
from measuring import learning_parser, processor, write_section, writes_tables

from ecgpipe.dataset import Dataset
from ecgpipe.files import atomic_path, read_json, write_json
from ecgpipe.generate.protocol import Signals
from ecgpipe.generate.registry import load_class
from ecgpipe.generate.time_vqvae import ReconstructionError
from ecgpipe.simulator.hospitals import RHYTHMS
from ecgpipe.workflow.code_digest import parts

log = logging.getLogger(__name__)


@functools.cache
def code_of(generator: str, draft: str) -> str:
    """Return a digest of the code that a generator's samples depend on; without drafts, theirs does not count."""
    if generator in ("real", "training"):
        return ""
    module = load_class(generator, None).__module__
    digests = parts(None, [module])
    kept = {k: v for k, v in digests.items() if draft == "beats" or not k.startswith("ecgpipe.generate.draft")}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:16]


def same_code(work: Path, old: str, generator: str, draft: str) -> bool:
    """Say whether code of a digest is the present one, or draws the same samples as far as :func:`confirm` found.

    If one code draws the samples of a second, and the second those of a third, so does the first.
    """
    path, same = work / "same_code.json", {code_of(generator, draft)}
    groups = [{now, *olds} for now, olds in read_json(path).items()] if path.exists() else []
    while old not in same:
        more = set().union(*(group for group in groups if group & same))
        if more <= same:
            return False
        same |= more
    return True


def stale(work: Path, cell: Cell, kept: dict[str, Any]) -> bool:
    """Say whether a cell was made by other code or settings than are here now."""
    settings = json.loads(json.dumps(cell.settings()))
    return kept["settings"] != settings or not same_code(work, kept["code"], cell.generator, cell.draft)


def confirm(work: Path) -> None:
    """Train a cell of each generator again whose code has changed, and note if its samples have not."""
    done = set()
    for cell in sorted(cells(), key=lambda c: c.budget):
        path, samples = work / "cells" / f"{cell}.json", work / "models" / str(cell) / "samples.npz"
        if not (cell.budget and path.exists() and samples.exists()) or not stale(work, cell, kept := read_json(path)):
            continue
        now, old = code_of(cell.generator, cell.draft), kept["code"]
        if (now, old) in done or kept["settings"] != json.loads(json.dumps(cell.settings())):
            continue
        done.add((now, old))
        trained, sampling = cell.settings()
        data = measure(work, cell.dataset).data
        with tempfile.TemporaryDirectory() as folder:
            _, generator = learned(cell.generator, trained, cell.seed, data, Path(folder), "cpu")
            _, again = drawn(generator, sampling, cell.seed, data, Path(folder), "cpu")
        with np.load(samples) as before:
            same = np.array_equal(before["signals"], again.signals)
        log.info("%s: code %s draws %s samples as %s", cell, now, "the same" if same else "OTHER", old)
        if same:
            known = read_json(work / "same_code.json") if (work / "same_code.json").exists() else {}
            write_json(work / "same_code.json", {**known, now: [*known.get(now, []), old]})


def machine_of(device: str) -> str:
    """Return the name of the processor, or of the GPU."""
    return processor() if device == "cpu" else torch.cuda.get_device_name(device)


def learned(
    name: str, trained: dict[str, Any], seed: int, data: Set, folder: Path, device: str
) -> tuple[dict[str, Any], Any]:
    """Train a generator; save the model and its losses. Return what it cost, and the generator.

    A training that was killed goes on from its checkpoints in the folder; what it cost is then not known.
    """
    cls: Any = load_class(name, None)
    train, validation = Signals.of(data.dataset, "train"), Signals.of(data.dataset, "validation")
    settings = cls.Settings.model_validate(trained)
    generator = cls(settings, data.dataset.spec)
    state = folder / f"state-{code_of(name, getattr(settings, 'draft', 'none'))}"
    resumed = state.exists()
    state.mkdir(parents=True, exist_ok=True)
    clock = time.process_time()
    history = generator.fit(train, validation, seed=seed, state_dir=state, device=device, progress=True)
    seconds = None if resumed else time.process_time() - clock
    generator.save(folder)
    shutil.rmtree(state)
    steps = 0
    if "stage" in history:
        history[LOSSES].to_csv(folder / "losses.csv", index=False, float_format="%.6g")
        steps = int(history.groupby("stage")["step"].max().sum())
    cost = {"machine": machine_of(device), "records": len(train), "steps": steps, "cpu_seconds": seconds}
    return cost, generator


def drawn(
    generator: Any, sampling: dict[str, Any], seed: int, data: Set, folder: Path, device: str
) -> tuple[dict[str, Any], Dataset]:
    """Draw samples, equally many of each rhythm of the set, and save them. Return what it cost, and the samples."""
    present = np.unique(Signals.of(data.dataset, "train").labels)
    labels, seeds = present[np.arange(DRAWN) % len(present)], np.arange(DRAWN) + 1000 * (seed - 1)
    settings = generator.SampleSettings.model_validate(sampling)
    clock = time.process_time()
    signals = [
        generator.sample(labels[i : i + 70], settings=settings, seeds=seeds[i : i + 70], device=device)
        for i in range(0, DRAWN, 70)
    ]
    cost = {"sampling_cpu_seconds": time.process_time() - clock}
    with atomic_path(folder / "samples.npz") as temporary, open(temporary, "wb") as handle:
        np.savez(handle, signals=np.concatenate(signals), labels=labels)
    names = pd.DataFrame({"label": [RHYTHMS[c] for c in labels]})
    return cost, Dataset(np.concatenate(signals), names, data.dataset.spec)


@functools.cache
def measure(work: Path, dataset: str) -> Measure:
    """Return the measure of a set; its first call makes the set's records and its judge."""
    if dataset == "real":
        return Measure(real_judge(work), real_records(work))
    return Measure(simulated_judge(work), hospital_records(work, dataset.removeprefix("hospital_")))


def compute(work: Path, wanted: Iterable[Cell], again: bool = False, device: str = "cpu") -> None:
    """Train and measure the cells that are missing in the working folder, and with ``again`` those that are stale."""
    for cell in wanted:
        path = work / "cells" / f"{cell}.json"
        if path.exists() and not (again and stale(work, cell, read_json(path))):
            continue
        if cell.dataset == "real" and not os.environ.get("ECGPIPE_PHYSIONET"):
            log.warning("%s is left out: ECGPIPE_PHYSIONET names no real records", cell)
            continue
        code = code_of(cell.generator, cell.draft)
        of = measure(work, cell.dataset)
        try:
            if cell.generator == "real":
                found = of.real()
            elif cell.generator == "training":
                found = of.training(DRAWN)
            else:
                trained, sampling = cell.settings()
                folder = work / "models" / str(cell)
                cost, generator = learned(cell.generator, trained, cell.seed, of.data, folder, device)
                more, samples = drawn(generator, sampling, cell.seed, of.data, folder, device)
                found = {**cost, **more, **of.judged(samples), **of.near(samples)}
        except ReconstructionError as error:
            found = {"refused": str(error).split(";")[0]}
        log.info("%s: %s", cell, json.dumps(found))
        write_json(path, {**cell._asdict(), "code": code, "settings": cell.settings(), **found})


def in_processes(workers: int, work: Callable[..., None], calls: list[tuple[Any, ...]]) -> None:
    """Make calls in several processes, each of one thread and a call at a time; with one worker, in this process."""
    if workers == 1:
        for arguments in calls:
            work(*arguments)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=prepare) as pool:
        for done in [pool.submit(work, *arguments) for arguments in calls]:
            done.result()


def prepare() -> None:
    """Set up a process."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(1)


def collect(work: Path) -> pd.DataFrame:
    """Return a row for each finished cell, in the order of :func:`cells`; ``stale`` says if it is of other code."""
    found = []
    for cell in sorted(cells(), key=lambda c: (DATASETS.index(c.dataset), c.budget, c.generator, c.draft, c.seed)):
        path = work / "cells" / f"{cell}.json"
        if path.exists():
            kept = read_json(path)
            row = {k: v for k, v in kept.items() if k not in ("code", "settings")}
            found.append({**row, "stale": int(stale(work, cell, kept))})
    return pd.DataFrame(found)


def collect_losses(work: Path) -> pd.DataFrame:
    """Return the losses at each validation of all trainings that kept them."""
    found = [pd.DataFrame(columns=[*Cell._fields, *LOSSES])]
    for cell in cells():
        path = work / "models" / str(cell) / "losses.csv"
        if path.exists():
            found.append(pd.read_csv(path).assign(**cell._asdict())[[*Cell._fields, *LOSSES]])
    return pd.concat(found[1:] or found, ignore_index=True)


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    parsed = learning_parser(__doc__)
    parsed.add_argument("--again", action="store_true", help="also the cells of older code or other settings")
    parsed.add_argument("--confirm", action="store_true", help="see above; then the tables")
    parsed.add_argument("--device", default="cpu", help="to train and draw on: cpu or cuda")
    parsed.add_argument("--workers", type=int, default=1, help="processes of one thread, each with a cell at a time")
    parsed.add_argument("--datasets", nargs="+", choices=DATASETS, default=list(DATASETS))
    parsed.add_argument("--generators", nargs="+", choices=(*NEURAL, CONTROL), default=[*NEURAL, CONTROL])
    parsed.add_argument("--drafts", nargs="+", choices=("none", "beats"), default=["none", "beats"])
    parsed.add_argument("--budgets", nargs="+", type=int, choices=BUDGETS, default=list(BUDGETS))
    parsed.add_argument("--seeds", nargs="+", type=int, choices=SEEDS, default=list(SEEDS))
    return parsed.parse_args()


def main() -> None:
    args = arguments()
    prepare()
    if args.confirm:
        confirm(args.work)
    elif not (args.render or args.collect):
        names = {*args.generators, "real", "training"}
        wanted = [
            c
            for c in cells()
            if c.dataset in args.datasets
            and c.generator in names
            and (not c.budget or (c.draft in args.drafts and c.budget in args.budgets and c.seed in args.seeds))
        ]
        if args.workers > 1:
            for dataset in args.datasets:
                if dataset != "real" or os.environ.get("ECGPIPE_PHYSIONET"):
                    measure(args.work, dataset)  # makes records and judges, once for all processes
        in_processes(args.workers, compute, [(args.work, [cell], args.again, args.device) for cell in wanted])
    if not (args.confirm or writes_tables(args)):
        return
    if not args.render:
        collect(args.work).to_csv(CSV, index=False, float_format="%.6g")
        collect_losses(args.work).to_csv(LOSSES_CSV, index=False, float_format="%.6g")
    for csv, rows in ((CSV, table()), (LOSSES_CSV, losses_table())):
        write_section(DOCUMENT, csv.stem, rows)


if __name__ == "__main__":
    main()
