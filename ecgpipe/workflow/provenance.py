"""What made a job's outputs, written beside them as ``provenance.json``.

``ecgpipe why`` compares it with what would make them now.
"""

from __future__ import annotations

import datetime
import importlib.metadata
import logging
import platform
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ecgpipe.files import write_json
from ecgpipe.workflow.code_digest import FOLLOWED, closure, digest, is_followed, parts

log = logging.getLogger(__name__)

PACKAGES = ("numpy", "pandas", "pyarrow", "safetensors", "scipy", "torch", "wfdb")
"""Distributions that results depend on; those that a job imported are named with their version."""


def undeclared(script: Path, modules: Iterable[str], imported: Collection[str]) -> list[str]:
    """Return imported modules that are not part of the script's code digest.

    Args:
        script: the script that ran.
        modules: modules it imported by name.
        imported: names of all modules that were imported when it ended.

    Returns:
        Modules of this package, and of the packages of ``modules``, that an edit could change unseen.
    """
    modules = list(modules)
    declared = closure(script, modules)
    local = {"ecgpipe", *(name.split(".")[0] for name in modules)}
    # ecgpipe.config imports the followed ones of its modules for itself; a job that computes with them imports them.
    passed_over = {*declared, *FOLLOWED}
    return sorted(n for n in imported if n.split(".")[0] in local and n not in passed_over and is_followed(n))


def _device(threads: int, gpu: int) -> str:
    if gpu and (torch := sys.modules.get("torch")) is not None:
        return f"{gpu} GPU, {torch.cuda.get_device_name(0)}"
    return f"CPU, threads {threads}"


def write(
    path: str | Path,
    *,
    script: Path,
    modules: Sequence[str],
    code: str,
    settings: Any,
    inputs: Mapping[str, str],
    outputs: Mapping[str, Any],
    imported: Collection[str],
    threads: int,
    gpu: int,
    seconds: float,
    start_up_seconds: float,
    cpu_seconds: float,
) -> None:
    """Write a job's provenance.

    Args:
        path: file to write.
        script: the script that ran.
        modules: modules that it imported by name (a generator's).
        code: digest of its code as the workflow computed it.
        settings: its section of the configuration.
        inputs: SHA-256 of the files it read, by name.
        outputs: sha256 and bytes of the files it wrote, by name relative to the folder of ``path``.
        imported: names of all modules that were imported when it ended.
        threads: threads it was given.
        gpu: GPUs it was given.
        seconds: wall time of this run; of a job that was resumed, of its last run.
        start_up_seconds: of these, until its imports were done.
        cpu_seconds: processor time of this run, start-up included, with all processes it waited for.
    """
    if unseen := undeclared(script, modules, imported):
        log.warning("imported but not part of the code digest: %s; edits there rerun nothing", ", ".join(unseen))
    if digest(script, tuple(modules)) != code:
        log.warning("the code was edited after the workflow had started: this result counts as made by the older code")
    found = {name: importlib.metadata.version(name) for name in PACKAGES if name in imported}
    write_json(
        path,
        {
            "job": script.stem,
            "settings": settings,
            "seed": settings.get("seed", settings.get("seeds")) if isinstance(settings, dict) else None,
            "code": {"digest": code, "by_name": list(modules), "parts": parts(script, modules)},
            "inputs": dict(inputs),
            "outputs": dict(outputs),
            "versions": {"python": platform.python_version(), **found},
            "device": _device(threads, gpu),
            "ended": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "seconds": round(seconds, 3),
            "start_up_seconds": round(start_up_seconds, 3),
            "cpu_seconds": round(cpu_seconds, 3),
        },
    )
