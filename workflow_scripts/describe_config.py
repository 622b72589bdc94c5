"""Write configs/schema.json, the comments of every config and docs/reference/configuration.md from the models."""

from __future__ import annotations

from pathlib import Path

import _repository  # noqa: F401

from ecgpipe.config.reference import reference
from ecgpipe.config.writer import rewrite
from ecgpipe.files import write_text
from ecgpipe.generate.registry import settings_model

GENERATORS = ("diffwave", "time_diffusion", "time_vqvae", "class_mean_pca")


def main() -> None:
    root = Path(__file__).resolve().parents[1]
    rewrite(root, settings_model)
    own = {
        f"generator_settings.{name}.{section}": settings_model(name, None, section)
        for name in GENERATORS
        for section in ("train", "sample")
    }
    write_text(root / "docs" / "reference" / "configuration.md", reference(own))


if __name__ == "__main__":
    main()
