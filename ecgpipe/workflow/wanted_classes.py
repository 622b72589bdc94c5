"""Whether a generator will be able to draw what ``samples.counts`` asks for, told before it is trained.

What is asked for comes by the environment: it is no parameter of a training, which it does not change.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pandas as pd

VARIABLE = "ECGPIPE_COUNTS"
"""Environment variable: JSON, number of samples by class, null if none is asked for."""


def check_wanted_classes(data: Path) -> None:
    """Make sure that a dataset has a training record of each class that samples are asked for.

    Args:
        data: folder of the dataset.

    Raises:
        ValueError: naming the classes, and the key.
    """
    counts = json.loads(os.environ.get(VARIABLE, "null"))
    if not counts:
        return
    records = pd.read_parquet(data / "records.parquet", columns=["label", "split"])
    trained = set(records["label"][records["split"] == "train"])
    if absent := [name for name, number in counts.items() if number and name not in trained]:
        raise ValueError(
            f"`samples.counts` asks for {', '.join(absent)}, of which {data} has no training record, so that no "
            "generator could draw it: set 0 or leave it out"
        )
