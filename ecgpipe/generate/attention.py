"""Self-attention with a rotary position embedding, and the transformer block made of it.

A rhythm is a matter of the time between beats, wherever in the record they are: attention here depends on the distance
between two positions, not on the positions themselves.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def rotary_embedding(heads: int, positions: int, half: int, device: torch.device, first: int = 0) -> Tensor:
    """Return cos and sin of the rotary embedding's angles, ``(2, heads, positions, half)``.

    The frequencies of all heads together are spaced evenly up to half a turn a position: a beat that returns every so
    many positions is a line in such a spectrum. The usual geometric spacing has only two or three frequencies in the
    range of heart rates.

    Args:
        heads: attention heads.
        positions: length of the sequence.
        half: half of a head's channels, that is, pairs of channels to rotate.
        device: where to make it.
        first: number of the first position.
    """
    steps = (torch.arange(half, device=device) + (torch.arange(heads, device=device)[:, None] + 0.5) / heads) / half
    angle = math.pi * torch.arange(first, first + positions, device=device)[:, None] * steps[:, None]
    return torch.stack([angle.cos(), angle.sin()])


def apply_rotary_embedding(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate pairs of channels of ``(..., heads, positions, d)``; the pairs are channels i and d/2 + i."""
    one, two = x.chunk(2, dim=-1)
    return torch.cat([one * cos - two * sin, one * sin + two * cos], dim=-1)


class KeyValueCache:
    """Keys and values of the positions that a causal attention has seen, when it is shown one after another."""

    def __init__(self) -> None:
        self.kept: Tensor | None = None

    @property
    def positions(self) -> int:
        """Number of positions seen."""
        return 0 if self.kept is None else self.kept.shape[3]

    def extended(self, key: Tensor, value: Tensor) -> Tensor:
        """Add a position's key and value ``(b, heads, 1, d)``; return all of them, ``(2, b, heads, positions, d)``."""
        new = torch.stack([key, value])
        self.kept = new if self.kept is None else torch.cat([self.kept, new], dim=3)
        return self.kept


def rotary_attention(qkv: Tensor, causal: bool = False, cache: KeyValueCache | None = None) -> Tensor:
    """Scaled dot-product attention with a rotary embedding of queries, keys and values.

    Queries and keys are rotated by their positions, so that their products depend on distances alone (RoPE, arXiv
    2104.09864). Values are rotated too, and what a position gathers is rotated back by its own angle: this is a Fourier
    transform of the record as seen from there, which shows whether a beat is due.

    Args:
        qkv: queries, keys and values, ``(3, b, heads, positions, d)``.
        causal: let a position see none after it.
        cache: of those before; ``qkv`` is then the one position that follows them.

    Returns:
        ``(b, heads, positions, d)``.
    """
    heads, positions, d = qkv.shape[2:]
    first = 0 if cache is None else cache.positions
    cos, sin = rotary_embedding(heads, positions, d // 2, qkv.device, first).to(qkv.dtype)
    query, key, value = apply_rotary_embedding(qkv, cos, sin).unbind()
    if cache is not None:
        key, value = cache.extended(key, value).unbind()
    gathered = F.scaled_dot_product_attention(query, key, value, is_causal=causal and cache is None)
    return apply_rotary_embedding(gathered, cos, -sin)


class SelfAttention(nn.Module):
    """Multi-head self-attention with a rotary embedding."""

    def __init__(self, width: int, heads: int, causal: bool = False) -> None:
        super().__init__()
        self.heads, self.causal = heads, causal
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, cache: KeyValueCache | None = None) -> Tensor:
        """Keep the shape ``(b, positions, width)``; with a cache, that of the one position that follows."""
        b, n, width = x.shape
        qkv = self.qkv(x).reshape(b, n, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        mixed = rotary_attention(qkv, self.causal, cache)
        out: Tensor = self.out(mixed.transpose(1, 2).reshape(b, n, width))
        return out


class TransformerBlock(nn.Module):
    """Pre-norm transformer block: self-attention, then a feed-forward network, each with a residual connection."""

    def __init__(self, width: int, heads: int, dropout: float, causal: bool = False) -> None:
        super().__init__()
        self.norms = nn.ModuleList([nn.LayerNorm(width), nn.LayerNorm(width)])
        self.attention = SelfAttention(width, heads, causal)
        self.dense = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, cache: KeyValueCache | None = None) -> Tensor:
        """Keep the shape ``(b, positions, width)``; with a cache, that of the one position that follows."""
        x = x + self.dropout(self.attention(self.norms[0](x), cache))
        out: Tensor = x + self.dropout(self.dense(self.norms[1](x)))
        return out
