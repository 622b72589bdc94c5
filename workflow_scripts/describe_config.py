"""Write configs/schema.json and the comments of every configuration from the models in ecgpipe/config/."""

from __future__ import annotations

from pathlib import Path

import _repository  # noqa: F401

from ecgpipe.config.writer import rewrite
from ecgpipe.generate.registry import settings_model


def main() -> None:
    rewrite(Path(__file__).resolve().parents[1], settings_model)


if __name__ == "__main__":
    main()
