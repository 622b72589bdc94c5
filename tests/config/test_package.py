"""The package that is published: a wheel with all that the code reads, and the sources that build it."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the source distribution of the files that git tracks."""
    folder = tmp_path_factory.mktemp("package")
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    for name in filter(None, tracked.decode().split("\0")):
        target = folder / "project" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((ROOT / name).read_bytes())
    command = [sys.executable, "-m", "build", "--outdir", str(folder / "dist"), str(folder / "project")]
    done = subprocess.run(command, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder / "dist"


def test_the_wheel_holds_every_file_that_the_package_reads(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("ecgpipe/")}
    ours = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "ecgpipe").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert packed == ours


def test_the_sources_hold_licence_and_readme(built: Path) -> None:
    (sources,) = built.glob("*.tar.gz")
    with tarfile.open(sources) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"LICENSE", "README.md", "pyproject.toml", "ecgpipe/preprocess/rhythms7.csv"} <= names


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of a new environment that has the wheel, and this one's other packages."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    (wheel,) = built.glob("*.whl")
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", "--no-index"]
    done = subprocess.run([*command, str(wheel)], text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    # Only its folder: the editable installation of this checkout, which is a finder, does not come with it.
    (site,) = (folder / "lib").glob("python*/site-packages")
    (site / "packages.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    return python.parent


def _run(installed: Path, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    environment["PATH"] = f"{installed}{os.pathsep}{environment['PATH']}"
    return subprocess.run(
        [str(installed / words[0]), *words[1:]],
        cwd=folder,
        env=environment,
        text=True,
        capture_output=True,
        check=False,
    )


def test_the_installed_wheel_works_outside_the_repository(installed: Path, tmp_path: Path) -> None:
    code = (
        "import ecgpipe, ecgpipe.report.run, ecgpipe.preprocess.labels as labels; "
        "from ecgpipe.generate.registry import load_class; load_class('class_mean_pca', None); "
        "print(ecgpipe.__file__)"
    )
    done = _run(installed, tmp_path, "python", "-c", code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(installed.parent))


def test_the_installed_command_works_outside_the_repository(installed: Path, tmp_path: Path) -> None:
    said = _run(installed, tmp_path, "ecgpipe", "--version").stdout.splitlines()
    assert said[0] == f"ecgpipe {VERSION}"
    assert "judge" in _run(installed, tmp_path, "ecgpipe", "--help").stdout
    done = _run(installed, tmp_path, "ecgpipe", "new", "classifier", "my_net")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "my_net" / "my_net.py").exists()
    signals = np.random.default_rng(0).normal(0, 0.3, (70, 12, 1000)).astype(np.float32)
    np.save(tmp_path / "real.npy", signals[:35])
    np.save(tmp_path / "synthetic.npy", signals[35:])
    done = _run(
        installed, tmp_path, "ecgpipe", "judge", "real.npy", "synthetic.npy", "--level", "quick", "--html", "x.html"
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "x.html").stat().st_size > 10_000
    done = _run(installed, tmp_path, "ecgpipe", "init", "study", "--from", "demo")
    assert done.returncode == 2
    assert "install ecgpipe from a clone of its repository" in done.stderr
