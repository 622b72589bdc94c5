"""The tiny study on a real SLURM of one node.

Jobs are cancelled, run out of time or memory, or are killed; the results are those of an undisturbed run.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from checkout import ENVIRONMENT, ROOT, Checkout, copy_project

from ecgpipe.tables.names import TABLES

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]
HERE = Path(__file__).resolve().parent
PACKAGES = ("slurmctld", "slurmd", "slurm-client", "munge")
PROFILE = ("--workflow-profile", "profiles/slurm")
QUICK = ("--slurm-init-seconds-before-status-checks", "3", "--latency-wait", "5")
"""Ask for jobs' states more often than is polite on a cluster that others use."""
TIMED = {"seconds", "records_per_second", "peak_memory_mb"}
FIELDS = ["JobId", "Comment", "JobState", "Partition", "NumCPUs", "MinMemoryNode", "TimeLimit", "RunTime", "TresPerJob"]


def _call(*command: str) -> str:
    return subprocess.run(command, text=True, capture_output=True, check=True, timeout=60).stdout


def _until(condition: Callable[[], bool], what: str, run: subprocess.Popen[bytes], seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert run.poll() is None, f"Snakemake ended before {what}"
        assert time.monotonic() < end, f"waited {seconds:g} s for {what}"
        time.sleep(0.5)


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start SLURM, installing Debian's packages if need be; return the node's name."""
    if os.geteuid() != 0:
        pytest.skip("a SLURM for tests is started by root only")
    if importlib.util.find_spec("snakemake_executor_plugin_slurm") is None:
        pytest.skip("snakemake-executor-plugin-slurm is not installed: pip install 'ecgpipe[cluster]'")
    if not all(shutil.which(name) for name in ("slurmctld", "slurmd", "sbatch", "munged")):
        if shutil.which("apt-get") is None:
            pytest.skip("SLURM is not installed, and there is no apt-get to install it with")
        install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *PACKAGES]
        for command in (["apt-get", "update", "-qq"], install):
            if subprocess.run(command, capture_output=True, check=False, timeout=600).returncode:
                pytest.skip(f"SLURM's packages cannot be installed here: {' '.join(command)} failed")
    folder = tmp_path_factory.mktemp("slurm")
    script = str(HERE / "one_node_slurm.sh")
    try:
        subprocess.run([script, "up", str(folder)], check=True, timeout=120)
        yield _call("hostname", "-s").strip()
    finally:
        subprocess.run([script, "down", str(folder)], check=False, timeout=60)


def _study(folder: Path, faults: list[dict[str, float]] | None = None) -> Checkout:
    """Return a checkout with a study of one dataset; the generator that fails is the same network as ``diffwave``."""
    checkout = copy_project(folder)
    shutil.copyfile(HERE / "pausing.py", folder / "pausing.py")
    checkout.edit(checkout.config, "datasets: [demo_ptbxl, demo_chapman, demo_merged]", "datasets: [demo_ptbxl]")
    checkout.edit(checkout.config, "      steps: 6\n", "      steps: 12\n      checkpoint_seconds: 0\n")
    if faults is not None:
        checkout.edit(checkout.config, "  diffwave:\n", "  diffwave:\n    class: pausing:Pausing\n")
        (folder / "faults.json").write_text(json.dumps(faults))
    return checkout


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """The study of :func:`_study`, done on this machine without a fault."""
    study = _study(tmp_path_factory.mktemp("undisturbed") / "study")
    study.snakemake("all")
    return study


def _same_tables(one: Checkout, other: Checkout) -> None:
    for name in set(TABLES) - {"runtime"}:
        tables = [pd.read_parquet(study.folder / f"results/tables/{name}.parquet") for study in (one, other)]
        kept = [column for column in tables[0].columns if column not in TIMED]
        pd.testing.assert_frame_equal(tables[0][kept], tables[1][kept], check_exact=True)
    assert not list(one.folder.glob("results/**/*.tmp"))


@contextlib.contextmanager
def _submitting(study: Checkout, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run the whole study on SLURM, in a session of its own, without asking for the pretended GPU."""
    rules = yaml.safe_load((ROOT / PROFILE[1] / "config.yaml").read_text())["set-resources"]
    command = study.command("all", *PROFILE, *QUICK, "--set-resources", *(f"{rule}:gpu=0" for rule in rules))
    with open(log, "w") as handle:
        run = subprocess.Popen(
            command, cwd=study.folder, env=ENVIRONMENT, stdout=handle, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        yield run
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(run.pid, signal.SIGKILL)


def _jobs() -> pd.DataFrame:
    """Return all of SLURM's jobs, newest last."""
    found = _call("scontrol", "--oneliner", "show", "job")
    rows = [dict(re.findall(r"(\w+)=(\S*)", line)) for line in found.splitlines() if line.startswith("JobId")]
    table = pd.DataFrame(rows, columns=FIELDS)
    return table.sort_values("JobId", key=lambda ids: ids.astype(int), ignore_index=True)


def _said(study: Checkout, job: str) -> str:
    """Return what a failed job of the generator said."""
    return (study.folder / f".snakemake/slurm_logs/rule_generate/demo_ptbxl_diffwave/{job}.log").read_text()


def _trainings() -> pd.DataFrame:
    """Return the generator's jobs, newest last."""
    jobs = _jobs()
    return jobs[jobs["Comment"].str.contains("generate")]


def _training(state: str) -> str | None:
    """Return the id of the generator's job if its newest one is in a state."""
    jobs = _trainings()
    return str(jobs["JobId"].iloc[-1]) if len(jobs) and jobs["JobState"].iloc[-1] == state else None


@pytest.fixture
def job_table(slurm: str, capsys: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Print SLURM's jobs of the test when it ends."""
    before = set(_jobs()["JobId"])
    yield
    jobs = _jobs()
    with capsys.disabled():
        print(f"\n{jobs[~jobs['JobId'].isin(before)].to_string(index=False)}")


@pytest.mark.usefixtures("job_table")
def test_a_study_cancelled_drained_and_out_of_time_ends_like_an_undisturbed_one(
    slurm: str, undisturbed: Checkout, tmp_path: Path
) -> None:
    earlier = set(_jobs()["JobId"])
    study, log = _study(tmp_path / "slurm", [{"step": 3}, {"step": 3}]), tmp_path / "snakemake.log"
    with _submitting(study, log) as run:
        _until((study.folder / "fault-1").exists, "the training's first start", run)
        _call("scontrol", "update", f"NodeName={slurm}", "State=DRAIN", "Reason=test")
        _call("scancel", str(_training("RUNNING")))
        _until(lambda: _training("PENDING") is not None, "the second submission", run)
        assert "drain" in _call("sinfo", "--noheader", "--format=%T")
        assert not (study.folder / "fault-2").exists()
        _call("scontrol", "update", f"NodeName={slurm}", "State=RESUME")
        _until((study.folder / "fault-2").exists, "the training's second start", run)
        _call("scontrol", "update", f"JobId={_training('RUNNING')}", "EndTime=now")
        run.wait(timeout=900)
    assert run.returncode == 0, log.read_text()[-6000:]
    jobs = _jobs()
    jobs = jobs[~jobs["JobId"].isin(earlier)]
    generate = jobs[jobs["Comment"].str.contains("generate")]
    assert list(generate["JobState"]) == ["CANCELLED", "TIMEOUT", "COMPLETED"]
    assert list(generate["MinMemoryNode"]) == ["4000M", "8000M", "12000M"]
    assert set(jobs.drop(generate.index)["JobState"]) == {"COMPLETED"}
    assert "going on from step" in (study.folder / "results/logs/generate/demo_ptbxl/diffwave.log").read_text()
    assert (study.folder / "results/report/index.html").stat().st_size > 10_000
    _same_tables(study, undisturbed)


@pytest.mark.usefixtures("job_table")
def test_a_study_out_of_memory_and_killed_with_its_snakemake_ends_like_an_undisturbed_one(
    slurm: str, undisturbed: Checkout, tmp_path: Path
) -> None:
    """The training is killed for its memory, then goes on while Snakemake is killed and started again."""
    earlier = set(_jobs()["JobId"])
    rng = np.random.default_rng(7)
    steps = [int(step) for step in rng.integers(2, 5, 3)]
    faults = [{"step": steps[0], "eat": 4.5}, {"step": steps[1]}, {"step": steps[2]}]
    study, logs = _study(tmp_path / "slurm", faults), [tmp_path / f"snakemake-{n}.log" for n in (1, 2)]

    def fault(number: int) -> Path:
        return study.folder / f"fault-{number}"

    with _submitting(study, logs[0]) as run:
        _until(fault(1).exists, "the training's first start", run)
        _until(fault(2).exists, "the training's second start", run)
        time.sleep(rng.uniform(0, 1))
        os.kill(int(fault(2).read_text()), signal.SIGKILL)
        _until(fault(3).exists, "the training's third start", run)
        time.sleep(rng.uniform(0, 1))
        os.killpg(run.pid, signal.SIGKILL)
        run.wait(60)
    assert _training("RUNNING") is not None
    study.snakemake("--unlock")
    with _submitting(study, logs[1]) as run:
        _until(lambda: list(_trainings()["JobState"][-2:]) == ["RUNNING"] * 2, "the training's second submission", run)
        waiting = study.folder / "results/logs/generate/demo_ptbxl/diffwave.log"
        time.sleep(20)  # the second start has come to the lock by now
        (study.folder / "go-on").touch()
        run.wait(timeout=900)
    assert run.returncode == 0, logs[1].read_text()[-6000:]
    jobs = _jobs()
    jobs = jobs[~jobs["JobId"].isin(earlier)]
    generate = jobs[jobs["Comment"].str.contains("generate")]
    assert list(generate["JobState"]) == ["FAILED", "FAILED", "COMPLETED", "COMPLETED"]
    assert "exceeded memory limit" in _said(study, generate["JobId"].iloc[0])
    assert "exceeded memory limit" not in _said(study, generate["JobId"].iloc[1])
    assert list(generate["MinMemoryNode"]) == ["4000M", "8000M", "12000M", "4000M"]
    assert "made by the start that was waited for: kept" in waiting.read_text()
    _same_tables(study, undisturbed)


def test_a_gpu_job_gets_its_gpu_from_slurm(slurm: str, tmp_path: Path) -> None:
    """This node's GPU is pretended: the job starts with one granted, and says that torch sees none."""
    study = _study(tmp_path / "study")
    study.snakemake("data")
    done = study.snakemake("generators", *PROFILE, *QUICK, "--retries", "0", check=False)
    assert done.returncode != 0
    job = _jobs().iloc[-1]
    assert job["Partition"] == "gpu"
    assert job["TresPerJob"] == "gres:gpu:1"
    assert job["JobState"] == "FAILED"
    assert "torch sees no GPU" in (study.folder / "results/logs/generate/demo_ptbxl/diffwave.log").read_text()
