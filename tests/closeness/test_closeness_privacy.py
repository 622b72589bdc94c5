"""Copies are found however they are disguised; a generator that learns by heart is called out, a fair one is not."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from ecgpipe.closeness.copies import similarity
from ecgpipe.closeness.feature_cache import FeatureCache
from ecgpipe.closeness.feature_maps import FeatureMaps
from ecgpipe.closeness.privacy import (
    TABLE_COLUMNS,
    assess,
    expected_near_share,
    judged,
    membership_auc,
    near_share,
)
from ecgpipe.closeness.settings import Settings
from ecgpipe.vocabulary import ALL, CANNOT_TELL, COPIES, MEMORISES, NO_SIGN

FAST = Settings(draws=60)


@pytest.fixture(scope="module")
def maps(train):
    return FeatureMaps.fit(train, None)


def assessed(real, synthetic, train, maps):
    return assess(*(FeatureCache(records, maps) for records in (real, synthetic, train)), FAST)


def verdict(found):
    (word,) = set(found.table["verdict"])
    return word


def pooled(found):
    return found.table[found.table["class"] == ALL].set_index("measure")


def test_fresh_records_give_nothing_away(held_out, fresh, train, maps):
    found = assessed(held_out, fresh, train, maps)
    assert verdict(found) == NO_SIGN, found.table
    table = pooled(found)
    for space in ("signal", "features"):
        auc = table.loc[f"membership_auc_{space}"]
        assert auc["low"] <= 0.5
        assert table.loc[f"near_share_{space}", "low"] <= 0.03
    assert len(found.pairs) == 5


DISGUISES = {
    "none": lambda x: x,
    "scaled": lambda x: 1.3 * x,
    "turned over": lambda x: -x,
    "one lead turned over": lambda x: x * np.where(np.arange(12) == 4, -1, 1)[:, None],
    "shifted": lambda x: np.concatenate([x[:, 150:], x[:, :150]], axis=1),
    "shifted and scaled": lambda x: 0.7 * np.concatenate([x[:, -90:], x[:, :-90]], axis=1),
    "with a little noise": lambda x: x + np.random.default_rng(0).normal(0, 0.01, x.shape),
}


def test_every_disguised_copy_is_found(held_out, fresh, train, maps):
    signals = fresh.signals[:100].copy()
    for place, disguise in enumerate(DISGUISES.values()):
        signals[60 + place] = disguise(train.signals[17 + place])
    found = assessed(held_out, replace(fresh.take(np.arange(100)), signals=signals), train, maps)
    assert verdict(found) == COPIES
    copies = found.pairs[found.pairs["kind"] != "most alike"].set_index("synthetic")
    assert {int(a): int(b) for a, b in copies["training"].items()} == {60 + i: 17 + i for i in range(len(DISGUISES))}
    assert (copies["kind"] == "exact").sum() == 1
    assert copies.loc["60", "kind"] == "exact"
    assert pooled(found).loc["near_copies", "value"] == len(DISGUISES) - 1


def test_blurred_memory_is_called_out(held_out, train, maps):
    noise = np.random.default_rng(0).normal(0, 0.08, train.signals.shape)
    found = assessed(held_out, replace(train, signals=train.signals + noise), train, maps)
    assert verdict(found) in (MEMORISES, COPIES)
    table = pooled(found)
    assert table.loc["near_share_signal", "low"] > 0.5
    assert table.loc["membership_auc_signal", "low"] > 0.9


def test_each_class_has_rows_of_its_own(held_out, fresh, train, maps):
    signals = fresh.signals.copy()
    copied = [row for row in range(len(fresh)) if fresh.labels[row] == "AFIB"][:4]
    signals[copied] = train.signals[:4] * 1.2
    found = assessed(held_out, replace(fresh, signals=signals), train, maps).table
    assert tuple(found.columns) == TABLE_COLUMNS
    values = found.pivot(index="class", columns="measure", values="value")
    assert values["near_copies"].to_dict() == {ALL: 4, "AFIB": 4, "SR": 0, "STACH": 0}
    assert values.notna().all(axis=None)
    assert set(found.loc[found["class"] == "SR", "n"]) == {40, 50}
    assert values["largest_similarity"].drop("AFIB").drop(ALL).max() < 0.95 < values.loc[ALL, "largest_similarity"]
    few = held_out.take(np.flatnonzero(held_out.labels != "SR"))
    found = assessed(few, fresh.take(np.flatnonzero(fresh.labels != "STACH")), train, maps).table
    notes = found.set_index(["class", "measure"])["note"]
    assert notes["STACH", "exact_copies"] == "no synthetic record"
    assert notes["SR", "near_share_signal"] == "needs 20 held-out and 20 synthetic records, has 0 and 50"
    assert notes["SR", "membership_auc_signal"] == "needs 20 held-out and 20 training records, has 0 and 80"
    assert notes["STACH", "membership_auc_signal"] == ""


def test_near_share_of_records_that_are_no_nearer():
    rng, held_out = np.random.default_rng(0), 30
    once = np.ones((1, 200)), np.ones((1, held_out))
    shares = [near_share(rng.random(200), rng.random(held_out), *once)[0] for _ in range(500)]
    assert np.mean(shares) == pytest.approx(expected_near_share(held_out), abs=4 * np.std(shares) / np.sqrt(500))
    assert expected_near_share(30) == 1 / 31
    assert expected_near_share(200) == 2 / 201


def test_too_few_held_out_records_cannot_tell(held_out, fresh, train, maps):
    found = assessed(held_out.take(np.arange(6)), fresh, train, maps)
    assert verdict(found) == CANNOT_TELL
    notes = pooled(found)["note"]
    assert notes["near_share_signal"] == "needs 20 held-out and 20 synthetic records, has 6 and 150"
    assert notes["membership_auc_signal"] == "needs 20 held-out and 20 training records, has 6 and 240"


def test_similarity_finds_the_shift():
    x = np.random.default_rng(0).standard_normal((1, 3, 200))
    y = np.roll(x, 31, axis=2)
    y[:, 1] *= -2
    alike, shift = similarity(x, y)
    assert shift[0] == 31
    assert alike[0] == pytest.approx(1, abs=0.01)
    assert similarity(x, np.zeros_like(x))[0][0] == 0


def test_membership_auc_as_by_scikit_learn():
    rng = np.random.default_rng(0)
    members, others = rng.random(50).round(2), (rng.random(40) + 0.1).round(2)
    weights = [rng.integers(0, 3, (1, n)).astype(float) for n in (50, 40)]
    expected = roc_auc_score(
        np.repeat([1, 0], [50, 40]),
        -np.concatenate([members, others]),
        sample_weight=np.concatenate(weights, axis=1)[0],
    )
    assert membership_auc(members, others, *weights)[0] == pytest.approx(expected)


def test_near_share_counts_below_the_first_percentile():
    held_out = np.arange(1000, 0, -1.0)
    ones = [np.ones((1, 4)), np.ones((1, 1000))]
    assert near_share(np.array([1.0, 9.5, 10.0, 500.0]), held_out, *ones)[0] == 0.5


def measured(exact=0, near=0, **lows):
    """Rows of what was found, with these lower ends of intervals; 0.005 and 0.4 are below what is expected."""
    rows = [{"measure": f"{kind}_copies", "value": n, "note": ""} for kind, n in (("exact", exact), ("near", near))]
    for space in ("signal", "features"):
        for name, floor, expected in (("near_share", 0.01, 0.005), ("membership_auc", 0.5, 0.4)):
            low = lows.get(f"{name}_{space}", expected)
            rows.append({"measure": f"{name}_{space}", "value": low + 0.01, "low": low, "floor": floor, "note": ""})
    own = pd.DataFrame(rows).assign(**{"class": ALL})
    return pd.concat([own, own.assign(**{"class": "AFIB", "low": 0.9})])  # verdicts are on all records


NEITHER = (
    "no copy was found, and near share and membership AUC, by signal and by features, are not shown to be above what "
    "is expected without memorisation"
)
ONE_MEASURE = "expected without memorisation; memorisation takes both measures by the same distance"
BOTH = (
    "more synthetic records than expected lie nearer to training records than 99 % of the held-out ones do, and "
    "training records tend to be nearer to synthetic ones than held-out ones are ({})"
)


@pytest.mark.parametrize(
    ("lows", "verdict", "reason"),
    [
        ({}, NO_SIGN, NEITHER),
        (
            {"near_share_signal": 0.076, "near_share_features": 0.2},  # as of a generator that knew 55 records
            NO_SIGN,
            f"no copy was found, but the near share by signal and the near share by features are above what is "
            f"{ONE_MEASURE}",
        ),
        (
            {"membership_auc_signal": 0.71},
            NO_SIGN,
            f"no copy was found, but the membership AUC by signal is above what is {ONE_MEASURE}",
        ),
        (
            {"near_share_signal": 0.076, "membership_auc_features": 0.6},  # not by the same distance
            NO_SIGN,
            f"no copy was found, but the near share by signal and the membership AUC by features are above what is "
            f"{ONE_MEASURE}",
        ),
        ({"near_share_signal": 0.076, "membership_auc_signal": 0.6}, MEMORISES, BOTH.format("by signal")),
        (
            {f"{name}_{space}": 0.6 for name in ("near_share", "membership_auc") for space in ("signal", "features")},
            MEMORISES,
            BOTH.format("by signal and by features"),
        ),
    ],
)
def test_the_reason_says_which_measures_are_above_what_is_expected(lows, verdict, reason):
    assert judged(measured(**lows)) == (verdict, reason)
    assert judged(measured(1, 2, **lows)) == (COPIES, "1 exact and 2 near copies of training records were found")


def test_too_few_training_records_for_membership_cannot_tell(held_out, fresh, train, maps):
    found = assessed(held_out, fresh, train.take(np.arange(12)), maps)
    assert verdict(found) == CANNOT_TELL
    assert set(found.table["reason"]) == {
        "no copy was found, but records are too few to compare distances: "
        f"needs 20 held-out and 20 training records, has {len(held_out)} and 12"
    }
