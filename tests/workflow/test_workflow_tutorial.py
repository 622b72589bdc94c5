"""The tutorial's commands do what it says; they run on the finished tiny study, which the tutorial takes a copy of."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from checkout import ENVIRONMENT, ROOT, Checkout

pytestmark = [pytest.mark.long, pytest.mark.workflow, pytest.mark.xdist_group("workflow")]
BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def test_every_command_of_the_tutorial(checkout: Checkout, tmp_path: Path) -> None:
    blocks = BLOCK.findall((ROOT / "docs" / "tutorial.md").read_text())
    assert {kind for kind, _ in blocks} == {"sh", "python"}
    environment = {
        **ENVIRONMENT,
        "PATH": f"{Path(sys.executable).parent}:{ENVIRONMENT['PATH']}",
        "PYTHONPATH": str(checkout.folder),
    }
    python, said = "", []
    for kind, text in blocks:
        python += text if kind == "python" else ""  # later blocks use what earlier ones imported
        command = ["bash", "-ec", text] if kind == "sh" else [sys.executable, "-c", python]
        done = subprocess.run(
            command, cwd=checkout.folder, env=environment, text=True, capture_output=True, check=False
        )
        assert done.returncode == 0, f"{text}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        said.append(done.stdout + done.stderr)
    why = next(out for (_, text), out in zip(blocks, said, strict=True) if "ecgpipe why" in text)
    assert "sample" in why
    assert "generate" not in {line.split()[0] for line in why.splitlines() if line.strip()}
    samples = checkout.folder / "results/samples/demo_ptbxl/diffwave/records.parquet"
    assert len(pd.read_parquet(samples)) == 84
