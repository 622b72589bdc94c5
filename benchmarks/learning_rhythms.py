"""Rates and RR variation of what the generators of `learning.py` draw, and how near it is, rhythm by rhythm.

    python benchmarks/learning_rhythms.py           # of the samples in --work
    python benchmarks/learning_rhythms.py --render  # the table of docs/generators.md, of the CSV file

It reads the samples of learning.py's cells of five minutes, first seed, and measures nothing else: run that first.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from learning import measure
from learning_cells import DATASETS, Cell, cells
from learning_measures import nearest, rhythm_table
from learning_tables import RHYTHMS, name_of
from measuring import DATA, DOCS, learning_parser, markdown_table, publish

from ecgpipe.dataset import Dataset
from ecgpipe.simulator.hospitals import RHYTHMS as CLASSES

CSV = DATA / "learning_rhythms.csv"
BUDGET, SEED = 300, 1
QUANTILES = (0.1, 0.5, 0.9)
SHOWN = "real"


def nearest_is_training(samples: np.ndarray, training: np.ndarray, unseen: np.ndarray) -> tuple[float, float]:
    """Return the share of samples whose nearest record, of training and unseen ones, is a training record.

    The second number is the share that is to be expected of samples that are no more like training records than like
    unseen ones. Of copies, the share is 1.
    """
    found = nearest(samples, training) < nearest(samples, unseen)
    return float(found.mean()), len(training) / (len(training) + len(unseen))


def of_samples(cell: Cell, samples: Dataset, training: Dataset, unseen: Dataset, usual: np.ndarray) -> pd.DataFrame:
    """Return a row for each rhythm: quantiles of rate and RR variation, and distances to training records.

    Args:
        cell: what the samples are.
        samples: to measure.
        training: the records that their generator learned from.
        unseen: held-out records.
        usual: distance of each of these to the nearest training record.
    """
    table, near = rhythm_table(samples), nearest(samples.signals, training.signals)
    rows = []
    for label in np.unique(samples.labels):
        own, distance = table[table["label"] == label], near[samples.labels == label]
        of_unseen = usual[unseen.labels == label]
        row = {
            **cell._asdict(),
            "rhythm": CLASSES[label],
            "records": len(distance),
            "with_beats": len(own),
            "training_records": int((training.labels == label).sum()),
        }
        for name in ("rate", "rr_cv", "size_cv"):
            row |= {f"{name}_{100 * q:.0f}": own[name].quantile(q) for q in QUANTILES}
        if len(of_unseen):
            row["nearest_ratio"] = float(np.median(distance) / np.median(of_unseen))
            row["nearer_than_tenth"] = float((distance < np.quantile(of_unseen, 0.1)).mean())
            if cell.budget:
                parts = [np.asarray(d.signals)[d.labels == label] for d in (samples, training, unseen)]
                row["nearest_is_training"], row["by_chance"] = nearest_is_training(*parts)
        rows.append(row)
    return pd.DataFrame(rows)


def collect(work: Path) -> pd.DataFrame:
    """Return the rows of all samples in the working folder, held-out records first."""
    found = []
    for dataset in DATASETS:
        of = measure(work, dataset)
        found.append(of_samples(Cell(dataset, "real"), of.data.more, of.train, of.data.more, of.held_out))
        for cell in cells():
            path = work / "models" / str(cell) / "samples.npz"
            if cell.dataset != dataset or (cell.budget, cell.seed) != (BUDGET, SEED) or not path.exists():
                continue
            with np.load(path) as kept:
                records = pd.DataFrame({"label": [CLASSES[label] for label in kept["labels"]]})
                samples = Dataset(kept["signals"], records, of.data.dataset.spec)
            found.append(of_samples(cell, samples, of.train, of.data.more, of.held_out))
    return pd.concat(found, ignore_index=True)


def render(found: pd.DataFrame) -> str:
    """Return the rows of the real records as a Markdown table."""
    heads = ["rhythm (training records)", "what", "records", "rate, /min: 10, 50, 90 %", "RR CV: 10, 50, 90 %"]
    heads += [
        "beat size CV: median",
        "nearest training record, ratio",
        "nearer than 10 %",
        "nearest is a training record (by chance)",
    ]
    lines = []
    found = found[found["dataset"] == SHOWN]
    for rhythm in [name for name in RHYTHMS if name in set(found["rhythm"])]:
        for row in found[found["rhythm"] == rhythm].to_dict("records"):
            rates = " ".join(f"{row[f'rate_{100 * q:.0f}']:.0f}" for q in QUANTILES)
            spread = " ".join(f"{row[f'rr_cv_{100 * q:.0f}']:.3f}" for q in QUANTILES)
            lines.append(
                [
                    f"{rhythm} ({row['training_records']})",
                    name_of(row),
                    row["records"],
                    rates,
                    spread,
                    f"{row['size_cv_50']:.3f}",
                    f"{row['nearest_ratio']:.2f}",
                    f"{100 * row['nearer_than_tenth']:.0f} %",
                    ""
                    if pd.isna(row["by_chance"])
                    else f"{100 * row['nearest_is_training']:.0f} % ({100 * row['by_chance']:.0f} %)",
                ]
            )
    return markdown_table(heads, lines)


def main() -> None:
    args = learning_parser(__doc__).parse_args()
    publish(args, CSV, DOCS / "generators.md", collect, render)


if __name__ == "__main__":
    main()
