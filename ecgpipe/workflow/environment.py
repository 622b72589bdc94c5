"""The environment that jobs run in: what a shell, a notebook or a launcher has set does not reach their results.

Snakemake's process is cleaned when the Snakefile is read, and every job inherits that. A job cleans its own once more,
so that a script that is started by hand behaves alike. This module imports nothing but the standard library: it runs
before any other import.
"""

from __future__ import annotations

import os
import sys
from collections.abc import MutableMapping, Sequence
from pathlib import Path
from types import TracebackType

FIXED = {
    "MPLBACKEND": "agg",  # pictures are written to files; a notebook's backend is no part of this environment
    "MATPLOTLIBRC": os.devnull,  # nor is a user's own style
    "LC_ALL": "C.UTF-8",
    "LANG": "C.UTF-8",
    "PYTHONUTF8": "1",  # also where there is no C.UTF-8
}
"""Variables that every job has, with their values."""

PYTHON_KEPT = (
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONFAULTHANDLER",
    "PYTHONNOUSERSITE",
    "PYTHONPATH",  # a user's own generator may lie there; see `installed_first`
    "PYTHONPYCACHEPREFIX",
    "PYTHONUNBUFFERED",
    "PYTHONUSERBASE",
)
"""Variables of Python that a job keeps. All others, such as PYTHONHOME or PYTHONWARNINGS, may end it."""

REMOVED = (
    *("BASH_ENV", "BASH_FUNC_python%%", "BASHOPTS", "CDPATH", "ENV", "SHELLOPTS"),  # other code, other folders
    "NUMEXPR_MAX_THREADS",  # contradicts the number of threads
    "SCIPY_ARRAY_API",
    "SOURCE_DATE_EPOCH",  # pictures have no date; matplotlib still reads it
    *("ATEN_CPU_CAPABILITY", "NVIDIA_TF32_OVERRIDE", "OPENBLAS_CORETYPE"),  # results with other last bits, or worse
    *("PYTORCH_JIT", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE", "TORCH_LOGS", "TORCHDYNAMO_DISABLE"),
)
"""Variables by which a shell or a library does something else than in the tests."""

REMOVED_PREFIXES = (
    *("DNNL_", "ONEDNN_", "MKL_", "NPY_"),  # kernels of another processor: results with other last bits
    *("GOMP_", "KMP_", "OMP_"),  # OMP_THREAD_LIMIT=1 makes a job of two threads wait for ever
    "GIT_",  # in a git hook GIT_DIR names another repository than the report is about
    "JOBLIB_",
    "PANDAS_",  # copy-on-write, other types of texts
    "SKLEARN_",
    "TQDM_",
)
"""Beginnings of such variables. A value that these libraries do not take ends their import."""

LAUNCHER = (
    *("RANK", "LOCAL_RANK", "GROUP_RANK", "ROLE_RANK", "ROLE_NAME", "MASTER_ADDR", "MASTER_PORT"),
    *("WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_WORLD_SIZE", "ROLE_WORLD_SIZE"),
)
LAUNCHER_PREFIXES = ("TORCHELASTIC_", "PET_")
"""What torchrun tells its processes, or is told. Whoever started Snakemake so means Snakemake and not its jobs."""

THREADS = (
    *("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "GOTO_NUM_THREADS", "BLIS_NUM_THREADS"),
    *("VECLIB_MAXIMUM_THREADS", "NUMEXPR_NUM_THREADS"),
)
"""Variables that say how many threads a library may use."""


def clean(variables: MutableMapping[str, str], *, launched: bool = False, threads: int | None = None) -> None:
    """Make an environment one that jobs can rely on.

    Args:
        variables: changed in place.
        launched: this is a process that torchrun has started for a job: it keeps what torchrun told it.
        threads: threads of the job; None leaves these variables alone.
    """
    names = REMOVED if launched else (*REMOVED, *LAUNCHER)
    prefixes = REMOVED_PREFIXES if launched else (*REMOVED_PREFIXES, *LAUNCHER_PREFIXES)
    for name in set(variables) - {*THREADS, "KMP_DUPLICATE_LIB_OK"}:  # the last helps where there are two OpenMPs
        of_python = name.startswith("PYTHON") and name not in PYTHON_KEPT
        if of_python or name in names or name.startswith(prefixes):
            del variables[name]
    variables.update(FIXED)
    if threads is not None:
        variables.update(dict.fromkeys(THREADS, str(threads)))


def open_streams() -> None:
    """Open what is closed of standard input, output and error, as after ``2>&-``, on the null device.

    Otherwise the next file that the job opens gets that number, and messages are written into it.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # it gets the lowest number that is free
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 - it stays open


def end_quietly_if_interrupted() -> None:
    """Let an interrupt from the terminal end this process without a trace; every other error keeps its own."""
    before = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if not issubclass(kind, KeyboardInterrupt):
            before(kind, error, trace)

    sys.excepthook = hook


def installed_first(path: Sequence[str], pythonpath: str) -> list[str]:
    """Return the folders of ``sys.path`` with those of PYTHONPATH last.

    A generator is found there, but no package there takes the place of one that is installed with ecgpipe, as modules
    of another Python do on many clusters.

    Args:
        path: ``sys.path``.
        pythonpath: value of the variable, empty if there is none.
    """
    named = {os.path.abspath(folder) for folder in pythonpath.split(os.pathsep) if folder}
    later = [folder for folder in path if os.path.abspath(folder) in named]
    return [folder for folder in path if os.path.abspath(folder) not in named] + later


INSTALLED = (
    *("aiohttp", "filelock", "jinja2", "markupsafe", "matplotlib", "neurokit2", "numpy"),
    *("packaging", "pandas", "pyarrow", "pydantic", "rich", "rocrate", "safetensors", "scipy", "sklearn"),
    *("snakemake", "tenacity", "threadpoolctl", "torch", "tqdm", "typer", "wfdb", "yaml", "yarl"),
)
"""Packages that the study imports."""


def checkout_fault(checkout: Path) -> str | None:
    """Say why the study cannot run from a checkout; None if it can.

    Args:
        checkout: folder of the Snakefile, the first of the jobs' ``sys.path``.
    """
    if "{" in str(checkout) or "}" in str(checkout):
        return f"{checkout}: Snakemake would read the braces as wildcards; move the checkout to a folder without any"
    if hidden := _hiding(checkout):
        return (
            f"{', '.join(hidden)} in {checkout} would be imported in place of Python's or a library's module of that "
            "name: rename it, or move it to another folder"
        )
    return None


def _hiding(checkout: Path) -> list[str]:
    """Return files of a checkout that jobs would import in place of a module of Python or of a library."""
    names = sys.stdlib_module_names.union(INSTALLED)
    modules = {path.stem: path.name for path in checkout.glob("*.py")}
    modules |= {path.parent.name: path.parent.name for path in checkout.glob("*/__init__.py")}
    return sorted(file for module, file in modules.items() if module in names)
