"""The small dataset that the tests of generators share."""

from __future__ import annotations

from pathlib import Path

import pytest
from sine_records import write_sines  # type: ignore[import-not-found]

from ecgpipe.dataset import Dataset


@pytest.fixture(scope="session")
def sines_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with 60 records of 64 samples: 36 to train, 12 to validate, 12 to test."""
    return write_sines(tmp_path_factory.mktemp("sines"))


@pytest.fixture(scope="session")
def sines(sines_folder: Path) -> Dataset:
    """The dataset in :func:`sines_folder`, memory-mapped."""
    return Dataset.load(sines_folder)
