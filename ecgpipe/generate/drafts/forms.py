"""Forms of which there are too few for a network: ectopic beats, and atrial waves.

A Gaussian of the leading principal components of all records' forms is what so few can support. Classes share it.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

COMPONENTS = 12
"""Principal components, at most."""
FEWEST = 8
"""Forms to learn from; with fewer, drafts leave them out."""


class GaussianForms:
    """Forms of one kind, each of ``size`` numbers in mV."""

    def __init__(self, size: int, stream: int) -> None:
        """Take the size of a form, and a number that tells the random streams of kinds of forms apart."""
        self.stream = stream
        self.mean = torch.zeros(size)
        """mV."""
        self.basis = torch.zeros(COMPONENTS, size)
        """Principal components, one a row, each times its deviation in mV; zero if there are none: ``(d, size)``."""

    def fit(self, forms: Tensor) -> None:
        """Take mean and principal components of forms ``(n, ...)``, mV."""
        self.mean, self.basis = torch.zeros_like(self.mean), torch.zeros_like(self.basis)
        if len(forms) < FEWEST:
            return
        flat = forms.flatten(1).double()
        number = min(COMPONENTS, len(flat) - 1, flat.shape[1])
        self.mean = flat.mean(dim=0).float()
        _, deviations, rows = torch.linalg.svd(flat - flat.mean(dim=0), full_matrices=False)
        self.basis[:number] = (rows * deviations[:, None] / math.sqrt(len(flat)))[:number].float()

    def encode(self, forms: Tensor) -> Tensor:
        """Return components of forms ``(n, ...)``, mV, in standard deviations: ``(n, d)``."""
        squares = self.basis.square().sum(dim=1)
        reading = torch.where(squares[:, None] > 1e-12, self.basis / squares.clamp(min=1e-12)[:, None], 0.0)
        return (forms.flatten(1) - self.mean) @ reading.T

    def decode(self, components: Tensor) -> Tensor:
        """Return forms ``(n, size)``, mV, of components ``(n, d)``."""
        device = components.device
        return self.mean.to(device) + components @ self.basis.to(device)

    def draw(self, seeds: np.ndarray) -> Tensor:
        """Draw components ``(n, d)``, each record's from its own seed."""
        streams = (np.random.default_rng([self.stream, int(seed)]) for seed in seeds)
        return torch.from_numpy(np.stack([s.standard_normal(COMPONENTS, dtype=np.float32) for s in streams]))

    def tensors(self) -> dict[str, Tensor]:
        """Return all that :meth:`load_tensors` needs."""
        return {"mean": self.mean, "basis": self.basis}

    def load_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Take what :meth:`tensors` gave."""
        self.mean, self.basis = tensors["mean"], tensors["basis"]
