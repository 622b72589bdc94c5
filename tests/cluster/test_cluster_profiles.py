"""Every profile is read by Snakemake, and plans the same jobs as the default one."""

from __future__ import annotations

import importlib.util
import shlex
from collections import Counter
from pathlib import Path

import pytest
import yaml
from checkout import Checkout, copy_project

from ecgpipe.workflow.jobs import JOBS
from ecgpipe.workflow.pending import pending

pytestmark = [pytest.mark.cluster]
ROOT = Path(__file__).resolve().parents[2]
PROFILES = sorted(path.parent.name for path in ROOT.glob("profiles/*/config.yaml"))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    return copy_project(tmp_path_factory.mktemp("profiles") / "project")


@pytest.mark.parametrize("name", PROFILES)
def test_profile_plans_the_whole_study(project: Checkout, name: str) -> None:
    executor = yaml.safe_load((ROOT / "profiles" / name / "config.yaml").read_text()).get("executor")
    if executor is not None and importlib.util.find_spec(f"snakemake_executor_plugin_{executor}") is None:
        pytest.skip(f"snakemake-executor-plugin-{executor} is not installed: pip install 'ecgpipe[cluster]'")
    planned = project.pending("all", "--workflow-profile", f"profiles/{name}")
    assert planned == project.pending("all")
    assert planned["classify_transfer"] == 3
    # Jobs of groups are printed in another form.
    read = pending(["all", "--workflow-profile", f"profiles/{name}", "--configfile", project.config], project.folder)
    assert Counter(job.rule for job in read) == planned


def test_kubernetes_runs_a_command_that_plans_the_whole_study(project: Checkout) -> None:
    job = yaml.safe_load((ROOT / "profiles/kubernetes/job.yaml").read_text())
    assert (job["apiVersion"], job["kind"]) == ("batch/v1", "Job")
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
    unlock, run = (shlex.split(command) for command in container["args"][0].split(";"))
    assert unlock == ["snakemake", "--unlock"]
    assert run[0] == "snakemake"
    assert f"gpu={container['resources']['limits']['nvidia.com/gpu']}" in run
    assert project.pending(*run[1:]) == project.pending("all")


def test_rules_that_ask_for_a_gpu_have_its_partition() -> None:
    """A rule with a GPU that the profile forgets would wait for ever in a partition without one."""
    profile = yaml.safe_load((ROOT / "profiles/slurm/config.yaml").read_text())
    on_gpu = {rule for rule, what in profile["set-resources"].items() if what["slurm_partition"] == "gpu"}
    assert on_gpu == {kind.rule for kind in JOBS.values() if kind.networks}
    assert set(profile["groups"]) <= set(JOBS)
