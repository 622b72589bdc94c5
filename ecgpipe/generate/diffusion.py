"""Base of the diffusion generators: everything but the network and its settings, which a subclass gives.

The network predicts, from x_t = alpha x_0 + sigma noise, one of (``prediction``)

* ``noise``: the noise (DDPM); x_0 = (x_t - sigma F) / alpha,
* ``v``: alpha noise - sigma x_0 (arXiv 2202.00512); x_0 = alpha x_t - sigma F,
* ``x0``: the clean record itself,

and is trained on the mean squared error of that. The class is an embedding index. In training, and only there, it is
replaced with index K, "no class", with probability ``class_dropout``, for classifier-free guidance.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
import torch
from pydantic import Field, model_validator
from torch import nn

from ecgpipe.dataset import SignalSpec
from ecgpipe.generate import training
from ecgpipe.generate.base import check_drawable
from ecgpipe.generate.drafted import DraftedGenerator, DraftedSettings, DraftedSignals, Residuals, digest_of
from ecgpipe.generate.drafts.draft import Rendered
from ecgpipe.generate.guidance import (
    GuidanceLevels,
    check_guidance,
    classifier_free_guidance,
    drop_classes,
    guidance_at,
)
from ecgpipe.generate.preconditioning import (
    FLOOR,
    SpectralPreconditioning,
    Spectrum,
    estimate_class_spectra,
    estimate_spectrum,
    white_spectrum,
)
from ecgpipe.generate.protocol import Settings, Signals
from ecgpipe.generate.samplers import RecordNoise, Sampler, run_sampler
from ecgpipe.generate.schedules import (
    DiscreteSchedule,
    EDMSchedule,
    Schedule,
    check_terminal_snr,
    cosine_alpha_bar,
    linear_alpha_bar,
    rescale_to_zero_terminal_snr,
)
from ecgpipe.generate.training import TrainingSettings

SMALL: dict[str, Any] = {
    "draft": "beats",
    "patch": 8,
    "spectral": True,
    "class_spectrum": 60.0,
    "noise_log_mean": -0.9,
    "noise_log_deviation": 0.95,
    "noise_largest": 10.0,
    "optimizer": "muon",
    "steps": 1800,
    "batch": 16,
    "learning_rate": 3e-3,
    "warmup": 50,
    "ema_decay": 0.99,
    "balanced": True,
    "validate_every": 300,
    "validation_records": 64,
}
"""What the presets ``small`` of the diffusion generators share: a few minutes on one CPU core."""

SMALL_PURE: dict[str, Any] = {
    "class_spectrum": None,
    "noise_log_mean": 1.7,
    "noise_log_deviation": 0.8,
    "noise_largest": 80.0,
}
"""What ``draft: none`` changes in them: without a draft the rhythm has to be found, which is decided at high noise."""

FULL: dict[str, Any] = {
    "patch": 1,
    "spectral": True,
    "steps": 100_000,
    "learning_rate": 2e-4,
    "warmup": 1000,
    "ema_decay": 0.9999,
    "validate_every": 1000,
}
"""What the presets ``full`` of the diffusion generators share: hours on a GPU."""


class DiffusionSettings(DraftedSettings, TrainingSettings):
    """Settings of a diffusion generator besides those of its network."""

    PURE: ClassVar[dict[str, dict[str, Any]]] = {"small": SMALL_PURE}

    prediction: Literal["noise", "v", "x0"] = Field(
        "v", description="What the network predicts: the noise, the velocity v, or the clean record."
    )
    schedule: Literal["linear", "cosine", "edm"] = Field(
        "edm",
        description="Noise levels: `linear` betas, `cosine`, or the continuous levels of EDM (which with"
        " `prediction: v` is EDM's preconditioning).",
    )
    diffusion_steps: int = Field(1000, ge=2, description="Steps T of the linear and cosine schedules.")
    beta_start: float = Field(1e-4, gt=0, lt=1, description="First beta of the linear schedule.")
    beta_end: float = Field(0.02, gt=0, lt=1, description="Last beta of the linear schedule.")
    noise_log_mean: float = Field(
        -1.2,
        description="edm only: mean of the logarithm of the noise deviations trained on, signals having deviation 1."
        " The rhythm of a recording is decided at high noise, its detail at low.",
    )
    noise_log_deviation: float = Field(1.2, gt=0, description="edm only: deviation of that logarithm.")
    noise_smallest: float = Field(0.002, gt=0, description="edm only: least noise deviation trained on and drawn with.")
    noise_largest: float = Field(
        80.0,
        ge=10,
        description="edm only: largest noise deviation; 10 is enough for what drafts leave, with `coloured_start`.",
    )
    zero_terminal_snr: bool = Field(
        False, description="Rescale the linear schedule so that its last step is pure noise."
    )
    data_deviation: float = Field(
        1.0,
        gt=0,
        le=1,
        description="Standard deviation of the scaled signals the network sees; a smaller one brings a short"
        " schedule's end closer to pure noise.",
    )
    spectral: bool = Field(
        False,
        description="`prediction: v` only: give the network the estimate of the best linear filter, and let it learn"
        " what that leaves; see ecgpipe.generate.preconditioning. Saves much training.",
    )
    class_spectrum: float | None = Field(
        None,
        ge=0,
        description="`spectral` only: each class has a linear filter of its own, averaged with that of all, which"
        " weighs as much as so many records; null: one filter for all.",
    )
    class_dropout: float = Field(
        0.1, ge=0, lt=1, description="Share of training records shown without their class, for guidance."
    )

    @model_validator(mode="after")
    def _schedule_fits(self) -> DiffusionSettings:
        if self.schedule == "edm" and self.data_deviation != 1:
            raise ValueError("`schedule: edm` is defined for `data_deviation: 1`")
        if self.schedule == "edm" and self.prediction == "noise":
            raise ValueError(
                "`schedule: edm` needs `prediction: v` or `x0`: noise says nothing of the record at its last level"
            )
        if self.zero_terminal_snr and (self.schedule != "linear" or self.prediction == "noise"):
            raise ValueError("`zero_terminal_snr` is for `schedule: linear` with `prediction: v` or `x0`")
        if self.spectral and (self.prediction != "v" or self.data_deviation != 1):
            raise ValueError("`spectral` is for `prediction: v` and `data_deviation: 1`")
        if self.beta_start > self.beta_end:
            raise ValueError("`beta_start` must not exceed `beta_end`")
        check_terminal_snr(self.noise_schedule(), self.data_deviation)
        return self

    def noise_schedule(self) -> Schedule:
        """Return the schedule these settings name."""
        if self.schedule == "edm":
            return EDMSchedule(
                self.noise_log_mean,
                self.noise_log_deviation,
                sigma_min=self.noise_smallest,
                sigma_max=self.noise_largest,
            )
        if self.schedule == "cosine":
            return DiscreteSchedule(cosine_alpha_bar(self.diffusion_steps))
        alpha_bar = linear_alpha_bar(self.diffusion_steps, self.beta_start, self.beta_end)
        return DiscreteSchedule(rescale_to_zero_terminal_snr(alpha_bar) if self.zero_terminal_snr else alpha_bar)


class DiffusionSampleSettings(Settings):
    """How to draw from a diffusion generator."""

    sampler: Sampler = Field(
        "dpmpp_2m",
        description="`dpmpp_2m` (DPM-Solver++(2M)), `ddim`, or `ancestral` (DDPM; the faithful reference when"
        " `evaluations` is the schedule's number of steps).",
    )
    evaluations: int = Field(20, ge=1, description="Noise levels visited for each record.")
    guidance: float = Field(
        1.0,
        ge=0,
        description="Classifier-free guidance scale; 1 is none, and costs one network pass an evaluation instead of"
        " two.",
    )
    guidance_levels: GuidanceLevels | None = Field(
        None,
        description="Noise deviations, lowest and highest, that guidance is confined to, signals having deviation 1"
        " (arXiv 2404.07724); null: all. At high noise guidance narrows what is drawn, at low noise it costs and does"
        " nothing.",
    )
    coloured_start: bool | None = Field(
        None,
        description="Start from noise as wide as records are at the highest noise level, not from white noise, with"
        " which slow waves as baseline wander are drawn too small; for `spectral` networks. null: true with drafts.",
    )


class DiffusionGenerator(DraftedGenerator):
    """Base of diffusion generators.

    A subclass sets ``Settings`` and overrides :meth:`network`.
    """

    Settings: ClassVar[type[DiffusionSettings]]
    SampleSettings: ClassVar[type[DiffusionSampleSettings]] = DiffusionSampleSettings

    settings: DiffusionSettings

    def __init__(self, settings: Any, spec: SignalSpec) -> None:
        super().__init__(settings, spec)
        self.schedule = self.settings.noise_schedule()
        by_class = None if self.settings.class_spectrum is None else len(spec.classes)
        self.spectrum = white_spectrum(self.layout.channels, spec.length, by_class)
        self.module = self._initial_network(0)

    def _initial_network(self, seed: int) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return self.network(self.layout.channels, len(self.spec.classes))

    @staticmethod
    def check_together(settings: DiffusionSettings, sample: DiffusionSampleSettings) -> None:
        """Refuse to draw in a way that this training does not allow, before anything is trained.

        Raises:
            ValueError: if guidance is asked of a network that never learns "no class", or there are more evaluations
                than steps in the schedule.
        """
        check_guidance(sample.guidance, settings.class_dropout)
        if sample.coloured_start and not settings.spectral:
            raise ValueError("`coloured_start` needs a training with `spectral: true`")
        settings.noise_schedule().grid(sample.evaluations)

    def network(self, channels: int, classes: int) -> nn.Module:
        """Build the network, a module that is called with (x, time, class) and returns the like of x.

        x is ``(b, channels, length)``, time ``(b,)`` of 0 ... 1000, and class ``(b,)`` of 0 ... ``classes``, where
        the number ``classes`` is "no class". With ``draft: beats`` it is called with two tensors more, what
        :class:`ecgpipe.generate.drafts.draft.Rendered` has as ``shown`` and ``phases`` (at ``patch`` samples a
        position).
        """
        raise NotImplementedError

    def preconditioned(self, network: nn.Module) -> nn.Module:
        """Wrap a network in the spectral preconditioning, if the settings say so; for use in :meth:`network`."""
        return SpectralPreconditioning(network, self.spectrum, self.schedule) if self.settings.spectral else network

    def measure_training_set(self, train: Signals, data_deviation: float, seed: int) -> None:
        """Set scale and spectrum; see :meth:`ecgpipe.generate.base.NeuralGenerator.measure_training_set`."""
        super().measure_training_set(train, data_deviation, seed)
        if not self.settings.spectral:
            return
        every, shrinkage = np.arange(len(train)), self.settings.class_spectrum

        def read(rows: np.ndarray) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
            parts = np.array_split(rows, math.ceil(len(rows) / 256))
            return ((self.to_network(x), y) for x, y in (train.batch(part) for part in parts))

        if shrinkage is None:
            self.spectrum = estimate_spectrum(x for x, _ in read(every))
        else:
            self.spectrum = estimate_class_spectra(read(every), len(self.spec.classes), shrinkage)
        if self.draft is not None and isinstance(train, Residuals):
            # Sampling starts from the spectrum, and a network that has not learned enough yet draws noise of it: it is
            # that of what lies between the beats. What drafts leave is larger at the beats.
            directions, variance = self.draft.between_beats(self.spectrum, read(train.with_draft()), shrinkage or 0.0)
            unit = float((variance[-1] if variance.dim() == 3 else variance)[:, :-1].mean())
            self.spectrum = Spectrum(directions, (variance / unit).clamp(min=FLOOR))
            self.scale = self._fitted_scale() * math.sqrt(unit)

    def render(self, states: torch.Tensor) -> Rendered:
        """Return drafts of states ``(b, d)``, and what the network is shown of them."""
        assert self.draft is not None
        return self.draft.render(states, getattr(self.settings, "patch", 1))

    def _undrafted(self, rows: torch.Tensor) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
        """Return what the network is to learn, ``(b, channels, length)``, and what it is shown of the drafts."""
        if self.draft is None:
            return self.to_network(rows), ()
        signals, states = DraftedSignals.split(rows, self.spec.length)
        draft, *shown = self.render(states)
        left = self.draft.undrafted(self.layout.pick(signals), states, draft)
        return left / self._fitted_scale(), tuple(shown)

    def loss(
        self, module: nn.Module, signals: torch.Tensor, labels: torch.Tensor, generator: torch.Generator
    ) -> torch.Tensor:
        """Mean squared error of the prediction over random noise levels; a :data:`~ecgpipe.generate.training.Loss`.

        ``signals`` are records, or with drafts rows of :class:`~ecgpipe.generate.drafted.DraftedSignals`.
        """
        x0, shown = self._undrafted(signals)
        number = len(labels)
        # One draw for the batch, spread evenly, covers the levels better than single draws (arXiv 2107.00630).
        shift = torch.rand((), generator=generator, device=x0.device)
        time, alpha, sigma = self.schedule.levels((shift + torch.arange(number, device=x0.device) / number) % 1)
        alpha, sigma = alpha[:, None, None], sigma[:, None, None]
        noise = torch.randn(x0.shape, generator=generator, device=x0.device)
        if module.training:
            labels = drop_classes(labels, len(self.spec.classes), self.settings.class_dropout, generator)
        target = {"noise": noise, "v": alpha * noise - sigma * x0, "x0": x0}[self.settings.prediction]
        predicted = module(alpha * x0 + sigma * noise, time, labels, *shown)
        error: torch.Tensor = (predicted.float() - target).square() * self.weight(alpha, sigma)
        return error.mean()

    def weight(self, alpha: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        """Return the loss weight of each record at its noise level, ``(b, 1, 1)``: 1, unless a subclass has its own."""
        return torch.ones_like(alpha)

    def clean(self, x: torch.Tensor, predicted: torch.Tensor, alpha: float, sigma: float) -> torch.Tensor:
        """Return the expected clean record from the network's prediction at a level."""
        if self.settings.prediction == "noise":
            return (x - sigma * predicted) / alpha
        if self.settings.prediction == "v":
            return alpha * x - sigma * predicted
        return predicted

    def fit(
        self, train: Signals, validation: Signals, *, seed: int, state_dir: Path, device: str, progress: bool
    ) -> pd.DataFrame:
        """Train the network; see :class:`ecgpipe.generate.protocol.Generator`.

        Raises:
            ValueError: if there are no validation records.
            TrainingError: if the loss is not finite.
        """
        how: dict[str, Any] = {"seed": seed, "device": device, "state_dir": state_dir, "progress": progress}
        history, states = self.fit_draft(train, validation, **how)
        left = train
        if self.draft is not None and states is not None:
            left = Residuals(train, states[0], self.draft)
            train, validation = (DraftedSignals(s, t) for s, t in zip((train, validation), states, strict=True))
        self.measure_training_set(left, self.settings.data_deviation, seed)
        self.module = self._initial_network(seed)
        settings = self.settings.model_dump_json(exclude={"checkpoint_seconds"})
        history.append(
            training.train(
                self.module,
                self.loss,
                train,
                validation,
                self.settings,
                identity=f"{settings} scale {self.scale}{digest_of(states)}",
                **how,
            )
        )
        return pd.concat(history, ignore_index=True)

    def sample(self, labels: np.ndarray, *, settings: Any, seeds: np.ndarray, device: str) -> np.ndarray:
        """Draw one record a label; see :class:`ecgpipe.generate.protocol.Generator`.

        Raises:
            ValueError: if the schedule has fewer steps than ``settings.evaluations``, or a class had no training
                record.
        """
        check_drawable(labels, self.spec, self.facts)
        number, no_class = len(labels), len(self.spec.classes)
        grid = self.schedule.grid(settings.evaluations)
        module = self.module.to(device).eval()
        y = torch.from_numpy(labels).to(device)
        nothing = torch.full_like(y, no_class)
        states: torch.Tensor | None = None
        shown: tuple[torch.Tensor, ...] = ()
        if self.draft is not None:
            states = self.draft.draw(labels, seeds).to(device)
            _, *rest = self.render(states)
            shown = tuple(rest)

        def denoise(x: torch.Tensor, i: int) -> torch.Tensor:
            alpha, sigma = float(grid.alpha[i]), float(grid.sigma[i])
            time = torch.full((number,), float(grid.time[i]), device=device)

            def denoised(classes: torch.Tensor) -> torch.Tensor:
                return self.clean(x, module(x, time, classes, *shown).float(), alpha, sigma)

            scale = guidance_at(settings.guidance, settings.guidance_levels, sigma, unit=alpha)
            return classifier_free_guidance(lambda: denoised(y), lambda: denoised(nothing), scale)

        def start(noise: torch.Tensor) -> torch.Tensor:
            assert isinstance(module, SpectralPreconditioning)
            return module.start(noise, y, float(grid.alpha[0]), float(grid.sigma[0]))

        coloured = settings.coloured_start
        if coloured is None:
            coloured = self.draft is not None and self.settings.spectral
        noise = RecordNoise(seeds, (self.layout.channels, self.spec.length), device)
        drawn = run_sampler(denoise, grid, noise, settings.sampler, start if coloured else None)
        return self.finished(drawn, states)
