"""``import ecgpipe``: models, datasets, judgements and tables in a few lines."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from beating import waves

import ecgpipe
from ecgpipe.closeness.units import UnitError, standardised
from ecgpipe.files import write_json, write_parquet
from ecgpipe.generate.base import ModelFileError
from ecgpipe.generate.registry import GeneratorError


def test_importing_is_light() -> None:
    code = "import sys, ecgpipe; assert not {'numpy', 'torch', 'pandas'} & set(sys.modules); print(dir(ecgpipe))"
    done = subprocess.run([sys.executable, "-c", code], text=True, capture_output=True, check=True)
    assert all(name in done.stdout for name in ecgpipe.__all__)
    with pytest.raises(AttributeError, match="no attribute 'sampel'"):
        _ = ecgpipe.sampel


def test_a_model_draws_by_name_and_by_number(model: Path) -> None:
    generator = ecgpipe.load(model)
    drawn = generator.sample("AFIB", 5, seed=1)
    assert (drawn.shape, drawn.dtype) == ((5, 12, 400), np.float32)
    assert np.array_equal(generator.sample(1, 5, seed=1), drawn)
    assert np.array_equal(generator.sample("AFIB", 3, seed=1), drawn[:3])
    assert np.abs(generator.sample("AFIB", 5, seed=1, chunk=2) - drawn).max() < 1e-5
    assert not np.array_equal(generator.sample("AFIB", 5, seed=2), drawn)
    for wrong in ("VT", 3, -1, True, 1.0):
        with pytest.raises(ValueError, match=r"has no class .*SR \(0\), AFIB \(1\), STACH \(2\)"):
            generator.sample(wrong, 1)
    with pytest.raises(ValueError, match="at least 1, got 0"):
        generator.sample("AFIB", 0)
    with pytest.raises(GeneratorError, match="guidance"):
        generator.sample("AFIB", 1, guidance=3.0)


def test_the_studys_settings_of_sampling_are_those_in_the_folder(
    model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = shutil.copytree(model, tmp_path / "copy")
    write_json(folder / "sampling.json", {"generator": "mine", "sample": {"guidance": 3}})
    with pytest.raises(GeneratorError, match=r"generator_settings\.mine\.sample\.guidance"):
        ecgpipe.load(folder)
    (folder / "sampling.json").unlink()
    assert ecgpipe.load(folder).name == "copy"
    assert "defaults of the class" in caplog.text
    write_json(folder / "sampling.json", [])
    with pytest.raises(ModelFileError, match="is damaged"):
        ecgpipe.load(folder)


def test_weights_can_be_read_by_others(model: Path, tmp_path: Path) -> None:
    umask = os.umask(0o022)
    try:
        ecgpipe.load(model).generator.save(tmp_path)
    finally:
        os.umask(umask)
    assert (tmp_path / "model.safetensors").stat().st_mode & 0o777 == 0o644


def test_what_is_no_model_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="is not the folder of a trained generator"):
        ecgpipe.load(tmp_path)
    write_json(tmp_path / "model.json", {"signals": {}})
    with pytest.raises(ModelFileError, match="`signals` is damaged"):
        ecgpipe.load(tmp_path)


def test_a_dataset_is_compared_with_an_array(dataset_folder: Path) -> None:
    real = ecgpipe.load_dataset(dataset_folder)
    table = ecgpipe.evaluate(real, waves(["SR", "AFIB"] * 15, seed=9), rate=100)
    row = table[(table["measure"] == "spectrum") & (table["class"] == "all") & (table["lead"] == "all")].iloc[0]
    assert row["n"] == 30
    assert np.isfinite(row[["value", "floor"]].astype(float)).all()
    for given, match in (({"rate": 500}, "at 100 Hz, not at 500 Hz"), ({}, "give rate"), ({"level": "all"}, "quick")):
        with pytest.raises(ValueError, match=match):
            ecgpipe.evaluate(real, waves(["SR"] * 5), **given)


def test_a_dataset_given_as_training_records_gives_its_training_split(dataset_folder: Path) -> None:
    whole = ecgpipe.load_dataset(dataset_folder)
    real, synthetic = waves(["SR", "AFIB"] * 15, seed=8), waves(["SR", "AFIB"] * 15, seed=9)
    split = whole.signals[whole.indices("train")]
    given, expected = (ecgpipe.evaluate(real, synthetic, rate=100, train=train) for train in (whole, split))
    pd.testing.assert_frame_equal(given, expected)


@pytest.mark.parametrize(("factor", "unit"), [(1000, "uV"), (0.001, "V"), (200, "uV")])
def test_signals_in_another_unit_are_refused(factor: float, unit: str, dataset_folder: Path) -> None:
    with pytest.raises(UnitError, match=f"the synthetic records are not in mV.*{unit}"):
        ecgpipe.evaluate(ecgpipe.load_dataset(dataset_folder), waves(["SR"] * 5) * factor, rate=100)


def test_scaled_signals_are_told(dataset_folder: Path) -> None:
    x = waves(["SR", "AFIB"] * 10)
    by_lead = (x - x.mean(axis=2, keepdims=True)) / x.std(axis=2, keepdims=True)
    by_record = (x - x.mean(axis=(1, 2), keepdims=True)) / x.std(axis=(1, 2), keepdims=True)
    low, high = x.min(axis=2, keepdims=True), x.max(axis=2, keepdims=True)
    assert standardised(x) is None
    assert standardised((x - x.mean()) / x.std()) == "z-scored over all records"
    assert standardised(by_lead * np.linspace(0.999, 1.001, 20)[:, None, None] + 0.1) == "z-scored over each lead"
    assert standardised(by_record + 0.1) == "z-scored over each record"
    assert standardised((x - low) / (high - low)) == "scaled to a fixed range over each lead"
    assert standardised((x - low) / (high - low) * 2 - 1) == "scaled to a fixed range over each lead"
    with pytest.warns(UserWarning, match="the synthetic records are z-scored"):
        ecgpipe.evaluate(ecgpipe.load_dataset(dataset_folder), by_lead, rate=100)


def test_tables_are_read_by_name(tmp_path: Path) -> None:
    write_parquet(tmp_path / "tables" / "summary.parquet", pd.DataFrame({"a": [1]}))
    for folder in (tmp_path, tmp_path / "tables"):
        tables = ecgpipe.results(folder)
        assert list(tables) == ["summary"]
        assert tables["summary"]["a"].tolist() == [1]
        assert "summary" in repr(tables)
        with pytest.raises(KeyError, match="there are summary"):
            _ = tables["sumary"]
    with pytest.raises(FileNotFoundError, match="run the study first"):
        ecgpipe.results(tmp_path / "nothing")
