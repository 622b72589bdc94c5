"""A simulated folder appears whole or not at all, and replaces nothing but a simulation."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from ecgpipe.acquire.errors import AcquireError
from ecgpipe.acquire.simulated import acquire_simulated
from ecgpipe.config import SimulatedSource


def source() -> SimulatedSource:
    return SimulatedSource(kind="simulated", records=20, seed=5)


@pytest.mark.parametrize("format", ["ptbxl", "ecg_arrhythmia"])
def test_same_settings_same_bytes(format: str, tmp_path: Path) -> None:
    chosen = source()
    first = acquire_simulated(chosen, format, 100, tmp_path / "one")
    (tmp_path / "one" / "stale.txt").write_text("left over")
    (tmp_path / "one" / "RECORDS").write_text("wrong")
    again = acquire_simulated(chosen, format, 100, tmp_path / "one")
    elsewhere = acquire_simulated(chosen, format, 100, tmp_path / "two" / "deeper")
    pd.testing.assert_frame_equal(first, again)
    pd.testing.assert_frame_equal(first, elsewhere)
    assert not (tmp_path / "one" / "stale.txt").exists()
    assert shown(tmp_path) == ["one", "two"]


def test_downloads_are_not_overwritten(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    (raw / "LICENSE.txt").write_text("CC BY 4.0")
    with pytest.raises(AcquireError, match="holds files that were not simulated"):
        acquire_simulated(source(), "ptbxl", 100, raw)
    assert [path.name for path in raw.iterdir()] == ["LICENSE.txt"]


def test_failure_leaves_the_old_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = source()
    manifest = acquire_simulated(chosen, "ptbxl", 100, tmp_path / "raw")

    def full(path: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(AcquireError, match="disk is full"):
        acquire_simulated(chosen, "ptbxl", 100, tmp_path / "raw")
    monkeypatch.undo()
    assert shown(tmp_path) == ["raw"]
    for row in manifest.itertuples():
        assert hashlib.sha256((tmp_path / "raw" / str(row.path)).read_bytes()).hexdigest() == row.sha256


def shown(folder: Path) -> list[str]:
    """Return what is in a folder but the lock files."""
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock")


def test_what_a_killed_run_left_is_removed(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys; from pathlib import Path\n"
        "from ecgpipe.acquire.simulated import acquire_simulated\n"
        "from ecgpipe.config import SimulatedSource\n"
        "from ecgpipe.simulator.output import ProjectWriter\n"
        "ProjectWriter.finish = lambda self: os.kill(os.getpid(), signal.SIGKILL)\n"
        "acquire_simulated(SimulatedSource(kind='simulated', records=20, seed=1), 'ptbxl', 100, Path(sys.argv[1]))\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run([sys.executable, "-c", program, tmp_path / "raw"], env=environment, capture_output=True)
    assert run.returncode == -9
    assert shown(tmp_path) == [".raw.scratch"]
    acquire_simulated(source(), "ptbxl", 100, tmp_path / "raw")
    assert shown(tmp_path) == ["raw"]
