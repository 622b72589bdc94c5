"""Training and sampling speed of the generators, compared with other packages from PyPI.

    pip install --constraint constraints.txt --editable '.[benchmark]'
    python benchmarks/generators.py --work /tmp/generators   # about five minutes on one idle core
    python benchmarks/generators.py --render                 # writes the section of docs/performance.md again

Each network runs in its own process on one thread, and CPU time is measured. A training step is the same for all: loss,
backward pass, gradients clipped to norm 1, AdamW, moving average of the weights. Finished measurements are kept in the
folder `--work`; an interrupted run resumes.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
import psutil
from measuring import DATA, DOCS, machine, parse, parser, write_section
from tqdm import tqdm

CSV = DATA / "generators_benchmark.csv"

CHANNELS, LENGTH, BATCH, CLASSES = 8, 1000, 16, 7
TRAIN_SECONDS = 4.0
"""Approximate CPU seconds of timed training."""
DRAWN, EVALUATIONS = 4, 20


# -- networks ---------------------------------------------------------------------------------------------------------


class Network(Protocol):
    """A model with the loss and sampler of its library."""

    parameters: int

    def train(self, steps: int) -> None:
        """Take training steps of ``BATCH`` records."""
        ...

    def draw(self) -> None:
        """Draw ``DRAWN`` records with ``EVALUATIONS`` passes each."""
        ...


class Ours:
    """A generator of this package, in this package's training loop."""

    def __init__(self, name: str, **settings: Any) -> None:
        from ecgpipe.dataset import Dataset, SignalSpec
        from ecgpipe.generate.registry import load_class

        classes = tuple("ABCDEFG")
        splits = np.array(["train"] * 3 * BATCH + ["validation"])
        records = pd.DataFrame({"label": [classes[i % CLASSES] for i in range(len(splits))], "split": splits})
        signals = np.random.default_rng(0).standard_normal((len(splits), 12, LENGTH)).astype(np.float32)
        self._dataset = Dataset(signals, records, SignalSpec(100.0, LENGTH, classes))
        self._class: Any = load_class(name, None)
        self._settings = {"draft": "none", "optimizer": "adamw", "batch": BATCH, "checkpoint_seconds": 1e9, **settings}
        self._generator = self._class(self._class.Settings.model_validate(self._settings), self._dataset.spec)
        self.parameters = sum(p.numel() for p in self._generator.module.parameters())

    def train(self, steps: int) -> None:
        from ecgpipe.generate.protocol import Signals

        settings = self._class.Settings.model_validate({**self._settings, "steps": steps, "validate_every": steps})
        self._generator = self._class(settings, self._dataset.spec)
        with tempfile.TemporaryDirectory() as state:
            self._generator.fit(
                Signals.of(self._dataset, "train"),
                Signals.of(self._dataset, "validation"),
                seed=0,
                state_dir=Path(state),
                device="cpu",
                progress=False,
            )

    def draw(self) -> None:
        settings = self._class.SampleSettings(evaluations=EVALUATIONS)
        self._generator.sample(np.arange(DRAWN) % CLASSES, settings=settings, seeds=np.arange(DRAWN), device="cpu")


class Peer:
    """A network of another library."""

    def __init__(
        self, network: Any, loss: Callable[[Any, Any], Any], average: Callable[[], None], draw: Callable[[], Any]
    ) -> None:
        import torch

        self._network, self._loss, self._average, self._draw = network, loss, average, draw
        self.parameters = sum(p.numel() for p in network.parameters())
        self._optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4)
        self._x, self._y = torch.randn(BATCH, CHANNELS, LENGTH), torch.arange(BATCH) % CLASSES

    def train(self, steps: int) -> None:
        import torch

        self._network.train()
        for _ in range(steps):
            self._optimizer.zero_grad(set_to_none=True)
            self._loss(self._x, self._y).backward()
            torch.nn.utils.clip_grad_norm_(self._network.parameters(), 1.0)
            self._optimizer.step()
            self._average()

    def draw(self) -> None:
        self._network.eval()
        self._draw()


def ecgen(backbone: str, **params: Any) -> Peer:
    """Return ecgen's class-conditional diffusion (v-prediction, cosine schedule, DDIM) on one of its backbones."""
    import torch
    from ecgen.families import DiffusionModule
    from ecgen.types import ECGBatch

    label = {"field": "label", "name": "categorical", "params": {"num_classes": CLASSES, "dim": 32}}
    module = DiffusionModule(
        in_channels=CHANNELS,
        backbone={"name": backbone, "params": params},
        conditioning={"encoders": [label], "vector_dim": 32, "dropout": {"label": 0.1}},
    )

    def loss(x: Any, y: Any) -> Any:
        return module._loss(ECGBatch(x, [""] * CHANNELS, 100, cond={"label": y}))

    def draw() -> Any:
        cond = {"label": torch.arange(DRAWN) % CLASSES}
        return module.sample(n_samples=DRAWN, seq_length=LENGTH, cond=cond, steps=EVALUATIONS, seed=0)

    return Peer(module, loss, module.ema.update, draw)


def diffusers(*widths: int) -> Peer:
    """Return diffusers' UNet1DModel with its schedulers (v-prediction, cosine, DPM-Solver++); it takes no class."""
    import torch
    from diffusers import DDPMScheduler, DPMSolverMultistepScheduler, UNet1DModel
    from diffusers.training_utils import EMAModel

    network: Any = UNet1DModel(
        sample_size=LENGTH,
        in_channels=CHANNELS,
        out_channels=CHANNELS,
        extra_in_channels=2 * widths[0],
        block_out_channels=widths,
    )
    schedule: dict[str, Any] = {"beta_schedule": "squaredcos_cap_v2", "prediction_type": "v_prediction"}
    noising: Any = DDPMScheduler(**schedule)
    solver: Any = DPMSolverMultistepScheduler(**schedule)
    average = EMAModel(network.parameters(), decay=0.999)

    def loss(x: Any, y: Any) -> Any:
        noise, step = torch.randn_like(x), torch.randint(0, 1000, (len(x),))
        predicted = network(noising.add_noise(x, noise, step), step).sample
        return torch.nn.functional.mse_loss(predicted, noising.get_velocity(x, noise, step))

    @torch.no_grad()
    def draw() -> None:
        solver.set_timesteps(EVALUATIONS)
        x = torch.randn(DRAWN, CHANNELS, LENGTH)
        for step in solver.timesteps:
            x = solver.step(network(x, step).sample, step, x).prev_sample

    return Peer(network, loss, lambda: average.step(network.parameters()), draw)


@dataclass(frozen=True)
class Contender:
    """A network to time, and the kind of networks it is compared with."""

    kind: str
    package: str
    what: str
    build: Callable[[], Network]


CONTENDERS = {
    "unet": Contender("U-Net", "ecgpipe", "time_diffusion, patch 8", lambda: Ours("time_diffusion", widths=(64, 96))),
    "unet_1": Contender(
        "U-Net",
        "ecgpipe",
        "time_diffusion, patch 1",
        lambda: Ours("time_diffusion", patch=1, widths=(32, 64, 96), attention_levels=1),
    ),
    "unet_ecgen": Contender(
        "U-Net",
        "ecgen",
        "unet1d",
        lambda: ecgen("unet1d", base_channels=16, channel_mults=(1, 2, 4, 4), num_res_blocks=1),
    ),
    "unet_diffusers": Contender("U-Net", "diffusers", "UNet1DModel", lambda: diffusers(16, 40, 56)),
    "wave": Contender(
        "DiffWave and S4", "ecgpipe", "diffwave, dilated, patch 8", lambda: Ours("diffwave", channels=88)
    ),
    "wave_s4": Contender(
        "DiffWave and S4",
        "ecgpipe",
        "diffwave, S4, patch 1",
        lambda: Ours("diffwave", backbone="s4", conditioning="added", patch=1, channels=56, layers=8),
    ),
    "wave_ecgen": Contender("DiffWave and S4", "ecgen", "ssm (S4D)", lambda: ecgen("ssm", channels=96, depth=8)),
}


# -- speed ------------------------------------------------------------------------------------------------------------


def timed(work: Callable[[], None]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def contend(name: str) -> dict[str, float]:
    """Time one network in this process; a first training step warms up and is not counted."""
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(0)
    network = CONTENDERS[name].build()
    idle = psutil.Process().memory_info().rss
    network.train(1)
    step = timed(lambda: network.train(1))
    steps = max(2, min(100, round(TRAIN_SECONDS / step)))
    training = timed(lambda: network.train(steps)) / (steps * BATCH)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    drawing = timed(network.draw) / DRAWN
    return {
        "parameters": network.parameters,
        "train_ms": 1000 * training,
        "sample_ms": 1000 * drawing,
        "peak_mb": (peak - idle) / 1e6,
    }


def measure(work: Path) -> pd.DataFrame:
    """Time all contenders; return a row for each."""
    work.mkdir(parents=True, exist_ok=True)
    rows = []
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    for name, contender in tqdm(CONTENDERS.items(), unit="network"):
        note = work / f"{name}.json"
        if not note.exists():
            command = [sys.executable, __file__, "--work", str(work), "--contender", name]
            done = subprocess.run(command, env=environment, text=True, capture_output=True, check=False)
            if done.returncode:
                raise RuntimeError(f"{name} failed:\n{done.stderr[-3000:]}")
            note.write_text(done.stdout.splitlines()[-1], encoding="utf-8")
        own = contender.package == "ecgpipe"
        label = contender.what if own else f"{contender.package} {version(contender.package)}, {contender.what}"
        facts = {"name": name, "kind": contender.kind, "package": contender.package, "label": label}
        rows.append({**facts, **json.loads(note.read_text(encoding="utf-8"))})
    return pd.DataFrame(rows)


# -- the document -----------------------------------------------------------------------------------------------------


def render(table: pd.DataFrame) -> str:
    """Return the section of docs/performance.md."""
    first = table.iloc[0]
    on_gpu = (
        "No GPU was available: the presets `full` and `paper`, bfloat16, `torch.compile` and several GPUs are not "
        "timed."
    )
    if (DATA / "device.csv").exists():
        on_gpu = "The other packages are not timed on a GPU; [this package is](#on-a-gpu)."
    lines = [
        "## Generators compared with other packages",
        "",
        f"Measured by `python benchmarks/generators.py` on {first['machine']}, {first['date']}, torch "
        f"{first['torch']}, one thread, float32. Signals have {CHANNELS} leads and {LENGTH} samples, batches have "
        f"{BATCH} records, and drawing a record takes {EVALUATIONS} network evaluations. Times are CPU times of one "
        f"run at a load average of {first['load']:.0f}. Memory is what training adds to the idle process. {on_gpu}",
    ]
    for kind, rows in table.groupby("kind", sort=False):
        peers = rows[rows["package"] != "ecgpipe"]
        times = [f"{what}, times {p.package}" for what in ("training", "sampling") for p in peers.itertuples()]
        columns = [str(kind), "parameters", "training, records/s", "sampling, records/s", "peak memory, MB", *times]
        lines += ["", f"| {' | '.join(columns)} |", "|---" + "|---:" * (len(columns) - 1) + "|"]
        for row in rows.itertuples():
            cells = [
                row.label,
                f"{row.parameters:,.0f}",
                f"{1000 / row.train_ms:.1f}",
                f"{1000 / row.sample_ms:.2f}",
                f"{row.peak_mb:.0f}",
            ]
            for cost in ("train_ms", "sample_ms"):
                cells += [f"{getattr(peer, cost) / getattr(row, cost):.2f}" for peer in peers.itertuples()]
            lines.append(f"| {' | '.join(cells)} |")
    lines += [
        "",
        "The networks have nearly the same number of parameters, within about a tenth, but use them differently; "
        "that is part of the comparison. With `patch 8` the network treats eight samples of all leads as one "
        "position, which is where most of its speed comes from; `patch 1` is the like-for-like network. A training "
        "step of ecgpipe includes reading and drawing the batch and one evaluation of the validation loss. The other "
        "packages get their batch at no cost, and diffusers' network is not conditioned on the class. The dilated "
        "`diffwave` is a wider version of its preset `small`. With S4 it has 8 layers of 56 channels (112 inside), "
        "and ecgen has 8 of 96. The aim was 1.5 times the training throughput of the other packages at the same "
        "number of parameters and length. It is reached with patches; without them only diffwave's S4 reaches it.",
    ]
    return "\n".join(lines)


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--work", type=Path, help="folder for the finished measurements")
    arguments.add_argument("--contender", choices=list(CONTENDERS), help=argparse.SUPPRESS)
    args = parse(arguments)
    if args.contender:
        print(json.dumps(contend(args.contender)))
        return
    if not args.render:
        table = measure(args.work)
        day = time.strftime("%Y-%m-%d", time.gmtime())
        facts = {"machine": machine(), "date": day, "torch": version("torch"), "load": os.getloadavg()[0]}
        table.assign(**facts).to_csv(CSV, index=False, float_format="%.6g")
    write_section(DOCS / "performance.md", "generators", render(pd.read_csv(CSV)))


if __name__ == "__main__":
    main()
