"""What networks of generators share: the embedding of the noise level, records as patches, and attention that knows distances."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

FREQUENCIES = 64
"""Frequencies of the noise level's sinusoids."""


def sinusoids(time: Tensor) -> Tensor:
    """Embed noise levels ``(b,)`` of 0 ... 1000 as ``(b, 128)``: sin and cos of t exp(-ln(10^4) j / 63), j = 0 ... 63.

    DiffWave (arXiv 2009.09761), section 3.1.
    """
    frequency = torch.exp(-math.log(1e4) / (FREQUENCIES - 1) * torch.arange(FREQUENCIES, device=time.device))
    angle = time[:, None] * frequency
    return torch.cat([angle.sin(), angle.cos()], dim=1)


def to_patches(x: Tensor, patch: int, multiple: int) -> Tensor:
    """Fold ``patch`` samples of all leads into the channels of one position.

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


def from_patches(h: Tensor, patch: int, length: int) -> Tensor:
    """Undo :func:`to_patches`: ``(b, leads * patch, 1, positions)`` to ``(b, leads, length)``."""
    b, channels = h.shape[:2]
    leads = channels // patch
    return h.reshape(b, leads, patch, -1).transpose(2, 3).reshape(b, leads, -1)[..., :length]


def turns(heads: int, positions: int, half: int, device: torch.device) -> Tensor:
    """Return cos and sin of the angle by which each place turns each pair of channels, ``(2, heads, positions, half)``.

    The frequencies of all heads together are spaced evenly up to half a turn a place: a beat that returns every so many
    places is a line in such a spectrum. The usual geometric spacing has two or three frequencies among heart rates.
    """
    steps = (torch.arange(half, device=device) + (torch.arange(heads, device=device)[:, None] + 0.5) / heads) / half
    angle = math.pi * torch.arange(positions, device=device)[:, None] * steps[:, None]
    return torch.stack([angle.cos(), angle.sin()])


def turned(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn pairs of channels of ``(..., heads, positions, d)``; the pairs are channels i and d/2 + i."""
    one, two = x.chunk(2, dim=-1)
    return torch.cat([one * cos - two * sin, one * sin + two * cos], dim=-1)


def attend(qkv: Tensor) -> Tensor:
    """Attention in which places count by their distances alone, wherever in the record they are.

    Queries and keys are turned by their place, so that their products tell distances (RoPE, arXiv 2104.09864). So are
    values, and what a place gathers is turned back by its own: it is a Fourier transform of the record as seen from
    there, of which one can read whether a beat is due.

    Args:
        qkv: queries, keys and values, ``(3, b, heads, positions, d)``.

    Returns:
        ``(b, heads, positions, d)``.
    """
    heads, positions, d = qkv.shape[2:]
    cos, sin = turns(heads, positions, d // 2, qkv.device).to(qkv.dtype)
    query, key, value = turned(qkv, cos, sin).unbind()
    return turned(F.scaled_dot_product_attention(query, key, value), cos, -sin)
