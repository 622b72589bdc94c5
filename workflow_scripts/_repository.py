"""Puts the root of this checkout on the import path, so that scripts run its code, whatever version is installed.

Folders of PYTHONPATH come last, and standard streams are open: see :mod:`ecgpipe.workflow.environment`.
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ecgpipe.workflow.environment import end_quietly_if_interrupted, installed_first, open_streams

open_streams()
end_quietly_if_interrupted()
sys.path[1:] = installed_first(sys.path[1:], os.environ.get("PYTHONPATH", ""))
