"""`statistics`: intervals and comparisons."""

from __future__ import annotations

from pydantic import Field

from ecgpipe.config.sections.base import Section


class Statistics(Section):
    """Intervals and comparisons."""

    confidence: float = Field(0.95, gt=0.5, lt=1, description="Level of the intervals.")
    bootstrap: int = Field(
        2000, ge=100, description="Bootstrap draws (over seeds and test records) behind each interval."
    )
