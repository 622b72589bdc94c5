"""How the files of a source are reached. It comes by the environment, since it is no part of a job's parameters."""

from __future__ import annotations

import json
import os
from typing import Any

VARIABLE = "ECGPIPE_PLACES"
"""Environment variable: JSON, by dataset."""


def with_access(name: str, dataset: dict[str, Any]) -> dict[str, Any]:
    """Return a dataset's settings with how the files of its source are reached.

    Args:
        name: of the dataset.
        dataset: its settings as they stand in a job's parameters.
    """
    access = json.loads(os.environ.get(VARIABLE, "{}")).get(name, {})
    return {**dataset, "source": {**dataset["source"], **access}}
