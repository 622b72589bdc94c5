"""The benchmark of the full study's data runs the workflow's scripts, and goes on where it was interrupted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest


@pytest.mark.slow
def test_small_sets_go_through_all_steps(load: Callable[[str], ModuleType], tmp_path: Path) -> None:
    full_scale = load("full_scale")
    table = full_scale.measure(0.001, 4, tmp_path)
    steps = [(step, name) for name in ("ptbxl", "chapman") for step in ("simulate", "acquire", "preprocess")]
    expected = [*steps, ("merge", "merged"), ("find twins", "merged")]
    assert list(zip(table["step"], table["dataset"], strict=True)) == expected
    assert (table["cpu_seconds"] > 0).all()
    assert "Not measured yet" not in full_scale.render(table)
    full_scale.measure(0.001, 4, tmp_path)  # nothing is left to do: the raw records are gone
