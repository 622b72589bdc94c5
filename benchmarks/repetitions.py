"""Repetitions of one small CNN, trained one after another and together by torch.func.

    python benchmarks/repetitions.py            # on a GPU: --device cuda
    python benchmarks/repetitions.py --render   # writes the section of docs/statistics.md again

Both ways train the same networks on the same batches for the same steps; their weights are compared at the end.
Together means stacked parameters, one vmapped gradient and one AdamW over the stack, which turns every convolution
into a grouped one.
"""

from __future__ import annotations

import copy
import time

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from measuring import DATA, DOCS, markdown_table, parser, write_section
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, stack_module_state, vmap
from torch.utils.flop_counter import FlopCounterMode

from ecgpipe.classify.cnn import RhythmCNN

CSV = DATA / "repetitions.csv"
RECORDS, LEADS, LENGTH, CLASSES = 256, 12, 1000, 7
NETWORKS = {
    "demo": {"blocks": 5, "channels": 8, "kernel": 7, "width": 64, "dense_layers": 1},
    "chapman": {"blocks": 5, "channels": 16, "kernel": 7, "width": 256, "dense_layers": 3},
}


def networks(name: str, repetitions: int, device: torch.device) -> list[nn.Module]:
    """Return untrained networks, without dropout so that both ways can be compared."""
    torch.manual_seed(0)
    return [RhythmCNN(LEADS, LENGTH, CLASSES, dropout=0.0, **NETWORKS[name]).to(device) for _ in range(repetitions)]


def one_after_another(models: list[nn.Module], x: Tensor, y: Tensor, batches: np.ndarray) -> list[dict[str, Tensor]]:
    """Train each network on its own batches ``(steps, repetitions, batch)``; return the weights."""
    for number, model in enumerate(models):
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
        for positions in batches[:, number]:
            optimizer.zero_grad()
            F.cross_entropy(model(x[positions]), y[positions]).backward()
            optimizer.step()
    return [dict(model.named_parameters()) for model in models]


def together(models: list[nn.Module], x: Tensor, y: Tensor, batches: np.ndarray) -> list[dict[str, Tensor]]:
    """Train all networks at once with stacked parameters; return the weights."""
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
        """Return CPU seconds, which other work on the machine hardly changes; on a GPU wall-clock seconds."""
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
            way(models, x, y, batches[:1])  # warm-up
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
        "one_after_another_s": round(seconds["one_after_another"], 4),
        "together_s": round(seconds["together"], 4),
        "ratio": round(seconds["one_after_another"] / seconds["together"], 2),
        "one_after_another_gflops": round(gigaflops / seconds["one_after_another"], 1),
        "together_gflops": round(gigaflops / seconds["together"], 1),
        "largest_difference_of_weights": f"{apart:.1e}",
    }


def render(table: pd.DataFrame) -> str:
    """Return the section of docs/statistics.md."""
    heads = ["network", "repetitions", "one after another (CPU s)", "together (CPU s)", "ratio"]
    heads += ["GFLOP/s, one after another", "GFLOP/s, together", "largest difference of weights"]
    columns = ["network", "repetitions", "one_after_another_s", "together_s", "ratio"]
    columns += ["one_after_another_gflops", "together_gflops", "largest_difference_of_weights"]
    return markdown_table(heads, table[columns].itertuples(index=False))


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--repetitions", type=int, default=25)
    arguments.add_argument("--batch", type=int, default=16)
    arguments.add_argument("--steps", type=int, default=3)
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
