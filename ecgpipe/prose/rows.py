"""Rows of a table, as sentences and drawings read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import pandas as pd

Row = Mapping[str, Any]
"""A row of a table, by column."""


def rows_of(frame: pd.DataFrame) -> list[Row]:
    """Return the rows of a table."""
    return cast(list[Row], frame.to_dict("records"))
