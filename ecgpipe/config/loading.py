"""Configurations read and checked, and the one text that stands for a value."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from ecgpipe.config.messages import ConfigError, config_error
from ecgpipe.config.model import Config


def _with_numbers(value: Any) -> Any:
    """Return ``value`` with texts such as ``1e-3``, which YAML 1.1 does not take for numbers, as numbers."""
    if isinstance(value, dict):
        return {key: _with_numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_numbers(item) for item in value]
    if isinstance(value, str) and re.fullmatch(r"[+-]?\d+(\.\d+)?[eE][+-]?\d+", value):
        return float(value)
    return value


def validate(raw: object) -> Config:
    """Check a configuration as read from YAML.

    Args:
        raw: nested dictionaries, lists and scalars.

    Raises:
        ConfigError: naming every wrong key, its value and what is allowed.
    """
    if not isinstance(raw, dict):
        raise ConfigError(f"the config must be a mapping of keys, got {type(raw).__name__}")
    try:
        # As JSON, in which a list may stand for a pair and nothing else is converted.
        return Config.model_validate_json(json.dumps(_with_numbers(raw), default=str))
    except ValidationError as error:
        raise config_error(error) from None


def load(path: str | Path) -> Config:
    """Read and check a YAML file."""
    return validate(yaml.safe_load(Path(path).read_text(encoding="utf-8")))


def canonical(value: object) -> str:
    """Return the one JSON text of a value: sorted keys, no spaces. What Snakemake compares as a parameter."""
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json", by_alias=True)
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
