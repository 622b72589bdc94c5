"""``ecgpipe judge``, the command for other people's ECGs: closeness and privacy."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import wfdb

from ecgpipe.cli.app import main
from ecgpipe.closeness.comparison import COLUMNS
from ecgpipe.closeness.reading import labelled, read_records
from ecgpipe.leads import LEADS


def judge(words):
    with pytest.raises(SystemExit) as ended:
        main(["judge", *words])
    return ended.value.code or 0


@pytest.fixture
def arrays(held_out, fresh, tmp_path):
    for name, records in (("real", held_out), ("synthetic", fresh)):
        np.save(tmp_path / f"{name}.npy", records.signals[:40])
    return tmp_path


def test_two_arrays(arrays, capsys):
    out = arrays / "table.csv"
    assert judge([str(arrays / "real.npy"), str(arrays / "synthetic.npy"), "--level", "quick", "--out", str(out)]) == 0
    assert "spectrum" in capsys.readouterr().out
    table = pd.read_csv(out)
    assert table.loc[(table["measure"] == "spectrum") & (table["lead"] == "all"), "value"].notna().all()


def test_training_records_are_looked_for(arrays, train, fresh, capsys):
    np.save(arrays / "train.npy", train.signals[:40])
    np.save(arrays / "synthetic.npy", np.concatenate([fresh.signals[:39], train.signals[5:6]]))
    out = arrays / "table.csv"
    sets = [str(arrays / "real.npy"), str(arrays / "synthetic.npy"), "--train", str(arrays / "train.npy")]
    assert judge([*sets, "--level", "quick", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "Privacy: copies (1 exact and 0 near copies of training records were found)" in said
    assert [line.split()[:3] for line in said.splitlines() if "exact" in line][-1] == ["39", "5", "exact"]
    table = pd.read_csv(out).set_index("measure")
    assert table.loc["exact_copies", "value"] == 1
    assert tuple(pd.read_csv(out).columns) == COLUMNS


def test_wfdb_folder_is_read_resampled_and_cropped(held_out, tmp_path):
    for i in range(3):
        signal = np.repeat(held_out.signals[i].astype(float), 5, axis=1).T
        form = {"units": ["mV"] * 12, "sig_name": list(LEADS), "fmt": ["16"] * 12}
        wfdb.wrsamp(f"r{i}", fs=500, p_signal=signal, write_dir=str(tmp_path), **form)
    records = read_records(tmp_path, 100.0, 8.0)
    assert records.signals.shape == (3, 12, 800)
    assert records.name(1) == "r1"
    assert np.abs(records.signals[:, :, 10:-10] - held_out.signals[:3, :, 10:790]).mean() < 0.05


def test_errors_are_one_line(arrays, capsys):
    assert judge([str(arrays / "no.npy"), str(arrays / "real.npy")]) == 2
    assert capsys.readouterr().err == f"ERROR: {arrays / 'no.npy'} does not exist\n"
    assert judge([str(arrays), str(arrays / "real.npy")]) == 2
    assert "neither WFDB headers" in capsys.readouterr().err


def write_labels(path, labels, **more):
    pd.DataFrame({"record": range(len(labels)), "label": labels, **more}).to_csv(path, index=False)
    return str(path)


def test_labels_give_rows_by_class(arrays, held_out, fresh, capsys):
    real, synthetic, out = arrays / "real.csv", arrays / "synthetic.csv", arrays / "table.parquet"
    write_labels(real, held_out.labels[:40], patient=np.arange(40) // 2)
    write_labels(synthetic, fresh.labels[:40])
    sets = [str(arrays / "real.npy"), str(arrays / "synthetic.npy"), "--level", "quick", "--out", str(out)]
    assert judge([*sets, "--real-labels", str(real), "--synthetic-labels", str(synthetic)]) == 0
    assert "by class:" in capsys.readouterr().out
    table = pd.read_parquet(out)
    assert set(table["class"]) == {"all", *held_out.labels}
    assert table.loc[(table["class"] == "STACH") & (table["measure"] == "spectrum"), "value"].notna().all()
    assert table.loc[table["measure"] == "class_mix", "value"].notna().all()


def test_labels_follow_the_records_names(held_out, tmp_path):
    table = tmp_path / "labels.csv"
    records = held_out.take(np.arange(3))
    write_labels(table, ["SR", "AFIB", "STACH", "SR"], patient=["x", "y", "y", "z"])
    found = labelled(records, table)
    assert list(found.labels) == ["SR", "AFIB", "STACH"]
    assert list(found.patients) == ["x", "y", "y"]
    turned = labelled(replace(records, names=np.array(["2", "0", "1"])), table)
    assert list(turned.labels) == ["STACH", "SR", "AFIB"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("record,rhythm\n0,SR\n", "has no column label"),
        ("record,label\n0,SR\n0,AFIB\n", "names record 0 twice"),
        ("record,label\n0,SR\n2,\n", r"no label of record 1 \(2 of 3 lack one\)"),
    ],
)
def test_labels_that_do_not_fit_are_refused(held_out, tmp_path, text, words):
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(ValueError, match=words):
        labelled(held_out.take(np.arange(3)), tmp_path / "labels.csv")


def test_labels_of_one_set_only_are_refused(arrays, held_out, capsys):
    labels = write_labels(arrays / "real.csv", held_out.labels[:40])
    assert judge([str(arrays / "real.npy"), str(arrays / "synthetic.npy"), "--real-labels", labels]) == 2
    assert "give --synthetic-labels too" in capsys.readouterr().err
