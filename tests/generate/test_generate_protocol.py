"""Signals: the right rows, from disk only when asked for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from sine_records import write_sines  # type: ignore[import-not-found]

from ecgpipe.dataset import Dataset
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
import numpy as np
from ecgpipe.dataset import Dataset
from ecgpipe.generate.protocol import Signals
signals = Signals(Dataset.load(sys.argv[1]), np.arange(int(sys.argv[2])))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for first in range(0, len(signals), 50):
    signals.batch(np.arange(first, min(first + 50, len(signals))))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_records_read(tmp_path: Path) -> None:
    folder = write_sines(tmp_path / "data", 2500, length=512)
    size = (folder / "signals.npy").stat().st_size / 524
    assert size > 50_000
    done = subprocess.run(
        [sys.executable, "-c", CHILD, folder, "2500"],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    kilobyte = 1024 if sys.platform == "darwin" else 1
    assert int(done.stdout) / kilobyte < size / 5
