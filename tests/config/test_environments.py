"""The conda environments, the package's metadata and the pip constraints say the same."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from ecgpipe.workflow.code_digest import closure

ROOT = Path(__file__).resolve().parents[2]
CONDA_NAMES = {"torch": "pytorch"}
IMPORT_NAMES = {"scikit-learn": "sklearn", "pyyaml": "yaml"}
ENVIRONMENTS = sorted((ROOT / "envs").glob("*.yaml"))


def _requirements(lines: list[str]) -> dict[str, str]:
    return {m[1].lower(): m[2] for line in lines if (m := re.match(r"([A-Za-z0-9_-]+)(.*)", line))}


PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
REQUIRED = _requirements(PROJECT["dependencies"])
OPTIONAL = _requirements(PROJECT["optional-dependencies"]["s3"])
PINNED = {
    m[1].lower(): m[2]
    for line in (ROOT / "constraints.txt").read_text().splitlines()
    if (m := re.fullmatch(r"([A-Za-z0-9_.-]+)==(\S+)", line))
}


def _conda(path: Path) -> dict[str, str]:
    return _requirements(yaml.safe_load(path.read_text())["dependencies"])


@pytest.mark.parametrize("path", ENVIRONMENTS, ids=lambda p: p.stem)
def test_conda_agrees_with_pyproject(path: Path) -> None:
    to_pip = {conda: pip for pip, conda in CONDA_NAMES.items()}
    for name, versions in _conda(path).items():
        expected = PROJECT["requires-python"] if name == "python" else {**REQUIRED, **OPTIONAL}[to_pip.get(name, name)]
        assert versions == expected, f"{path.name}: {name}"


def _third_party_imports(scripts: list[str], modules: list[str]) -> set[str]:
    files: set[Path] = set()
    for script in scripts:
        files |= set(closure(ROOT / "workflow_scripts" / f"{script}.py", modules).values())
    found: set[str] = set()
    for path in files:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.split(".")[0])
    return found - set(sys.stdlib_module_names) - {"ecgpipe", "_repository"}


@pytest.mark.parametrize(
    ("environment", "scripts", "modules"),
    [
        ("data", ["acquire", "preprocess", "merge", "pool", "export_wfdb"], []),
        ("torch", ["generate", "sample", "classify"], ["ecgpipe.generate.diffwave"]),
        ("closeness", ["closeness"], []),
        ("report", ["tables", "report"], []),
    ],
)
def test_conda_has_what_its_rules_import(environment: str, scripts: list[str], modules: list[str]) -> None:
    to_import = {conda: IMPORT_NAMES.get(pip, pip) for pip, conda in CONDA_NAMES.items()}
    there = {to_import.get(n, IMPORT_NAMES.get(n, n)) for n in _conda(ROOT / "envs" / f"{environment}.yaml")}
    assert _third_party_imports(scripts, modules) <= there


def test_every_dependency_is_pinned() -> None:
    assert set(REQUIRED) <= set(PINNED)
    assert PINNED["torch"] == "2.13.0"
    extras = [line for lines in PROJECT["optional-dependencies"].values() for line in lines]
    assert set(_requirements(extras)) - {"ecgpipe"} <= set(PINNED)
