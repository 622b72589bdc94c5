"""Classes that the configuration names by their dotted path, ``package.module:Class``, and their own settings.

A generator or a classifier of a user's own is such a class. Nothing here imports torch or the class before it is asked
for.
"""

from __future__ import annotations

import importlib
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError


class PluginError(Exception):
    """A class that cannot be found or used, or settings it does not take; the message says which and why."""


class Settings(BaseModel):
    """Settings of a class: immutable and strict (unknown keys and other types are errors), all fields described."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def module_of(dotted: str) -> str:
    """Return the module of a dotted path, ``package.module`` of ``package.module:Class``."""
    return dotted.partition(":")[0]


def import_class(dotted: str, what: str, key: str, missing: str) -> type[Any]:
    """Import a class.

    Args:
        dotted: ``package.module:Class``.
        what: what it is for, for messages: ``generator 'mine'``.
        key: key of the configuration whose value names it.
        missing: what to do if there is no such module.

    Raises:
        PluginError: if module or class is missing, or the import ends in an error.
    """
    module_name, _, attribute = dotted.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise PluginError(f"{what}: its module {module_name} needs {error.name}, which is not installed") from error
        raise PluginError(f"{what}: there is no module {module_name}; {missing}") from error
    except (Exception, SystemExit) as error:  # a user's own code may do anything
        said = f"{type(error).__name__}: {error}".removesuffix(": ")
        raise PluginError(
            f"{what} (`{key}`): the import of {module_name} ended in {said}; correct the module"
        ) from error
    found = getattr(module, attribute, None)
    if found is None:
        raise PluginError(f"{what}: module {module_name} has no {attribute}")
    if not isinstance(found, type):
        raise PluginError(f"{what}: {module_name}:{attribute} is no class")
    return found


def parse_settings(model: type[BaseModel], values: dict[str, Any], key: str) -> BaseModel:
    """Check a class's own settings against its model.

    Args:
        model: the class's ``Settings``.
        values: what the configuration says.
        key: where it says so, for messages.

    Raises:
        PluginError: naming each wrong key, its value and what is allowed.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        lines = []
        for e in error.errors():
            place = ".".join([key, *map(str, e["loc"])])
            if e["type"] == "extra_forbidden":
                there = ", ".join(model.model_fields) or "none"
                lines.append(f"`{place}`: no such key (value {e['input']!r}); there are {there}")
            elif e["type"] == "value_error":
                lines.append(f"`{place}`: {e['msg'].removeprefix('Value error, ')}")
            else:
                lines.append(f"`{place}`: {e['input']!r} is not allowed. {e['msg']}")
        raise PluginError("These settings cannot be used:\n" + "\n".join(f"  - {line}" for line in lines)) from None
