"""Time and memory of the closeness measures, compared with ecgen-eval, prdc and plain SciPy.

    pip install --constraint constraints.txt --editable '.[benchmark]'
    python benchmarks/closeness.py --work /tmp/closeness   # ecgen-eval takes most of the time
    python benchmarks/closeness.py --render                # writes the section of docs/performance.md again

The input is two sets of simulated records of 12 leads, 10 s at 100 Hz. Each way of measuring runs in its own process
on one thread, reads both sets from disk and computes one kind of measure. Reported are the CPU time without start-up
and the peak memory of the process. Finished measurements are kept in the folder `--work`; an interrupted run resumes.
"""

from __future__ import annotations

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
from measuring import DATA, DOCS, machine, parse, parser, write_section
from tqdm import tqdm

from ecgpipe.closeness import distances
from ecgpipe.closeness.comparison import Settings, evaluate
from ecgpipe.closeness.feature_cache import FeatureCache, Sample
from ecgpipe.closeness.feature_maps import FeatureMaps
from ecgpipe.closeness.measures import MEASURES
from ecgpipe.closeness.records import Records
from ecgpipe.closeness.signals import projections
from ecgpipe.closeness.statistics import Pair

CSV = DATA / "closeness_benchmark.csv"

PROJECTIONS = 64
"""Number of directions of the sliced Wasserstein distance; ecgpipe takes as many."""

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
"""What is measured, and by which implementations."""

NAMES = {
    "power spectrum": ("spectrum",),
    "Fréchet distance": ("frechet_kernels",),
    "MMD": ("mmd",),
    "precision and recall": ("precision", "recall"),
    "sliced Wasserstein distance": ("sliced_wasserstein",),
    "nearest records": ("nearest_distance",),
}
"""The measures of :mod:`ecgpipe.closeness.measures` that belong to each kind."""


def write_sets(folder: Path, n: int) -> None:
    """Write ``real.npy`` and ``synthetic.npy``, ``(n, 12, 1000)``: few hearts, each record scaled, with new noise."""
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
    """Compute one kind with this package, without intervals except for :data:`EVERYTHING`."""
    a, b = Records(real, 100.0), Records(synthetic, 100.0)
    if kind == EVERYTHING:
        evaluate(a, b, train=a, settings=Settings(most=len(a)))
        return
    names = [name for names in NAMES.values() for name in names] if kind == TOGETHER else NAMES[kind]
    by_kernels = set(names) - {"spectrum", "sliced_wasserstein", "nearest_distance"}
    maps = FeatureMaps.fit(a if by_kernels else a.view(np.arange(40)), None)
    pair = Pair(*(Sample(FeatureCache(side, maps), np.arange(len(side))) for side in (a, b)), 0)
    for name in names:
        MEASURES[name].statistic(pair)(np.ones((1, len(a))), np.ones((1, len(b))))


def same(kind: str, real: np.ndarray, synthetic: np.ndarray) -> float | None:
    """Compute one kind with this package's distances on ecgen-eval's features, lead by lead.

    Returns:
        The mean over leads of the sliced Wasserstein distance; None for the other kinds.
    """
    from ecgen_eval.metrics.mmd import MMDMetric

    features = MMDMetric._extract_features
    once = np.ones((1, len(real)))
    rng = np.random.default_rng(42)  # ecgen-eval's seed, so that the directions are the same
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
    """Return ecgen-eval's measure of the kind on all records; by default it would take at most 1,000 or 2,000."""
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
    """Compute the kind directly with SciPy or prdc: whole distance matrices, on this package's features."""
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
    maps = FeatureMaps.fit(Records(real, 100.0), None)
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
    """Measure one way and send its cost; a first call on few records warms up and is not counted."""
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
    """Measure one kind in one way at one size, or read the kept measurement."""
    folder = work / str(n)
    note = folder / f"{way} {kind}.json".replace(" ", "_")
    if not note.exists():
        if not (folder / "synthetic.npy").exists():
            write_sets(folder, n)
        # A forked process has all packages loaded; otherwise start-up would take most of the time.
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
    """Return the exponent p of a cost that grows as (number of records)^p between the two largest sizes.

    Args:
        costs: rows of one way, by number of records.
        column: the cost.
    """
    last, largest = sorted(costs.index)[-2:]
    return float(np.log(costs.loc[largest, column] / costs.loc[last, column]) / np.log(largest / last))


def render(table: pd.DataFrame) -> str:
    """Return the section of docs/performance.md."""
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
        f"Measured by `python benchmarks/closeness.py --sizes {' '.join(map(str, sizes))}` on {first['machine']}, "
        f"{first['date']}, {packages}. The input is two sets of this many simulated records of (12, 1000); the work "
        "is everything from the files to the value, on one thread. CPU time is counted after start-up. Peak memory "
        f"is that of the process; it includes {first['idle_mb']:,.0f} MB of packages and the pages of the files that "
        f"were read ({2 * sizes[-1] * 48000 / 1e6:,.0f} MB at {sizes[-1]:,}). Growth is the exponent p of a CPU time "
        "that grows as (number of records)^p between the two largest sizes. The machine did other work at the same "
        f"time (load up to {table['load'].max():.0f}).",
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
        f"For the six measures that both have, ecgen-eval takes {theirs:.0f} s. ecgpipe computes features once and "
        f"takes {together:.0f} s: it is {theirs / together:.1f} times as fast. On ecgen-eval's own features, for the "
        f"kinds that use features, ecgpipe's distances take {sum(b for _, b in shared):.0f} s and ecgen-eval's "
        f"{sum(a for a, _ in shared):.0f} s: {alike:.1f} times as fast.",
        "",
        "The two packages define most of these measures differently. ecgen-eval describes each lead by 7 to 11 "
        "numbers (mean, deviation, zero crossings ...) and averages over leads. ecgpipe computes 504 random-kernel "
        "features of all leads together (for nearest records it uses the 12,000 samples themselves), and spends much "
        "of its time on them. Biases and projection of the kernels come from the first 1,000 records, so at small "
        "sizes time grows more slowly than the number of records. Told to use all records, ecgen-eval holds all "
        "pairs times all features in memory; by default it uses at most 1,000 or 2,000 records. SciPy and prdc work "
        "on ecgpipe's features and hold all pairs.",
        "",
        "Only the sliced Wasserstein distance is defined alike. On the same features and directions both give the "
        f"same value: {alike_values[SAME]:.6f} by ecgpipe and {alike_values[EVAL]:.6f} by ecgen-eval, at "
        f"{sizes[-1]:,} records. The other values cannot agree. ecgen-eval's Fréchet distance takes the root of the "
        "symmetrised product of the covariances, which is right only where they commute. Its MMD² uses a separate "
        "median distance for each of three matrices. Its precision looks only at the ball of the nearest real "
        "record. Its spectra are compared by Jensen-Shannon divergence.",
    ]
    return "\n".join(lines)


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--work", type=Path, help="folder for the sets and the finished measurements")
    arguments.add_argument("--sizes", type=int, nargs="+", default=[1250, 2500, 5000], help="records per set")
    args = parse(arguments)
    if not args.render:
        table = measure(args.work, args.sizes)
        facts = {"machine": machine(), "date": time.strftime("%Y-%m-%d", time.gmtime())}
        facts |= {"ecgen_eval": version("ecgen-eval"), "prdc": version("prdc"), "scipy": version("scipy")}
        table.assign(**facts).to_csv(CSV, index=False)
    write_section(DOCS / "performance.md", "closeness", render(pd.read_csv(CSV)))


if __name__ == "__main__":
    main()
