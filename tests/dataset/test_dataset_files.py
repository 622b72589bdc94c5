"""Files are whole, on the disk and readable, or an error names them."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import save_file

from ecgpipe import files
from ecgpipe.dataset import Dataset, SignalSpec, save_dataset
from ecgpipe.files import atomic_path, write_text


@pytest.fixture(params=[0o022, 0o027, 0o002, 0o077])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def test_files_follow_the_umask_whatever_library_writes_them(tmp_path: Path, umask: int) -> None:
    with atomic_path(tmp_path / "model.safetensors") as temporary:
        save_file({"a": np.zeros(3)}, temporary)
    write_text(tmp_path / "text", "x")
    for name in ("model.safetensors", "text"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o666 & ~umask


def test_a_file_is_on_the_disk_before_it_has_its_name_and_its_name_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = []
    fsync, replace = os.fsync, os.replace

    def noted_fsync(handle: int) -> None:
        done.append(os.readlink(f"/proc/self/fd/{handle}"))
        fsync(handle)

    def noted_replace(old: Path, new: Path) -> None:
        done.append("renamed")
        replace(old, new)

    monkeypatch.setattr(files.os, "fsync", noted_fsync)
    monkeypatch.setattr(files.os, "replace", noted_replace)
    write_text(tmp_path / "text", "x")
    assert done[1:] == ["renamed", str(tmp_path)]
    assert Path(done[0]).name.startswith(".text.")
    done.clear()
    write_text(tmp_path / "other", "x", durable=False)
    assert done == ["renamed"]


def test_a_disk_that_fails_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(handle: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(files.os, "fsync", broken)
    with pytest.raises(OSError, match="Input/output error"):
        write_text(tmp_path / "text", "x")
    assert list(tmp_path.iterdir()) == []


def test_file_systems_without_fsync_are_fine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unable(handle: int) -> None:
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(files.os, "fsync", unable)
    write_text(tmp_path / "text", "x")
    assert (tmp_path / "text").read_text() == "x"


def _dataset(folder: Path) -> None:
    spec = SignalSpec(100.0, 50, ("A", "B"))
    records = pd.DataFrame(
        {
            "record": ["1", "2"],
            "patient": ["1", "2"],
            "label": ["A", "B"],
            "split": ["train", "test"],
            "source": "x",
            "age": 50.0,
            "sex": "male",
            "codes": "",
        }
    )
    save_dataset(folder, np.ones((2, 12, 50), dtype=np.float32), records, spec)


@pytest.mark.parametrize("size", [0, 5, 60, 130, 2000])
def test_signals_that_are_cut_short_are_named(tmp_path: Path, size: int) -> None:
    _dataset(tmp_path)
    path = tmp_path / "signals.npy"
    os.truncate(path, size)
    with pytest.raises(ValueError, match="damaged or cut short") as error:
        Dataset.load(tmp_path)
    assert str(path) in str(error.value)
    assert "delete it" in str(error.value)


def test_signals_of_noise_are_named(tmp_path: Path) -> None:
    _dataset(tmp_path)
    path = tmp_path / "signals.npy"
    path.write_bytes(np.random.default_rng(0).bytes(5000))
    with pytest.raises(ValueError, match=r"signals\.npy is damaged"):
        Dataset.load(tmp_path)
