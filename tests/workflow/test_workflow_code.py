"""Digests follow the meaning of code, and closures hold what is really imported."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from ecgpipe.workflow import code

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
    code._file_digest.cache_clear()
    code._parse.cache_clear()
    return code.digest(None, ["theirs.model"])


@pytest.mark.parametrize(
    ("old", "new", "changes"),
    [
        ("x + VALUE", "x  +  VALUE  # why", False),
        ('"""Doc."""', '"""Another doc."""', False),
        ("return x + VALUE", "return (\n        x\n        + VALUE\n    )", False),
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


def test_digest_follows_imports_of_a_users_package(module: Path) -> None:
    before = _digest()
    (module / "helper.py").write_text("VALUE = 2\n")
    assert _digest() != before


def test_digest_of_data_files(tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text("a\n")
    before = code.digest(None, files=[table])
    code._file_digest.cache_clear()
    table.write_text("b\n")
    assert code.digest(None, files=[table]) != before


def test_unknown_module_is_named() -> None:
    with pytest.raises(ValueError, match=r"no\.such\.module"):
        code.closure(None, ["no.such.module"])


def test_syntax_error_is_named(module: Path) -> None:
    (module / "model.py").write_text("def f(:\n")
    with pytest.raises(ValueError, match=r"model\.py, line 1"):
        _digest()


@pytest.mark.parametrize(
    ("script", "entry", "modules"),
    [
        ("acquire", "ecgpipe.acquire.dataset", []),
        ("preprocess", "ecgpipe.preprocess.dataset", []),
        ("merge", "ecgpipe.preprocess.dataset", []),
        ("generate", "ecgpipe.generate.run", ["ecgpipe.generate.diffwave"]),
        ("sample", "ecgpipe.sample.run", ["ecgpipe.generate.diffwave"]),
        ("pool", "ecgpipe.sample.pool", []),
        ("export_wfdb", "ecgpipe.sample.export", []),
        ("classify", "ecgpipe.classify.experiments", []),
        ("closeness", "ecgpipe.closeness.run", []),
        ("tables", "ecgpipe.tables.build", []),
        ("report", "ecgpipe.report.build", []),
    ],
)
def test_closure_holds_what_is_really_imported(script: str, entry: str, modules: list[str]) -> None:
    program = (
        f"import sys, importlib; [importlib.import_module(m) for m in {[entry, *modules]!r}];"
        "print('\\n'.join(m for m in sys.modules if m.split('.')[0] == 'ecgpipe'))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, text=True, capture_output=True, check=True)
    imported = set(done.stdout.split()) - code.NOT_FOLLOWED
    declared = code.closure(SCRIPTS / f"{script}.py", modules)
    assert imported <= set(declared), "imported but not part of the digest"
