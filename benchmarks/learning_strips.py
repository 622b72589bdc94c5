"""Strips of what the generators of `learning.py` draw, as pictures in docs/images.

    python benchmarks/learning_strips.py           # of the models in --work
    python benchmarks/learning_strips.py --only real-time_diffusion-beats-300s-1
    python benchmarks/learning_strips.py --study .   # what the default study in this folder drew for its first dataset

The strips are the first samples of each rhythm, those of the sampling seeds 0, 1, 2 ...: nobody chose them. Shown are
the leads I, II, V1 and V5 over ten seconds, each about its median. Real records are not shown: they stay out of the
repository. Samples of generators that learned from PTB-XL are derived from it, as the document says.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
from learning_cells import NEURAL, Cell, cells
from learning_records import SPEC
from measuring import DOCS, ROOT, parser
from PIL import Image

from ecgpipe.config import load
from ecgpipe.dataset import Dataset
from ecgpipe.files import atomic_path
from ecgpipe.leads import LEADS
from ecgpipe.simulator.hospitals import RHYTHMS

matplotlib.use("Agg")
import matplotlib.pyplot as plt

IMAGES = DOCS / "images"
SHOWN = ("I", "II", "V1", "V5")
SPACING = 1.5
"""mV between the baselines of two leads."""


def strips(signals: np.ndarray, labels: np.ndarray, path: Path, title: str) -> None:
    """Draw the first record of each rhythm.

    Args:
        signals: ``(n, 12, length)`` in mV.
        labels: class ids ``(n,)``.
        path: of the picture, PNG.
        title: above the strips.
    """
    classes = np.unique(labels)
    figure, axes = plt.subplots(len(classes), 1, figsize=(9, 1.35 * len(classes)), squeeze=False)
    seconds = np.arange(signals.shape[-1]) / SPEC.rate
    for axis, label in zip(axes[:, 0], classes, strict=True):
        record = signals[np.flatnonzero(labels == label)[0]]
        for place, lead in enumerate(SHOWN):
            signal = record[LEADS.index(lead)]
            axis.plot(seconds, signal - np.median(signal) - SPACING * place, color="black", linewidth=0.5)
            axis.text(-0.12, -SPACING * place, lead, ha="right", va="center", fontsize=5)
        axis.set_ylabel(RHYTHMS[label], fontsize=7, labelpad=14)
        axis.set(xlim=(0, seconds[-1]), xticks=range(11), yticks=[])
        axis.tick_params(labelbottom=False, length=2)
        for side in ("top", "right", "left"):
            axis.spines[side].set_visible(False)
    figure.suptitle(title, fontsize=8, y=0.995)
    figure.tight_layout(pad=0.3, h_pad=0.1)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=100)
        with Image.open(temporary) as picture:  # sixteen grey values are enough, and a quarter of the size
            grey = picture.convert("L").quantize(16)
        grey.save(temporary, format="PNG", optimize=True)
    plt.close(figure)


def title_of(cell: Cell) -> str:
    """Say what a picture shows."""
    way = "with drafts" if cell.draft == "beats" else "without drafts"
    trained = "real records (PTB-XL)" if cell.dataset == "real" else f"simulated records ({cell.dataset})"
    return f"{cell.generator} {way}, trained on {trained}, budget {cell.budget} s, sampling seed 0 and following"


def of_study(folder: Path) -> None:
    """Draw what each neural generator of the default study drew for its first dataset."""
    dataset = load(folder / "config.yaml").datasets[0]
    for generator in NEURAL:
        samples = Dataset.load(folder / "results" / "samples" / dataset / generator)
        title = f"{generator} in the default study, trained on {dataset}, sampling seed 0 and following"
        strips(samples.signals, samples.labels, IMAGES / f"strips-study-{generator}.png", title)


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--work", type=Path, default=ROOT / "results" / "learning", help="--work of learning.py")
    arguments.add_argument("--only", nargs="+", help="names of cells; else those of seed 1, five minutes, with drafts")
    arguments.add_argument("--study", type=Path, help="folder of a finished default study, to show its samples instead")
    args = arguments.parse_args()
    if args.study:
        of_study(args.study)
        return
    for cell in cells():
        wanted = cell.budget == 300 and cell.seed == 1 and cell.draft == "beats"
        path = args.work / "models" / str(cell) / "samples.npz"
        if (str(cell) in args.only if args.only else wanted) and path.exists():
            IMAGES.mkdir(exist_ok=True)
            with np.load(path) as kept:
                strips(kept["signals"], kept["labels"], IMAGES / f"strips-{cell}.png", title_of(cell))


if __name__ == "__main__":
    main()
