"""How fast closeness is measured, and in how much memory, beside ecgen-eval, prdc and plain SciPy.

    pip install --constraint constraints.txt --editable '.[benchmark]'
    python benchmarks/closeness.py --work /tmp/closeness   # most of it is ecgen-eval's
    python benchmarks/closeness.py --render                # writes the section of docs/performance.md again

Two sets of simulated records of 12 leads, 10 s at 100 Hz. Each way of measuring runs in a process of its own on one thread, reads
both sets from disk and computes one kind of measure. CPU time without start-up, and peak memory of the process. What is done is
noted in the folder `--work`: an interrupted run goes on.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from importlib.metadata import version
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from measuring import ROOT, machine, write_section
from tqdm import tqdm

from ecgpipe.closeness import distances
from ecgpipe.closeness.comparison import Settings, evaluate
from ecgpipe.closeness.measures import MEASURES, Maps, Pair, Sample, Source
from ecgpipe.closeness.records import Records
from ecgpipe.closeness.signals import projections

CSV = ROOT / "docs" / "data" / "closeness_benchmark.csv"

PROJECTIONS = 64
"""Of the sliced Wasserstein distance, as many as ecgpipe takes."""

OURS, EVAL, PLAIN, PRDC = "ecgpipe", "ecgen-eval", "SciPy", "prdc"
SAME = "ecgpipe on ecgen-eval's features"
TOGETHER, EVERYTHING = "these six together", "every quick measure, floors, intervals"
KINDS = {
    "power spectrum": (OURS, EVAL, PLAIN),
    "Fréchet distance": (OURS, EVAL),
    "MMD": (OURS, SAME, EVAL, PLAIN),
    "precision and recall": (OURS, SAME, EVAL, PRDC),
    "sliced Wasserstein distance": (OURS, SAME, EVAL, PLAIN),
    "nearest records": (OURS, EVAL),
    TOGETHER: (OURS,),
    EVERYTHING: (OURS,),
}
"""What is measured, and the ways it is."""

NAMES = {
    "power spectrum": ("spectrum",),
    "Fréchet distance": ("frechet_kernels",),
    "MMD": ("mmd",),
    "precision and recall": ("precision", "recall"),
    "sliced Wasserstein distance": ("sliced_wasserstein",),
    "nearest records": ("nearest_distance",),
}
"""Measures of :mod:`ecgpipe.closeness.measures` of each kind."""


def write_sets(folder: Path, n: int) -> None:
    """Write ``real.npy`` and ``synthetic.npy``, ``(n, 12, 1000)``: few hearts, each record with size and noise of its own."""
    from ecgpipe.simulator.ecg import simulate_ecg
    from ecgpipe.simulator.hospitals import HOSPITALS, RHYTHMS
    from ecgpipe.simulator.patients import draw_patient

    rng, hospital = np.random.default_rng(0), HOSPITALS["a"]
    drawn = [(name, draw_patient(rng, hospital, name)) for name in list(RHYTHMS)[:7] for _ in range(30)]
    hearts = np.stack([simulate_ecg(rng, name, hospital, patient, 100, 10.0) for name, patient in drawn])
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("real", "synthetic"):
        signals = np.lib.format.open_memmap(folder / f"{name}.npy", "w+", np.float32, (n, 12, 1000))
        for i in range(n):
            heart = np.roll(hearts[rng.integers(len(hearts))], rng.integers(1000), axis=1)
            signals[i] = heart * rng.uniform(0.8, 1.2) + rng.normal(0, 0.01, heart.shape)
        signals.flush()


# -- ways of measuring ------------------------------------------------------------------------------------------------


def ours(kind: str, real: np.ndarray, synthetic: np.ndarray) -> None:
    """Compute one kind with this package: the value alone, except for :data:`EVERYTHING`."""
    a, b = Records(real, 100.0), Records(synthetic, 100.0)
    if kind == EVERYTHING:
        evaluate(a, b, train=a, settings=Settings(most=len(a)))
        return
    names = [name for names in NAMES.values() for name in names] if kind == TOGETHER else NAMES[kind]
    by_kernels = set(names) - {"spectrum", "sliced_wasserstein", "nearest_distance"}
    maps = Maps.fit(a if by_kernels else a.view(np.arange(40)), None)
    pair = Pair(*(Sample(Source(side, maps), np.arange(len(side))) for side in (a, b)), 0)
    for name in names:
        MEASURES[name].statistic(pair)(np.ones((1, len(a))), np.ones((1, len(b))))


def same(kind: str, real: np.ndarray, synthetic: np.ndarray) -> float | None:
    """Compute one kind with this package's distances on ecgen-eval's features, lead by lead; of the sliced distance return the mean."""
    from ecgen_eval.metrics.mmd import MMDMetric

    features = MMDMetric._extract_features
    once = np.ones((1, len(real)))
    rng = np.random.default_rng(42)  # ecgen-eval's own, so that directions are the same
    values = []
    for lead in range(real.shape[1]):
        a, b = features(real[:, lead]).astype(np.float64), features(synthetic[:, lead]).astype(np.float64)
        mean, scale = a.mean(axis=0), a.std(axis=0) + 1e-9
        a, b = (a - mean) / scale, (b - mean) / scale
        if kind == "MMD":
            distances.mmd(a, b, once, once)
        elif kind == "precision and recall":
            distances.manifold_scores(a, b)
        else:
            directions = rng.standard_normal((PROJECTIONS, a.shape[1])).T
            directions /= np.linalg.norm(directions, axis=0)
            values.append(distances.sliced_wasserstein(a @ directions, b @ directions, once, once)[0])
    return float(np.mean(values)) if values else None


def ecgen_eval(kind: str, real: np.ndarray, synthetic: np.ndarray) -> float:
    """Return ecgen-eval's measure of the kind, on all records: unless told so it takes at most 1,000 or 2,000."""
    from ecgen_eval.metrics.fd import FDMetric
    from ecgen_eval.metrics.mmd import MMDMetric
    from ecgen_eval.metrics.nn_dist import NNDistMetric
    from ecgen_eval.metrics.pr_dist import PRDistMetric
    from ecgen_eval.metrics.psd import PSDMetric
    from ecgen_eval.metrics.swd import SWDMetric

    n = len(real)
    metrics: dict[str, Any] = {
        "power spectrum": lambda: PSDMetric(fs=100.0, n_subsample=n),
        "Fréchet distance": lambda: FDMetric(n_subsample=n),
        "MMD": lambda: MMDMetric(n_subsample=n),
        "precision and recall": lambda: PRDistMetric(k=5, n_subsample=n),
        "sliced Wasserstein distance": lambda: SWDMetric(n_projections=PROJECTIONS, n_subsample=n),
        "nearest records": lambda: NNDistMetric(n_subsample=n),
    }
    return float(metrics[kind]().compute(np.asarray(real), np.asarray(synthetic)).score)


def plain(kind: str, real: np.ndarray, synthetic: np.ndarray) -> None:
    """Compute the kind as one would with SciPy or prdc: whole matrices, on this package's features."""
    from scipy import signal, stats
    from scipy.spatial.distance import cdist

    if kind == "power spectrum":
        for x in (real, synthetic):
            signal.welch(np.asarray(x, dtype=np.float64), 100, nperseg=400, axis=2)[1].mean(axis=0)
        return
    if kind == "sliced Wasserstein distance":
        a, b = projections(real), projections(synthetic)
        np.mean([stats.wasserstein_distance(x, y) for x, y in zip(a.T, b.T, strict=True)])
        return
    maps = Maps.fit(Records(real, 100.0), None)
    a, b = (maps.projection(maps.kernels(x)) for x in (real, synthetic))
    if kind == "MMD":
        median = np.median(cdist(a, a))
        for x, y in ((a, a), (b, b), (a, b)):
            squared = cdist(x, y, "sqeuclidean")
            np.mean([np.exp(-squared / (2 * (width * median) ** 2)).mean() for width in (0.25, 0.5, 1, 2, 4)])
    else:
        from prdc import compute_prdc

        compute_prdc(real_features=a, fake_features=b, nearest_k=5)


WAYS = {OURS: ours, SAME: same, EVAL: ecgen_eval, PLAIN: plain, PRDC: plain}


def _child(way: str, kind: str, folder: Path, answer: Connection) -> None:
    """Measure one way and send its cost; a first call on few records is not counted."""
    torch.set_num_threads(1)
    sets = [np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("real", "synthetic")]
    idle = _peak_mb()
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        WAYS[way](kind, *(s[:40] for s in sets))
        began = time.process_time()
        value = WAYS[way](kind, *sets)
        seconds = time.process_time() - began
    cost = {"cpu_seconds": round(seconds, 3), "peak_mb": round(_peak_mb()), "idle_mb": round(idle)}
    answer.send({**cost, "value": value})


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6


def noted(work: Path, n: int, kind: str, way: str) -> dict[str, float]:
    """Measure one kind in one way at one size, or read what was noted of it."""
    folder = work / str(n)
    note = folder / f"{way} {kind}.json".replace(" ", "_")
    if not note.exists():
        if not (folder / "synthetic.npy").exists():
            write_sets(folder, n)
        # A fork has all packages loaded: start-up would take most of the time.
        context = get_context("fork")
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(target=_child, args=(way, kind, folder, sender))
        process.start()
        sender.close()
        try:
            cost = receiver.recv()
        except EOFError:
            raise RuntimeError(f"{way}, {kind} failed: see above") from None
        finally:
            process.join()
        note.write_text(json.dumps({**cost, "load": round(os.getloadavg()[0], 1)}), encoding="utf-8")
    found: dict[str, float] = json.loads(note.read_text(encoding="utf-8"))
    return found


def measure(work: Path, sizes: list[int]) -> pd.DataFrame:
    """Measure every kind in every way at every size; a row each."""
    tasks = [(n, kind, way) for n in sizes for kind, ways in KINDS.items() for way in ways]
    return pd.DataFrame(
        [{"records": n, "kind": kind, "way": way, **noted(work, n, kind, way)} for n, kind, way in tqdm(tasks)]
    )


# -- the document -----------------------------------------------------------------------------------------------------


def growth(costs: pd.Series, column: str) -> float:
    """Return the power of the number of records that a cost grows by between the two largest sizes.

    Args:
        costs: rows of one way, by number of records.
        column: the cost.
    """
    last, largest = sorted(costs.index)[-2:]
    return float(np.log(costs.loc[largest, column] / costs.loc[last, column]) / np.log(largest / last))


def render(table: pd.DataFrame) -> str:
    """Return the section of docs/performance.md that a CSV of this benchmark says."""
    first, sizes = table.iloc[0], sorted(table["records"].unique())
    packages = f"ecgen-eval {first['ecgen_eval']}, prdc {first['prdc']}, SciPy {first['scipy']}"
    columns = [
        "",
        *(f"CPU s, {n:,}" for n in sizes),
        "growth",
        f"times ecgpipe, {sizes[-1]:,}",
        f"peak MB, {sizes[-1]:,}",
    ]
    lines = [
        "## Closeness",
        "",
        f"`python benchmarks/closeness.py --sizes {' '.join(map(str, sizes))}` on {first['machine']}, {first['date']}, {packages}. Two sets of so many simulated records of (12, 1000), one thread, "
        f"from the files to the value; CPU time after start-up, peak memory of the process, in it {first['idle_mb']:,.0f} MB of packages "
        f"and the pages of the files that it has read ({2 * sizes[-1] * 48000 / 1e6:,.0f} MB at {sizes[-1]:,}). Growth: the power of the number of records that CPU time grows by at the end. "
        f"The machine did other work at the time (load up to {table['load'].max():.0f}).",
        "",
        f"| {' | '.join(columns)} |",
        "|---" + "|---:" * (len(columns) - 1) + "|",
    ]
    totals = {}
    for kind, rows in table.groupby("kind", sort=False):
        lines.append(f"| **{kind}** |" + " |" * (len(columns) - 1))
        costs = {way: own.set_index("records") for way, own in rows.groupby("way", sort=False)}
        base = costs[OURS].loc[sizes[-1], "cpu_seconds"]
        for way, own in costs.items():
            totals[kind, way] = own.loc[sizes[-1], "cpu_seconds"]
            seconds = [f"{own.loc[n, 'cpu_seconds']:.1f}" for n in sizes]
            ratio = "" if way == OURS else f"{totals[kind, way] / base:.1f}"
            cells = [way, *seconds, f"{growth(own, 'cpu_seconds'):.1f}", ratio, f"{own.loc[sizes[-1], 'peak_mb']:,.0f}"]
            lines.append(f"| {' | '.join(cells)} |")
    theirs = sum(seconds for (_, way), seconds in totals.items() if way == EVAL)
    together = totals[TOGETHER, OURS]
    shared = [(totals[kind, EVAL], totals[kind, SAME]) for kind, ways in KINDS.items() if SAME in ways]
    alike = sum(a for a, _ in shared) / sum(b for _, b in shared)
    sliced = table[(table["kind"] == "sliced Wasserstein distance") & (table["records"] == sizes[-1])]
    alike_values = sliced.set_index("way")["value"]
    lines += [
        "",
        f"The six measures that both have take ecgen-eval {theirs:.0f} s and ecgpipe, which computes features once, {together:.0f} s: {theirs / together:.1f} times. "
        f"On ecgen-eval's own features, where there are some, ecgpipe's distances take {sum(b for _, b in shared):.0f} s beside {sum(a for a, _ in shared):.0f} s: {alike:.1f} times.",
        "",
        "The kinds are not defined alike. ecgen-eval describes each lead by 7 to 11 numbers (mean, deviation, zero crossings ...) and averages over leads; ecgpipe takes 504 "
        "random-kernel features of all leads (nearest records: the 12,000 samples themselves), and a good part of its time goes into them (their biases and projection come from the first 1,000 records, so that time grows less than the number of records at first). Told to take all records, ecgen-eval holds all "
        "pairs times all features in memory; left alone it takes at most 1,000 or 2,000. SciPy and prdc work on ecgpipe's features, and hold all pairs.",
        "",
        f"One of them is defined alike, and agrees: the sliced Wasserstein distance on the same features and directions, {alike_values[SAME]:.6f} by ecgpipe and {alike_values[EVAL]:.6f} by ecgen-eval, at {sizes[-1]:,} records. "
        "The others cannot: ecgen-eval's Fréchet distance takes the root of the symmetrised product of the covariances, which is right only where they commute; its MMD² a median distance of its own for each of three matrices; "
        "its precision looks into the ball of the nearest real record only; its spectra are compared by Jensen-Shannon divergence.",
    ]
    return "\n".join(lines)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--work", type=Path, help="folder for the sets and notes of what is done")
    arguments.add_argument("--render", action="store_true", help="write the document from the last measurement")
    arguments.add_argument("--sizes", type=int, nargs="+", default=[1250, 2500, 5000], help="records a set")
    args = arguments.parse_args()
    if not args.render:
        if args.work is None:
            arguments.error("--work or --render is needed")
        table = measure(args.work, args.sizes)
        facts = {"machine": machine(), "date": time.strftime("%Y-%m-%d", time.gmtime())}
        facts |= {"ecgen_eval": version("ecgen-eval"), "prdc": version("prdc"), "scipy": version("scipy")}
        table.assign(**facts).to_csv(CSV, index=False)
    write_section(ROOT / "docs" / "performance.md", "closeness", render(pd.read_csv(CSV)))


if __name__ == "__main__":
    main()
