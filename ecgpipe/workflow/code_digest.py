"""Which code a job depends on, and a digest of what that code means.

Snakemake does not see edits in imported packages, and a file's time stamp says too much. So a job carries
the digest of the syntax trees of its script and of all modules that the script reaches by import: it changes with the
code's meaning, and not with comments, docstrings, formatting, time stamps or the place of the checkout.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.util
from collections.abc import Iterable, Iterator
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

from ecgpipe.workflow.jobs import data_files

PACKAGE_ROOT = Path(__file__).resolve().parents[2]
NOT_FOLLOWED = ("ecgpipe.config", "ecgpipe.redaction", "ecgpipe.workflow")
"""Modules, with all below them, that are in no digest, since they decide no result. Values of the config reach a job as
its parameters, validated and with all defaults filled in. The others run jobs: logs, locks, GPUs, checksums,
provenance."""
FOLLOWED = ("ecgpipe.config.derived",)
"""Modules below :data:`NOT_FOLLOWED` that are in the digests all the same: jobs compute with them."""

NAMES = PACKAGE_ROOT / "ecgpipe" / "__init__.py"
"""Module that gives other modules' names to users of the package and decides no result: it counts as empty."""


def is_followed(module: str) -> bool:
    """Say whether a module's meaning is part of the digests of the jobs that import it."""
    return module in FOLLOWED or not f"{module}.".startswith(tuple(f"{name}." for name in NOT_FOLLOWED))


def find_module(module: str) -> ModuleSpec | None:
    """Find a module without importing anything; ``importlib`` would import the packages it lies in."""
    top, *inner = module.split(".")
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    for name in inner:
        if spec is None or spec.submodule_search_locations is None:
            return None
        spec = PathFinder.find_spec(f"{spec.name}.{name}", spec.submodule_search_locations)
    return spec


def _locate(module: str) -> Path | None:
    """Return the source file of a module of this package or of a user's, None if there is none."""
    parts = module.split(".")
    if parts[0] == "ecgpipe":
        base = PACKAGE_ROOT.joinpath(*parts)
        for candidate in (base.with_suffix(".py"), base / "__init__.py"):
            if candidate.is_file():
                return candidate
        return None
    spec = find_module(module)
    return Path(spec.origin) if spec is not None and spec.origin and spec.origin.endswith(".py") else None


def _type_checking_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def _statements(tree: ast.Module) -> Iterator[ast.stmt]:
    """Walk all statements (imports are statements) without the branches that only type checkers take."""
    waiting: list[ast.AST] = list(tree.body)
    while waiting:
        node = waiting.pop()
        if _type_checking_only(node):
            continue
        if isinstance(node, ast.stmt):
            yield node
        for block in ("body", "orelse", "finalbody", "handlers", "cases"):
            inner = getattr(node, block, None)
            if isinstance(inner, list):  # a lambda's or a conditional's body is one expression
                waiting.extend(inner)


@functools.cache
def _imports(path: Path, module: str, is_package: bool) -> frozenset[str]:
    """Return the dotted names a module imports; ``from a import b`` names both ``a`` and ``a.b``."""
    found: set[str] = set()
    for node in _statements(_parse(path)) if path != NAMES else ():
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = module.split(".")
                parents = parts[: len(parts) - node.level + (1 if is_package else 0)]
                base = ".".join([*parents, base] if base else parents)
            found.add(base)
            found.update(f"{base}.{alias.name}" for alias in node.names)
    return frozenset(found)


@functools.cache
def _parse(path: Path) -> ast.Module:
    try:
        return ast.parse(path.read_bytes(), filename=str(path))
    except SyntaxError as error:
        raise ValueError(f"{path}, line {error.lineno}: {error.msg}; correct this file first") from error


def closure(script: Path | None, modules: Iterable[str] = ()) -> dict[str, Path]:
    """Return every local module that a script and further modules reach by import.

    Args:
        script: a file in ``workflow_scripts/``, or None.
        modules: dotted names that are imported by name at run time (a generator's module).

    Returns:
        Name to source file, sorted by name. Local are this package and the top-level packages of ``modules``; the
        rest (numpy, torch) counts as environment.

    Raises:
        ValueError: if one of ``modules`` cannot be found.
    """
    local = {"ecgpipe"}
    reached: dict[str, Path] = {}
    waiting: list[str] = []
    for name in modules:
        if _locate(name) is None:
            raise ValueError(f"module {name} cannot be found: install it, or put its folder on PYTHONPATH")
        local.add(name.split(".")[0])
        waiting.append(name)
    if script is not None:
        reached[f"script:{script.stem}"] = script
        waiting.extend(sorted(_imports(script, script.stem, False)))
    while waiting:
        name = waiting.pop()
        if name in reached or name.split(".")[0] not in local or not is_followed(name):
            continue
        path = _locate(name)
        if path is None:
            continue
        reached[name] = path
        package = name.rpartition(".")[0]
        if package:
            waiting.append(package)
        waiting.extend(_imports(path, name, path.name == "__init__.py"))
    return dict(sorted(reached.items()))


EXPLANATIONS = {"Field": "description", "add_argument": "help"}
"""Keywords that only explain: of settings (pydantic) and of arguments (argparse)."""


def _explains(call: ast.AST, keyword: ast.AST) -> bool:
    """Say whether a keyword of a call is a text for people, which decides no result."""
    if not (isinstance(call, ast.Call) and isinstance(keyword, ast.keyword)):
        return False
    called = getattr(call.func, "attr", getattr(call.func, "id", None))
    return isinstance(keyword.value, ast.Constant) and EXPLANATIONS.get(str(called)) == keyword.arg


def _meaning(node: ast.AST, out: list[str]) -> None:
    """Append a tree as text: no positions, no texts for people, no empty fields, alike on every Python."""
    out.append(type(node).__name__)
    for name in node._fields:
        value = getattr(node, name, None)
        if value is None or value == [] or name in ("type_comment", "kind"):
            continue
        out.append(f".{name}=")
        if isinstance(value, ast.AST):
            _meaning(value, out)
        elif isinstance(value, list):
            out.append("[")
            for item in value:
                if (
                    isinstance(item, ast.Expr)
                    and isinstance(item.value, ast.Constant)
                    and type(item.value.value) is str
                ) or _explains(node, item):
                    continue
                if isinstance(item, ast.AST):
                    _meaning(item, out)
                else:
                    out.append(repr(item))
                out.append(",")
            out.append("]")
        else:
            out.append(repr(value))
    out.append(";")


@functools.cache
def _file_digest(path: Path) -> str:
    if path.suffix == ".py":
        meaning: list[str] = []
        _meaning(ast.Module([], []) if path == NAMES else _parse(path), meaning)
        return hashlib.sha256("".join(meaning).encode()).hexdigest()
    return hashlib.sha256(path.read_bytes()).hexdigest()


def parts(script: Path | None, modules: Iterable[str] = ()) -> dict[str, str]:
    """Return the digest of the meaning of every file that a script's results depend on.

    Args:
        script: a file in ``workflow_scripts/``, or None.
        modules: dotted names that are imported by name at run time (a generator's module).

    Returns:
        By name: modules as in :func:`closure`, and the script's data files as ``ecgpipe/…``;
        16 hexadecimal digits each.

    Raises:
        ValueError: if one of ``modules`` cannot be found, or a file is no Python.
    """
    found = {name: _file_digest(path)[:16] for name, path in closure(script, modules).items()}
    for name in data_files(script.stem) if script is not None else ():
        found[f"ecgpipe/{name}"] = _file_digest(PACKAGE_ROOT / "ecgpipe" / name)[:16]
    return found


@functools.cache
def digest(script: Path | None, modules: tuple[str, ...] = ()) -> str:
    """Return one digest of all that :func:`parts` names."""
    total = hashlib.sha256()
    for name, value in parts(script, modules).items():
        total.update(f"{name} {value}\n".encode())
    return total.hexdigest()[:16]
