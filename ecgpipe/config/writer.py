"""The JSON schema of the configuration, and YAML files whose comments are the models' descriptions."""

from __future__ import annotations

import itertools
import json
import re
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from ecgpipe.config.introspection import model_of
from ecgpipe.config.model import Config
from ecgpipe.config.sections.generators import GeneratorSettings

ModelOf = Callable[[str, str | None, str], type[BaseModel]]
"""From a generator's name, the dotted path of its class (or None) and ``train`` or ``sample`` to the model of that
section."""


def json_schema() -> str:
    """Return the JSON schema of the configuration as text, for ``configs/schema.json``."""
    return json.dumps(Config.model_json_schema(by_alias=True), indent=2, sort_keys=True) + "\n"


def commented(path: str | Path, own: ModelOf) -> str:
    """Return the YAML file's values with each key's description before its first use.

    Args:
        path: of the file; comments at its head are kept.
        own: gives the model of a generator's own settings.
    """
    text = Path(path).read_text(encoding="utf-8")
    head = itertools.takewhile(lambda line: line.startswith("#"), text.splitlines(keepends=True))
    return "".join([*head, *_Commented(own).lines(yaml.safe_load(text), Config)])


def rewrite(root: Path, own: ModelOf) -> None:
    """Write ``configs/schema.json`` and the comments of every configuration below ``root`` anew.

    Args:
        root: of the repository.
        own: gives the model of a generator's own settings.
    """
    from ecgpipe.files import write_text  # loads pandas

    write_text(root / "configs" / "schema.json", json_schema())
    for path in [root / "config.yaml", *sorted((root / "configs").glob("*.yaml"))]:
        write_text(path, commented(path, own))


class _Commented:
    """A mapping as lines of YAML, each key's description before its first use.

    Args:
        own: gives the model of a generator's own settings.
    """

    def __init__(self, own: ModelOf) -> None:
        self._own = own
        self._described: set[int] = set()

    def lines(
        self,
        mapping: dict[str, Any],
        model: type[BaseModel] | None,
        values: Any = None,
        name: str = "",
        indent: int = 0,
    ) -> Iterator[str]:
        """Yield the lines of ``mapping``.

        Args:
            mapping: from keys to values.
            model: whose fields the keys are, if they are any's.
            values: annotation of the values, if the keys are names of the user's choice.
            name: key of the mapping.
            indent: levels that it lies below the top.
        """
        pad = "  " * indent
        fields = {field.alias or key: field for key, field in model.model_fields.items()} if model else {}
        for key, item in mapping.items():
            field = fields.get(key)
            if indent == 0:
                yield "\n"
            yield from self._comment(field, pad)
            if not isinstance(item, dict) or not item:
                yield f"{pad}{key}: {_scalar(item)}\n"
                continue
            yield f"{pad}{key}:\n"
            annotation = values if field is None else field.annotation
            inner = model_of(annotation, item)
            if model is GeneratorSettings and key in ("train", "sample"):
                inner = self._own(name, mapping.get("class"), key)
            named = field is not None and typing.get_origin(annotation) is dict
            yield from self.lines(item, inner, typing.get_args(annotation)[1] if named else None, key, indent + 1)

    def _comment(self, field: FieldInfo | None, pad: str) -> Iterator[str]:
        if field is not None and field.description and id(field) not in self._described:
            self._described.add(id(field))
            yield f"{pad}# {field.description}\n"


def _scalar(value: Any) -> str:
    if isinstance(value, float):
        return re.sub(r"^(\d+)e", r"\1.0e", repr(value))
    text = yaml.safe_dump(value, default_flow_style=True, width=10**6, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...")
