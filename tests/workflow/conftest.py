"""The tiny study, run once for all tests of the workflow."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from checkout import Checkout, copy_project


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """The tiny study, done. Read it; do not change it."""
    checkout = copy_project(tmp_path_factory.mktemp("finished") / "project")
    checkout.snakemake("all")
    return checkout


@pytest.fixture
def checkout(finished: Checkout, tmp_path: Path) -> Checkout:
    """A copy of the finished study, time stamps kept, to change at will."""
    folder = tmp_path / "project"
    shutil.copytree(finished.folder, folder, symlinks=True)
    return Checkout(folder)
