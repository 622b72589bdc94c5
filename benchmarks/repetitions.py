"""Repetitions of one small CNN trained one after another, and together by torch.func. Writes docs/data/repetitions.csv.

Both train the same networks on the same batches with the same steps (their weights are compared at the end); together
means stacked parameters, one vmapped gradient and one AdamW over the stack, which makes every convolution a grouped one.
Run it from the repository's root: ``python benchmarks/repetitions.py``, on a GPU with ``--device cuda``.
"""

from __future__ import annotations

import argparse
import copy
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, stack_module_state, vmap
from torch.utils.flop_counter import FlopCounterMode

from ecgpipe.classify.cnn import RhythmCNN

RECORDS, LEADS, LENGTH, CLASSES = 256, 12, 1000, 7
NETWORKS = {
    "demo": {"blocks": 5, "channels": 8, "kernel": 7, "width": 64, "dense_layers": 1},
    "chapman": {"blocks": 5, "channels": 16, "kernel": 7, "width": 256, "dense_layers": 3},
}


def networks(name: str, repetitions: int, device: torch.device) -> list[nn.Module]:
    """Return untrained networks; without dropout, so that both ways can be compared."""
    torch.manual_seed(0)
    return [RhythmCNN(LEADS, LENGTH, CLASSES, dropout=0.0, **NETWORKS[name]).to(device) for _ in range(repetitions)]


def one_after_another(models: list[nn.Module], x: Tensor, y: Tensor, batches: np.ndarray) -> list[dict[str, Tensor]]:
    """Train each on its own batches ``(steps, repetitions, batch)``; return the weights."""
    for number, model in enumerate(models):
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
        for positions in batches[:, number]:
            optimizer.zero_grad()
            F.cross_entropy(model(x[positions]), y[positions]).backward()
            optimizer.step()
    return [dict(model.named_parameters()) for model in models]


def together(models: list[nn.Module], x: Tensor, y: Tensor, batches: np.ndarray) -> list[dict[str, Tensor]]:
    """The same with stacked parameters."""
    base = copy.deepcopy(models[0]).to("meta")
    stacked, _ = stack_module_state(models)
    stacked = {name: value.detach().clone().requires_grad_() for name, value in stacked.items()}
    optimizer = torch.optim.AdamW(stacked.values(), lr=1e-3, fused=True)

    def loss(parameters: dict[str, Tensor], signals: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(functional_call(base, parameters, (signals,)), labels)

    step = vmap(grad_and_value(loss))
    for positions in batches:
        with torch.no_grad():
            gradients, _ = step(stacked, x[positions], y[positions])
        for name, value in stacked.items():
            value.grad = gradients[name]
        optimizer.step()
    return [{name: value[number] for name, value in stacked.items()} for number in range(len(models))]


def measure(name: str, repetitions: int, batch: int, steps: int, device: torch.device) -> dict[str, object]:
    """Time both ways, twice each, and keep the faster time."""
    rng = np.random.default_rng(0)
    x = torch.randn(RECORDS, LENGTH, LEADS, device=device).transpose(1, 2)
    y = torch.randint(CLASSES, (RECORDS,), device=device)
    batches = rng.integers(RECORDS, size=(steps, repetitions, batch))
    with FlopCounterMode(display=False) as counter:
        F.cross_entropy(networks(name, 1, device)[0](x[:batch]), y[:batch]).backward()

    def clock() -> float:
        """Processor seconds, which other work on the machine does not lengthen much; on a GPU wall-clock seconds."""
        if device.type == "cpu":
            return time.process_time()
        torch.cuda.synchronize()
        return time.perf_counter()

    results: dict[str, list[dict[str, Tensor]]] = {}
    seconds: dict[str, float] = {}
    for way in (one_after_another, together):
        times = []
        for _ in range(2):
            models = networks(name, repetitions, device)
            way(models, x, y, batches[:1])  # warm
            models = networks(name, repetitions, device)
            started = clock()
            results[way.__name__] = way(models, x, y, batches)
            times.append(clock() - started)
        seconds[way.__name__] = min(times)
    apart = max(
        float((a[key] - b[key]).detach().abs().max())
        for a, b in zip(results["one_after_another"], results["together"], strict=True)
        for key in a
    )
    gigaflops = counter.get_total_flops() * steps * repetitions / 1e9
    return {
        "device": str(device),
        "threads": torch.get_num_threads(),
        "network": name,
        "repetitions": repetitions,
        "batch": batch,
        "steps": steps,
        "one_after_another_s": round(seconds["one_after_another"], 2),
        "together_s": round(seconds["together"], 2),
        "ratio": round(seconds["one_after_another"] / seconds["together"], 2),
        "one_after_another_gflops": round(gigaflops / seconds["one_after_another"], 1),
        "together_gflops": round(gigaflops / seconds["together"], 1),
        "largest_difference_of_weights": f"{apart:.1e}",
    }


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--repetitions", type=int, default=25)
    arguments.add_argument("--batch", type=int, default=16)
    arguments.add_argument("--steps", type=int, default=3)
    arguments.add_argument("--device", default="cpu")
    arguments.add_argument("--threads", type=int, default=1)
    arguments.add_argument("--out", type=Path, default=Path("docs/data/repetitions.csv"))
    args = arguments.parse_args()
    torch.set_num_threads(args.threads)
    rows = [measure(name, args.repetitions, args.batch, args.steps, torch.device(args.device)) for name in NETWORKS]
    table = pd.DataFrame(rows)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(args.out, index=False)
    print(table.T.to_string())


if __name__ == "__main__":
    main()
