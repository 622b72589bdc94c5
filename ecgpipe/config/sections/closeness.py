"""`closeness`: how thoroughly synthetic records are compared with real ones."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ecgpipe.config.sections.base import Section


class Closeness(Section):
    """How thoroughly synthetic records are compared with real ones."""

    measures: Literal["quick", "full"] = Field(
        "quick",
        description="`quick`: seconds for a few hundred records; `full` adds delineated intervals, warped distances "
        "and CNN two-sample tests.",
    )
    records: int = Field(
        2000,
        ge=20,
        description="Maximum number of records on each side of a comparison; the search for copies uses all records.",
    )
    bootstrap: int = Field(200, ge=20, description="Bootstrap draws behind each interval of these measures.")
