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
from pathlib import Path

PACKAGE_ROOT = Path(__file__).resolve().parents[2]
NOT_FOLLOWED = frozenset({"ecgpipe.config"})
"""Modules whose effect reaches a job through its parameters: validated sections, defaults filled in."""


def _locate(module: str) -> Path | None:
    """Return the source file of a module of this package or of a user's, None if there is none."""
    parts = module.split(".")
    if parts[0] == "ecgpipe":
        base = PACKAGE_ROOT.joinpath(*parts)
        for candidate in (base.with_suffix(".py"), base / "__init__.py"):
            if candidate.is_file():
                return candidate
        return None
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return None
    return Path(spec.origin) if spec is not None and spec.origin and spec.origin.endswith(".py") else None


def _type_checking_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def _walk(node: ast.AST) -> Iterator[ast.AST]:
    """Walk a tree without the branches that only type checkers take."""
    for child in ast.iter_child_nodes(node):
        if not _type_checking_only(child):
            yield child
            yield from _walk(child)


def _imports(tree: ast.Module, module: str, is_package: bool) -> set[str]:
    """Return the dotted names a module imports; ``from a import b`` names both ``a`` and ``a.b``."""
    found: set[str] = set()
    for node in _walk(tree):
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
    return found


@functools.cache
def _parse(path: Path) -> ast.Module:
    try:
        return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    except SyntaxError as error:
        raise ValueError(f"{path}, line {error.lineno}: {error.msg}; mend this file first") from error


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
        name = f"script:{script.stem}"
        reached[name] = script
        siblings = {p.stem: p for p in script.parent.glob("*.py")}
        for imported in sorted(_imports(_parse(script), script.stem, False)):
            if imported in siblings and siblings[imported] != script:
                reached[f"script:{imported}"] = siblings[imported]
                waiting.extend(_imports(_parse(siblings[imported]), imported, False))
            waiting.append(imported)
    while waiting:
        name = waiting.pop()
        if name in reached or name.split(".")[0] not in local or name in NOT_FOLLOWED:
            continue
        path = _locate(name)
        if path is None:
            continue
        reached[name] = path
        package = name.rpartition(".")[0]
        if package:
            waiting.append(package)
        waiting.extend(_imports(_parse(path), name, path.name == "__init__.py"))
    return dict(sorted(reached.items()))


def _meaning(node: ast.AST) -> Iterator[str]:
    """Yield a tree as text: no positions, no bare strings (docstrings), no empty fields, alike on every Python."""
    yield type(node).__name__
    for name, value in ast.iter_fields(node):
        if value is None or value == [] or name in ("type_comment", "kind"):
            continue
        yield f".{name}="
        if isinstance(value, ast.AST):
            yield from _meaning(value)
        elif isinstance(value, list):
            yield "["
            for item in value:
                bare_string = (
                    isinstance(item, ast.Expr)
                    and isinstance(item.value, ast.Constant)
                    and isinstance(item.value.value, str)
                )
                if bare_string:
                    continue
                if isinstance(item, ast.AST):
                    yield from _meaning(item)
                else:
                    yield repr(item)
                yield ","
            yield "]"
        else:
            yield repr(value)
    yield ";"


@functools.cache
def _file_digest(path: Path) -> str:
    if path.suffix == ".py":
        return hashlib.sha256("".join(_meaning(_parse(path))).encode()).hexdigest()
    return hashlib.sha256(path.read_bytes()).hexdigest()


def digest(script: Path | None, modules: Iterable[str] = (), files: Iterable[Path] = ()) -> str:
    """Return a digest of the meaning of all code that :func:`closure` finds, and of the bytes of ``files``.

    Data files that code reads beside itself (tables, templates) are named in ``files``.
    """
    total = hashlib.sha256()
    for name, path in closure(script, modules).items():
        total.update(f"{name} {_file_digest(path)}\n".encode())
    for path in sorted(files):
        total.update(f"{path.name} {_file_digest(path)}\n".encode())
    return total.hexdigest()[:16]
