"""The benchmark of what generators learn: its measures in known cases, and its tables in the documentation."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

from ecgpipe.leads import twelve_from_independent


@pytest.fixture
def learning(load: Callable[[str], ModuleType]) -> ModuleType:
    return load("learning")


@pytest.mark.parametrize(("csv", "table"), [("CSV", "table"), ("LOSSES_CSV", "losses_table")])
def test_the_document_shows_the_table_of_the_csv(learning: ModuleType, csv: str, table: str) -> None:
    text, name = learning.DOCUMENT.read_text(encoding="utf-8"), getattr(learning, csv).stem
    assert text.split(f"<!-- {name}: begin -->\n")[1].split(f"<!-- {name}: end -->\n")[0] == getattr(learning, table)()


def test_generators_stand_in_the_csv_beside_real_records_and_the_control(learning: ModuleType) -> None:
    found = pd.read_csv(learning.CSV)
    for _, rows in found.groupby("dataset"):
        assert {"real", "class_mean_pca"} <= set(rows["generator"]) <= {"real", *learning.GENERATORS}
    found = found[found["refused"].isna()]
    assert found["agreement"].between(found["agreement_low"], found["agreement_high"]).all()
    assert (found.loc[found["generator"] != "real", "limb_residual_mv"] < 1e-5).all()


def test_frechet_distance_of_known_gaussians(learning: ModuleType) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((200_000, 2))
    assert learning.frechet(x, x) == pytest.approx(0, abs=1e-9)
    # |difference of means|^2 + sum (s1 - s2)^2
    assert learning.frechet(x, 3 * rng.standard_normal((200_000, 2)) + [1.0, 0.0]) == pytest.approx(1 + 2 * 4, rel=0.02)


def test_interval_of_a_share(learning: ModuleType) -> None:
    assert learning.wilson(8, 10) == pytest.approx((0.490, 0.943), abs=1e-3)
    assert learning.wilson(0, 10)[0] == pytest.approx(0, abs=1e-9)


def test_distance_to_the_nearest_training_record(learning: ModuleType) -> None:
    train = twelve_from_independent(np.random.default_rng(0).standard_normal((5, 8, 30)))
    assert learning.nearest(train[[3]], train) == pytest.approx(0, abs=1e-6)
    assert learning.nearest(train[[3]] + twelve_from_independent(np.full((1, 8, 30), 0.1)), train) == pytest.approx(0.1)
