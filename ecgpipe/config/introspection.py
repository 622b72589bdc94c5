"""From a field's annotation to the model that it names."""

from __future__ import annotations

import types
import typing
from typing import Annotated, Any

from pydantic import BaseModel


def model_of(annotation: Any, value: Any) -> type[BaseModel] | None:
    """Return the model among an annotation's alternatives that ``value`` (a mapping) was written for."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if typing.get_origin(annotation) not in (Annotated, typing.Union, types.UnionType):
        return None
    found = [model for inner in typing.get_args(annotation) if (model := model_of(inner, value))]
    if len(found) > 1:
        found = [model for model in found if isinstance(value, dict) and _is_of_kind(model, value)]
    return found[0] if found else None


def _is_of_kind(model: type[BaseModel], value: dict[str, Any]) -> bool:
    kind = model.model_fields["kind"]
    return value.get("kind", "own" if "class" in value else kind.default) in typing.get_args(kind.annotation)
