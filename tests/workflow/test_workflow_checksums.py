"""Results are compared by their checksums; a file that was changed is noticed, named, and told how to mend."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from checkout import ENVIRONMENT, Checkout

from ecgpipe.workflow import checksums
from ecgpipe.workflow.checksums import ChangedFileError, KnownFiles

SIGNALS = "results/data/demo_ptbxl/signals.npy"
in_workflow = [pytest.mark.workflow, pytest.mark.xdist_group("workflow")]


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """Return the provenance of a job with two outputs, one of them in a folder."""
    for cached in (checksums._sum, checksums._noted_of_folder):
        cached.cache_clear()
    folder = tmp_path / "made"
    (folder / "inner").mkdir(parents=True)
    (folder / "a.npy").write_bytes(b"aaaa")
    (folder / "inner" / "b.npy").write_bytes(b"bbbb")
    provenance = folder / "provenance.json"
    noted = checksums.write(provenance, [folder / "a.npy", folder / "inner", provenance, folder / "SHA256SUMS"])
    provenance.write_text(json.dumps({"outputs": noted}))
    return provenance


def test_the_file_is_in_the_format_of_sha256sum(made: Path) -> None:
    assert (made.parent / "SHA256SUMS").read_text().splitlines() == [
        f"{hashlib.sha256(content).hexdigest()}  {name}"
        for name, content in (("a.npy", b"aaaa"), ("inner/b.npy", b"bbbb"))
    ]
    subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=made.parent, check=True, capture_output=True)


def test_jobs_that_share_a_folder_have_files_of_their_own(tmp_path: Path) -> None:
    assert checksums.checksum_file(tmp_path / "tables.provenance.json") == tmp_path / "tables.SHA256SUMS"
    assert checksums.checksum_file(tmp_path / "provenance.json") == tmp_path / "SHA256SUMS"


def test_files_that_tell_times_are_noted_but_not_compared_by(tmp_path: Path) -> None:
    (tmp_path / "training.parquet").write_bytes(b"1.5 s")
    (tmp_path / "a.npy").write_bytes(b"aaaa")
    noted = checksums.write(tmp_path / "provenance.json", [tmp_path / "training.parquet", tmp_path / "a.npy"])
    assert set(noted) == {"training.parquet", "a.npy"}
    assert (tmp_path / "SHA256SUMS").read_text().endswith("  a.npy\n")
    assert "training" not in (tmp_path / "SHA256SUMS").read_text()


def test_a_job_checks_what_it_reads(made: Path) -> None:
    path = made.parent / "a.npy"
    assert checksums.verified([path]) == {str(path): hashlib.sha256(b"aaaa").hexdigest()}
    checksums._sum.cache_clear()
    path.write_bytes(b"aaab")  # one bit, the same size
    with pytest.raises(ChangedFileError, match=r"a\.npy is not the file that its job wrote.*delete it"):
        checksums.verified([path])


def test_files_without_a_recorded_checksum_are_read_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("x")
    assert checksums.verified([path]) == {str(path): hashlib.sha256(b"x").hexdigest()}


def test_a_checksum_file_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "SHA256SUMS").write_text("0123 *labels.csv\n")
    (tmp_path / "labels.csv").write_text("x")
    assert checksums.verified([tmp_path / "labels.csv"])


def test_only_files_with_an_unknown_size_or_time_stamp_are_read_again(
    made: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    read: list[str] = []
    whole = checksums.sha256
    monkeypatch.setattr(checksums, "sha256", lambda path: (read.append(path.name), whole(path))[1])
    path = tmp_path / "known.json"
    known = KnownFiles(path)
    known.remember([made])
    known.save()
    assert KnownFiles(path).changed([made]) == {}
    assert read == []
    os.utime(made.parent / "a.npy", (1, 1))
    assert KnownFiles(path).changed([made]) == {}
    assert KnownFiles(path).changed([made]) == {}
    assert read == ["a.npy"]  # once
    inner = made.parent / "inner" / "b.npy"
    inner.write_bytes(b"bbbc")
    os.utime(inner, (2, 2))
    changed = KnownFiles(path).changed([made])
    assert list(changed) == [inner]
    assert "b.npy is not the file that its job wrote" in changed[inner]
    inner.unlink()
    assert KnownFiles(path).changed([made]) == {}


@pytest.mark.parametrize(
    ("name", "text"),
    [("provenance.json", '{"outputs"'), ("provenance.json", "[]"), ("SHA256SUMS", ""), ("SHA256SUMS", "x")],
)
def test_damaged_bookkeeping_is_named(made: Path, tmp_path: Path, name: str, text: str) -> None:
    (made.parent / name).write_text(text)
    with pytest.raises(ChangedFileError, match=rf"{name} is .*delete it"):
        KnownFiles(tmp_path / "known.json").changed([made])
    assert name in checksums.damaged([made])[0]


def test_all_are_read_on_request(made: Path) -> None:
    assert checksums.damaged([made]) == []
    status = (made.parent / "a.npy").stat()
    (made.parent / "a.npy").write_bytes(b"aaab")
    os.utime(made.parent / "a.npy", ns=(status.st_atime_ns, status.st_mtime_ns))  # a flipped bit on the disk
    (made.parent / "inner" / "b.npy").unlink()
    changed, missing = checksums.damaged([made])
    assert "a.npy is not the file" in changed
    assert "b.npy is missing" in missing


def test_raw_records_are_compared_with_their_manifest(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    for name in ("a.dat", "b.dat"):
        (folder / name).write_bytes(b"x")
    digest = hashlib.sha256(b"x").hexdigest()
    manifest = tmp_path / "set.parquet"
    pd.DataFrame({"path": ["a.dat", "b.dat"], "sha256": [digest, digest]}).to_parquet(manifest)
    assert checksums.damaged_raw(manifest) == []
    (folder / "a.dat").write_bytes(b"y")
    (folder / "b.dat").unlink()
    changed, missing = checksums.damaged_raw(manifest)
    assert "a.dat is not the file that was fetched" in changed
    assert "b.dat is missing" in missing


class TestFinishedStudy:
    pytestmark = in_workflow

    def _check(self, checkout: Checkout, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [
            sys.executable,
            "-m",
            "ecgpipe",
            "check",
            "--configfile",
            checkout.config,
            *arguments,
        ]
        return subprocess.run(
            command, cwd=checkout.folder, env=ENVIRONMENT, text=True, capture_output=True, check=False
        )

    def test_every_file_of_every_job_is_noted(self, finished: Checkout) -> None:
        results = finished.folder / "results"
        noted = {
            path.parent / name
            for path in results.glob("**/*provenance.json")
            for name in json.loads(path.read_text())["outputs"]
        }
        stages = ("data", "generators", "samples", "classifiers", "closeness", "tables", "report")
        there = {p for stage in stages for p in results.glob(f"{stage}/**/*") if p.is_file()}
        own = {p for p in there if p.name.endswith(("provenance.json", "SHA256SUMS", "sampling.json"))}
        assert there - own == {path for path in noted if path.parent.name != "raw"}

    def test_nothing_is_read_again_at_the_next_start(self, finished: Checkout) -> None:
        known = json.loads((finished.folder / ".snakemake/checked/results.json").read_text())
        signals = finished.folder / SIGNALS
        assert known[SIGNALS] == [signals.stat().st_size, signals.stat().st_mtime_ns]

    def test_a_sound_study_passes(self, finished: Checkout) -> None:
        done = self._check(finished, "--results")
        assert done.returncode == 0, done.stderr
        assert "Every result is what its job wrote" in done.stdout

    def test_an_edited_large_file_is_noticed_at_the_start(self, checkout: Checkout) -> None:
        path = checkout.folder / SIGNALS
        path.write_bytes(path.read_bytes()[:-1] + b"x")
        done = checkout.snakemake("all", "--dry-run", check=False)
        assert done.returncode != 0
        assert f"{SIGNALS} is not the file that its job wrote" in done.stdout + done.stderr

    def test_a_bit_that_flips_on_the_disk_is_noticed_by_the_job_that_reads_it_and_by_check(
        self, checkout: Checkout
    ) -> None:
        path = checkout.folder / SIGNALS
        status = path.stat()
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        assert checkout.pending("all") == {}
        done = self._check(checkout, "--results")
        assert done.returncode != 0
        assert f"{SIGNALS} is not the file that its job wrote" in done.stderr
        checkout.edit(checkout.config, "steps: 6", "steps: 7")
        done = checkout.snakemake("results/generators/demo_ptbxl/diffwave/model.json", check=False)
        assert done.returncode != 0
        assert "signals.npy is not the file that its job wrote" in done.stdout + done.stderr

    @pytest.mark.parametrize("old", [False, True])
    def test_a_swapped_set_with_its_own_checksums_reruns_what_reads_it(self, checkout: Checkout, old: bool) -> None:
        one, other = (checkout.folder / "results/data" / name for name in ("demo_ptbxl", "demo_chapman"))
        one.rename(one.with_name("aside"))
        other.rename(one)
        one.with_name("aside").rename(other)
        for path in (*one.iterdir(), *other.iterdir()) if old else ():
            os.utime(path, (1e9, 1e9))  # put back from a backup, with its time stamps
        jobs = checkout.pending("all")
        assert {"generate": 2, "merge": 1, "classify_real": 3}.items() <= jobs.items()

    def test_a_file_that_was_deleted_is_made_again_as_the_message_says(self, checkout: Checkout) -> None:
        folder = checkout.folder / "results/data/demo_ptbxl"
        whole = (folder / "signals.npy").read_bytes()
        (folder / "signals.npy").unlink()
        (folder / "SHA256SUMS").unlink()
        checkout.snakemake("results/data/demo_ptbxl/SHA256SUMS")
        assert (folder / "signals.npy").read_bytes() == whole
        assert checkout.pending("all") == {}

    def test_a_changed_file_does_not_stand_in_the_way_of_snakemakes_own_commands(self, checkout: Checkout) -> None:
        (checkout.folder / SIGNALS).write_bytes(b"x")
        checkout.snakemake("--unlock")
