"""S4D against the recurrence it stands for, in both directions."""

from __future__ import annotations

import pytest
import torch

from ecgpipe.generate.s4 import S4D, S4Layer, kernel


def recurrence(layer: S4D, u: torch.Tensor) -> torch.Tensor:
    """x_k = exp(dt A) x_{k-1} + B' u_k, y_k = 2 Re(C x_k), one position after another, and the same from the end."""
    a = torch.complex(-layer.log_decay.exp(), layer.frequency)
    rates = a * layer.log_step.exp()[:, None]
    decay, inward = torch.exp(rates), (torch.exp(rates) - 1) / a
    c = torch.view_as_complex(layer.out)
    n = u.shape[-1]
    y = layer.straight[:, None] * u
    state = torch.zeros(*u.shape[:2], a.shape[1], dtype=a.dtype)
    for k in range(n):
        state = decay * state + inward * u[..., k, None]
        y[..., k] += 2 * (c[0] * state).real.sum(-1)
    state = torch.zeros_like(state)
    for k in reversed(range(n - 1)):
        state = decay * state + inward * u[..., k + 1, None]
        y[..., k] += 2 * (c[1] * state).real.sum(-1)
    return y


@pytest.mark.parametrize("n", [1, 2, 17, 100])
def test_the_convolution_is_the_recurrence(n: int) -> None:
    torch.manual_seed(0)
    layer = S4D(5, 8)
    u = torch.randn(3, 5, n)
    with torch.no_grad():
        torch.testing.assert_close(layer(u), recurrence(layer, u.clone()), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("length", [1, 16, 17, 1000])
def test_the_kernel_is_the_sum_of_its_exponentials(length: int) -> None:
    torch.manual_seed(0)
    rates = torch.complex(-torch.rand(3, 4), 3 * torch.rand(3, 4)).to(torch.complex128)
    weights = torch.randn(3, 4, dtype=torch.complex128)
    place = torch.arange(length)
    plain = 2 * (weights[..., None] * torch.exp(rates[..., None] * place)).sum(-2).real
    torch.testing.assert_close(kernel(rates, weights, length), plain)


def test_one_layer_reaches_the_whole_record_both_ways() -> None:
    torch.manual_seed(0)
    layer = S4Layer(8, 16)
    h = torch.randn(1, 8, 1, 200, requires_grad=True)
    layer(h)[0, :, 0, 100].square().sum().backward()
    assert h.grad is not None
    reached = h.grad[0, :, 0].abs().sum(0)
    assert bool((reached[:100] > 0).all())
    assert bool((reached[101:] > 0).all())
    assert all(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in layer.parameters())


def test_bfloat16_autocast_leaves_the_states_in_full_precision() -> None:
    torch.manual_seed(0)
    layer, h = S4Layer(8, 16), torch.randn(2, 8, 1, 50)
    with torch.autocast("cpu", dtype=torch.bfloat16), torch.no_grad():
        close = layer(h)
    with torch.no_grad():
        torch.testing.assert_close(close.float(), layer(h), atol=0.1, rtol=0.05)
