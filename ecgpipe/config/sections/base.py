"""What all sections of the configuration share."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,39}$")]

DottedPath = Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")]
"""Where a class is: ``package.module:Class``."""

Seed = Annotated[int, Field(ge=0, lt=2**63)]
"""Seed of random numbers. It fits a column of whole numbers in a table, and what torch takes."""


def _ordered(pair: list[float]) -> list[float]:
    if pair[0] >= pair[1]:
        raise ValueError("must be a lower and a higher value")
    return pair


Interval = Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=2, max_length=2), AfterValidator(_ordered)]
"""A lower and a higher value."""


def _usable_path(path: str) -> str:
    if re.search(r"^-|[{}\x00-\x1f\x7f]", path):
        raise ValueError(
            f"{path!r} cannot be a path of the workflow's files: it may not start with - nor hold braces, line breaks "
            "or other control characters"
        )
    return path


WorkflowPath = Annotated[str, Field(min_length=1), AfterValidator(_usable_path)]
"""A path that rules name: Snakemake reads braces as wildcards. Quotes, spaces and ``$`` are fine."""


class Section(BaseModel):
    """A part of the configuration: no unknown keys, no silent conversion of wrong types."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)
