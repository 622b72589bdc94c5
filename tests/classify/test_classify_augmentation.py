"""How many synthetic records join the real ones, and what is told of classes without any."""

from __future__ import annotations

import logging

import pandas as pd
from sine_classes import CLASSES

from ecgpipe.classify.experiments import Experiment
from ecgpipe.classify.grid import count_trainings
from ecgpipe.classify.run import run_augmentation, run_real


def test_class_without_training_record_is_allowed_and_told(make_dataset, tmp_path, settings, caplog):
    data = make_dataset(tmp_path / "rare", absent=("SVTAC",))
    with caplog.at_level(logging.INFO, logger="ecgpipe"):
        run_real(Experiment(data, tmp_path / "out", settings, [0.5], [0], tmp_path / "state"))
    row = pd.read_parquet(tmp_path / "out" / "training.parquet").iloc[0]
    assert (row["n_train_SR"], row["n_train_SVTAC"]) == (6, 0)
    assert "TrRTeR none fraction 0.5 seed 0: 12 records" in caplog.text
    assert "no training record of SVTAC" in caplog.text
    predictions = pd.read_parquet(tmp_path / "out" / "predictions.parquet")
    assert (predictions["label"] == "SVTAC").sum() == 6


def test_ratios_add_so_many_synthetic_records_and_those_that_cannot_are_left_out(folders, tmp_path, settings, caplog):
    data, samples = folders
    ratios, state = [0.5, 99.0, 42 / 18, "all", "balance"], tmp_path / "state"
    caplog.set_level(logging.INFO, logger="ecgpipe")
    run_augmentation(Experiment(data, tmp_path, settings, [0.5], [4], state), [samples], ["TrRSTeR"], ratios=ratios)
    rows = pd.read_parquet(tmp_path / "training.parquet").set_index("ratio")
    assert rows["n_synthetic"].to_dict() == {"0.5": 9, "all": 42}
    assert "fraction 0.5 is left out with ratio 99, 2.33333, balance: 42 synthetic records are too few" in caplog.text
    assert set(rows["n_real"]) == {18}
    job = {"fractions": [0.5], "seeds": [4], "settings": ["TrRSTeR"], "ratios": ratios}
    # The labels, which are not known to the count, leave nothing to balance.
    assert count_trainings(job, real=36, synthetic=42) == len(rows) + 1
    predictions = pd.read_parquet(tmp_path / "predictions.parquet")
    assert predictions.groupby("ratio").size().to_dict() == dict.fromkeys(rows.index, 18)


def test_balance_fills_rare_classes(make_dataset, folders, tmp_path, settings):
    data, state = make_dataset(tmp_path / "rare", absent=("SVTAC",)), tmp_path / "state"
    run_augmentation(
        Experiment(data, tmp_path, settings, [1.0], [0], state), [folders[1]], ["TrRSTeR"], ratios=["balance"]
    )
    row = pd.read_parquet(tmp_path / "training.parquet").iloc[0]
    assert [row[f"n_train_{name}"] for name in CLASSES] == [12, 12, 12]
    assert row["n_synthetic"] == 12
