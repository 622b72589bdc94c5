"""When a code of `time_vqvae` that is hardly chosen is restarted: rules for this, measured on stage 1 alone.

    python benchmarks/codebook.py            # what is missing in --work (that of learning.py), then the table
    python benchmarks/codebook.py --render   # the table of docs/generators.md, of the CSV file

Training records are those of a simulated hospital with two rhythms made rare, as in PTB-XL. Stage 1 learns whole
records, or what drafts leave of them, as the preset `small` does; the models of drafts are trained once. What is
measured is measured on records that stage 1 did not learn from, all classes alike but for the columns of rare ones.
"""

from __future__ import annotations

import argparse
import functools
import json
import logging
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from learning_records import hospital_records, rows
from measuring import DATA, DOCS, learning_parser, markdown_table, publish
from torch import Tensor

from ecgpipe.dataset import Dataset
from ecgpipe.files import read_json, write_json
from ecgpipe.generate.drafted import Residuals
from ecgpipe.generate.protocol import Signals
from ecgpipe.generate.time_vqvae import TimeVQVAE
from ecgpipe.generate.vector_quantizer import VectorQuantizer, codebook_usage
from ecgpipe.simulator.hospitals import RHYTHMS

CSV = DATA / "codebook.csv"
DOCUMENT = DOCS / "generators.md"

RARE = ("AFLT", "SVTAC")
KEPT = 12
"""Training records of each rare rhythm."""
SHARE = 0.1
STEPS, SEEDS = (200, 1000), (1, 2, 3)
WAYS = {"none": "whole records", "beats": "what drafts leave"}

log = logging.getLogger(__name__)


class Counting(VectorQuantizer):
    """A quantiser that counts how many codes it restarts.

    Args:
        like: the quantiser in whose place it stands.
        rule: maps it, how many vectors of a step chose each code, ``(codes,)``, and the fair share to the dead codes.
    """

    def __init__(self, like: VectorQuantizer, rule: Callable[[VectorQuantizer, Tensor, float], Tensor]) -> None:
        codes, dim = like.codebook.shape
        super().__init__(codes, dim, like.decay)
        self.rule, self.replaced, self.steps = rule, 0, 0
        self.load_state_dict(like.state_dict())

    def _dead(self, chosen: Tensor, fair: float) -> Tensor:
        dead = self.rule(self, chosen, fair)
        self.replaced += int(dead.sum())
        self.steps += 1
        return dead


def below_share(quantizer: VectorQuantizer, chosen: Tensor, fair: float) -> Tensor:
    """Say that a code is dead whose moving average is below a tenth of its fair share."""
    return quantizer.count < SHARE * fair


def unchosen(steps: int | None) -> Callable[[VectorQuantizer, Tensor, float], Tensor]:
    """Return the rule of :class:`VectorQuantizer` with a patience."""

    def rule(quantizer: VectorQuantizer, chosen: Tensor, fair: float) -> Tensor:
        quantizer.patience = steps
        return VectorQuantizer._dead(quantizer, chosen, fair)

    return rule


RULES = {
    "below a tenth of the fair share": below_share,
    **{f"not chosen for {steps} steps": unchosen(steps) for steps in (5, 10, 25, 50)},
    "never": unchosen(None),
}


def training_records(data: Dataset) -> Dataset:
    """Return the records of a set with all but :data:`KEPT` training records of each rare rhythm left out."""
    labels, train = data.records["label"], (data.records["split"] == "train").to_numpy()
    left_out = np.zeros(len(labels), dtype=bool)
    for name in RARE:
        left_out[np.flatnonzero((labels == name).to_numpy() & train)[KEPT:]] = True
    return rows(data, np.flatnonzero(~left_out))


class Bench:
    """Training and held-out records, and the models of drafts, if there are to be any."""

    def __init__(self, work: Path, draft: str) -> None:
        of = hospital_records(work, "a")
        data = training_records(of.dataset)
        self.draft, self.spec = draft, data.spec
        self.train, self.validation = (Signals.of(data, split) for split in ("train", "validation"))
        self.held_out: Signals = Signals.of(of.dataset, "test")
        first = self.generator(1)
        if first.draft is not None:
            with tempfile.TemporaryDirectory() as state:
                how: dict[str, Any] = {"seed": 1, "state_dir": Path(state), "device": "cpu", "progress": False}
                _, states = first.fit_draft(self.train, self.validation, **how)
            assert states is not None
            found = first.draft.analyse(self.held_out)
            drafts = (*states, first.draft.states(self.held_out, found))
            self.train, self.validation, self.held_out = (
                Residuals(s, t, first.draft)
                for s, t in zip((self.train, self.validation, self.held_out), drafts, strict=True)
            )

    def generator(self, steps: int) -> TimeVQVAE:
        """Return an untrained generator."""
        small = TimeVQVAE.Settings.PRESETS["small"]
        settings = {"draft": self.draft, "stage1": {**small["stage1"], "steps": steps}}
        return TimeVQVAE(TimeVQVAE.Settings.model_validate(settings), self.spec)

    def row(self, rule: str, steps: int, seed: int) -> dict[str, Any]:
        """Train stage 1 with a rule and measure it."""
        generator = self.generator(steps)
        generator.draft = None  # the records are what drafts leave already
        generator.measure_training_set(self.train, 1.0, seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            generator.module = generator._network()
            generator._init_codebooks(self.train)
        tokenizer = generator.module.tokenizer
        for part in (tokenizer.lf, tokenizer.hf):
            part.quantizer = Counting(part.quantizer, RULES[rule])
        with tempfile.TemporaryDirectory() as state:
            how = {"seed": seed, "device": "cpu", "progress": False}
            history = generator._fit_tokenizer(self.train, self.validation, Path(state), how)
        return {
            "validation_loss": float(history["validation_loss"].iloc[-1]),
            **self.errors(generator),
            **self.usage(generator),
        }

    def errors(self, generator: TimeVQVAE) -> dict[str, float]:
        """Return the relative RMSE of held-out records' reconstruction: of all classes alike, and of rare ones."""
        each = []
        for label, name in enumerate(RHYTHMS):
            x = generator.to_network(self.held_out.batch(np.flatnonzero(self.held_out.labels == label))[0])
            with torch.no_grad():
                error = generator.module.tokenizer.reconstruct(x) - x
            each.append((name, float(error.square().mean()), float(x.square().mean())))
        share = {
            kind: np.sqrt(sum(e for _, e, _ in found) / sum(p for _, _, p in found))
            for kind, found in (("all", each), ("rare", [row for row in each if row[0] in RARE]))
        }
        return {f"{kind}_relative_rmse": float(value) for kind, value in share.items()}

    def usage(self, generator: TimeVQVAE) -> dict[str, float]:
        """Return for each band the codes in use on the training records, their perplexity, how many of them are rare
        (chosen less often than a tenth of the fair share), and the codes restarted per step.
        """
        out: dict[str, float] = {}
        tokens = generator.tokens(self.train, "cpu")
        for band, codes in (("lf", generator.settings.lf_codes), ("hf", generator.settings.hf_codes)):
            found = torch.from_numpy(getattr(tokens, band).astype(np.int64))
            count = torch.bincount(found.flatten(), minlength=codes)
            used, perplexity = codebook_usage(found, codes)
            quantizer = getattr(generator.module.tokenizer, band).quantizer
            out |= {
                f"{band}_used": used,
                f"{band}_perplexity": perplexity,
                f"{band}_rare": float(((count > 0) & (count < SHARE * found.numel() / codes)).sum()),
                f"{band}_replaced_per_step": quantizer.replaced / quantizer.steps,
            }
        return out


def compute(work: Path, args: argparse.Namespace) -> None:
    """Measure what is missing in the working folder."""
    bench = functools.cache(lambda draft: Bench(work, draft))
    for number in args.steps:
        for draft in args.records:
            for seed in args.seeds:
                for rule in args.rules:
                    path = work / "codebook" / f"{draft}-{rule.replace(' ', '_')}-{number}-{seed}.json"
                    if not path.exists():
                        found = {"records": draft, "steps": number, "rule": rule, "seed": seed}
                        found |= bench(draft).row(rule, number, seed)
                        log.info("%s", json.dumps(found))
                        write_json(path, found)


def collect(work: Path) -> pd.DataFrame:
    """Return a row for each finished measurement, in the order of :data:`RULES`."""
    found = pd.DataFrame([read_json(path) for path in sorted((work / "codebook").glob("*.json"))])
    order = {name: i for i, name in enumerate([*WAYS, *RULES])}
    by = ["records", "steps", "rule", "seed"]
    return found.sort_values(by, key=lambda c: c.map(order) if c.name in ("records", "rule") else c)


def render(found: pd.DataFrame) -> str:
    """Return the means over seeds of the CSV as a Markdown table."""
    heads = ["stage 1 learns", "steps", "a code is restarted", "relative RMSE", "of the rare rhythms"]
    heads += ["codes in use, LF HF", "perplexity", "rare codes", "restarted per step"]
    lines = []
    for (records, steps, rule), own in found.groupby(["records", "steps", "rule"], sort=False):
        mean, least, most = (getattr(own.drop(columns=["records", "rule"]), name)() for name in ("mean", "min", "max"))
        both = [" ".join(f"{mean[f'{b}_{name}']:.0f}" for b in ("lf", "hf")) for name in ("used", "perplexity", "rare")]
        restarted = " ".join(f"{mean[f'{b}_replaced_per_step']:.1f}" for b in ("lf", "hf"))
        errors = [f"{mean[n]:.3f} ({least[n]:.3f}–{most[n]:.3f})" for n in ("all_relative_rmse", "rare_relative_rmse")]
        lines.append([WAYS[str(records)], steps, rule, *errors, *both, restarted])
    return markdown_table(heads, lines)


def main() -> None:
    arguments = learning_parser(__doc__)
    arguments.add_argument("--records", nargs="+", choices=WAYS, default=list(WAYS))
    arguments.add_argument("--rules", nargs="+", choices=RULES, default=list(RULES))
    arguments.add_argument("--steps", nargs="+", type=int, default=list(STEPS))
    arguments.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS))
    args = arguments.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(1)
    if not (args.render or args.collect):
        compute(args.work, args)
    publish(args, CSV, DOCUMENT, collect, render, "%.4g")


if __name__ == "__main__":
    main()
