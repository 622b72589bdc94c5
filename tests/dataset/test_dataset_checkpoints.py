"""Checkpoints carry the checksum of their bytes, and damage to one costs no more than that one."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from ecgpipe import checkpoints
from ecgpipe.checkpoints import DAMAGED, sound, versions, writing


def _write(path: Path, text: str, keep: int | None = None, time: int | None = None) -> Path:
    with writing(path, keep) as temporary:
        temporary.write_text(text)
    (newest,) = (p for p in path.parent.iterdir() if p.is_file() and p.read_text() == text)
    if time is not None:
        os.utime(newest, ns=(time, time))
    return newest


def test_the_newest_comes_first_and_older_ones_go(tmp_path: Path) -> None:
    path = tmp_path / "state" / "train.safetensors"
    assert list(sound(path)) == []
    for number in range(4):
        _write(path, f"step {number}", keep=2, time=number)
    assert [version.read_text() for version in sound(path)] == ["step 3", "step 2"]
    assert versions(path.parent) == {path.name: list(sound(path))[::-1]}


@pytest.mark.parametrize("bit", [0, 7, 100])
def test_one_flipped_bit_sets_a_version_aside(tmp_path: Path, bit: int, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "TrRTeR-0.5-none-0.safetensors"
    _write(path, "a" * 50, time=1)
    newest = _write(path, "b" * 50, time=2)
    content = bytearray(newest.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    newest.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        assert [version.read_text() for version in sound(path)] == ["a" * 50]
    assert f"{newest} is damaged" in caplog.text
    aside = newest.with_name(newest.name + DAMAGED)
    assert aside.read_bytes() == content
    assert not newest.exists()
    caplog.clear()
    assert len(list(sound(path))) == 1
    assert caplog.text == ""


def test_names_with_dots_are_told_apart(tmp_path: Path) -> None:
    for name in ("a-0.5-1.npy", "a-0.5-12.npy", "a-0.npy"):
        _write(tmp_path / name, name)
    (tmp_path / "a-0.5-1.npy").touch()
    (tmp_path / ".a-0.5-1.npy.12.new").touch()
    for name in ("a-0.5-1.npy", "a-0.5-12.npy", "a-0.npy"):
        assert [version.read_text() for version in sound(tmp_path / name)] == [name]


def test_an_error_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    _write(path, "one", keep=1)
    with pytest.raises(IsADirectoryError), writing(path, keep=1) as temporary:
        temporary.parent.write_text("half")
    assert [version.read_text() for version in sound(path)] == ["one"]
    assert len(list(tmp_path.iterdir())) == 1


def test_another_process_may_set_a_version_aside_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.npy"
    newest = _write(path, "one")
    there = versions(tmp_path)
    newest.rename(newest.with_name(newest.name + DAMAGED))
    assert list(sound(path, there)) == []
    second = _write(path, "two")
    second.write_text("damaged")

    def gone(file: Path) -> str:
        digest = original(file)
        file.rename(file.with_name(file.name + DAMAGED))
        return digest

    original = checkpoints.sha256
    monkeypatch.setattr(checkpoints, "sha256", gone)
    assert list(sound(path)) == []
