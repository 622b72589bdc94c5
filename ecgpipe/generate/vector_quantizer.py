"""Vector quantiser: a codebook learned by exponential moving averages (van den Oord et al. 2017, arXiv 1711.00937)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ecgpipe.generate import distributed

DEAD = 0.1
"""A code chosen less often than this share of its fair share is dead."""


class VectorQuantizer(nn.Module):
    """Codebook that follows the encoder's vectors by moving averages (appendix A.1), with dead codes replaced.

    The commitment loss and the straight-through gradient are left to the caller, who has the encoder's vectors.
    """

    codebook: Tensor
    count: Tensor
    total: Tensor

    def __init__(self, codes: int, dim: int, decay: float) -> None:
        """Take the size of the codebook ``(codes, dim)`` and the decay of its moving averages."""
        super().__init__()
        self.decay = decay
        codebook = torch.randn(codes, dim)
        self.register_buffer("codebook", codebook)
        self.register_buffer("count", torch.ones(codes))
        self.register_buffer("total", codebook.clone())

    def indices(self, vectors: Tensor) -> Tensor:
        """Return the index of the nearest code: ``(n, dim)`` to ``(n,)``, int64."""
        # In float32 even where the networks run in bfloat16, whose rounding is as large as the distance between codes.
        with torch.autocast(vectors.device.type, enabled=False):
            return (self.codebook.square().sum(1) - 2 * vectors.float() @ self.codebook.T).argmin(dim=1)

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
        count, total = self._sums(vectors, indices)
        self.count.lerp_(count, 1 - self.decay)
        self.total.lerp_(total, 1 - self.decay)
        # A dead code starts anew at a random vector of this batch.
        fair = len(vectors) / len(self.codebook)
        dead = (self.count < DEAD * fair)[:, None]
        revived = vectors[self._random_rows(vectors)]
        self.total.copy_(torch.where(dead, revived * fair, self.total))
        self.count.copy_(torch.where(dead[:, 0], torch.full_like(self.count, fair), self.count))
        self.codebook.copy_(self.total / self.count[:, None])

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
