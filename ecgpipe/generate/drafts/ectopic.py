"""Ectopic beats: what the broad beats of a record look like, where it has some.

They are few and unlike one another, and unlike the record's normal beats. A Gaussian of the leading principal
components of all records' ectopic beats is what so few can support. Classes share it: ectopic beats come from the same
places in every rhythm.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from ecgpipe.generate.drafts.analysis import NODES

COMPONENTS = 12
"""Principal components, at most."""
FEWEST = 8
"""Records with ectopic beats from which their form is learned; with fewer, drafts leave them out."""
LEADS = 8
_STREAM = 0xBEA9


class EctopicModel:
    """Forms of ectopic beats."""

    def __init__(self) -> None:
        self.mean = torch.zeros(LEADS * NODES)
        """mV."""
        self.basis = torch.zeros(COMPONENTS, LEADS * NODES)
        """Principal components, one a row, each times its deviation in mV; zero if there are none: ``(d, 8 NODES)``."""

    def fit(self, beats: Tensor) -> None:
        """Take mean and principal components of ectopic beats ``(n, 8, NODES)``, mV."""
        self.mean, self.basis = torch.zeros_like(self.mean), torch.zeros_like(self.basis)
        if len(beats) < FEWEST:
            return
        flat = beats.flatten(1).double()
        number = min(COMPONENTS, len(flat) - 1)
        self.mean = flat.mean(dim=0).float()
        _, deviations, rows = torch.linalg.svd(flat - flat.mean(dim=0), full_matrices=False)
        self.basis[:number] = (rows * deviations[:, None] / math.sqrt(len(flat)))[:number].float()

    def encode(self, beats: Tensor) -> Tensor:
        """Return components of ectopic beats ``(n, 8, NODES)``, mV, in standard deviations: ``(n, d)``."""
        squares = self.basis.square().sum(dim=1)
        reading = torch.where(squares[:, None] > 1e-12, self.basis / squares.clamp(min=1e-12)[:, None], 0.0)
        return (beats.flatten(1) - self.mean) @ reading.T

    def decode(self, components: Tensor) -> Tensor:
        """Return ectopic beats ``(n, 8, NODES)``, mV, of components ``(n, d)``."""
        device = components.device
        return (self.mean.to(device) + components @ self.basis.to(device)).view(-1, LEADS, NODES)

    def draw(self, seeds: np.ndarray) -> Tensor:
        """Draw components ``(n, d)``, each record's from its own seed."""
        streams = (np.random.default_rng([_STREAM, int(seed)]) for seed in seeds)
        return torch.from_numpy(np.stack([s.standard_normal(COMPONENTS, dtype=np.float32) for s in streams]))

    def tensors(self) -> dict[str, Tensor]:
        """Return all that :meth:`load_tensors` needs."""
        return {"mean": self.mean, "basis": self.basis}

    def load_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Take what :meth:`tensors` gave."""
        self.mean, self.basis = tensors["mean"], tensors["basis"]
