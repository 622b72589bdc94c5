"""YAML files of configurations: read within bounds, and keys that stand twice found.

YAML takes the last of two equal keys without a word, and Snakemake reads its config files so. Aliases let a file of a
kilobyte stand for billions of values.
"""

from __future__ import annotations

import contextlib
import datetime
import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ecgpipe.config.messages import ConfigError

MOST_BYTES = 16_000_000
"""Size of a configuration file: the 88,000 record names of both hospitals are about one million bytes."""
MOST_VALUES = 1_000_000
"""Values of a configuration, aliases written out. A long text counts as several."""
DEEPEST = 32
"""Levels of keys and lists."""
LARGEST = 2**63 - 1

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_yaml(path: str | Path) -> object:
    """Read a YAML file.

    Raises:
        ConfigError: if it is no file of a sensible size, no YAML, or names a key twice.
    """
    text = _text(Path(path))
    try:
        _scan(path, text)  # before libyaml builds values, which takes the program with it if they are nested too deeply
        value: object = yaml.load(text, Loader=_Loader)  # noqa: S506 - a safe loader
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date such as 2020-99-99
        raise ConfigError(f"{path} is no YAML: {error}") from None
    return value


def check_bounds(path: str | Path) -> None:
    """Make sure that a YAML file holds no more than a configuration may, aliases written out.

    Raises:
        ConfigError: as :func:`read_yaml` and :func:`plain` say.
    """
    plain(read_yaml(path))


def check_keys(path: str | Path) -> None:
    """Make sure that no key stands twice in a YAML file that Snakemake has read.

    Raises:
        ConfigError: naming the key, and the lines it is in.
    """
    path = Path(path)
    if not path.is_file():  # a pipe can be read but once
        return
    text = _text(path)
    if "__use_yte__" in text:  # a template of Snakemake's, whose conditions may stand twice
        return
    with contextlib.suppress(yaml.YAMLError):  # JSON that is no YAML
        _scan(path, text)


def _text(path: Path) -> str:
    try:
        if path.exists() and not path.is_file():
            raise ConfigError(f"{path} is no file: name a YAML file")
        if (size := path.stat().st_size) > MOST_BYTES:
            raise ConfigError(f"{path} has {size:,} bytes; a configuration has at most {MOST_BYTES:,}")
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is no UTF-8 text ({error.reason} at byte {error.start})") from None
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None


def _scan(path: str | Path, text: str) -> None:
    """Refuse a text that names a key twice in one mapping, or is nested too deeply."""
    levels: list[_Level] = []
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionEndEvent):
            levels.pop()
        if not isinstance(event, yaml.NodeEvent):
            continue
        line = event.start_mark.line + 1 if event.start_mark is not None else 0
        if levels and (first := levels[-1].meets(event, line)):
            key = ".".join(level.key for level in levels if level.key)
            raise ConfigError(
                f"{path}: `{key}` stands twice, in lines {first} and {line}; YAML would take the last. Leave one"
            )
        if isinstance(event, yaml.CollectionStartEvent):
            levels.append(_Level(isinstance(event, yaml.MappingStartEvent)))
        if len(levels) > DEEPEST:
            raise ConfigError(f"{path}, line {line}: a configuration is at most {DEEPEST} levels deep")


@dataclass
class _Level:
    """A mapping or a list that is open while a text is read."""

    is_mapping: bool
    lines: dict[str, int] = field(default_factory=dict)
    """Of each key so far."""
    key: str = ""
    """The last of them."""
    in_value: bool = False

    def meets(self, event: yaml.NodeEvent, line: int) -> int | None:
        """Take a key or value; return the line in which the same key stands already."""
        if not self.is_mapping:
            return None
        self.in_value = not self.in_value
        if not self.in_value or not isinstance(event, yaml.ScalarEvent) or event.value == "<<":
            return None
        self.key = event.value
        first = self.lines.get(self.key)
        self.lines[self.key] = line
        return first


def plain(value: object) -> Any:
    """Return a configuration as JSON can hold it, with texts such as ``1e-3`` (no number in YAML 1.1) as numbers.

    Raises:
        ConfigError: naming the key, for what no configuration has: too many values, keys that are no text, numbers
            that are not finite or too large, texts that are no Unicode.
    """
    return _Plain().of(value, ())


class _Plain:
    """One pass over a configuration; it counts what it has seen, aliases written out."""

    def __init__(self) -> None:
        self._left = MOST_VALUES

    def of(self, value: object, place: tuple[str, ...]) -> Any:
        """Return a value that stands at ``place``."""
        self._left -= 1 + (len(value) // 100 if isinstance(value, str) else 0)
        if self._left < 0 or len(place) > DEEPEST:
            raise ConfigError(
                f"`{_dotted(place[:2])}` holds more than a configuration may: at most {MOST_VALUES:,} values in all, "
                f"{DEEPEST} levels deep; a YAML alias (`*name`) counts as all that it stands for"
            )
        if isinstance(value, dict):
            return {(name := _key(key, place)): self.of(item, (*place, name)) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.of(item, (*place, str(number))) for number, item in enumerate(value)]
        return _scalar(value, place)


def _key(key: object, place: tuple[str, ...]) -> str:
    if isinstance(key, str):
        return str(_scalar(key, place, number=False))
    if isinstance(key, int) and not isinstance(key, bool):
        return str(_scalar(key, place))
    raise ConfigError(f"`{_dotted(place)}`: the key {key!r:.80} is no text; put it in quotes")


def _scalar(value: object, place: tuple[str, ...], number: bool = True) -> Any:
    """Return a value that holds no others.

    Args:
        value: of any type.
        place: where it stands.
        number: whether a text may become a number.
    """
    wrong = None
    if isinstance(value, str):
        if "\0" in value or not _is_unicode(value):
            wrong = f"{ascii(value)[:80]} is no text: it holds a character that no file can have"
        elif number and re.fullmatch(r"[+-]?\d+(\.\d+)?[eE][+-]?\d+", value):
            value = float(value)
    if isinstance(value, float) and not math.isfinite(value):
        wrong = f"{value} is not allowed; only finite numbers are"
    elif isinstance(value, int) and abs(value) > LARGEST:
        wrong = f"a whole number of {value.bit_length()} bits is not allowed; at most {LARGEST} is"
    elif isinstance(value, datetime.date):
        value = str(value)
    elif value is not None and not isinstance(value, bool | int | float | str):
        wrong = f"a value of type {type(value).__name__} is not allowed"
    if wrong is not None:
        raise ConfigError(f"`{_dotted(place)}`: {wrong}")
    return value


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _dotted(place: tuple[str, ...]) -> str:
    return ".".join(place) or "config"
