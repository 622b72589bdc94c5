"""A user's own generator or classifier may do anything at its import: one error names the key, and nothing hangs."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from checkout import ROOT, Checkout, copy_project

from ecgpipe.config import ConfigError, validate
from ecgpipe.workflow.code_digest import closure, find_module
from ecgpipe.workflow.distributed import processes_of
from ecgpipe.workflow.generator_check import Asked, AskedClassifier, faults
from ecgpipe.workflow.study import Study

TINY: dict[str, Any] = yaml.safe_load((ROOT / "configs" / "tiny.yaml").read_text())
SOUND = "from ecgpipe.generate.class_mean_pca import GENERATOR\n\n\nclass Mine(GENERATOR):\n    pass\n"
THREAD = "import threading, time\nthreading.Thread(target=time.sleep, args=(600,)).start()\n"
HOSTILE = {
    "exits": ("import sys\nsys.exit(0)\n", "SystemExit: 0"),
    "quits": ("raise SystemExit\n", "SystemExit"),
    "ends": ("import os\nos._exit(0)\n", "ended Python (exit code 0)"),
    "killed": ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n", "ended Python (exit code -9)"),
    "crashes": ("import ctypes\nctypes.string_at(0)\n", "ended Python (exit code -11)"),
    "raises": ("1 / 0\n", "ZeroDivisionError: division by zero"),
    "interrupts": ("raise KeyboardInterrupt\n", "KeyboardInterrupt"),
    "says": ("print('my own word')\nimport os\nos._exit(3)\n", "the last it said was 'my own word'"),
    "asks": ("input('your name? ')\n", "EOFError"),
    "syntax": ("def f(:\n", "SyntaxError"),
    "recursion": ("def f(): f()\nf()\n", "RecursionError"),
    "closes": ("import os\nos.closerange(0, 100)\n1 / 0\n", "division by zero"),
    "moves": ("import os, sys\nos.chdir('/')\nsys.path.clear()\n1 / 0\n", "division by zero"),
}


SPEC = {"rate": 100, "length": 1000, "classes": ["a", "b"], "leads": ["I", "II"]}


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of modules that can be imported."""
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def _asked(module: str, **settings: Any) -> Asked:
    return Asked("mine", f"{module}:Mine", [settings.pop("train", {})], settings.pop("sample", {}), **settings)


@pytest.mark.parametrize("name", HOSTILE)
def test_whatever_an_import_does_is_told_with_the_key(modules: Path, name: str) -> None:
    text, said = HOSTILE[name]
    (modules / f"own_{name}.py").write_text(text + SOUND)
    (fault,) = faults([_asked(f"own_{name}")])
    assert "generator_settings.mine.class" in fault
    assert f"own_{name}" in fault
    assert said in fault


@pytest.mark.parametrize("name", ["exits", "ends", "raises"])
def test_whatever_the_import_of_a_classifier_does_is_told_with_the_key(modules: Path, name: str) -> None:
    text, said = HOSTILE[name]
    (modules / f"own_net_{name}.py").write_text(text)
    (fault,) = faults([AskedClassifier("mine", f"own_net_{name}:Net", {}, SPEC)])
    assert "classifiers.mine.class" in fault
    assert f"own_net_{name}" in fault
    assert said in fault


def test_a_classifier_is_checked_before_any_job_and_only_where_it_is_used(
    modules: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(ROOT / "examples" / "own_classifier")

    def study(user: str, **network: Any) -> Study:
        own = {"class": "log_spectrum:LogSpectrum", "network": network}
        datasets = {name: {**s, "classifier": user} for name, s in TINY["dataset_settings"].items()}
        classifiers = {**TINY["classifiers"], "mine": own}
        return Study(
            validate({**TINY, "dataset_settings": datasets, "classifiers": classifiers}), ROOT / "workflow_scripts"
        )

    study("mine", width=4).check_classes(modules / "checked")
    built_in = next(iter(TINY["classifiers"]))
    study(built_in, depth=4).check_classes(modules / "checked")
    with pytest.raises(ConfigError, match=r"classifiers\.mine\.network\.depth`: no such key"):
        study("mine", depth=4).check_classes(modules / "checked")


def test_an_import_that_does_not_end_is_ended_with_all_that_it_started(modules: Path) -> None:
    (modules / "own_sleeps.py").write_text(
        "import subprocess, time\nchild = subprocess.Popen(['sleep', '612'])\n"
        "open(__file__ + '.pid', 'w').write(str(child.pid))\ntime.sleep(600)\n"
    )
    began = time.monotonic()
    (fault,) = faults([_asked("own_sleeps")], patience=20)
    assert time.monotonic() - began < 60
    assert "`generator_settings.mine.class`" in fault
    assert "own_sleeps" in fault
    assert "took more than 20 s" in fault
    command = Path("/proc", (modules / "own_sleeps.py.pid").read_text(), "cmdline")
    end = time.monotonic() + 30
    while command.exists() and "sleep" in command.read_text():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_threads_that_an_import_starts_are_not_waited_for(modules: Path) -> None:
    (modules / "own_threads.py").write_text(THREAD + SOUND)
    assert faults([_asked("own_threads")]) == []


def test_a_sound_module_has_no_faults_and_those_before_a_bad_one_are_told(modules: Path) -> None:
    (modules / "own_sound.py").write_text(SOUND)
    (modules / "own_bad.py").write_text("import os\nos._exit(0)\n")
    wrong = _asked("own_sound", train={"nonsense": 1})
    found = faults([wrong, _asked("own_bad"), _asked("own_sound")])
    assert "`generator_settings.mine.train.nonsense`: no such key" in found[0]
    assert "own_bad" in found[1]
    assert len(found) == 2


def test_settings_that_raise_when_they_are_checked_are_told(modules: Path) -> None:
    (modules / "own_settings.py").write_text(
        "from ecgpipe.generate.class_mean_pca import GENERATOR\nfrom pydantic import model_validator\n\n\n"
        "class Mine(GENERATOR):\n    class Settings(GENERATOR.Settings):\n"
        "        @model_validator(mode='after')\n        def check(self):\n            raise RuntimeError('odd')\n"
    )
    (fault,) = faults([_asked("own_settings")])
    assert "`generator_settings.mine.class`" in fault
    assert "RuntimeError: odd" in fault


@pytest.mark.parametrize(("processes", "fine"), [(1, True), (2, True), (4, True), (3, False), (16, False)])
def test_batches_that_processes_cannot_share_are_told(processes: int, fine: bool) -> None:
    found = faults([Asked("diffwave", None, [{"preset": "small", "draft": "none", "batch": 8}], {}, processes)])
    if fine:
        assert found == []
        return
    (fault,) = found
    assert "`compute.processes`" in fault
    assert "`generator_settings.diffwave.train.batch`" in fault


@pytest.mark.parametrize(("processes", "gpus", "number"), [(3, 0, 3), (3, 2, 2), (4, 3, 3), (4, 8, 4), (1, 8, 1)])
def test_on_gpus_there_are_no_more_processes_than_gpus(processes: int, gpus: int, number: int) -> None:
    assert processes_of(processes, gpus) == number


@pytest.mark.parametrize(("gpus", "fine"), [(0, False), (1, True), (2, True), (3, False), (8, False)])
def test_batches_are_held_against_the_gpus_that_there_are(tmp_path: Path, gpus: int, fine: bool) -> None:
    compute = {**TINY["compute"], "processes": 3}
    settings = {"diffwave": {"train": {"preset": "small", "draft": "none", "batch": 8}}}
    study = Study(validate({**TINY, "compute": compute, "generator_settings": settings}), ROOT / "workflow_scripts")
    if fine:
        study.check_classes(tmp_path, gpus=gpus)
    else:
        with pytest.raises(ConfigError, match=r"among 3 processes"):
            study.check_classes(tmp_path, gpus=gpus)


def test_batches_of_every_stage_are_looked_at() -> None:
    train = {"preset": "small", "lf_prior": {"batch": 9}}
    found = faults([Asked("time_vqvae", None, [train], {}, 2)])
    assert any("`generator_settings.time_vqvae.train.lf_prior.batch`" in fault for fault in found)


def test_a_module_is_found_without_importing_what_it_lies_in(modules: Path) -> None:
    (modules / "own_package").mkdir()
    (modules / "own_package" / "__init__.py").write_text("raise SystemExit(0)\n")
    (modules / "own_package" / "inner.py").write_text(SOUND)
    assert find_module("own_package.inner") is not None
    assert find_module("own_package.other") is None
    assert find_module("own_nothing.inner") is None
    assert "own_package.inner" in closure(None, ["own_package.inner"])
    study = Study(validate(_config("own_package.inner:Mine")), ROOT / "workflow_scripts")
    with pytest.raises(ConfigError, match=r"generator_settings.mine.class.*SystemExit"):
        study.check_classes(modules / "checked")
    assert "own_package" not in sys.modules


def test_a_source_file_may_name_its_own_encoding(modules: Path) -> None:
    (modules / "own_latin.py").write_bytes(b"# -*- coding: latin-1 -*-\nNAME = '\xe9'\n" + SOUND.encode())
    assert faults([_asked("own_latin")]) == []
    study = Study(validate(_config("own_latin:Mine")), ROOT / "workflow_scripts")
    assert study.generator_code("generate", "mine")


def _config(dotted: str) -> dict[str, Any]:
    return {**TINY, "generators": ["mine"], "generator_settings": {"mine": {"class": dotted}}}


def _own(checkout: Checkout, text: str) -> None:
    (checkout.folder / "own_module.py").write_text(text + SOUND)
    (checkout.folder / checkout.config).write_text(yaml.safe_dump(_config("own_module:Mine")))


@pytest.mark.workflow
@pytest.mark.xdist_group("workflow")
@pytest.mark.parametrize("name", ["exits", "ends"])
def test_snakemake_does_not_end_well_with_a_module_that_ends_python(tmp_path: Path, name: str) -> None:
    checkout = copy_project(tmp_path / "project")
    text, _ = HOSTILE[name]
    _own(checkout, text)
    done = subprocess.run(
        checkout.command("all"), cwd=checkout.folder, text=True, capture_output=True, check=False, timeout=240
    )
    assert done.returncode != 0
    assert "generator_settings.mine.class" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert not (checkout.folder / "results").exists()


LATE = """
class Late(GENERATOR):
    def fit(self, *args, **kwargs):
        raise SystemExit(0)


Mine = Late
"""


@pytest.mark.workflow
@pytest.mark.xdist_group("workflow")
def test_a_generator_that_ends_python_in_training_is_no_success(checkout: Checkout) -> None:
    (checkout.folder / "own_module.py").write_text(SOUND + LATE)
    config = {**TINY, "generators": ["diffwave", "mine"]}
    config["generator_settings"] = {**TINY["generator_settings"], "mine": {"class": "own_module:Mine"}}
    (checkout.folder / checkout.config).write_text(yaml.safe_dump(config))
    done = checkout.snakemake("results/generators/demo_ptbxl/mine/model.json", check=False)
    assert done.returncode != 0
    assert "called sys.exit(0) before its results were made" in done.stdout + done.stderr
