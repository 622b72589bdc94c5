"""What a notebook, a shell or a launcher has set does not reach a job: plotting backend, locale, Python's variables."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from checkout import ENVIRONMENT, ROOT, Checkout, copy_project

from ecgpipe.workflow.environment import FIXED, INSTALLED, THREADS, checkout_fault, clean, installed_first

HOSTILE = {
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    "MATPLOTLIBRC": "/nowhere/matplotlibrc",
    "LC_ALL": "xx_YY.ISO-8859-1",
    "LANG": "tr_TR",
    "PYTHONUTF8": "0",
    "PYTHONIOENCODING": "ascii",
    "PYTHONSAFEPATH": "1",
    "PYTHONOPTIMIZE": "2",
    "PYTHONPROFILEIMPORTTIME": "1",
    "PYTHONHASHSEED": "random",
    "OMP_NUM_THREADS": "63",
    "NUMEXPR_MAX_THREADS": "many",
    "LOCAL_RANK": "1",
    "RANK": "1",
    "WORLD_SIZE": "2",
    "TORCHELASTIC_RUN_ID": "x",
    "MASTER_ADDR": "nowhere.invalid",
    "PET_NNODES": "2",
    "TQDM_NCOLS": "many",
    "CDPATH": "/usr",
    "GIT_DIR": "/nowhere/.git",
    "JOBLIB_START_METHOD": "nonsense",
    "PANDAS_FUTURE_INFER_STRING": "1",
    "PANDAS_COPY_ON_WRITE": "1",
    "SKLEARN_WORKING_MEMORY": "much",
    "SCIPY_ARRAY_API": "1",
    "SOURCE_DATE_EPOCH": "yesterday",
    "ATEN_CPU_CAPABILITY": "default",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
    "OPENBLAS_CORETYPE": "Nehalem",
    "MKL_CBWR": "COMPATIBLE",
    "NPY_DISABLE_CPU_FEATURES": "AVX2",
    "NVIDIA_TF32_OVERRIDE": "1",
    "TORCH_LOGS": "nonsense",
    "OMP_THREAD_LIMIT": "1",
    "OMP_SCHEDULE": "rubbish",
    "GOMP_CPU_AFFINITY": "0",
    "KMP_AFFINITY": "rubbish",
}
"""Values that are sound, or do no harm, to Snakemake itself."""


def test_hostile_variables_are_gone_and_others_stay() -> None:
    kept = {
        "HOME": "/root",
        "KMP_DUPLICATE_LIB_OK": "1",
        "CUDA_VISIBLE_DEVICES": "1",
        "PYTHONPATH": "/own",
        "ECGPIPE_PHYSIONET": "/data",
    }
    variables = {**HOSTILE, **kept, "PYTHONHOME": "/nowhere", "PYTHONWARNINGS": "error", "BASH_ENV": "/x"}
    clean(variables, threads=3)
    assert variables == {**kept, **FIXED, **dict.fromkeys(THREADS, "3")}


def test_a_process_of_torchrun_keeps_its_rank() -> None:
    variables = {"LOCAL_RANK": "1", "MASTER_ADDR": "a", "TORCHELASTIC_RUN_ID": "x", "PYTHONWARNINGS": "error"}
    clean(variables, launched=True)
    assert variables == {"LOCAL_RANK": "1", "MASTER_ADDR": "a", "TORCHELASTIC_RUN_ID": "x", **FIXED}


def test_installed_packages_come_before_those_of_pythonpath(tmp_path: Path) -> None:
    path = ["/checkout", str(tmp_path / "own"), "/usr/lib", "/site-packages"]
    wanted = ["/checkout", "/usr/lib", "/site-packages", str(tmp_path / "own")]
    assert installed_first(path, f"{tmp_path}/own/:") == wanted
    assert installed_first(path, "") == path


def test_modules_beside_the_snakefile_that_would_hide_others_are_found(tmp_path: Path) -> None:
    for name in ("statistics.py", "torch.py", "mine.py", "random.txt"):
        (tmp_path / name).touch()
    for name in ("yaml", "docs", "calendar"):
        (tmp_path / name).mkdir()
    (tmp_path / "yaml" / "__init__.py").touch()
    fault = checkout_fault(tmp_path)
    assert fault is not None
    assert fault.startswith(f"statistics.py, torch.py, yaml in {tmp_path} would be imported")
    assert checkout_fault(ROOT) is None


def test_a_checkout_whose_path_has_braces_is_told(tmp_path: Path) -> None:
    fault = checkout_fault(tmp_path / "a{b}")
    assert fault is not None
    assert "braces" in fault


def test_packages_that_could_be_hidden_are_those_that_the_project_declares() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    names = {name.split(">")[0].split("<")[0] for name in declared}
    assert names == {{"sklearn": "scikit-learn", "yaml": "pyyaml"}.get(name, name) for name in INSTALLED}


JOB = """
import json, logging, os, sys
sys.path.insert(0, sys.argv.pop(1))
import _repository
from ecgpipe.workflow.arguments import job_parser
from ecgpipe.workflow.running import running

args = job_parser("A job.").parse_args()
with running(args, threads=2) as ready:
    ready()
    import matplotlib, numpy
    import torch
    print(json.dumps([matplotlib.get_backend(), numpy.__file__, torch.get_num_threads(), ascii("\\u0142")]))
"""


def _job(folder: Path, log: str = "log", **variables: str) -> subprocess.CompletedProcess[str]:
    (folder / "job.py").write_text(JOB)
    command = [sys.executable, "job.py", str(ROOT / "workflow_scripts"), "--log", log]
    environment = {**ENVIRONMENT, **variables}
    return subprocess.run(command, cwd=folder, env=environment, text=True, capture_output=True, check=False)


def test_a_job_that_is_started_by_hand_is_clean_too(tmp_path: Path) -> None:
    shadow = tmp_path / "shadow"
    shadow.mkdir()
    for name in ("numpy", "torch", "pandas"):
        (shadow / f"{name}.py").write_text("raise ImportError('of another Python')\n")
    done = _job(tmp_path, MPLBACKEND=HOSTILE["MPLBACKEND"], OMP_NUM_THREADS="63", PYTHONPATH=str(shadow))
    assert done.returncode == 0, done.stderr
    assert '["agg"' in done.stdout.lower()
    assert "site-packages" in done.stdout
    assert ", 2, " in done.stdout


@pytest.mark.parametrize("streams", [(0,), (1,), (2,), (1, 2), (0, 1, 2)], ids=str)
def test_closed_streams_do_no_harm(tmp_path: Path, streams: tuple[int, ...]) -> None:
    (tmp_path / "job.py").write_text(
        JOB.replace("ready()", "ready(), sys.stderr.write('said'), sys.stdout.write('said')")
    )
    closed = "exec " + " ".join(f"{number}>&-" for number in streams)
    command = [sys.executable, "job.py", str(ROOT / "workflow_scripts"), "--log", "log"]
    done = subprocess.run(
        ["bash", "-c", f'{closed}; exec "$@"', "bash", *command],
        cwd=tmp_path,
        env=ENVIRONMENT,
        text=True,
        capture_output=True,
        check=False,
    )
    log = (tmp_path / "log").read_text()
    assert done.returncode == 0, log
    assert log.splitlines()[-1].endswith("INFO done")
    assert log.splitlines()[0].count("started:") == 1


@pytest.mark.parametrize("log", ["file/log", "file/deeper/log", "folder", "/proc/nowhere/log", "x" * 300 + "/log"])
def test_a_log_that_cannot_be_written_is_told_in_one_sentence(tmp_path: Path, log: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    done = _job(tmp_path, log)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if "WARNING" not in line]
    assert len(lines) == 1
    assert lines[0].startswith(f"ERROR: the log {log} cannot be written")


@pytest.mark.workflow
@pytest.mark.xdist_group("workflow")
def test_the_report_is_the_same_in_hostile_surroundings(checkout: Checkout, tmp_path: Path) -> None:
    """Pictures, tables in UTF-8 and the whole of the last job, from Snakemake's start on."""
    page = checkout.folder / "results/report/index.html"
    before = page.read_bytes()
    shadow = tmp_path / "shadow"
    shadow.mkdir()
    for name in ("matplotlib", "torch", "scipy", "pyarrow"):
        (shadow / f"{name}.py").write_text("raise ImportError('of another Python')\n")
    (tmp_path / "bash_env").write_text("exit 0\n")
    hostile = {**HOSTILE, "PYTHONPATH": str(shadow), "BASH_ENV": str(tmp_path / "bash_env")}
    hostile |= {"BASH_FUNC_python%%": "() { echo not python; }"}
    checkout.variables.update({key: value for key, value in hostile.items() if os.environ.get(key) != value})
    checkout.snakemake("report", "--forcerun", "report_page")
    assert len(page.read_bytes()) == pytest.approx(len(before), rel=0.02)
    log = (checkout.folder / "results/logs/report.log").read_text()
    assert "done" in log.splitlines()[-1]


@pytest.mark.workflow
@pytest.mark.xdist_group("workflow")
def test_a_module_that_hides_another_is_told_before_any_job(tmp_path: Path) -> None:
    checkout = copy_project(tmp_path / "project")
    (checkout.folder / "statistics.py").write_text("raise SystemExit(0)\n")
    done = subprocess.run(
        ["snakemake", "--configfile", checkout.config, "--cores", "1", "all"],
        cwd=checkout.folder,
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode != 0
    assert "statistics.py in" in done.stdout + done.stderr
    assert not (checkout.folder / "results").exists()
