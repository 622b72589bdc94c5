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
from ecgpipe.prose.wording import number
from ecgpipe.simulator.hospitals import RHYTHMS
from ecgpipe.vocabulary import AUGMENTED, PRIMARY, REAL, SYNTHETIC

CSV = DATA / "default_study.csv"
CLASSIFIER, AGREEMENT, COMPARISONS = "classifier", "agreement", "comparisons"
HELD_OUT = "held-out records"


def collect(folder: Path) -> pd.DataFrame:
    """Return the rows of a finished study: macro F1, agreement, and how the comparisons in macro F1 ended."""
    tables = folder / "results" / "tables"
    summary, closeness = (pd.read_parquet(tables / f"{name}.parquet") for name in ("summary", "closeness"))
    comparisons = pd.read_parquet(tables / "comparisons.parquet")
    chosen = summary[(summary["metric"] == "f1") & (summary["class"] == "macro")]
    chosen = chosen[chosen["setting"].isin([REAL, AUGMENTED, SYNTHETIC]) & ~chosen["fraction"].between(0.01, 0.99)]
    names = ["dataset", "setting", "generator", "class", "value", "low", "high", "seeds", "n"]
    learned = chosen.rename(columns={"mean": "value", "support": "n"})[names].assign(kind=CLASSIFIER)
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


def render(found: pd.DataFrame) -> str:
    """Return the section."""
    learned, read = found[found["kind"] == CLASSIFIER], found[found["kind"] == AGREEMENT]
    lines = []
    for dataset, rows in learned.groupby("dataset", sort=False):
        line = [dataset, f"{rows['n'].iloc[0]:.0f}", f"{rows['seeds'].iloc[0]:.0f}"]
        line.append(between(rows[rows["setting"] == REAL].iloc[0], "value"))
        for name in (names := list(rows["generator"].unique()))[names.index("none") + 1 :]:
            own = rows[rows["generator"] == name].set_index("setting")
            line.append(f"{number(own.loc[AUGMENTED, 'value'], 2)}, {number(own.loc[SYNTHETIC, 'value'], 2)}")
        lines.append(line)
    generators = [name for name in learned["generator"].unique() if name != "none"]
    heads = ["dataset", "test records", "seeds", "real records [95 %]", *(f"+ `{g}`, it alone" for g in generators)]
    text = "Macro F1 on test records, of networks that learn from all real training records; with the samples added; "
    text += "and from the samples alone:\n\n" + markdown_table(heads, lines)
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
