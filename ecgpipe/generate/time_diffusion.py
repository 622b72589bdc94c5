"""Time-Diffusion: a class-conditional 1-D U-Net diffusion model of 12-lead ECGs.

Source: the U-Net of Núñez, Arjona, Béjar, arXiv 2411.18456: a DDPM (arXiv 2006.11239) that predicts the clean record
on a schedule of zero terminal signal-to-noise ratio (SNR; arXiv 2305.08891). Two faults of the authors' code are
corrected: every block of the network is conditioned on the noise level (FiLM, arXiv 1709.07871), and a loss weight by
SNR is each record's own, not the batch's mean.

A record is padded on the right to whole patches at the deepest level, and cropped back, so that any length will do.
``patch`` consecutive samples of all leads become one position (1: none, as in the paper). With 8, the network works at
125 positions instead of 1,000, and attention at the deepest level covers the whole recording, as rhythm demands.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from ecgpipe.generate.attention import rotary_attention
from ecgpipe.generate.diffusion import FULL, SMALL, DiffusionGenerator, DiffusionSettings
from ecgpipe.generate.drafts.draft import DraftModel
from ecgpipe.generate.layers import FREQUENCIES, draft_channels, patchify, sinusoidal_embedding, unpatchify

HEAD = 32
"""Channels of an attention head."""
GROUPS = 8
"""Groups of a group norm."""


class TimeDiffusionSettings(DiffusionSettings):
    """Settings of :class:`TimeDiffusion`."""

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "small": {
            **SMALL,
            "widths": (64, 64),
            "attention_levels": 1,
        },
        "full": {
            **FULL,
            "widths": (64, 128, 256, 512),
            "attention_levels": 2,
            "embedding": 512,
            "batch": 64,
        },
        "paper": {
            "leads": "all12",
            "patch": 1,
            "widths": (32, 64, 128, 256),
            "blocks": 3,
            "kernel": 5,
            "attention_levels": 2,
            "class_channels": 6,
            "prediction": "x0",
            "snr_weighted": True,
            "schedule": "linear",
            "diffusion_steps": 1000,
            "beta_start": 1e-4,
            "beta_end": 1e-2,
            "zero_terminal_snr": True,
            "data_deviation": 0.24,
            "steps": 100_000,
            "batch": 128,
            "learning_rate": 1e-4,
            "betas": (0.95, 0.999),
            "weight_decay": 1e-6,
            "warmup": 100,
            "ema_decay": 0.9999,
            "validate_every": 1000,
        },
    }

    preset: Literal["small", "full", "paper"] = Field(
        "small",
        description="`small` has drafts and trains in about three minutes on one CPU core, `full` is for a GPU, `paper`"
        " has the study's numbers.",
    )
    patch: int = Field(8, ge=1, description="Samples of all leads that make one position of the network.")
    widths: tuple[int, ...] = Field(
        (64, 64),
        strict=False,
        min_length=1,
        description="Channels of each level; every level has half as many positions as the one before.",
    )
    blocks: int = Field(
        1,
        ge=1,
        description="Residual blocks of each level on the way down and on the way up; the deepest level has three"
        " times as many.",
    )
    kernel: int = Field(3, ge=1, description="Length of the convolutions' kernels, in positions; odd.")
    attention_levels: int = Field(1, ge=0, description="How many levels, from the deepest, have self-attention.")
    embedding: int = Field(128, ge=2, description="Width of the embeddings of noise level and class.")
    class_channels: int = Field(
        0, ge=0, description="Constant extra input channels that show the class, besides the blocks being told it."
    )
    snr_weighted: bool = Field(
        False, description="`prediction: x0`: weight each record's error by its signal-to-noise ratio, at least 1."
    )

    @model_validator(mode="after")
    def _network_can_be_built(self) -> TimeDiffusionSettings:
        if self.kernel % 2 == 0:
            raise ValueError(f"`kernel` must be odd, not {self.kernel}")
        if self.attention_levels > len(self.widths):
            raise ValueError(
                f"`attention_levels` is {self.attention_levels}, but `widths` has only {len(self.widths)} levels"
            )
        if wrong := [w for w in self.widths if w <= 0 or w % HEAD]:
            raise ValueError(f"`widths` must be multiples of {HEAD}, not {wrong[0]}")
        if self.snr_weighted and self.prediction != "x0":
            raise ValueError(
                "`snr_weighted` is for `prediction: x0`; the other predictions weigh by the signal-to-noise ratio as"
                " they are"
            )
        return self


def convolution(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    """Return a 1-D convolution with zero padding, written as a 2-D one of height 1, which trains faster on CPUs."""
    return nn.Conv2d(inputs, outputs, (1, kernel), stride=(1, stride), padding=(0, kernel // 2))


class Block(nn.Module):
    """Residual block: (group norm, SiLU, convolution) twice, the second norm scaled and shifted (FiLM)."""

    def __init__(self, channels: int, kernel: int, embedding: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.GroupNorm(GROUPS, channels) for _ in range(2))
        self.convolutions = nn.ModuleList(convolution(channels, channels, kernel) for _ in range(2))
        self.film = nn.Linear(embedding, 2 * channels)
        nn.init.zeros_(self.convolutions[-1].weight)  # type: ignore[arg-type]  # a block begins as the identity

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Map ``(b, channels, 1, n)`` and ``(b, embedding)`` to ``(b, channels, 1, n)``."""
        scale, shift = self.film(condition)[:, :, None, None].chunk(2, dim=1)
        h = self.convolutions[0](F.silu(self.norms[0](x)))
        h = torch.addcmul(shift, self.norms[1](h), 1 + scale)
        out: Tensor = x + self.convolutions[1](F.silu(h))
        return out


class Attention(nn.Module):
    """Residual self-attention over positions, with a rotary embedding."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(GROUPS, channels)
        self.inward = nn.Linear(channels, 3 * channels)
        self.outward = nn.Linear(channels, channels)
        nn.init.zeros_(self.outward.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(b, channels, 1, n)`` to the same."""
        b, c, _, n = x.shape
        h = self.inward(self.norm(x).squeeze(2).transpose(1, 2))
        h = rotary_attention(h.view(b, n, 3, c // HEAD, HEAD).permute(2, 0, 3, 1, 4))
        added: Tensor = self.outward(h.transpose(1, 2).reshape(b, n, c))
        return x + added.transpose(1, 2).unsqueeze(2)


class Stage(nn.Module):
    """The residual blocks of one level of the U-Net; at the deepest levels, self-attention follows each block."""

    def __init__(self, level: int, blocks: int, settings: TimeDiffusionSettings) -> None:
        super().__init__()
        channels = settings.widths[level]
        attends = level >= len(settings.widths) - settings.attention_levels
        self.blocks = nn.ModuleList(Block(channels, settings.kernel, settings.embedding) for _ in range(blocks))
        self.attentions = nn.ModuleList(Attention(channels) if attends else nn.Identity() for _ in range(blocks))

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Map ``(b, channels, 1, n)`` and ``(b, embedding)`` to ``(b, channels, 1, n)``."""
        for block, attention in zip(self.blocks, self.attentions, strict=True):
            x = attention(block(x, condition))
        return x


class UNet(nn.Module):
    """U-Net over patches: down the levels, and up again with skip connections, which are added."""

    def __init__(self, channels: int, classes: int, settings: TimeDiffusionSettings) -> None:
        """Take the channels of a record, the number of classes (class number ``classes`` is "no class"), the sizes."""
        super().__init__()
        width, embedding = settings.widths, settings.embedding
        levels = range(len(width) - 1)
        self.patch = settings.patch
        self.multiple = settings.patch * 2 ** (len(width) - 1)
        self.time = nn.Sequential(nn.Linear(2 * FREQUENCIES, embedding), nn.SiLU(), nn.Linear(embedding, embedding))
        self.label = nn.Sequential(
            nn.Embedding(classes + 1, embedding),
            nn.Linear(embedding, embedding),
            nn.SiLU(),
            nn.Linear(embedding, embedding),
        )
        # An embedding without channels has a gradient that is an illegal memory access on GPUs (torch 2.11).
        self.shown = nn.Embedding(classes + 1, settings.class_channels) if settings.class_channels else None
        self.stem = convolution(channels * settings.patch + settings.class_channels, width[0], 1)
        # What drafts show: phases at every position, the draft itself and pulses at every sample of it.
        self.plan: nn.Module | None = None
        if settings.draft == "beats":
            self.plan = convolution(DraftModel.PHASES + DraftModel.CHANNELS * settings.patch, width[0], 3)
        self.down = nn.ModuleList(Stage(i, settings.blocks, settings) for i in levels)
        self.shrink = nn.ModuleList(convolution(width[i], width[i + 1], 3, stride=2) for i in levels)
        # As many blocks as another level has on its way down, and twice as many in the middle: the authors' network.
        self.middle = Stage(len(levels), 3 * settings.blocks, settings)
        # The convolution comes before the upsampling: the same receptive field in samples for half the work.
        self.grow = nn.ModuleList(convolution(width[i + 1], width[i], 3) for i in levels)
        self.up = nn.ModuleList(Stage(i, settings.blocks, settings) for i in levels)
        self.norm = nn.GroupNorm(GROUPS, 2 * width[0])
        self.head = convolution(2 * width[0], channels * settings.patch, 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]  # there is a bias
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing from torch's stubs

    def forward(self, x: Tensor, time: Tensor, label: Tensor, *drafts: Tensor) -> Tensor:
        """Predict from records ``(b, channels, length)``, noise levels ``(b,)`` of 0 ... 1000 and classes ``(b,)``.

        With drafts, also from what :class:`ecgpipe.generate.drafts.draft.Rendered` has as ``shown`` and ``phases``.
        """
        condition = F.silu(self.time(sinusoidal_embedding(time)) + self.label(label))
        patches = patchify(x, self.patch, self.multiple)
        if self.shown is not None:
            shown = self.shown(label)[:, :, None, None].expand(-1, -1, 1, patches.shape[-1])
            patches = torch.cat([patches, shown], dim=1)
        stem = self.stem(patches.contiguous(memory_format=torch.channels_last))
        if self.plan is not None:
            stem = stem + self.plan(draft_channels(drafts, self.patch, self.multiple))
        h, skips = stem, []
        for stage, shrink in zip(self.down, self.shrink, strict=True):
            h = stage(h, condition)
            skips.append(h)
            h = shrink(h)
        h = self.middle(h, condition)
        for stage, grow in zip(reversed(self.up), reversed(self.grow), strict=True):
            h = stage(F.interpolate(grow(h), scale_factor=(1, 2)) + skips.pop(), condition)
        # The skip connection from the stem carries the noise, of which the prediction largely consists.
        out: Tensor = self.head(F.silu(self.norm(torch.cat([h, stem], dim=1))))
        return unpatchify(out, self.patch, x.shape[-1])


class TimeDiffusion(DiffusionGenerator):
    """The U-Net as a generator; see :class:`ecgpipe.generate.diffusion.DiffusionGenerator`."""

    Settings: ClassVar[type[TimeDiffusionSettings]] = TimeDiffusionSettings
    settings: TimeDiffusionSettings

    def network(self, channels: int, classes: int) -> nn.Module:
        """Build the U-Net."""
        return self.preconditioned(UNet(channels, classes, self.settings))

    def weight(self, alpha: Tensor, sigma: Tensor) -> Tensor:
        """Weigh each record by max(SNR, 1) ("truncated SNR", arXiv 2202.00512, section 4) if ``snr_weighted``.

        The SNR alone would leave out the last level, where it is zero and where sampling starts.
        """
        return (alpha / sigma).square().clamp(min=1) if self.settings.snr_weighted else super().weight(alpha, sigma)


GENERATOR = TimeDiffusion
