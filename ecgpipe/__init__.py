"""Do synthetic 12-lead ECGs help a rhythm classifier? A study of this question, and tools for anybody's ECGs.

>>> import ecgpipe
>>> generator = ecgpipe.load("results/generators/demo_ptbxl/diffwave")  # doctest: +SKIP
>>> ecgs = generator.sample("AFIB", 50, seed=1)  # (50, 12, 1000) in mV  # doctest: +SKIP
>>> real = ecgpipe.load_dataset("results/data/demo_ptbxl")  # doctest: +SKIP
>>> table = ecgpipe.evaluate(real, ecgs, rate=100)  # doctest: +SKIP
>>> results = ecgpipe.results("results")  # doctest: +SKIP

These names are imported when they are asked for (PEP 562): ``import ecgpipe`` imports neither torch nor pandas.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ecgpipe.api import evaluate, load_dataset, results
    from ecgpipe.sample.trained import load

_MODULES = {
    "evaluate": "ecgpipe.api",
    "load": "ecgpipe.sample.trained",
    "load_dataset": "ecgpipe.api",
    "results": "ecgpipe.api",
}

__all__ = ["evaluate", "load", "load_dataset", "results"]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return importlib.import_module("importlib.metadata").version("ecgpipe")
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
