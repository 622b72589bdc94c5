"""From the name of a generator in the configuration to its class, imported only when it is needed.

A generator of this package is the class that its module ``ecgpipe.generate.<name>`` gives as ``GENERATOR``; one of
your own is named by its dotted path, ``package.module:Class``. This module imports neither torch nor any generator.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

if TYPE_CHECKING:
    from ecgpipe.generate.protocol import Generator

MEMBERS = ("fit", "sample", "save", "load")


class GeneratorError(Exception):
    """A generator that cannot be found or used, or settings it does not take; the message says which and why."""


def module_of(name: str, dotted: str | None) -> str:
    """Return the dotted name of the module that holds a generator's class, without importing it.

    Args:
        name: the generator's name in the configuration.
        dotted: ``package.module:Class``, or None for the generator of that name in :mod:`ecgpipe.generate`.
    """
    return f"ecgpipe.generate.{name}" if dotted is None else dotted.partition(":")[0]


def class_path(name: str, dotted: str | None) -> str:
    """Return ``package.module:Class``; it is ``ecgpipe.generate.<name>:GENERATOR`` if ``dotted`` is None."""
    return f"{module_of(name, dotted)}:GENERATOR" if dotted is None else dotted


def load_class(name: str, dotted: str | None) -> type[Generator]:
    """Import a generator's class.

    Raises:
        GeneratorError: if module or class is missing, or the class lacks a member of the protocol.
    """
    module_name, _, attribute = class_path(name, dotted).partition(":")
    where = f"generator {name!r}"
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise GeneratorError(
                f"{where}: its module {module_name} needs {error.name}, which is not installed"
            ) from error
        hint = "set `class: package.module:Class`" if dotted is None else "is its folder installed or on PYTHONPATH?"
        raise GeneratorError(f"{where}: there is no module {module_name}; {hint}") from error
    found = getattr(module, attribute, None)
    if found is None:
        raise GeneratorError(f"{where}: module {module_name} has no {attribute}")
    if not isinstance(found, type):
        raise GeneratorError(f"{where}: {module_name}:{attribute} is no class")
    lacking = [member for member in MEMBERS if not callable(getattr(found, member, None))]
    for member in ("Settings", "SampleSettings"):
        model = getattr(found, member, None)
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            lacking.append(f"{member} (a pydantic model)")
    if lacking:
        raise GeneratorError(
            f"{where}: {module_name}:{found.__name__} lacks {', '.join(lacking)};"
            " see ecgpipe.generate.protocol.Generator"
        )
    return found


def parse_settings(name: str, model: type[BaseModel], values: dict[str, Any], key: str) -> BaseModel:
    """Check a generator's ``train`` or ``sample`` section against its own model.

    Args:
        name: the generator's name, for the message.
        model: the class's ``Settings`` or ``SampleSettings``.
        values: what the configuration says.
        key: ``train`` or ``sample``.

    Raises:
        GeneratorError: naming each wrong key, its value and what is allowed.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        lines = []
        for e in error.errors():
            place = ".".join(["generator_settings", name, key, *map(str, e["loc"])])
            if e["type"] == "extra_forbidden":
                lines.append(
                    f"`{place}`: no such key (value {e['input']!r}); there are {', '.join(model.model_fields)}"
                )
            elif e["type"] == "value_error":
                lines.append(f"`{place}`: {e['msg'].removeprefix('Value error, ')}")
            else:
                lines.append(f"`{place}`: {e['input']!r} is not allowed. {e['msg']}")
        raise GeneratorError("These settings cannot be used:\n" + "\n".join(f"  - {line}" for line in lines)) from None


def check_settings(name: str, dotted: str | None, train: dict[str, Any], sample: dict[str, Any]) -> None:
    """Check both sections of a generator before anything is trained (imports the class, and torch with it).

    Raises:
        GeneratorError: as :func:`load_class` and :func:`parse_settings` say.
    """
    found = load_class(name, dotted)
    trained = parse_settings(name, found.Settings, train, "train")
    drawn = parse_settings(name, found.SampleSettings, sample, "sample")
    fit_together = getattr(found, "check_together", None)
    if fit_together is not None:
        try:
            fit_together(trained, drawn)
        except ValueError as error:
            raise GeneratorError(f"`generator_settings.{name}.sample`: {error}") from error


def settings_model(name: str, dotted: str | None, section: str) -> type[BaseModel]:
    """Return the model of a generator's ``train`` or ``sample`` section."""
    found = load_class(name, dotted)
    return found.Settings if section == "train" else found.SampleSettings
