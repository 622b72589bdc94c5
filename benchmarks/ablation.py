"""What each setting of a network and its sampler brings: one changed at a time, after a minute or five of training.

    python benchmarks/ablation.py                       # what is missing in --work, that of learning.py
    python benchmarks/ablation.py --datasets hospital_a --seeds 1 --workers 2
    python benchmarks/ablation.py --render              # the table of docs/generators.md, of the CSV file

Records, judges and measures are those of learning.py, and its cells of the same budget are what the changes are
compared with: run that first. Where only drawing is changed, the model is the cell's.
"""

from __future__ import annotations

import dataclasses
import itertools
import logging
from pathlib import Path
from typing import Any

import learning
import numpy as np
import pandas as pd
from learning import code_of, drawn, in_processes, learned, measure, prepare, same_code
from learning_cells import DATASETS, SEEDS, Cell
from learning_tables import DRAFTS
from measuring import DATA, DOCS, learning_parser, markdown_table, publish

from ecgpipe.files import read_json, write_json
from ecgpipe.generate.base import ModelFileError
from ecgpipe.generate.registry import load_class
from ecgpipe.generate.time_vqvae import ReconstructionError

CSV = DATA / "ablation.csv"
log = logging.getLogger(__name__)

DOCUMENT = DOCS / "generators.md"
BUDGET, LONG = 60, 300
UNCHANGED = "as they are"


@dataclasses.dataclass(frozen=True)
class Change:
    """A change of the settings of a cell, and where it is tried."""

    name: str
    generator: str
    draft: str
    train: dict[str, Any] = dataclasses.field(default_factory=dict)
    sample: dict[str, Any] = dataclasses.field(default_factory=dict)
    budget: int = BUDGET

    @property
    def of(self) -> tuple[str, str, int]:
        """What it is compared with."""
        return self.generator, self.draft, self.budget


def _of(
    generator: str, draft: str, *changes: tuple[str, dict[str, Any], dict[str, Any]], budget: int = BUDGET
) -> list[Change]:
    return [Change(name, generator, draft, *how, budget=budget) for name, *how in changes]


GRIDS = {"lf_levels": [8, 5, 4], "hf_levels": [8, 8, 4]}
"""As many codes as the learned codebooks have."""

CAUSAL = {"lf_prior": {"order": "causal"}}
CAUSAL_WITH_DROPOUT = {"lf_prior": {"order": "causal", "dropout": 0.3}}

CHANGES = [
    *_of(
        "time_diffusion",
        "beats",
        ("mean beats without details", {"draft_models": {"details": 0}}, {}),
        ("levels of the rest as they come", {"draft_models": {"levels": False}}, {}),
        ("white start", {}, {"coloured_start": False}),
        ("guidance of 2", {}, {"guidance": 2.0}),
        ("guidance of 2 between levels", {}, {"guidance": 2.0, "guidance_levels": [0.1, 3.0]}),
        ("DPM-Solver++(2M)", {}, {"sampler": "dpmpp_2m"}),
        ("60 evaluations", {}, {"evaluations": 60}),
        ("one spectrum for all classes", {"class_spectrum": None}, {}),
        ("no spectral preconditioning", {"spectral": False, "class_spectrum": None}, {"coloured_start": False}),
        ("no moving average", {"ema_decay": 0.0}, {}),
        ("AdamW", {"optimizer": "adamw", "learning_rate": 2e-3}, {}),
        ("no attention", {"attention_levels": 0}, {}),
        ("attention at both levels", {"attention_levels": 2}, {}),
    ),
    *_of(
        "time_diffusion",
        "none",
        ("coloured start", {}, {"coloured_start": True}),
        ("guidance between levels only", {}, {"guidance_levels": [0.1, 3.0]}),
        ("guidance of 2", {}, {"guidance": 2.0}),
        ("a spectrum for each class", {"class_spectrum": 50.0}, {}),
        ("no moving average", {"ema_decay": 0.0}, {}),
        ("AdamW", {"optimizer": "adamw", "learning_rate": 2e-3}, {}),
        ("attention at one level", {"attention_levels": 1}, {}),
    ),
    *_of(
        "time_vqvae",
        "beats",
        ("codebooks of 64", {"lf_codes": 64, "hf_codes": 64}, {}),
        ("levels of the rest as they come", {"draft_models": {"levels": False}}, {}),
        ("without the noise that tokens lose", {"lost_noise": False}, {}),
        ("guidance of 2", {}, {"guidance": 2.0}),
        ("five rounds", {}, {"lf_rounds": 5, "hf_rounds": 5}),
        ("finite scalar quantisation", GRIDS, {}),
        ("causal prior of low frequencies", CAUSAL, {}),
    ),
    *_of(
        "time_vqvae",
        "none",
        ("guidance of 1", {}, {"guidance": 1.0}),
        ("guidance while 10 to 90 % are masked", {}, {"guidance_levels": [0.1, 0.9]}),
        ("finite scalar quantisation", GRIDS, {}),
        ("causal prior of low frequencies", CAUSAL, {}),
        ("the same, with a dropout of 0.3", CAUSAL_WITH_DROPOUT, {}),
    ),
    *_of(
        "time_vqvae",
        "none",
        ("causal prior of low frequencies", CAUSAL, {}),
        ("the same, with a dropout of 0.3", CAUSAL_WITH_DROPOUT, {}),
        budget=LONG,
    ),
]


def cell_of(change: Change, dataset: str, seed: int) -> Cell:
    """Return the cell of learning.py that a change starts from."""
    return Cell(dataset, change.generator, change.draft, change.budget, seed)


def file_of(work: Path, change: Change, dataset: str, seed: int) -> Path:
    """Return the file of a finished measurement."""
    name = change.name.replace(" ", "_").replace("'", "").replace(",", "")
    return work / "ablation" / f"{cell_of(change, dataset, seed)}-{name}.json"


def stale(work: Path, kept: dict[str, Any], change: Change, dataset: str) -> bool:
    """Say whether a measurement is of other code or settings than are here now."""
    same = same_code(work, kept["code"], change.generator, change.draft)
    return not same or kept["settings"] != settings(change, dataset)


def settings(change: Change, dataset: str) -> list[dict[str, Any]]:
    """Return the settings of training and drawing, as JSON has them."""
    trained, sampling = cell_of(change, dataset, 1).settings()
    changed = {k: {**trained.get(k, {}), **v} if isinstance(v, dict) else v for k, v in change.train.items()}
    return [{**trained, **changed}, {**sampling, **change.sample}]


def compute(work: Path, change: Change, dataset: str, seed: int) -> None:
    """Measure a change, unless that was done."""
    path = file_of(work, change, dataset, seed)
    if path.exists() and not stale(work, read_json(path), change, dataset):
        return
    unchanged = work / "models" / str(cell_of(change, dataset, seed))
    if not (change.train or (unchanged / "model.json").exists()):
        log.warning("%s is left out: %s is not there; run learning.py", path.stem, unchanged)
        return
    of = measure(work, dataset)
    trained, sampling = settings(change, dataset)
    folder = work / "ablation" / "models" / path.stem
    code = code_of(change.generator, change.draft)
    found: dict[str, Any] = {}
    try:
        if change.train:
            cost, generator = learned(change.generator, trained, seed, of.data, folder, "cpu")
            found.update(cost)
        else:
            cls: Any = load_class(change.generator, None)
            generator = cls.load(unchanged)
        folder.mkdir(parents=True, exist_ok=True)
        more, samples = drawn(generator, sampling, seed, of.data, folder, "cpu")
        found.update({**more, **of.judged(samples)})
    except ModelFileError as error:
        log.warning("%s is left out: %s", path.stem, error)
        return
    except ReconstructionError as error:
        found["refused"] = str(error).split(";")[0]
    write_json(
        path,
        {
            **cell_of(change, dataset, seed)._asdict(),
            "change": change.name,
            "code": code,
            "settings": [trained, sampling],
            **found,
        },
    )


def collect(work: Path) -> pd.DataFrame:
    """Return a row for each finished measurement, after those of the cells that it is compared with."""
    cells = learning.collect(work)
    groups = dict(list(cells.assign(change=UNCHANGED).groupby(["dataset", "generator", "draft", "budget"])))
    rows = []
    for dataset in DATASETS:
        for of, changes in itertools.groupby(CHANGES, key=lambda c: c.of):
            rows += groups[dataset, *of].to_dict("records") if (dataset, *of) in groups else []
            for change, seed in itertools.product(changes, SEEDS):
                path = file_of(work, change, dataset, seed)
                if path.exists():
                    kept = read_json(path)
                    row = {k: v for k, v in kept.items() if k not in ("code", "settings")}
                    rows.append({**row, "stale": int(stale(work, kept, change, dataset))})
    return pd.DataFrame(rows)


def render(found: pd.DataFrame) -> str:
    """Return the CSV as a Markdown table: the mean over seeds, and each seed's difference from *as they are*."""
    heads = ["dataset", "generator", "s", "what is changed", "seeds", "agreement", "difference, each seed"]
    heads += ["Fréchet distance", "ratio, each seed", "rate, /min", "RR CV"]
    lines = []
    keys = ["dataset", "generator", "draft", "budget"]
    for key, rows in found.groupby(keys, sort=False):
        base = rows[rows["change"] == UNCHANGED].set_index("seed")
        for name, own in rows.groupby("change", sort=False):
            own = own.set_index("seed")
            both = own.index.intersection(base.index)
            mark = " †" if own["stale"].any() else ""
            line = [key[0], f"`{key[1]}`, {DRAFTS[key[2]]}", key[3], f"{name}{mark}", len(own)]
            if "refused" in own and own["refused"].notna().any():
                lines.append([*line, own["refused"].dropna().iloc[0], *[""] * 5])
                continue
            change = own.loc[both, "agreement"] - base.loc[both, "agreement"]
            ratio = own.loc[both, "frechet"] / base.loc[both, "frechet"]
            as_is = name == UNCHANGED
            lines.append(
                [
                    *line,
                    f"{own['agreement'].mean():.2f}",
                    "" if as_is else " ".join(f"{v:+.2f}" for v in change),
                    f"{np.exp(np.log(own['frechet']).mean()):.1f}",
                    "" if as_is else " ".join(f"{v:.2f}" for v in ratio),
                    f"{own['rate_distance'].mean():.1f}",
                    f"{own['rr_cv_distance'].mean():.3f}",
                ]
            )
    wanted = len(CHANGES) * len(DATASETS) * len(SEEDS)
    left = wanted - int((found["change"] != UNCHANGED).sum())
    note = f"\n{left} of {wanted} measurements have not been made yet; the column *seeds* shows which.\n"
    return markdown_table(heads, lines) + (note if left else "")


def main() -> None:
    arguments = learning_parser(__doc__)
    arguments.add_argument("--datasets", nargs="+", choices=DATASETS, default=list(DATASETS))
    arguments.add_argument("--seeds", nargs="+", type=int, choices=SEEDS, default=list(SEEDS))
    arguments.add_argument("--workers", type=int, default=1, help="processes of one thread")
    args = arguments.parse_args()
    prepare()
    if not (args.render or args.collect):
        calls = [(args.work, change, d, seed) for seed in args.seeds for d in args.datasets for change in CHANGES]
        in_processes(args.workers, compute, calls)
    publish(args, CSV, DOCUMENT, collect, render)


if __name__ == "__main__":
    main()
