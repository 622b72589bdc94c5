"""From the name of a generator in the configuration to its class, imported only when it is needed.

A generator of this package is the class that its module ``ecgpipe.generate.<name>`` gives as ``GENERATOR``; one of
your own is named by its dotted path, ``package.module:Class``. This module imports neither torch nor any generator.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from ecgpipe import plugins
from ecgpipe.plugins import PluginError

if TYPE_CHECKING:
    from ecgpipe.generate.protocol import Generator

MEMBERS = ("fit", "sample", "save", "load")


class GeneratorError(PluginError):
    """A generator that cannot be found or used, or settings it does not take; the message says which and why."""


def module_of(name: str, dotted: str | None) -> str:
    """Return the dotted name of the module that holds a generator's class, without importing it.

    Args:
        name: the generator's name in the configuration.
        dotted: ``package.module:Class``, or None for the generator of that name in :mod:`ecgpipe.generate`.
    """
    return f"ecgpipe.generate.{name}" if dotted is None else plugins.module_of(dotted)


def class_path(name: str, dotted: str | None) -> str:
    """Return ``package.module:Class``; it is ``ecgpipe.generate.<name>:GENERATOR`` if ``dotted`` is None."""
    return f"{module_of(name, dotted)}:GENERATOR" if dotted is None else dotted


def load_class(name: str, dotted: str | None) -> type[Generator]:
    """Import a generator's class.

    Raises:
        GeneratorError: if module or class is missing, or the class lacks a member of the protocol.
    """
    where, path = f"generator {name!r}", class_path(name, dotted)
    missing = "set `class: package.module:Class`" if dotted is None else "is its folder installed or on PYTHONPATH?"
    try:
        found = plugins.import_class(path, where, f"generator_settings.{name}.class", missing)
    except PluginError as error:
        raise GeneratorError(str(error)) from error
    lacking = [member for member in MEMBERS if not callable(getattr(found, member, None))]
    for member in ("Settings", "SampleSettings"):
        model = getattr(found, member, None)
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            lacking.append(f"{member} (a pydantic model)")
    if lacking:
        raise GeneratorError(
            f"{where}: {module_of(name, dotted)}:{found.__name__} lacks {', '.join(lacking)};"
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
        return plugins.parse_settings(model, values, f"generator_settings.{name}.{key}")
    except PluginError as error:
        raise GeneratorError(str(error)) from None


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
