"""The same recording is found whatever rate, gain and storage it comes in, and no other is taken for it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.signal import butter, resample_poly, sosfiltfilt

from ecgpipe import duplicates
from ecgpipe.arrays import SignalReader
from ecgpipe.config import SimulatedSource
from ecgpipe.duplicates import Twin, TwinSearch
from ecgpipe.preprocess.resample import resample
from ecgpipe.simulator.records import PlannedRecord, draw_record

SOURCE = SimulatedSource(kind="simulated", records=100, seed=3, hospital="a")
RHYTHMS = ("SR", "AFIB", "STACH", "AFLT", "SBRAD")
GENERATOR = np.random.default_rng(8)


def drawn(number: int, patient: int, rhythm: str = "SR", paced: bool = False, rate: int = 500) -> np.ndarray:
    """Return a simulated recording: ``(12, n)``, mV."""
    coded = () if paced else (rhythm,)
    record = PlannedRecord(number, patient, rhythm, coded, False, None)
    return draw_record(SOURCE, "ptbxl", record, rate)[1] / 1000.0


NATIVE = [drawn(number, number, RHYTHMS[number % len(RHYTHMS)]) for number in range(20)]
"""Recordings of twenty patients at 500 Hz."""


def at_100_hz(native: np.ndarray, rate: int = 500) -> np.ndarray:
    return resample(native, rate, 100, 1000).astype(np.float32)


STUDY = np.stack([at_100_hz(native) for native in NATIVE])


def find(signals: np.ndarray, sets: list[int] | None = None, rate: float = 100.0) -> list[tuple[int, int]]:
    search = TwinSearch(rate, signals.shape[-1])
    for start in range(0, len(signals), 7):
        search.add(signals[start : start + 7])
    return [(twin.first, twin.second) for twin in search.find(SignalReader.of(signals), sets)]


def rounded(unit: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda x: at_100_hz(np.round(x / unit) * unit)


def at_rate(up: int, down: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda x: at_100_hz(resample_poly(x, up, down, axis=-1), 500 * up // down)


def filtered(low: float, high: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda x: at_100_hz(sosfiltfilt(butter(2, (low, high), "bandpass", fs=500, output="sos"), x))


def later(seconds: float) -> Callable[[np.ndarray], np.ndarray]:
    samples = round(500 * seconds)
    return lambda x: at_100_hz(np.pad(x[:, samples:], ((0, 0), (0, samples)), mode="edge"))


def changed(change: Callable[[np.ndarray], None]) -> Callable[[np.ndarray], np.ndarray]:
    def apply(native: np.ndarray) -> np.ndarray:
        copy = native.copy()
        change(copy)
        return at_100_hz(copy)

    return apply


def invert(x: np.ndarray) -> None:
    x[0] *= -1


def exchange_arms(x: np.ndarray) -> None:
    x[0] *= -1
    x[[1, 2, 3, 4]] = x[[2, 1, 4, 3]]


def own_gains(x: np.ndarray) -> None:
    x *= GENERATOR.uniform(0.3, 3, (12, 1))


def other_baseline(x: np.ndarray) -> None:
    x += 0.5 * np.sin(2 * np.pi * 0.2 * np.arange(x.shape[-1]) / 500) + GENERATOR.normal(0, 1, (12, 1))


def hum(x: np.ndarray) -> None:
    x += 0.05 * np.sin(2 * np.pi * 50 * np.arange(x.shape[-1]) / 500)


def pad_half_a_second(x: np.ndarray) -> None:
    x[:, :250] = x[:, -250:] = 0


SAME: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "bit for bit": at_100_hz,
    "stored at 100 Hz, 1 µV": lambda x: np.round(at_100_hz(x), 3),
    "every fifth sample": lambda x: x[:, ::5].astype(np.float32),
    "250 Hz": at_rate(1, 2),
    "400 Hz": at_rate(4, 5),
    "1000 Hz": at_rate(2, 1),
    "5 µV a unit": rounded(0.005),
    "10 µV a unit": rounded(0.01),
    "24 bit": rounded(1e-6),
    "half the gain": lambda x: at_100_hz(x / 2),
    "4.88 times the gain": lambda x: at_100_hz(x * 4.88),
    "a gain a lead": changed(own_gains),
    "an inverted lead": changed(invert),
    "exchanged arms": changed(exchange_arms),
    "another baseline": changed(other_baseline),
    "mains hum": changed(hum),
    "0.5 to 40 Hz": filtered(0.5, 40),
    "10 ms later": later(0.01),
    "100 ms later": later(0.1),
    "its ends padded": changed(pad_half_a_second),
}


@pytest.mark.parametrize("change", SAME.values(), ids=SAME)
def test_the_same_recording_in_another_form_is_found(change: Callable[[np.ndarray], np.ndarray]) -> None:
    others = np.stack([change(native) for native in NATIVE]).astype(np.float32)
    expected = [(row, len(STUDY) + row) for row in range(len(STUDY))]
    assert find(np.concatenate([STUDY, others])) == expected
    assert find(np.concatenate([STUDY, others]), [len(STUDY), len(STUDY)]) == expected


def pieces() -> np.ndarray:
    long = np.concatenate([drawn(number, 7) for number in range(50, 53)], axis=-1)
    return np.stack([at_100_hz(long[:, start : start + 5000]) for start in range(0, 10001, 2500)])


def again(rhythm: str, paced: bool = False) -> np.ndarray:
    return np.stack([drawn(number, number // 6, rhythm, paced, 100) for number in range(60)]).astype(np.float32)


DIFFERENT: dict[str, Callable[[], np.ndarray]] = {
    "other patients": lambda: STUDY,
    "a patient again": lambda: again("SR"),
    "a flutter again": lambda: again("AFLT"),
    "a tachycardia again": lambda: again("STACH"),
    "a pacemaker again": lambda: again("SR", paced=True),
    "pieces of one long recording, overlapping by half": pieces,
    "one beat repeated at other rates": lambda: np.stack(
        [np.tile(STUDY[0][:, :width], 1 + 1000 // width)[:, :1000] for width in range(60, 100, 4)]
    ),
    "noise": lambda: GENERATOR.normal(0, 0.1, (20, 12, 1000)).astype(np.float32),
    "flat": lambda: np.zeros((20, 12, 1000), np.float32),
    "seven flat leads": lambda: np.concatenate([np.zeros_like(STUDY[:, :7]), STUDY[[0] * 20, 7:]], axis=1),
}


@pytest.mark.parametrize("make", DIFFERENT.values(), ids=DIFFERENT)
def test_another_recording_is_none_of_them(make: Callable[[], np.ndarray]) -> None:
    assert find(make()) == []


def test_a_lead_that_came_loose_in_a_copy_does_not_hide_it() -> None:
    native = [x.copy() for x in NATIVE]
    for x in native:
        x[8] = 0
    others = np.stack([at_100_hz(x) for x in native])
    assert len(find(np.concatenate([STUDY, others]))) == len(STUDY)


def test_each_later_copy_is_told_once_with_the_first() -> None:
    signals = STUDY[[0, 1, 0, 2, 1, 0, 0]]
    assert find(signals) == [(0, 2), (1, 4), (0, 5), (0, 6)]
    assert find(signals, [3, 4]) == [(1, 4), (0, 5), (0, 6)]
    assert find(signals, [6, 1]) == [(0, 6)]
    assert find(signals[:0]) == []


def test_tiles_and_portions_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    signals = np.concatenate([STUDY, STUDY[::-1], STUDY[3:9]])
    for sets in (None, [20, 26], [5, 21, 20]):
        monkeypatch.undo()
        expected = find(signals, sets)
        assert len(expected) >= 20
        monkeypatch.setattr(duplicates, "TILE", (3, 5))
        monkeypatch.setattr(duplicates, "PAIRS", 4)
        monkeypatch.setattr(duplicates, "READ", 2)
        assert find(signals, sets) == expected


def test_many_copies_of_one_recording_take_no_more_than_one_look_at_each() -> None:
    """Otherwise time would grow with the square of their number."""
    read: list[int] = []

    class Counting(SignalReader):
        def __getitem__(self, key):  # type: ignore[no-untyped-def]
            read.append(len(key))
            return super().__getitem__(key)

    signals = STUDY[[0] * 600]
    search = TwinSearch(100.0, 1000)
    search.add(signals)
    reader = Counting.of(signals)
    assert search.find(reader) == [Twin(0, row, pytest.approx(1.0)) for row in range(1, 600)]  # type: ignore[arg-type]
    assert sum(read) < 620


@pytest.mark.parametrize(("rate", "seconds"), [(50, 10.0), (500, 10.0), (100, 2.5), (100, 1.0)])
def test_rates_and_lengths_of_other_studies(rate: int, seconds: float) -> None:
    length = round(rate * seconds)
    signals = np.stack([resample(x, 500, rate, length) for x in NATIVE]).astype(np.float32)
    twins = np.round(signals[3:7] * 2, 2)
    assert find(np.concatenate([signals, twins]), rate=rate) == [(3, 20), (4, 21), (5, 22), (6, 23)]
