"""SignalReader: the rows of an array, from memory or disk, and no more memory than what is read at a time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ecgpipe.arrays import SignalReader
from ecgpipe.dataset import SignalSpec, save_records

SIGNALS = np.random.default_rng(0).normal(size=(23, 12, 30)).astype(np.float32)
ROWS = np.array([4, 4, 22, 0, 17, 9, 3])
KEYS = [0, -1, np.int64(3), slice(None), slice(1, 5, 2), slice(9, 12), np.array([6, 0, 0, -2]), np.arange(0)]


def mapped(path: Path, signals: np.ndarray) -> np.ndarray:
    np.save(path, signals)
    return np.load(path, mmap_mode="r")


def arrays(tmp_path: Path) -> dict[str, np.ndarray]:
    more = np.concatenate([SIGNALS[:3], SIGNALS])
    mapped(tmp_path / "changed.npy", np.zeros_like(SIGNALS))
    changed = np.load(tmp_path / "changed.npy", mmap_mode="c")
    changed[:] = SIGNALS
    return {
        "in memory": SIGNALS,
        "mapped": mapped(tmp_path / "mapped.npy", SIGNALS),
        "part of a map": mapped(tmp_path / "more.npy", more)[3:],
        "changed in memory only": changed,
        "mapped, float64": mapped(tmp_path / "double.npy", SIGNALS.astype(np.float64)),
        "mapped, Fortran order": mapped(tmp_path / "fortran.npy", np.asfortranarray(SIGNALS)),
    }


def test_it_is_indexed_like_the_array(tmp_path: Path) -> None:
    for name, array in arrays(tmp_path).items():
        for reader, expected in ((SignalReader.of(array), array), (SignalReader.of(array, ROWS), array[ROWS])):
            assert (len(reader), reader.shape, reader.ndim) == (len(expected), expected.shape, 3)
            assert reader.dtype == expected.dtype
            for key in KEYS:
                found = reader[key]
                assert type(found) is np.ndarray, (name, key)
                assert found.dtype == expected.dtype, (name, key)
                assert np.array_equal(found, expected[key]), (name, key)
            first = expected[:, 0, 0] > 0
            assert np.array_equal(reader[first], expected[first]), name


def test_subsets_and_sums_are_those_of_the_array(tmp_path: Path) -> None:
    one, two = mapped(tmp_path / "one.npy", SIGNALS), -SIGNALS[:6]
    both = SignalReader.of(one, ROWS) + SignalReader.of(two, np.array([5, 0]))
    expected = np.concatenate([one[ROWS], two[[5, 0]]])
    assert both.shape == expected.shape
    assert both.rows.tolist() == [*ROWS, 5, 0]
    for positions in (np.array([8, 1, 7, 1]), slice(5, 9), np.arange(0)):
        assert np.array_equal(both[positions], expected[positions])
        assert np.array_equal(both.subset(positions)[:], expected[positions])
        assert np.array_equal((both.subset(positions) + both)[:], np.concatenate([expected[positions], expected]))
    assert np.array_equal(both[7], expected[7])
    assert (SignalReader.of(one) + SignalReader.of(two.astype(np.float64))).dtype == np.float64


def test_blocks_hold_all_records_in_turn(tmp_path: Path) -> None:
    reader = SignalReader.of(mapped(tmp_path / "x.npy", SIGNALS))
    for size, lengths in ((10, [10, 10, 3]), (23, [23]), (50, [23])):
        blocks = list(reader.blocks(size))
        assert [len(block) for block in blocks] == lengths
        assert np.array_equal(np.concatenate(blocks), SIGNALS)
    assert list(reader.subset(np.arange(0)).blocks()) == []


def test_rows_are_checked(tmp_path: Path) -> None:
    array = mapped(tmp_path / "x.npy", SIGNALS)
    with pytest.raises(IndexError):
        SignalReader.of(array, np.array([0, 23]))
    assert np.array_equal(SignalReader.of(array, np.array([-1]))[0], SIGNALS[22])


def test_a_file_put_in_its_place_is_not_read(tmp_path: Path) -> None:
    reader = SignalReader.of(mapped(tmp_path / "x.npy", SIGNALS))
    np.save(tmp_path / "new.npy", -SIGNALS)
    os.replace(tmp_path / "new.npy", tmp_path / "x.npy")
    assert np.array_equal(reader[:], SIGNALS)


def test_the_file_is_open_as_long_as_something_reads_it(tmp_path: Path) -> None:
    reader = SignalReader.of(mapped(tmp_path / "x.npy", SIGNALS))
    file = reader.arrays[0]._file  # type: ignore[union-attr]
    some = reader.subset(ROWS)
    del reader
    assert not file.closed
    assert np.array_equal(some[0], SIGNALS[4])
    del some
    assert file.closed


CHILD = """
import resource, sys
import numpy as np
from ecgpipe.arrays import SignalReader
from ecgpipe.classify.inputs import Standardizer, select
from ecgpipe.closeness.records import Records
from ecgpipe.dataset import Dataset

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

def blocks(data):
    for block in SignalReader.of(data.signals).blocks():
        block.sum()

def selection(data):
    records = select(data, "train") + select(data, "train")
    Standardizer.fit(records)

def closeness(data):
    records = Records.of(data, ["train"])
    records = records.view(np.arange(len(records))[::-1])
    for start in range(0, len(records), 256):
        records.signals[start : start + 256].sum()

data = Dataset.load(sys.argv[1])
before = peak()
{"blocks": blocks, "selection": selection, "closeness": closeness}[sys.argv[2]](data)
print(peak() - before)
"""


@pytest.mark.slow
@pytest.mark.parametrize("way", ["blocks", "selection", "closeness"])
def test_memory_does_not_grow_with_the_records_read(tmp_path: Path, way: str) -> None:
    spec, number = SignalSpec(100.0, 500, ("SR",)), 20_000
    # A file with a hole: it is read like any other and takes no room on the disk.
    size = number * 12 * spec.length * 4
    np.lib.format.open_memmap(tmp_path / "signals.npy", "w+", np.float32, (number, 12, spec.length)).flush()
    names = [str(i) for i in range(number)]
    columns = {"record": names, "patient": names, "label": "SR", "split": "train", "source": "", "age": 1.0}
    save_records(tmp_path, pd.DataFrame(columns).assign(sex="unknown", codes=""), spec)
    done = subprocess.run(
        [sys.executable, "-c", CHILD, tmp_path, way],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    kilobyte = 1 if sys.platform == "darwin" else 1024
    assert int(done.stdout) * kilobyte < size / 5
