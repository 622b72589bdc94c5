"""How much is a configuration's matrix? Jobs, trainings, and hours from the throughput measured here.

    python benchmarks/matrix.py                       # of configs/paper.yaml: docs/data/matrix.csv, docs/statistics.md
    python benchmarks/matrix.py configs/matrix.yaml   # of another configuration: prints only
    python benchmarks/matrix.py --render              # writes docs/statistics.md again

Makes a dry run, counts the trainings each classification job would do, times a training step and a validation pass of
each classifier on this machine, and what a cell costs the tables. Numbers of records of data sets that are not there are
the published ones.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from measuring import ROOT, write_section

from ecgpipe.classify.training import build
from ecgpipe.config import AnyClassifier, Config, load
from ecgpipe.config.derived import record_length
from ecgpipe.dataset import SignalSpec
from ecgpipe.tables.cells import Cell
from ecgpipe.tables.classification import metrics_of, summary_table
from ecgpipe.tables.draws import Draws
from ecgpipe.workflow.study import Study

PAPER, CSV = ROOT / "configs" / "paper.yaml", ROOT / "docs" / "data" / "matrix.csv"
DOCUMENT = ROOT / "docs" / "statistics.md"
PUBLISHED = {"ptbxl": (16_504, 2_063), "chapman": (36_042, 4_505), "merged": (52_546, 6_568)}
"""Training and validation records: 80 % and 10 % of those with a study rhythm (study facts: 20,629 and 45,053)."""


def seconds_a_record(config: Config, settings: AnyClassifier, device: torch.device) -> tuple[float, float]:
    """Time a training step and a pass without gradients, per record."""
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
    """Time what the tables compute for one cell: metrics of each repetition, bootstrap, intervals; in CPU seconds."""
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
    """Count the cells that the tables judge: trainings of one set of seeds, for each set of records they are tested on."""
    crossed = len(study.crossed(dataset))
    tests = table["experiment"].map({"real": 1 + crossed, "cross": 2, "on another set": 0}).fillna(1)
    on_synthetic = len({"TrSTeS", "TrRTeS"} & set(study.config.experiments.settings))
    return int(tests.sum()) + on_synthetic * len(study.sources)


def trainings(config: Config, study: Study, dataset: str, sizes: dict[str, int]) -> pd.DataFrame:
    """List trainings of a dataset's classifier: experiment, records learnt from (of ``sizes``), how many such trainings."""
    experiments, rows, records = config.experiments, [], sizes[dataset]
    seeds, synthetic = len(experiments.seeds), round(0.8 * config.samples.number)
    for fraction in study.real_fractions:
        rows.append(("real", fraction * records, seeds))
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
        for _ in range(len(study.sources) + len(study.yardsticks(dataset))):
            rows += [(method, fraction * records, seeds) for method in experiments.transfer.methods]
    for other in study.yardsticks(dataset):
        if study.pretrained_on(other, dataset) != f"{other}/real":
            rows.append(("on another set", max(study.real_fractions) * sizes[other], seeds))
    return pd.DataFrame(rows, columns=["experiment", "records", "trainings"])


def render(table: pd.DataFrame) -> str:
    """Say how much it is in all, and which experiment takes most of it."""
    judging, one = table["experiment"] == "tables", table.iloc[0]
    hours = table[~judging].groupby("experiment")["hours"].sum()
    return (
        f"`{one['config']}`: {one['jobs']} jobs, {table['trainings'].sum():,} trainings, about {hours.sum():,.0f} hours of them on one {'core' if one['device'] == 'cpu' else one['device']} "
        f"of the machine it was measured on, assuming {one['epochs']} epochs until the early stop where steps are not given. "
        f"{hours.max() / hours.sum():.0%} of that is {hours.idxmax()}. "
        f"The tables take one core {table.loc[judging, 'hours'].sum():.1f} hours more (rows `tables`), nearly all of it the bootstrap; they hold one data set's "
        "predictions in memory at a time."
    )


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("config", type=Path, nargs="?", default=PAPER)
    arguments.add_argument("--device", default="cpu")
    arguments.add_argument(
        "--epochs", type=int, default=40, help="epochs until the early stop, where none are budgeted"
    )
    arguments.add_argument("--records", type=int, nargs="*", default=[], help="training records, dataset by dataset")
    arguments.add_argument("--render", action="store_true", help="write the document from the last run")
    args = arguments.parse_args()
    if args.render:
        write_section(DOCUMENT, "matrix", render(pd.read_csv(CSV)))
        return
    torch.set_num_threads(1)
    config = load(args.config)
    study = Study(config, Path("workflow_scripts"))
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "--dry-run",
        "--configfile",
        str(args.config),
        "--cores",
        "1",
    ]
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
        learnt = settings.steps * settings.batch if settings.steps else table["records"] * args.epochs
        looks = 10 if settings.steps else args.epochs
        hours = table["trainings"] * (learnt * step + looks * validation * look) / 3600
        on_features = table["experiment"].isin(["frozen", "probe"])  # convolutions are run once
        table["hours"] = hours.where(~on_features, table["trainings"] * (table["records"] + validation) * look / 3600)
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
    if args.config.resolve() == PAPER:
        result.to_csv(CSV, index=False)
        write_section(DOCUMENT, "matrix", render(result))


if __name__ == "__main__":
    main()
