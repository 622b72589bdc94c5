"""The draft as a whole: what generators use of this package.

A training record is described by a *state*, one row of numbers: its plan, components of its ectopic beats and of its
atrial waves, levels of what its draft leaves, and components of its mean beat and of that beat's details. Rows travel
with the training's batches; :meth:`DraftModel.render` makes drafts and channels of them there.

    model = DraftModel(settings, spec)
    history = model.fit(train, validation, seed=1, state_dir=folder, device="cpu", progress=True)
    states = model.states(train, model.found)         # (n, d), of the training records
    rendered = model.render(states[rows], patch)      # drafts in mV and channels, on the states' device
    left = model.undrafted(signals, states[rows], rendered.draft)    # what drafts leave, about equally large in all
    states = model.draw(labels, seeds)                # (n, d), of new records
    signals = model.whole(left, states)               # (n, 8, length) in mV
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
import torch
from pydantic import Field
from torch import Tensor

from ecgpipe.dataset import SignalSpec
from ecgpipe.generate.drafts.analysis import HARMONICS, LEADS, NODES, Analysed, analyse
from ecgpipe.generate.drafts.beats import BeatsModel, BeatsSettings
from ecgpipe.generate.drafts.forms import COMPONENTS, DetailForms, GaussianForms
from ecgpipe.generate.drafts.levels import BANDS, LEVELS, LevelsModel
from ecgpipe.generate.drafts.mean_beat import MeanBeatModel, MeanBeatSettings
from ecgpipe.generate.drafts.offsets import OffsetModel
from ecgpipe.generate.drafts.plans import Plans, rhythm_figures, slots
from ecgpipe.generate.drafts.rendering import (
    PHASES,
    PULSES,
    atrial_waves,
    drafts,
    median_interval,
    phase_channels,
    pulse_channels,
)
from ecgpipe.generate.preconditioning import Spectrum
from ecgpipe.generate.protocol import Settings, Signals
from ecgpipe.leads import independent_from_twelve

log = logging.getLogger(__name__)

DraftKind = Literal["beats", "none"]
"""``beats``: a generator learns what drafts leave; ``none``: whole records."""
_BATCH = 256


class DraftSettings(Settings):
    """Settings of drafts."""

    beats: BeatsSettings = Field(BeatsSettings(), description="The model of when the heart beats.")
    mean_beat: MeanBeatSettings = Field(MeanBeatSettings(), description="The model of what a beat looks like.")
    details: int = Field(
        192,
        ge=0,
        description="Principal components of mean beats, at most, after those that the model of mean beats learns;"
        " these follow a Gaussian.",
    )
    levels: bool = Field(
        True,
        description="Take the levels of noise and baseline wander off what drafts leave, and draw them separately.",
    )


class Rendered(NamedTuple):
    """What a generator sees and what it adds to."""

    draft: Tensor
    """``(n, 8, length)``, mV: leads I, II, V1-V6."""
    shown: Tensor
    """At every sample, ``(n, CHANNELS, length)``: the draft in units of its deviation, and pulses at the beats."""
    phases: Tensor
    """At every position, ``(n, PHASES, positions)``."""


class State(NamedTuple):
    """The parts of ``n`` states."""

    plans: Plans
    forms: Tensor
    """Components of ectopic beats and of atrial waves, ``(n, 2 d)``."""
    levels: Tensor
    """``(n, LEVELS)``."""
    mean_beats: Tensor
    """Components of mean beats, then of their details, ``(n, d)``."""


class DraftModel:
    """Finds plans and mean beats in records, learns and draws them, and renders drafts."""

    CHANNELS = LEADS + PULSES
    PHASES = PHASES + BANDS

    def __init__(self, settings: DraftSettings, spec: SignalSpec) -> None:
        self.settings, self.spec = settings, spec
        self.beats = BeatsModel(settings.beats, spec)
        self.mean_beats = MeanBeatModel(settings.mean_beat, spec)
        self.details = DetailForms(LEADS * NODES, 0xBEAD, settings.details)
        self.ectopic = GaussianForms(LEADS * NODES, 0xBEA9)
        self.waves = [GaussianForms(LEADS * 2 * HARMONICS, 0xBEAC) for _ in range(2)]
        """Atrial waves that are free of the beats, and locked to them."""
        self.offsets = OffsetModel(settings.mean_beat.components, LEADS)
        self.levels = LevelsModel(spec.length, spec.rate, len(spec.classes), used=settings.levels)
        self.planned = torch.ones(len(spec.classes))
        """1 for classes of which a training record has a plan; others are drawn without, ``(classes,)``."""
        self.deviation = torch.ones(())
        """Standard deviation of training drafts, mV: the unit in which generators are shown drafts."""
        self.facts: dict[str, Any] = {}
        """How many training records have no plan, by reason."""

    def analyse(self, signals: Signals) -> Analysed:
        """Find plans and mean beats of records, read a batch at a time."""
        found = []
        for first in range(0, len(signals), _BATCH):
            x, _ = signals.batch(np.arange(first, min(first + _BATCH, len(signals))))
            found.append(analyse(independent_from_twelve(x.numpy()), self.spec.rate))
        packed = torch.cat([f.plans.pack() for f in found])
        beats, ectopic, waves = (
            np.concatenate([getattr(f, part) for f in found]) for part in ("mean_beats", "ectopic_beats", "waves")
        )
        return Analysed(Plans.unpack(packed), beats, ectopic, waves, [r for f in found for r in f.reasons])

    def fit(
        self, train: Signals, validation: Signals, *, seed: int, state_dir: Path, device: str, progress: bool
    ) -> pd.DataFrame:
        """Train the models on what is :attr:`found` in training and :attr:`held_out` records. Return the history.

        Raises:
            ValueError: if beats are found in too few records, or there are no validation records.
            TrainingError: if a loss is not finite.
        """
        self.found = self.analyse(train)
        self.held_out = held_out = self.analyse(validation)
        reasons = Counter(r for r in self.found.reasons if r)
        self.facts = {"records_without_plan": dict(reasons)}
        if reasons:
            log.warning(
                "no beats found in %d of %d training records, which have no draft: %s",
                *(reasons.total(), len(train), "; ".join(f"{n} × {r}" for r, n in reasons.most_common(5))),
            )
        rows, others = (np.flatnonzero(a.plans.known.numpy() > 0) for a in (self.found, held_out))
        if len(rows) < 2 or not len(others):
            raise ValueError(
                f"beats were found in {len(rows)} training and {len(others)} validation records, too few for drafts; "
                "use `draft: none`"
            )
        counts = np.bincount(train.labels[rows], minlength=len(self.spec.classes))
        self.planned = torch.from_numpy((counts > 0).astype(np.float32))
        both: dict[str, Any] = {"seed": seed, "state_dir": state_dir, "device": device, "progress": progress}
        history = self.beats.fit(
            self.found.plans[rows], train.labels[rows], held_out.plans[others], validation.labels[others], **both
        )
        self.ectopic.fit(torch.from_numpy(self.found.ectopic_beats[self.found.has_ectopic]))
        seen, locked = np.abs(self.found.waves).max(axis=(1, 2)) > 0, self.found.plans.atrial_locked.numpy() > 0
        for kind, forms in enumerate(self.waves):
            forms.fit(torch.from_numpy(self.found.waves[seen & (locked == kind)]))
        found, watched = (torch.from_numpy(a.mean_beats) for a in (self.found, held_out))
        figures, watched_figures = (rhythm_figures(a.plans) for a in (self.found, held_out))
        more = self.mean_beats.fit(
            found[rows],
            train.labels[rows],
            figures[rows],
            (watched[others], validation.labels[others], watched_figures[others]),
            **both,
        )
        leading = self.mean_beats.encode(found[rows])
        left = found[rows] - self.mean_beats.decode(leading)
        self.details.fit(left)
        self.details.fit_sizes(leading, self.details.encode(left))
        components = self.encode(found)
        self._fit_offsets(train, rows, components)
        levels, sizes = self._levels(train, self.found, components)
        self.levels.fit(levels[rows], train.labels[rows], self._level_figures(self.found.plans[rows], sizes[rows]))
        return pd.concat([history, more], ignore_index=True)

    def _fit_offsets(self, train: Signals, rows: np.ndarray, components: Tensor) -> None:
        """Learn the offsets of drafts from some training records, given the components of all mean beats."""
        means, offsets = [], []
        for x, draft in self._with_drafts(train, self.found, components):
            means.append(draft.mean(dim=-1))
            offsets.append(x.mean(dim=-1) - means[-1])
        self.offsets.fit(self._leading(components)[rows], torch.cat(means)[rows], torch.cat(offsets)[rows])

    def _levels(self, signals: Signals, found: Analysed, components: Tensor) -> tuple[Tensor, Tensor]:
        """Return the levels of what drafts leave of records ``(n, LEVELS)``, and the size of drafts, mV, ``(n,)``."""
        levels, sizes, first = [], [], 0
        for x, draft in self._with_drafts(signals, found, components):
            some = slice(first, first + len(x))
            first += len(x)
            draft = self._with_offset(draft, components[some], found.plans.known[some])
            levels.append(self.levels.measure(x - draft))
            sizes.append(draft.square().mean(dim=(1, 2)).sqrt())
        return torch.cat(levels), torch.cat(sizes)

    def _with_drafts(self, signals: Signals, found: Analysed, components: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield records and their drafts without offset, in batches, each ``(b, 8, length)``, mV."""
        forms = self._forms(found)
        for first in range(0, len(signals), _BATCH):
            rows = np.arange(first, min(first + _BATCH, len(signals)))
            x = torch.from_numpy(independent_from_twelve(signals.batch(rows)[0].numpy()))
            yield x, self._without_offset(found.plans[rows], forms[rows], components[rows])

    def encode(self, mean_beats: Tensor) -> Tensor:
        """Return components of mean beats ``(n, 8, NODES)``, mV, and of their details: ``(n, d)``."""
        leading = self.mean_beats.encode(mean_beats)
        return torch.cat([leading, self.details.encode(mean_beats - self.mean_beats.decode(leading))], dim=1)

    def decode(self, components: Tensor) -> Tensor:
        """Return mean beats ``(n, 8, NODES)``, mV, of :attr:`State.mean_beats`."""
        leading = self._leading(components)
        details = self.details.decode(components[:, leading.shape[1] :])
        return self.mean_beats.decode(leading) + details.view(-1, LEADS, NODES)

    def _leading(self, components: Tensor) -> Tensor:
        return components[:, : components.shape[1] - self.settings.details]

    def _forms(self, found: Analysed) -> Tensor:
        """Return components of ectopic beats and of atrial waves ``(n, 2 d)``."""
        waves = torch.from_numpy(found.waves)
        free, locked = (forms.encode(waves) for forms in self.waves)
        own = torch.where(found.plans.atrial_locked[:, None] > 0, locked, free)
        return torch.cat([self.ectopic.encode(torch.from_numpy(found.ectopic_beats)), own], dim=1)

    @staticmethod
    def _level_figures(plans: Plans, sizes: Tensor) -> Tensor:
        return torch.stack([(sizes + 1e-3).log(), median_interval(plans).log()], dim=1)

    def states(self, signals: Signals, found: Analysed) -> Tensor:
        """Return the states of records ``(n, d)``; those without a plan have the mean levels."""
        components = self.encode(torch.from_numpy(found.mean_beats))
        levels = torch.where(
            found.plans.known[:, None] > 0, self._levels(signals, found, components)[0], self.levels.middle
        )
        return torch.cat([found.plans.pack(), self._forms(found), levels, components], dim=1)

    def draw(self, labels: np.ndarray, seeds: np.ndarray) -> Tensor:
        """Draw the states of new records ``(n, d)``, one a label, each from its own seed, on the CPU."""
        plans = self.beats.draw(labels, seeds)
        plans.known.mul_(self.planned[torch.from_numpy(labels)])
        leading = self.mean_beats.draw(labels, rhythm_figures(plans), seeds)
        beats = torch.cat([leading, self.details.draw_sized(leading, seeds)], dim=1)
        forms = torch.cat([self.ectopic.draw(seeds), self.waves[0].draw(seeds)], dim=1)
        sizes = self._rendered(plans, forms, beats).square().mean(dim=(1, 2)).sqrt()
        levels = self.levels.draw(labels, self._level_figures(plans, sizes), seeds)
        levels = torch.where(plans.known[:, None] > 0, levels, self.levels.middle)
        return torch.cat([plans.pack(), forms, levels, beats], dim=1)

    def split(self, states: Tensor) -> State:
        """Return the parts of states."""
        widths = [3 * slots(self.spec.length / self.spec.rate) + 4, 2 * COMPONENTS, LEVELS]
        plans, forms, levels, beats = states.tensor_split(np.cumsum(widths).tolist(), dim=1)
        return State(Plans.unpack(plans), forms, levels, beats)

    def _rendered(self, plans: Plans, forms: Tensor, components: Tensor) -> Tensor:
        return self._with_offset(self._without_offset(plans, forms, components), components, plans.known)

    def _with_offset(self, draft: Tensor, components: Tensor, known: Tensor) -> Tensor:
        with torch.autocast(draft.device.type, enabled=False):
            offsets = self.offsets(self._leading(components), draft.mean(dim=-1))
            return draft + (offsets * known[:, None])[:, :, None]

    def _without_offset(self, plans: Plans, forms: Tensor, components: Tensor) -> Tensor:
        length, rate = self.spec.length, self.spec.rate
        with torch.autocast(forms.device.type, enabled=False):  # millivolts need full precision
            ectopic = self.ectopic.decode(forms[:, :COMPONENTS]).view(-1, LEADS, NODES)
            beats = torch.stack([self.decode(components), ectopic], dim=1)
            free, locked = (kind.decode(forms[:, COMPONENTS:]) for kind in self.waves)
            waves = torch.where(plans.atrial_locked[:, None] > 0, locked, free).view(-1, LEADS, 2 * HARMONICS)
            return drafts(plans, beats, length, rate) + atrial_waves(plans, waves, length, rate)

    def drafts(self, states: Tensor) -> Tensor:
        """Return the drafts of states, ``(n, 8, length)``, mV."""
        state = self.split(states)
        return self._rendered(state.plans, state.forms, state.mean_beats)

    def undrafted(self, signals: Tensor, states: Tensor, draft: Tensor) -> Tensor:
        """Return what drafts leave of signals, both ``(n, 8, length)`` in mV, less its levels."""
        return self.levels.evened(signals - draft, self.split(states).levels)

    def between_beats(self, spectrum: Spectrum, left: Iterable[tuple[Tensor, Tensor]], shrinkage: float) -> Spectrum:
        """Return the spectrum of what lies between the beats, as beats are where most of what drafts leave lies.

        Classes that are drawn without drafts keep theirs, since there the beats are to be drawn.

        Args:
            spectrum: of what drafts leave, of all or of each class.
            left: the same records with class ids, in batches, ``(b, 8, length)`` and ``(b,)``; those with drafts.
            shrinkage: see :meth:`ecgpipe.generate.drafts.levels.LevelsModel.steadiness`.
        """
        share = self.levels.steadiness(left, len(self.spec.classes), shrinkage)
        share[:-1][self.planned == 0] = 1.0
        return self.levels.between_beats(spectrum, share)

    def whole(self, left: Tensor, states: Tensor) -> Tensor:
        """Return signals ``(n, 8, length)`` in mV of what was drawn in the place of :meth:`undrafted`."""
        return self.drafts(states) + self.levels.restored(left, self.split(states).levels)

    def measure(self, states: Tensor) -> None:
        """Set :attr:`deviation` to that of the drafts of states."""
        total = 0.0
        for first in range(0, len(states), _BATCH):
            total += float(self.drafts(states[first : first + _BATCH]).double().square().mean(dim=(1, 2)).sum())
        self.deviation = torch.tensor(math.sqrt(total / len(states)) + 1e-6)

    def render(self, states: Tensor, patch: int) -> Rendered:
        """Render states, on their device.

        Args:
            states: ``(n, d)``.
            patch: samples a position of the phases.
        """
        length, rate = self.spec.length, self.spec.rate
        draft = self.drafts(states)
        pulses = pulse_channels(self.split(states).plans, length, rate)
        shown = torch.cat([draft / self.deviation.to(draft.device), pulses], dim=1)
        positions = -(-length // patch)
        moments = (torch.arange(positions, device=states.device) + 0.5) * patch / rate
        if patch == 1:
            moments = torch.arange(positions, device=states.device) / rate
        return Rendered(draft, shown, self.phases(states, moments))

    def phases(self, states: Tensor, moments: Tensor) -> Tensor:
        """Return what is shown at some moments, s, ``(m,)``: phases of the plan, levels; ``(n, PHASES, m)``."""
        state = self.split(states)
        levels = self.levels.shown(state.levels)[:, :, None].expand(-1, -1, len(moments))
        return torch.cat([phase_channels(state.plans, moments), levels], dim=1)

    @property
    def _kinds(self) -> dict[str, GaussianForms]:
        waves = dict(zip(("free_waves", "locked_waves"), self.waves, strict=True))
        return {"details": self.details, "ectopic": self.ectopic, **waves}

    def tensors(self) -> dict[str, Tensor]:
        """Return all that :meth:`load_tensors` needs, for a model file."""
        return {
            **{f"beats.{k}": v for k, v in self.beats.tensors().items()},
            **{f"mean_beat.{k}": v for k, v in self.mean_beats.tensors().items()},
            **{f"{kind}.{k}": v for kind, forms in self._kinds.items() for k, v in forms.tensors().items()},
            **{f"offsets.{k}": v for k, v in self.offsets.tensors().items()},
            **{f"levels.{k}": v for k, v in self.levels.tensors().items()},
            "planned": self.planned,
            "deviation": self.deviation,
        }

    def load_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Take what :meth:`tensors` gave."""
        self.planned, self.deviation = tensors["planned"], tensors["deviation"]
        named: dict[str, Any] = {"beats": self.beats, "mean_beat": self.mean_beats, "offsets": self.offsets}
        parts = {**named, "levels": self.levels, **self._kinds}
        for name, part in parts.items():
            own = {k.removeprefix(f"{name}."): v for k, v in tensors.items() if k.startswith(f"{name}.")}
            if not own:
                raise ValueError(f"its weights have no `{name}` of drafts")
            part.load_tensors(own)
