"""The document of the benchmark says what its CSV says."""

from __future__ import annotations

import importlib
from pathlib import Path

import pandas as pd
import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


def test_the_section_is_made_of_the_csv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    benchmark = importlib.import_module("generators")
    section = benchmark.render(pd.read_csv(benchmark.CSV)).strip()
    page = (BENCHMARKS.parent / "docs" / "performance.md").read_text(encoding="utf-8")
    assert f"<!-- generators: begin -->\n{section}\n<!-- generators: end -->" in page, (
        "run benchmarks/generators.py --render"
    )
