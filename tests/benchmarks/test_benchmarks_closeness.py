"""The benchmarks of closeness: the documents show what was measured."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("name", "document", "section"),
    [("closeness", "performance.md", "closeness"), ("closeness_real", "closeness.md", "real")],
)
def test_the_section_is_made_of_the_csv(
    load: Callable[[str], ModuleType], name: str, document: str, section: str
) -> None:
    module = load(name)
    expected = module.render(pd.read_csv(module.CSV)).strip()
    text = (ROOT / "docs" / document).read_text(encoding="utf-8")
    assert f"<!-- {section}: begin -->\n{expected}\n<!-- {section}: end -->" in text


def test_every_kind_was_measured_in_every_way_at_every_size(load: Callable[[str], ModuleType]) -> None:
    module = load("closeness")
    measured = pd.read_csv(module.CSV)
    wanted = [(kind, way) for kind, ways in module.KINDS.items() for way in ways]
    for _, rows in measured.groupby("records"):
        assert list(zip(rows["kind"], rows["way"], strict=True)) == wanted


def test_growth_is_the_power_of_the_number_of_records(load: Callable[[str], ModuleType]) -> None:
    costs = pd.DataFrame({"cpu_seconds": [9.0, 2.0, 16.0]}, index=[10, 100, 200])
    assert load("closeness").growth(costs, "cpu_seconds") == pytest.approx(3.0)
