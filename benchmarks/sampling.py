"""What fast sampling costs in quality: many and few evaluations with the same weights, labels and seeds.

    python benchmarks/learning.py            # trains the generators and the judge, once
    python benchmarks/sampling.py            # draws what is missing in --work (that of learning.py), then the section
    python benchmarks/sampling.py --collect  # the section, of what is in --work
    python benchmarks/sampling.py --render   # the section of docs/performance.md, of the CSV file

The models are those with drafts that learning.py trained on hospital a for a minute. Fréchet distances are between the
judge's features of samples and of real records. Agreement is the share of samples in which the judge reads the
requested rhythm. Every bootstrap draw takes the same real records, and the same positions in every set of samples, so
that differences are paired. Finished chunks are kept; an interrupted run resumes. With another --work than the default,
the section is written with --collect only.
"""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from learning import code_of
from learning_cells import WAYS as TRAINED
from learning_cells import Cell
from learning_records import DRAWN, Judge, Set, hospital_records, simulated_judge
from measuring import DATA, DOCS, learning_parser, machine, publish
from tqdm import tqdm

from ecgpipe.closeness.bootstrap import bootstrap_interval, bootstrap_weights
from ecgpipe.closeness.distances import frechet
from ecgpipe.files import atomic_path
from ecgpipe.generate.registry import load_class

CSV = DATA / "sampling.csv"
CHUNK, BOOTSTRAP, SEED = 35, 500, 1
EVALUATIONS = "evaluations"
BUDGET, TRAINING = 60, "with drafts, for a minute"


@dataclass(frozen=True)
class Way:
    """A way to draw samples: the generator, a name for the table, and the sampling settings."""

    generator: str
    name: str
    settings: dict[str, Any]


SAMPLERS: tuple[dict[str, Any], ...] = (
    {"sampler": "ancestral", EVALUATIONS: 200},
    {"sampler": "ancestral", EVALUATIONS: 20},
    {"sampler": "dpmpp_2m", EVALUATIONS: 20},
)
WAYS: tuple[Way, ...] = (
    *(
        Way(name, s["sampler"], {**TRAINED[name, "beats"].sample, **s})
        for name in ("time_diffusion", "diffwave")
        for s in SAMPLERS
    ),
    *(
        Way("time_vqvae", name, {**TRAINED["time_vqvae", "beats"].sample, "lf_rounds": lf, "hf_rounds": hf})
        for name, lf, hf in (("a token a round", 126, 63), ("ten rounds a band", 10, 10))
    ),
)
"""What is drawn. The first way of a generator and guidance is the reference that the others are compared with."""


class Drawn(NamedTuple):
    """What was drawn in one way."""

    signals: np.ndarray
    """``(DRAWN, 12, 1000)``, mV."""
    cost: float
    """CPU milliseconds a record, of the fastest chunk, which other work on the machine disturbed least."""
    evaluations: int
    load: float = 0.0
    """The highest load average of the machine when a chunk began."""
    machine: str = ""
    date: str = ""
    """Of the last chunk."""


def drawn(work: Path, way: Way, *, missing: bool = True) -> Drawn:
    """Draw samples in one way. Chunks are kept beside a digest of the model and of the code that drew them.

    Args:
        work: working folder of learning.py.
        way: how to draw.
        missing: draw the chunks that are not there.

    Raises:
        FileNotFoundError: if the generator is not trained yet, or a chunk is not there and not to be drawn.
    """
    model = work / "models" / str(Cell("hospital_a", way.generator, "beats", BUDGET))
    if not (model / "model.json").exists():
        raise FileNotFoundError(
            f"{model} holds no model: run `python benchmarks/learning.py` with the same --work first"
        )
    found: Any = load_class(way.generator, None)
    generator, settings = found.load(model), found.SampleSettings.model_validate(way.settings)
    classes = len(generator.spec.classes)
    title = f"{way.generator} {way.name} {settings.evaluations} guidance {settings.guidance:g}"
    code = code_of(way.generator, "beats")
    # The model's file names the digest of its weights.
    digest = hashlib.sha256((model / "model.json").read_bytes() + code.encode()).hexdigest()[:12]
    parts, costs, loads = [], [], []
    where, day = "", ""
    for first in tqdm(range(0, DRAWN, CHUNK), desc=title, unit="chunk", disable=None):
        note = work / "sampling" / f"{title.replace(' ', '_')}-{digest}" / f"{first}.npz"
        if not note.exists():
            if not missing:
                raise FileNotFoundError(f"{note} is not there: run `python benchmarks/sampling.py` without --collect")
            places, load = np.arange(first, min(first + CHUNK, DRAWN)), os.getloadavg()[0]
            began = time.process_time()
            signals = generator.sample(places % classes, settings=settings, seeds=places, device="cpu")
            taken = time.process_time() - began
            with atomic_path(note) as temporary, open(temporary, "wb") as handle:
                np.savez(
                    handle,
                    signals=signals,
                    seconds=taken,
                    load=load,
                    machine=machine(),
                    date=time.strftime("%Y-%m-%d", time.gmtime()),
                )
        with np.load(note) as kept:
            parts.append(kept["signals"])
            costs.append(1000 * float(kept["seconds"]) / len(kept["signals"]))
            loads.append(float(kept["load"]))
            where, day = str(kept["machine"]), str(kept["date"])
    return Drawn(np.concatenate(parts), min(costs), settings.evaluations, max(loads), where, day)


def compare(judge: Judge, data: Set, sets: list[tuple[Way, Drawn]]) -> pd.DataFrame:
    """Return a row for each way, after a first row for real records in the samples' place.

    ``frechet``, ``agreement``, ``lost`` and ``missed`` come with ``_low`` and ``_high``. ``amplitude`` is the standard
    deviation of all samples divided by that of as many real records. The first way of a generator and guidance is the
    reference. ``lost`` is a way's Fréchet distance less the reference's, and ``missed`` is the reference's agreement
    less the way's; both are good if small.
    """
    rng = np.random.default_rng(SEED)
    real = judge(data.reference.signals)[1]
    of_real, of_drawn = (bootstrap_weights(n, None, BOOTSTRAP, rng) for n in (len(real), DRAWN))

    def read(signals: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
        classes, features = judge(signals)
        right = of_drawn @ (classes == labels) / of_drawn.sum(axis=1)
        return {"frechet": frechet(real, features, of_real, of_drawn), "agreement": right}

    def stated(name: str, values: np.ndarray, *bounds: float) -> dict[str, float]:
        return dict(zip((name, f"{name}_low", f"{name}_high"), bootstrap_interval(values, 0.95, bounds), strict=True))  # type: ignore[arg-type]

    def row(values: dict[str, np.ndarray]) -> dict[str, float]:
        return {**stated("frechet", values["frechet"], 0, np.inf), **stated("agreement", values["agreement"], 0, 1)}

    rows: list[dict[str, Any]] = [{"generator": "real", **row(read(data.more.signals, data.more.labels))}]
    faithful: dict[tuple[str, float], tuple[dict[str, np.ndarray], float]] = {}
    labels = np.arange(DRAWN) % len(data.reference.spec.classes)
    for way, own in sets:
        values, key = read(own.signals, labels), (way.generator, way.settings.get("guidance", 1.0))
        first, most = faithful.setdefault(key, (values, own.cost))
        amplitude = float(own.signals.std() / data.more.signals.std())
        facts = {
            "amplitude": amplitude,
            "generator": way.generator,
            "way": way.name,
            "guidance": key[1],
            EVALUATIONS: own.evaluations,
            "ms": own.cost,
        }
        lost = stated("lost", values["frechet"] - first["frechet"], -np.inf, np.inf)
        missed = stated("missed", first["agreement"] - values["agreement"], -1, 1)
        rows.append(
            {**facts, **row(values), "times": most / own.cost, **({} if first is values else {**lost, **missed})}
        )
    return pd.DataFrame(rows)


def _between(row: Any, name: str, form: str) -> str:
    value, low, high = (format(row[f"{name}{end}"], f"z{form}") for end in ("", "_low", "_high"))
    return f"{value} ({low} to {high})"


def render(table: pd.DataFrame) -> str:
    """Return the section of docs/performance.md."""
    real, ways = table.iloc[0], table.iloc[1:]
    trained = real.get("trained", "without drafts")
    lines = [
        "## Faithful and fast sampling",
        "",
        f"Measured by `python benchmarks/sampling.py` on {real['machine']}, {real['date']}, one thread, load average "
        f"{real['load']:.0f}. The generators are those of [generators.md](generators.md#what-small-reaches): preset "
        f"`small`, trained {trained}, on simulated records. Each way draws {DRAWN} records from the same weights, "
        "labels and seeds. CPU time is that of the fastest of six chunks. *Fréchet distance* and *agreement* are "
        "defined there; "
        "their 95 % intervals come from a bootstrap over records. *Amplitude* is the standard deviation of the "
        "samples divided by that of real records. The last two columns are differences from the first row of the "
        "same generator and guidance, paired record by record; above 0 is worse. Real records in the samples' place "
        f"have a distance of {_between(real, 'frechet', '.1f')} and an agreement of "
        f"{_between(real, 'agreement', '.2f')}.",
        "",
        "| generator | way | guidance | evaluations | CPU ms per record | times as fast | Fréchet distance | agreement "
        "| amplitude | distance added | agreement lost |",
        "|---|---|---:|---:|---:|---:|---|---|---:|---|---|",
    ]
    for _, row in ways.iterrows():
        cells = [row["generator"], row["way"], f"{row['guidance']:g}", f"{row[EVALUATIONS]:.0f}", f"{row['ms']:.0f}"]
        cells += [f"{row['times']:.1f}", _between(row, "frechet", ".0f"), _between(row, "agreement", ".2f")]
        cells.append(f"{row['amplitude']:.2f}")
        differs = pd.notna(row["lost"])
        cells += [_between(row, "lost", ".0f"), _between(row, "missed", ".2f")] if differs else ["", ""]
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "Sampling with 1,000 evaluations, five times the cost of 200, was not measured."]
    fast = ways[ways["lost"].notna() & (ways["times"] >= 8)]
    for title, kept in (
        ("At least 8 times as fast, with no loss of distance or agreement beyond the interval", True),
        ("At least 8 times as fast, but with a loss beyond the interval", False),
    ):
        found = fast[((fast["lost_low"] <= 0) & (fast["missed_low"] <= 0)) == kept]
        named = [f"`{r.generator}` {r.way}, guidance {r.guidance:g}" for r in found.itertuples()]
        if named:
            lines += ["", f"{title}: {'; '.join(named)}."]
    return "\n".join(lines)


def collect(work: Path) -> pd.DataFrame:
    """Return :func:`compare` of what is in the working folder, with machine and day of its measurement."""
    sets = [(way, drawn(work, way, missing=False)) for way in WAYS]
    found = compare(simulated_judge(work), hospital_records(work, "a"), sets)
    every = [kept for _, kept in sets]
    machines = " and ".join(sorted({kept.machine for kept in every}))
    day, load = max(kept.date for kept in every), max(kept.load for kept in every)
    return found.assign(machine=machines, date=day, load=load, trained=TRAINING)


def main() -> None:
    args = learning_parser(__doc__).parse_args()
    torch.set_num_threads(1)
    if not (args.render or args.collect):
        for way in WAYS:
            drawn(args.work, way)
    publish(args, CSV, DOCS / "performance.md", collect, render)


if __name__ == "__main__":
    main()
