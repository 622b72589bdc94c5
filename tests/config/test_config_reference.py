"""The site's page on the configuration names every key, with its default and its description."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import Field

from ecgpipe.config.reference import page, reference
from ecgpipe.config.sections.base import Section
from ecgpipe.generate.registry import settings_model

ROOT = Path(__file__).resolve().parents[2]


class Inner(Section):
    """What ``inner`` is."""

    depth: int = Field(3, ge=1, description="How deep | how wide.")


class Own(Section):
    """Settings of a generator."""

    pair: list[float] = Field(default_factory=lambda: [0.5, 2.0], description="Two numbers.")
    inner: Inner = Field(default_factory=Inner, description="More.")


def _keys(schema: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for model in [schema, *schema["$defs"].values()]:
        for key, value in model["properties"].items():
            yield key, value.get("description", "")


def test_every_key_is_there_with_its_description() -> None:
    text = reference({})
    schema = json.loads((ROOT / "configs" / "schema.json").read_text())
    rows = {line.split("|")[1].strip(): line for line in text.splitlines() if line.startswith("| `")}
    for key, description in _keys(schema):
        assert f"`{key}`" in rows or f"## `{key}" in text, key
        assert " ".join(description.split()).replace("|", "\\|") in text, key


def test_values_defaults_and_nested_models() -> None:
    text = reference({"generator_settings.own.train": Own})
    own = text[text.index("## `generator_settings.own.train`") :]
    assert "Settings of a generator." in own
    assert "| `pair` | list of number | `[0.5, 2.0]` | Two numbers. |" in own
    assert "### `generator_settings.own.train.inner`" in own
    assert "| `depth` | integer ≥ 1 | `3` | How deep \\| how wide. |" in own
    assert "| `fractions` | list of number > 0, ≤ 1 | `[0.2, 0.4, 0.6, 0.8, 1.0]`" in text
    assert "| `datasets` | list of text | required |" in text


def test_the_committed_page_is_that_of_the_models() -> None:
    """`make schema` writes it."""
    assert (ROOT / "docs" / "reference" / "configuration.md").read_text(encoding="utf-8") == page(settings_model)
