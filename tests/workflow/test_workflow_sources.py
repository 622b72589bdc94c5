"""A source that is a folder: what has changed there is taken again and named; what only looks so is not."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from checkout import ENVIRONMENT, ROOT, copy_project

from ecgpipe.acquire.origin import record_path
from ecgpipe.acquire.run import acquire, write_manifest
from ecgpipe.config import DatasetSettings, SignalSettings, SimulatedSource, validate
from ecgpipe.files import read_json, write_json
from ecgpipe.simulator.run import simulate
from ecgpipe.workflow.checksums import ChangedFileError
from ecgpipe.workflow.source_state import FolderState
from ecgpipe.workflow.study import Study

NAMES = [f"A{number}" for number in range(5)]


class Source:
    """A small folder, and the records that were taken of it."""

    def __init__(self, root: Path) -> None:
        self.folder, self.raw = root / "in", root / "raw" / "set"
        self.folder.mkdir()
        self.limit: int | None = None
        self.write(*NAMES)

    def write(self, *names: str, text: str = "426783006") -> None:
        for name in names:
            for end in ("hea", "mat"):
                (self.folder / f"{name}.{end}").parent.mkdir(parents=True, exist_ok=True)
                (self.folder / f"{name}.{end}").write_text(f"{name} {text}")

    @property
    def state(self) -> FolderState:
        source = {"kind": "folder", "path": str(self.folder), "limit": self.limit}
        return FolderState(
            DatasetSettings.model_validate({"format": "challenge", "source": source}), SignalSettings(), self.raw
        )

    def take(self) -> object:
        """Take the records as a job does; return the parameter that it was made with."""
        state = self.state
        parameter = state.parameter()
        write_manifest(self.raw, acquire(state.dataset, state.signal, self.raw))
        write_json(self.raw.with_name("set.provenance.json"), {"settings": {"state": parameter}})
        return parameter


@pytest.fixture
def source(tmp_path: Path) -> Source:
    return Source(tmp_path)


def _touch(source: Source) -> None:
    for path in source.folder.iterdir():
        os.utime(path, (1, 1))


def _copy_elsewhere(source: Source) -> None:
    shutil.copytree(source.folder, source.folder.with_name("copy"), copy_function=shutil.copyfile)
    shutil.rmtree(source.folder)
    source.folder = source.folder.with_name("copy")


def _unmount(source: Source) -> None:
    shutil.rmtree(source.folder)


def _mount_point_is_empty(source: Source) -> None:
    shutil.rmtree(source.folder)
    source.folder.mkdir()


def _other_files(source: Source) -> None:
    (source.folder / "readme.txt").write_text("x")
    (source.folder / "._A1.hea").write_text("x")
    (source.folder / "empty").mkdir()


def _lose_the_note(source: Source) -> None:
    record_path(source.raw).unlink()


def _damage_the_note(source: Source) -> None:
    record_path(source.raw).write_bytes(b"PAR1 cut off")


def _links_in_place(source: Source) -> None:
    source.folder.rename(source.folder.with_name("disk"))
    source.folder.symlink_to("disk")


def _rewrite_the_same(source: Source) -> None:
    time.sleep(0.01)
    source.write(*NAMES)


@pytest.mark.parametrize(
    "change",
    [
        _touch, _copy_elsewhere, _unmount, _mount_point_is_empty, _other_files, _lose_the_note, _damage_the_note,
        _links_in_place, _rewrite_the_same,
    ],
)  # fmt: skip
def test_what_changes_no_record_changes_no_parameter(source: Source, change: Callable[[Source], None]) -> None:
    before = source.take()
    change(source)
    assert source.state.parameter() == before
    assert source.state.changed() is None
    assert source.state.parameter() == before


def test_files_with_new_time_stamps_are_read_once(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    source.take()
    _touch(source)
    assert source.state.changed() is None
    monkeypatch.setattr("ecgpipe.workflow.source_state.checksums", lambda *_: pytest.fail("read again"))
    assert source.state.changed() is None


def _grow(source: Source) -> None:
    source.write("B1", "B2", "sub/B3", "B4")


def _correct(source: Source) -> None:
    time.sleep(0.01)
    source.write("A1", text="426177001")  # as many bytes


def _lengthen(source: Source) -> None:
    source.write("A1", text="426783006,426177001")


def _shrink(source: Source) -> None:
    for end in ("hea", "mat"):
        (source.folder / f"A0.{end}").unlink()


def _half(source: Source) -> None:
    (source.folder / "A0.mat").unlink()


def _rename(source: Source) -> None:
    for end in ("hea", "mat"):
        (source.folder / f"A0.{end}").rename(source.folder / f"C0.{end}")


def _list(source: Source) -> None:
    (source.folder / "RECORDS").write_text("A0\n")


def _swap(source: Source) -> None:
    (source.folder / "A0.mat").rename(source.folder / "x")
    (source.folder / "A1.mat").rename(source.folder / "A0.mat")
    (source.folder / "x").rename(source.folder / "A1.mat")


def _break_a_link(source: Source) -> None:
    (source.folder / "A9.hea").symlink_to("nowhere")


def _line_ends(source: Source) -> None:
    (source.folder / "A1.hea").write_bytes((source.folder / "A1.hea").read_bytes() + b"\r\n")


def _cut(source: Source) -> None:
    os.truncate(source.folder / "A1.mat", 5)


def _flac(source: Source) -> None:
    (source.folder / "F1.hea").write_text("x")
    (source.folder / "F1.flac").write_text("x")


def _a_list_of_some(source: Source) -> None:
    sums = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()} {path.name}\n"
        for path in sorted(source.folder.glob("A*"))
        if path.stem != "A4"
    ]
    (source.folder / "SHA256SUMS.txt").write_text("".join(sums))


def _everything(source: Source) -> None:
    _grow(source)
    _correct(source)
    _shrink(source)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_grow, "4 records more (B1, B2, B4 and 1 more)"),
        (_correct, "2 files changed (A1.hea, A1.mat)"),
        (_lengthen, "2 files changed (A1.hea, A1.mat)"),
        (_shrink, "1 record fewer (A0)"),
        (_half, "1 file fewer (A0.mat)"),
        (_rename, "1 record more (C0), 1 record fewer (A0)"),
        (_list, "1 file more (RECORDS)"),
        (_swap, "2 files changed (A0.mat, A1.mat)"),
        (_break_a_link, "1 file more (A9.hea (a link that leads nowhere (No such file or directory)))"),
        (_line_ends, "1 file changed (A1.hea)"),
        (_cut, "1 file changed (A1.mat)"),
        (_flac, "1 record more (F1)"),
        (
            _a_list_of_some,
            "1 record fewer (A4), 2 files more (A4.hea (not in the folder's SHA256SUMS.txt), A4.mat (not in the "
            "folder's SHA256SUMS.txt))",
        ),
        (_everything, "4 records more (B1, B2, B4 and 1 more), 1 record fewer (A0), 2 files changed (A1.hea, A1.mat)"),
    ],
)
def test_what_changes_records_changes_the_parameter_and_is_named(
    source: Source, change: Callable[[Source], None], said: str
) -> None:
    before = source.take()
    change(source)
    changed = source.state.parameter()
    assert changed != before
    assert source.state.changed() == f"{source.folder} has changed since its records were taken: {said}"
    assert source.take() == changed
    assert source.state.parameter() == changed, "it would be taken again and again"
    assert source.state.changed() is None


@pytest.mark.parametrize(
    "change",
    [
        lambda source: [os.chmod(path, 0o600) for path in source.folder.iterdir()],
        lambda source: [os.utime(path, (4e9, 4e9)) for path in source.folder.iterdir()],
        lambda source: (source.folder / "A1.hea").rename(source.folder / "A1.HEA"),
        lambda source: (source.folder / "more.zip").write_bytes(b"PK"),
    ],
    ids=["modes", "times to come", "capitals", "an archive"],
)
def test_more_that_changes_no_record(source: Source, change: Callable[[Source], object]) -> None:
    before = source.take()
    change(source)
    assert source.state.parameter() == before


def test_the_link_to_the_current_version_may_lead_elsewhere(source: Source) -> None:
    source.folder.rename(source.folder.with_name("v1"))
    source.folder.symlink_to("v1")
    before = source.take()
    shutil.copytree(source.folder, source.folder.with_name("v2"))
    source.folder.unlink()
    source.folder.symlink_to("v2")
    assert source.state.parameter() == before
    source.write("B1")
    assert source.state.parameter() != before


def test_a_disk_that_is_not_mounted_below_the_folder_stops_the_start(source: Source) -> None:
    disk = source.folder.with_name("disk")
    disk.mkdir()
    (source.folder / "cohort").symlink_to(disk)
    source.write("cohort/C1", "cohort/C2")
    before = source.take()
    disk.rename(disk.with_name("elsewhere"))
    with pytest.raises(ChangedFileError, match=r"in/cohort is a link that leads nowhere, and records were taken"):
        source.state.parameter()
    disk.with_name("elsewhere").rename(disk)
    assert source.state.parameter() == before
    (source.folder / "cohort").unlink()
    assert source.state.parameter() != before


def test_records_beyond_the_limit_change_nothing(source: Source) -> None:
    source.limit = 3
    before = source.take()
    source.write("B1", "A4", text="other")
    assert source.state.parameter() == before
    source.write("A00")
    assert source.state.parameter() != before


def test_a_change_that_keeps_size_and_time_is_found_where_sums_are_asked_for(source: Source) -> None:
    source.take()
    path = source.folder / "A1.mat"
    status = path.stat()
    _correct(source)
    for name in ("A1.hea", "A1.mat"):
        os.utime(source.folder / name, ns=(status.st_atime_ns, read_noted(source, name)))
    assert source.state.changed() is None
    assert "2 files changed (A1.hea, A1.mat)" in str(source.state.changed(read_all=True))


def read_noted(source: Source, name: str) -> int:
    from ecgpipe.acquire.origin import read_record

    noted = read_record(source.raw)
    assert noted is not None
    return noted[name].mtime_ns


def test_a_folder_that_can_no_longer_be_used_stops_the_start(source: Source) -> None:
    source.take()
    for path in source.folder.glob("*.hea"):
        path.rename(path.with_suffix(".txt"))
    for path in source.folder.glob("*.mat"):
        path.unlink()
    with pytest.raises(ChangedFileError, match=r"holds no record .*Records were taken of this folder before"):
        source.state.parameter()


def test_a_folder_that_was_never_there_is_the_jobs_business(source: Source) -> None:
    shutil.rmtree(source.folder)
    assert "there is no" in str(source.state.parameter())


def test_where_a_folder_is_belongs_to_no_parameter(tmp_path: Path) -> None:
    def study(path: str) -> Study:
        config = {
            "datasets": ["d"],
            "dataset_settings": {"d": {"format": "challenge", "source": {"kind": "folder", "path": path}}},
            "generators": ["class_mean_pca"],
        }
        return Study(validate(config), ROOT / "workflow_scripts")

    Source(tmp_path)
    here, there = study(str(tmp_path / "in")), study(f"{tmp_path}/./in")
    assert here.preprocessing("d") == there.preprocessing("d")
    assert here.acquisition("d") == there.acquisition("d")
    assert "state" in json.loads(here.acquisition("d"))
    assert "state" not in here.acquisitions
    assert json.loads(there.places) == {"d": {"path": f"{tmp_path}/./in"}}


@pytest.mark.workflow
@pytest.mark.xdist_group("workflow")
def test_a_folder_that_grew_is_taken_again_and_why_says_it(tmp_path: Path) -> None:
    checkout = copy_project(tmp_path / "project")
    theirs = tmp_path / "theirs"
    simulate(SimulatedSource(kind="simulated", records=20, seed=11), "ecg_arrhythmia", 100, tmp_path / "made")
    shutil.copytree(tmp_path / "made", theirs)
    kept = sorted(theirs.rglob("*.hea"))[-3:]
    for path in kept:
        path.unlink()
        path.with_suffix(".mat").unlink()
    source = {"kind": "folder", "path": str(theirs)}
    config = yaml.safe_load((checkout.folder / checkout.config).read_text())
    config |= {
        "datasets": ["theirs"],
        "dataset_settings": {"theirs": {"format": "ecg_arrhythmia", "source": source, "classifier": "tiny"}},
    }
    (checkout.folder / checkout.config).write_text(yaml.safe_dump(config))
    checkout.snakemake("data")
    assert checkout.pending("data") == {}
    for path in theirs.rglob("*"):
        path.touch()
    assert checkout.pending("data") == {}
    for path in kept:
        for end in (".hea", ".mat"):
            there = (tmp_path / "made" / path.relative_to(theirs)).with_suffix(end)
            shutil.copyfile(there, path.with_suffix(end))
    command = [sys.executable, "-m", "ecgpipe", "why", "data", "--configfile", checkout.config]
    run = subprocess.run(command, cwd=checkout.folder, env=ENVIRONMENT, text=True, capture_output=True, check=True)
    assert "acquire: theirs" in run.stdout
    assert f"because {theirs} has changed since its records were taken: 3 records more (" in run.stdout
    checkout.snakemake("data")
    assert checkout.pending("data") == {}
    assert read_json(checkout.folder / "results/data/theirs/summary.json")["read"] == 20
