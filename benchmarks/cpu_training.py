"""What makes training steps fast on a CPU core: the presets `small`, each choice changed alone.

    python benchmarks/cpu_training.py           # about seven minutes on one idle core; needs a C++ compiler
    python benchmarks/cpu_training.py --render  # writes the section of docs/performance.md again

The generators' own ``fit`` runs on simulated records. At each network, trainers that differ in one choice take turns at
a few steps in the package's training loop, so that other load hits all alike. CPU time is measured, and each turn is
compared with that of the unchanged trainer in the same round; the median over rounds counts.
"""

from __future__ import annotations

import copy
import functools
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pandas as pd
import torch
from device_training import make, simulated_records
from measuring import DATA, DOCS, machine, markdown_table, parser, write_section
from torch import nn

from ecgpipe.generate import training
from ecgpipe.generate.protocol import Signals

CSV = DATA / "cpu_training.csv"
GENERATORS = ("time_diffusion", "diffwave", "time_vqvae")
DRAFTS = ("beats", "mean_beat")
DRAFT_STEPS = 20
"""Steps of the models of drafts, which are not what is timed here."""
ROUNDS = 7
TURN_SECONDS = 0.8
UNCHANGED = "as it is"


def contiguous(module: nn.Module) -> nn.Module:
    """Undo the channels-last layout of a module's weights."""
    return module.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]  # missing from torch's stubs


def ways(settings: training.TrainingSettings) -> dict[str, dict[str, Any]]:
    """Return what is changed in each way: settings, and under ``None`` what is done to the module or the optimiser."""
    other = "adamw" if settings.optimizer == "muon" else "muon"
    return {
        UNCHANGED: {},
        "fp32": {"precision": "fp32"},
        "channels first": {"module": contiguous},
        "AdamW not fused": {"optimizer": "adamw", "fused": False},
        other: {"optimizer": other},
        "compiled": {"compile": True},
        "half the batch": {"batch": settings.batch // 2},
        "twice the batch": {"batch": 2 * settings.batch},
    }


def turn(trainer: training._Trainer, steps: int) -> float:
    """Take steps, and return the records a CPU second."""
    started = time.process_time()
    for _ in range(steps):
        trainer.step()
    return steps * trainer.settings.batch / (time.process_time() - started)


def trainers(
    module: nn.Module, new: Callable[[nn.Module, training.TrainingSettings], training._Trainer], settings: Any
) -> tuple[dict[str, training._Trainer], dict[str, float]]:
    """Return a trainer for each way that has taken three steps, and how long the first took, in seconds."""
    out, first = {}, {}
    adamw = torch.optim.AdamW
    for way, change in ways(settings).items():
        change = dict(change)
        prepare, fused = change.pop("module", None), change.pop("fused", True)
        own = copy.deepcopy(module)
        with mock.patch.object(torch.optim, "AdamW", functools.partial(adamw) if fused else _unfused(adamw)):
            trainer = new(prepare(own) if prepare else own, settings.model_copy(update=change))
        started = time.perf_counter()
        trainer.step()
        first[way] = time.perf_counter() - started
        turn(trainer, 2)
        out[way] = trainer
    return out, first


def _unfused(adamw: Any) -> Callable[..., Any]:
    return lambda *args, **kwargs: adamw(*args, **{**kwargs, "fused": False, "foreach": False})


def measure(generator: str, records: Any) -> list[dict[str, Any]]:
    """Time the networks of a generator; return a row for each way of each."""
    rows: list[dict[str, Any]] = []
    train = training.train

    def timed(module: nn.Module, loss: Any, learned: Signals, held_out: Signals, settings: Any, **how: Any) -> Any:
        stage = how.get("stage", "train")
        if stage in DRAFTS:
            few = settings.model_copy(update={"steps": DRAFT_STEPS, "validate_every": DRAFT_STEPS, "warmup": 1})
            return train(module, loss, learned, held_out, few, **how)

        def new(own: nn.Module, changed: training.TrainingSettings) -> training._Trainer:
            device, seed = torch.device("cpu"), how["seed"]
            return training._Trainer(own, loss, learned, held_out, changed, seed=seed, device=device, stage=stage)

        by_way, first = trainers(module, new, settings)
        steps = {way: max(1, round(TURN_SECONDS * turn(t, 2) / t.settings.batch)) for way, t in by_way.items()}
        rounds = [{way: turn(t, steps[way]) for way, t in by_way.items()} for _ in range(ROUNDS)]
        for way in by_way:
            rate = statistics.median(r[way] for r in rounds)
            ratios = sorted(r[way] / r[UNCHANGED] for r in rounds)
            row = {"generator": generator, "stage": stage, "way": way, "batch": by_way[way].settings.batch}
            row |= {"optimizer": by_way[way].settings.optimizer, "first_step_s": first[way]}
            row |= {"records_per_cpu_second": rate, "ratio": statistics.median(ratios)}
            rows.append({**row, "ratio_low": ratios[0], "ratio_high": ratios[-1]})
            print(row, flush=True)
        module.eval()
        return pd.DataFrame({"stage": [stage]})

    made = make(generator, "small", records.spec, smoke=False)
    with mock.patch.object(training, "train", timed), tempfile.TemporaryDirectory() as state:
        made.fit(
            Signals.of(records, "train"),
            Signals.of(records, "validation"),
            seed=1,
            state_dir=Path(state),
            device="cpu",
            progress=False,
        )
    return rows


def render(found: pd.DataFrame) -> str:
    """Return the section: one row a network, its ways beside it."""
    about = found.iloc[0]
    text = (
        "### Training on a CPU: what each choice brings\n\n"
        f"Measured by `python benchmarks/cpu_training.py` on {about['machine']}, one thread, {about['day']}; the values"
        " are in `docs/data/cpu_training.csv`. The networks of the presets `small` train in the package's own loop on"
        " simulated records. *Records/s* are a CPU second's, as the presets are. The other columns are the rate after"
        " one choice is changed, relative to that, the median of"
        f" {ROUNDS} rounds and in brackets the lowest and the highest. *Compiled* leaves out compilation, whose time in"
        " seconds follows. Muon is for matrices; its other parameters have an AdamW of its own.\n\n"
    )
    names = [way for way in found["way"].unique() if way != UNCHANGED]
    lines = []
    for (generator, stage), rows in found.groupby(["generator", "stage"], sort=False):
        rows = rows.set_index("way")
        line = [f"{generator}, {stage}", f"{rows.loc[UNCHANGED, 'records_per_cpu_second']:.0f}"]
        line.append(f"{rows.loc[UNCHANGED, 'batch']}, {rows.loc[UNCHANGED, 'optimizer']}")
        for way in names:
            cell = ""
            if way in rows.index:
                row = rows.loc[way]
                cell = f"{row['ratio']:.2f} ({row['ratio_low']:.2f}–{row['ratio_high']:.2f})"
                cell += f", {row['first_step_s']:.0f} s" if way == "compiled" else ""
            line.append(cell)
        lines.append(line)
    return text + markdown_table(["network", "records/s", "batch, optimiser", *names], lines)


def main() -> None:
    args = parser(__doc__).parse_args()
    if not args.render:
        torch.set_num_threads(1)
        records = simulated_records(1120)
        found = pd.DataFrame([row for name in GENERATORS for row in measure(name, records)])
        found = found.assign(machine=machine(), day=time.strftime("%Y-%m-%d"))
        found.to_csv(CSV, index=False, float_format="%.4g")
    write_section(DOCS / "performance.md", CSV.stem, render(pd.read_csv(CSV)))


if __name__ == "__main__":
    main()
