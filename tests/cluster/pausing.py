"""A generator for tests: DiffWave, whose training fails in its first starts.

``faults.json`` in the study's folder says for each start at which of its steps, and how: ``wait`` for whatever the test
does to it, or take more memory than ``eat`` says, in GB. Each leaves a file ``fault-1``, ``fault-2`` ... with the id of
the process.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

from ecgpipe.files import write_text
from ecgpipe.generate.diffwave import DiffWave


class Pausing(DiffWave):
    """Goes on when there is a file ``go-on``."""

    steps = 0

    def loss(
        self, module: nn.Module, signals: torch.Tensor, labels: torch.Tensor, generator: torch.Generator
    ) -> torch.Tensor:
        if module.training:
            self.steps += 1
            faults = json.loads(Path("faults.json").read_text())
            before = len(list(Path.cwd().glob("fault-*")))
            if before < len(faults) and self.steps == faults[before]["step"]:
                write_text(f"fault-{before + 1}", str(os.getpid()))
                eaten = np.ones(int(faults[before].get("eat", 0) * 1e9), dtype=np.uint8)
                while not Path("go-on").exists():
                    time.sleep(0.2)
                del eaten
        return super().loss(module, signals, labels, generator)
