"""Muon: momentum whose matrices are made orthogonal, so that all directions of a layer learn at one pace.

Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/. The momentum of a weight's gradient, seen as a matrix,
is replaced with the nearest semi-orthogonal matrix (five Newton-Schulz iterations), and the step is taken along that.
In trainings of some hundred steps it gets as far as AdamW in two to three times as many. Parameters that are not
matrices between layers (biases, norms, embeddings, states), and matrices with a very short side, are left to AdamW.
Both follow one learning rate, of which Muon takes ten times.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

LEARNING_RATE_RATIO = 10.0
"""Muon's learning rate, in units of AdamW's."""
MOMENTUM = 0.95
SHORTEST_SIDE = 9
"""Least number of rows and of columns of a matrix that Muon trains."""
EPSILON = 1e-8

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the iteration's polynomial, which brings singular values between 0.7 and 1.2 in five rounds."""


def newton_schulz(matrices: Tensor) -> Tensor:
    """Orthogonalise matrices ``(k, rows, columns)``: keep singular vectors, bring singular values near 1."""
    a, b, c = COEFFICIENTS
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.mT if tall else matrices
    x = x / (x.flatten(1).norm(dim=1)[:, None, None] + 1e-7)
    for _ in range(5):
        square = x @ x.mT
        x = a * x + torch.baddbmm(square, square, square, beta=b, alpha=c) @ x
    out: Tensor = x.mT if tall else x
    return out


def muon_parameters(module: nn.Module) -> list[Tensor]:
    """Return the parameters that Muon trains: weights of dense and convolution layers whose sides are long enough."""
    layers = (m for m in module.modules() if isinstance(m, nn.Linear | nn.Conv2d | nn.ConvTranspose2d))
    return [layer.weight for layer in layers if min(layer.weight.flatten(1).shape) >= SHORTEST_SIDE]


class Muon(torch.optim.Optimizer):
    """Muon for some parameters, AdamW for the rest; weight decay is decoupled in both.

    AdamW is written out here, because one optimiser serves both groups and because no form of ``torch.optim.AdamW``
    gives the same bits: torch divides sqrt(v) by sqrt(1 - beta_2^t) where this takes sqrt(v / (1 - beta_2^t)). Over 50
    steps the two differ by one unit in the last place (1.2e-7) in about one parameter of a hundred.
    """

    def __init__(
        self,
        matrices: Iterable[Tensor],
        others: Iterable[Tensor],
        *,
        betas: tuple[float, float],
        weight_decay: float,
    ) -> None:
        """Take the parameters that Muon trains, those that AdamW trains, AdamW's decay rates, and the weight decay."""
        groups = [{"params": list(matrices), "muon": True}, {"params": list(others), "muon": False}]
        super().__init__([g for g in groups if g["params"]], {"lr": 1e-3, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]  # no loop here asks for a closure's loss
        """Take a step; parameters without a gradient are left as they are."""
        for group in self.param_groups:
            given = [p for p in group["params"] if p.grad is not None]
            if group["muon"]:
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
            update = gradient.lerp(average, MOMENTUM).flatten(1)  # Nesterov momentum
            shapes.setdefault(update.shape, []).append((p, update))
        for (rows, columns), pairs in shapes.items():  # those of one shape together: many small products are slow
            orthogonal = newton_schulz(torch.stack([update for _, update in pairs]))
            step_size = group["lr"] * LEARNING_RATE_RATIO * math.sqrt(max(1, rows / columns))
            for (p, _), update in zip(pairs, orthogonal, strict=True):
                p.mul_(1 - group["lr"] * group["weight_decay"]).add_(update.view(p.shape), alpha=-step_size)

    def _adamw(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        first, second = group["betas"]
        for p in parameters:
            state, gradient = self.state[p], p.grad
            assert gradient is not None
            if not state:
                state["step"] = torch.zeros(())
                state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(p), torch.zeros_like(p)
            state["step"] += 1
            step = float(state["step"])
            state["exp_avg"].lerp_(gradient, 1 - first)
            state["exp_avg_sq"].mul_(second).addcmul_(gradient, gradient, value=1 - second)
            denominator = (state["exp_avg_sq"] / (1 - second**step)).sqrt_().add_(EPSILON)
            p.mul_(1 - group["lr"] * group["weight_decay"])
            p.addcdiv_(state["exp_avg"], denominator, value=-group["lr"] / (1 - first**step))
