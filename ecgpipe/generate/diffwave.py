"""DiffWave for 12-lead ECGs: a class-conditional diffusion model with a residual network of dilated or S4 layers.

Kong et al., "DiffWave: A Versatile Diffusion Model for Audio Synthesis", arXiv 2009.09761, section 3 and figure 2. The
class enters every layer behind the dilated convolution. ``backbone: s4`` is SSSD-ECG (Alcaraz & Strodthoff, arXiv
2301.08227), the variant that the study's paper ran: a short convolution and two S4 layers, the class between them, in
place of the dilated convolution, so that one layer sees the whole record.

``conditioning: film`` is not DiffWave's: what enters a layer is normalised, then scaled and shifted by step and class
(FiLM, arXiv 1709.07871; in diffusion models arXiv 2105.05233, section 3). A layer can then work differently at every
noise level. The norm replaces the factor sqrt(1/2) of the residual sum. Presets `small` and `full` have it; with
``backbone: dilated``, ``conditioning: added`` and ``patch: 1`` the network is DiffWave as published.

Convolutions run as 2-D ones of height 1, which torch computes faster on a CPU than 1-D ones.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from ecgpipe.generate.diffusion import FULL, SMALL, DiffusionGenerator, DiffusionSettings
from ecgpipe.generate.drafts.draft import DraftModel
from ecgpipe.generate.layers import FREQUENCIES, draft_channels, patchify, sinusoidal_embedding, unpatchify
from ecgpipe.generate.s4 import S4Layer

LABEL_WIDTH = 128
"""Width of the class embedding."""
GROUPS = 8
"""Groups of a group norm."""


class DiffWaveSettings(DiffusionSettings):
    """Settings of :class:`DiffWave`."""

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "small": {
            **SMALL,
            "conditioning": "film",
            "channels": 64,
            "layers": 8,
            "cycle": 6,
            "embedding": 128,
        },
        "full": {
            **FULL,
            "conditioning": "film",
            "channels": 128,
            "layers": 30,
            "cycle": 10,
            "batch": 32,
            "validation_records": 1024,
        },
        "paper": {
            "backbone": "s4",
            "states": 64,
            "channels": 256,
            "layers": 36,
            "patch": 1,
            "leads": "all12",
            "prediction": "noise",
            "schedule": "linear",
            "diffusion_steps": 200,
            "beta_start": 1e-4,
            "beta_end": 0.02,
            "data_deviation": 0.2,
            "class_dropout": 0.0,
            "steps": 100_000,
            "batch": 8,
            "learning_rate": 2e-4,
            "weight_decay": 0.0,
            "warmup": 0,
            "ema_decay": 0.0,
            "validate_every": 1000,
            "validation_records": 1024,
        },
    }

    preset: Literal["small", "full", "paper"] = Field(
        "small",
        description="Values that all other keys start from: `small` has drafts and trains in about four minutes on one"
        " CPU core; `full` is for a GPU; `paper` has SSSD-ECG's numbers (S4, 256 channels, 36 layers, noise prediction,"
        " 200 steps).",
    )
    backbone: Literal["dilated", "s4"] = Field(
        "dilated", description="What a layer sees its neighbours with: a dilated convolution, or two S4 layers."
    )
    conditioning: Literal["added", "film"] = Field(
        "added",
        description="How a layer learns of the noise level: `added` to its input, as published, or `film`: the input is"
        " normalised, then scaled and shifted by level and class.",
    )
    states: int = Field(64, ge=2, multiple_of=2, description="`backbone: s4`: states a channel.")
    channels: int = Field(64, ge=1, description="Residual channels C.")
    layers: int = Field(8, ge=1, description="Residual layers N.")
    embedding: int = Field(512, ge=1, description="Width of the embeddings of noise level and class.")
    cycle: int = Field(
        6,
        ge=1,
        le=16,
        description="`backbone: dilated`: layers after which the dilation starts again at 1: layer i has the dilation"
        " 2^(i mod cycle).",
    )
    patch: int = Field(
        8,
        ge=1,
        description="Consecutive samples of every lead that the network sees as the channels of one position; 1 is"
        " DiffWave as published. More make it faster and its reach longer.",
    )

    @model_validator(mode="after")
    def _channels_make_groups(self) -> DiffWaveSettings:
        if self.conditioning == "film" and self.channels % GROUPS:
            raise ValueError(f"`conditioning: film` needs `channels` to be a multiple of {GROUPS}, not {self.channels}")
        return self


def embedding(inputs: int, width: int) -> nn.Sequential:
    """Two dense layers with SiLU (figure 2, left)."""
    return nn.Sequential(nn.Linear(inputs, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU())


def gate(y: Tensor) -> Tensor:
    """Return sigmoid(a) tanh(b) of the two halves of the channels ``(b, 2 C, ...)``."""
    # tanh(v) = 2 sigmoid(2v) - 1: torch's sigmoid takes a third of the time of its tanh on a CPU.
    a, b = y.chunk(2, dim=1)
    return torch.sigmoid(a) * (2 * torch.sigmoid(2 * b) - 1)


class Added(nn.Module):
    """The step embedding is added to a layer's input (figure 2, middle)."""

    def __init__(self, settings: DiffWaveSettings) -> None:
        super().__init__()
        self.step = nn.Linear(settings.embedding, settings.channels)

    def forward(self, h: Tensor, step: Tensor, label: Tensor) -> Tensor:
        """Map h ``(b, C, 1, positions)`` and the two embeddings ``(b, embedding)`` to the like of h."""
        out: Tensor = h + self.step(step)[:, :, None, None]
        return out


class Modulated(nn.Module):
    """FiLM: a layer's input is normalised, then scaled and shifted by step and class."""

    def __init__(self, settings: DiffWaveSettings) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(GROUPS, settings.channels)
        self.film = nn.Linear(settings.embedding, 2 * settings.channels)

    def forward(self, h: Tensor, step: Tensor, label: Tensor) -> Tensor:
        """As :meth:`Added.forward`."""
        scale, shift = self.film(F.silu(step + label))[:, :, None, None].chunk(2, dim=1)
        return torch.addcmul(shift, self.norm(h), 1 + scale)


class Layer(nn.Module):
    """Base of the layers of both backbones: how the embeddings of step and class enter them."""

    def __init__(self, settings: DiffWaveSettings) -> None:
        super().__init__()
        film = settings.conditioning == "film"
        self.enter = Modulated(settings) if film else Added(settings)
        self.label = nn.Linear(settings.embedding, 2 * settings.channels)
        self.kept = 1.0 if film else math.sqrt(0.5)
        """Factor of the residual sum: a norm needs none."""


class DilatedLayer(Layer):
    """A dilated convolution, its gate, and a 1x1 convolution to residual and skip (figure 2, middle)."""

    def __init__(self, settings: DiffWaveSettings, dilation: int) -> None:
        super().__init__(settings)
        c = settings.channels
        self.dilated = nn.Conv2d(c, 2 * c, (1, 3), padding=(0, dilation), dilation=(1, dilation))
        self.out = nn.Conv2d(c, 2 * c, 1)

    def forward(self, h: Tensor, step: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        """Map h ``(b, C, 1, positions)`` and both embeddings ``(b, embedding)`` to the next h and this layer's skip."""
        y = self.dilated(self.enter(h, step, label)) + self.label(label)[:, :, None, None]
        residual, skip = self.out(gate(y)).chunk(2, dim=1)
        return (h + residual) * self.kept, skip


class S4ResidualLayer(Layer):
    """SSSD-ECG's layer: a convolution, S4, the class, S4, the gate, and a 1x1 convolution each to residual and skip."""

    def __init__(self, settings: DiffWaveSettings) -> None:
        super().__init__(settings)
        c = settings.channels
        self.convolution = nn.Conv2d(c, 2 * c, (1, 3), padding=(0, 1))
        self.first = S4Layer(2 * c, settings.states)
        self.second = S4Layer(2 * c, settings.states)
        self.residual = nn.Conv2d(c, c, 1)
        self.skip = nn.Conv2d(c, c, 1)

    def forward(self, h: Tensor, step: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        """As :meth:`DilatedLayer.forward`."""
        y = self.first(self.convolution(self.enter(h, step, label)))
        gated = gate(self.second(y + self.label(label)[:, :, None, None]))
        return (h + self.residual(gated)) * self.kept, self.skip(gated)


class DiffWaveNetwork(nn.Module):
    """The whole of figure 2: (records ``(b, leads, length)``, step ``(b,)``, class ``(b,)``) -> like the records."""

    def __init__(self, leads: int, classes: int, settings: DiffWaveSettings) -> None:
        super().__init__()
        c, inputs = settings.channels, leads * settings.patch
        self.patch = settings.patch
        self.step = embedding(2 * FREQUENCIES, settings.embedding)
        self.label = nn.Sequential(nn.Embedding(classes + 1, LABEL_WIDTH), embedding(LABEL_WIDTH, settings.embedding))
        self.inward = nn.Conv2d(inputs, c, 1)
        self.plan: nn.Module | None = None
        self.layers = nn.ModuleList(
            DilatedLayer(settings, 2 ** (i % settings.cycle))
            if settings.backbone == "dilated"
            else S4ResidualLayer(settings)
            for i in range(settings.layers)
        )
        self.skips = nn.Conv2d(c, c, 1)
        self.outward = nn.Conv2d(c, inputs, 1)
        # torch's default initialisation has a third of this variance: little of a signal would pass ten gates.
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)
        for parameter in self.outward.parameters():
            nn.init.zeros_(parameter)
        if settings.draft == "beats":
            # With torch's smaller initialisation: these channels are many, and correlated.
            self.plan = nn.Conv2d(DraftModel.PHASES + DraftModel.CHANNELS * settings.patch, c, 1)

    def forward(self, x: Tensor, time: Tensor, label: Tensor, *drafts: Tensor) -> Tensor:
        """Predict from the records x at a step; see :meth:`ecgpipe.generate.diffusion.DiffusionGenerator.network`."""
        h = self.inward(patchify(x, self.patch, self.patch))
        if self.plan is not None:
            h = h + self.plan(draft_channels(drafts, self.patch, self.patch))
        h = torch.relu(h)
        step, given = self.step(sinusoidal_embedding(time)), self.label(label)
        total = torch.zeros_like(h)
        for layer in self.layers:
            h, skip = layer(h, step, given)
            total = total + skip
        out: Tensor = self.outward(torch.relu(self.skips(total / math.sqrt(len(self.layers)))))
        return unpatchify(out, self.patch, x.shape[-1])


class DiffWave(DiffusionGenerator):
    """Class-conditional DiffWave; a :class:`ecgpipe.generate.protocol.Generator`."""

    Settings: ClassVar[type[DiffWaveSettings]] = DiffWaveSettings

    settings: DiffWaveSettings

    def network(self, channels: int, classes: int) -> nn.Module:
        """Build the network; see :meth:`ecgpipe.generate.diffusion.DiffusionGenerator.network`."""
        return self.preconditioned(DiffWaveNetwork(channels, classes, self.settings))


GENERATOR = DiffWave
