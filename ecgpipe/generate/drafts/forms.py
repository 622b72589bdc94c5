"""Forms that follow a Gaussian: ectopic beats, atrial waves, and the details of mean beats.

Ectopic beats and atrial waves are too few for a network: a Gaussian of the leading principal components of all records'
forms is what so few can support. Classes share it.

Details are what the components that the network of mean beats learns leave of them. They are many and small. A network
that learns them, too, learns the larger components less well; a draft without them leaves the same error in every beat
of a record, which generators then draw as noise that differs from beat to beat.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

COMPONENTS = 12
"""Principal components of ectopic beats and of atrial waves, at most."""
FEWEST = 8
"""Forms to learn from; with fewer, drafts leave them out."""
_RECORDS = 2
"""Records for each component, leading ones among them, from which sizes of details are learned: with fewer, components
fit their own records so closely that sizes of other records cannot be told.
"""
_NOTHING = 1e-12
"""Variance below which a component counts as none, mV^2."""


class GaussianForms:
    """Forms of one kind, each of ``size`` numbers in mV."""

    def __init__(self, size: int, stream: int, components: int = COMPONENTS) -> None:
        """Take the size of a form, a number that tells the random streams of kinds of forms apart, and the number of
        principal components, at most.
        """
        self.stream, self.components = stream, components
        self.mean = torch.zeros(size)
        """mV."""
        self.basis = torch.zeros(components, size)
        """Principal components, one a row, each times its deviation in mV; zero if there are none: ``(d, size)``."""

    def fit(self, forms: Tensor) -> None:
        """Take mean and principal components of forms ``(n, ...)``, mV."""
        self.mean, self.basis = torch.zeros_like(self.mean), torch.zeros_like(self.basis)
        if len(forms) < FEWEST:
            return
        flat = forms.flatten(1).double()
        number = min(self.components, len(flat) - 1, flat.shape[1])
        self.mean = flat.mean(dim=0).float()
        _, deviations, rows = torch.linalg.svd(flat - flat.mean(dim=0), full_matrices=False)
        self.basis[:number] = (rows * deviations[:, None] / math.sqrt(len(flat)))[:number].float()

    def encode(self, forms: Tensor) -> Tensor:
        """Return components of forms ``(n, ...)``, mV, in standard deviations: ``(n, d)``."""
        squares = self.basis.square().sum(dim=1)
        reading = torch.where(squares[:, None] > _NOTHING, self.basis / squares.clamp(min=_NOTHING)[:, None], 0.0)
        return (forms.flatten(1) - self.mean) @ reading.T

    def decode(self, components: Tensor) -> Tensor:
        """Return forms ``(n, size)``, mV, of components ``(n, d)``."""
        device = components.device
        return self.mean.to(device) + components @ self.basis.to(device)

    def draw(self, seeds: np.ndarray) -> Tensor:
        """Draw components ``(n, d)``, each record's from its own seed."""
        streams = (np.random.default_rng([self.stream, int(seed)]) for seed in seeds)
        return torch.from_numpy(np.stack([s.standard_normal(self.components, dtype=np.float32) for s in streams]))

    def tensors(self) -> dict[str, Tensor]:
        """Return all that :meth:`load_tensors` needs."""
        return {"mean": self.mean, "basis": self.basis}

    def load_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Take what :meth:`tensors` gave."""
        self.mean, self.basis = tensors["mean"], tensors["basis"]


class DetailForms(GaussianForms):
    """Details of mean beats. Their size in a record depends on how far its beat is from the mean one, and on chance."""

    def __init__(self, size: int, stream: int, components: int) -> None:
        """Take the same as the other forms."""
        super().__init__(size, stream, components)
        self.sizes = torch.zeros(3)
        """Of the log size of details: constant, slope on the log size of the leading components, deviation."""

    def fit_sizes(self, leading: Tensor, details: Tensor) -> None:
        """Learn how large details are, unless records are too few: then all are as large as the mean.

        Args:
            leading: the leading components of mean beats ``(n, k)``.
            details: components of their details, in standard deviations, ``(n, d)``.
        """
        self.sizes = torch.zeros(3)
        active = self.basis.square().sum(dim=1) > _NOTHING
        if not active.any() or len(details) < _RECORDS * (leading.shape[1] + self.components):
            return
        y = _log_size(details[:, active])
        x = torch.stack([torch.ones_like(y), _log_size(leading)], dim=1)
        found = torch.linalg.lstsq(x, y[:, None]).solution[:, 0]
        self.sizes = torch.cat([found, (y - x @ found).std()[None]]).float()

    def draw_sized(self, leading: Tensor, seeds: np.ndarray) -> Tensor:
        """Draw components ``(n, d)`` for mean beats of leading components ``(n, k)``, each from its own seed."""
        streams = (np.random.default_rng([self.stream, int(seed), 1]) for seed in seeds)
        normal = torch.tensor([s.standard_normal() for s in streams], dtype=torch.float64)
        constant, slope, deviation = self.sizes
        sizes = torch.exp(constant + slope * _log_size(leading) + deviation * normal)
        return self.draw(seeds) * sizes.float()[:, None]

    def tensors(self) -> dict[str, Tensor]:
        """Return all that :meth:`load_tensors` needs."""
        return {**super().tensors(), "sizes": self.sizes}

    def load_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Take what :meth:`tensors` gave."""
        super().load_tensors(tensors)
        self.sizes = tensors["sizes"]


def _log_size(components: Tensor) -> Tensor:
    # In double precision: what is drawn then does not depend on the company in a batch.
    return (components.double().square().mean(dim=1).sqrt() + 1e-6).log()
