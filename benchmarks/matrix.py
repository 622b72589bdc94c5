"""Cost of a configuration's experiment matrix: jobs, trainings, and hours at the throughput of this machine.

    python benchmarks/matrix.py                       # configs/paper_extended.yaml: docs/data/, docs/statistics.md
    python benchmarks/matrix.py configs/matrix.yaml   # another configuration: only prints
    python benchmarks/matrix.py --render              # writes the section of docs/statistics.md again

Makes a dry run, counts the trainings of each classification job, and times a training step and a validation pass of
each classifier and the tables' work on one cell. Published numbers of records are used; ``--records`` replaces them.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from measuring import DATA, DOCS, ROOT, parser, write_section

from ecgpipe.classify.training import build
from ecgpipe.config import AnyClassifier, Config, load
from ecgpipe.config.derived import record_length
from ecgpipe.dataset import SignalSpec
from ecgpipe.tables.cells import Cell
from ecgpipe.tables.classification import metrics_of, summary_table
from ecgpipe.tables.draws import Draws
from ecgpipe.workflow.study import Study

EXTENDED, CSV = ROOT / "configs" / "paper_extended.yaml", DATA / "matrix.csv"
DOCUMENT = DOCS / "statistics.md"
PUBLISHED = {"ptbxl": (16_504, 2_063), "chapman": (36_042, 4_505), "merged": (52_546, 6_568)}
"""Training and validation records: 80 % and 10 % of the 20,629 and 45,053 records with a study rhythm."""


def seconds_a_record(config: Config, settings: AnyClassifier, device: torch.device) -> tuple[float, float]:
    """Time a training step and a pass without gradients, in seconds per record."""
    spec = SignalSpec(config.signal.rate, record_length(config.signal), tuple("ABCDEFG"))
    model = build(spec, settings, 0).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    x = torch.randn(settings.batch, spec.length, 12, device=device).transpose(1, 2)
    y = torch.randint(7, (settings.batch,), device=device)

    def step() -> None:
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()

    def look() -> None:
        with torch.no_grad():
            model(x)

    found = []
    for what in (step, look):
        what()
        started = time.process_time() if device.type == "cpu" else time.perf_counter()
        for _ in range(10):
            what()
        if device.type == "cuda":
            torch.cuda.synchronize()
        ended = time.process_time() if device.type == "cpu" else time.perf_counter()
        found.append((ended - started) / 10 / settings.batch)
    return found[0], found[1]


def table_seconds(config: Config, records: int) -> float:
    """Return the CPU seconds that the tables take for one cell: metrics of each repetition, bootstrap, intervals."""
    seeds, classes, rng = 2, tuple("ABCDEFG"), np.random.default_rng(0)
    names = np.arange(records).astype(str)
    labels, scores = rng.integers(7, size=records), rng.dirichlet(np.ones(7), (seeds, records)).astype(np.float32)
    cell = Cell("d", "TrRTeR", "none", 1.0, "none", "d", classes, tuple(range(seeds)), names, names, labels, scores)
    draws = Draws(config.statistics.bootstrap, 0)
    started = time.process_time()
    metrics = metrics_of([cell])
    draws.of(cell)
    shared = time.process_time()
    summary_table(metrics, [cell], draws, config.statistics.confidence)
    return (shared - started) * len(config.experiments.seeds) / seeds + time.process_time() - shared


def tested_cells(study: Study, dataset: str, table: pd.DataFrame) -> int:
    """Count the cells of the tables: a cell is the trainings of all seeds, tested on one set of records."""
    crossed = len(study.crossed(dataset))
    tests = table["experiment"].map({"real": 1 + crossed, "cross": 2, "on another set": 0}).fillna(1)
    on_synthetic = len({"TrSTeS", "TrRTeS"} & set(study.config.experiments.settings))
    return int(tests.sum()) + on_synthetic * len(study.sources)


def trainings(config: Config, study: Study, dataset: str, sizes: dict[str, int]) -> pd.DataFrame:
    """List the trainings of a dataset's classifier: experiment, training records (from ``sizes``), trainings."""
    experiments, rows, records = config.experiments, [], sizes[dataset]
    seeds, synthetic = len(experiments.seeds), round(0.8 * config.samples.number)
    for fraction in study.real_fractions:
        rows.append(("real", fraction * records, seeds))
    rows += [("baselines", f * records, seeds) for f in experiments.fractions for _ in experiments.baselines]
    for source in study.sources:
        added = (
            synthetic * (len(config.generators) if source == "all" else 1) * len(study.members(dataset) or [dataset])
        )
        if study.synthetic_settings:
            rows.append(("augmentation", added, seeds))
        for fraction in experiments.fractions if "TrRSTeR" in study.synthetic_settings else []:
            for ratio in experiments.ratios:
                wanted = {"all": added, "balance": added / 2}.get(ratio) or float(ratio) * fraction * records
                if wanted < added or ratio == "all":
                    rows.append(("augmentation", fraction * records + wanted, seeds))
            rows += [("cross", fraction * records + added, seeds) for _ in study.crossed(dataset)]
    for fraction in experiments.transfer.fractions:
        for _ in range(len(study.sources) + len(study.real_pretraining_sets(dataset))):
            rows += [(method, fraction * records, seeds) for method in experiments.transfer.methods]
    for other in study.real_pretraining_sets(dataset):
        if study.pretrained_on(other, dataset) != f"{other}/real":
            rows.append(("on another set", max(study.real_fractions) * sizes[other], seeds))
    return pd.DataFrame(rows, columns=["experiment", "records", "trainings"])


def training_hours(
    table: pd.DataFrame, settings: AnyClassifier, step: float, look: float, validation: int, epochs: int
) -> pd.Series:
    """Return the hours of trainings.

    Args:
        table: of :func:`trainings`.
        settings: of the classifier.
        step: seconds per record of a training step.
        look: seconds per record of a pass without gradients.
        validation: validation records.
        epochs: until the early stop, where no number of steps is given.
    """
    learnt = settings.steps * settings.batch if settings.steps else table["records"] * epochs
    looks = 10 if settings.steps else epochs
    hours = table["trainings"] * (learnt * step + looks * validation * look) / 3600
    on_features = table["experiment"].isin(["frozen", "probe"])  # the convolutions run once
    return hours.where(~on_features, table["trainings"] * (table["records"] + validation) * look / 3600)


def render(table: pd.DataFrame) -> str:
    """Return the section of docs/statistics.md: the total cost, and the experiment that takes most of it."""
    judging, one = table["experiment"] == "tables", table.iloc[0]
    hours = table[~judging].groupby("experiment")["hours"].sum()
    device = "core" if one["device"] == "cpu" else one["device"]
    return (
        f"`{one['config']}` has {one['jobs']} jobs and {table['trainings'].sum():,} trainings of classifiers. The "
        f"trainings take about {hours.sum():,.0f} hours on one {device} of the machine it was measured on, assuming "
        f"that a training stops early after {one['epochs']} epochs where no number of steps is given. "
        f"{hours.max() / hours.sum():.0%} of that is {hours.idxmax()}. The tables take another "
        f"{table.loc[judging, 'hours'].sum():.1f} hours on one core (rows `tables`), nearly all of it for the "
        "bootstrap. They hold one dataset's predictions in memory at a time."
    )


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("config", type=Path, nargs="?", default=EXTENDED)
    arguments.add_argument("--device", default="cpu")
    arguments.add_argument(
        "--epochs", type=int, default=40, help="epochs until the early stop, where no steps are given"
    )
    arguments.add_argument(
        "--records", type=int, nargs="*", default=[], help="number of training records of each dataset"
    )
    args = arguments.parse_args()
    if args.render:
        write_section(DOCUMENT, "matrix", render(pd.read_csv(CSV)))
        return
    torch.set_num_threads(1)
    config = load(args.config)
    study = Study(config, Path("workflow_scripts"))
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--configfile", str(args.config), "--cores", "1"]
    said = subprocess.run(command, check=True, text=True, capture_output=True)
    found = re.search(r"^total +(\d+)$", said.stdout + said.stderr, re.MULTILINE)
    jobs = int(found[1]) if found else 0
    device, tables = torch.device(args.device), []
    if args.records:
        sizes = {name: (number, number // 8) for name, number in zip(config.datasets, args.records, strict=True)}
    else:
        sizes = {name: PUBLISHED.get(name, (0, 0)) for name in config.datasets}
    for dataset, (_, validation) in sizes.items():
        settings = config.classifiers[config.dataset_settings[dataset].classifier]
        step, look = seconds_a_record(config, settings, device)
        table = trainings(config, study, dataset, {name: size[0] for name, size in sizes.items()})
        table = table.assign(dataset=dataset)
        table["hours"] = training_hours(table, settings, step, look, validation, args.epochs)
        table["milliseconds_a_record"] = round(1000 * step, 3)
        judged = tested_cells(study, dataset, table) * table_seconds(config, validation) / 3600
        judging = {"experiment": "tables", "trainings": 0, "dataset": dataset, "hours": judged}
        tables += [table, pd.DataFrame([judging])]
    keys = ["dataset", "experiment"]
    result = (
        pd.concat(tables)
        .groupby(keys, sort=False)
        .agg(
            trainings=("trainings", "sum"),
            hours=("hours", "sum"),
            milliseconds_a_record=("milliseconds_a_record", "first"),
        )
    )
    result = result.reset_index().assign(config=args.config.name, device=args.device, jobs=jobs, epochs=args.epochs)
    result["hours"] = result["hours"].round(2)
    print(result.to_string(index=False))
    print(render(result))
    if args.config.resolve() == EXTENDED:
        result.to_csv(CSV, index=False)
        write_section(DOCUMENT, "matrix", render(result))


if __name__ == "__main__":
    main()
