"""Repetitions of one small CNN, trained one after another and together.

    python benchmarks/repetitions.py            # on a GPU: --device cuda
    python benchmarks/repetitions.py --render   # writes the section of docs/statistics.md again

Both ways are those of the study: `ecgpipe.classify.training.fit` for each network, or `ecgpipe.classify.stacked` for
all, on records that are on the device, with dropout, and one validation of a batch at the end. Every network has the
same batches and masks both ways; what they predict is compared at the end.
"""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from measuring import DATA, DOCS, markdown_table, parser, write_section
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from ecgpipe.classify.inputs import InMemory, Inputs, Shared
from ecgpipe.classify.stacked import fit_together
from ecgpipe.classify.training import build, fit, predict
from ecgpipe.config import ClassifierSettings
from ecgpipe.dataset import SignalSpec

CSV = DATA / "repetitions.csv"
SPEC = SignalSpec(100.0, 1000, tuple("ABCDEFG"))
NETWORKS = {
    "demo": {"blocks": 5, "channels": 8, "kernel": 7, "width": 64, "dense_layers": 1},
    "chapman": {"blocks": 5, "channels": 16, "kernel": 7, "width": 256, "dense_layers": 3},
}


class Both:
    """The same trainings one after another and together.

    Args:
        name: of the network.
        repetitions: how many.
        batch: records a step.
        steps: of each training.
        device: where to train.
    """

    def __init__(self, name: str, repetitions: int, batch: int, steps: int, device: torch.device) -> None:
        self.settings = ClassifierSettings(**NETWORKS[name], batch=batch, epochs=1, learning_rate=1e-3)
        self.device, self.seeds = device, list(range(repetitions))
        generator, leads = torch.Generator().manual_seed(0), len(SPEC.leads)
        signals = torch.randn(batch * steps, SPEC.length, leads, generator=generator).to(device)
        labels = torch.randint(len(SPEC.classes), (batch * steps,), generator=generator).to(device)
        self.alone = InMemory(signals.transpose(1, 2), labels)
        positions, zero, one = torch.arange(batch * steps, device=device), torch.zeros(leads), torch.ones(leads)
        self.shared: Inputs = Shared(signals, positions, zero.to(device), one.to(device), labels)
        self.few = InMemory(self.alone.values[:batch], labels[:batch])

    def networks(self) -> list[nn.Module]:
        """Return untrained networks."""
        return [build(SPEC, self.settings, seed).to(self.device) for seed in self.seeds]

    def one_after_another(self, models: list[nn.Module]) -> None:
        """Train each network by itself."""
        for model, seed in zip(models, self.seeds, strict=True):
            fit(model, self.alone, self.few, self.settings, seed, self.device)

    def together(self, models: list[nn.Module]) -> None:
        """Train all networks at once."""
        n = len(models)
        fit_together(models, [self.shared] * n, [self.few] * n, self.settings, self.seeds, self.device)

    def flops(self) -> int:
        """Count the operations of one step of one network."""
        model, inputs = self.networks()[0], self.few
        with FlopCounterMode(display=False) as counter:
            F.cross_entropy(model(inputs.values), inputs.labels).backward()
        return int(counter.get_total_flops())


def measure(name: str, repetitions: int, batch: int, steps: int, device: torch.device) -> dict[str, object]:
    """Time both ways, twice each, and keep the faster time."""
    both, short = (Both(name, repetitions, batch, number, device) for number in (steps, 1))

    def clock() -> float:
        """Return CPU seconds, which other work on the machine hardly changes; on a GPU wall-clock seconds."""
        if device.type == "cpu":
            return time.process_time()
        torch.cuda.synchronize()
        return time.perf_counter()

    predicted: dict[str, np.ndarray] = {}
    seconds: dict[str, float] = {}
    for way in ("one_after_another", "together"):
        times = []
        for _ in range(2):
            getattr(short, way)(short.networks())  # warm-up
            models = both.networks()
            started = clock()
            getattr(both, way)(models)
            times.append(clock() - started)
        seconds[way] = min(times)
        predicted[way] = np.stack([predict(model, both.alone) for model in models])
    apart = np.abs(predicted["one_after_another"] - predicted["together"]).max()
    gigaflops = both.flops() * steps * repetitions / 1e9
    return {
        "device": str(device),
        "threads": torch.get_num_threads(),
        "network": name,
        "repetitions": repetitions,
        "batch": batch,
        "steps": steps,
        "one_after_another_s": round(seconds["one_after_another"], 4),
        "together_s": round(seconds["together"], 4),
        "ratio": round(seconds["one_after_another"] / seconds["together"], 2),
        "one_after_another_gflops": round(gigaflops / seconds["one_after_another"], 1),
        "together_gflops": round(gigaflops / seconds["together"], 1),
        "largest_difference_of_probabilities": f"{apart:.1e}",
    }


def render(table: pd.DataFrame) -> str:
    """Return the section of docs/statistics.md."""
    heads = ["network", "repetitions", "one after another (CPU s)", "together (CPU s)", "ratio"]
    heads += ["GFLOP/s, one after another", "GFLOP/s, together", "largest difference of a predicted probability"]
    columns = ["network", "repetitions", "one_after_another_s", "together_s", "ratio"]
    columns += ["one_after_another_gflops", "together_gflops", "largest_difference_of_probabilities"]
    rounded = table[columns].round({"one_after_another_s": 2, "together_s": 2})
    return markdown_table(heads, rounded.itertuples(index=False))


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--repetitions", type=int, default=25)
    arguments.add_argument("--batch", type=int, default=16)
    arguments.add_argument("--steps", type=int, default=10)
    arguments.add_argument("--device", default="cpu")
    arguments.add_argument("--threads", type=int, default=1)
    args = arguments.parse_args()
    if not args.render:
        torch.set_num_threads(args.threads)
        device = torch.device(args.device)
        rows = [measure(name, args.repetitions, args.batch, args.steps, device) for name in NETWORKS]
        pd.DataFrame(rows).to_csv(CSV, index=False)
    write_section(DOCS / "statistics.md", "repetitions", render(pd.read_csv(CSV)))


if __name__ == "__main__":
    main()
