"""Puts the root of this checkout on the import path, so that scripts run its code, whatever version is installed."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
