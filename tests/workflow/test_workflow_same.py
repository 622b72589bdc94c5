"""Same configuration, same machine: the same bytes, whatever the folder and the number of cores."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from checkout import Checkout, copy_project

pytestmark = [pytest.mark.long, pytest.mark.workflow, pytest.mark.xdist_group("workflow")]
TIMED = ["seconds", "records_per_second", "peak_memory_mb"]
TELL_TIME = {"history.parquet", "training.parquet"}
"""Tables with columns that tell time and memory; ``runtime.parquet`` tells nothing else."""


def _made(results: Path) -> set[Path]:
    """Return the files that jobs made and that do not tell how they were made."""
    stages = ("raw", "data", "generators", "samples", "classifiers", "closeness", "tables")
    found = {path.relative_to(results) for stage in stages for path in (results / stage).rglob("*") if path.is_file()}
    return {path for path in found if not path.name.endswith("provenance.json") and path.name != "runtime.parquet"}


def test_another_folder_and_number_of_cores_give_the_same_bytes(finished: Checkout, tmp_path: Path) -> None:
    other = copy_project(tmp_path / "another folder")
    other.snakemake("all", "--cores", "1")
    one, two = finished.folder / "results", other.folder / "results"
    made = _made(one)
    assert made == _made(two)
    assert {
        "signals.npy",
        "model.safetensors",
        "predictions.parquet",
        "classification.parquet",
        "closeness.parquet",
    } <= {path.name for path in made}
    for path in sorted(made):
        if path.name in TELL_TIME:
            frames = [pd.read_parquet(folder / path).drop(columns=TIMED, errors="ignore") for folder in (one, two)]
            pd.testing.assert_frame_equal(*frames, check_exact=True)
        else:
            assert (one / path).read_bytes() == (two / path).read_bytes(), path
