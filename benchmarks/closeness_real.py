"""Closeness of the generators' samples to the real records at hand.

    export ECGPIPE_PHYSIONET=...                                     # a mirror or folder of PhysioNet's files
    python benchmarks/closeness_real.py --work /tmp/closeness_real   # a quarter of an hour on one core
    python benchmarks/closeness_real.py --render                     # writes the tables into docs/closeness.md again

Runs `configs/physionet.yaml`, with the changes below, up to closeness. Finished jobs in `--work` are kept.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from learning_cells import WAYS
from measuring import DATA, DOCS, ROOT, parse, parser, write_section

from ecgpipe.files import read_parquet_metadata, write_text
from ecgpipe.report.closeness import standing, written
from ecgpipe.vocabulary import ALL, CONTROL

CSV = DATA / "closeness_real.csv"
CONFIG = ROOT / "configs" / "physionet.yaml"
GENERATORS = ("class_mean_pca", "diffwave", "time_diffusion")
MERGED = "merged"
CHANGES: dict[str, Any] = {
    "datasets": [MERGED],
    "generators": list(GENERATORS),
    "generator_settings": {
        name: {"train": WAYS[name, "none"].train, "sample": WAYS[name, "none"].sample}
        for name in ("diffwave", "time_diffusion")
    },
    "samples": {"number": 400, "labels": "training"},
    "closeness": {"measures": "full"},
}
"""One dataset, both databases merged, on which every generator is trained; the samples have its mix of rhythms."""


def config() -> dict[str, Any]:
    """Return the study's configuration."""
    raw: dict[str, Any] = {**yaml.safe_load(CONFIG.read_text(encoding="utf-8")), **CHANGES}
    raw["dataset_settings"][MERGED]["synthetic"] = "trained"
    return raw


def measure(work: Path, cores: str) -> pd.DataFrame:
    """Run the study and return the pooled rows of closeness and the rows of privacy."""
    path = work / "config.yaml"
    write_text(path, yaml.safe_dump(config()))
    command = ["snakemake", "closeness", "--snakefile", str(ROOT / "Snakefile"), "--cores", cores]
    command += ["--configfile", str(path.resolve()), "--directory", str(work)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    subprocess.run([sys.executable, "-m", *command], check=True, env=environment)
    tables = work / "results" / "tables"
    closeness = pd.read_parquet(tables / "closeness.parquet")
    titles = {
        name: what["title"] for name, what in read_parquet_metadata(tables / "closeness.parquet")["measures"].items()
    }
    closeness = closeness[(closeness["class"] == ALL) & (closeness["lead"] == ALL)].drop(
        columns=["class", "lead", "dataset"]
    )
    privacy = pd.read_parquet(tables / "privacy.parquet")
    privacy = privacy[privacy["class"] == ALL].drop(columns=["class", "dataset"])
    rows = pd.concat([closeness.assign(table="closeness"), privacy.assign(table="privacy")], ignore_index=True)
    rows["title"] = rows["measure"].map(titles).fillna(rows["measure"].str.replace("_", " "))
    counts = pd.read_parquet(work / "results" / "data" / MERGED / "records.parquet")["split"].value_counts()
    return rows.assign(train=counts["train"], held_out=counts["validation"] + counts["test"])


def _cell(row: dict[str, Any]) -> str:
    """Format a value, in bold if it lies beyond the floor."""
    if pd.isna(row["value"]):
        return "–"
    return f"**{written(row['value'])}**" if standing(row) == "beyond floor" else written(row["value"])


def render(table: pd.DataFrame) -> str:
    """Return the section of docs/closeness.md."""
    first = table.iloc[0]
    closeness, privacy = table[table["table"] == "closeness"], table[table["table"] == "privacy"]
    generators = [name for name in closeness["generator"].unique() if not name.startswith(CONTROL)]
    controls = [name for name in closeness["generator"].unique() if name.startswith(CONTROL)]
    heads = [
        "measure",
        "better",
        "floor",
        *generators,
        *(name.removeprefix(CONTROL).replace("_", " ") for name in controls),
        "n",
    ]
    lines = [
        "PTB-XL's and Chapman-Shaoxing-Ningbo's records at hand together "
        f"({first['train']} training, {first['held_out']} held-out records), beside samples of generators trained on "
        "them, networks without drafts, as the preset `small` was before there were any. "
        "Bold: beyond the floor, the 95 % intervals apart. The last columns are the controls. So few records "
        "and minutes of training say what the measures make of real ECGs, not how good generators are. "
        "Written by `python benchmarks/closeness_real.py` from "
        "`docs/data/closeness_real.csv`, which holds every interval.",
        "",
        f"| {' | '.join(heads)} |",
        "|---" * len(heads) + "|",
    ]
    for _, rows in closeness.groupby("measure", sort=False):
        by_generator = {row["generator"]: row for row in rows.to_dict("records")}
        row = by_generator[generators[0]]
        unit = f" ({row['unit']})" if isinstance(row["unit"], str) and row["unit"] else ""
        cells = [f"{row['title']}{unit}", row["direction"], written(row["floor"])]
        cells += [_cell(by_generator[g]) if g in by_generator else "–" for g in (*generators, *controls)]
        lines.append(f"| {' | '.join([*cells, str(row['n'])])} |")
    lines += [
        "",
        "| privacy | verdict | largest similarity (held-out: {}) "
        "| near share, signals | AUC, signals | near share, features | AUC, features |",
        "|---" * 7 + "|",
    ]
    measures = (
        "largest_similarity",
        "near_share_signal",
        "membership_auc_signal",
        "near_share_features",
        "membership_auc_features",
    )
    for name, rows in privacy.groupby("generator", sort=False):
        values = rows.set_index("measure")["value"]
        cells = [str(name), rows["verdict"].iloc[0], *(written(values[measure]) for measure in measures)]
        lines.append(f"| {' | '.join(cells)} |")
    floor = privacy.loc[privacy["measure"] == "largest_similarity", "floor"].iloc[0]
    return "\n".join(lines).replace("{}", written(floor))


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--work", type=Path, help="folder of the run")
    arguments.add_argument("--cores", default="all")
    args = parse(arguments)
    if not args.render:
        measure(args.work, args.cores).to_csv(CSV, index=False)
    write_section(DOCS / "closeness.md", "real", render(pd.read_csv(CSV, keep_default_na=True)))


if __name__ == "__main__":
    main()
