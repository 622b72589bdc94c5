"""Beats: a generative model of when the heart beats, one beat after another.

Each interval is drawn from a mixture of log-normal densities. A small network reads their weights, means and widths
off the class, the record's rhythm and the beats so far. The means are anchored: a component gives its mean relative to
the mean, the last, the last but one, the shortest or the longest interval so far, to the record's median interval, or
to two, three or four atrial cycles. The network then need not reproduce the exact interval of a regular rhythm; it
learns which anchor the next beat follows, and how closely. Before each interval the kind of the beat is drawn, normal
or ectopic; each kind has its own mixture.

What concerns a record as a whole (:mod:`.rhythms`) is drawn first, for its class: the median interval and how irregular
the intervals are, whether there are ectopic beats, and the atrial waves. A short training then cannot draw a
tachycardia that is too slow: rates are those of the class from the first step. Intervals may still come out more or
less irregular than was drawn, so of :data:`CANDIDATES` sequences the one is taken that is nearest to its record.

A record ends before its next beat. That it has not come by then is evidence too (without it, slow rhythms are learned
too fast): the likelihood of a record with beats t_1 ... t_n of kinds k_1 ... k_n, seen until T, is

    prod_i P(k_i | past) p(t_i | k_i, past)  *  sum_k P(k | past) P(t_(n+1) > T | k, past).
"""

from __future__ import annotations

import copy
import hashlib
import math
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from ecgpipe.dataset import SignalSpec
from ecgpipe.generate import training
from ecgpipe.generate.drafts.plans import ECTOPIC, NEVER, Plans, no_plans
from ecgpipe.generate.drafts.rhythms import (
    NO_SIZES,
    Atria,
    Rhythms,
    Sizes,
    fit_atria,
    fit_rhythms,
    fit_sizes,
    no_atria,
    no_rhythms,
    rhythm,
)
from ecgpipe.generate.protocol import Signals
from ecgpipe.generate.training import TrainingSettings

ANCHORS = (0, 0, 5, 5, 5, 1, 2, 3, 3, 3, 4, 4, 6, 7, 8)
"""What each mean is relative to: the mean, last, last but one, shortest, longest or median interval, 2-4 cycles."""
COMPONENTS = len(ANCHORS)
_ATRIAL = 3
"""So many of the last components are those of the atrial cycles."""
LAGS = 6
"""Intervals that the network is shown one by one."""
UNIT = 0.05
"""Scale of deviations of log intervals."""
OFFSET = 0.2
"""The first beat's time t enters as log(t + OFFSET), s."""
FIRST_UNIT, SECOND_UNIT = 0.5, 0.1
NARROWEST = 0.06
"""Least width of a component, in its unit."""
_IMPOSSIBLE = -100.0
"""Logit of ectopic beats in records without any."""
INTERVALS = (0.2, 5.0)
"""Shortest and longest interval drawn, s."""
_TRIALS = 16
"""Most draws of a first beat."""
CANDIDATES = 8
"""Sequences drawn for each record, of which the one is taken that is nearest to the record's figures."""
TOLERANCES = (0.05, 0.3)
"""Differences of log interval and of log irregularity that count equally."""
_STREAM = 0xBEA7


class BeatsSettings(TrainingSettings):
    """Settings of the model of beats."""

    width: int = Field(96, ge=8, description="Width of the network.")
    steps: int = Field(600, ge=1, description="Training steps.")
    batch: int = Field(96, ge=1, description="Records a training step.")
    learning_rate: float = Field(3e-3, gt=0, description="Highest learning rate.")
    warmup: int = Field(30, ge=0, description="Steps over which the learning rate rises from zero.")
    weight_decay: float = Field(0.03, ge=0, description="Weight decay of AdamW.")
    ema_decay: float = Field(0.98, ge=0, lt=1, description="Decay of the moving average of the weights.")
    balanced: bool = Field(True, description="Draw every class equally often in training.")
    later_start: float = Field(2.5, ge=0, description="Half of the training records lose up to so many seconds, s.")
    rate_jitter: float = Field(0.015, ge=0, lt=0.5, description="Training records are stretched by up to this share.")


class Mixture(NamedTuple):
    """Density of the logarithm of the next interval, for each place in a sequence and each kind of beat."""

    ectopic: Tensor
    """Logit that the beat is ectopic, ``(...)``."""
    weights: Tensor
    """Log weights, ``(..., kinds, COMPONENTS)``."""
    means: Tensor
    widths: Tensor
    """Logarithms of the deviations."""

    def log_kinds(self) -> Tensor:
        """Return the log probability of each kind, ``(..., kinds)``."""
        return torch.stack([F.logsigmoid(-self.ectopic), F.logsigmoid(self.ectopic)], dim=-1)

    def log_density(self, value: Tensor) -> Tensor:
        """Return log p(value | kind), ``(...)`` to ``(..., kinds)``."""
        z = (value[..., None, None] - self.means) / self.widths.exp()
        return torch.logsumexp(self.weights - self.widths - 0.5 * z.square() - 0.5 * math.log(2 * math.pi), dim=-1)

    def log_survival(self, value: Tensor) -> Tensor:
        """Return log P(next > value), over both kinds, ``(...)`` to ``(...)``."""
        z = (value[..., None, None] - self.means) / self.widths.exp()
        of_kind = torch.logsumexp(self.weights + torch.special.log_ndtr(-z), dim=-1)
        return torch.logsumexp(self.log_kinds() + of_kind, dim=-1)

    def draw(self, chance: Tensor, normal: Tensor) -> tuple[Tensor, Tensor]:
        """Draw the kind and value at one place, ``(b,)`` each.

        Args:
            chance: uniform random numbers, ``(b, 2)``.
            normal: standard normal ones, ``(b,)``.
        """
        kind = (chance[:, 0] < self.ectopic.sigmoid()).long()
        weights, means, widths = (t[torch.arange(len(kind)), kind] for t in self[1:])
        component = (chance[:, 1:] > weights.exp().cumsum(dim=1)).sum(dim=1, keepdim=True).clamp(max=COMPONENTS - 1)
        value = means.gather(1, component) + widths.gather(1, component).exp() * normal[:, None]
        return kind, value[:, 0]

    def at(self, place: int) -> Mixture:
        """Return the mixture at one place of each sequence."""
        return Mixture(*(t[:, place] for t in self))


class BeatsNet(nn.Module):
    """The network: what the beats so far say, to the mixture of the next one."""

    def __init__(self, classes: int, width: int) -> None:
        super().__init__()
        out = 2 * 3 * COMPONENTS + 1
        self.label = nn.Embedding(classes, width // 4)
        shown = width // 4 + 2 * LAGS + 6 + 4 + 3 + 3

        def head(inputs: int) -> nn.Sequential:
            return nn.Sequential(nn.Linear(inputs, width), nn.SiLU(), nn.Linear(width, out))

        self.first = head(width // 4 + 3)
        self.second = head(width // 4 + 5)
        self.body = nn.Sequential(
            nn.Linear(shown, 2 * width), nn.SiLU(), nn.Linear(2 * width, width), nn.SiLU(), nn.Linear(width, out)
        )
        spread = torch.linspace(-1.5, 1.5, COMPONENTS)
        # Mean; median -1, 0, 1; last; last but one; shortest, and a little and more above it; longest, below it; atria.
        anchored = torch.tensor([-0.5, 0.5, -1, 0, 1, 0, 0, 0, 8, 14, 0, -8, 0, 0, 0])
        with torch.no_grad():
            for part, means in ((self.first, spread), (self.second, spread), (self.body, anchored)):
                bias = cast(nn.Linear, part[-1]).bias
                bias[:-1].view(2, 3, COMPONENTS)[:, 1] = means
                bias[-1] = -2.0  # ectopic beats are rare, even in records that have some

    def forward(
        self, logs: Tensor, kinds: Tensor, label: Tensor, facts: Tensor, *, latest: bool = False
    ) -> tuple[Tensor, ...]:
        """Return the mixture of each beat given those before it; see :class:`Mixture`.

        Args:
            logs: log(t_1 + OFFSET), then log intervals, ``(b, n)``, n at least 2; whatever stands behind the last beat.
            kinds: of the beats, ``(b, n)``.
            label: ``(b,)``.
            facts: of the records, ``(b, 5)``: 1 if the beats are locked to atrial waves; the log of the atrial cycle in
                s (0 if not locked); 1 if there are ectopic beats; the two of :func:`rhythm`.
            latest: of the beats from the third on, return only the last one's.

        Returns:
            Of the beats 1 ... n + 1.
        """
        b, n = logs.shape
        c = self.label(label)
        rr = logs[:, 1:]
        k = torch.arange(1, n, device=logs.device, dtype=logs.dtype)
        mean = rr.cumsum(dim=1) / k
        lags = torch.stack([F.pad(rr, (j, 0))[:, : n - 1] for j in range(LAGS)], dim=-1)
        there = (k[:, None] > torch.arange(LAGS, device=logs.device)).to(logs.dtype)
        away = (lags - mean[..., None]) * there
        deviation = ((rr.square().cumsum(dim=1) / k - mean.square()).clamp(min=0) + 1e-6).sqrt()
        low, high = rr.cummin(dim=1).values - mean, rr.cummax(dim=1).values - mean
        locked, cycle, some, median, irregular = torch.split(facts, 1, dim=1)
        of_record = torch.cat([some, median / 0.3 + 1, irregular + 3], dim=1)
        about = [
            *(mean / 0.3 + 1, deviation.log() + 3, low / 0.2, high / 0.2),
            *((k.log() - 1).expand(b, -1), lags[..., 0].exp()),
            *(kinds[:, 1:], kinds[:, :-1], F.pad(kinds, (1, 0))[:, : n - 1], kinds.cumsum(dim=1)[:, 1:] / (k + 1)),
            *(locked.expand(-1, n - 1), locked * (mean - cycle), (median - mean) / 0.1),
            *(fact.expand(-1, n - 1) for fact in torch.split(of_record, 1, dim=1)),
        ]
        shown = torch.cat([torch.asinh(away / 0.03), away / 0.3, torch.stack(about, dim=-1)], dim=-1)
        places = slice(n - 2, None) if latest else slice(None)
        shown = shown[:, places]
        later = self.body(torch.cat([shown, c[:, None].expand(-1, shown.shape[1], -1)], dim=-1))
        zero = torch.zeros_like(mean)
        atrial = [torch.where(locked > 0, cycle + math.log(q) - mean, zero) for q in (2, 3, 4)]
        anchors = torch.stack([zero, lags[..., 0] - mean, away[..., 1], low, high, median - mean, *atrial], dim=-1)
        anchors = F.pad(anchors[:, places, list(ANCHORS)], (0, 0, 2, 0))[..., None, :]

        raw = torch.cat(
            [
                self.first(torch.cat([of_record, c], dim=1))[:, None],
                self.second(torch.cat([of_record, logs[:, :1], kinds[:, :1], c], dim=1))[:, None],
                later,
            ],
            dim=1,
        )
        mean = mean[:, places]
        ones = torch.ones_like(logs[:, :1])
        unit = torch.cat([ones * FIRST_UNIT, ones * SECOND_UNIT, torch.full_like(mean, UNIT)], dim=1)[..., None, None]
        middle = torch.cat([(OFFSET + median.exp() / 2).log(), median, mean], dim=1)[..., None, None]
        weights, means, widths = raw[..., :-1].view(b, -1, 2, 3, COMPONENTS).unbind(dim=3)
        least = math.log(NARROWEST)
        widths = least + F.softplus(widths - least) + unit.log()
        closed = F.pad(torch.zeros_like(anchors[..., :-_ATRIAL]), (0, _ATRIAL), value=-1e4)
        weights = F.log_softmax(torch.where(locked[..., None, None] > 0, weights, weights + closed), dim=-1)
        ectopic = torch.where(some > 0, raw[..., -1], _IMPOSSIBLE)
        return ectopic, weights, middle + anchors + unit * means, widths


def encode(plans: Plans, known: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
    """Return what :class:`BeatsNet` reads of plans: logs ``(n, k)``, kinds ``(n, k)``, facts ``(n, 5)``.

    ``known`` has whether there are ectopic beats, and :func:`rhythm`, of each record, ``(n, 3)``; None: as in plans.
    """
    happens = plans.happens
    gaps = torch.diff(plans.times, dim=1).clamp(min=0.05)
    logs = torch.cat([(plans.times[:, :1] + OFFSET).log(), gaps.log()], dim=1)
    cycle = torch.where(plans.atrial_locked > 0, -plans.atrial_rate.clamp(min=1e-3).log(), 0.0)
    if known is None:
        some = (plans.kinds == ECTOPIC).any(dim=1).to(logs.dtype)
        known = torch.cat([some[:, None], rhythm(plans).to(logs.dtype)], dim=1)
    facts = torch.cat([plans.atrial_locked[:, None], cycle[:, None], known], dim=1)
    return torch.where(happens, logs, 0.0), plans.kinds, facts


def log_likelihood(
    module: nn.Module, plans: Plans, labels: Tensor, seconds: Tensor, known: Tensor | None = None
) -> Tensor:
    """Return the log likelihood of the beats of each record, ``(n,)``: a density in the logs of :func:`encode`.

    It is conditional on what concerns the record as a whole; ``known`` as for :func:`encode`.

    Args:
        module: a :class:`BeatsNet`.
        plans: of n records.
        labels: class ids ``(n,)``.
        seconds: how long each record is observed, ``(n,)``.
    """
    happens = plans.happens
    number = happens.sum(dim=1)
    n = max(2, int(number.max()))
    logs, kinds, facts = encode(plans, known)
    next_beat = Mixture(*module(logs[:, :n], kinds[:, :n], labels, facts))
    chosen = next_beat.log_kinds() + next_beat.log_density(F.pad(logs[:, :n], (0, 1)))
    of_kind = chosen.gather(-1, F.pad(kinds[:, :n], (0, 1)).long()[..., None])[..., 0]
    seen = (of_kind[:, :n] * happens[:, :n]).sum(dim=1)
    last = plans.times.gather(1, (number - 1).clamp(min=0)[:, None])[:, 0]
    left = torch.where(number > 0, (seconds - last).clamp(min=0.01), seconds + OFFSET)
    survival = next_beat.log_survival(left.log()[:, None].expand(-1, n + 1)).gather(1, number[:, None])[:, 0]
    # The first beat lies within the record: its density is that of a mixture cut off at the record's start.
    starts = next_beat.at(0).log_survival(torch.full_like(seen, math.log(OFFSET)))
    out: Tensor = seen + survival.clamp(min=-20) - starts
    return out


def augmented(
    plans: Plans, seconds: float, settings: BeatsSettings, generator: torch.Generator
) -> tuple[Plans, Tensor]:
    """Start half of the records later, stretch all a little; return the plans and how long each is seen, ``(n,)``."""
    n, device = len(plans), plans.times.device
    u = torch.rand(3, n, generator=generator, device=device)
    start = torch.where(u[0] < 0.5, u[1] * min(settings.later_start, seconds / 4), 0.0)
    stretch = 1 + settings.rate_jitter * (2 * u[2] - 1)
    stays = plans.happens & (plans.times >= start[:, None])
    times = torch.where(stays, (plans.times - start[:, None]) * stretch[:, None], NEVER)
    times, order = times.sort(dim=1)
    kinds = torch.where(stays, plans.kinds, 0.0).gather(1, order)
    rate = torch.where(plans.atrial_rate > 0, plans.atrial_rate / stretch, 0.0)
    moved = Plans(times, kinds, plans.gains, plans.known, rate, plans.atrial_phase, plans.atrial_locked)
    return moved, (seconds - start) * stretch


class Rows(Signals):
    """Rows of an array in the place of signals, for the training loop: ``(n, d)`` and class ids ``(n,)``."""

    def __init__(self, rows: Tensor, labels: np.ndarray, spec: SignalSpec) -> None:
        self.rows, self.labels, self.spec = rows, labels, spec

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, indices: np.ndarray) -> tuple[Tensor, Tensor]:
        """Return rows and class ids."""
        return self.rows[torch.from_numpy(indices)], torch.from_numpy(self.labels[indices])

    def digest(self) -> str:
        """Return a SHA-256 of the rows: a training of other rows is another training."""
        return hashlib.sha256(self.rows.numpy().tobytes()).hexdigest()


class BeatsModel:
    """Beats, their kinds and sizes, and atrial waves of each class."""

    def __init__(self, settings: BeatsSettings, spec: SignalSpec) -> None:
        self.settings, self.spec = settings, spec
        self.seconds = spec.length / spec.rate
        self.module = BeatsNet(len(spec.classes), settings.width)
        self.sizes = NO_SIZES
        self.atria = no_atria(len(spec.classes))
        self.rhythms = no_rhythms(len(spec.classes))

    def fit(
        self,
        plans: Plans,
        labels: np.ndarray,
        validation: Plans,
        validation_labels: np.ndarray,
        *,
        seed: int,
        state_dir: Path,
        device: str,
        progress: bool,
    ) -> pd.DataFrame:
        """Train on plans, all of which must be known; return the history.

        Raises:
            ValueError: if there are no plans, or none to validate on.
            TrainingError: if the loss is not finite.
        """
        self.sizes = fit_sizes(plans)
        self.atria = fit_atria(plans, labels, len(self.spec.classes))
        self.rhythms = fit_rhythms(plans, labels, len(self.spec.classes))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.module = BeatsNet(len(self.spec.classes), self.settings.width)
        train = Rows(plans.pack(), labels, self.spec)
        return training.train(
            self.module,
            self.loss,
            train,
            Rows(validation.pack(), validation_labels, self.spec),
            self.settings,
            seed=seed,
            device=device,
            state_dir=state_dir,
            progress=progress,
            stage="beats",
            identity=f"{self.settings.model_dump_json(exclude={'checkpoint_seconds'})} {train.digest()}",
        )

    def loss(self, module: nn.Module, rows: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        """Negative log likelihood a beat."""
        plans = Plans.unpack(rows)
        seconds = torch.full((len(plans),), self.seconds, device=rows.device)
        if module.training:
            plans, seconds = augmented(plans, self.seconds, self.settings, generator)
        return -log_likelihood(module, plans, labels, seconds).sum() / (plans.happens.sum() + len(plans))

    @torch.no_grad()
    def draw(self, labels: np.ndarray, seeds: np.ndarray) -> Plans:
        """Draw one plan a label, on the CPU.

        Args:
            labels: class ids ``(n,)``.
            seeds: ``(n,)``; a plan depends on its own only.
        """
        streams = [np.random.default_rng([_STREAM, int(seed)]) for seed in seeds]
        plans = no_plans(len(labels), self.seconds)
        for row, (label, rng) in enumerate(zip(labels, streams, strict=True)):
            rate, phase, locked = self.atria.draw(int(label), rng)
            plans.atrial_rate[row], plans.atrial_phase[row], plans.atrial_locked[row] = rate, phase, locked
        of_record = zip(labels, plans.atrial_locked.tolist(), streams, strict=True)
        known = torch.tensor([self.rhythms.draw(int(label), int(locked), rng) for label, locked, rng in of_record])
        rows = np.repeat(np.arange(len(labels)), CANDIDATES)
        candidates = self._sequences(plans[rows], labels[rows], known[rows], streams)
        # A sequence may come out more or less regular than was drawn for its record, so the nearest is taken.
        away = ((rhythm(candidates) - known[rows, 1:]).abs() / torch.tensor(TOLERANCES)).sum(dim=1)
        # One interval is neither regular nor irregular.
        away += torch.where(candidates.happens.sum(dim=1) < 3, 1e3, 0.0)
        best = torch.arange(len(labels)) * CANDIDATES + away.view(-1, CANDIDATES).argmin(dim=1)
        plans = candidates[best]
        for row, rng in enumerate(streams):
            times = plans.beats(row)
            normal_beats = plans.kinds[row, : len(times)].numpy() != ECTOPIC
            plans.gains[row, : len(times)] = torch.from_numpy(
                np.where(normal_beats, self.sizes.draw(times, rng), 1.0)
            ).float()
        return plans

    def _sequences(self, plans: Plans, labels: np.ndarray, known: Tensor, streams: list[np.random.Generator]) -> Plans:
        """Fill plans with beats, one interval drawn after another, and return them.

        Args:
            plans: ``n`` of them, without beats.
            labels: class ids ``(n,)``.
            known: see :func:`encode`.
            streams: random numbers, each for as many rows, one after the other.
        """
        # In double precision, so that rounding, which depends on the company in a batch, hardly ever shows.
        module = copy.deepcopy(self.module).cpu().double().eval()
        n, places = plans.times.shape
        size = n // len(streams), _TRIALS + places
        chance = torch.from_numpy(np.concatenate([rng.random((*size, 2), dtype=np.float32) for rng in streams]))
        normal = torch.from_numpy(np.concatenate([rng.standard_normal(size, dtype=np.float32) for rng in streams]))
        chance, normal = chance.double(), normal.double()
        y, facts = torch.from_numpy(labels), encode(plans, known)[2].double()
        logs, kinds = torch.zeros(n, 2, dtype=torch.float64), torch.zeros(n, 2, dtype=torch.float64)
        clock = torch.zeros(n, dtype=torch.float64)
        going = torch.ones(n, dtype=torch.bool)
        for i in range(places):
            mixture = Mixture(*module(logs, kinds, y, facts, latest=True)).at(min(i, 2))
            if i == 0:
                # A first beat before the record's start is drawn again.
                kind, value = mixture.draw(chance[:, 0], normal[:, 0])
                for trial in range(1, _TRIALS):
                    again = value < math.log(OFFSET)
                    other_kind, other = mixture.draw(chance[:, trial], normal[:, trial])
                    kind, value = torch.where(again, other_kind, kind), torch.where(again, other, value)
                value = value.clamp(min=math.log(OFFSET))
            else:
                kind, value = mixture.draw(chance[:, _TRIALS + i], normal[:, _TRIALS + i])
                value = value.clamp(math.log(INTERVALS[0]), math.log(INTERVALS[1]))
            clock += value.exp() - (OFFSET if i == 0 else 0.0)
            going &= clock < self.seconds
            if not going.any():
                break
            plans.times[:, i] = torch.where(going, clock, NEVER).float()
            plans.kinds[:, i] = torch.where(going, kind, 0).float()
            if i >= 2:
                logs, kinds = F.pad(logs, (0, 1)), F.pad(kinds, (0, 1))
            logs[:, i], kinds[:, i] = value, kind.double()
        plans.known[:] = plans.happens.any(dim=1).float()
        return plans

    def tensors(self) -> dict[str, Tensor]:
        """Return all that :meth:`load_tensors` needs."""
        return {
            **{f"net.{k}": v for k, v in self.module.state_dict().items()},
            "sizes": torch.tensor(self.sizes, dtype=torch.float64),
            **{f"atria.{k}": v for k, v in self.atria._asdict().items()},
            **{f"rhythms.{k}": v for k, v in self.rhythms._asdict().items()},
        }

    def load_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Take what :meth:`tensors` gave."""
        self.module.load_state_dict({k.removeprefix("net."): v for k, v in tensors.items() if k.startswith("net.")})
        self.sizes = Sizes(*tensors["sizes"].tolist())
        self.atria = Atria(*(tensors[f"atria.{k}"] for k in Atria._fields))
        self.rhythms = Rhythms(*(tensors[f"rhythms.{k}"] for k in Rhythms._fields))
        self.module.eval()
