"""Whether a machine and a folder are ready for a study: ``ecgpipe doctor``."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from packaging.requirements import Requirement

from ecgpipe.config import ConfigError, FolderSource, PhysioNetSource, load
from ecgpipe.config.derived import record_length
from ecgpipe.workflow.code_digest import PACKAGE_ROOT
from ecgpipe.workflow.environment import checkout_fault
from ecgpipe.workflow.layout import Layout

GOOD, HINT, FAULT = "ok", "hint", "FAULT"
LITTLE_DISK = 5_000_000_000
"""Free bytes below which a study of any size is at risk."""
SLACK = 3
"""What a study leaves, as a multiple of its arrays: raw records, checkpoints, tables."""


class Finding(NamedTuple):
    """One thing that was looked at."""

    state: str
    """:data:`GOOD`, :data:`HINT` or :data:`FAULT`."""
    what: str
    found: str
    mend: str = ""
    """What to do."""


def examine(folder: Path, configfile: Path) -> list[Finding]:
    """Look at everything.

    Args:
        folder: of the study.
        configfile: its configuration.
    """
    return [*_environment(folder), _device(), *_study(folder, configfile)]


def _environment(folder: Path) -> Iterator[Finding]:
    yield Finding(GOOD, "Python", f"{sys.version.split()[0]} in {sys.prefix}")
    wrong = list(_unmet())
    advice = "Install it again: pip install -c constraints.txt -e ."
    yield Finding(FAULT, "packages", "; ".join(wrong), advice) if wrong else Finding(GOOD, "packages", "all are there")
    root = folder if (folder / "Snakefile").exists() else PACKAGE_ROOT
    if not (root / "Snakefile").exists():
        advice = "Install ecgpipe from a clone: pip install -e ."
        yield Finding(FAULT, "workflow", f"{root} has no Snakefile", advice)
    elif fault := checkout_fault(root):
        yield Finding(FAULT, "workflow", fault)
    else:
        yield Finding(GOOD, "workflow", str(root.resolve()))
    yield Finding(
        GOOD, "cores", str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count())
    )


def _unmet() -> Iterator[str]:
    """Say which packages that this one needs are missing or of another version."""
    for text in importlib.metadata.requires("ecgpipe") or []:
        requirement = Requirement(text)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            version = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            yield f"{requirement.name} is missing"
            continue
        if not requirement.specifier.contains(version, prereleases=True):
            yield f"{requirement.name} is {version}, not {requirement.specifier}"


def _device() -> Finding:
    import torch

    if torch.cuda.is_available():
        names = ", ".join(torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count()))
        return Finding(GOOD, "GPU", names, f"Give it to jobs: ecgpipe run --resources gpu={torch.cuda.device_count()}")
    return Finding(HINT, "GPU", "none that torch can use", "The presets `full` and `paper` would take days on CPUs")


def _study(folder: Path, configfile: Path) -> Iterator[Finding]:
    free = shutil.disk_usage(folder).free
    if not configfile.exists():
        yield Finding(
            HINT, "study", f"there is no {configfile} here", "Go to a study's folder, or make one: ecgpipe init"
        )
        yield _disk(free, None)
        return
    try:
        layout = Layout(load(configfile))
    except ConfigError as error:
        yield Finding(FAULT, "config", str(error))
        yield _disk(free, None)
        return
    yield Finding(GOOD, "config", f"{configfile}: datasets {', '.join(layout.config.datasets)}")
    yield _disk(free, _bytes(layout))
    if not os.access(folder, os.W_OK):
        yield Finding(FAULT, "folder", f"{folder.resolve()} cannot be written to", "Change its permissions")
    if any((folder / ".snakemake" / "locks").glob("*")):
        advice = "If no run is going on here, one was killed: snakemake --unlock"
        yield Finding(HINT, "lock", "the folder is locked", advice)
    yield from _sources(layout)
    yield from _patients(folder / layout.results, layout)


def _bytes(layout: Layout) -> float:
    """Return about how many bytes the synthetic sets take; those of real records are told by `ecgpipe plan`."""
    config = layout.config
    number = config.samples.number if config.samples.counts is None else sum(config.samples.counts.values())
    sets = len(layout.trainings)
    return float(SLACK * sets * number * 12 * record_length(config.signal) * 4)


def _disk(free: int, needed: float | None) -> Finding:
    found = f"{free / 1e9:,.1f} GB are free"
    if free < max(LITTLE_DISK, needed or 0):
        return Finding(FAULT, "disk", found, "Make room: `ecgpipe plan` says what the study needs")
    return Finding(GOOD, "disk", found)


def _sources(layout: Layout) -> Iterator[Finding]:
    """Look for the folders that records come from."""
    mirror = os.environ.get("ECGPIPE_PHYSIONET", "")
    for name in layout.sourced:
        source, what = layout.datasets[name].source, f"records of {name}"
        if (Path(layout.raw) / f"{name}.parquet").exists():
            yield Finding(GOOD, what, f"are in {layout.raw}")
        elif isinstance(source, FolderSource):
            path = Path(source.path).expanduser()
            missing = Finding(FAULT, what, f"{path} is no folder", f"Correct `dataset_settings.{name}.source.path`")
            yield Finding(GOOD, what, f"{path}, see `ecgpipe inspect`") if path.is_dir() else missing
        elif isinstance(source, PhysioNetSource):
            place = source.base_url or mirror or "https://physionet.org"
            local = place.removeprefix("file:") if "://" not in place else ""
            if local and not Path(local).expanduser().exists():
                advice = f"Correct `dataset_settings.{name}.source.base_url` or ECGPIPE_PHYSIONET"
                yield Finding(FAULT, what, f"{local} is not there", advice)
            else:
                yield Finding(GOOD, what, f"will come from {place}")
        else:
            yield Finding(GOOD, what, "will be simulated")


def _patients(results: Path, layout: Layout) -> Iterator[Finding]:
    """Look whether the datasets that are made have the test patients that a verdict needs."""
    import pandas as pd

    from ecgpipe.tables.prospects import count_tested, too_few

    for name in layout.config.datasets:
        path = results / "data" / name / "records.parquet"
        if path.exists():
            every = layout.config.dataset_settings[name].rotate is not None
            few = too_few(count_tested(pd.read_parquet(path, columns=["split", "label", "patient"]), every))
            if few:
                yield Finding(HINT, f"test patients of {name}", few, "Add records, or give the test split more of them")
