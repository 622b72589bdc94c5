"""Results are compared by their checksums; a file that was changed is noticed, named, and told how to mend."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from checkout import ENVIRONMENT, Checkout

from ecgpipe.workflow import checksums
from ecgpipe.workflow.checksums import ChangedFileError

SIGNALS = "results/data/demo_ptbxl/signals.npy"
in_workflow = [pytest.mark.workflow, pytest.mark.xdist_group("workflow")]


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """Return the provenance of a job with two outputs, one of them in a folder."""
    for cached in (checksums._sum, checksums._recorded):
        cached.cache_clear()
    folder = tmp_path / "made"
    (folder / "inner").mkdir(parents=True)
    (folder / "a.npy").write_bytes(b"aaaa")
    (folder / "inner" / "b.npy").write_bytes(b"bbbb")
    provenance = folder / "provenance.json"
    noted = checksums.write(provenance, [folder / "a.npy", folder / "inner", provenance, folder / "SHA256SUMS"])
    import json

    provenance.write_text(json.dumps({"outputs": noted}))
    return provenance


def test_the_file_is_in_the_format_of_sha256sum(made: Path) -> None:
    assert (made.parent / "SHA256SUMS").read_text().splitlines() == [
        f"{hashlib.sha256(content).hexdigest()}  {name}"
        for name, content in (("a.npy", b"aaaa"), ("inner/b.npy", b"bbbb"))
    ]
    subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=made.parent, check=True, capture_output=True)


def test_jobs_that_share_a_folder_have_files_of_their_own(tmp_path: Path) -> None:
    assert checksums.beside(tmp_path / "tables.provenance.json") == tmp_path / "tables.SHA256SUMS"
    assert checksums.beside(tmp_path / "provenance.json") == tmp_path / "SHA256SUMS"


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


def test_only_files_with_another_size_or_time_stamp_are_read_again(
    made: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    read: list[str] = []
    whole = checksums.sha256
    monkeypatch.setattr(checksums, "sha256", lambda path: (read.append(path.name), whole(path))[1])
    remembered = tmp_path / "remembered.json"
    assert checksums.changed_since([made], remembered) == []
    assert read == []
    os.utime(made.parent / "a.npy", (1, 1))
    assert checksums.changed_since([made], remembered) == []
    assert checksums.changed_since([made], remembered) == []
    assert read == ["a.npy"]  # once
    (made.parent / "inner" / "b.npy").write_bytes(b"bbbc")
    os.utime(made.parent / "inner" / "b.npy", (2, 2))
    (said,) = checksums.changed_since([made], remembered)
    assert "b.npy is not the file that its job wrote" in said
    (made.parent / "inner" / "b.npy").unlink()
    assert checksums.changed_since([made], remembered) == []


def test_all_are_read_on_request(made: Path) -> None:
    assert checksums.damaged([made]) == []
    status = (made.parent / "a.npy").stat()
    (made.parent / "a.npy").write_bytes(b"aaab")
    os.utime(made.parent / "a.npy", ns=(status.st_atime_ns, status.st_mtime_ns))  # a flipped bit on the disk
    (made.parent / "inner" / "b.npy").unlink()
    changed, missing = checksums.damaged([made])
    assert "a.npy is not the file" in changed
    assert "b.npy is missing" in missing
    (made.parent / "SHA256SUMS").write_text("nonsense")
    with pytest.raises(ChangedFileError, match="SHA256SUMS is damaged"):
        checksums.damaged([made])


class TestFinishedStudy:
    pytestmark = in_workflow

    def _check(self, checkout: Checkout, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [
            sys.executable,
            "-m",
            "ecgpipe.workflow.command",
            "check",
            "--configfile",
            checkout.config,
            *arguments,
        ]
        return subprocess.run(
            command, cwd=checkout.folder, env=ENVIRONMENT, text=True, capture_output=True, check=False
        )

    def test_every_file_of_every_job_is_recorded(self, finished: Checkout) -> None:
        recorded = {
            path.parent / name
            for path in finished.folder.glob("results/**/*SHA256SUMS")
            for name in checksums.read(path)
            if path.parent.name != "raw" or path.name != "SHA256SUMS"
        }
        stages = ("data", "generators", "samples", "classifiers", "closeness", "tables", "report")
        there = {p for stage in stages for p in finished.folder.glob(f"results/{stage}/**/*") if p.is_file()}
        own = {p for p in there if p.name.endswith(("provenance.json", "SHA256SUMS"))}
        assert there - own == {p for p in recorded if "raw" not in p.parts[-2:]}

    def test_a_sound_study_passes(self, finished: Checkout) -> None:
        done = self._check(finished, "--results")
        assert done.returncode == 0, done.stderr
        assert "every file is what its job wrote" in done.stdout

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

    def test_a_swapped_set_with_its_own_checksums_reruns_what_reads_it(self, checkout: Checkout) -> None:
        one, other = (checkout.folder / "results/data" / name for name in ("demo_ptbxl", "demo_chapman"))
        one.rename(one.with_name("aside"))
        other.rename(one)
        one.with_name("aside").rename(other)
        jobs = checkout.pending("all")
        assert {"generate": 2, "merge": 1, "classify_real": 3}.items() <= jobs.items()
