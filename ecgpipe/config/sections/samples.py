"""`samples`: the synthetic set drawn from each trained generator."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from ecgpipe.config.sections.base import Section


class Samples(Section):
    """The synthetic set drawn from each trained generator."""

    number: int = Field(
        21000,
        ge=70,
        description="Synthetic records per generator and dataset; with fewer than 70 a split might lack a rhythm.",
    )
    labels: Literal["uniform", "training"] = Field(
        "uniform", description="Classes of the samples: `uniform`, or with the `training` set's frequencies."
    )
    counts: dict[str, Annotated[int, Field(ge=0)]] | None = Field(
        None,
        description="Number of records of each class, by name, instead of `number` and `labels`; null: those two "
        "decide.",
    )
    chunk: int = Field(
        64, ge=1, description="Records drawn at a time. This bounds memory and changes results by rounding at most."
    )

    @model_validator(mode="after")
    def _something_to_draw(self) -> Samples:
        if self.counts is not None and sum(self.counts.values()) < 10:
            raise ValueError("`counts` must name at least 10 records in all")
        return self
