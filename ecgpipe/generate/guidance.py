"""Classifier-free guidance (Ho & Salimans, arXiv 2207.12598): class dropout in training, extrapolation in sampling.

A network learns both the conditional and the unconditional model: in training, the class of some records is replaced
with "no class". Samples are then drawn with the conditional prediction moved away from the unconditional one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import torch
from pydantic import AfterValidator, Field


def _ascending(levels: tuple[float, float]) -> tuple[float, float]:
    if not 0 <= levels[0] < levels[1]:
        raise ValueError(f"`guidance_levels` must ascend from 0 or more, not {list(levels)}")
    return levels


GuidanceLevels = Annotated[tuple[float, float], Field(strict=False), AfterValidator(_ascending)]
"""Lowest and highest level of noise at which there is guidance (Kynkäänniemi et al. 2024, arXiv 2404.07724)."""


def guidance_at(scale: float, levels: tuple[float, float] | None, level: float, unit: float = 1.0) -> float:
    """Return the guidance scale at ``level``, in multiples of ``unit``: 1, which is none, outside ``levels``."""
    if levels is None or levels[0] * unit <= level <= levels[1] * unit:
        return scale
    return 1.0


def drop_classes(labels: torch.Tensor, no_class: int, probability: float, generator: torch.Generator) -> torch.Tensor:
    """Replace each class id of ``labels (b,)`` with ``no_class`` at random."""
    dropped = torch.rand(len(labels), generator=generator, device=labels.device) < probability
    return torch.where(dropped, no_class, labels)


def classifier_free_guidance(
    conditional: Callable[[], torch.Tensor], unconditional: Callable[[], torch.Tensor], scale: float
) -> torch.Tensor:
    """Return D_0 + scale (D_y - D_0) of the unconditional D_0 and the conditional D_y; scale 1 is D_y, and one pass."""
    if scale == 1.0:
        return conditional()
    base = unconditional()
    return torch.lerp(base, conditional(), scale)


def check_guidance(guidance: float, class_dropout: float) -> None:
    """Refuse guidance of a network that never learns "no class".

    Raises:
        ValueError: saying what to change.
    """
    if guidance != 1 and class_dropout == 0:
        raise ValueError(
            f"`guidance` {guidance:g} needs a training with `class_dropout` above 0; without, only 1 is allowed"
        )
