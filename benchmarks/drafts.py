"""What each setting of drafts brings: drafts alone, without what a generator adds, with one setting changed at a time.

    python benchmarks/drafts.py                       # what is missing in --work (that of learning.py), then the table
    python benchmarks/drafts.py --datasets hospital_a --seeds 1
    python benchmarks/drafts.py --render              # the table of docs/generators.md, of the CSV file

Records and judges are those of learning.py. Each row trains the models of beats and of mean beats and draws drafts,
which the judge reads in the place of samples. Held-out records' plans and mean beats are found by the same analysis.
"""

from __future__ import annotations

import functools
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from learning import code_of, same_code
from learning_cells import DATASETS, SEEDS
from learning_measures import Measure, agreement, balanced, frechet, rhythm_figures, rhythm_rows
from learning_records import DRAWN, hospital_records, real_judge, real_records, simulated_judge
from measuring import DATA, DOCS, learning_parser, markdown_table, publish

from ecgpipe.files import read_json, write_json
from ecgpipe.generate.drafts.analysis import Analysed, analyse
from ecgpipe.generate.drafts.draft import DraftModel, DraftSettings
from ecgpipe.generate.protocol import Signals
from ecgpipe.leads import independent_from_twelve, twelve_from_independent

CSV = DATA / "drafts.csv"
DOCUMENT = DOCS / "generators.md"

CHANGES: dict[str, dict[str, Any]] = {
    "as they are": {},
    "beats: 1,500 steps": {"beats": {"steps": 1500}},
    "beats: classes as they come": {"beats": {"balanced": False}},
    "beats: no stretching": {"beats": {"rate_jitter": 0.0}},
    "mean beat: no guidance": {"mean_beat": {"guidance": 1.0}},
    "mean beat: 200 steps": {"mean_beat": {"steps": 200}},
    "mean beat: 2,000 steps": {"mean_beat": {"steps": 2000}},
    "mean beat: 24 components": {"mean_beat": {"components": 24}},
    "mean beat: no mixing of leads": {"mean_beat": {"lead_mixing": 0.0}},
    "mean beat: no details": {"details": 0},
    "mean beat: 192 components, 64 details": {"mean_beat": {"components": 192}, "details": 64},
}
"""Settings of ``draft_models`` that are changed, each alone."""


class Bench:
    """A set's records, analysed once."""

    def __init__(self, work: Path, dataset: str) -> None:
        self.data = (
            real_records(work) if dataset == "real" else hospital_records(work, dataset.removeprefix("hospital_"))
        )
        self.measure = Measure(real_judge(work) if dataset == "real" else simulated_judge(work), self.data)
        self.train, self.validation = (Signals.of(self.data.dataset, split) for split in ("train", "validation"))
        finder = DraftModel(DraftSettings(), self.data.dataset.spec)
        self.found, self.watched = finder.analyse(self.train), finder.analyse(self.validation)
        more = independent_from_twelve(np.asarray(self.data.more.signals[:]))
        self.held_out = analyse(more, self.data.dataset.spec.rate)

    def analysed(self, signals: Signals) -> Analysed:
        """Return what was found in training or validation records."""
        return self.found if signals is self.train else self.watched

    def row(self, change: dict[str, Any], seed: int) -> dict[str, Any]:
        """Train drafts and measure them."""
        model = DraftModel(DraftSettings.model_validate(change), self.data.dataset.spec)
        model.analyse = self.analysed  # type: ignore[method-assign]  # not once more for each change
        clock = time.process_time()
        with tempfile.TemporaryDirectory() as state:
            history = model.fit(
                self.train, self.validation, seed=seed, state_dir=Path(state), device="cpu", progress=False
            )
        seconds = time.process_time() - clock
        present = np.unique(self.train.labels)
        labels, number = present[np.arange(2 * DRAWN) % len(present)], np.arange(2 * DRAWN)
        states = model.draw(labels, number + 1000 * (seed - 1))
        state = model.split(states)
        drafts = twelve_from_independent(model.drafts(states).numpy())
        classes, features = self.measure.judge(drafts)
        losses = history.groupby("stage")["validation_loss"].last()
        return {
            "cpu_seconds": seconds,
            **agreement(classes == labels, labels),
            "frechet": frechet(features, self.measure.features, balanced(labels), self.measure.weights),
            **rhythm_figures(rhythm_rows(state.plans, labels), self.measure.rhythms),
            **self.nearest(model, state.mean_beats),
            **{f"validation_loss_{stage}": float(value) for stage, value in losses.items()},
        }

    def nearest(self, model: DraftModel, drawn: torch.Tensor) -> dict[str, float]:
        """Return how near leading components of drawn mean beats are to training ones, over those of held-out records,
        and how wide whole mean beats are.
        """
        train, others = (torch.from_numpy(a.mean_beats)[a.plans.known > 0] for a in (self.found, self.held_out))
        spread = [float(x.std(dim=0).square().mean().sqrt()) for x in (model.decode(drawn), others)]
        # Without details, which are drawn independently and would hide copies of the rest.
        beats, number = model.mean_beats, len(model.mean_beats.basis)
        train, others = (beats.decode(beats.encode(x)).flatten(1).double() for x in (train, others))
        own = beats.decode(drawn[:, :number]).flatten(1).double()
        near, far = (torch.cdist(x, train).amin(dim=1) for x in (own, others))
        return {
            "nearest_ratio": float(near.median() / far.median()),
            "near_share": float((near < torch.quantile(far, 0.1)).double().mean()),
            "width_ratio": spread[0] / spread[1],
        }


def compute(work: Path, datasets: list[str], seeds: list[int]) -> None:
    """Measure what is missing in the working folder."""
    bench = functools.cache(lambda dataset: Bench(work, dataset))
    for seed in seeds:
        for dataset in datasets:
            for name, change in CHANGES.items():
                path = work / "drafts" / f"{dataset}-{name.replace(' ', '_').replace(':', '')}-{seed}.json"
                code = code_of("time_diffusion", "beats")
                if path.exists() and same_code(work, read_json(path)["code"], "time_diffusion", "beats"):
                    continue
                found = bench(dataset).row(change, seed)
                write_json(path, {"dataset": dataset, "change": name, "seed": seed, "code": code, **found})


def collect(work: Path) -> pd.DataFrame:
    """Return a row for each finished measurement, in the order of :data:`CHANGES`."""
    kept = [read_json(path) for path in sorted((work / "drafts").glob("*.json"))]
    kept = [row for row in kept if same_code(work, row["code"], "time_diffusion", "beats")]
    if not kept:
        raise SystemExit(f"{work / 'drafts'} holds no measurement of the present code: run this without --collect")
    found = pd.DataFrame(kept).drop(columns="code")
    order = {name: i for i, name in enumerate(CHANGES)}
    return found.sort_values(["dataset", "change", "seed"], key=lambda c: c.map(order) if c.name == "change" else c)


def render(found: pd.DataFrame) -> str:
    """Return the CSV as a Markdown table."""
    heads = ["dataset", "what is changed", "seed", "agreement", "Fréchet distance", "rate, /min", "RR CV"]
    heads += ["ectopic, pause, %", "nearest mean beat, ratio", "nearer than 10 %", "width, ratio"]
    lines = []
    for row in found.to_dict("records"):
        shares = " ".join(f"{100 * row[f'{name}_share']:.0f}" for name in ("ectopic", "pause"))
        lines.append(
            [
                *(row[name] for name in ("dataset", "change", "seed")),
                f"{row['agreement']:.2f} [{row['agreement_low']:.2f}, {row['agreement_high']:.2f}]",
                f"{row['frechet']:.1f}",
                f"{row['rate_distance']:.1f}",
                f"{row['rr_cv_distance']:.3f}",
                shares,
                f"{row['nearest_ratio']:.2f}",
                f"{100 * row['near_share']:.0f} %",
                f"{row['width_ratio']:.2f}",
            ]
        )
    return markdown_table(heads, lines)


def main() -> None:
    arguments = learning_parser(__doc__)
    arguments.add_argument("--datasets", nargs="+", choices=DATASETS, default=list(DATASETS))
    arguments.add_argument("--seeds", nargs="+", type=int, choices=SEEDS, default=list(SEEDS))
    args = arguments.parse_args()
    torch.set_num_threads(1)
    if not (args.render or args.collect):
        compute(args.work, args.datasets, args.seeds)
    publish(args, CSV, DOCUMENT, collect, render)


if __name__ == "__main__":
    main()
