"""What the default study reaches: how well its classifiers learn, and how often samples have the rhythm asked for.

python benchmarks/default_study.py FOLDER     # FOLDER: a checkout in which `make study` has run
python benchmarks/default_study.py --render   # writes the section of docs/generators.md again
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from measuring import DATA, DOCS, markdown_table, parser, write_section
from results_text import between

from ecgpipe.prose.findings import plural
from ecgpipe.prose.wording import BASELINE_NAMES, number
from ecgpipe.simulator.hospitals import RHYTHMS
from ecgpipe.vocabulary import AUGMENTED, BASELINES, FROZEN, HARMS, HELPS, PRIMARY, REAL, REAL_ONLY, SYNTHETIC

CSV = DATA / "default_study.csv"
CLASSIFIER, AGREEMENT, COMPARISONS = "classifier", "agreement", "comparisons"
HELD_OUT = "held-out records"
UP, DOWN = "↑", "↓"


def collect(folder: Path) -> pd.DataFrame:
    """Return the rows of a finished study: macro F1, agreement, and how the comparisons in macro F1 ended."""
    tables = folder / "results" / "tables"
    summary, closeness = (pd.read_parquet(tables / f"{name}.parquet") for name in ("summary", "closeness"))
    comparisons = pd.read_parquet(tables / "comparisons.parquet")
    chosen = summary[(summary["metric"] == "f1") & (summary["class"] == "macro")]
    names = ["dataset", "setting", "generator", "fraction", "class", "value", "low", "high", "seeds", "n"]
    learned = chosen.rename(columns={"mean": "value", "support": "n"})[names].assign(kind=CLASSIFIER)
    shown = comparisons[(comparisons["metric"] == PRIMARY) & (comparisons["against"] == REAL_ONLY)]
    shown = shown.assign(fraction=shown["fraction"].where(shown["setting"] != SYNTHETIC, 0.0))
    keys = ["dataset", "setting", "generator", "fraction"]
    learned = learned.merge(shown[[*keys, "verdict"]], how="left", on=keys, validate="one_to_one")
    fidelity = (closeness["measure"] == "class_fidelity") & ~closeness["generator"].str.startswith("control")
    read = closeness[fidelity].assign(kind=AGREEMENT, setting="")
    own = read[["kind", "dataset", "setting", "generator", "class", "value", "low", "high", "n"]]
    floor = read.drop_duplicates(["dataset", "class"]).assign(generator=HELD_OUT)
    floor = floor.drop(columns=["value", "low", "high"]).rename(
        columns={"floor": "value", "floor_low": "low", "floor_high": "high"}
    )[own.columns]
    counts = comparisons[comparisons["metric"] == PRIMARY].groupby(["experiment", "verdict"]).size()
    ended = counts.rename("value").reset_index().rename(columns={"experiment": "setting", "verdict": "class"})
    agreement = pd.concat([floor, own]).sort_values(
        "dataset", key=lambda d: d.map(list(d.unique()).index), kind="stable"
    )
    return pd.concat([learned, agreement, ended.assign(kind=COMPARISONS)], ignore_index=True)


def _marked(row: pd.Series) -> str:
    mark = {HELPS: f" {UP}", HARMS: f" {DOWN}"}.get(row["verdict"], "")
    return f"{number(row['value'], 2)}{mark}"


def render(found: pd.DataFrame) -> str:
    """Return the section."""
    learned, read = found[found["kind"] == CLASSIFIER], found[found["kind"] == AGREEMENT]
    generators = [name for name in learned["generator"].unique() if name != "none"]
    lines = []
    for (dataset, fraction), rows in learned.groupby(["dataset", "fraction"], sort=False):
        at = rows.set_index(["setting", "generator"])
        first = rows.iloc[0]
        line = [dataset, f"{100 * fraction:g} %" if fraction else "none", f"{first['n']:.0f}", f"{first['seeds']:.0f}"]
        if fraction:
            line.append(between(at.loc[REAL, "none"], "value"))
            line.append(", ".join(_marked(at.loc[name, "none"]) for name in BASELINES if name in at.index.levels[0]))
            line += [", ".join(_marked(at.loc[how, name]) for how in (AUGMENTED, FROZEN)) for name in generators]
        else:
            line += ["", "", *(_marked(at.loc[SYNTHETIC, name]) for name in generators)]
        lines.append(line)
    kept = [BASELINE_NAMES[name] for name in BASELINES if name in set(learned["setting"])]
    heads = ["dataset", "real records", "tested on", "seeds", "real records alone [95 %]", ", ".join(kept)]
    text = (
        "Macro F1 on test records, of networks that learn from a share of the real training records; with a simple"
        " baseline; with the samples added, and pre-trained on them; and, where the share is none, of networks that"
        f" learn from the samples alone. {UP} and {DOWN}: shown to be better or worse than the real records alone (than"
        " all of them, where the share is none).\n\n"
    )
    text += markdown_table([*heads, *(f"`{g}`" for g in generators)], lines)
    lines = []
    for (dataset, generator), rows in read.groupby(["dataset", "generator"], sort=False):
        rows = rows.set_index("class")
        each = [rows["value"].get(name, np.nan) for name in RHYTHMS]
        shares = " ".join("–" if pd.isna(v) else f"{100 * v:.0f}" for v in each)
        name = generator if generator == HELD_OUT else f"`{generator}`"
        lines.append([dataset, name, f"{rows.loc['all', 'n']:.0f}", between(rows.loc["all"], "value"), shares])
    heads = ["dataset", "records", "number", "agreement [95 %]", " ".join(RHYTHMS)]
    text += "\nHow often a classifier that learned from the real training records reads the rhythm asked for:\n\n"
    text += markdown_table(heads, lines)
    ended = found[found["kind"] == COMPARISONS]
    said = [
        f"{experiment}: " + ", ".join(f"{row['class']} in {row['value']:.0f}" for _, row in rows.iterrows())
        for experiment, rows in ended.groupby("setting", sort=False)
    ]
    total = int(ended["value"].sum())
    return text + f"\n{plural(total, 'comparison').capitalize()} in macro F1, by experiment: {'; '.join(said)}.\n"


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("folder", type=Path, nargs="?", help="a checkout in which `make study` has run")
    args = arguments.parse_args()
    if not args.render:
        if args.folder is None:
            arguments.error("FOLDER or --render is needed")
        collect(args.folder).to_csv(CSV, index=False, float_format="%.4g")
    write_section(DOCS / "generators.md", CSV.stem, render(pd.read_csv(CSV)))


if __name__ == "__main__":
    main()
