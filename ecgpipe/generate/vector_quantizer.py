"""Vector quantisers: a learned codebook (van den Oord et al. 2017, arXiv 1711.00937), and a fixed grid of codes.

Both are called with an encoder's vectors and return the nearest codes, without gradient. The straight-through gradient
is left to the caller.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ecgpipe.generate import distributed


class Quantizer(nn.Module):
    """Replaces vectors with the nearest of its codes, ``codebook (codes, dim)``."""

    codebook: Tensor

    def bound(self, vectors: Tensor) -> Tensor:
        """Bring an encoder's vectors ``(..., dim)`` to where the codes are, with gradient."""
        return vectors

    def indices(self, vectors: Tensor) -> Tensor:
        """Return the index of the nearest code: ``(n, dim)`` to ``(n,)``, int64."""
        # In float32 even where the networks run in bfloat16, whose rounding is as large as the distance between codes.
        with torch.autocast(vectors.device.type, enabled=False):
            return (self.codebook.square().sum(1) - 2 * vectors.float() @ self.codebook.T).argmin(dim=1)

    @torch.no_grad()
    def forward(self, vectors: Tensor) -> Tensor:
        """Replace vectors ``(n, dim)`` with their nearest codes, without gradient."""
        return F.embedding(self.indices(vectors.detach()), self.codebook)


class FiniteScalarQuantizer(Quantizer):
    """A grid of codes: each of the few dimensions has a number of levels (Mentzer et al. 2024, arXiv 2309.15505).

    Nothing of it is learned, so that no code can die, and there is no commitment loss. The codes' levels are evenly
    spaced from -1 to 1 in every dimension.
    """

    def __init__(self, levels: Sequence[int]) -> None:
        """Take the number of levels of each dimension, 2 or more; their product is the number of codes."""
        super().__init__()
        grid = torch.cartesian_prod(*[torch.linspace(-1, 1, n) for n in levels])
        self.register_buffer("codebook", grid.reshape(math.prod(levels), len(levels)))
        # Each level's cell is equally wide, the outermost ones' too.
        self.register_buffer("reach", torch.tensor([n / (n - 1) for n in levels]), persistent=False)

    reach: Tensor

    def bound(self, vectors: Tensor) -> Tensor:
        """Squash vectors by a hyperbolic tangent to the grid's cells.

        As in section 3.1, but the grid is symmetric about 0 for even numbers of levels, too.
        """
        return self.reach * vectors.tanh()


class VectorQuantizer(Quantizer):
    """Codebook that follows the encoder's vectors by moving averages (appendix A.1), with dead codes replaced.

    A code is dead when no vector has chosen it for ``patience`` steps. One that is chosen now and then, for what is
    rare in the records, stays.

    The commitment loss is left to the caller, who has the encoder's vectors.
    """

    count: Tensor
    total: Tensor
    idle: Tensor

    def __init__(self, codes: int, dim: int, decay: float, patience: int | None = None) -> None:
        """Take the size of the codebook ``(codes, dim)``, the decay of its moving averages and the patience.

        With a ``patience`` of None no code is ever replaced.
        """
        super().__init__()
        self.decay, self.patience = decay, patience
        codebook = torch.randn(codes, dim)
        self.register_buffer("codebook", codebook)
        self.register_buffer("count", torch.ones(codes))
        self.register_buffer("total", codebook.clone())
        self.register_buffer("idle", torch.zeros(codes, dtype=torch.int64))

    @torch.no_grad()
    def kmeans_init(self, vectors: Tensor, iterations: int = 10) -> None:
        """Initialise the codes with the centres of a k-means clustering of ``vectors (n, dim)``."""
        self._set(vectors[self._random_rows(vectors)], torch.ones_like(self.count))
        for _ in range(iterations):
            count, total = self._sums(vectors, self.indices(vectors))
            centres = torch.where(
                count[:, None] > 0, total / count.clamp(min=1)[:, None], vectors[self._random_rows(vectors)]
            )
            self._set(centres, count.clamp(min=1))

    def forward(self, vectors: Tensor) -> Tensor:
        """Replace vectors ``(n, dim)`` with their nearest codes, without gradient; in training, update the codebook."""
        with torch.no_grad(), torch.autocast(vectors.device.type, enabled=False):
            vectors = vectors.detach().float()
            indices = self.indices(vectors)
            codes = F.embedding(indices, self.codebook)
            if self.training:
                self._ema_update(distributed.all_gather(vectors), distributed.all_gather(indices))
        return codes

    def _ema_update(self, vectors: Tensor, indices: Tensor) -> None:
        chosen, total = self._sums(vectors, indices)
        self.count.lerp_(chosen, 1 - self.decay)
        self.total.lerp_(total, 1 - self.decay)
        # A dead code starts anew at a random vector of this batch.
        fair = len(vectors) / len(self.codebook)
        dead = self._dead(chosen, fair)
        revived = vectors[self._random_rows(vectors)]
        self.total.copy_(torch.where(dead[:, None], revived * fair, self.total))
        self.count.copy_(torch.where(dead, fair, self.count))
        # The others are where they were: both of their averages have shrunk alike, at last to zero.
        moved = (dead | (chosen > 0))[:, None]
        self.codebook.copy_(torch.where(moved, self.total / self.count[:, None], self.codebook))

    def _dead(self, chosen: Tensor, fair: float) -> Tensor:
        """Say which codes are dead, ``(codes,)``, and count their idle steps from zero again.

        Args:
            chosen: how many vectors of this step chose each code, ``(codes,)``.
            fair: how many would if all were chosen alike.
        """
        self.idle.copy_(torch.where(chosen > 0, 0, self.idle + 1))
        if self.patience is None:
            return torch.zeros_like(self.idle, dtype=torch.bool)
        dead = self.idle >= self.patience
        self.idle.masked_fill_(dead, 0)
        return dead

    def _sums(self, vectors: Tensor, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Return how many vectors chose each code, ``(codes,)``, and their sum, ``(codes, dim)``."""
        chosen = F.one_hot(indices, len(self.codebook)).to(vectors.dtype)
        return chosen.sum(0), chosen.T @ vectors

    def _random_rows(self, vectors: Tensor) -> Tensor:
        return torch.randint(len(vectors), (len(self.codebook),), device=vectors.device)

    def _set(self, codes: Tensor, count: Tensor) -> None:
        self.codebook.copy_(codes)
        self.count.copy_(count)
        self.total.copy_(codes * count[:, None])


def codebook_usage(indices: Tensor, codes: int) -> tuple[float, float]:
    """Return how many of ``codes`` codes occur among the indices, and their perplexity (exponential of the entropy)."""
    share = torch.bincount(indices.flatten(), minlength=codes).double() / indices.numel()
    used = share[share > 0]
    return float(len(used)), float((-used * used.log()).sum().exp())
