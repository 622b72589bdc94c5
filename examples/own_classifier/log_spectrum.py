"""A classifier of one's own: it reads the logarithm of each lead's power spectrum, and no phases.

Rhythms of another rate have other spectra, whereas P waves are hardly seen. See docs/howto/own_classifier.md for how a
study uses this file.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from ecgpipe.classify.network import Network
from ecgpipe.dataset import SignalSpec
from ecgpipe.plugins import Settings


class LogSpectrumSettings(Settings):
    """What may stand under `network` in the configuration."""

    highest_hz: float = Field(25.0, gt=0, description="Highest frequency that is read, in Hz.")
    width: int = Field(32, ge=1, description="Outputs of the dense layer.")


class LogSpectrum(Network):
    """Log power spectrum of each lead, one dense layer, and a linear layer as the head."""

    Settings: ClassVar[type[LogSpectrumSettings]] = LogSpectrumSettings

    def __init__(self, settings: LogSpectrumSettings, spec: SignalSpec) -> None:
        super().__init__()
        # At least one frequency above 0, however short the records are.
        self.frequencies = min(spec.length // 2, max(1, int(settings.highest_hz * spec.length / spec.rate)))
        self.dense = nn.Sequential(nn.Linear(len(spec.leads) * self.frequencies, settings.width), nn.ReLU())
        self.head = nn.Linear(settings.width, len(spec.classes))

    def features(self, signals: Tensor) -> Tensor:
        """Return what the head reads: standardised `(n, leads, length)` to `(n, width)`."""
        spectrum = torch.fft.rfft(signals)[..., 1 : self.frequencies + 1]
        power = spectrum.abs().square() / signals.shape[-1]
        features: Tensor = self.dense(torch.log(power + 1e-3).flatten(1))
        return features
