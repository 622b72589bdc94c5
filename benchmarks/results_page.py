"""Write docs/results.md: the experiment matrix on the true records at hand, at a small scale.

Runs ``configs/physionet_matrix.yaml`` (what is there already is kept) and turns its tables into the page. Run it from the
repository's root, ECGPIPE_PHYSIONET naming a mirror or folder of PhysioNet's files: ``python benchmarks/results_page.py``.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd

from ecgpipe.files import write_text
from ecgpipe.tables.comparisons import PRIMARY
from ecgpipe.tables.wording import METRIC_NAMES, bounds, number, signed

CONFIG = "configs/physionet_matrix.yaml"

HEAD = """# The experiment matrix on true records, at a small scale

Written by `python benchmarks/results_page.py` from the tables of a run of `{config}`; not by hand. {records} The networks
are trained for {steps} steps with {seeds} seeds, and the generator is the control, class means and their principal
components, so **this page shows what the software concludes from little, not how good generators are**. How often verdicts like these are wrong:
[statistics](statistics.md).

"""


def table(heads: list[str], rows: list[list[str]]) -> str:
    """Write a Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines) + "\n"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--work", type=Path, default=Path("results_matrix"), help="folder of the run")
    arguments.add_argument("--out", type=Path, default=Path("docs/results.md"))
    arguments.add_argument("--cores", default="all")
    args = arguments.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    command = ["snakemake", "all", "--cores", args.cores, "--configfile", CONFIG, "--directory", str(args.work)]
    subprocess.run(
        [sys.executable, "-m", *command], check=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    )
    tables = args.work / "results" / "tables"
    read = {path.stem: pd.read_parquet(path) for path in tables.glob("*.parquet")}
    data, comparisons, training = read["data"], read["comparisons"], read["training"]
    tested = data[(data["class"] != "all") & (data["split"] != "all")]
    kept = data[(data["class"] == "all") & (data["split"] == "all")].set_index("dataset")["records"]
    steps, seeds = int(training["steps"].max()), training["seed"].nunique()
    said = ", ".join(f"{name} {count}" for name, count in kept.items())
    page = HEAD.format(config=CONFIG, records=f"Records kept: {said}.", steps=steps, seeds=seeds)

    page += "## The paper's conclusions\n\n"
    rows = [
        [str(r["conclusion"]), r["claim"], r["verdict"], r["evidence"]] for r in read["verdicts"].to_dict("records")
    ]
    page += table(["", "arXiv 2411.18456", "this run", "evidence"], rows)

    page += "## Records by rhythm\n\n"
    counts = tested.pivot(index=["dataset", "class"], columns="split", values="records")
    rows = [
        [dataset, label, *(str(row[split]) for split in ("train", "validation", "test"))]
        for (dataset, label), row in counts.iterrows()
    ]
    page += table(["data set", "rhythm", "train", "validation", "test"], rows)

    page += f"## Every comparison in {METRIC_NAMES[PRIMARY]}\n\n"
    page += "Smallest effect: the difference that would have been shown with a probability of 80 %.\n\n"
    columns = ["dataset", "experiment", "setting", "generator", "ratio", "tested", "fraction", "against"]
    primary = comparisons[comparisons["metric"] == PRIMARY]
    rows = [
        [
            *(f"{row[name]:g}" if name == "fraction" else str(row[name]) for name in columns),
            f"{number(row['reference'], 2)} → {number(row['value'], 2)}",
            f"{signed(row['difference'], 2)} {bounds(row['low'], row['high'])}",
            number(row["p_holm"], 3),
            number(row["smallest_effect"], 2),
            f"{row['verdict']}{', ' + row['note'] if row['note'] else ''}",
        ]
        for row in primary.to_dict("records")
    ]
    heads = [*columns, "from → to", "difference", "p (Holm)", "smallest effect", "verdict"]
    page += table(heads, rows)

    page += "## How often each verdict was given\n\n"
    given = comparisons.groupby(["metric", "experiment", "verdict"]).size().unstack(fill_value=0)
    rows = [[METRIC_NAMES[metric], experiment, *map(str, row)] for (metric, experiment), row in given.iterrows()]
    page += table(["metric", "experiment", *given.columns], rows)

    runtime = read["runtime"]
    by_stage = runtime.groupby("stage", sort=False)[["seconds", "cpu_seconds"]].sum()
    rows = [[stage, f"{row['seconds']:.0f}", f"{row['cpu_seconds']:.0f}"] for stage, row in by_stage.iterrows()]
    page += f"## What it took\n\n{len(training)} trainings.\n\n" + table(["stage", "seconds", "CPU seconds"], rows)
    write_text(args.out, page.rstrip() + "\n")


if __name__ == "__main__":
    main()
