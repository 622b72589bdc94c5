"""TimeVQVAE (Lee, Malacarne, Aune, AISTATS 2023, arXiv 2303.04743): a VQ-VAE in time-frequency, and masked priors.

Stage 1. A record's short-time Fourier transform (STFT) is cut into a low-frequency band (LF) and the rest (HF). Each
band has an encoder (which halves the number of frames), a vector quantiser and a mirror decoder, trained on

    |x_LF - x'_LF|^2 + |x_HF - x'_HF|_1      (in time)
    + |u_LF - u'_LF|^2 + |u_HF - u'_HF|^2    (in time-frequency)
    + the commitment loss.

Stage 2. A record is now two short sequences of tokens, indices into the two codebooks. Two bidirectional transformers
learn the priors p(LF | class) and p(HF | LF, class) by predicting masked tokens (MaskGIT, Chang et al., CVPR 2022,
arXiv 2202.04200). Samples are decoded in a few rounds, each of which keeps the most confident tokens. A prior may
instead predict each token from those before it (``order: causal``). Stage 2 does not start if stage 1 does not
reconstruct: no prior over tokens that do not describe the record can be good.

Stage 3, optional: a fidelity enhancer, a small 1-D U-Net from reconstructions to the originals. With drafts there may
be noise of the spectrum of what stage 1 loses instead (``lost_noise``), which is not the paper's.

Here the first convolution folds a band's frequencies into channels (and the last unfolds them), so that a band has one
token a position in time. On 12 leads the reconstruction is limited by the number of tokens a second, not by the size of
the networks.

Parts that are not the paper's own: :mod:`~ecgpipe.generate.stft`, :mod:`~ecgpipe.generate.vector_quantizer`,
:mod:`~ecgpipe.generate.attention`.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import logging
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from ecgpipe.dataset import SignalSpec
from ecgpipe.generate import training
from ecgpipe.generate.attention import KeyValueCache, TransformerBlock
from ecgpipe.generate.base import batches, check_drawable
from ecgpipe.generate.drafted import DraftedGenerator, DraftedSettings, Residuals
from ecgpipe.generate.drafts.draft import DraftModel
from ecgpipe.generate.guidance import (
    GuidanceLevels,
    check_guidance,
    classifier_free_guidance,
    drop_classes,
    guidance_at,
)
from ecgpipe.generate.preconditioning import coloured, estimate_class_spectra, white_spectrum
from ecgpipe.generate.protocol import Settings, Signals
from ecgpipe.generate.stft import BandSTFT
from ecgpipe.generate.training import TrainingSettings, validation_rows
from ecgpipe.generate.vector_quantizer import FiniteScalarQuantizer, Quantizer, VectorQuantizer, codebook_usage
from ecgpipe.leads import LEADS

log = logging.getLogger(__name__)

Band = Literal["lf", "hf"]

BATCH = 64
"""Records encoded at a time outside training."""

SHRINKAGE = 60.0
"""What stage 1 loses of a class is averaged with what it loses of all, which weighs as much as so many records."""
_LOST_STREAM = 0xBEAB

INITIAL_STD = 0.1
"""Standard deviation of the priors' embeddings at initialisation."""


_OF_STAGE_1 = {
    *("leads", "draft", "n_fft", "lf_bins", "lf_halvings", "hf_halvings", "hidden", "res_blocks"),
    *("code_dim", "lf_codes", "hf_codes", "lf_levels", "hf_levels"),
    *("codebook_decay", "codebook_patience", "commitment"),
}
"""Settings besides ``stage1`` that stage 1 depends on: after a change of others, its checkpoint is still good."""


class ReconstructionError(RuntimeError):
    """Stage 1 reconstructs too poorly for stage 2 to be worth its time; the message gives the error of every lead."""


# --------------------------------------------------------------------------------------------------------- settings


class PriorSettings(TrainingSettings):
    """A transformer over tokens, and its training."""

    order: Literal["masked", "causal"] = Field(
        "masked",
        description="`masked`: predicts masked tokens from all others, and draws in rounds; `causal`: predicts each"
        " token from those before it, and draws one after another, whatever rounds and temperature are. A causal prior"
        " of high frequencies knows the low ones up to its own time.",
    )
    width: int = Field(64, ge=8, description="Width of the transformer.")
    layers: int = Field(4, ge=1, description="Layers of the transformer.")
    heads: int = Field(4, ge=1, description="Attention heads; the width must divide by twice their number.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Dropout in the transformer.")

    @model_validator(mode="after")
    def _heads_fit(self) -> PriorSettings:
        if self.width % (2 * self.heads):
            raise ValueError(
                f"`width` ({self.width}) must divide by twice `heads` ({self.heads}): positions turn pairs of channels"
            )
        return self


class EnhancerSettings(TrainingSettings):
    """The fidelity enhancer and its training."""

    width: int = Field(8, ge=1, description="Channels at full length; doubled at each of three halvings.")
    dropout: float = Field(0.5, ge=0, lt=1, description="Dropout at the lowest resolution.")


_PAPER_TRAINING: dict[str, Any] = {"learning_rate": 5e-4, "validate_every": 5000}
_PAPER_PRIOR: dict[str, Any] = {
    **_PAPER_TRAINING,
    "width": 64,
    "layers": 4,
    "heads": 2,
    "dropout": 0.3,
    "steps": 1_000_000,
    "batch": 256,
    "warmup": 100_000,
}
_SMALL_PRIOR: dict[str, Any] = {"batch": 16, "learning_rate": 2e-3, "balanced": True}
_SMALL_LF_PRIOR: dict[str, Any] = {
    **_SMALL_PRIOR,
    "optimizer": "muon",
    "steps": 1500,
    "warmup": 50,
    "ema_decay": 0.99,
    "validate_every": 300,
}
_FULL_TRAINING: dict[str, Any] = {"validate_every": 1000, "validation_records": 1024}
_FULL_PRIOR: dict[str, Any] = {
    **_FULL_TRAINING,
    "dropout": 0.2,
    "steps": 100_000,
    "batch": 256,
    "learning_rate": 5e-4,
    "warmup": 2000,
    "ema_decay": 0.9999,
}


class TimeVQVAESettings(DraftedSettings):
    """Settings of :class:`TimeVQVAE`."""

    PURE: ClassVar[dict[str, dict[str, Any]]] = {
        "small": {"lost_noise": False, "lf_prior": {**_SMALL_LF_PRIOR, "order": "causal", "dropout": 0.3}}
    }

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "small": {
            "draft": "beats",
            "lost_noise": True,
            "stage1": {
                "steps": 200,
                "batch": 32,
                "learning_rate": 3e-3,
                "warmup": 25,
                "weight_decay": 1e-4,
                "ema_decay": 0.99,
                "validate_every": 100,
            },
            "lf_prior": _SMALL_LF_PRIOR,
            "hf_prior": {
                **_SMALL_PRIOR,
                "layers": 1,
                "steps": 150,
                "warmup": 20,
                "ema_decay": 0.98,
                "validate_every": 75,
            },
        },
        "full": {
            "lf_halvings": 1,
            "hf_halvings": 1,
            "hidden": 128,
            "res_blocks": 4,
            "code_dim": 16,
            "lf_codes": 512,
            "hf_codes": 512,
            "codebook_decay": 0.99,
            "stage1": {**_FULL_TRAINING, "steps": 50_000, "batch": 128, "warmup": 1000, "ema_decay": 0.9999},
            "lf_prior": {**_FULL_PRIOR, "width": 256, "layers": 6, "heads": 8},
            "hf_prior": {**_FULL_PRIOR, "width": 128, "layers": 4},
            "enhancer": {**_FULL_TRAINING, "width": 16, "dropout": 0.1, "steps": 20_000, "batch": 128, "warmup": 500},
        },
        "paper": {
            "leads": "all12",
            "lf_bins": 1,
            "lf_halvings": 5,
            "hf_halvings": 2,
            "res_blocks": 4,
            "code_dim": 64,
            "lf_codes": 64,
            "hf_codes": 64,
            "codebook_decay": 0.8,
            "codebook_patience": None,
            "reconstruction_bound": 0.95,
            "stage1": {**_PAPER_TRAINING, "steps": 500_000, "batch": 128, "warmup": 50_000},
            "lf_prior": _PAPER_PRIOR,
            "hf_prior": _PAPER_PRIOR,
            "enhancer": {**_PAPER_TRAINING, "steps": 100_000, "batch": 128, "warmup": 10_000},
        },
    }

    preset: Literal["paper", "full", "small"] = Field(
        "small",
        description="Named set of values that all other keys start from: `paper` (the study's), `full`, or `small` (a"
        " few minutes on one core, with drafts).",
    )
    n_fft: int = Field(
        16,
        ge=4,
        multiple_of=4,
        description="Samples of the Fourier transform's window; it advances by a quarter of them.",
    )
    lf_bins: int = Field(
        2,
        ge=1,
        description="Frequencies, from 0 Hz, of the low-frequency band; the rest, up to n_fft / 2, are the other.",
    )
    lf_halvings: int = Field(1, ge=1, description="Times the low-frequency encoder halves the number of frames.")
    hf_halvings: int = Field(2, ge=1, description="Times the high-frequency encoder halves the number of frames.")
    hidden: int = Field(64, ge=1, description="Channels of encoders and decoders.")
    res_blocks: int = Field(2, ge=0, description="Residual blocks of each encoder and each decoder.")
    code_dim: int = Field(8, ge=1, description="Dimension of the codes.")
    lf_codes: int = Field(160, ge=2, le=65536, description="Codes in the low-frequency codebook.")
    hf_codes: int = Field(256, ge=2, le=65536, description="Codes in the high-frequency codebook.")
    lf_levels: list[int] | None = Field(
        None,
        description="Instead of a learned codebook, a fixed grid (finite scalar quantisation) with so many levels in"
        " each dimension; their product must be `lf_codes`, and their number takes the place of `code_dim`. Settings of"
        " learning a codebook and `commitment` do not count then.",
    )
    hf_levels: list[int] | None = Field(None, description="The same for the high-frequency band.")
    codebook_decay: float = Field(0.9, ge=0, lt=1, description="Decay of the codebooks' moving averages.")
    codebook_patience: int | None = Field(
        50,
        ge=1,
        description="Training steps after which a code that was not chosen restarts at a vector of the batch; null:"
        " never, as published.",
    )
    commitment: float = Field(1.0, ge=0, description="Weight of the commitment loss.")
    reconstruction_bound: float = Field(
        0.6,
        gt=0,
        description="Stage 2 starts only if stage 1's relative RMSE on validation records is below this (0: perfect,"
        " 1: as bad as a flat line).",
    )
    lost_noise: bool = Field(
        False,
        description="`draft: beats` only: add to what is drawn noise with the spectrum, by class, of what stage 1 loses"
        " of training records. Tokens cannot describe noise: without it, what is drawn is too clean.",
    )
    class_dropout: float = Field(
        0.2, ge=0, lt=1, description="Share of training records shown to the priors without their class, for guidance."
    )
    stage1: TrainingSettings = Field(
        default_factory=TrainingSettings, description="Training of encoders, codebooks and decoders."
    )
    lf_prior: PriorSettings = Field(default_factory=PriorSettings, description="The prior p(LF | class).")
    hf_prior: PriorSettings = Field(default_factory=PriorSettings, description="The prior p(HF | LF, class).")
    enhancer: EnhancerSettings | None = Field(None, description="The fidelity enhancer; null: none.")

    @model_validator(mode="after")
    def _bands_fit(self) -> TimeVQVAESettings:
        if self.lf_bins > self.n_fft // 2:
            raise ValueError(
                f"`lf_bins` ({self.lf_bins}) leaves no frequency for the other band: `n_fft` {self.n_fft} has"
                f" {self.n_fft // 2 + 1}"
            )
        for band, levels, codes in (("lf", self.lf_levels, self.lf_codes), ("hf", self.hf_levels, self.hf_codes)):
            if levels is not None and (min(levels, default=0) < 2 or math.prod(levels) != codes):
                raise ValueError(
                    f"`{band}_levels` {levels} must be numbers of 2 or more whose product is `{band}_codes` ({codes})"
                )
        if self.lost_noise and self.draft == "none":
            raise ValueError("`lost_noise` is for `draft: beats`: its levels are those of what drafts leave")
        if self.lost_noise and self.enhancer is not None:
            raise ValueError("`lost_noise` and `enhancer` both give back what stage 1 loses; choose one")
        return self


class TimeVQVAESampleSettings(Settings):
    """How to draw from :class:`TimeVQVAE`."""

    lf_rounds: int = Field(10, ge=1, description="Rounds in which the low-frequency tokens are filled in.")
    hf_rounds: int = Field(10, ge=1, description="Rounds in which the high-frequency tokens are filled in.")
    lf_temperature: float = Field(
        4.0, ge=0, description="Randomness of which low-frequency tokens a round keeps; 0 keeps the surest."
    )
    hf_temperature: float = Field(4.0, ge=0, description="The same for high-frequency tokens.")
    guidance: float = Field(
        1.0,
        ge=0,
        description="Classifier-free guidance scale; 1 is none, and costs one network pass a round instead of two.",
    )
    guidance_levels: GuidanceLevels | None = Field(
        None,
        description="Shares of tokens still to draw, lowest and highest (1 is all), that guidance is confined to; null:"
        " everywhere.",
    )

    @property
    def evaluations(self) -> int:
        """Rounds a record, of both priors if they are masked ones."""
        return self.lf_rounds + self.hf_rounds


# ---------------------------------------------------------------------------------------------------- stage 1: tokens


class ResBlock(nn.Module):
    """Residual block, x + conv1(act(conv3(act(x)))), along time."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.wide = nn.Conv2d(channels, channels, (1, 3), padding=(0, 1))
        self.narrow = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape ``(b, channels, 1, frames)``."""
        out: Tensor = x + self.narrow(F.leaky_relu(self.wide(F.leaky_relu(x))))
        return out


class BandVQVAE(nn.Module):
    """Encoder, quantiser and decoder of one band.

    Convolutions are two-dimensional on channels-last tensors, which on CPUs are faster than one-dimensional ones.
    """

    def __init__(
        self,
        channels: int,
        frames: int,
        halvings: int,
        codes: int,
        levels: list[int] | None,
        settings: TimeVQVAESettings,
    ) -> None:
        super().__init__()
        hidden, dim = settings.hidden, settings.code_dim if levels is None else len(levels)
        self.frames = frames
        self.padded = -(-frames // 2**halvings) * 2**halvings
        self.tokens = self.padded // 2**halvings
        down: list[nn.Module] = []
        up: list[nn.Module] = []
        for inside, outside in [(hidden, channels), *[(hidden, hidden)] * (halvings - 1)]:
            down += [nn.Conv2d(outside, inside, (1, 4), stride=(1, 2), padding=(0, 1)), nn.LeakyReLU()]
            up = [nn.LeakyReLU(), nn.ConvTranspose2d(inside, outside, (1, 4), stride=(1, 2), padding=(0, 1)), *up]
        blocks = [ResBlock(hidden) for _ in range(2 * settings.res_blocks)]
        self.encoder = nn.Sequential(*down, *blocks[: settings.res_blocks], nn.Conv2d(hidden, dim, 1))
        self.quantizer: Quantizer = (
            VectorQuantizer(codes, dim, settings.codebook_decay, settings.codebook_patience)
            if levels is None
            else FiniteScalarQuantizer(levels)
        )
        self.decoder = nn.Sequential(
            nn.Conv2d(dim, hidden, (1, 3), padding=(0, 1)), *blocks[settings.res_blocks :], *up
        )
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing from torch's stubs

    def encode(self, band: Tensor) -> Tensor:
        """Encode ``(b, frames, channels)`` to ``(b, tokens, dim)``."""
        vectors: Tensor = self.encoder(_to_image(F.pad(band, (0, 0, 0, self.padded - self.frames))))
        return self.quantizer.bound(_from_image(vectors))

    def decode(self, codes: Tensor) -> Tensor:
        """Decode ``(b, tokens, dim)`` to ``(b, frames, channels)``."""
        band: Tensor = self.decoder(_to_image(codes))
        return _from_image(band)[:, : self.frames]

    def encode_tokens(self, band: Tensor) -> Tensor:
        """Return the tokens of a band, ``(b, tokens)``, int64."""
        vectors = self.encode(band)
        return self.quantizer.indices(vectors.flatten(0, 1)).reshape(vectors.shape[:2])

    def decode_tokens(self, tokens: Tensor) -> Tensor:
        """Decode tokens ``(b, tokens)`` to the band."""
        return self.decode(F.embedding(tokens, self.quantizer.codebook))

    def forward(self, band: Tensor) -> tuple[Tensor, Tensor]:
        """Return the reconstruction of a band, and the commitment loss (of a learned codebook)."""
        vectors = self.encode(band)
        codes = self.quantizer(vectors.flatten(0, 1)).reshape(vectors.shape)
        learned = isinstance(self.quantizer, VectorQuantizer)
        commitment_loss = F.mse_loss(vectors.float(), codes) if learned else vectors.new_zeros(())
        straight_through = vectors + (codes - vectors).detach()
        return self.decode(straight_through), commitment_loss


def _to_image(x: Tensor) -> Tensor:
    """View ``(b, time, channels)`` as the channels-last image ``(b, channels, 1, time)``."""
    return x.contiguous()[:, None].permute(0, 3, 1, 2)


def _from_image(x: Tensor) -> Tensor:
    """Undo :func:`_to_image`."""
    return x[:, :, 0].transpose(1, 2)


class Tokenizer(nn.Module):
    """Stage 1: signals to two sequences of tokens, and back."""

    def __init__(self, channels: int, length: int, settings: TimeVQVAESettings) -> None:
        super().__init__()
        self.bands = BandSTFT(settings.n_fft, settings.lf_bins, length)
        frames, (low, high) = self.bands.frames, self.bands.bins
        s = settings
        self.lf = BandVQVAE(2 * channels * low, frames, s.lf_halvings, s.lf_codes, s.lf_levels, s)
        self.hf = BandVQVAE(2 * channels * high, frames, s.hf_halvings, s.hf_codes, s.hf_levels, s)

    def forward(self, signals: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return each band's reconstruction error, ``(b, frames, channels)``, and the sum of the commitment losses."""
        lf, hf = self.bands.split(signals)
        lf_out, lf_commitment = self.lf(lf)
        hf_out, hf_commitment = self.hf(hf)
        return lf - lf_out, hf - hf_out, lf_commitment + hf_commitment

    def encode(self, signals: Tensor) -> tuple[Tensor, Tensor]:
        """Return the LF and the HF tokens of signals ``(b, c, length)``."""
        lf, hf = self.bands.split(signals)
        return self.lf.encode_tokens(lf), self.hf.encode_tokens(hf)

    def decode(self, lf: Tensor, hf: Tensor) -> Tensor:
        """Return the signals ``(b, c, length)`` of LF and HF tokens."""
        low = self.bands.inverse(self.lf.decode_tokens(lf), high=False)
        return low + self.bands.inverse(self.hf.decode_tokens(hf), high=True)

    def reconstruct(self, signals: Tensor) -> Tensor:
        """Encode signals ``(b, c, length)`` to tokens, and decode these."""
        return self.decode(*self.encode(signals))


# ---------------------------------------------------------------------------------------------------- stage 2: priors


class Prior(nn.Module):
    """A transformer over tokens, given the class and, for HF, the LF tokens.

    A masked prior sees all tokens that are not masked. A causal one sees at each token those before it, and at the
    first the mask token. Of given tokens and of the plan, it sees those up to the token's own span of time.

    Args:
        tokens: tokens a record.
        codes: size of their codebook; this index is the mask token.
        classes: number of classes; this index is "no class".
        settings: width, layers, heads and dropout.
        given: number of given tokens and size of their codebook, if there are any.
        phases: channels of a plan that it is shown at each token; 0 without drafts.
    """

    given_at: Tensor

    def __init__(
        self,
        tokens: int,
        codes: int,
        classes: int,
        settings: PriorSettings,
        given: tuple[int, int] | None = None,
        phases: int = 0,
    ) -> None:
        super().__init__()
        self.tokens, self.codes, self.no_class = tokens, codes, classes
        self.causal = settings.order == "causal"
        self.token = nn.Embedding(codes + 1, settings.width)
        self.label = nn.Embedding(classes + 1, settings.width)
        self.given: nn.Embedding | None = None
        if given is not None:
            given_tokens, self.given_codes = given
            # Each token is given all those of its own span of time; the first, the second ... have tables of their own.
            self.each = -(-given_tokens // tokens)
            self.given = nn.Embedding(self.each * self.given_codes, settings.width)
            first = torch.arange(tokens) * given_tokens // tokens
            at = (first[:, None] + torch.arange(self.each)).clamp(max=given_tokens - 1)
            self.register_buffer("given_at", at, persistent=False)
        self.start = nn.Sequential(nn.LayerNorm(settings.width), nn.Dropout(settings.dropout))
        self.layers = nn.Sequential(
            *[
                TransformerBlock(settings.width, settings.heads, settings.dropout, self.causal)
                for _ in range(settings.layers)
            ]
        )
        self.end = nn.Sequential(
            nn.LayerNorm(settings.width),
            nn.Linear(settings.width, settings.width),
            nn.GELU(),
            nn.LayerNorm(settings.width),
        )
        self.bias = nn.Parameter(torch.zeros(codes))
        for embedding in (self.token, self.label, *([] if self.given is None else [self.given])):
            nn.init.normal_(embedding.weight, std=INITIAL_STD)
        self.plan = nn.Linear(phases, settings.width) if phases else None

    @torch.no_grad()
    def init_from_codebook(self, codebook: Tensor, frequency: Tensor, given_codebook: Tensor) -> None:
        """Initialise similar codes with similar embeddings, and the output bias with the codes' log frequency.

        A few hundred records do not teach a transformer which of some hundred codes are neighbours; the codebook
        tells. Random Fourier features make near codes parallel and far ones orthogonal (Rahimi & Recht, NIPS 2007).

        Args:
            codebook: ``(codes, dim)``, of the tokens.
            frequency: ``(codes,)``, how often each occurs.
            given_codebook: of the given tokens; not used if none are given.
        """
        self.token.weight[:-1] = INITIAL_STD * _random_fourier_features(codebook, self.token.embedding_dim)
        if self.given is not None:
            width = self.given.embedding_dim
            tables = [INITIAL_STD * _random_fourier_features(given_codebook, width) for _ in range(self.each)]
            self.given.weight.copy_(torch.cat(tables))
        self.bias.copy_(((frequency + 1) / (frequency + 1).sum()).log())

    def forward(self, tokens: Tensor, labels: Tensor, *shown: Tensor) -> Tensor:
        """Return logits ``(b, n, codes)``.

        Args:
            tokens: ``(b, n)``; the number ``codes`` is the mask token.
            labels: ``(b,)``; the number ``classes`` is "no class".
            shown: for the prior of HF, LF tokens ``(b, m)`` of the same record; with drafts then the plan's phases at
                the tokens, ``(b, phases, n)``.
        """
        if self.causal:
            tokens = F.pad(tokens[:, :-1], (1, 0), value=self.codes)
        return self._logits(self.layers(self._embedded(tokens, labels, *shown)))

    def following(self, before: Tensor, caches: list[KeyValueCache], labels: Tensor, *shown: Tensor) -> Tensor:
        """Return a causal prior's logits ``(b, codes)`` of the token that follows those that ``caches`` have.

        Args:
            before: the token before it, ``(b,)``; for the first, the mask token.
            caches: of the layers, for the tokens so far; new ones for the first. They are extended.
            labels, shown: as for :meth:`forward`, of all tokens.
        """
        at = caches[0].positions
        x = self._embedded(before[:, None], labels, *shown, at=slice(at, at + 1))
        for layer, cache in zip(self.layers, caches, strict=True):
            x = layer(x, cache)
        return self._logits(x)[:, 0]

    def _embedded(self, tokens: Tensor, labels: Tensor, *shown: Tensor, at: slice = slice(None)) -> Tensor:
        """Return what the layers see of the tokens in the places ``at``, ``(b, n, width)``."""
        x = self.token(tokens) + self.label(labels)[:, None]
        if self.plan is not None:
            x = x + INITIAL_STD * self.plan(shown[-1][:, :, at].transpose(1, 2))
        if self.given is not None:
            given = shown[0]
            rows = given[:, self.given_at[at]] + self.given_codes * torch.arange(self.each, device=given.device)
            x = x + self.given(rows).sum(2)
        out: Tensor = self.start(x)
        return out

    def _logits(self, x: Tensor) -> Tensor:
        logits: Tensor = self.end(x) @ self.token.weight[: self.codes].T + self.bias
        return logits


def _random_fourier_features(codebook: Tensor, number: int) -> Tensor:
    """Return ``number`` random cosines of each code, of standard deviation 1; near codes are half the spread apart."""
    centred = codebook - codebook.mean(0)
    near = 0.5 * centred.square().sum(1).mean().sqrt()
    frequency = torch.randn(codebook.shape[1], number, device=codebook.device) / near
    phase = 2 * math.pi * torch.rand(number, device=codebook.device)
    return math.sqrt(2) * torch.cos(centred @ frequency + phase)


def _inverse_cdf(p: Tensor, uniform: Tensor) -> Tensor:
    """Draw tokens ``(...)`` from probabilities ``(..., codes)``, which may not quite add up to 1."""
    return (p.cumsum(-1) < (uniform * p.sum(-1))[..., None]).sum(-1).clamp(max=p.shape[-1] - 1)


Logits = Callable[[Tensor, float], Tensor]
"""Maps tokens, and the share of them that is still to draw, to logits."""


@torch.no_grad()
def autoregressive_decode(logits: Logits, masked: Tensor, uniform: Callable[[], Tensor]) -> Tensor:
    """Draw one token after another, each given those before it.

    Args:
        logits: maps the token before the next ``(b,)`` to the next one's logits ``(b, codes)``, and keeps the others.
        masked: ``(b, n)``, all mask tokens; one is the token before the first.
        uniform: returns ``(b, 2, n)`` uniform on (0, 1).

    Returns:
        Tokens ``(b, n)``.
    """
    before, drawn_with, tokens = masked[:, 0], uniform()[:, 0], []
    for i in range(masked.shape[1]):
        p = logits(before, 1 - i / masked.shape[1]).float().softmax(dim=-1)
        before = _inverse_cdf(p, drawn_with[:, i])
        tokens.append(before)
    return torch.stack(tokens, dim=1)


@torch.no_grad()
def maskgit_decode(
    logits: Logits, masked: Tensor, rounds: int, temperature: float, uniform: Callable[[], Tensor]
) -> Tensor:
    """Iterative decoding of masked tokens, the most confident first (MaskGIT, section 3.2).

    Args:
        logits: maps tokens ``(b, n)`` to the logits of all of them, ``(b, n, codes)``.
        masked: ``(b, n)``, all mask tokens.
        rounds: T; after round k, a share cos(pi/2 k/T) of the tokens is masked again (cosine schedule).
        temperature: a token's confidence is log p + temperature (1 - k/T) times Gumbel noise.
        uniform: returns ``(b, 2, n)`` uniform on (0, 1).

    Returns:
        Tokens ``(b, n)``.
    """
    tokens = masked
    mask_again = masked.shape[1]
    for k in range(1, rounds + 1):
        is_masked = tokens == masked
        p = logits(tokens, mask_again / masked.shape[1]).float().softmax(dim=-1)
        for_token, for_gumbel = uniform().unbind(1)
        drawn = _inverse_cdf(p, for_token)
        log_p = p.gather(-1, drawn[..., None])[..., 0].log()
        confidence = log_p - temperature * (1 - k / rounds) * (-for_gumbel.log()).log()
        confidence = confidence.masked_fill(~is_masked, math.inf)
        tokens = torch.where(is_masked, drawn, tokens)
        mask_again = int(math.cos(math.pi / 2 * k / rounds) * tokens.shape[1])
        if mask_again:
            tokens = tokens.scatter(1, confidence.topk(mask_again, largest=False).indices, masked[:, :mask_again])
    return tokens


class _RecordUniform:
    """Uniform numbers on (0, 1), with a random stream for each record that depends on its seed alone."""

    def __init__(self, seeds: np.ndarray, device: str) -> None:
        self._streams = [np.random.default_rng(int(seed)) for seed in seeds]
        self._device = device

    def __call__(self, tokens: int) -> Tensor:
        drawn = np.stack([stream.random((2, tokens), dtype=np.float32) for stream in self._streams])
        return torch.from_numpy(np.clip(drawn, 1e-7, 1 - 1e-7)).to(self._device)


class TokenRecords(Signals):
    """Records as LF tokens ``(n, m)`` and HF tokens ``(n, k)``: stage 2 reads no signal.

    With drafts each record also has the state of its own ``(n, d)``.
    """

    def __init__(self, lf: np.ndarray, hf: np.ndarray, of: Signals, states: Tensor | None = None) -> None:
        self.spec, self.labels = of.spec, of.labels
        self.lf, self.hf, self.states = lf, hf, states

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, indices: np.ndarray) -> tuple[Tensor, Tensor]:
        """Return the tokens ``(b, m + k)``, LF first, and class ids ``(b,)`` of the records at ``indices``, int64.

        With drafts, tokens and states stand in one row, ``(b, m + k + d)``, float32, which is exact for tokens.
        """
        tokens = torch.from_numpy(np.concatenate([self.lf[indices], self.hf[indices]], axis=1, dtype=np.int64))
        labels = torch.from_numpy(self.labels[indices])
        if self.states is None:
            return tokens, labels
        return torch.cat([tokens.float(), self.states[torch.from_numpy(indices)]], dim=1), labels

    def frequency(self, band: Band, codes: int) -> Tensor:
        """Return how often each code of a band occurs, ``(codes,)``."""
        return torch.from_numpy(np.bincount(getattr(self, band).ravel(), minlength=codes))

    def digest(self) -> str:
        """Return the SHA-256 of the tokens, and of the states."""
        states = b"" if self.states is None else self.states.numpy().tobytes()
        return hashlib.sha256(self.lf.tobytes() + self.hf.tobytes() + states).hexdigest()


# ------------------------------------------------------------------------------------------ stage 3: fidelity enhancer


class Enhancer(nn.Module):
    """Fidelity enhancer: a 1-D U-Net of three halvings that predicts what reconstructions lack of the originals."""

    def __init__(self, channels: int, settings: EnhancerSettings) -> None:
        super().__init__()
        widths = [settings.width * 2**i for i in range(4)]
        self.start = nn.Conv2d(channels, widths[0], (1, 7), padding=(0, 3))
        self.down = nn.ModuleList(
            [nn.Conv2d(a, b, (1, 4), stride=(1, 2), padding=(0, 1)) for a, b in itertools.pairwise(widths)]
        )
        self.before = nn.ModuleList([ResBlock(w) for w in widths])
        self.after = nn.ModuleList([ResBlock(w) for w in widths[:-1]])
        self.up = nn.ModuleList(
            [nn.ConvTranspose2d(b, a, (1, 4), stride=(1, 2), padding=(0, 1)) for a, b in itertools.pairwise(widths)]
        )
        self.dropout = nn.Dropout(settings.dropout)
        self.end = nn.Conv2d(widths[0], channels, (1, 7), padding=(0, 3))
        nn.init.zeros_(self.end.weight)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing from torch's stubs

    def forward(self, signals: Tensor) -> Tensor:
        """Keep the shape ``(b, channels, length)``; any length."""
        length = signals.shape[-1]
        x = F.pad(signals, (0, -length % 8))[:, :, None].contiguous(memory_format=torch.channels_last)
        x = self.before[0](self.start(x))
        skips = []
        for down, before in zip(self.down, self.before[1:], strict=True):
            skips.append(x)
            x = before(down(x))
        x = self.dropout(x)
        for up, after in zip(reversed(self.up), reversed(self.after), strict=True):
            x = after(up(x) + skips.pop())
        out: Tensor = signals + self.end(F.leaky_relu(x))[:, :, 0, :length]
        return out


# -------------------------------------------------------------------------------------------------------- the generator


class TimeVQVAENetwork(nn.Module):
    """Tokenizer, both priors, the enhancer if there is one, and the spectrum of what the tokenizer loses."""

    lost_directions: Tensor
    lost_variance: Tensor

    def __init__(self, channels: int, length: int, classes: int, settings: TimeVQVAESettings) -> None:
        super().__init__()
        self.tokenizer = Tokenizer(channels, length, settings)
        phases = DraftModel.PHASES if settings.draft == "beats" else 0
        self.lf_prior = Prior(self.tokenizer.lf.tokens, settings.lf_codes, classes, settings.lf_prior, phases=phases)
        self.hf_prior = Prior(
            self.tokenizer.hf.tokens,
            settings.hf_codes,
            classes,
            settings.hf_prior,
            (self.tokenizer.lf.tokens, settings.lf_codes),
            phases,
        )
        self.enhancer = None if settings.enhancer is None else Enhancer(channels, settings.enhancer)
        if settings.lost_noise:
            for name, value in white_spectrum(channels, length, classes)._asdict().items():
                self.register_buffer(f"lost_{name}", torch.zeros_like(value))


class TimeVQVAE(DraftedGenerator):
    """TimeVQVAE, class-conditional; see the module."""

    Settings: ClassVar[type[TimeVQVAESettings]] = TimeVQVAESettings
    SampleSettings: ClassVar[type[TimeVQVAESampleSettings]] = TimeVQVAESampleSettings

    settings: TimeVQVAESettings
    module: TimeVQVAENetwork

    def __init__(self, settings: Any, spec: SignalSpec) -> None:
        super().__init__(settings, spec)
        self.module = self._network()

    @staticmethod
    def check_together(settings: TimeVQVAESettings, sample: TimeVQVAESampleSettings) -> None:
        """Refuse sampling that this training does not allow; see :func:`ecgpipe.generate.guidance.check_guidance`."""
        check_guidance(sample.guidance, settings.class_dropout)

    def _network(self) -> TimeVQVAENetwork:
        return TimeVQVAENetwork(self.layout.channels, self.spec.length, len(self.spec.classes), self.settings)

    def fit(
        self, train: Signals, validation: Signals, *, seed: int, state_dir: Path, device: str, progress: bool
    ) -> pd.DataFrame:
        """Train stage after stage; see :class:`ecgpipe.generate.protocol.Generator`.

        Raises:
            ValueError: if there are no validation records.
            TrainingError: if a loss is not finite.
            ReconstructionError: if stage 1 reconstructs the validation records worse than ``reconstruction_bound``.
        """
        how: dict[str, Any] = {"seed": seed, "device": device, "progress": progress}
        history, states = self.fit_draft(train, validation, state_dir=state_dir, **how)
        whole = validation
        if self.draft is not None and states is not None:
            train, validation = (Residuals(s, t, self.draft) for s, t in zip((train, validation), states, strict=True))
        self.measure_training_set(train, 1.0, seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.module = self._network()
            self._init_codebooks(train)
        history.append(self._fit_tokenizer(train, validation, state_dir / "stage1", how))
        self.check_reconstruction(validation, device, whole)
        if self.settings.lost_noise and isinstance(train, Residuals):
            self._measure_lost(train, device)
        tokens = self.tokens(train, device), self.tokens(validation, device)
        history += [self._fit_prior("lf", *tokens, state_dir, how), self._fit_prior("hf", *tokens, state_dir, how)]
        if self.settings.enhancer is not None:
            history.append(self._fit_enhancer(train, validation, state_dir / "enhancer", how))
        return pd.concat(history, ignore_index=True)

    # stage 1

    @torch.no_grad()
    def _init_codebooks(self, signals: Signals) -> None:
        tokenizer = self.module.tokenizer
        x = self.to_network(signals.batch(validation_rows(signals.labels, 2 * BATCH))[0])
        for part, band in zip((tokenizer.lf, tokenizer.hf), tokenizer.bands.split(x), strict=True):
            if isinstance(part.quantizer, VectorQuantizer):
                part.quantizer.kmeans_init(part.encode(band).flatten(0, 1))

    def tokenizer_loss(self, module: nn.Module, signals: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        """Loss of stage 1 on signals ``(b, 12, length)`` in mV; see the module."""
        lf, hf, commitment_loss = module(self.to_network(signals))
        # The STFT is linear: the inverse transform of a band's error is its error in time.
        bands = self.module.tokenizer.bands
        in_time = bands.inverse(lf, high=False).square().mean() + bands.inverse(hf, high=True).abs().mean()
        out: Tensor = in_time + lf.square().mean() + hf.square().mean() + self.settings.commitment * commitment_loss
        return out

    @torch.no_grad()
    def tokenizer_metrics(self, module: nn.Module, signals: Signals, rows: np.ndarray, device: str) -> dict[str, float]:
        """Return the relative RMSE of some records' reconstruction, and the usage and perplexity of both codebooks."""
        assert isinstance(module, Tokenizer)
        lf, hf, error, power = [], [], 0.0, 0.0
        for first in range(0, len(rows), BATCH):
            x = self.to_network(signals.batch(rows[first : first + BATCH])[0].to(device))
            tokens = module.encode(x)
            error += float((module.decode(*tokens) - x).square().sum())
            power += float(x.square().sum())
            lf.append(tokens[0])
            hf.append(tokens[1])
        out = {"relative_rmse": math.sqrt(error / power)}
        for band, found, codes in (("lf", lf, self.settings.lf_codes), ("hf", hf, self.settings.hf_codes)):
            out[f"{band}_codes_used"], out[f"{band}_perplexity"] = codebook_usage(torch.cat(found), codes)
        log.info("stage 1: %s", ", ".join(f"{name} {value:.3g}" for name, value in out.items()))
        return out

    def _fit_tokenizer(self, train: Signals, validation: Signals, state_dir: Path, how: dict[str, Any]) -> pd.DataFrame:
        settings = self.settings
        rows = validation_rows(validation.labels, settings.stage1.validation_records)
        return training.train(
            self.module.tokenizer,
            self.tokenizer_loss,
            train,
            validation,
            settings.stage1,
            state_dir=state_dir,
            stage="stage1",
            identity=f"{settings.model_dump_json(include=_OF_STAGE_1)} scale {self.scale}",
            measures=lambda module: self.tokenizer_metrics(module, validation, rows, how["device"]),
            **how,
        )

    @torch.no_grad()
    def reconstruction_error(
        self, signals: Signals, device: str, whole: Signals | None = None
    ) -> tuple[float, dict[str, float]]:
        """Return stage 1's relative RMSE (RMS of the error over RMS of the signal) over all leads, and of each lead.

        With drafts, ``signals`` are what they leave of the ``whole`` records, whose RMS counts. Errors are in mV.
        """
        tokenizer = self.module.tokenizer.to(device).eval()
        error, power, first = np.zeros(12), np.zeros(12), 0
        for (x, _), (y, _) in zip(batches(signals, BATCH), batches(whole or signals, BATCH), strict=True):
            away = self.to_millivolts(tokenizer.reconstruct(self.to_network(x.to(device)))) - x.numpy()
            if isinstance(signals, Residuals):
                away = signals.error(away, np.arange(first, first + len(x)))
            first += len(x)
            error += np.square(away, dtype=np.float64).sum(axis=(0, 2))
            power += np.square(y.numpy(), dtype=np.float64).sum(axis=(0, 2))
        return float(np.sqrt(error.sum() / power.sum())), dict(zip(LEADS, np.sqrt(error / power).tolist(), strict=True))

    def check_reconstruction(self, validation: Signals, device: str, whole: Signals | None = None) -> None:
        """Refuse to go on from a stage 1 that reconstructs too little; see :meth:`reconstruction_error`.

        Raises:
            ReconstructionError: if the relative RMSE is not below ``reconstruction_bound``.
        """
        total, leads = self.reconstruction_error(validation, device, whole)
        each = ", ".join(f"{name} {value:.2f}" for name, value in leads.items())
        log.info("stage 1 reconstructs validation records with a relative RMSE of %.3f (%s)", total, each)
        if not total < self.settings.reconstruction_bound:
            raise ReconstructionError(
                f"stage 1 reconstructs validation records with a relative RMSE of {total:.3f}, `reconstruction_bound`"
                f" is {self.settings.reconstruction_bound:g}; by lead: {each}. Train it longer (`stage1.steps`), give"
                " it more tokens (fewer `lf_halvings`, `hf_halvings`) or more codes, or raise the bound"
            )

    @torch.no_grad()
    def _measure_lost(self, train: Residuals, device: str) -> None:
        """Set the spectrum, by class and between the beats, of what stage 1 loses of training records."""
        assert self.draft is not None
        tokenizer = self.module.tokenizer.to(device).eval()
        squares, numbers = 0.0, 0

        def lost(rows: np.ndarray) -> Iterator[tuple[Tensor, Tensor]]:
            nonlocal squares, numbers
            for part in np.array_split(rows, math.ceil(len(rows) / BATCH)):
                x, y = train.batch(part)
                whole = self.to_network(x.to(device))
                error = (whole - tokenizer.reconstruct(whole)).cpu()
                squares, numbers = squares + float(error.double().square().sum()), numbers + error.numel()
                yield error, y

        spectrum = estimate_class_spectra(lost(np.arange(len(train))), len(self.spec.classes), SHRINKAGE)
        power = squares / numbers
        known = self.draft.between_beats(spectrum, lost(train.with_draft()), SHRINKAGE)
        self.module.lost_directions, self.module.lost_variance = known.directions, known.variance * power

    def _lost(self, labels: Tensor, seeds: np.ndarray) -> Tensor:
        """Draw what stage 1 would have lost, ``(b, channels, length)``, each record's from its own seed."""
        shape, module = (self.layout.channels, self.spec.length), self.module
        streams = (np.random.default_rng([_LOST_STREAM, int(seed)]) for seed in seeds)
        noise = torch.from_numpy(np.stack([s.standard_normal(shape, dtype=np.float32) for s in streams]))
        return coloured(noise.to(labels.device), module.lost_directions, module.lost_variance[labels].sqrt())

    @torch.no_grad()
    def tokens(self, signals: Signals, device: str) -> TokenRecords:
        """Encode records once, for stage 2: tokens are hundreds of times smaller than signals, and kept in memory."""
        tokenizer = self.module.tokenizer.to(device).eval()
        out: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
        for x, _ in batches(signals, BATCH):
            for tokens, band in zip(tokenizer.encode(self.to_network(x.to(device))), out, strict=True):
                band.append(tokens.cpu().numpy().astype(np.uint16))
        states = signals.states if isinstance(signals, Residuals) else None
        return TokenRecords(np.concatenate(out[0]), np.concatenate(out[1]), signals, states)

    def phases(self, states: Tensor, tokens: int) -> Tensor:
        """Return what priors are shown of drafts at the middles of a band's tokens, ``(b, phases, tokens)``."""
        assert self.draft is not None
        seconds = self.spec.length / self.spec.rate
        return self.draft.phases(states, (torch.arange(tokens, device=states.device) + 0.5) * (seconds / tokens))

    # stage 2

    def prior_loss(
        self, band: Band, module: nn.Module, tokens: Tensor, labels: Tensor, generator: torch.Generator
    ) -> Tensor:
        """Cross-entropy on masked tokens; the share masked is the cosine of a uniform number (MaskGIT, section 3.1).

        That of a causal prior is on all tokens.

        ``tokens`` are those of both bands, ``(b, LF tokens + HF tokens)``; ``band`` says which of them to predict. With
        drafts, states follow them.
        """
        prior: Prior = getattr(self.module, f"{band}_prior")
        sizes = [self.module.lf_prior.tokens, self.module.hf_prior.tokens]
        lf, hf = torch.split(tokens[:, : sum(sizes)].long(), sizes, dim=1)
        target, given = (lf, ()) if band == "lf" else (hf, (lf,))
        if self.draft is not None:
            given = (*given, self.phases(tokens[:, sum(sizes) :], prior.tokens))
        if prior.causal:
            shown, predicted = target, torch.ones_like(target, dtype=torch.bool)
        else:
            b, n = target.shape
            share = torch.rand(b, 1, generator=generator, device=target.device)
            order = torch.rand(b, n, generator=generator, device=target.device).argsort(dim=1).argsort(dim=1)
            predicted = order < (torch.cos(share * (math.pi / 2)) * n).ceil()
            shown = torch.where(predicted, prior.codes, target)
        if module.training:
            labels = drop_classes(labels, prior.no_class, self.settings.class_dropout, generator)
        logits = module(shown, labels, *given)
        return F.cross_entropy(logits[predicted].float(), target[predicted])

    def _fit_prior(
        self,
        band: Band,
        train: TokenRecords,
        validation: TokenRecords,
        state_dir: Path,
        how: dict[str, Any],
    ) -> pd.DataFrame:
        name = f"{band}_prior"
        prior: Prior = getattr(self.module, name)
        settings: PriorSettings = getattr(self.settings, name)
        codebooks = {key: getattr(self.module.tokenizer, key).quantizer.codebook for key in ("lf", "hf")}
        prior.to(codebooks[band].device)
        with torch.random.fork_rng():
            torch.manual_seed(how["seed"])
            prior.init_from_codebook(codebooks[band], train.frequency(band, prior.codes), codebooks["lf"])
        identity = f"{train.digest()} {validation.digest()} {self.settings.class_dropout}"
        return training.train(
            prior,
            functools.partial(self.prior_loss, band),
            train,
            validation,
            settings,
            state_dir=state_dir / name,
            stage=name,
            identity=identity,
            **how,
        )

    # stage 3

    def enhancer_loss(self, module: nn.Module, signals: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        """Mean absolute difference between enhanced reconstructions and the originals."""
        x = self.to_network(signals)
        with torch.no_grad():
            reconstructed = self.module.tokenizer.reconstruct(x)
        return F.l1_loss(module(reconstructed).float(), x)

    def _fit_enhancer(self, train: Signals, validation: Signals, state_dir: Path, how: dict[str, Any]) -> pd.DataFrame:
        assert self.settings.enhancer is not None
        assert self.module.enhancer is not None
        weights = b"".join(
            v.detach().cpu().contiguous().numpy().tobytes() for v in self.module.tokenizer.state_dict().values()
        )
        identity = f"{hashlib.sha256(weights).hexdigest()} scale {self.scale}"
        return training.train(
            self.module.enhancer,
            self.enhancer_loss,
            train,
            validation,
            self.settings.enhancer,
            state_dir=state_dir,
            stage="enhancer",
            identity=identity,
            **how,
        )

    # drawing

    @torch.no_grad()
    def sample(self, labels: np.ndarray, *, settings: Any, seeds: np.ndarray, device: str) -> np.ndarray:
        """Draw one record a label; see :class:`ecgpipe.generate.protocol.Generator`."""
        check_drawable(labels, self.spec, self.facts)
        module = self.module.to(device).eval()
        y = torch.from_numpy(labels).to(device)
        uniform = _RecordUniform(seeds, device)
        states = None if self.draft is None else self.draft.draw(labels, seeds).to(device)

        def draw(prior: Prior, rounds: int, temperature: float, *given: Tensor) -> Tensor:
            if states is not None:
                given = (*given, self.phases(states, prior.tokens))
            nothing = torch.full_like(y, prior.no_class)
            with_class, without = ([KeyValueCache() for _ in prior.layers] for _ in range(2))

            def scale(left: float) -> float:
                return guidance_at(settings.guidance, settings.guidance_levels, left)

            def of_all(tokens: Tensor, left: float) -> Tensor:
                return classifier_free_guidance(
                    lambda: prior(tokens, y, *given), lambda: prior(tokens, nothing, *given), scale(left)
                )

            def of_next(before: Tensor, left: float) -> Tensor:
                conditional = prior.following(before, with_class, y, *given)
                if settings.guidance == 1:
                    return conditional
                # Outside the levels of guidance, too: the cache is to have all tokens.
                unconditional = prior.following(before, without, nothing, *given)
                return torch.lerp(unconditional, conditional, scale(left))

            masked = torch.full((len(y), prior.tokens), prior.codes, device=device)
            if prior.causal:
                return autoregressive_decode(of_next, masked, lambda: uniform(prior.tokens))
            return maskgit_decode(of_all, masked, rounds, temperature, lambda: uniform(prior.tokens))

        lf = draw(module.lf_prior, settings.lf_rounds, settings.lf_temperature)
        hf = draw(module.hf_prior, settings.hf_rounds, settings.hf_temperature, lf)
        signals = module.tokenizer.decode(lf, hf)
        signals = signals if module.enhancer is None else module.enhancer(signals)
        signals = signals + self._lost(y, seeds) if self.settings.lost_noise else signals
        return self.finished(signals, states)


GENERATOR = TimeVQVAE
