"""What a study could show is told before it is run, and is what a study of that kind shows."""

import numpy as np
import pandas as pd
import pytest

from ecgpipe.tables import prospects as module
from ecgpipe.tables.influence import FEWEST
from ecgpipe.tables.prospects import PATIENT, SEED, expected_error, prospects, too_few
from ecgpipe.tables.resampling import paired_test
from ecgpipe.tables.verdicts import GENERATORS


def test_expected_error_is_that_of_tests_on_differences_drawn_with_the_prior():
    counts, seeds, rng = (60, 15, 12), 8, np.random.default_rng(0)
    stratum = np.repeat(np.arange(3), counts)
    tests = []
    for _ in range(1500):
        of_patients = PATIENT * rng.normal(size=len(stratum)) / 3 / np.array(counts)[stratum]
        means = of_patients.sum() + SEED * rng.normal(size=seeds)
        tests.append(paired_test(means, np.repeat(of_patients[None], seeds, axis=0), stratum))
    error, freedom = expected_error(counts, seeds)
    assert error == pytest.approx(np.std([test.difference for test in tests]), rel=0.06)
    assert freedom == pytest.approx(np.median([test.freedom for test in tests]), rel=0.2)


def test_rare_rhythms_and_one_seed_give_no_verdict():
    assert expected_error((60, FEWEST - 1), 5) is None
    assert expected_error((60, 60), 1) is None
    assert expected_error((60, 60, 3), 5) == expected_error((60, 60), 5)


def test_each_claim_says_what_it_could_show():
    patients = {"a": {"SR": 1000, "AFIB": 100}, "m": {"SR": 2000, "AFIB": 3}, "b": None}
    small, few, unknown = ({name: patients[name]} for name in "amb")
    first, second, third, fourth = prospects(small, [], GENERATORS, 20, True, 0.95)
    start = "Decided by 3 comparisons. "
    assert f"{start}If the networks did not differ, each would be shown to differ by less than 0." in first
    assert second.endswith("Not part of this study.")
    assert f"{start}With these test records and seeds, each would show a true difference of 0." in third
    assert "Decided by 2 comparisons" in fourth
    none = prospects(few, ["m"], GENERATORS, 20, False, 0.95)[1]
    assert "Would be decided by 3 comparisons, but none of them could be judged: that needs two seeds" in none
    some = {"a": patients["a"], "m": {"SR": 2000, "AFIB": 3}}
    assert "not all of which can be judged" in prospects(some, [], GENERATORS, 20, True, 0.95)[2]
    assert "run `ecgpipe run data`" in prospects(unknown, [], GENERATORS, 20, True, 0.95)[0]
    assert all(line.endswith("Not part of this study.") for line in prospects(small, [], ["mine"], 20, True, 0.95))


def test_too_few_test_patients_are_told_with_their_numbers():
    assert too_few({"SR": FEWEST, "AFIB": FEWEST, "AFLT": 1}) == ""
    said = too_few({"AFLT": 1, "SR": 40, "AFIB": FEWEST - 1})
    assert said.startswith(f"only SR has {FEWEST} test patients (SR 40, AFIB {FEWEST - 1}, AFLT 1)")
    assert too_few({"SR": FEWEST - 1}).startswith(f"no rhythm has {FEWEST} test patients (SR {FEWEST - 1})")
    assert "there are none" in too_few({})


def test_test_patients_are_counted_once():
    records = pd.DataFrame(
        {"split": ["test", "test", "test", "train"], "label": ["SR", "SR", "AFIB", "AFIB"], "patient": [1, 1, 2, 3]}
    )
    assert module.count_tested(records) == {"SR": 1, "AFIB": 1}
