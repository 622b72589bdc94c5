"""Digests follow the meaning of code, and closures hold what is really imported."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from ecgpipe.workflow import code_digest
from ecgpipe.workflow.jobs import JOBS

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "workflow_scripts"


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    package = tmp_path / "theirs"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "helper.py").write_text("VALUE = 1\n")
    (package / "model.py").write_text(
        '"""Doc."""\nfrom theirs.helper import VALUE\n\n\ndef f(x):\n    """Doc."""\n    return x + VALUE\n'
    )
    monkeypatch.syspath_prepend(tmp_path)
    # An earlier test's package of this name lies in another folder.
    for name in [name for name in sys.modules if name.split(".")[0] == "theirs"]:
        del sys.modules[name]
    importlib.invalidate_caches()
    return package


def _digest() -> str:
    for cached in (code_digest._file_digest, code_digest._parse, code_digest._imports, code_digest.digest):
        cached.cache_clear()
    return code_digest.digest(None, ("theirs.model",))


@pytest.mark.parametrize(
    ("old", "new", "changes"),
    [
        ("x + VALUE", "x  +  VALUE  # why", False),
        ('"""Doc."""', '"""Another doc."""', False),
        ("return x + VALUE", "return (\n        x\n        + VALUE\n    )", False),
        ("return x + VALUE", 'return x + Field(VALUE, description="Doc.")', True),
        ("x + VALUE", "x - VALUE", True),
        ("def f(x)", "def f(x=1)", True),
        ("def f(x)", "def g(x)", True),
    ],
)
def test_digest_of_an_edit(module: Path, old: str, new: str, changes: bool) -> None:
    before = _digest()
    path = module / "model.py"
    path.write_text(path.read_text().replace(old, new))
    assert (_digest() != before) is changes


@pytest.mark.parametrize(
    ("call", "changes"),
    [
        ('Field(1, description="{}")', False),
        ('pydantic.Field(1, description="{}")', False),
        ('parser.add_argument("--x", help="{}")', False),
        ('Field(1, title="{}")', True),
        ('row(description="{}")', True),
        ('parser.add_argument("--{}")', True),
    ],
)
def test_texts_that_only_explain_are_in_no_digest(module: Path, call: str, changes: bool) -> None:
    digests = []
    for text in ("one", "another"):
        (module / "helper.py").write_text(f"VALUE = 1\n\n\ndef f():\n    {call.format(text)}\n")
        digests.append(_digest())
    assert (digests[0] != digests[1]) is changes


def test_digest_follows_imports_of_a_users_package(module: Path) -> None:
    before = _digest()
    (module / "helper.py").write_text("VALUE = 2\n")
    assert _digest() != before


def test_data_files_are_part_of_their_script(monkeypatch: pytest.MonkeyPatch) -> None:
    report = code_digest.parts(SCRIPTS / "report.py")
    assert {"ecgpipe/report/template.html.j2", "ecgpipe/report/style.css", "ecgpipe.report.run"} <= set(report)
    assert "ecgpipe/report/style.css" not in code_digest.parts(SCRIPTS / "tables.py")


def test_every_data_file_of_the_package_is_declared() -> None:
    there = {p for pattern in ("*.csv", "*.j2", "*.css", "*.js") for p in (ROOT / "ecgpipe").rglob(pattern)}
    there = {path for path in there if path.relative_to(ROOT / "ecgpipe").parts[0] not in ("cli", "judge")}  # no jobs'
    declared = {ROOT / "ecgpipe" / name for kind in JOBS.values() for name in kind.data_files}
    assert there == declared


def test_unknown_module_is_named() -> None:
    with pytest.raises(ValueError, match=r"no\.such\.module"):
        code_digest.closure(None, ["no.such.module"])


def test_syntax_error_is_named(module: Path) -> None:
    (module / "model.py").write_text("def f(:\n")
    with pytest.raises(ValueError, match=r"model\.py, line 1"):
        _digest()


def test_the_names_that_the_package_gives_its_users_count_as_an_empty_module() -> None:
    found = code_digest.parts(SCRIPTS / "generate.py")
    assert found["ecgpipe"] == found["ecgpipe.generate"]
    assert code_digest.NAMES.read_text() != ""
    assert (ROOT / "ecgpipe" / "generate" / "__init__.py").read_text() == ""
    assert "ecgpipe.api" not in found
