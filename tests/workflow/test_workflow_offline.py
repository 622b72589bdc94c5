"""Once the data are there, a study goes through on a machine without a network."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from acquire.physionet_server import PhysioNetServer
from checkout import ENVIRONMENT, Checkout, copy_project

from ecgpipe.config import SimulatedSource
from ecgpipe.simulator.run import simulate

pytestmark = [pytest.mark.long, pytest.mark.workflow, pytest.mark.xdist_group("workflow")]

REFUSE = """
import sys

def refuse(event, args):
    asks = event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.sendto")
    # An address that is a text is a path on this machine.
    if asks or (event == "socket.connect" and not isinstance(args[1], (str, bytes))):
        with open({noted!r}, "a") as file:
            print(event, args[1:], sys.argv, file=file)
        raise OSError("this machine is offline")

sys.addaudithook(refuse)
"""


@pytest.fixture
def offline(tmp_path: Path) -> tuple[dict[str, str], Path]:
    """Return variables that let no Python process reach a network, and the file that notes who tried."""
    noted = tmp_path / "tried.txt"
    folder = tmp_path / "offline"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(REFUSE.format(noted=str(noted)))
    return {"PYTHONPATH": str(folder)}, noted


def _simulated_physionet(checkout: Checkout, served: Path) -> None:
    """Let the tiny study ask a server in ``served`` for PTB-XL, which is simulated, and judge one quick generator."""
    source = SimulatedSource(kind="simulated", records=120, seed=11)
    project = served / "files" / "ptb-xl" / "1.0.3"
    project.parent.mkdir(parents=True)
    simulate(source, "ptbxl", 100, project)
    path = checkout.folder / checkout.config
    config = yaml.safe_load(path.read_text())
    config |= {"datasets": ["demo_ptbxl"], "generators": ["class_mean_pca"], "generator_settings": {}}
    config["dataset_settings"]["demo_ptbxl"]["source"] = {"kind": "physionet", "slug": "ptb-xl", "version": "1.0.3"}
    path.write_text(yaml.safe_dump(config))


def test_the_refusal_refuses(offline: tuple[dict[str, str], Path]) -> None:
    variables, noted = offline
    connect = "import socket; socket.create_connection(('127.0.0.1', 9))"
    done = subprocess.run(
        [sys.executable, "-c", connect], env={**ENVIRONMENT, **variables}, text=True, capture_output=True, check=False
    )
    assert "this machine is offline" in done.stderr
    assert noted.exists()


def test_a_study_whose_data_are_there_needs_no_network(tmp_path: Path, offline: tuple[dict[str, str], Path]) -> None:
    checkout = copy_project(tmp_path / "project")
    _simulated_physionet(checkout, tmp_path / "served")
    with PhysioNetServer(tmp_path / "served") as server:
        checkout.variables = {"ECGPIPE_PHYSIONET": server.url}
        checkout.snakemake("results/raw/demo_ptbxl.parquet")
    variables, noted = offline
    checkout.variables |= variables
    checkout.snakemake("all")
    assert (checkout.folder / "results/report/index.html").stat().st_size > 10_000
    assert not noted.exists(), noted.read_text()
