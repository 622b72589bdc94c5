"""Whatever ends a job or Snakemake, a rerun goes on and ends with the same results."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from checkout import ENVIRONMENT, Checkout

from ecgpipe.tables.names import TABLES

pytestmark = [pytest.mark.long, pytest.mark.workflow, pytest.mark.xdist_group("workflow")]
TIMED = ["seconds", "records_per_second", "peak_memory_mb"]
GENERATOR = "results/generators/demo_ptbxl/diffwave"
SAMPLES = "results/samples/demo_ptbxl/diffwave"
AUGMENTATION = "results/classifiers/demo_ptbxl/diffwave/augmentation"


def _value(command: list[str], name: str, value: str | None = None) -> str:
    """Return an argument of a command; give it another value if there is one."""
    place = command.index(name) + 1
    if value is not None:
        command[place] = value
    return command[place]


def _elsewhere(study: Checkout, output: str, folder: Path, **train: object) -> list[str]:
    """Return a finished study's job, writing to ``folder``; ``train`` changes a generator's training."""
    command = study.job(output)
    for name, path in (
        ("--out", "out"),
        ("--state", "state"),
        ("--log", "log"),
        ("--provenance", "out/provenance.json"),
    ):
        _value(command, name, str(folder / path))
    start, end = command.index("--outputs") + 1, command.index("--code")
    command[start:end] = [str(folder / "out" / Path(name).name) for name in command[start:end]]
    settings = json.loads(_value(command, "--settings"))
    if train:
        settings["train"].update(train)
    _value(command, "--settings", json.dumps(settings))
    return command


def _run(study: Checkout, command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=study.folder, env=ENVIRONMENT, text=True, capture_output=True, check=False)


def _wait(process: subprocess.Popen[str], condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 120
    while process.poll() is None and not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def _checkpoints(state: Path) -> dict[Path, int]:
    """Return the times at which the checkpoints were written; a running job may remove one while they are listed."""
    found = {}
    for path in state.glob("*/*.safetensors"):
        with contextlib.suppress(FileNotFoundError):
            found[path] = path.stat().st_mtime_ns
    return found


def _whole(folder: Path) -> None:
    """Assert that each file that is there can be read."""
    for path in folder.glob("*.parquet"):
        pd.read_parquet(path)
    for path in folder.glob("*.json"):
        json.loads(path.read_text())
    for path in folder.glob("*.npy"):
        np.load(path)


def _same(one: Path, other: Path) -> None:
    """Assert that two folders hold the same files: bit for bit, but for what tells time and memory."""
    names = {path.name for path in one.iterdir()}
    assert names == {path.name for path in other.iterdir()}
    for name in names - {"provenance.json"}:
        if name in ("history.parquet", "training.parquet"):
            frames = [pd.read_parquet(folder / name).drop(columns=TIMED, errors="ignore") for folder in (one, other)]
            pd.testing.assert_frame_equal(*frames, check_exact=True)
        else:
            assert (one / name).read_bytes() == (other / name).read_bytes(), name


def _kill(process: subprocess.Popen[str]) -> None:
    process.kill()


def _terminate(process: subprocess.Popen[str]) -> None:
    process.terminate()  # what a scheduler sends at the time limit


def _starve(process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(ProcessLookupError):
        resource.prlimit(process.pid, resource.RLIMIT_AS, (2**27, 2**27))


@pytest.mark.parametrize(
    ("output", "train", "faults"),
    [
        (f"{GENERATOR}/model.json", {"steps": 90, "checkpoint_seconds": 0}, [_kill, _terminate, _kill]),
        (f"{AUGMENTATION}/training.parquet", {}, [_kill, _starve]),
    ],
    ids=["generate", "classify"],
)
def test_a_job_that_was_ended_goes_on(
    finished: Checkout,
    tmp_path: Path,
    output: str,
    train: dict[str, object],
    faults: list[Callable[[subprocess.Popen[str]], None]],
) -> None:
    """End a training at random moments after its first checkpoint; the last start ends like one that was let be."""
    undisturbed = finished.folder / Path(output).parent
    if train:
        undisturbed = tmp_path / "undisturbed" / "out"
        assert _run(finished, _elsewhere(finished, output, undisturbed.parent, **train)).returncode == 0
    command = _elsewhere(finished, output, tmp_path / "ended", **train)
    state, out, log = (tmp_path / "ended" / name for name in ("state", "out", "log"))
    moments = np.random.default_rng(7).uniform(0, 0.3 if train else 0.03, len(faults))  # classifiers take little
    for moment, fault in zip(moments, faults, strict=True):
        before = _checkpoints(state)
        process = subprocess.Popen(command, cwd=finished.folder, env=ENVIRONMENT, text=True, stderr=subprocess.DEVNULL)

        def further(before: dict[Path, int] = before) -> bool:
            return _checkpoints(state) != before

        _wait(process, further)
        time.sleep(moment)
        fault(process)
        assert process.wait(60) != 0, "it was done before it could be ended"
        _whole(out)
        assert not (out / "provenance.json").exists()
    done = _run(finished, command)
    assert done.returncode == 0, done.stderr
    assert "going on from step" in log.read_text() or "done before, kept" in log.read_text()
    assert not list(state.rglob("*.safetensors"))
    _same(out, undisturbed)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("a small file system can be mounted by root only")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr.decode().strip()}")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


def test_a_full_disk_leaves_nothing_half(finished: Checkout, small_disk: Path) -> None:
    command = _elsewhere(finished, f"{SAMPLES}/records.parquet", small_disk)
    _value(command, "--log", str(small_disk.with_name("log")))
    done = _run(finished, command)
    assert done.returncode == 1
    assert "No space left on device" in done.stderr or "is the disk full?" in done.stderr
    assert not list((small_disk / "out").glob("*")) if (small_disk / "out").exists() else True
    subprocess.run(["mount", "-o", "remount,size=64m", small_disk], check=True)
    assert _run(finished, command).returncode == 0
    _same(small_disk / "out", finished.folder / SAMPLES)


def test_snakemake_killed_goes_on_to_the_same_tables(finished: Checkout, checkout: Checkout) -> None:
    folder = checkout.folder / "results/classifiers/demo_ptbxl/diffwave/transfer"
    (folder / "predictions.parquet").unlink()
    (checkout.folder / "results/tables/summary.parquet").unlink()
    log = checkout.folder / "results/logs/classify/demo_ptbxl/diffwave/transfer.log"
    for moment in np.random.default_rng(7).uniform(0, 1, 2):
        log.unlink(missing_ok=True)
        checkout.snakemake("--unlock")
        process = subprocess.Popen(
            checkout.command("all"),
            cwd=checkout.folder,
            env=ENVIRONMENT,
            text=True,
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        _wait(process, log.exists)
        time.sleep(moment)
        os.killpg(process.pid, signal.SIGKILL)
        assert process.wait(60) != 0
        _whole(folder)
    locked = checkout.snakemake("all", check=False)
    assert locked.returncode != 0
    assert "--unlock" in locked.stdout + locked.stderr
    checkout.snakemake("--unlock")
    checkout.snakemake("all")
    for name in set(TABLES) - {"runtime", "training"}:
        path = f"results/tables/{name}.parquet"
        assert (checkout.folder / path).read_bytes() == (finished.folder / path).read_bytes(), name
    _same(folder, finished.folder / folder.relative_to(checkout.folder))
    assert not list(checkout.folder.glob("results/**/*.tmp"))


FAILING = """
from ecgpipe.generate.class_mean_pca import GENERATOR


class Failing(GENERATOR):
    def fit(self, *args, **kwargs):
        raise RuntimeError("this generator fails")
"""


def test_a_failing_generator_leaves_the_rest_and_is_named(checkout: Checkout) -> None:
    (checkout.folder / "failing.py").write_text(FAILING)
    checkout.edit(checkout.config, "generators: [diffwave]", "generators: [diffwave, failing]")
    checkout.edit(
        checkout.config, "generator_settings:\n", "generator_settings:\n  failing:\n    class: failing:Failing\n"
    )
    done = checkout.snakemake("all", "--keep-going", check=False)
    assert done.returncode != 0
    assert "this generator fails" in (checkout.folder / "results/logs/generate/demo_ptbxl/failing.log").read_text()
    page = (checkout.folder / "results/partial/report/index.html").read_text()
    assert "no augmentation results of failing on demo_ptbxl" in page
    assert "no transfer results of failing on demo_merged" in page
    assert "results of diffwave on" not in page
    partial = pd.read_parquet(checkout.folder / "results/partial/tables/classification.parquet")
    whole = pd.read_parquet(checkout.folder / "results/tables/classification.parquet")
    pd.testing.assert_frame_equal(partial, whole, check_exact=True)
