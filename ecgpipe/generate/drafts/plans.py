"""The plan of a record: when the heart beats, which beats are ectopic, how large they are, and what the atria do.

Plans of many records are one array, a row a record, so that they travel with a training's batches and through
safetensors as they are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

NEVER = 1e4
"""Time of a beat that does not occur, s."""
NORMAL, ECTOPIC = 0, 1
SHORTEST = 0.2
"""Shortest interval that a plan has room for throughout, s."""


def slots(seconds: float) -> int:
    """Return how many beats the plan of a record of this duration has room for."""
    return math.ceil(seconds / SHORTEST) + 2


@dataclass(frozen=True)
class Plans:
    """Plans of ``n`` records, each with room for ``k`` beats, in time order; all tensors float32."""

    times: Tensor
    """Beats (R peaks), s from the start: ``(n, k)``; :data:`NEVER` behind the last one."""
    kinds: Tensor
    """:data:`NORMAL` or :data:`ECTOPIC`: ``(n, k)``."""
    gains: Tensor
    """Size of each beat over that of the mean beat: ``(n, k)``."""
    known: Tensor
    """1, or 0 where no beats were found; such a record has neither plan nor draft: ``(n,)``."""
    atrial_rate: Tensor
    """Rate of flutter or f-waves, Hz; 0 where none are seen: ``(n,)``."""
    atrial_phase: Tensor
    """Phase of these waves, in turns: at the start of the record, or where they are locked at every beat: ``(n,)``."""
    atrial_locked: Tensor
    """1 where the beats follow from the atrial waves (flutter with whole-number conduction), else 0: ``(n,)``."""

    def __len__(self) -> int:
        return len(self.known)

    @property
    def happens(self) -> Tensor:
        """Which places hold a beat, ``(n, k)``, bool."""
        return self.times < NEVER

    def pack(self) -> Tensor:
        """Return all as one array ``(n, 3 k + 4)``."""
        return torch.cat([t if t.dim() == 2 else t[:, None] for t in self._tensors()], dim=1)

    @classmethod
    def unpack(cls, packed: Tensor) -> Plans:
        """Undo :meth:`pack`."""
        k = (packed.shape[1] - 4) // 3
        return cls(*torch.split(packed[:, : 3 * k], k, dim=1), *packed[:, 3 * k :].unbind(dim=1))

    def to(self, device: str | torch.device) -> Plans:
        """Move to a device."""
        return Plans(*(t.to(device) for t in self._tensors()))

    def __getitem__(self, rows: slice | np.ndarray | Tensor) -> Plans:
        return Plans(*(t[rows] for t in self._tensors()))

    def beats(self, row: int) -> np.ndarray:
        """Return the times of one record's beats, s, float64."""
        return self.times[row, self.happens[row]].double().numpy()

    def _tensors(self) -> list[Tensor]:
        return [getattr(self, f.name) for f in fields(self)]


def no_plans(number: int, seconds: float) -> Plans:
    """Return plans of records of which nothing is known."""
    shape, nothing = (number, slots(seconds)), torch.zeros(number)
    return Plans(torch.full(shape, NEVER), torch.zeros(shape), torch.ones(shape), *(nothing.clone() for _ in range(4)))


class Between(NamedTuple):
    """Where moments lie between two beats, each ``(n, m)``, s."""

    since: Tensor
    """The last beat."""
    until: Tensor
    """The next beat."""


_MARGIN = 0.02


def between(plans: Plans, moments: Tensor) -> Between:
    """Return the time since the last and until the next beat at moments ``(m,)``, s from the start, ascending.

    Before the first and behind the last beat one is supposed, as far away as the nearest interval says, but outside the
    record.
    """
    n, m = len(plans), len(moments)
    times, number = plans.times, plans.happens.sum(dim=1)
    seconds = float(moments[-1] + moments[0])
    first = times[:, :1]
    last = times.gather(1, (number - 1).clamp(min=0)[:, None])
    some = number[:, None] > 1
    first_gap = torch.where(some, times[:, 1:2] - first, 1.0)
    last_gap = torch.where(some, last - times.gather(1, (number - 2).clamp(min=0)[:, None]), 1.0)
    first_gap = torch.maximum(first_gap, first + _MARGIN)
    last_gap = torch.maximum(last_gap, seconds + _MARGIN - last)
    middle = torch.where(plans.happens, times, last + last_gap)
    edges = torch.cat([first - 2 * first_gap, first - first_gap, middle, last + last_gap, last + 2 * last_gap], dim=1)
    edges = edges.contiguous()
    at = moments.to(times.device).expand(n, m).contiguous()
    k = (torch.searchsorted(edges, at, right=True) - 1).clamp(0, edges.shape[1] - 2)
    return Between((at - edges.gather(1, k)).clamp(min=0), (edges.gather(1, k + 1) - at).clamp(min=0))


def atrial_turns(plans: Plans, moments: Tensor, where: Between) -> Tensor:
    """Return the phase of the atrial waves, in turns, ``(n, m)``.

    Free waves run at their own rate. Locked ones make a whole number of turns between two beats, at whatever moment the
    beats lie: each begins with the same phase.
    """
    interval = (where.since + where.until).clamp(min=0.05)
    whole = (interval * plans.atrial_rate[:, None]).round()
    locked = plans.atrial_phase[:, None] + where.since / interval * whole
    free = plans.atrial_phase[:, None] + moments.to(whole.device) * plans.atrial_rate[:, None]
    return torch.where(plans.atrial_locked[:, None] > 0, locked, free)


AFTER_T, BEFORE_QRS, FREE = 0.40, 0.06, 0.08
"""Atrial waves are seen alone from so many s behind an R peak to so many before the next, if that is such a share of a
record. In faster hearts the mean beat holds them."""


def free_places(plans: Plans, where: Between) -> Tensor:
    """Return which moments lie between T wave and QRS complex, ``(n, m)``: none in records with too few of them."""
    free = (where.since > AFTER_T) & (where.until > BEFORE_QRS)
    return free & (free.float().mean(dim=1, keepdim=True) >= FREE) & (plans.atrial_rate[:, None] > 0)


def rhythm_figures(plans: Plans) -> Tensor:
    """Return three figures of each rhythm that the form of beats depends on: ``(n, 3)``, of order 1.

    Logarithms of the median interval, of its coefficient of variation, and of the shortest over the median interval.
    """
    out = torch.zeros(len(plans), 3)
    for row in range(len(plans)):
        intervals = np.diff(plans.beats(row))
        if not len(intervals):
            intervals = np.ones(1)
        middle = float(np.median(intervals))
        out[row, 0] = math.log(middle) / 0.35
        out[row, 1] = math.log(float(np.std(intervals) / np.mean(intervals)) + 0.005) + 3
        out[row, 2] = math.log(float(intervals.min()) / middle) / 0.2
    return out
