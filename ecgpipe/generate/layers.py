"""Layers that the generators' networks share: the embedding of the noise level, and records as patches."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

FREQUENCIES = 64
"""Frequencies of the noise level's sinusoidal embedding."""


def sinusoidal_embedding(time: Tensor) -> Tensor:
    """Embed noise levels ``(b,)`` of 0 ... 1000 as ``(b, 128)``: sin and cos of t exp(-ln(10^4) j / 63), j = 0 ... 63.

    DiffWave (arXiv 2009.09761), section 3.1.
    """
    frequency = torch.exp(-math.log(1e4) / (FREQUENCIES - 1) * torch.arange(FREQUENCIES, device=time.device))
    angle = time[:, None] * frequency
    return torch.cat([angle.sin(), angle.cos()], dim=1)


def patchify(x: Tensor, patch: int, multiple: int) -> Tensor:
    """Fold ``patch`` consecutive samples of all leads into the channels of one position.

    Args:
        x: records ``(b, leads, length)``.
        patch: samples a position.
        multiple: records are padded with zeros on the right to a multiple of so many samples, itself one of ``patch``.

    Returns:
        ``(b, leads * patch, 1, positions)``.
    """
    b, leads, length = x.shape
    padded = F.pad(x, (0, -length % multiple))
    return padded.view(b, leads, -1, patch).transpose(2, 3).reshape(b, leads * patch, 1, -1)


def unpatchify(h: Tensor, patch: int, length: int) -> Tensor:
    """Undo :func:`patchify`: ``(b, leads * patch, 1, positions)`` to ``(b, leads, length)``."""
    b, channels = h.shape[:2]
    leads = channels // patch
    return h.reshape(b, leads, patch, -1).transpose(2, 3).reshape(b, leads, -1)[..., :length]


def draft_channels(drafts: tuple[Tensor, ...], patch: int, multiple: int) -> Tensor:
    """Return what a network is shown of drafts as channels of its positions.

    Args:
        drafts: what is shown at every sample, ``(b, channels, length)``, and at every position, ``(b, phases,
            positions)``.
        patch, multiple: as for :func:`patchify`.

    Returns:
        ``(b, phases + channels * patch, 1, positions)``, channels last in memory.
    """
    shown, phases = drafts
    patches = patchify(shown, patch, multiple)
    padded = F.pad(phases, (0, patches.shape[-1] - phases.shape[-1]))[:, :, None]
    return torch.cat([padded, patches], dim=1).contiguous(memory_format=torch.channels_last)
