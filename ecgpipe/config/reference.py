"""A reference of all keys of the configuration as Markdown, from the models' own descriptions."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from ecgpipe.config.model import Config
from ecgpipe.config.writer import ModelOf

Schema = dict[str, Any]

LIMITS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}


GENERATORS = Path(__file__).parents[1] / "generate"
"""Folder of the generators of this package."""


def page(own: ModelOf) -> str:
    """Return the reference with the settings of all generators of this package.

    Args:
        own: gives the model of a generator's own settings.
    """
    modules = sorted(GENERATORS.glob("*.py"))
    built_in = [path.stem for path in modules if re.search(r"^GENERATOR = ", path.read_text(), re.MULTILINE)]
    places = [(name, section) for name in built_in for section in ("train", "sample")]
    return reference({f"generator_settings.{name}.{section}": own(name, None, section) for name, section in places})


def reference(own: dict[str, type[BaseModel]]) -> str:
    """Return the reference as Markdown: one heading a section, and a table of its keys.

    Args:
        own: models that the configuration does not name itself, by their place: the settings of the generators of
            this package, for instance ``generator_settings.diffwave.train``.
    """
    lines = [
        "# Configuration",
        "",
        "Every key of `config.yaml`, with its values, its default and what it does. A wrong key or value is an error "
        "before any job starts. `configs/schema.json` is the same as a JSON schema, for completion in an editor.",
        "",
    ]
    schema = _schema(Config)
    plain = {key: value for key, value in schema["properties"].items() if not _parts(value, schema["$defs"])}
    lines += ["## Top level", "", *_table({**schema, "properties": plain}, schema["$defs"])]
    for key, value in schema["properties"].items():
        lines += _section(key, value, schema["$defs"], 2)
    for place, model in own.items():
        schema = _schema(model)
        lines += _model(place, schema, schema.get("$defs", {}), 2)
    return "\n".join(lines)


class _WithDefaults(GenerateJsonSchema):
    """A JSON schema that also has the defaults that a factory makes."""

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        made = super().default_schema(schema)
        factory = schema.get("default_factory")
        if factory is not None and not schema.get("default_factory_takes_data"):
            made["default"] = self.encode_default(factory())  # type: ignore[call-arg]
        return made


def _schema(model: type[BaseModel]) -> Schema:
    return model.model_json_schema(by_alias=True, schema_generator=_WithDefaults)


def _section(place: str, value: Schema, models: dict[str, Schema], level: int) -> Iterator[str]:
    """Yield the lines on a key whose value is a mapping, or one of several mappings."""
    named = _of_names(value) is not None
    for name in _parts(value, models):
        kind = models[name]["properties"].get("kind", {}).get("const")
        title = f"{place}{'.<name>' if named else ''}"
        said = value.get("description", "")
        yield from _model(f"{title} ({kind})" if kind else title, models[name], models, level, said)


def _model(title: str, model: Schema, models: dict[str, Schema], level: int, said: str = "") -> Iterator[str]:
    """Yield a heading, what is said of the key and of the model, the table of its keys, and the models in it."""
    yield from [f"{'#' * level} `{title}`", ""]
    about = [" ".join(text.replace("``", "`").split()) for text in (said, model.get("description", ""))]
    yield from [" ".join(dict.fromkeys(text for text in about if text)), ""]
    yield from _table(model, models)
    for key, value in model["properties"].items():
        yield from _section(f"{title.split(' (')[0]}.{key}", value, models, min(level + 1, 4))


def _table(model: Schema, models: dict[str, Schema]) -> list[str]:
    """Return a table with a row for each key of a model."""
    lines = ["| key | values | default | what it is |", "|---|---|---|---|"]
    required = model.get("required", [])
    for key, value in model["properties"].items():
        default = "required" if key in required else _default(value, bool(_parts(value, models)))
        cells = [f"`{key}`", _values(value, models), default, value.get("description", "")]
        lines.append("| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |")
    return [*lines, ""]


def _default(value: Schema, nested: bool) -> str:
    if "default" not in value or (nested and value["default"] is not None):
        return ""
    text = json.dumps(value["default"], ensure_ascii=False)
    return f"`{text}`"


def _values(value: Schema, models: dict[str, Schema]) -> str:
    """Say in a few words which values a key takes."""
    for several in ("anyOf", "oneOf"):
        if several in value:
            return " or ".join(dict.fromkeys(_values(one, models) for one in value[several]))
    if "$ref" in value:
        return "mapping, see below"
    if "const" in value:
        return f"`{value['const']}`"
    if "enum" in value:
        return ", ".join(f"`{one}`" for one in value["enum"])
    limits = ", ".join(f"{sign} {value[name]:g}" for name, sign in LIMITS.items() if name in value)
    return f"{_type(value, models)} {limits}".strip()


def _type(value: Schema, models: dict[str, Schema]) -> str:
    if value.get("type") == "array":
        items = value.get("items", {})
        return f"list of {_values(items, models)}" if items else "list"
    if value.get("type") == "object":
        inner = _of_names(value)
        return "mapping" if inner is None else f"names, each with {_values(inner, models)}"
    type_ = str(value.get("type", "any"))
    return {"string": "text", "boolean": "true, false"}.get(type_, type_)


def _of_names(value: Schema) -> Schema | None:
    """Return the schema of the values of a mapping whose keys are names of the user's choice; None for others."""
    inner = next(iter(value.get("patternProperties", {}).values()), value.get("additionalProperties"))
    return inner if isinstance(inner, dict) else None


def _parts(value: Schema, models: dict[str, Schema]) -> list[str]:
    """Return the names of the models that a key's value may be written for."""
    if "$ref" in value:
        name = value["$ref"].rpartition("/")[2]
        return [name] if "properties" in models[name] else []
    inner = [*value.get("anyOf", []), *value.get("oneOf", [])]
    inner += [one for one in (_of_names(value), value.get("items")) if isinstance(one, dict)]
    return list(dict.fromkeys(name for one in inner for name in _parts(one, models)))
