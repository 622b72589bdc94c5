"""Signals: the right rows, from disk only when asked for."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from sine_records import write_sines  # type: ignore[import-not-found]

from ecgpipe.dataset import Dataset, save_records
from ecgpipe.generate.protocol import Signals


def test_batches_are_the_rows_of_the_split(sines: Dataset) -> None:
    signals = Signals.of(sines, "validation")
    rows = sines.indices("validation")
    assert len(signals) == len(rows) == 12
    assert np.array_equal(signals.labels, sines.labels[rows])
    x, y = signals.batch(np.array([3, 0, 3]))
    assert x.dtype == torch.float32
    assert y.dtype == torch.int64
    assert np.array_equal(x.numpy(), np.asarray(sines.signals)[rows[[3, 0, 3]]])
    assert np.array_equal(y.numpy(), sines.labels[rows[[3, 0, 3]]])


def test_an_array_in_memory_serves_as_well(sines: Dataset) -> None:
    loaded = Dataset(np.asarray(sines.signals).copy(), sines.records, sines.spec)
    for split in ("train", "test"):
        places = np.arange(5)
        assert torch.equal(Signals.of(loaded, split).batch(places)[0], Signals.of(sines, split).batch(places)[0])


def test_a_part_of_a_map_and_a_map_without_a_name_serve_as_well(sines: Dataset, tmp_path: Path) -> None:
    whole = np.asarray(sines.signals)
    with tempfile.TemporaryFile() as handle:
        nameless = np.memmap(handle, dtype=np.float32, mode="w+", shape=whole.shape)
        nameless[:] = whole
        for signals in (nameless, sines.signals[10:], sines.signals[sines.labels == 1]):
            records = sines.records.iloc[: len(signals)]
            found = Signals(Dataset(signals, records, sines.spec), np.arange(5)).batch(np.arange(5))[0]
            assert np.array_equal(found.numpy(), np.asarray(signals)[:5])


def test_a_file_that_ends_too_early_is_an_error(tmp_path: Path) -> None:
    data = Dataset.load(write_sines(tmp_path / "data", 9))
    signals = Signals(data, np.arange(9))
    file = tmp_path / "data" / "signals.npy"
    with open(file, "r+b") as handle:
        handle.truncate(file.stat().st_size - 10)
    signals.batch(np.arange(8))
    with pytest.raises(ValueError, match=r"signals\.npy ends within row 8"):
        signals.batch(np.array([8]))


CHILD = """
import resource, sys
from pathlib import Path
import numpy as np
from ecgpipe.dataset import Dataset, save_records
from ecgpipe.generate.diffwave import DiffWave
from ecgpipe.generate.protocol import Signals

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

dataset, state = Dataset.load(sys.argv[1]), Path(sys.argv[2])
rows = dataset.indices("train")
small = {"draft": "none", "channels": 8, "layers": 1, "steps": 3, "batch": 64, "warmup": 0}
settings = DiffWave.Settings(**small, balanced=True, spectral=True)
generator = DiffWave(settings, dataset.spec)
peaks = []
for number in (2000, 2000, len(rows)):  # twice: what the allocator keeps settles
    train, validation = Signals(dataset, rows[:number]), Signals(dataset, rows[:64])
    generator.fit(train, validation, seed=1, state_dir=state / str(len(peaks)), device="cpu", progress=False)
    peaks.append(peak())
print(peaks[2] - peaks[1])
"""


@pytest.mark.slow
def test_memory_of_training_does_not_grow_with_the_records(tmp_path: Path) -> None:
    number, length = 20_000, 500
    data = Dataset.load(write_sines(tmp_path / "data", 600, length=length))
    places = np.arange(number) % 600
    save_records(tmp_path / "data", data.records.iloc[places].assign(split="train"), data.spec)
    # A file with holes: it is read like any other and takes no room on the disk.
    whole = np.asarray(data.signals)
    large = np.lib.format.open_memmap(tmp_path / "large.npy", "w+", np.float32, (number, 12, length))
    large[:600] = whole
    large.flush()
    del large
    (tmp_path / "large.npy").replace(tmp_path / "data" / "signals.npy")
    size = number * 12 * length * 4
    done = subprocess.run(
        [sys.executable, "-c", CHILD, tmp_path / "data", tmp_path / "state"],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    kilobyte = 1 if sys.platform == "darwin" else 1024
    assert int(done.stdout) * kilobyte < size / 10
