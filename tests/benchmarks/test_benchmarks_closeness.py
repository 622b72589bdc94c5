"""The benchmark of the closeness measures: it is complete, and growth is an exponent."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import pandas as pd
import pytest


def test_every_kind_was_measured_in_every_way_at_every_size(load: Callable[[str], ModuleType]) -> None:
    module = load("closeness")
    measured = pd.read_csv(module.CSV)
    wanted = [(kind, way) for kind, ways in module.KINDS.items() for way in ways]
    for _, rows in measured.groupby("records"):
        assert list(zip(rows["kind"], rows["way"], strict=True)) == wanted


def test_growth_is_the_power_of_the_number_of_records(load: Callable[[str], ModuleType]) -> None:
    costs = pd.DataFrame({"cpu_seconds": [9.0, 2.0, 16.0]}, index=[10, 100, 200])
    assert load("closeness").growth(costs, "cpu_seconds") == pytest.approx(3.0)
