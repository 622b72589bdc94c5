"""The tiny study on a real SLURM of one node: cancelled, out of time, node drained; the same results as undisturbed."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

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


def _study(folder: Path, generator: str) -> Checkout:
    """Return a checkout with a study of one dataset; ``pausing`` is the same network as ``diffwave``."""
    checkout = copy_project(folder)
    shutil.copyfile(HERE / "pausing.py", folder / "pausing.py")
    checkout.edit(checkout.config, "datasets: [demo_ptbxl, demo_chapman, demo_merged]", "datasets: [demo_ptbxl]")
    checkout.edit(checkout.config, "      steps: 6\n", "      steps: 6\n      checkpoint_seconds: 0\n")
    if generator == "pausing":
        checkout.edit(checkout.config, "  diffwave:\n", "  diffwave:\n    class: pausing:Pausing\n")
    return checkout


def _jobs() -> pd.DataFrame:
    """Return all of SLURM's jobs, newest last."""
    found = _call("scontrol", "--oneliner", "show", "job")
    rows = [dict(re.findall(r"(\w+)=(\S*)", line)) for line in found.splitlines() if line.startswith("JobId")]
    table = pd.DataFrame(rows, columns=FIELDS)
    return table.sort_values("JobId", key=lambda ids: ids.astype(int), ignore_index=True)


def _training(state: str) -> str | None:
    """Return the id of the generator's job if its newest one is in a state."""
    jobs = _jobs()
    jobs = jobs[jobs["Comment"].str.contains("generate")]
    return str(jobs["JobId"].iloc[-1]) if len(jobs) and jobs["JobState"].iloc[-1] == state else None


def test_tiny_study_with_faults_ends_like_an_undisturbed_one(
    slurm: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = _study(tmp_path / "slurm", "pausing")
    log = tmp_path / "snakemake.log"
    rules = yaml.safe_load((ROOT / PROFILE[1] / "config.yaml").read_text())["set-resources"]
    command = study.command("all", *PROFILE, *QUICK, "--set-resources", *(f"{rule}:gpu=0" for rule in rules))
    with open(log, "w") as handle:
        run = subprocess.Popen(command, cwd=study.folder, env=ENVIRONMENT, stdout=handle, stderr=subprocess.STDOUT)
    try:
        _until((study.folder / "paused-1").exists, "the training's first start", run)
        _call("scontrol", "update", f"NodeName={slurm}", "State=DRAIN", "Reason=test")
        _call("scancel", str(_training("RUNNING")))
        _until(lambda: _training("PENDING") is not None, "the second submission", run)
        assert "drain" in _call("sinfo", "--noheader", "--format=%T")
        assert not (study.folder / "paused-2").exists()
        _call("scontrol", "update", f"NodeName={slurm}", "State=RESUME")
        _until((study.folder / "paused-2").exists, "the training's second start", run)
        _call("scontrol", "update", f"JobId={_training('RUNNING')}", "EndTime=now")
        undisturbed = _study(tmp_path / "undisturbed", "diffwave")
        undisturbed.snakemake("all")
        run.wait(timeout=600)
    finally:
        run.kill()
        jobs = _jobs()
        with capsys.disabled():
            print(f"\n{jobs.to_string(index=False)}")
    assert run.returncode == 0, log.read_text()[-6000:]
    generate = jobs[jobs["Comment"].str.contains("generate")]
    assert list(generate["JobState"]) == ["CANCELLED", "TIMEOUT", "COMPLETED"]
    assert list(generate["MinMemoryNode"]) == ["4000M", "8000M", "12000M"]
    assert set(jobs.drop(generate.index)["JobState"]) == {"COMPLETED"}
    assert "going on from step" in (study.folder / "results/logs/generate/demo_ptbxl/diffwave.log").read_text()
    assert (study.folder / "results/report/index.html").stat().st_size > 10_000
    for name in set(TABLES) - {"runtime"}:
        one, other = (pd.read_parquet(s.folder / f"results/tables/{name}.parquet") for s in (study, undisturbed))
        kept = [column for column in one.columns if column not in TIMED]
        pd.testing.assert_frame_equal(one[kept], other[kept], check_exact=True)


def test_a_gpu_job_gets_its_gpu_from_slurm(slurm: str, tmp_path: Path) -> None:
    """This node's GPU is pretended: the job starts with one granted, and says that torch sees none."""
    study = _study(tmp_path / "study", "diffwave")
    study.snakemake("data")
    done = study.snakemake("generators", *PROFILE, *QUICK, "--retries", "0", check=False)
    assert done.returncode != 0
    job = _jobs().iloc[-1]
    assert job["Partition"] == "gpu"
    assert job["TresPerJob"] == "gres:gpu:1"
    assert job["JobState"] == "FAILED"
    assert "torch sees no GPU" in (study.folder / "results/logs/generate/demo_ptbxl/diffwave.log").read_text()
