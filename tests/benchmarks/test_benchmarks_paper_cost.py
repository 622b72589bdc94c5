"""Hours of the paper's study: from rates to hours, and the committed section is made of the kept measurements."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

from ecgpipe.config import load as load_config

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_hours_follow_from_rates(load: Callable[[str], ModuleType]) -> None:
    benchmark = load("paper_cost")
    found = pd.read_csv(benchmark.CSV).query("device == 'cpu'")
    hours = benchmark.paper_hours(found, load_config(benchmark.PAPER))
    rate = found[found["name"] == "diffwave"].set_index("kind")["records_per_second"]
    # Two datasets with records of their own; 100,000 steps of 8 records, and 21,000 records drawn.
    assert hours["training `diffwave`"] == pytest.approx(2 * 100_000 * 8 / rate["training"] / 3600)
    assert hours["drawing from `diffwave`"] == pytest.approx(2 * 21_000 / rate["sampling"] / 3600)
    # Three datasets, five shares, 25 seeds; 40 epochs of which each ends with a look at the validation records.
    speeds = found[found["kind"] == "classifier"].set_index(["name", "way"])["records_per_second"]
    expected = 0.0
    for name, train, validation in (("ptbxl", 16_504, 2_063), ("chapman", 36_042, 4_505), ("chapman", 52_546, 6_568)):
        each = 3 * train / speeds[name, benchmark.KEPT] + 5 * validation / speeds[name, benchmark.VALIDATION]
        expected += 25 * 40 * each / 3600
    assert hours["classifiers, real (375 trainings)"] == pytest.approx(expected)


def test_a_line_through_two_batches_gives_the_seconds_of_a_larger_one(load: Callable[[str], ModuleType]) -> None:
    per_record = load("paper_cost").per_record
    assert per_record(lambda size: 6 + 0.5 * size, (1, 3), 8) == pytest.approx((6 + 0.5 * 8) / 8)
    assert per_record(lambda size: 0.5 * size - 0.1, (1, 3), 8) == pytest.approx(0.5)  # no part can be below nothing


def test_the_section_is_made_of_the_measurements(load: Callable[[str], ModuleType]) -> None:
    benchmark = load("paper_cost")
    expected = benchmark.render(pd.read_csv(benchmark.CSV), load_config(benchmark.PAPER)).strip()
    text = (DOCS / "statistics.md").read_text(encoding="utf-8")
    assert f"<!-- paper-cost: begin -->\n{expected}\n<!-- paper-cost: end -->" in text
