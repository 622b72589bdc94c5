"""Small projects of random bytes in PTB-XL's layout, and how tests fetch them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from ecgpipe.acquire.retry import RetryPolicy
from ecgpipe.config import PhysioNetSource

QUICK = RetryPolicy(
    connect_timeout=5,
    read_timeout=5,
    total_timeout=20,
    max_attempts=6,
    backoff=0.01,
    max_backoff=0.05,
    max_retry_after=2,
)
IMPATIENT = RetryPolicy(
    connect_timeout=5, read_timeout=1, total_timeout=2, max_attempts=8, backoff=0.01, max_backoff=0.05
)
FIRST = "records100/00000/00001_lr.dat"
LICENCE = "LICENSE.txt"


def write_project(root: Path, slug: str, version: str, contents: dict[str, bytes]) -> Path:
    """Write files and their SHA256SUMS.txt below ``root/files``; return the project's folder."""
    project = root / "files" / slug / version
    for path, content in contents.items():
        (project / path).parent.mkdir(parents=True, exist_ok=True)
        (project / path).write_bytes(content)
    sums = "".join(f"{hashlib.sha256(content).hexdigest()} {path}\n" for path, content in sorted(contents.items()))
    (project / "SHA256SUMS.txt").write_text(sums)
    return project


def ptbxl(records: int, largest: int = 2000) -> dict[str, bytes]:
    """Return files of random bytes in PTB-XL's layout, both rates."""
    rng = np.random.default_rng([7, records])
    paths = ["ptbxl_database.csv", "scp_statements.csv", LICENCE, "RECORDS", "example_physionet.py"]
    for number in range(1, records + 1):
        for folder, suffix in (("records100", "lr"), ("records500", "hr")):
            paths += [f"{folder}/{number // 1000:02d}000/{number:05d}_{suffix}.{kind}" for kind in ("hea", "dat")]
    return {path: rng.bytes(int(rng.integers(200, largest))) for path in paths}


def wanted(contents: dict[str, bytes]) -> dict[str, bytes]:
    """Return what a study at 100 Hz needs of :func:`ptbxl`."""
    return {path: content for path, content in contents.items() if not path.startswith(("records500", "example"))}


def source(base: str | Path, **more: object) -> PhysioNetSource:
    return PhysioNetSource(kind="physionet", slug="ptb-xl", version="1.0.3", base_url=str(base), **more)


def true_files(folder: Path, contents: dict[str, bytes]) -> set[str]:
    """Return the paths whose bytes in ``folder`` are right."""
    return {
        path
        for path, content in contents.items()
        if (folder / path).is_file() and (folder / path).read_bytes() == content
    }
