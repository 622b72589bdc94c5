"""Write configs/schema.json and the comments of every configuration from the model in ecgpipe/config.py."""

from __future__ import annotations

from pathlib import Path

import _repository  # noqa: F401

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    from ecgpipe.config import commented, json_schema
    from ecgpipe.files import write_text
    from ecgpipe.generate.registry import settings_model

    write_text(ROOT / "configs" / "schema.json", json_schema())
    for path in [ROOT / "config.yaml", *sorted((ROOT / "configs").glob("*.yaml"))]:
        write_text(path, commented(path, settings_model))


if __name__ == "__main__":
    main()
