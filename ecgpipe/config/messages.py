"""Errors of pydantic as messages that name the key, the value and what is allowed."""

from __future__ import annotations

import typing
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from ecgpipe.config.introspection import model_of
from ecgpipe.config.model import Config


class ConfigError(Exception):
    """A configuration that cannot be run; the message names the key, the value and what is allowed."""


def config_error(error: ValidationError) -> ConfigError:
    """Return the error that tells a user all that pydantic found wrong, one line each."""
    lines = [_describe(dict(found)) for found in error.errors()]
    return ConfigError("The config cannot be used:\n" + "\n".join(f"  - {line}" for line in lines))


def _describe(error: dict[str, Any]) -> str:
    """Say one pydantic error as key, value and what is allowed."""
    place = [str(part) for part in error["loc"] if part not in ("physionet", "simulated") and "<" not in str(part)]
    key = ".".join(place) or "config"
    message = error["msg"].removeprefix("Value error, ")
    value = _shown(error["input"])
    if error["type"] == "extra_forbidden":
        return f"`{key}`: no such key (value {value}); there are {', '.join(_keys_beside(error['loc']))}"
    if error["type"] == "missing":
        return f"`{key}`: this key is required and missing"
    if error["type"] == "value_error":
        return f"`{key}`: {message}" if error["loc"] else message
    return f"`{key}`: {value} is not allowed. {message}"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) < 120 else text[:117] + "..."


def _keys_beside(place: Sequence[str | int]) -> list[str]:
    """Return the keys that are allowed where pydantic found an unknown one."""
    model: Any = Config
    kind = str(place[-2]).strip("<>") if len(place) > 1 else None
    for part in place[:-1]:
        if isinstance(model, type) and issubclass(model, BaseModel):
            fields = {field.alias or name: field.annotation for name, field in model.model_fields.items()}
            model = fields.get(str(part), model)  # none: the name of an alternative, which pydantic puts among the keys
        elif typing.get_origin(model) in (dict, list):
            model = typing.get_args(model)[-1]
        model = model_of(model, {"kind": kind}) or model
    return [field.alias or name for name, field in model.model_fields.items()]
