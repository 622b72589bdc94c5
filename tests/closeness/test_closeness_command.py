"""The command for other people's ECGs."""

import numpy as np
import pandas as pd
import pytest
import wfdb

from ecgpipe.closeness.__main__ import main
from ecgpipe.closeness.reading import read_records
from ecgpipe.leads import LEADS


@pytest.fixture
def arrays(held_out, fresh, tmp_path):
    for name, records in (("real", held_out), ("synthetic", fresh)):
        np.save(tmp_path / f"{name}.npy", records.signals[:40])
    return tmp_path


def test_two_arrays(arrays, capsys):
    out = arrays / "table.csv"
    assert main([str(arrays / "real.npy"), str(arrays / "synthetic.npy"), "--level", "quick", "--out", str(out)]) == 0
    assert "spectrum" in capsys.readouterr().out
    table = pd.read_csv(out)
    assert table.loc[(table["measure"] == "spectrum") & (table["lead"] == "all"), "value"].notna().all()


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
    assert main([str(arrays / "no.npy"), str(arrays / "real.npy")]) == 1
    assert capsys.readouterr().err == f"ERROR: {arrays / 'no.npy'} does not exist\n"
    assert main([str(arrays), str(arrays / "real.npy")]) == 1
    assert "neither WFDB headers" in capsys.readouterr().err
