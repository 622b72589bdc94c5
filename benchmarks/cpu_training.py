"""What makes training steps fast on a CPU core: the presets `small`, one choice changed at a time.

    python benchmarks/cpu_training.py           # about seven minutes on one idle core; needs a C++ compiler
    python benchmarks/cpu_training.py --render  # writes the section of docs/performance.md again

The generators' own ``fit`` runs on simulated records. At each network, trainers that differ in one choice take turns at
a few steps in the package's training loop, so that other load hits all alike. CPU time is measured, and each turn is
compared with another one of the same round, as a rule that of the unchanged trainer; the median over rounds counts.

How convolutions are laid out is built into the networks. It is timed on a convolution alone, forward and backward.
"""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable
from typing import Any

import pandas as pd
import torch
from device_training import fit_with, make, simulated_records
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
UNCHANGED, FUSED, UNFUSED = "as it is", "AdamW", "AdamW not fused, beside AdamW"
CONVOLUTION = "convolution"
LAYOUTS = ("one-dimensional", "two-dimensional", "two-dimensional, channels last")


def ways(settings: training.TrainingSettings) -> dict[str, dict[str, Any]]:
    """Return the settings that are changed in each way."""
    return {
        UNCHANGED: {},
        "fp32": {"precision": "fp32"},
        FUSED: {"optimizer": "adamw"},
        UNFUSED: {"optimizer": "adamw"},
        "Muon": {"optimizer": "muon"},
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
    for way, change in ways(settings).items():
        trainer = new(copy.deepcopy(module), settings.model_copy(update=change))
        if way == UNFUSED:
            for group in trainer.state.optimizer.param_groups:
                group |= {"fused": False, "foreach": False}
        started = time.perf_counter()
        trainer.step()
        first[way] = time.perf_counter() - started
        turn(trainer, 2)
        out[way] = trainer
    return out, first


def convolutions(channels: int = 64, width: int = 3, length: int = 125, batch: int = 16) -> list[dict[str, Any]]:
    """Time a convolution of the size of the networks' in each layout; return a row for each, per type of number."""
    rows: list[dict[str, Any]] = []
    for dtype in (torch.float32, torch.bfloat16):
        x = torch.randn(batch, channels, length, dtype=dtype)
        one = nn.Conv1d(channels, channels, width, padding=width // 2, dtype=dtype)
        two = nn.Conv2d(channels, channels, (1, width), padding=(0, width // 2), dtype=dtype)
        last: Any = copy.deepcopy(two).to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # stubs
        image = x[:, :, None]
        given = (x, image.contiguous(), image.contiguous(memory_format=torch.channels_last))
        cases = list(zip(LAYOUTS, (one, two, last), (t.requires_grad_() for t in given), strict=True))

        def rate(layer: nn.Module, signals: torch.Tensor, times: int) -> float:
            started = time.process_time()
            for _ in range(times):
                layer(signals).sum().backward()
            return times * batch / (time.process_time() - started)

        times = {name: max(1, round(TURN_SECONDS * rate(layer, t, 20) / batch)) for name, layer, t in cases}
        rounds = [{name: rate(layer, t, times[name]) for name, layer, t in cases} for _ in range(ROUNDS)]
        about = {"generator": CONVOLUTION, "stage": str(dtype).removeprefix("torch."), "batch": batch, "optimizer": ""}
        rows += [{**about, "way": name, **compared(rounds, name, LAYOUTS[0])} for name in LAYOUTS]
    return rows


def compared(rounds: list[dict[str, float]], way: str, base: str) -> dict[str, float]:
    """Return the median rate of a way, and its ratio to another one's of the same round: median, lowest, highest."""
    ratios = sorted(r[way] / r[base] for r in rounds)
    rate = statistics.median(r[way] for r in rounds)
    ratio = {"ratio": statistics.median(ratios), "ratio_low": ratios[0], "ratio_high": ratios[-1]}
    return {"records_per_cpu_second": rate, **ratio}


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
            row = {"generator": generator, "stage": stage, "way": way, "batch": by_way[way].settings.batch}
            row |= {"optimizer": by_way[way].settings.optimizer, "first_step_s": first[way]}
            rows.append({**row, **compared(rounds, way, FUSED if way == UNFUSED else UNCHANGED)})
            print(rows[-1], flush=True)

        module.eval()
        return pd.DataFrame({"stage": [stage]})

    fit_with(timed, make(generator, "small", records.spec, smoke=False), records, "cpu")
    return rows


def render(found: pd.DataFrame) -> str:
    """Return the section: one row a network with its ways, and one a type of number with the layouts."""
    about = found.iloc[0]
    text = (
        "### Training on a CPU: what each choice brings\n\n"
        f"Measured by `python benchmarks/cpu_training.py` on {about['machine']}, one thread, {about['day']}; the values"
        " are in `docs/data/cpu_training.csv`. The networks of the presets `small` train in the package's own loop on"
        " simulated records. *Records/s* are a CPU second's, as the presets are (on this processor in bf16, which it"
        " multiplies in hardware). The other columns are the rate after one choice is changed, relative to that, the"
        f" median of {ROUNDS} rounds and in brackets the lowest and the highest. *Compiled* leaves out compilation,"
        " whose time in seconds follows. Where a preset has the optimiser of a column already, it shows how much"
        " two equal trainings differ.\n\n"
    )
    layouts = found["generator"] == CONVOLUTION
    heads, lines = _lines(found[~layouts], UNCHANGED)
    text += markdown_table(["network", "records/s", "batch, optimiser", *heads], lines)
    heads, lines = _lines(found[layouts], LAYOUTS[0])
    text += (
        "\nA convolution of the size of the networks' (64 channels, 125 positions, width 3), forward and backward:"
        f" records a CPU second where it is {LAYOUTS[0]}, and the other layouts relative to that.\n\n"
    )
    return text + markdown_table(["numbers", "records/s", "batch", *heads], lines)


def _lines(found: pd.DataFrame, base: str) -> tuple[list[str], list[list[str]]]:
    """Return the ways besides the base, and the lines of a table with a column for each."""
    names, lines = [way for way in found["way"].unique() if way != base], []
    for (generator, stage), rows in found.groupby(["generator", "stage"], sort=False):
        rows = rows.set_index("way")
        how = [f"{rows.loc[base, 'batch']}", str(rows["optimizer"].fillna("").iloc[0])]
        line = [stage if generator == CONVOLUTION else f"{generator}, {stage}"]
        line += [f"{rows.loc[base, 'records_per_cpu_second']:.0f}", ", ".join(filter(None, how))]
        for row in (rows.loc[way] for way in names):
            seconds = f", {row['first_step_s']:.0f} s" if row.name == "compiled" else ""
            line.append(f"{row['ratio']:.2f} ({row['ratio_low']:.2f}–{row['ratio_high']:.2f}){seconds}")
        lines.append(line)
    return names, lines


def main() -> None:
    args = parser(__doc__).parse_args()
    if not args.render:
        torch.set_num_threads(1)
        records = simulated_records(1120)
        found = pd.DataFrame([*convolutions(), *(row for name in GENERATORS for row in measure(name, records))])
        found = found.assign(machine=machine(), day=time.strftime("%Y-%m-%d"))
        found.to_csv(CSV, index=False, float_format="%.4g")
    write_section(DOCS / "performance.md", CSV.stem, render(pd.read_csv(CSV)))


if __name__ == "__main__":
    main()
