"""Write configs/schema.json and the comments of every configuration from the models in ecgpipe/config/."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from ecgpipe.config.writer import rewrite  # noqa: E402
from ecgpipe.generate.registry import settings_model  # noqa: E402

if __name__ == "__main__":
    rewrite(ROOT, settings_model)
