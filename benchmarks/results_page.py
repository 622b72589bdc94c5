"""Write docs/results.md from a finished run of ``configs/ptbxl_derived.yaml``.

    export ECGPIPE_PHYSIONET=...   # a folder with the derived records of PTB-XL
    snakemake all --cores 1 --configfile configs/ptbxl_derived.yaml
    python benchmarks/results_page.py --work .    # the folder that holds results/
    python benchmarks/results_page.py --share .   # the folder of a run of configs/ptbxl_derived_share.yaml

Each of the two may be given alone; the other part of the page stays. The tables that the page is made of are kept in
docs/data/results/ and docs/data/results_share/. ``--render`` writes the page from them alone. Where the statistics have
changed since a run, ``benchmarks/judge_again.py`` makes its tables again and ``--tables FOLDER`` takes these.
"""

from __future__ import annotations

import argparse
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from measuring import DATA, DOCS, ROOT
from results_share import CONFIG as SHARE_CONFIG
from results_share import section as share_section
from results_short import SECOND, answer
from results_text import Tables, between, committed, copying, judged, of, percent, table

from ecgpipe.closeness.privacy import judged as privacy_of
from ecgpipe.config import Config, load
from ecgpipe.files import write_text
from ecgpipe.prose.wording import BASELINE_NAMES, METRIC_NAMES, bounds, listed, number, signed
from ecgpipe.vocabulary import (
    AUGMENTATION,
    BASELINES,
    BETWEEN,
    COMPARED,
    PRIMARY,
    REAL,
    SIMPLE_BASELINE,
)

CONFIG = "configs/ptbxl_derived.yaml"
FOLDER, SHARE_FOLDER = DATA / "results", DATA / "results_share"
PAGE = DOCS / "results.md"
TABLES = ("comparisons", "summary", "verdicts", "data", "closeness", "privacy", "runtime", "about")
SHARE_TABLES = ("comparisons", "summary", "data", "privacy", "runtime", "about")
COPIES = ("exact_copies", "near_copies", "near_share_signal", "membership_auc_signal")
CLOSENESS = {
    "frechet_classifier": "Fréchet distance, classifier's features",
    "class_fidelity": "read as the rhythm asked for",
}

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


def one_answer(counts: pd.Series) -> float:
    """Return macro F1 of always predicting the most frequent class of the test records."""
    present = counts[counts > 0]
    share = present.max() / present.sum()
    return float(2 * share / (1 + share) / len(present))


def by_share(tables: Tables) -> str:
    """Return the table of what each generator and baseline adds at each share."""
    comparisons = tables["comparisons"]
    rows = of(comparisons, AUGMENTATION, SIMPLE_BASELINE)
    shares = sorted(rows["fraction"].unique())
    first = rows.drop_duplicates("fraction").set_index("fraction")
    lines = [["real records", *(f"{first.loc[share, 'n_real']:.0f}" for share in shares)]]
    lines.append(["real only", *(number(first.loc[share, "reference"], 2) for share in shares)])

    def cell(row: Mapping[str, object]) -> str:
        text = f"{signed(row['difference'], 2)} {row['verdict']}"  # type: ignore[arg-type]
        if row["experiment"] == AUGMENTATION and row["best_baseline"]:
            text += f"; beside {BASELINE_NAMES[str(row['best_baseline'])]}: {row['against_best_baseline']}"
        return text

    for (_, setting, generator, ratio), mine in rows.fillna({"best_baseline": ""}).groupby(
        ["experiment", "setting", "generator", "ratio"], sort=False
    ):
        name = BASELINE_NAMES[setting] if setting in BASELINES else f"+ `{generator}`, {ratio}"
        cells = {row["fraction"]: cell(row) for row in mine.to_dict("records")}
        lines.append([name, *(cells.get(share, "–") for share in shares)])
    smallest = rows.groupby("fraction")["smallest_effect"].median()
    lines.append(
        ["smallest effect against real only, median", *(number(float(smallest[share]), 2) for share in shares)]
    )
    heads = [METRIC_NAMES[PRIMARY], *(f"{percent(share)}" for share in shares)]
    return (
        "Difference from real records only, by share of the real training records; after the semicolon the verdict of "
        "the comparison with the best simple baseline there. *All*: all synthetic records are added; *balance*: as "
        "many as each rhythm lacks. The smallest effect would have been shown with a probability of 80 % if it were "
        "the first of its family. Intervals are in [the table of all comparisons](#all-comparisons-in-macro-f1); one "
        "that leaves out zero may still be *no difference shown*, because verdicts are corrected for the number of "
        "comparisons.\n\n" + table(heads, lines)
    )


def learnt(tables: Tables) -> str:
    """Return what networks learn from real records alone, beside one answer for all."""
    summary, data = tables["summary"], tables["data"]
    tested = data[(data["split"] == "test") & (data["class"] != "all")].set_index("class")
    real = summary[(summary["setting"] == REAL) & (summary["tested"] == summary["dataset"])]
    lines = []
    for share, mine in real.groupby("fraction"):
        values = {(row["class"], row["metric"]): row for row in mine.to_dict("records")}
        named = [between(values[COMPARED[name]]) for name in (PRIMARY, SECOND, "balanced_accuracy")]
        rhythms = [number(values[name, "f1"]["mean"], 2) for name in tested.index]
        lines.append([percent(float(share)), *named, *rhythms])  # type: ignore[arg-type]
    heads = ["share", *(METRIC_NAMES[name] for name in (PRIMARY, SECOND, "balanced_accuracy"))]
    heads += [f"F1 {name} (n = {row['records']})" for name, row in tested.iterrows()]
    return (
        "## What networks learn from the real records alone\n\nAlways answering with the most frequent rhythm has a "
        f"macro F1 of {number(one_answer(tested['records']), 2)}. For comparison: xresnet1d101 reaches a macro ROC-AUC "
        "of 0.957 on PTB-XL's twelve rhythm statements with the whole set (Strodthoff et al., arXiv 2004.13701); "
        "rhythms and test records are others, so this is a rough guide.\n\n" + table(heads, lines)
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


def render(tables: Tables, config: Config, share: Tables | None = None) -> str:
    """Return the page; ``share`` are the tables of the run whose generators know only the share, if there is one."""
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
    page += answer(tables, share) + by_share(tables)
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


def git(folder: Path, *command: str) -> str:
    """Return what a git command says in a folder."""
    return subprocess.run(["git", *command], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def judged_again(privacy: pd.DataFrame) -> pd.DataFrame:
    """Return what was found of the privacy of a run's samples, with the verdicts and reasons of the present code."""
    found = [
        rows.assign(**dict(zip(("verdict", "reason"), privacy_of(rows), strict=True)))
        for _, rows in privacy.groupby(["dataset", "generator"], sort=False)
    ]
    return pd.concat(found)


def keep(work: Path, folder: Path, names: Sequence[str], config: str, again: Path | None = None) -> None:
    """Copy what the page is made of from a run's tables.

    Args:
        work: folder of the run.
        folder: where to copy them, as CSV.
        names: of the tables.
        config: of the run, for the message.
        again: folder of the run's tables made again with the present code; None: the run's own.

    Raises:
        FileNotFoundError: if the run has not made its tables.
    """
    made = work / "results" / "tables"
    if not (made / "closeness.parquet").exists() or not (made / "comparisons.parquet").exists():
        raise FileNotFoundError(f"{made} lacks tables: run `snakemake all --configfile {config}` in {work} first")
    measured = {"closeness", "privacy"}  # judge_again.py measures nothing
    read = {
        name: pd.read_parquet((made if again is None or name in measured else again) / f"{name}.parquet")
        for name in names
        if name != "about"
    }
    if again is not None:
        read["privacy"] = judged_again(read["privacy"])
    read["summary"] = read["summary"][read["summary"]["metric"].isin(["f1", "roc_auc", "balanced_accuracy"])]
    if (closeness := read.get("closeness")) is not None:
        whole = (closeness["class"] == "all") & (closeness["lead"] == "all")
        read["closeness"] = closeness[whole & closeness["measure"].isin(CLOSENESS)]
    read["privacy"] = read["privacy"][(read["privacy"]["class"] == "all") & read["privacy"]["measure"].isin(COPIES)]

    def ended(tables: Path) -> str:
        return str(pd.read_json(tables / "tables.provenance.json", typ="series")["ended"])[:10]

    about = {"commit": git(work, "describe", "--always"), "ended": ended(made)}
    if changed := git(work, "diff", "--name-only", "HEAD"):
        about["changed"] = ", ".join(changed.split())
    if again is not None:
        judging = ("ecgpipe", "workflow_scripts")
        if git(ROOT, "status", "--porcelain", "--", *judging):
            raise ValueError("ecgpipe/ differs from its last commit: commit it, and make the tables again")
        about["judged"] = git(ROOT, "rev-parse", "--short", "HEAD")
        about["judged_on"] = ended(again)
    read["about"] = pd.DataFrame({"key": list(about), "value": list(about.values())})
    folder.mkdir(parents=True, exist_ok=True)
    for name, kept in read.items():
        kept.to_csv(folder / f"{name}.csv", index=False, float_format="%.5g")


def kept_tables(folder: Path, names: Sequence[str]) -> dict[str, pd.DataFrame]:
    """Read the tables that :func:`keep` wrote; empty texts are empty, and missing numbers NaN."""
    read = {name: pd.read_csv(folder / f"{name}.csv", keep_default_na=False, na_values=[""]) for name in names}
    for frame in read.values():
        for column in frame.columns[frame.dtypes == np.dtype(object)]:
            frame[column] = frame[column].fillna("")
    return read


def page() -> str:
    """Return the page, from the kept tables."""
    share = kept_tables(SHARE_FOLDER, SHARE_TABLES) if SHARE_FOLDER.exists() else None
    return render(kept_tables(FOLDER, TABLES), load(CONFIG), share)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--work", type=Path, help="folder of the run, with results/")
    arguments.add_argument("--share", type=Path, help="folder of the run whose generators know only the share")
    arguments.add_argument("--render", action="store_true", help="write the page from docs/data/ only")
    arguments.add_argument("--tables", type=Path, help="with one of these: its tables, made again by judge_again.py")
    args = arguments.parse_args()
    if args.tables is not None and (args.work is None) == (args.share is None):
        arguments.error("--tables needs either --work or --share")
    if args.work is None and args.share is None and not args.render:
        arguments.error("--work, --share or --render is needed")
    if args.work is not None:
        keep(args.work, FOLDER, TABLES, CONFIG, args.tables)
    if args.share is not None:
        keep(args.share, SHARE_FOLDER, SHARE_TABLES, SHARE_CONFIG, args.tables)
    write_text(PAGE, page())


if __name__ == "__main__":
    main()
