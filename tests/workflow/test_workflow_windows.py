"""On Windows the program says where it runs."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize("module", ["command", "running", "locks"])
def test_windows_is_told_what_to_do(module: str) -> None:
    code = (
        "import sys, json, argparse, pathlib\n"  # what reads the platform itself
        "sys.platform = 'win32'\n"
        "sys.modules['fcntl'] = None\n"
        f"import ecgpipe.workflow.{module}\n"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert found.returncode == 1
    last = found.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: ecgpipe runs on Linux and macOS, not on Windows itself")
    assert "WSL" in last
