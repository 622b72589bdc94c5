"""Muon: momentum whose matrices are made orthogonal, so that all directions of a layer learn at one pace.

Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/. The gradient's momentum of a weight, seen as a matrix, is
replaced by the nearest half-orthogonal matrix (a few Newton-Schulz iterations), of which a step is taken. In trainings of
some hundred steps it gets as far as AdamW in two to three times as many. What is no matrix between layers (biases,
norms, embeddings, states), or has a side too short to be turned, is left to AdamW. Both follow one learning rate, of which Muon takes ten times.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

FASTER = 10.0
"""Muon's step, in units of AdamW's learning rate."""
MOMENTUM = 0.95
SHORTEST = 9
"""Least side of a matrix that Muon trains."""
EPSILON = 1e-8

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the iteration's polynomial, which brings singular values between 0.7 and 1.2 in five rounds."""


def orthogonalised(matrices: Tensor) -> Tensor:
    """Return matrices ``(k, rows, columns)`` with their singular values brought near 1."""
    a, b, c = COEFFICIENTS
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.mT if tall else matrices
    x = x / (x.flatten(1).norm(dim=1)[:, None, None] + 1e-7)
    for _ in range(5):
        square = x @ x.mT
        x = a * x + torch.baddbmm(square, square, square, beta=b, alpha=c) @ x
    out: Tensor = x.mT if tall else x
    return out


def matrices_of(module: nn.Module) -> list[Tensor]:
    """Return the weights of dense and convolution layers that are worth turning."""
    layers = (m for m in module.modules() if isinstance(m, nn.Linear | nn.Conv2d | nn.ConvTranspose2d))
    return [layer.weight for layer in layers if min(layer.weight.flatten(1).shape) >= SHORTEST]


class Muon(torch.optim.Optimizer):
    """Muon for some parameters, AdamW for the rest; decay is decoupled in both."""

    def __init__(
        self,
        matrices: Iterable[Tensor],
        others: Iterable[Tensor],
        *,
        betas: tuple[float, float],
        weight_decay: float,
    ) -> None:
        """Take the parameters that Muon trains, those that AdamW trains, and AdamW's decay rates."""
        groups = [{"params": list(matrices), "turned": True}, {"params": list(others), "turned": False}]
        super().__init__([g for g in groups if g["params"]], {"lr": 1e-3, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]  # no loop here asks for a closure's loss
        """Take a step; every parameter has a gradient or is left as it is."""
        for group in self.param_groups:
            given = [p for p in group["params"] if p.grad is not None]
            if group["turned"]:
                self._muon(given, group)
            else:
                self._adamw(given, group)

    def _muon(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        shapes: dict[torch.Size, list[tuple[Tensor, Tensor]]] = {}
        for p in parameters:
            state, gradient = self.state[p], p.grad
            assert gradient is not None
            if not state:
                state["step"], state["exp_avg"] = torch.zeros(()), torch.zeros_like(p)
            state["step"] += 1
            average = state["exp_avg"].lerp_(gradient, 1 - MOMENTUM)
            update = gradient.lerp(average, MOMENTUM).flatten(1)  # Nesterov's
            shapes.setdefault(update.shape, []).append((p, update))
        for (rows, columns), pairs in shapes.items():  # those of one shape together: many small products are slow
            turned = orthogonalised(torch.stack([update for _, update in pairs]))
            pace = group["lr"] * FASTER * math.sqrt(max(1, rows / columns))
            for (p, _), update in zip(pairs, turned, strict=True):
                p.mul_(1 - group["lr"] * group["weight_decay"]).add_(update.view(p.shape), alpha=-pace)

    def _adamw(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        first, second = group["betas"]
        for p in parameters:
            state, gradient = self.state[p], p.grad
            assert gradient is not None
            if not state:
                state["step"] = torch.zeros(())
                state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(p), torch.zeros_like(p)
            state["step"] += 1
            number = float(state["step"])
            state["exp_avg"].lerp_(gradient, 1 - first)
            state["exp_avg_sq"].mul_(second).addcmul_(gradient, gradient, value=1 - second)
            spread = (state["exp_avg_sq"] / (1 - second**number)).sqrt_().add_(EPSILON)
            p.mul_(1 - group["lr"] * group["weight_decay"])
            p.addcdiv_(state["exp_avg"], spread, value=-group["lr"] / (1 - first**number))
