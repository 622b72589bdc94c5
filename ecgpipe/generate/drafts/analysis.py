"""From a record to its plan and its mean beat, by least squares.

A record (high-passed) is taken as an offset and a sum of copies of one beat at the beats found. The beat is piecewise
linear in each lead, on a grid finer than the samples: beats fall between samples, and so several of them see more than
one does. Least squares with a penalty on curvature then tells overlapping beats apart, as averaging cannot. What this
leaves shows ectopic beats (broad ones escape the detector's band) and atrial waves that are not locked to the beats.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import scipy.linalg
import scipy.signal
import scipy.sparse
import torch
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from ecgpipe.generate.drafts.detection import detect
from ecgpipe.generate.drafts.plans import ECTOPIC, Plans, atrial_turns, between, free_places, no_plans
from ecgpipe.leads import INDEPENDENT

BEFORE, BEHIND = 0.38, 0.52
"""How far a mean beat reaches before and behind the R peak, s: from a P wave of long PR interval to the end of T."""
SHARES = 0.52, 0.62
"""In fast hearts it reaches no farther than so many median intervals. The P wave may lie on the T wave before it."""
GRID_STEP = 0.005
"""Seconds between the nodes of a mean beat."""
GRID = np.arange(round((BEFORE + BEHIND) / GRID_STEP) + 1) * GRID_STEP - BEFORE
"""Times of the nodes after the R peak, s."""
NODES = len(GRID)
LEADS = len(INDEPENDENT)
LEAD_II = INDEPENDENT.index("II")
"""Its place among these leads; the phase of atrial waves is that of its first harmonic."""
HARMONICS = 3
"""Harmonics of atrial waves."""
FEWEST = 3
"""A record with fewer beats has no mean beat."""
_CURVATURE, _RIDGE = 0.3, 0.05
_EDGE = 0.05
"""Time in which a mean beat rises from nothing at its ends, s."""
_QRS = 0.06
_WIDE = 0.10
_LIKE = 0.55
"""Beats whose correlation with the mean beat is less, are ectopic."""
_MARGIN = 0.25
_BROAD = 0.55
"""Waves between the beats that are at least so large a share of the QRS complex are ectopic beats."""
_ATRIAL = (3.9, 9.0)
"""Rates of atrial waves, Hz."""
_FLUTTER = (3.9, 6.2)
"""Rates of atrial flutter, Hz: 234 to 372 a minute."""
_WHOLE = 0.06
"""How far intervals may be from a whole number of flutter cycles, in the mean, in cycles."""


def reach(times: np.ndarray) -> tuple[float, float]:
    """Return how far before and behind its R peak a record's mean beat reaches, s: less in fast hearts."""
    interval = float(np.median(np.diff(times))) if len(times) > 1 else 0.8
    return min(BEFORE, SHARES[0] * interval), min(BEHIND, SHARES[1] * interval)


def window(before: float, behind: float) -> np.ndarray:
    """Return the weights of a mean beat's nodes ``(NODES,)``: 1, falling smoothly to 0 at both ends of its reach."""
    rise = np.clip(np.minimum(GRID + before, behind - GRID) / _EDGE, 0, 1)
    return np.asarray(rise**2 * (3 - 2 * rise))


def design(times: np.ndarray, sizes: np.ndarray, length: int, rate: float) -> scipy.sparse.csr_array:
    """Return the matrix ``(length, NODES)`` that takes a mean beat to a record with beats at ``times``."""
    sample = np.arange(np.floor(-BEFORE * rate), np.ceil(BEHIND * rate) + 1)
    rows = (np.rint(times * rate)[:, None] + sample).astype(np.int64)
    place = (rows / rate - times[:, None] + BEFORE) / GRID_STEP
    inside = (rows >= 0) & (rows < length) & (place >= 0) & (place < NODES - 1)
    size = np.broadcast_to(sizes[:, None], rows.shape)[inside]
    rows, place = rows[inside], place[inside]
    node = place.astype(np.int64)
    share = place - node
    values = np.concatenate([size * (1 - share), size * share])
    where = (np.concatenate([rows, rows]), np.concatenate([node, node + 1]))
    return scipy.sparse.csr_array((values, where), shape=(length, NODES))


@functools.cache
def _penalty() -> np.ndarray:
    bend = np.diff(np.eye(NODES), 2, axis=0)
    return np.asarray(_CURVATURE * bend.T @ bend + _RIDGE * np.eye(NODES))


def solve(record: np.ndarray, matrix: scipy.sparse.csr_array, weight: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Return the mean beat ``(leads, NODES)`` by penalised least squares.

    Args:
        record: ``(leads, length)``.
        matrix: of :func:`design`.
        weight: of :func:`window`.
        seen: which samples count, ``(length,)``, 0 or 1.
    """
    columns = matrix.multiply(seen[:, None]).tocsr() @ scipy.sparse.diags_array(weight)
    offset = seen / np.sqrt(seen.sum())
    # The offset between beats, which is no part of a beat, is fitted beside it: projected out of both sides.
    shared = columns.T @ offset
    left = (columns.T @ columns).toarray() - np.outer(shared, shared) + _penalty()
    right = columns.T @ record.T - np.outer(shared, offset @ record.T)
    return np.asarray(scipy.linalg.solve(left, right, assume_a="pos").T * weight)


@dataclass(frozen=True)
class Analysed:
    """What was found in ``n`` records."""

    plans: Plans
    mean_beats: np.ndarray
    """``(n, 8, NODES)``, mV, float32; zero where no beats were found."""
    ectopic_beats: np.ndarray
    """Mean of each record's ectopic beats, as ``mean_beats``; zero where there are none."""
    waves: np.ndarray
    """Atrial waves as coefficients of :func:`harmonics`, ``(n, 8, 2 HARMONICS)``, mV, float32; zero where none are."""
    reasons: list[str]
    """Why no plan was found; empty where one was."""

    @property
    def has_ectopic(self) -> np.ndarray:
        """Which records have ectopic beats, ``(n,)``, bool."""
        return np.asarray((self.plans.kinds == ECTOPIC).any(dim=1).numpy())


def steady(signals: np.ndarray, rate: float) -> np.ndarray:
    """Return signals ``(n, leads, length)`` without what is slower than 0.7 Hz."""
    slow = scipy.signal.butter(2, 0.7, "highpass", fs=rate, output="sos")
    pad = min(round(3 * rate), signals.shape[-1] - 1)
    return np.asarray(scipy.signal.sosfiltfilt(slow, signals, axis=-1, padtype="even", padlen=pad))


def analyse(signals: np.ndarray, rate: float) -> Analysed:
    """Find beats, their kinds and sizes, mean beat and atrial waves of records.

    Args:
        signals: the eight independent leads, ``(n, 8, length)``, mV.
        rate: Hz.
    """
    number, leads, length = signals.shape
    plans = no_plans(number, length / rate)
    beats = np.zeros((2, number, leads, NODES), dtype=np.float32)
    waves = np.zeros((number, leads, 2 * HARMONICS), dtype=np.float32)
    reasons = [""] * number
    smooth = steady(signals, rate)
    # The systems are small: threads would wait for one another longer than they compute.
    with threadpool_limits(1):
        for row, times in enumerate(detect(signals, rate)):
            reasons[row] = _why_not(times, length / rate)
            if not reasons[row]:
                reasons[row] = _analyse_one(smooth[row], times, rate, plans, beats[:, row], waves[row], row)
    return Analysed(plans, beats[0], beats[1], waves, reasons)


def _why_not(times: np.ndarray, seconds: float) -> str:
    if len(times) < FEWEST:
        return f"{len(times)} beats found, {FEWEST} needed"
    longest = float(np.diff(times, prepend=0.0, append=seconds).max())
    return f"no beat for {longest:.1f} s" if longest > 5 else ""


def _analyse_one(
    record: np.ndarray, times: np.ndarray, rate: float, plans: Plans, beats: np.ndarray, waves: np.ndarray, row: int
) -> str:
    """Fill one row of the plans, its mean beats ``(2, leads, NODES)`` and waves ``(leads, 2 HARMONICS)``.

    Return why that cannot be done, or "".
    """
    length = record.shape[-1]
    weight = window(*reach(times))
    beat = solve(record, design(times, np.ones(len(times)), length, rate), weight, np.ones(length))
    like = _likeness(record, beat, times, rate)
    if np.median(like) < 0.4:
        return f"the beats found are not alike (median correlation {np.median(like):.2f})"
    strange = like < min(_LIKE, np.median(like) - 0.2)
    # What is no usual beat and lies at an end of the record may as well be an artefact of cutting or filtering.
    kept = ~strange | ((times > _MARGIN) & (times < length / rate - _MARGIN))
    times, strange = times[kept], strange[kept]
    broad = _broad_waves(record, beat, times[~strange], times[strange], rate)
    usual, early = times[~strange], np.sort(np.concatenate([times[strange], broad]))
    if len(usual) < FEWEST:
        return f"{len(usual)} beats that are alike found, {FEWEST} needed"
    seen = np.ones(length)
    for time in early:
        seen[max(0, round((time - 0.1) * rate)) : max(0, round((time + 0.4) * rate))] = 0
    if len(early):
        weight = window(*reach(times))
        beat = solve(record, design(usual, np.ones(len(usual)), length, rate), weight, seen)
    sizes = _sizes(record, beat, usual, rate)
    rest = record - beat @ design(usual, sizes, length, rate).T
    if len(early):
        beats[1] = solve(rest, design(early, np.ones(len(early)), length, rate), weight, np.ones(length))
    rest *= seen

    every = np.concatenate([usual, early])
    order = np.argsort(every)[: plans.times.shape[1]]
    count = len(order)
    kind = np.concatenate([np.zeros(len(usual)), np.full(len(early), ECTOPIC)])[order]
    size = np.concatenate([sizes, np.ones(len(early))])[order]
    plans.times[row, :count] = torch.from_numpy(every[order]).float()
    plans.kinds[row, :count] = torch.from_numpy(kind).float()
    plans.gains[row, :count] = torch.from_numpy(size).float()
    plans.known[row] = 1
    beats[0] = beat
    rate_of_atria, phase, locked = atrial_waves(rest, beat, usual, rate)
    plans.atrial_rate[row], plans.atrial_phase[row], plans.atrial_locked[row] = rate_of_atria, phase, float(locked)
    if rate_of_atria:
        ectopic = beats[1] @ design(early, np.ones(len(early)), length, rate).T
        matrix = design(usual, sizes, length, rate)
        clean, weight = record - ectopic, window(*reach(times))
        beats[0], waves[:], turned = _apart(clean, beat, matrix, weight, seen, plans[row : row + 1], rate)
        plans.atrial_phase[row] = (phase + turned) % 1
    return ""


def harmonics(turns: np.ndarray) -> np.ndarray:
    """Return cosines and then sines of the first :data:`HARMONICS` harmonics at phases in turns, ``(2 H, ...)``."""
    angle = 2 * np.pi * np.arange(1, HARMONICS + 1).reshape(-1, *[1] * turns.ndim) * turns
    return np.concatenate([np.cos(angle), np.sin(angle)])


def _apart(
    record: np.ndarray,
    beat: np.ndarray,
    matrix: scipy.sparse.csr_array,
    weight: np.ndarray,
    seen: np.ndarray,
    plan: Plans,
    rate: float,
) -> tuple[np.ndarray, np.ndarray, float]:
    """Tell atrial waves from the mean beat, which holds what of them keeps its place before a beat.

    They are seen first where no beat is, then beat and waves are fitted in turn.

    Returns:
        The mean beat without waves, the waves' coefficients ``(leads, 2 HARMONICS)``, and by how much the phase has to
        be turned for the first harmonic of lead II to be a positive cosine. All as they were if no place is free.
    """
    length = record.shape[-1]
    moments = torch.arange(length) / rate
    where = between(plan, moments)
    basis = harmonics(atrial_turns(plan, moments, where)[0].double().numpy())
    free = seen * free_places(plan, where)[0].numpy()
    nothing = np.zeros((len(record), 2 * HARMONICS))
    if not free.any():
        return beat, nothing, 0.0
    waves = _regressed(record, basis, free)
    for _ in range(3):
        beat = solve(record - waves @ basis, matrix, weight, seen)
        waves = _regressed(record - beat @ matrix.T, basis, seen)
    first = waves[LEAD_II, 0] - 1j * waves[LEAD_II, HARMONICS]
    angle = float(np.angle(first))
    turned = (waves[:, :HARMONICS] - 1j * waves[:, HARMONICS:]) * np.exp(-1j * angle * np.arange(1, HARMONICS + 1))
    return beat, np.concatenate([turned.real, -turned.imag], axis=1), angle / (2 * np.pi)


def _regressed(record: np.ndarray, basis: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Return the coefficients ``(leads, k)`` of a basis ``(k, length)``, beside an offset, by least squares."""
    x = np.concatenate([basis, np.ones((1, basis.shape[1]))]) * seen
    left = x @ x.T + 1e-3 * seen.sum() * np.eye(len(x))
    return np.asarray(scipy.linalg.solve(left, x @ (record * seen).T, assume_a="pos").T[:, :-1])


def _around(record: np.ndarray, beat: np.ndarray, time: float, half: float, rate: float) -> tuple[np.ndarray, ...]:
    """Return record and mean beat ``(leads, samples)`` within ``half`` seconds of a beat."""
    length = record.shape[-1]
    first, last = max(0, round((time - half) * rate)), min(length, round((time + half) * rate) + 1)
    place = (np.arange(first, last) / rate - time + BEFORE) / GRID_STEP
    node = np.clip(place.astype(np.int64), 0, NODES - 2)
    share = place - node
    return record[:, first:last], beat[:, node] * (1 - share) + beat[:, node + 1] * share


def _likeness(record: np.ndarray, beat: np.ndarray, times: np.ndarray, rate: float) -> np.ndarray:
    """Return the correlation of each beat with the mean beat over QRS complex and all leads, ``(beats,)``."""
    out = np.ones(len(times))
    for i, time in enumerate(times):
        if not _WIDE < time < record.shape[-1] / rate - _WIDE:
            continue  # a part of a beat may be like anything
        own, mean = _around(record, beat, time, _WIDE, rate)
        own, mean = own - own.mean(axis=1, keepdims=True), mean - mean.mean(axis=1, keepdims=True)
        out[i] = float((own * mean).sum() / np.sqrt(np.square(own).sum() * np.square(mean).sum() + 1e-12))
    return out


def _sizes(record: np.ndarray, beat: np.ndarray, times: np.ndarray, rate: float) -> np.ndarray:
    """Return the size of each beat's QRS complex over the mean beat's, ``(beats,)``, with mean 1."""
    out = np.full(len(times), np.nan)
    seconds = record.shape[-1] / rate
    for i, time in enumerate(times):
        if _QRS < time < seconds - _QRS:
            own, mean = _around(record, beat, time, _QRS, rate)
            out[i] = float((own * mean).sum() / (np.square(mean).sum() + 1e-12))
    out /= np.nanmean(out) if np.isfinite(out).any() else 1.0
    out = np.where(np.isfinite(out), out, 1.0)
    return np.asarray(np.clip(out, 0.5, 1.6))


@functools.cache
def _broad_band(rate: float) -> np.ndarray:
    return np.asarray(scipy.signal.butter(2, (2.0, 12.0), "bandpass", fs=rate, output="sos"))


def _broad_waves(
    record: np.ndarray, beat: np.ndarray, usual: np.ndarray, strange: np.ndarray, rate: float
) -> np.ndarray:
    """Return the times of waves between the beats that are as large as QRS complexes: broad ectopic beats."""
    length = record.shape[-1]
    draft = beat @ design(usual, np.ones(len(usual)), length, rate).T

    def strength(x: np.ndarray) -> np.ndarray:
        filtered = np.square(scipy.signal.sosfiltfilt(_broad_band(rate), x, axis=-1))
        return np.asarray(np.sqrt(np.maximum(filtered.sum(axis=0) - filtered.max(axis=0), 0)))

    rest, whole = strength(record - draft), strength(draft)
    peaks = np.rint(usual * rate).astype(int)
    level = np.median(whole[np.clip(peaks, 0, length - 1)])
    found = scipy.signal.find_peaks(rest, distance=max(1, int(0.3 * rate)), height=_BROAD * level)[0] / rate
    taken = np.concatenate([usual, strange])
    far = np.abs(found[:, None] - taken).min(axis=1, initial=np.inf) > 0.18
    inner = (found > 0.45) & (found < length / rate - 0.25)  # before: the T wave of a beat that was before the record
    found = found[far & inner]
    # More than a few are no ectopic beats but noise, or a rhythm that this model of it does not fit.
    return np.asarray(found if len(found) <= max(2, len(usual) // 3) else found[:0])


def conduction(times: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the flutter rate that beats follow from, in Hz, and the conduction ratio of each interval.

    Where the atrioventricular node passes every second, third or fourth wave in turn, all intervals are whole numbers
    of one cycle, and not the same number. That shows in the beats alone, also where the mean beat holds the waves.

    Args:
        times: of the beats, s.

    Returns:
        The rate, and whole numbers ``(beats - 1,)``; 0 and an empty array where the intervals are not so.
    """
    intervals = np.diff(times)
    nothing = 0.0, np.zeros(0, dtype=np.int64)
    if len(intervals) < 5 or intervals.std() < 0.08 * intervals.mean():
        return nothing
    rates = np.arange(*_FLUTTER, 0.01)
    waves = intervals[:, None] * rates
    away = np.abs(waves - np.rint(waves)).mean(axis=0)
    best = int(np.argmin(away))
    ratios = np.rint(waves[:, best]).astype(np.int64)
    if away[best] >= _WHOLE or ratios.min() < 2 or len(np.unique(ratios)) < 2:
        return nothing
    # The cycle that fits the intervals best, by least squares.
    return float((ratios @ ratios) / (ratios @ intervals)), ratios


def _phase_at_beats(beat: np.ndarray, rate: float) -> float:
    """Return the phase at the R peak, in turns, of what a mean beat ``(leads, NODES)`` has in lead II beside QRS."""
    beside = np.where(np.abs(GRID) > _WIDE, beat[LEAD_II], 0.0)
    return float((np.angle(beside @ np.exp(-2j * np.pi * rate * GRID)) / (2 * np.pi)) % 1)


def atrial_waves(rest: np.ndarray, beat: np.ndarray, times: np.ndarray, rate: float) -> tuple[float, float, bool]:
    """Find flutter or f-waves: flutter that the beats follow from, or waves in what the mean beat leaves of a record.

    Args:
        rest: ``(leads, length)``, mV.
        beat: the mean beat, ``(leads, NODES)``.
        times: of the beats, s.
        rate: Hz.

    Returns:
        Rate in Hz (0 if there are none), phase in turns in lead II (at the start of the record, or at each beat if
        locked), and whether the beats are locked to the waves.
    """
    flutter, _ = conduction(times)
    if flutter:
        return flutter, _phase_at_beats(beat, flutter), True
    length = rest.shape[-1]
    taper = np.hanning(length)
    size = 1 << int(np.ceil(np.log2(8 * length)))
    spectrum = np.fft.rfft(rest * taper, size)
    power = np.square(np.abs(spectrum)).sum(axis=0)
    frequency = np.arange(len(power)) * rate / size
    band = (frequency >= _ATRIAL[0]) & (frequency <= _ATRIAL[1])
    peak = int(np.flatnonzero(band)[np.argmax(power[band])])
    near = np.abs(frequency - frequency[peak]) < 0.35
    share = power[near & band].sum() / power[band].sum()
    even = 0.7 / (_ATRIAL[1] - _ATRIAL[0])
    # What the mean beat leaves of the beats themselves looks like waves of any rate: the peak must stand out.
    if share < 3.2 * even:
        return 0.0, 0.0, False
    found = float(frequency[peak])
    phase = float((np.angle(spectrum[LEAD_II, peak]) / (2 * np.pi)) % 1)
    # With a constant number of waves between two beats the mean beat holds the waves, and what is left at this rate is
    # only what differs from beat to beat.
    waves = np.diff(times) * found
    whole = np.rint(waves)
    if len(np.unique(whole)) == 1 and np.abs(waves - whole).mean() < 0.1:
        return 0.0, 0.0, False
    return found, phase, False
