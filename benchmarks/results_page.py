"""Write docs/results.md: the experiment matrix on the real records at hand, at a small scale.

    export ECGPIPE_PHYSIONET=...         # a mirror or folder of PhysioNet's files
    python benchmarks/results_page.py    # from the repository's root

Runs ``configs/physionet_matrix.yaml`` up to its tables and writes them to the page and to docs/data/results.csv.
Finished jobs in the folder ``--work`` are kept, so a second run only writes the page again.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
from measuring import DATA, DOCS, markdown_table

from ecgpipe.config import load
from ecgpipe.files import write_text
from ecgpipe.prose.wording import METRIC_NAMES, bounds, listed, number, signed
from ecgpipe.tables.comparisons import main_ratio
from ecgpipe.vocabulary import ALL_SYNTHETIC, HARMS, HELPS, PRIMARY, REAL

CONFIG = "configs/physionet_matrix.yaml"
CSV = DATA / "results.csv"

HEAD = """# The experiment matrix on real records, at a small scale

`python benchmarks/results_page.py` writes this page from the tables of a run of `{config}`; do not edit it by hand.

{records} Signals have {rate} Hz. Classifiers are small ({classifier}) and are trained for at most {steps} steps with
{seeds} seeds. [`benchmarks/classifier_settings.py`](data/classifier_settings.csv), which reads no test record, chose
the network and its settings. Generators: {generators}; {number} samples of each.
Each generator was trained once and sampled from once, so a finding is about these synthetic records.

**This page shows what can and cannot be concluded from few records, not how good the generators are.** Shares and
ratios keep at least one record of each rhythm, so small ones hold more records than their name says; the tables give
the numbers. This run has no shares below {least_share:g} and no ratios other than {ratios}; `configs/matrix.yaml`
runs these on simulated records. How often such verdicts are wrong is in [statistics](statistics.md).

"""


OLDER_RULE = """\
*The verdicts, intervals and p-values on this page are by the older rule: macro averages over all rhythms, however few
their test patients, as many degrees of freedom as patients, and claims decided by p-values that Holm's correction made
larger for every comparison beside them. [Statistics](statistics.md) says what the rule is now. By it no comparison of a
macro average here can tell anything: only SR has ten test patients, and in chapman no rhythm has.*

"""


def table(heads: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table and an empty line."""
    return markdown_table(heads, rows) + "\n"


def one_answer(counts: pd.Series) -> tuple[float, float]:
    """Return macro F1 and balanced accuracy of always predicting the most frequent class of the test records."""
    present = counts[counts > 0]
    share = present.max() / present.sum()
    return 2 * share / (1 + share) / len(present), 1 / len(present)


def between(value: float, low: float, high: float) -> str:
    """Format a value with its interval."""
    return number(value, 2) + (f" [{number(low, 2)}, {number(high, 2)}]" if pd.notna(low) else "")


def described(generator: str, train: dict[str, object]) -> str:
    """Return a generator's name and its settings that differ from the defaults."""
    flat = pd.json_normalize(train).to_dict("records")
    settings = [f"`{key}` {value}" for key, value in flat[0].items()] if train else []
    return f"`{generator}`" + (f" ({', '.join(settings)})" if settings else "")


def learnt(summary: pd.DataFrame, tested: pd.DataFrame) -> str:
    """Compare networks trained on real records only with always predicting the most frequent class."""
    real = summary[(summary["setting"] == REAL) & (summary["tested"] == summary["dataset"])]
    f1 = real[(real["class"] == "macro") & (real["metric"] == "f1")]
    balanced = real[real["metric"] == "balanced_accuracy"].set_index(["dataset", "fraction"])["mean"]
    rows, worths = [], []
    for row in f1.to_dict("records"):
        counts = tested[(tested["dataset"] == row["dataset"]) & (tested["split"] == "test")]["records"]
        f1_of_one, balanced_of_one = one_answer(counts)
        worths.append(f1_of_one)
        rows.append(
            [
                row["dataset"],
                f"{row['fraction']:g}",
                between(row["mean"], row["low"], row["high"]),
                number(f1_of_one, 2),
                number(balanced[row["dataset"], row["fraction"]], 2),
                number(balanced_of_one, 2),
            ]
        )
    heads = ["dataset", "share of real records", "macro F1", "one answer", "balanced accuracy", "one answer"]
    below = sum(row["mean"] < worth + 0.005 for row, worth in zip(f1.to_dict("records"), worths, strict=True))
    text = (
        "## What networks learn from the real records alone\n\n*One answer*: always predicting the most frequent "
        "rhythm.\n\n" + table(heads, rows)
    )
    if below:
        text += (
            f"In {below} of {len(rows)} rows the mean macro F1 is not above that of one answer, because there are too "
            "few records of the rare rhythms. Any gain is therefore a gain over networks of little use. Synthetic "
            "sets have equally many records of each rhythm, and any other way to balance the classes might help as "
            "much. A `helps` below, and the conclusions above that rest on it, show a difference on these records "
            "only; they do not carry over to larger datasets.\n\n"
        )
    return text


def samples_are(folder: Path) -> str:
    """Return how close the samples come to held-out real records, from the tables of the closeness jobs."""
    names = {
        "frechet_classifier": "Fréchet distance, classifier's features",
        "class_fidelity": "read as the rhythm asked for",
    }
    measured = pd.concat([pd.read_parquet(path) for path in sorted(folder.glob("*/*/closeness.parquet"))])
    overall = measured[(measured["class"] == "all") & (measured["lead"] == "all") & measured["measure"].isin(names)]
    rows = []
    for (dataset, generator), mine in overall.groupby(["dataset", "generator"], sort=False):
        by_measure = mine.set_index("measure")
        rows.append([dataset, generator])
        for name in names:
            row = by_measure.loc[name]
            rows[-1] += [
                between(row["value"], row["low"], row["high"]),
                between(row["floor"], row["floor_low"], row["floor_high"]),
                str(row["n"]),
            ]
    heads = ["dataset", "generator"]
    for name in names.values():
        heads += [name, "real records", "records"]
    return (
        "## What the samples are like\n\nThe samples are compared with held-out real records, with as many samples "
        "as records and the same mix of rhythms (mostly SR, except in chapman). The networks are those trained on "
        "real records only. The columns *real records* show training records in the samples' place for the distance, "
        "and held-out records for the reading. More measures, "
        "at 100 Hz, are in [closeness](closeness.md).\n\n" + table(heads, rows)
    )


def compared(rows: pd.DataFrame) -> str:
    """Return a table of comparisons."""
    columns = ["dataset", "experiment", "setting", "generator", "ratio", "tested", "fraction", "against"]
    lines = [
        [
            *(f"{row[name]:g}" if name == "fraction" else str(row[name]) for name in columns),
            f"{number(row['reference'], 2)} → {number(row['value'], 2)}",
            f"{row['n_real']:.0f} + {row['n_synthetic']:.0f}",
            f"{signed(row['difference'], 2)} {bounds(row['low'], row['high'])}",
            number(row["p_holm"], 3),
            number(row["smallest_effect"], 2),
            row["verdict"],
        ]
        for row in rows.to_dict("records")
    ]
    heads = [*columns, "from → to", "records, real + synthetic", "difference", "p (Holm)", "smallest effect", "verdict"]
    return table(heads, lines) if lines else "None.\n\n"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--work", type=Path, default=Path("results_matrix"), help="folder of the run")
    arguments.add_argument("--out", type=Path, default=DOCS / "results.md")
    arguments.add_argument("--cores", default="all")
    args = arguments.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    target = "results/tables/comparisons.parquet"
    command = ["snakemake", target, "--cores", args.cores, "--configfile", CONFIG, "--directory", str(args.work)]
    subprocess.run(
        [sys.executable, "-m", *command], check=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    )
    config = load(CONFIG)
    tables = args.work / "results" / "tables"
    read = {path.stem: pd.read_parquet(path) for path in tables.glob("*.parquet")}
    data, comparisons, training = read["data"], read["comparisons"], read["training"]
    tested = data[(data["class"] != "all") & (data["split"] != "all")]
    kept = data[(data["class"] == "all") & (data["split"] == "all")].set_index("dataset")["records"]
    comparisons.to_csv(CSV, index=False, float_format="%.4g")
    [classifier] = config.classifiers.values()
    page = HEAD.format(
        config=CONFIG,
        records=f"Records kept: {', '.join(f'{name} {count}' for name, count in kept.items())}.",
        rate=config.signal.rate,
        steps=int(training["steps"].max()),
        seeds=training["seed"].nunique(),
        classifier=", ".join(f"{key} {value}" for key, value in classifier.model_dump(exclude_unset=True).items()),
        generators=listed([described(name, config.generator(name).train) for name in config.generators]),
        least_share=min(config.experiments.fractions),
        ratios=listed([f"`{ratio}`" for ratio in config.experiments.ratios]),
        number=config.samples.number,
    )

    page += "## The paper's conclusions\n\n"
    if "left_out" not in comparisons:  # tables of a run before the rule changed
        page += OLDER_RULE
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
    page += table(["dataset", "rhythm", "train", "validation", "test"], rows)
    page += learnt(read["summary"], tested)

    page += samples_are(args.work / "results" / "closeness")

    primary = comparisons[comparisons["metric"] == PRIMARY]
    shown = primary["verdict"].isin([HELPS, HARMS])
    families = primary.groupby(["dataset", "experiment"]).ngroups
    page += f"## Differences shown in {METRIC_NAMES[PRIMARY]}\n\n"
    page += (
        f"{shown.sum()} of {len(primary)} comparisons show a difference. They form {families} families (an experiment "
        "on a dataset). Within each, Holm's correction holds the level of 5 %, to the extent that small p-values "
        "are right ([see there](statistics.md#how-often-the-verdicts-are-wrong)). The smallest effect is the "
        "difference that would have been shown with a probability of 80 %, – where that is more than 1. All "
        "comparisons in all metrics are in [results.csv](data/results.csv).\n\n"
    )
    page += compared(primary[shown])

    page += f"## All comparisons at the full share in {METRIC_NAMES[PRIMARY]}\n\n"
    page += f"Ratio `{ALL_SYNTHETIC}` only; the other ratios are in [results.csv](data/results.csv).\n\n"
    page += compared(main_ratio(primary[primary["fraction"] == primary["fraction"].max()]))

    page += "## How often each verdict was given\n\n"
    given = comparisons.groupby(["metric", "experiment", "verdict"]).size().unstack(fill_value=0)
    rows = [[METRIC_NAMES[metric], experiment, *map(str, row)] for (metric, experiment), row in given.iterrows()]
    page += table(["metric", "experiment", *given.columns], rows)

    runtime = read["runtime"]
    took = ["seconds", "start_up_seconds", "cpu_seconds"]
    by_stage = runtime.groupby("stage", sort=False)[took].sum()
    rows = [[stage, *(f"{row[name]:.0f}" for name in took)] for stage, row in by_stage.iterrows()]
    page += f"## What it took\n\n{len(training)} trainings.\n\n" + table(
        ["stage", "seconds", "start-up of these", "CPU seconds"], rows
    )
    write_text(args.out, page.rstrip() + "\n")


if __name__ == "__main__":
    main()
