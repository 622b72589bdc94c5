"""Configurations read and checked, and the one text that stands for a value."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import BaseModel, ValidationError

from ecgpipe.config.files import plain, read_yaml
from ecgpipe.config.messages import ConfigError, config_error
from ecgpipe.config.model import Config


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
        return Config.model_validate_json(json.dumps(plain(raw)))
    except ValidationError as error:
        raise config_error(error) from None


def load(path: str | Path) -> Config:
    """Read and check a YAML file.

    Raises:
        ConfigError: if it is no YAML file of a sensible size, or as :func:`validate` says.
    """
    return validate(read_yaml(path))


def canonical(value: object) -> str:
    """Return the one JSON text of a value: sorted keys, no spaces. What Snakemake compares as a parameter."""
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json", by_alias=True)
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
