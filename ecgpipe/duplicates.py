"""Which of several signals are the same recording, judged by content: rate, gain and storage may differ.

Equal samples are too narrow a test, and so is a plain correlation. PTB-XL's own 100 Hz and 500 Hz files of a recording,
brought to one rate, correlate by 0.86 to 0.99: their baselines differ, and one is a millisecond late. And two
recordings of one patient with a pacemaker, which beats like a clock, can correlate by 0.9985.

Two signals are the same recording if at least half of the leads agree. A lead is compared by its spectrum within
:data:`BAND_HZ`, whose amplitudes are replaced by their square roots, so that what is not the beat counts too: the noise
of a recording is its own. It agrees if the correlation, at a common shift of up to :data:`SHIFT_S`, is :data:`SAME` or
more, whatever its sign. So gains, an inverted or exchanged lead, one that is flat in a copy, baseline wander and mains
hum do not matter.

Every record is compared with every other in three steps; each passes on all that could be the same:

1. a print of each record, the fine structure of its power spectrum, which neither amplitude nor a small shift changes.
   Prints are projected on a few axes, which can only shorten their distance;
2. the prints themselves;
3. the signals, read again.

``docs/data.md`` says what was measured.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from scipy.fft import rfft, rfftfreq

from ecgpipe.arrays import SignalReader
from ecgpipe.dataset import Dataset, require_same_form

BAND_HZ = (1.0, 20.0)
"""Compared frequencies: most of a beat, little of baseline and muscle noise, and no mains hum."""

SHIFT_S = 0.2
"""How much later one signal may start, as after another filter."""

SHIFT_STEP_S = 0.001

SAME = 0.98
"""Least correlation of a lead. PTB-XL's recordings at two rates have 0.9998 and more. The largest of 118,828 pairs of
different ones is 0.84. Of 2.2 billion pairs of simulated ones with prints of 0.95 or more it is 0.97."""

SIMILAR = 0.98
"""Least correlation of the prints of the same recording."""

ENVELOPE_HZ = 3.0
"""The fine structure is the power relative to its mean over so wide a band; of this the fourth root, as above."""

AXES = 48
"""Axes of the first comparison."""

TILE = (256, 4096)
"""Records that are compared with records at a time: 4 MB."""

PAIRS = 8192
"""Pairs of prints that are compared at a time: 13 MB for ten seconds."""

READ = 128
"""Records that are read at a time to compare signals: 6 MB at 100 Hz."""


@dataclass(frozen=True)
class Twin:
    """A record that is the same recording as an earlier one, by their rows."""

    first: int
    second: int
    correlation: float
    """That which half of the leads reach."""


@dataclass(frozen=True)
class _Form:
    """What follows from the rate (Hz) and the length (samples) of signals."""

    rate: float
    length: int

    @cached_property
    def window(self) -> np.ndarray:
        """Taper ``(length,)``, so that what a shift moves across the ends hardly counts."""
        window: np.ndarray = np.hanning(self.length).astype(np.float32)
        return window

    @cached_property
    def bins(self) -> np.ndarray:
        """Which values of the spectrum are compared."""
        frequency = rfftfreq(self.length, 1 / self.rate)
        return np.flatnonzero((frequency >= BAND_HZ[0]) & (frequency <= min(BAND_HZ[1], 0.4 * self.rate)))

    @cached_property
    def smoothing(self) -> np.ndarray:
        """Matrix ``(bins, bins)`` of a moving mean over :data:`ENVELOPE_HZ` (at least five), shorter at the ends."""
        places = np.arange(len(self.bins))
        near = np.abs(places[:, None] - places) <= max(2, ENVELOPE_HZ / 2 * self.length / self.rate)
        mean: np.ndarray = (near / near.sum(axis=0)).astype(np.float32)
        return mean

    @cached_property
    def shifts(self) -> np.ndarray:
        """Matrix ``(2 bins, shifts)`` from a cross spectrum, real and imaginary part, to correlations."""
        steps = round(SHIFT_S / SHIFT_STEP_S)
        seconds = np.arange(-steps, steps + 1) * SHIFT_STEP_S
        angle = 2 * np.pi * np.outer(self.bins * self.rate / self.length, seconds)
        waves: np.ndarray = np.concatenate([np.cos(angle), -np.sin(angle)]).astype(np.float32)
        return waves

    def spectra(self, signals: np.ndarray) -> np.ndarray:
        """Return the spectrum of each lead of ``(k, leads, length)``: ``(k, leads, bins)``, of norm 1, or 0 if flat."""
        centred = signals - signals.mean(axis=-1, keepdims=True)
        spectra: np.ndarray = rfft(centred * self.window, axis=-1)[..., self.bins].astype(np.complex64)
        norm = np.sqrt((spectra.real**2 + spectra.imag**2).sum(axis=-1, keepdims=True))
        return _divide(spectra, norm)

    def levelled(self, signals: np.ndarray) -> np.ndarray:
        """Return :meth:`spectra` with the square roots of their amplitudes, of norm 1 again."""
        spectra = self.spectra(signals)
        amplitude = np.abs(spectra)
        return _divide(spectra, np.sqrt(amplitude * amplitude.sum(axis=-1, keepdims=True)))

    def prints(self, signals: np.ndarray) -> np.ndarray:
        """Return the print of each of ``(k, leads, length)``: ``(k, bins)``, of mean 0 and norm 1.

        It is 0 where fewer than half of the leads have a signal: nothing could be told from it.
        """
        spectra = self.spectra(signals)
        power = spectra.real**2 + spectra.imag**2
        alive = 2 * (power.sum(axis=-1) > 0).sum(axis=-1) >= signals.shape[1]
        total = power.sum(axis=1)
        fine = _divide(total, total @ self.smoothing) ** 0.25
        fine -= fine.mean(axis=-1, keepdims=True)
        return _divide(fine * alive[:, None], np.linalg.norm(fine, axis=-1, keepdims=True))

    def agreement(self, one: np.ndarray, others: np.ndarray) -> np.ndarray:
        """Return the correlation that half of the leads reach, at the best shift.

        Args:
            one: levelled spectra ``(leads, bins)``.
            others: levelled spectra ``(k, leads, bins)``.

        Returns:
            ``(k,)``, between 0 and 1.
        """
        cross = others * one.conj()
        parts = np.concatenate([cross.real, cross.imag], axis=-1)
        each = np.abs(parts.reshape(-1, parts.shape[-1]) @ self.shifts).reshape(*parts.shape[:2], -1)
        leads = each.shape[1]
        half: np.ndarray = np.partition(each, leads // 2, axis=1)[:, leads // 2].max(axis=-1).clip(max=1.0)
        return half


def _divide(values: np.ndarray, by: np.ndarray) -> np.ndarray:
    """Divide; 0 by 0 is 0."""
    result: np.ndarray = np.divide(values, by, out=np.zeros_like(values), where=by > 0)
    return result


class TwinSearch:
    """Collects the prints of records as they come, then finds those that are the same recording.

    Memory is less than 2 kB a record of ten seconds. Time grows with the square of their number.
    """

    def __init__(self, rate: float, length: int) -> None:
        """Prepare for signals ``(k, leads, length)`` at ``rate`` Hz."""
        self._form = _Form(rate, length)
        self._prints: list[np.ndarray] = []

    def add(self, signals: np.ndarray) -> None:
        """Take up the next records: ``(k, leads, length)``."""
        self._prints.append(self._form.prints(signals))

    def find(self, signals: SignalReader, sets: Sequence[int] | None = None) -> list[Twin]:
        """Return each record that is the same recording as an earlier one, which is no such record itself.

        Args:
            signals: the records that were added, in their order.
            sets: how many records each of several sets has; two of the same set are not compared. By default all are.

        Returns:
            One for each later record, in order of rows.
        """
        prints = np.concatenate([np.empty((0, len(self._form.bins)), np.float32), *self._prints])
        self._prints = [prints]
        ends = np.repeat(np.cumsum(sets), sets) if sets is not None else np.arange(1, len(prints) + 1)
        done: np.ndarray = ~np.asarray(prints.any(axis=1))
        found: list[Twin] = []
        for first, seconds in _similar(prints, ends, done):
            own = self._form.levelled(signals[np.array([first])])[0]
            for start in range(0, len(seconds), READ):
                some = seconds[start : start + READ]
                correlation = self._form.agreement(own, self._form.levelled(signals[some]))
                same = correlation >= SAME
                done[some[same]] = True
                found += [Twin(first, int(j), float(r)) for j, r in zip(some[same], correlation[same], strict=True)]
        return sorted(found, key=lambda twin: twin.second)


def _similar(prints: np.ndarray, ends: np.ndarray, done: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yield a record and later ones of similar prints; those that are ``done`` by then are left out.

    Args:
        prints: ``(n, bins)``.
        ends: for each record the first that it is compared with, ``(n,)``, ascending.
        done: which records need no comparison any more, ``(n,)``; the caller may change it between two results.
    """
    count, bins = prints.shape
    axes, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((bins, min(AXES, bins))))
    short = prints @ axes.astype(np.float32)
    half = (short**2).sum(axis=1, keepdims=True) / 2
    one = np.ones_like(half)
    # Minus half the squared distance of two projections is one product; it is -(1 - r) for prints of correlation r.
    left, right = np.hstack([short, -half, one]), np.hstack([short, one, -half]).T.copy()
    limit = np.float32(SIMILAR - 1 - 1e-5)
    for row in range(0, count, TILE[0]):
        for column in range(int(ends[row]), count, TILE[1]):
            near = np.flatnonzero(left[row : row + TILE[0]] @ right[:, column : column + TILE[1]] >= limit)
            first, second = np.divmod(near, min(TILE[1], count - column))
            first, second = first + row, second + column
            for start in range(0, len(near), PAIRS):
                one, other = first[start : start + PAIRS], second[start : start + PAIRS]
                later = (other >= ends[one]) & ~done[one] & ~done[other]
                one, other = one[later], other[later]
                similar = np.einsum("ij,ij->i", prints[one], prints[other]) >= SIMILAR
                one, other = one[similar], other[similar]
                for record in np.unique(one):
                    open_ = other[one == record]
                    open_ = open_[~done[open_]]
                    if len(open_) and not done[record]:
                        yield int(record), open_


@dataclass(frozen=True)
class Shared:
    """A recording that two of several sets have, by the sets' names and the records' rows there."""

    one: tuple[str, int]
    other: tuple[str, int]
    correlation: float


def shared_recordings(members: Mapping[str, Path]) -> list[Shared]:
    """Return each recording of the sets, by name, that an earlier one of them has too.

    Raises:
        ValueError: if the sets differ in rate, length, leads or classes.
    """
    if len(members) < 2:  # nothing to compare
        return []
    sets = {name: Dataset.load(folder) for name, folder in members.items()}
    spec = require_same_form({str(members[name]): member.spec for name, member in sets.items()})
    readers = [SignalReader.of(member.signals) for member in sets.values()]
    search, every = TwinSearch(spec.rate, spec.length), readers[0]
    for reader in readers[1:]:
        every = every + reader
    for block in every.blocks():
        search.add(block)
    places = [(name, row) for name, member in sets.items() for row in range(len(member))]
    twins = search.find(every, [len(member) for member in sets.values()])
    return [Shared(places[twin.first], places[twin.second], twin.correlation) for twin in twins]


def told(shared: Sequence[Shared], members: Mapping[str, Path]) -> str:
    """Say in half a sentence which recording two sets have, and how many there are; ``shared`` is not empty."""
    names = [
        f"{Dataset.load(members[name]).records['record'].iloc[row]} of {name}"
        for name, row in (shared[0].one, shared[0].other)
    ]
    return f"{names[0]} and {names[1]} have the same signals, and so have {len(shared)} pairs in all"


def require_distinct(members: Mapping[str, Path]) -> None:
    """Make sure that no recording is in two of several sets, by name.

    A classifier could otherwise train on a recording in one set and be tested on it in the other.

    Raises:
        ValueError: naming a recording that two sets have, or if the sets differ in form.
    """
    shared = shared_recordings(members)
    if shared:
        raise ValueError(
            f"{told(shared, members)}: sets that share recordings cannot be trained and tested on each other; "
            "take other records or leave one set out"
        )
