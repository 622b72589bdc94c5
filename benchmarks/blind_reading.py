"""A blinded reading: real PTB-XL records and samples of learning.py, unlabelled, for somebody to tell apart.

    python benchmarks/blind_reading.py --make FOLDER                 # ECGs as pictures, and the key, of --work
    python benchmarks/blind_reading.py --score ANSWERS --key KEY     # scores, and their table in docs/generators.md
    python benchmarks/blind_reading.py --render                      # the table, of the CSV file

FOLDER gets a picture for each ECG, numbered at random, and answers.json for the reader to fill in; the key is written
to ``FOLDER_key.json``, which the reader must not see. Both are those of ``ecgpipe blind``. Real ECGs are held out:
no generator learned from them. Samples are those of the models that learned from real records for five minutes,
equally many of each rhythm, in the order in which they were drawn. No two have the same sampling seed, since generators
with drafts draw the same beats for one seed.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from learning_cells import NEURAL, Cell
from learning_records import SPEC, real_records
from learning_tables import DRAFTS
from measuring import DATA, DOCS, ROOT, markdown_table, parser, write_section

from ecgpipe.blind.key import ANSWERS_FORMAT, KEY_FORMAT
from ecgpipe.blind.scoring import score
from ecgpipe.files import write_json
from ecgpipe.leads import LEADS
from ecgpipe.simulator.hospitals import RHYTHMS

matplotlib.use("Agg")
import matplotlib.pyplot as plt

CSV = DATA / "blind_reading.csv"
DOCUMENT = DOCS / "generators.md"
REAL, DRAFTED, WHOLE = 25, 10, 5
"""ECGs of held-out records, of each generator with drafts, and of each without."""
SEED = 10
HIDDEN = 0.3
"""Seconds at both ends that are not shown: PTB-XL's records end in a tenth of a second without signal."""
SPACING = 1.4
"""mV between the baselines of two leads."""


def name_of(cell: Cell) -> str:
    """Return what the key calls a generator."""
    return f"{cell.generator}, {DRAFTS[cell.draft]}"


def gather(work: Path) -> list[tuple[str, str, str, np.ndarray]]:
    """Return set, rhythm, name and signals ``(12, length)`` in mV of the ECGs to show."""
    rng = np.random.default_rng(SEED)
    held_out = real_records(work).more
    classes = np.unique(held_out.labels)
    found = []
    for label in classes:
        own = rng.permutation(np.flatnonzero(held_out.labels == label))[: REAL // len(classes)]
        found += [("real", RHYTHMS[label], str(i), np.asarray(held_out.signals[i])) for i in own]
    first = 0
    for draft, number in (("beats", DRAFTED), ("none", WHOLE)):
        for generator in NEURAL:
            cell = Cell("real", generator, draft, 300, 1)
            with np.load(work / "models" / str(cell) / "samples.npz") as kept:
                signals, labels = kept["signals"], kept["labels"]
            each = number // len(classes)
            for label in classes:
                own = np.flatnonzero(labels == label)[first : first + each]
                found += [(name_of(cell), RHYTHMS[label], str(i), signals[i]) for i in own]
            first += each
    return found


def draw(signals: np.ndarray, path: Path) -> None:
    """Draw an ECG without its ends: twelve leads in two columns, on a grid of 0.2 s and 0.5 mV."""
    figure, axes = plt.subplots(1, 2, figsize=(15, 8))
    seconds = np.arange(signals.shape[-1]) / SPEC.rate
    shown = (seconds >= HIDDEN) & (seconds < seconds[-1] - HIDDEN)
    seconds, signals = seconds[shown], signals[:, shown]
    for axis, leads in zip(axes, (LEADS[:6], LEADS[6:]), strict=True):
        for place, lead in enumerate(leads):
            signal = signals[LEADS.index(lead)]
            axis.plot(seconds, signal - np.median(signal) - SPACING * place, color="black", linewidth=0.7)
            axis.text(-0.08, -SPACING * place, lead, ha="right", va="center", fontsize=8)
        axis.set(xlim=(0, 10), ylim=(-6 * SPACING + 0.3, 1.2))
        axis.set_xticks(np.arange(0, 10.01, 0.2), minor=True)
        axis.set_xticks(range(11))
        axis.set_yticks(np.arange(-8, 1.3, 0.5))
        axis.grid(True, which="both", color="#f3c9c9", linewidth=0.4)
        axis.tick_params(labelleft=False, length=0, which="both")
    figure.tight_layout(pad=0.5)
    figure.savefig(path, dpi=75)
    plt.close(figure)


def make(work: Path, folder: Path) -> None:
    """Write the pictures, the form for the answers, and the key."""
    ecgs = gather(work)
    order = np.random.default_rng(SEED).permutation(len(ecgs))
    folder.mkdir(parents=True)
    items = {}
    for number, place in enumerate(order, 1):
        name, rhythm, record, signals = ecgs[place]
        draw(signals, folder / f"{number:03d}.png")
        about = {"real": name == "real", "set": name, "dataset": "real", "rhythm": rhythm, "record": record}
        items[f"{number:03d}"] = about
    test = f"learning.py, seed {SEED}"
    key = {"format": KEY_FORMAT, "test": test, "classes": sorted({e[1] for e in ecgs}), "items": items}
    write_json(folder.with_name(f"{folder.name}_key.json"), key)
    empty = [{"item": item, "verdict": "", "rhythm": ""} for item in items]
    write_json(folder / "answers.json", {"format": ANSWERS_FORMAT, "test": test, "reader": "", "answers": empty})


def table(found: pd.DataFrame) -> str:
    """Return the scores over all rhythms as Markdown."""
    own = found[(found["rhythm"] == "all") & found["value"].notna()]
    names = list(dict.fromkeys(own["set"]))
    measures = ("called real", "called synthetic", "accuracy", "rhythm named right")
    lines = []
    for reader in dict.fromkeys(own["reader"]):
        for name in names:
            rows = own[(own["reader"] == reader) & (own["set"] == name)].set_index("measure")
            line = [reader, "held-out records" if name == "real" else name]
            for measure in measures:
                row = rows.loc[measure] if measure in rows.index else None
                line.append("" if row is None else f"{row['value']:.2f} [{row['low']:.2f}, {row['high']:.2f}]")
            lines.append([*line, f"{rows['judgements'].iloc[-1]:.0f}"])
    return markdown_table(["reader", "ECGs", *measures, "number"], lines)


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--work", type=Path, default=ROOT / "results" / "learning", help="--work of learning.py")
    arguments.add_argument("--make", type=Path, metavar="FOLDER", help="write a new test")
    arguments.add_argument("--score", type=Path, nargs="+", metavar="ANSWERS", help="answers of one reader or more")
    arguments.add_argument("--key", type=Path, help="the key of the test")
    args = arguments.parse_args()
    if args.make:
        make(args.work, args.make)
        return
    if args.score:
        score(args.score, args.key).scores.to_csv(CSV, index=False, float_format="%.6g")
    write_section(DOCUMENT, CSV.stem, table(pd.read_csv(CSV)))


if __name__ == "__main__":
    main()
