"""The real records of PhysioNet, where a piece of them is at hand (environment variable ECGPIPE_PHYSIONET)."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import wfdb
from raw_records import arrhythmia_settings, manifest, ptbxl_settings

from ecgpipe.config import DatasetSettings, Preprocess, SignalSettings
from ecgpipe.dataset import Dataset
from ecgpipe.leads import standard_order
from ecgpipe.preprocess.catalogue import dictionary
from ecgpipe.preprocess.labels import load
from ecgpipe.preprocess.reading import read_header, read_leads
from ecgpipe.preprocess.run import merge, preprocess

FOLDER = Path(os.environ.get("ECGPIPE_PHYSIONET", "")) / "files"
PTBXL = FOLDER / "ptb-xl" / "1.0.3"
ARRHYTHMIA = FOLDER / "ecg-arrhythmia" / "1.0.0"

pytestmark = pytest.mark.skipif(
    "ECGPIPE_PHYSIONET" not in os.environ or not (PTBXL.is_dir() and ARRHYTHMIA.is_dir()),
    reason="ECGPIPE_PHYSIONET names no folder with PTB-XL and ecg-arrhythmia",
)


def from_wfdb(header: Path) -> np.ndarray:
    record = wfdb.rdrecord(str(header.with_suffix("")), physical=True)
    leads: np.ndarray = record.p_signal.T[standard_order(record.sig_name)]
    return leads


@pytest.mark.slow
@pytest.mark.parametrize("folder", [PTBXL / "records100", ARRHYTHMIA / "WFDBRecords"], ids=["ptb-xl", "ecg-arrhythmia"])
def test_every_sample_is_wfdbs(folder: Path) -> None:
    headers = sorted(folder.rglob("*.hea"))
    assert headers
    for path in headers:
        assert np.array_equal(read_leads(read_header(path), path.parent), from_wfdb(path)), path


def test_every_real_record_is_accounted_for(tmp_path: Path) -> None:
    sets: list[tuple[str, Path, DatasetSettings, str]] = [
        ("ptbxl", PTBXL, ptbxl_settings(), "records100/"),
        ("arrhythmia", ARRHYTHMIA, arrhythmia_settings(), "WFDBRecords/"),
    ]
    for name, raw, settings, below in sets:
        files = manifest(raw)
        preprocess(raw, files, settings, SignalSettings(), Preprocess(), tmp_path / name, source_name=name, workers=1)
        found = Dataset.load(tmp_path / name)
        excluded = pd.read_parquet(tmp_path / name / "excluded.parquet")
        listed = files["path"].str.startswith(below) & files["path"].str.endswith(".hea")
        assert listed.sum() == len(found) + len(excluded)
        assert set(found.records["record"]).isdisjoint(excluded["record"])
        # On the sound records of this piece, none may be refused for its form or its amplitude.
        assert set(excluded["reason"]) <= {"no_study_rhythm", "flat_lead"}
        assert found.records.groupby("patient")["split"].nunique().max() == 1
    expected = from_wfdb(PTBXL / "records100" / "00000" / "00001_lr.hea").astype(np.float32)
    assert np.array_equal(Dataset.load(tmp_path / "ptbxl").signals[0], expected)
    merge({name: tmp_path / name for name, *_ in sets}, tmp_path / "merged")
    told = json.loads((tmp_path / "merged" / "summary.json").read_text())
    assert told["kept"] + told["excluded"] == told["read"]
    assert told["kept"] == len(Dataset.load(tmp_path / "merged"))


@pytest.mark.slow
def test_totals_by_class(tmp_path: Path) -> None:
    """The 574 records by label, as their tables and headers say; told by an independent count."""
    expected = {"ptbxl": Counter[str](), "arrhythmia": Counter[str]()}
    table = pd.read_csv(PTBXL / "ptbxl_database.csv", usecols=["scp_codes"])
    classes = ("SBRAD", "SR", "AFIB", "STACH", "AFLT", "SARRH", "SVTAC")
    for text in table["scp_codes"]:
        stated = sorted(name for name in classes if f"'{name}'" in text)
        expected["ptbxl"][stated[0] if stated else ""] += 1
    codes = dict(
        zip(
            ["426177001", "426783006", "164889003", "427084000", "164890007", "427393009", "426761007"],
            classes,
            strict=True,
        )
    )
    for header in sorted(ARRHYTHMIA.rglob("*.hea")):
        dx = next(line for line in header.read_text().splitlines() if line.startswith("#Dx"))
        stated = sorted(name for code, name in codes.items() if code in dx)
        expected["arrhythmia"][stated[0] if stated else ""] += 1
    assert sum(counts.total() for counts in expected.values()) >= 574
    for name, raw, settings in (("ptbxl", PTBXL, ptbxl_settings()), ("arrhythmia", ARRHYTHMIA, arrhythmia_settings())):
        preprocess(
            raw, manifest(raw), settings, SignalSettings(), Preprocess(), tmp_path / name, source_name=name, workers=1
        )
        kept = Dataset.load(tmp_path / name).records["label"]
        left_out = pd.read_parquet(tmp_path / name / "excluded.parquet")["label"]
        assert Counter(kept) + Counter(left_out) == expected[name]
        told = json.loads((tmp_path / name / "summary.json").read_text())
        assert told["label_map"]["not_in_dictionary"] == []
        before = Counter(
            {label: sum(row[label] for row in told["counts_before_exclusion"].values()) for label in classes}
        )
        assert +before == Counter({label: n for label, n in expected[name].items() if label})


def test_shipped_label_maps_agree_with_the_dictionaries() -> None:
    statements = pd.read_csv(PTBXL / "scp_statements.csv", index_col=0)["diagnostic_class"].dropna()
    mapped = load("superclasses5")
    assert {code: label for (_, code), label in mapped.by_code.items()} == statements.to_dict()
    for name in ("rhythms7", "rhythms4"):
        for system, raw in (("SCP", PTBXL), ("SNOMED-CT", ARRHYTHMIA)):
            known = dictionary(raw, system)
            assert known is not None
            assert set(load(name).codes(system)) <= known
