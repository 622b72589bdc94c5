"""Attention with a rotary embedding against its definition."""

import math

import torch

from ecgpipe.generate.attention import rotary_attention, rotary_embedding


def test_attention_gathers_what_lies_at_a_distance_turned_by_that_distance() -> None:
    heads, n, d = 2, 9, 8
    torch.manual_seed(0)
    qkv = torch.randn(3, 1, heads, n, d, dtype=torch.float64)
    out = rotary_attention(qkv)[0]
    for h in range(heads):
        frequency = math.pi * (torch.arange(d // 2) + (h + 0.5) / heads) / (d // 2)
        query, key, value = (torch.complex(x[..., : d // 2], x[..., d // 2 :]) for x in qkv[:, 0, h])
        for i in range(n):
            turn = torch.exp(1j * frequency * (torch.arange(n) - i)[:, None])
            weight = ((query[i].conj() * turn * key).sum(1).real / math.sqrt(d)).softmax(0)
            gathered = (weight[:, None] * turn * value).sum(0)
            torch.testing.assert_close(out[h, i], torch.cat([gathered.real, gathered.imag]), atol=1e-5, rtol=1e-5)


def test_frequencies_of_all_heads_are_evenly_spaced_up_to_half_a_turn() -> None:
    cos, _ = rotary_embedding(2, 2, 4, torch.device("cpu"))
    found = cos[:, 1].acos().flatten().sort().values
    torch.testing.assert_close(found, math.pi * (torch.arange(8) + 0.5) / 8, atol=1e-5, rtol=1e-5)
