"""The offset of a draft: where the zero line of its record lies, which follows from its beat.

Mean beats are found in records without their slow part, so a draft says nothing of its own mean. Recorders that pass no
direct current give every record the mean zero: a large T wave in every beat then lies over a lower zero line. Without
the offset a generator would have to draw that, differently for every mean beat.

It is a linear regression, by ridge, on the leading components of the mean beat and on the mean of the draft in each
lead.
"""

from __future__ import annotations

import torch
from torch import Tensor

_RIDGE = 10.0
"""Weight of the penalty, in records."""


class OffsetModel:
    """Offsets of drafts, mV, in each lead."""

    def __init__(self, components: int, leads: int) -> None:
        """Take the number of leading components of a mean beat, and of leads."""
        self.unit = torch.ones(())
        """Standard deviation of the means of training drafts, mV."""
        self.weights = torch.zeros(components + leads + 1, leads)
        """Of components, of means in their unit, and a constant; mV."""

    def fit(self, components: Tensor, means: Tensor, offsets: Tensor) -> None:
        """Learn from training records.

        Args:
            components: the leading ones of mean beats, ``(n, d)``.
            means: of drafts without offset, over time, ``(n, leads)`` mV.
            offsets: means of records less those, ``(n, leads)`` mV.
        """
        self.unit = means.std().clamp(min=1e-6)
        x, y = self._design(components, means).double(), offsets.double()
        penalty = _RIDGE * torch.eye(x.shape[1], dtype=x.dtype)
        penalty[-1, -1] = 1e-6  # the constant is not shrunk
        self.weights = torch.linalg.solve(x.T @ x + penalty, x.T @ y).float().contiguous()

    def _design(self, components: Tensor, means: Tensor) -> Tensor:
        return torch.cat([components, means / self.unit.to(means.device), torch.ones_like(means[:, :1])], dim=1)

    def __call__(self, components: Tensor, means: Tensor) -> Tensor:
        """Return the offsets ``(n, leads)``, mV, of drafts; arguments as for :meth:`fit`."""
        return self._design(components, means) @ self.weights.to(means.device)

    def tensors(self) -> dict[str, Tensor]:
        """Return all that :meth:`load_tensors` needs."""
        return {"unit": self.unit, "weights": self.weights}

    def load_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Take what :meth:`tensors` gave."""
        self.unit, self.weights = tensors["unit"], tensors["weights"]
