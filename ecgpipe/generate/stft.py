"""Short-time Fourier transform of signals, cut into a low-frequency and a high-frequency band, and its inverse."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class BandSTFT(nn.Module):
    """Split of signals into two bands of their short-time Fourier transform, and the inverse of each band.

    The transform is that of ``torch.stft`` (periodic Hann window, hop n_fft / 4, centred, normalised). For windows this
    short a matrix product is faster than an FFT, and its output has the layout that the networks want:
    ``(b, frames, channels)``, where a band's channels are signal channel x (real, imaginary) x frequency.
    """

    forward_basis: Tensor
    inverse_basis: Tensor
    envelope: Tensor

    def __init__(self, n_fft: int, lf_bins: int, length: int) -> None:
        """Take the window's samples, the number of low frequencies (from 0 Hz), and the samples of a signal.

        Raises:
            ValueError: if the signals are too short for the window.
        """
        super().__init__()
        if length <= n_fft // 2:
            raise ValueError(f"records of {length} samples are too short for `n_fft` {n_fft}")
        self.n_fft, self.hop, self.length = n_fft, n_fft // 4, length
        self.frames = 1 + length // self.hop
        bins = n_fft // 2 + 1
        self.bins = [lf_bins, bins - lf_bins]
        """Frequencies of each band."""
        window = torch.hann_window(n_fft, dtype=torch.float64)
        forward = torch.view_as_real(torch.fft.rfft(torch.diag(window), norm="ortho"))
        unit = torch.eye(2 * bins, dtype=torch.float64).reshape(2 * bins, 2, bins)
        inverse = torch.fft.irfft(torch.complex(unit[:, 0], unit[:, 1]), n=n_fft, norm="ortho") * window
        envelope = self._overlap_add(window.square().expand(1, self.frames, n_fft))[0]
        for name, value in (
            ("forward_basis", forward.transpose(1, 2)),
            ("inverse_basis", inverse.reshape(2, bins, n_fft)),
            ("envelope", envelope),
        ):
            self.register_buffer(name, value.float(), persistent=False)

    def split(self, signals: Tensor) -> tuple[Tensor, Tensor]:
        """Transform ``(b, c, length)`` to LF and HF, each ``(b, frames, c x 2 x its frequencies)``."""
        padded = F.pad(signals, (self.n_fft // 2, self.n_fft // 2), mode="reflect")
        framed = padded.unfold(-1, self.n_fft, self.hop).transpose(1, 2)
        bases = torch.split(self.forward_basis, self.bins, dim=2)
        lf, hf = (framed.matmul(basis.flatten(1)).flatten(2) for basis in bases)
        return lf, hf

    def inverse(self, band: Tensor, high: bool) -> Tensor:
        """Transform one band (LF, or HF if ``high``) back to ``(b, c, length)``; both bands add up to the signals."""
        basis = torch.split(self.inverse_basis, self.bins, dim=1)[high].flatten(0, 1)
        framed = band.float().reshape(len(band), self.frames, -1, len(basis)).matmul(basis).transpose(1, 2)
        whole = self._overlap_add(framed.flatten(0, 1)) / self.envelope
        return whole.reshape(len(band), -1, self.length)

    def _overlap_add(self, framed: Tensor) -> Tensor:
        """Add up frames ``(n, frames, n_fft)`` where they lie in time, and crop to ``(n, length)``."""
        quarters = framed.reshape(*framed.shape[:2], 4, self.hop)
        whole = sum(F.pad(quarters[:, :, q], (0, 0, q, 3 - q)) for q in range(4))
        assert isinstance(whole, Tensor)
        return whole.flatten(1)[:, self.n_fft // 2 : self.n_fft // 2 + self.length]
