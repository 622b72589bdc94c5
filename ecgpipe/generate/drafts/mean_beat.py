"""Mean beats: a generative model of what a record's beat looks like in eight leads.

Mean beats of all records are described by their leading principal components, in units between whitened and not, so
that the large components, which one sees, count for more in the loss. A small residual network learns their diffusion,
given the class and how the heart beats (rate, variation, shortest interval); its input and output are scaled by each
component's variance, as in :mod:`ecgpipe.generate.preconditioning`:

    D(x, s) = V / (V + s^2) x + s sqrt(V / (V + s^2)) N(x / sqrt(V + s^2)),     x = clean + s noise.

In training, leads are mixed a little and beats made larger or smaller: electrodes a little elsewhere, another chest.
"""

from __future__ import annotations

import copy
import math
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from ecgpipe.dataset import SignalSpec
from ecgpipe.generate import training
from ecgpipe.generate.drafts.analysis import LEADS, NODES
from ecgpipe.generate.drafts.beats import Rows
from ecgpipe.generate.guidance import GuidanceLevels, guidance_at
from ecgpipe.generate.layers import FREQUENCIES, sinusoidal_embedding
from ecgpipe.generate.training import TrainingSettings

FIGURES = 3
"""Figures of the rhythm that a mean beat depends on; see :func:`ecgpipe.generate.drafts.plans.rhythm_figures`."""
HIGHEST, LOWEST = 30.0, 0.01
"""First and last noise level of drawing."""
_STREAM = 0xBEA8


class MeanBeatSettings(TrainingSettings):
    """Settings of the model of mean beats."""

    components: int = Field(64, ge=1, description="Principal components of mean beats, at most.")
    width: int = Field(224, ge=8, description="Width of the network.")
    blocks: int = Field(3, ge=1, description="Residual blocks of the network.")
    class_dropout: float = Field(0.1, ge=0, lt=1, description="Share of mean beats shown without class, for guidance.")
    noise_log_mean: float = Field(-0.8, description="Mean of the logarithm of the noise levels trained on.")
    noise_log_deviation: float = Field(1.3, gt=0, description="Deviation of that logarithm.")
    lead_mixing: float = Field(0.06, ge=0, description="Deviation of the random mixing of leads in training.")
    amplitude_jitter: float = Field(0.1, ge=0, description="Deviation of the log of the random size in training.")
    evaluations: int = Field(40, ge=1, description="Noise levels visited in drawing.")
    guidance: float = Field(1.7, ge=0, description="Guidance scale in drawing; 1 is none.")
    guidance_levels: GuidanceLevels | None = Field(
        (0.1, 3.0), description="Noise deviations, lowest and highest, that guidance is confined to; null: all."
    )
    steps: int = Field(600, ge=1, description="Training steps.")
    batch: int = Field(256, ge=1, description="Mean beats a training step.")
    learning_rate: float = Field(2.5e-3, gt=0, description="Highest learning rate.")
    warmup: int = Field(50, ge=0, description="Steps over which the learning rate rises from zero.")
    weight_decay: float = Field(0.02, ge=0, description="Weight decay of AdamW.")
    ema_decay: float = Field(0.99, ge=0, lt=1, description="Decay of the moving average of the weights.")
    balanced: bool = Field(True, description="Draw every class equally often in training.")


class MeanBeatNet(nn.Module):
    """The denoiser D of components ``(b, d)``."""

    variance: Tensor

    def __init__(self, components: int, classes: int, settings: MeanBeatSettings) -> None:
        super().__init__()
        width = settings.width
        self.register_buffer("variance", torch.ones(components))
        self.label = nn.Embedding(classes + 1, width)
        self.rhythm = nn.Linear(FIGURES, width)
        self.time = nn.Sequential(nn.Linear(2 * FREQUENCIES, width), nn.SiLU(), nn.Linear(width, width))
        self.inward = nn.Linear(components, width)
        self.film = nn.ModuleList(nn.Linear(width, 2 * width) for _ in range(settings.blocks))
        self.gate = nn.ModuleList(nn.Linear(width, 2 * width) for _ in range(settings.blocks))
        self.back = nn.ModuleList(nn.Linear(width, width) for _ in range(settings.blocks))
        self.outward = nn.Linear(width, components)
        for layer in (*self.back, self.outward):
            nn.init.zeros_(layer.weight)
        nn.init.zeros_(self.outward.bias)

    def forward(self, x: Tensor, level: Tensor, label: Tensor, rhythm: Tensor) -> Tensor:
        """Return the expected clean components of noisy ones ``(b, d)`` at levels ``(b,)``."""
        s = level[:, None]
        total = self.variance + s.square()
        condition = F.silu(
            self.time(sinusoidal_embedding(level.log() * 100 + 500)) + self.label(label) + self.rhythm(rhythm)
        )
        h = self.inward(x / total.sqrt())
        for film, gate, back in zip(self.film, self.gate, self.back, strict=True):
            scale, shift = film(condition).chunk(2, dim=-1)
            value, opened = gate(F.layer_norm(h, h.shape[1:]) * (1 + scale) + shift).chunk(2, dim=-1)
            h = h + back(F.silu(value) * opened)
        out: Tensor = self.variance / total * x + s * (self.variance / total).sqrt() * self.outward(h)
        return out


class MeanBeatModel:
    """Mean beats of each class."""

    def __init__(self, settings: MeanBeatSettings, spec: SignalSpec) -> None:
        self.settings, self.spec = settings, spec
        self.mean = torch.zeros(LEADS * NODES)
        """Mean of all mean beats, mV."""
        self.basis = torch.zeros(settings.components, LEADS * NODES)
        """Principal components, one a row, each times its unit in mV: ``(d, 8 NODES)``."""
        self.reading = torch.zeros(LEADS * NODES, settings.components)
        """Takes a mean beat less the mean to components, ``(8 NODES, d)``."""
        self.module = self._network(0)

    def _network(self, seed: int) -> MeanBeatNet:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return MeanBeatNet(len(self.basis), len(self.spec.classes), self.settings)

    def encode(self, beats: Tensor) -> Tensor:
        """Return components of mean beats ``(n, 8, NODES)``, mV: ``(n, d)``."""
        return (beats.flatten(1) - self.mean.to(beats.device)) @ self.reading.to(beats.device)

    def decode(self, components: Tensor) -> Tensor:
        """Return mean beats ``(n, 8, NODES)``, mV, of components ``(n, d)``."""
        device = components.device
        return (self.mean.to(device) + components @ self.basis.to(device)).view(-1, LEADS, NODES)

    def measure(self, beats: Tensor) -> None:
        """Set mean and principal components from mean beats ``(n, 8, NODES)``.

        The unit of a component of deviation d is proportional to sqrt(d), which leaves it the variance d.
        """
        flat = beats.flatten(1).double()
        number = max(1, min(self.settings.components, len(flat) - 1))
        self.mean = flat.mean(dim=0).float()
        _, deviations, rows = torch.linalg.svd(flat - flat.mean(dim=0), full_matrices=False)
        deviations = (deviations[:number] / math.sqrt(len(flat))).clamp(min=1e-6 * float(deviations[0]) + 1e-12)
        unit = deviations / (deviations / deviations.mean()).sqrt()
        self.basis = (rows[:number] * unit[:, None]).float()
        self.reading = (rows[:number] / unit[:, None]).T.contiguous().float()

    def fit(
        self,
        beats: Tensor,
        labels: np.ndarray,
        rhythm: Tensor,
        validation: tuple[Tensor, np.ndarray, Tensor],
        *,
        seed: int,
        state_dir: Path,
        device: str,
        progress: bool,
    ) -> pd.DataFrame:
        """Train on mean beats ``(n, 8, NODES)``, mV, with figures of their rhythms ``(n, 3)``; return the history.

        Args:
            beats: to learn from.
            labels: class ids ``(n,)``.
            rhythm: see :func:`ecgpipe.generate.drafts.plans.rhythm_figures`.
            validation: the same three of validation records.
            seed: of everything random.
            state_dir: of the checkpoint.
            device: to train on.
            progress: show a bar.
        """
        self.measure(beats)
        self.module = self._network(seed)
        self.module.variance.copy_(self.encode(beats).square().mean(dim=0))
        rows = Rows(torch.cat([beats.flatten(1), rhythm], dim=1), labels, self.spec)
        held_out = Rows(torch.cat([validation[0].flatten(1), validation[2]], dim=1), validation[1], self.spec)
        history = training.train(
            self.module,
            self.loss,
            rows,
            held_out,
            self.settings,
            seed=seed,
            device=device,
            state_dir=state_dir,
            progress=progress,
            stage="mean_beat",
            identity=f"{self.settings.model_dump_json(exclude={'checkpoint_seconds'})} {rows.digest()}",
        )
        self.module.cpu()
        return history

    def loss(self, module: nn.Module, rows: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        """Mean squared error of the denoised components, over s^2 / (1 + s^2)."""
        settings, device, n = self.settings, rows.device, len(rows)
        beats, rhythm = rows[:, :-FIGURES].view(n, LEADS, NODES), rows[:, -FIGURES:]
        if module.training:
            mixing = torch.randn(n, LEADS, LEADS, generator=generator, device=device)
            size = torch.randn(n, 1, 1, generator=generator, device=device)
            mixed = torch.eye(LEADS, device=device) + settings.lead_mixing * mixing
            beats = (mixed * torch.exp(settings.amplitude_jitter * size)) @ beats
            dropped = torch.rand(n, generator=generator, device=device) < settings.class_dropout
            labels = torch.where(dropped, len(self.spec.classes), labels)
        clean = self.encode(beats)
        normal = torch.randn(n, generator=generator, device=device)
        level = torch.exp(settings.noise_log_mean + settings.noise_log_deviation * normal)
        noise = torch.randn(clean.shape, generator=generator, device=device)
        s = level[:, None]
        error = (module(clean + s * noise, level, labels, rhythm).float() - clean).square()
        out: Tensor = (error * (1 + s.square()) / s.square()).mean()
        return out

    @torch.no_grad()
    def draw(self, labels: np.ndarray, rhythm: Tensor, seeds: np.ndarray) -> Tensor:
        """Draw components ``(n, d)`` on the CPU, ancestrally: one mean beat a label, each from its own seed.

        Args:
            labels: class ids ``(n,)``.
            rhythm: figures of the plans ``(n, 3)``.
            seeds: ``(n,)``.
        """
        settings, y = self.settings, torch.from_numpy(labels)
        # In double precision: what is drawn then does not depend on the company in a batch.
        module = copy.deepcopy(self.module).cpu().double().eval()
        noise = _noise(seeds, (settings.evaluations + 1, len(self.basis))).double()
        levels = torch.exp(torch.linspace(math.log(HIGHEST), math.log(LOWEST), settings.evaluations)).double()
        x, figures, nothing = HIGHEST * noise[0], rhythm.double(), torch.full_like(y, len(self.spec.classes))
        for s, after, fresh in zip(levels, [*levels[1:], torch.zeros(()).double()], noise[1:], strict=True):
            level = s.expand(len(y))
            clean = module(x, level, y, figures)
            scale = guidance_at(settings.guidance, settings.guidance_levels, float(s))
            if scale != 1:
                clean = torch.lerp(module(x, level, nothing, figures), clean, scale)
            variance = after.square() * (s.square() - after.square()) / s.square()
            x = clean + (after.square() - variance).clamp(min=0).sqrt() / s * (x - clean) + variance.sqrt() * fresh
        return x.float()

    def tensors(self) -> dict[str, Tensor]:
        """Return all that :meth:`load_tensors` needs."""
        own = {"mean": self.mean, "basis": self.basis, "reading": self.reading}
        return {**own, **{f"net.{k}": v for k, v in self.module.state_dict().items()}}

    def load_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Take what :meth:`tensors` gave."""
        self.mean, self.basis, self.reading = (tensors[k] for k in ("mean", "basis", "reading"))
        self.module = self._network(0)
        self.module.load_state_dict({k.removeprefix("net."): v for k, v in tensors.items() if k.startswith("net.")})
        self.module.eval()


def _noise(seeds: np.ndarray, shape: tuple[int, int]) -> Tensor:
    """Return noise ``(shape[0], n, shape[1])``, of which each record has a stream of its own."""
    streams = (np.random.default_rng([_STREAM, int(seed)]) for seed in seeds)
    return torch.from_numpy(np.stack([s.standard_normal(shape, dtype=np.float32) for s in streams], axis=1))
