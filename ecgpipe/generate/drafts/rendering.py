"""From a plan and a mean beat to signals: the draft, and what a generator is shown of the plan.

Everything is a function of tensors on any device, quick enough to be done for each training batch, so that nothing of
the size of a record need be stored.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ecgpipe.generate.drafts.analysis import BEFORE, BEHIND, GRID, GRID_STEP, HARMONICS, NODES, SHARES
from ecgpipe.generate.drafts.plans import NEVER, Plans, atrial_turns, between, free_places

PULSES = 2
"""Channels of :func:`pulse_channels`."""
_FREQUENCIES = (0.6, 1.2, 2.4, 5.0)
_FARTHEST = 1.6
"""Longer times since or until a beat look like this one, s."""
PHASES = 4 * len(_FREQUENCIES) + 4 + 3 + 2 + 1
"""Channels of :func:`phase_channels`."""
_PULSE = 0.02


def windows(plans: Plans) -> Tensor:
    """Return the weights of each record's mean beat's nodes ``(n, NODES)``; see :func:`.analysis.window`."""
    middle = median_interval(plans)
    before, behind = (SHARES[0] * middle).clamp(max=BEFORE), (SHARES[1] * middle).clamp(max=BEHIND)
    grid = torch.from_numpy(GRID).float().to(middle.device)
    rise = (torch.minimum(grid + before[:, None], behind[:, None] - grid) / 0.05).clamp(0, 1)
    return rise.square() * (3 - 2 * rise)


def median_interval(plans: Plans) -> Tensor:
    """Return each record's median interval, s, ``(n,)``; 0.8 where there is none."""
    gaps = torch.diff(plans.times, dim=1)
    real = plans.happens[:, 1:]
    number = real.sum(dim=1)
    ordered = torch.where(real, gaps, NEVER).sort(dim=1).values
    low = ordered.gather(1, ((number - 1).clamp(min=0) // 2)[:, None])[:, 0]
    high = ordered.gather(1, (number // 2).clamp(max=gaps.shape[1] - 1)[:, None])[:, 0]
    return torch.where(number > 0, (low + torch.where(number % 2 == 0, high, low)) / 2, 0.8)


def drafts(plans: Plans, beats: Tensor, length: int, rate: float) -> Tensor:
    """Put a mean beat at each beat of a plan, in its size: that of its kind.

    Args:
        plans: ``n`` of them; those of records without a plan give zero.
        beats: mean beats of the two kinds, ``(n, 2, leads, NODES)``, mV.
        length: samples of a record.
        rate: Hz.

    Returns:
        ``(n, leads, length)``, mV.
    """
    n, kinds, leads, _ = beats.shape
    beats = beats * windows(plans)[:, None, None]
    put = plans.happens & (plans.known[:, None] > 0)
    row, place = put.nonzero(as_tuple=True)
    time, size = plans.times[row, place], plans.gains[row, place]
    offsets = torch.arange(math.floor(-BEFORE * rate), math.ceil(BEHIND * rate) + 1, device=beats.device)
    sample = (time * rate).round().long()[:, None] + offsets
    node = (sample / rate - time[:, None] + BEFORE) / GRID_STEP
    inside = (sample >= 0) & (sample < length) & (node >= 0) & (node < NODES - 1)
    first = node.long().clamp(0, NODES - 2)
    share = node - first
    source = beats.transpose(2, 3).reshape(n * kinds * NODES, leads)
    start = (row * kinds + plans.kinds[row, place].long())[:, None] * NODES + first
    values = torch.lerp(source[start], source[start + 1], share[..., None]) * size[:, None, None]
    out = torch.zeros(n * length, leads, device=beats.device)
    out.index_add_(0, (row[:, None] * length + sample)[inside], values[inside])
    return out.view(n, length, leads).transpose(1, 2)


def atrial_waves(plans: Plans, coefficients: Tensor, length: int, rate: float) -> Tensor:
    """Return atrial waves ``(n, leads, length)``, mV, of coefficients ``(n, leads, 2 HARMONICS)``.

    They are 0 in records that have none, or nowhere alone: see :func:`ecgpipe.generate.drafts.plans.free_places`.
    """
    moments = torch.arange(length, device=coefficients.device) / rate
    where = between(plans, moments)
    turns = atrial_turns(plans, moments, where)
    harmonic = torch.arange(1, HARMONICS + 1, device=turns.device)[:, None]
    angle = 2 * math.pi * harmonic * turns[:, None]
    some = (plans.known * free_places(plans, where).any(dim=1))[:, None, None]
    return coefficients @ torch.cat([angle.cos(), angle.sin()], dim=1) * some


def pulse_channels(plans: Plans, length: int, rate: float) -> Tensor:
    """Return two channels ``(n, 2, length)``: a narrow pulse at every normal, and at every ectopic beat."""
    n = len(plans)
    row, place = (plans.happens & (plans.known[:, None] > 0)).nonzero(as_tuple=True)
    half = math.ceil(4 * _PULSE * rate)
    offsets = torch.arange(-half, half + 1, device=plans.times.device)
    time = plans.times[row, place][:, None]
    sample = (time * rate).round().long() + offsets
    inside = (sample >= 0) & (sample < length)
    pulse = torch.exp(-0.5 * ((sample / rate - time) / _PULSE).square())
    channel = row[:, None] * PULSES + plans.kinds[row, place].long()[:, None]
    out = torch.zeros(n * PULSES * length, device=plans.times.device)
    out.index_add_(0, (channel * length + sample)[inside], pulse[inside])
    return out.view(n, PULSES, length)


def phase_channels(plans: Plans, moments: Tensor) -> Tensor:
    """Return what a generator is shown of a plan at some moments.

    Args:
        plans: ``n`` of them.
        moments: s from the start, ascending, ``(m,)``; of samples, or of the middles of patches.

    Returns:
        ``(n, PHASES, m)``: sines and cosines of the time since the last beat and until the next one, and of the phase
        between them; the log interval; exponentials of both times; sine and cosine of the atrial phase; a flag. All are
        zero for a record without a plan.
    """
    where = between(plans, moments)
    since, until = where
    interval = (since + until).clamp(min=0.05)
    phase = since / interval
    channels = []
    for away in (since, until):
        for frequency in _FREQUENCIES:
            angle = 2 * math.pi * frequency * away.clamp(max=_FARTHEST)
            channels += [angle.sin(), angle.cos()]
    for harmonic in (1, 2):
        angle = 2 * math.pi * harmonic * phase
        channels += [angle.sin(), angle.cos()]
    channels += [interval.log() / 0.4, torch.exp(-since / 0.15), torch.exp(-until / 0.15)]
    turns = atrial_turns(plans, moments, where)
    waves = (plans.atrial_rate > 0)[:, None]
    channels += [
        torch.where(waves, (2 * math.pi * turns).sin(), 0.0),
        torch.where(waves, (2 * math.pi * turns).cos(), 0.0),
    ]
    channels += [torch.ones_like(phase)]
    return torch.stack(channels, dim=1) * plans.known[:, None, None]
