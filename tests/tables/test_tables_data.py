"""Counts of records, patients and exclusions."""

import pandas as pd
import pytest

from ecgpipe.dataset import SignalSpec, save_records
from ecgpipe.files import write_parquet
from ecgpipe.tables.data import data_table, exclusions_table


@pytest.fixture
def folders(tmp_path):
    records = pd.DataFrame(
        {
            "record": list("abcdef"),
            "patient": ["p1", "p1", "p2", "p3", "p4", "p4"],
            "label": ["SR", "SR", "AFIB", "SR", "SR", "AFIB"],
            "split": ["train", "train", "train", "validation", "test", "test"],
            "source": "s",
            "age": 50.0,
            "sex": "female",
            "codes": "",
        }
    )
    save_records(tmp_path / "d", records, SignalSpec(100.0, 1000, ("SR", "AFIB", "SVTAC")))
    reasons = ["nan", "flat_lead", "flat_lead", "checksum", "nan"]
    write_parquet(tmp_path / "d" / "excluded.parquet", pd.DataFrame({"record": list("vwxyz"), "reason": reasons}))
    save_records(tmp_path / "e", records.iloc[:3], SignalSpec(100.0, 1000, ("SR", "AFIB", "SVTAC")))
    empty = pd.DataFrame({"record": pd.Series([], dtype="string"), "reason": pd.Series([], dtype="string")})
    write_parquet(tmp_path / "e" / "excluded.parquet", empty)
    return {"d": tmp_path / "d", "e": tmp_path / "e"}


def test_every_record_is_counted_once_and_absent_classes_stay(folders):
    table = data_table(folders).set_index(["dataset", "split", "class"])
    assert tuple(table.loc[("d", "train", "SR")]) == (2, 1)
    assert tuple(table.loc[("d", "test", "all")]) == (2, 1)
    assert tuple(table.loc[("d", "all", "all")]) == (6, 4)
    assert tuple(table.loc[("d", "test", "SVTAC")]) == (0, 0)
    parts = data_table(folders).query("dataset == 'd' and split != 'all' and `class` != 'all'")
    assert parts["records"].sum() == 6
    assert tuple(table.loc[("e", "test", "all")]) == (0, 0)


def test_exclusions_are_counted_by_reason_the_commonest_first(folders):
    table = exclusions_table(folders)
    assert list(table.itertuples(index=False, name=None)) == [
        ("d", "flat_lead", 2),
        ("d", "nan", 2),
        ("d", "checksum", 1),
    ]
    assert pd.api.types.is_integer_dtype(table["records"])


def test_missing_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"d.records\.parquet is missing: dataset d"):
        data_table({"d": tmp_path / "d"})
    with pytest.raises(FileNotFoundError, match=r"d.excluded\.parquet is missing: dataset d"):
        exclusions_table({"d": tmp_path / "d"})
