"""S4D: a diagonal state space model as a layer, in both directions of time.

Gu, Gupta, Goel, Ré, "On the Parameterization and Initialization of Diagonal State Space Models", arXiv 2206.11893.
Each channel has a state of N complex numbers, of which conjugate pairs are kept once, and obeys

    x'(t) = A x(t) + B u(t),    y(t) = 2 Re(C x(t)) + D u(t),

with a diagonal A whose real parts are negative, and B = 1 (C can absorb any other). With a step dt (zero-order hold;
section 3.1) the output is a convolution of the input with the kernel

    K[l] = 2 Re sum_n C_n (exp(dt A_n) - 1) / A_n  exp(l dt A_n),

computed for all positions at once by FFT. A second C gives the kernel that runs backwards.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SHORTEST, LONGEST = 0.001, 0.1
"""Range of the steps dt that channels start with: a state remembers up to about 1 / dt positions."""


def kernel(rates: Tensor, weights: Tensor, length: int) -> Tensor:
    """Return 2 Re sum_n w_n exp(l r_n) for l = 0 ... length - 1.

    Args:
        rates: r, ``(..., states)``, complex.
        weights: w, ``(..., states)``, complex.
        length: of the kernel.

    Returns:
        ``(..., length)``, real.
    """
    # With l = a q + b the exponential is a product: two short tables and a matrix product instead of one long table.
    q = math.isqrt(length - 1) + 1
    place = torch.arange(q, device=rates.device)
    fine = torch.exp(rates[..., None] * place)
    coarse = weights[..., None] * torch.exp(rates[..., None] * (q * place))
    return 2 * (coarse.transpose(-1, -2) @ fine).real.flatten(-2)[..., :length]


class S4D(nn.Module):
    """State space model along the positions, every channel its own: ``(b, channels, n)`` to the same."""

    def __init__(self, channels: int, states: int) -> None:
        """Take the channels and the states N of each, an even number; A starts as in S4D-Lin (section 4.1)."""
        super().__init__()
        pairs = states // 2
        step = torch.rand(channels) * math.log(LONGEST / SHORTEST) + math.log(SHORTEST)
        self.log_step = nn.Parameter(step)
        self.log_decay = nn.Parameter(torch.full((channels, pairs), math.log(0.5)))
        self.frequency = nn.Parameter(math.pi * torch.arange(pairs).float().repeat(channels, 1))
        self.out = nn.Parameter(torch.randn(2, channels, pairs, 2) * math.sqrt(0.5))
        """C of both directions; real and imaginary part."""
        self.straight = nn.Parameter(torch.randn(channels))
        """D."""

    def kernels(self, length: int) -> Tensor:
        """Return the kernels of both directions, ``(2, channels, length)``."""
        a = torch.complex(-self.log_decay.exp(), self.frequency)
        rates = a * self.log_step.exp()[:, None]
        weights = torch.view_as_complex(self.out) * (torch.exp(rates) - 1) / a
        return kernel(rates.expand_as(weights), weights, length)

    def forward(self, u: Tensor) -> Tensor:
        """Convolve with both kernels; later positions act on a position through the second."""
        n = u.shape[-1]
        # There is no bfloat16 for complex numbers and Fourier transforms.
        with torch.autocast(u.device.type, enabled=False):
            u = u.float()
            forwards, backwards = self.kernels(n)
            both = F.pad(forwards, (0, n)) + F.pad(backwards.flip(-1), (n, 0))
            y: Tensor = torch.fft.irfft(torch.fft.rfft(u, 2 * n) * torch.fft.rfft(both), 2 * n)[..., :n]
            return y + self.straight[:, None] * u


class S4Layer(nn.Module):
    """S4D, GELU, a 1x1 convolution, the residual connection, and a layer norm: ``(b, channels, 1, n)`` to the same."""

    def __init__(self, channels: int, states: int) -> None:
        super().__init__()
        self.s4 = S4D(channels, states)
        self.mix = nn.Conv2d(channels, channels, 1)
        self.norm = nn.LayerNorm(channels)

    def forward(self, h: Tensor) -> Tensor:
        """Keep the shape."""
        mixed = self.mix(F.gelu(self.s4(h.squeeze(2))).unsqueeze(2))
        out: Tensor = self.norm((h + mixed).movedim(1, -1)).movedim(-1, 1)
        return out
