"""Write docs/results.md from a finished run of ``configs/ptbxl_derived.yaml``.

    export ECGPIPE_PHYSIONET=...   # a folder with the derived records of PTB-XL
    snakemake all --cores 1 --configfile configs/ptbxl_derived.yaml
    python benchmarks/results_page.py --work .      # the folder that holds results/
    python benchmarks/results_page.py --share .     # the folder of a run of configs/ptbxl_derived_share.yaml
    python benchmarks/results_page.py --seven .     # of configs/ptbxl_derived_seven.yaml
    python benchmarks/results_page.py --rotated .   # of configs/ptbxl_derived_rotated.yaml

Each may be given alone; the other parts of the page stay. The tables that the page is made of are kept in
docs/data/results/ and docs/data/results_{share,seven,rotated}/. ``--render`` writes the page from them alone. Where the
statistics have changed since a run, ``benchmarks/judge_again.py`` makes its tables again and ``--tables FOLDER`` takes
these.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from measuring import DATA, DOCS
from results_further import ROTATED_CONFIG, SEVEN_CONFIG, in_short, rotated, seven
from results_kept import CLOSENESS, keep, kept_tables
from results_share import CONFIG as SHARE_CONFIG
from results_share import section as share_section
from results_short import SECOND, answer
from results_tables import by_share, learnt, one_answer
from results_text import Tables, between, committed, copying, judged, of, percent, table

from ecgpipe.config import Config, load
from ecgpipe.files import write_text
from ecgpipe.prose.wording import BASELINE_NAMES, METRIC_NAMES, bounds, listed, number, signed
from ecgpipe.vocabulary import (
    AUGMENTATION,
    BETWEEN,
    PRIMARY,
)

CONFIG = "configs/ptbxl_derived.yaml"
PAGE = DOCS / "results.md"
FURTHER = ("comparisons", "summary", "data", "privacy", "runtime", "about")


@dataclass(frozen=True)
class Run:
    """A run that the page tells of: its config, where its tables are kept, and which."""

    config: str
    folder: Path
    tables: tuple[str, ...] = FURTHER

    def kept(self) -> Tables | None:
        """Return its tables, if there are any."""
        return kept_tables(self.folder, self.tables) if self.folder.exists() else None


RUNS = {
    "work": Run(CONFIG, DATA / "results", (*FURTHER, "verdicts", "closeness")),
    "share": Run(SHARE_CONFIG, DATA / "results_share"),
    "seven": Run(SEVEN_CONFIG, DATA / "results_seven", (*FURTHER, "verdicts")),
    "rotated": Run(ROTATED_CONFIG, DATA / "results_rotated"),
}
"""By the option that names the folder of the run."""

HEAD = """# Do synthetic ECGs help on {kept} real records?

`python benchmarks/results_page.py` writes this page from a run of `{config}` (commit {commit}, {hours} hours of CPU
time); do not edit it by hand.{judged}

## In short

{kept} recordings of PTB-XL with {classes}: {train} to learn from, {validation} to validate on, {test} to test on, no
patient in two of these, {rate} Hz. The rarest rhythm has {rare}.
Generators: {generators}, each trained {times}, for minutes on one core, with
**all** {train} training records. Classifiers: {classifier}; {steps} optimiser steps whatever they learn from, {seeds}
seeds, each with its own draw of the share. Numbers in this section are {primary} on the real test records,
unless another metric is named ([how it is judged](statistics.md)).

"""

ONCE = """\
* Each generator was trained once and sampled from once. Another training is another chance, which no interval covers.
"""

LIMITS = """What this does not say:

* The generators are small ones that a CPU trains in minutes. Nothing here is about generators that need a GPU.
* At every share of the real records the generator had learnt from all of them. A hospital that has only that share
  could not have trained it, so a gain at a small share may be owed to the records that the classifier was not given.
{once}* Weights are chosen with all {validation} real validation records, at every share. Where the classifier learns
  from {fewest} records, most of the labelled real ones are thus not counted in the share.
* Real records alone teach {weakest} at {smallest} of them; one answer for all has {one}. A gain there is over networks
  that have hardly learnt the rare rhythms in {steps} steps.
* Neither the simple baselines nor the number of synthetic records were tuned.
{unbalanced}* The records are derived: filtered, and scaled lead by lead. That leaves rhythms as they are, but not
  amplitudes.
* They are about a tenth of PTB-XL and no random part of it: most records with infarction or hypertrophy alone are
  missing.

"""


PAPER = """## The paper's conclusions

The paper's own words, judged on these records, with these classifiers and generators. None of its data or networks was
repeated at its size, so a verdict says whether this run agrees, not whether the paper is right. A claim about several
generators is decided by all of their comparisons together, each at the full level. It can be decided where one of them
is *no difference shown* after Holm's correction.

"""


def rarest(counts: pd.DataFrame) -> str:
    """Say how few records the rarest rhythm of the test records has in each split."""
    records = counts.pivot(index="class", columns="split", values="records")
    row = records.loc[records["test"].idxmin()]
    return f"{row['train']} training, {row['validation']} validation and {row['test']} test records"


def unbalanced(augmented: pd.DataFrame) -> str:
    """Say at which shares there were too few synthetic records to balance the rhythms."""
    short = augmented[augmented["note"].astype(str).str.contains("too few synthetic records")]
    if short.empty:
        return ""
    shares = listed([percent(share) for share in sorted(short["fraction"].unique())])
    return (
        f"* *Balance* does not balance the rhythms at {shares}: there are too few synthetic records of the rare ones.\n"
    )


def samples_are(tables: Tables) -> str:
    """Return how close the samples come to held-out real records."""
    measured = tables["closeness"]
    heads = ["records"]
    for name in CLOSENESS.values():
        heads += [name, "real records in their place"]
    lines = []
    for (_, generator), mine in measured.groupby(["dataset", "generator"], sort=False):
        rows = {row["measure"]: row for row in mine.to_dict("records")}
        cells = [
            text
            for name in CLOSENESS
            for text in (
                (between(rows[name], "value"), between(rows[name], "floor", "floor_low", "floor_high"))
                if name in rows
                else ("–", "–")
            )
        ]
        lines.append([str(generator), *cells])
    return (
        "## What the samples are like\n\nOver all rhythms, mixed as in the held-out real records "
        "([closeness](closeness.md)). Both measures use the classifier that was fitted to the training records, so "
        "the real records in the samples' place are one half of the held-out ones, beside the other half. Intervals "
        "cover the choice of patients, not another training of the generator or of that classifier. Controls are "
        "records with a known fault, or copies; they show what each measure notices.\n\n"
        + table(heads, lines)
        + "Are they copies of training records?\n\n"
        + copying(tables["privacy"])
    )


def compared(rows: pd.DataFrame) -> str:
    """Return a table of comparisons."""
    lines = [
        [
            str(row["experiment"]),
            BASELINE_NAMES.get(row["setting"], f"{row['generator']}"),
            "–" if row["ratio"] == "none" else str(row["ratio"]),
            percent(row["fraction"]),
            BASELINE_NAMES.get(row["against"], str(row["against"])),
            f"{number(row['reference'], 2)} → {number(row['value'], 2)}",
            f"{signed(row['difference'], 3)} {bounds(row['low'], row['high'])}",
            number(row["p_holm"], 3),
            number(row["smallest_effect"], 2),
            str(row["verdict"]),
        ]
        for row in rows.to_dict("records")
    ]
    heads = ["experiment", "network", "ratio", "share", "against", "from → to", "difference", "p (Holm)"]
    return table([*heads, "smallest effect", "verdict"], lines)


def render(tables: Tables, config: Config, further: Mapping[str, Tables]) -> str:
    """Return the page; ``further`` are the tables of the other runs, by name, as far as there are any."""
    share = further.get("share")
    about = tables["about"].set_index("key")["value"]
    data, comparisons = tables["data"], tables["comparisons"]
    whole = data[(data["class"] == "all")].set_index("split")["records"]
    counts = data[(data["class"] != "all") & (data["split"] != "all")]
    [classifier] = config.classifiers.values()
    described = classifier.model_dump(exclude_unset=True, exclude={"steps"})
    page = HEAD.format(
        config=CONFIG,
        commit=committed(about),
        judged=judged(about),
        rare=rarest(counts),
        hours=f"{tables['runtime']['cpu_seconds'].sum() / 3600:.1f}",
        kept=f"{whole['all']:,}",
        classes=listed(list(counts["class"].unique())),
        **{split: f"{whole[split]:,}" for split in ("train", "validation", "test")},
        rate=config.signal.rate,
        generators=listed([f"`{name}`" for name in config.generators]),
        classifier=", ".join(f"{key} {value}" for key, value in described.items()),
        steps=classifier.steps,
        seeds=len(config.experiments.seeds),
        primary=METRIC_NAMES[PRIMARY],
        times="once" if (repetitions := config.experiments.generator_repetitions) == 1 else f"{repetitions} times",
    )
    first = of(comparisons, AUGMENTATION).sort_values("fraction").iloc[0]
    page += answer(tables, share, in_short(further)) + by_share(
        tables, "[the table of all comparisons](#all-comparisons-in-macro-f1)"
    )
    page += LIMITS.format(
        once=ONCE if repetitions == 1 else "",
        unbalanced=unbalanced(of(comparisons, AUGMENTATION)),
        validation=f"{whole['validation']:,}",
        fewest=f"{first['n_real']:.0f}",
        smallest=percent(first["fraction"]),
        weakest=f"{METRIC_NAMES[PRIMARY]} {number(first['reference'], 2)}",
        one=number(one_answer(counts[counts["split"] == "test"]["records"]), 2),
        steps=classifier.steps,
    )
    if share is not None:
        page += share_section(share, tables, load(SHARE_CONFIG))
    if "seven" in further:
        page += seven(further["seven"], tables, load(SEVEN_CONFIG))
    if "rotated" in further:
        page += rotated(further["rotated"], tables, load(ROTATED_CONFIG))
    page += PAPER
    claims = [
        [str(r["conclusion"]), r["claim"], r["verdict"], r["evidence"]] for r in tables["verdicts"].to_dict("records")
    ]
    page += table(["", "arXiv 2411.18456", "this run", "evidence"], claims)
    page += "## Records by rhythm\n\n"
    splits = ["train", "validation", "test"]
    by_class = counts.pivot(index="class", columns="split", values=["records", "patients"])
    heads = ["rhythm", *splits, "test patients"]
    lines = [
        [str(name), *(str(row["records", split]) for split in splits), str(row["patients", "test"])]
        for name, row in by_class.iterrows()
    ]
    page += table(heads, lines) + learnt(tables) + samples_are(tables)
    for metric in (PRIMARY, SECOND):
        chosen = comparisons[comparisons["metric"] == metric]
        chosen = chosen[chosen["experiment"] != BETWEEN] if metric == SECOND else chosen
        page += f"## All comparisons in {METRIC_NAMES[metric]}\n\n"
        if metric == PRIMARY:
            families = chosen.groupby("experiment").ngroups
            page += (
                f"Holm's correction holds within each of {families} experiments. All five metrics are in "
                "[comparisons.csv](data/results/comparisons.csv).\n\n"
            )
        page += compared(chosen)
    by_stage = tables["runtime"].groupby("stage", sort=False)[["seconds", "cpu_seconds"]].sum()
    lines = [[str(stage), *(f"{value:.0f}" for value in row)] for stage, row in by_stage.iterrows()]
    page += f"## What it took\n\nRun on {about['ended']}.\n\n" + table(["stage", "seconds", "CPU seconds"], lines)
    return page.replace("data set", "dataset").rstrip() + "\n"  # claims of a run as they were worded then


def page() -> str:
    """Return the page, from the kept tables."""
    kept = {name: tables for name, run in RUNS.items() if (tables := run.kept()) is not None}
    return render(kept.pop("work"), load(CONFIG), kept)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, run in RUNS.items():
        arguments.add_argument(f"--{name}", type=Path, help=f"folder of the run of {run.config}, with results/")
    arguments.add_argument("--render", action="store_true", help="write the page from docs/data/ only")
    arguments.add_argument("--tables", type=Path, help="with one of these: its tables, made again by judge_again.py")
    args = arguments.parse_args()
    given = {name: folder for name in RUNS if (folder := getattr(args, name)) is not None}
    options = ", ".join(f"--{name}" for name in RUNS)
    if args.tables is not None and len(given) != 1:
        arguments.error(f"--tables needs one of {options}")
    if not given and not args.render:
        arguments.error(f"one of {options} or --render is needed")
    for name, folder in given.items():
        keep(folder, RUNS[name].folder, RUNS[name].tables, RUNS[name].config, args.tables)
    write_text(PAGE, page())


if __name__ == "__main__":
    main()
