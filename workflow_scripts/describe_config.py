"""Write configs/schema.json, the comments of every config and docs/reference/configuration.md from the models."""

from __future__ import annotations

from pathlib import Path

import _repository  # noqa: F401

from ecgpipe.config.reference import page
from ecgpipe.config.writer import rewrite
from ecgpipe.files import write_text
from ecgpipe.generate.registry import settings_model


def main() -> None:
    root = Path(__file__).resolve().parents[1]
    rewrite(root, settings_model)
    write_text(root / "docs" / "reference" / "configuration.md", page(settings_model))


if __name__ == "__main__":
    main()
