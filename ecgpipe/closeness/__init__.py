"""``ecgpipe.closeness.evaluate``, imported when it is asked for: names and tables alone are quick to load."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ecgpipe.closeness.comparison import evaluate as evaluate


def __getattr__(name: str) -> Any:
    if name != "evaluate":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return importlib.import_module("ecgpipe.closeness.comparison").evaluate
