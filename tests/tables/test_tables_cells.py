"""Reading predictions, and refusing those that cannot be compared."""

import numpy as np
import pytest

from ecgpipe.files import write_parquet
from ecgpipe.tables.cells import read_all, read_predictions, selected


def test_cells_hold_what_was_written_whatever_the_order_of_rows(write, make):
    frame = make("TrRTeR", "none", 0.5, 2.0)
    (cell,) = read_predictions(write(frame.sample(frac=1, random_state=1)))
    assert cell.key == ("a", "TrRTeR", "none", 0.5, "none", "a")
    assert cell.seeds == (0, 1, 2)
    assert list(cell.records) == [f"r{i:03d}" for i in range(56)]
    assert cell.probabilities.shape == (3, 56, 3)
    wanted = frame[(frame["seed"] == 1) & (frame["record"] == "r007")][["p_SR", "p_AFIB", "p_SVTAC"]].to_numpy()[0]
    np.testing.assert_array_equal(cell.probabilities[1, 7], wanted)
    assert [cell.classes[i] for i in cell.labels[[0, 24, 48]]] == ["SR", "AFIB", "SVTAC"]


def test_records_of_one_name_in_two_members_of_a_merge_are_told_apart_by_patient(write, make):
    frame = make("TrRTeR", "none", 1.0, 2.0)
    frame["patient"] = frame["patient"] + "/" + (frame["record"] < "r010").astype(str)
    frame["record"] = frame["record"].str[-1]
    (cell,) = read_predictions(write(frame))
    assert len(cell.labels) == frame[["record", "patient"]].drop_duplicates().shape[0] > 20


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: f.drop(columns="patient"), "lacks column patient"),
        (lambda f: f.iloc[:0], "no predictions"),
        (lambda f: f.assign(label="VT"), r"labels \['VT'\]"),
        (lambda f: f.assign(p_SR=np.nan), "missing or not between 0 and 1"),
        (lambda f: f.assign(p_SR=1.5), "missing or not between 0 and 1"),
        (lambda f: f.iloc[1:], "different numbers of records"),
        (lambda f: f.assign(record=f["record"].where(f.index != 3, "x")), "different records"),
        (lambda f: f.assign(record="same", patient="same", label="SR"), "more than once with the same seed"),
    ],
)
def test_bad_predictions_are_refused_by_name(write, make, spoil, message):
    path = write(spoil(make("TrRTeR", "none", 1.0, 2.0)))
    with pytest.raises(ValueError, match=message) as caught:
        read_predictions(path)
    assert str(path) in str(caught.value)


def test_missing_and_foreign_files_are_refused(tmp_path, make):
    with pytest.raises(FileNotFoundError, match="classifiers have not run"):
        read_predictions(tmp_path / "predictions.parquet")
    write_parquet(tmp_path / "x.parquet", make("TrRTeR", "none", 1.0, 2.0))
    with pytest.raises(ValueError, match="list of classes"):
        read_predictions(tmp_path / "x.parquet")


def test_cells_of_a_dataset_must_share_their_test_records(write, make):
    one = write(make("TrRTeR", "none", 1.0, 2.0))
    other = write(make("TrRSTeR", "g", 1.0, 2.0, labels="SSSSSSSSAAAAAAAAVVVA"))
    with pytest.raises(ValueError, match="not tested on the same records"):
        read_all([one, other])
    with pytest.raises(ValueError, match="same cell"):
        read_all([one, one])
    elsewhere = write(make("TrRTeR", "none", 1.0, 2.0, dataset="b", labels="SSAAVV"))
    assert [cell.dataset for cell in read_all([one, elsewhere])] == ["a", "b"]


def test_selection_keeps_synthetic_only_whatever_the_shares(write, make):
    cells = read_all(
        [write(make("TrRTeR", "none", 0.2, 1.0), make("TrRTeR", "none", 1.0, 1.0), make("TrSTeR", "g", 0.0, 1.0))]
    )
    assert {(c.setting, c.fraction) for c in selected(cells, ["TrRTeR", "TrSTeR"], [1.0])} == {
        ("TrRTeR", 1.0),
        ("TrSTeR", 0.0),
    }


def test_cells_tested_elsewhere_are_held_to_the_records_there(write, make):
    home = make("TrRTeR", "none", 1.0, 2.0)
    away = make("TrRTeR", "none", 1.0, 2.0, tested="b", labels="SSAAVV")
    cells = read_all([write(home, away), write(make("TrRTeR", "none", 1.0, 2.0, dataset="b", labels="SSAAVV"))])
    assert [(c.dataset, c.tested, c.at_home) for c in cells] == [("a", "a", True), ("a", "b", False), ("b", "b", True)]
    other = make("TrRTeR", "none", 1.0, 2.0, dataset="b", labels="SSAAAV")
    with pytest.raises(ValueError, match="not tested on the same records"):
        read_all([write(home, away), write(other)])
