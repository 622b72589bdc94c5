"""What is measured in PTB-XL's records agrees with what its cardiologists wrote, where a piece of it is at hand."""

import ast
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ecgpipe.closeness import clinical
from ecgpipe.leads import LEADS
from ecgpipe.preprocess.reading import read_header, read_leads

PTBXL = Path(os.environ.get("ECGPIPE_PHYSIONET", "")) / "files" / "ptb-xl" / "1.0.3"
RATE = 100.0

pytestmark = pytest.mark.skipif(
    "ECGPIPE_PHYSIONET" not in os.environ or not PTBXL.is_dir(), reason="ECGPIPE_PHYSIONET names no folder with PTB-XL"
)


@pytest.fixture(scope="module")
def records() -> pd.DataFrame:
    """Clinical figures of records with a bundle branch block, first-degree AV block or named axis, and of 50 normal."""
    table = pd.read_csv(PTBXL / "ptbxl_database.csv")
    table = table[[(PTBXL / f"{name}.hea").exists() for name in table["filename_lr"]]]
    codes = table["scp_codes"].map(lambda text: set(ast.literal_eval(text)))
    table["bundle"] = codes.map(lambda own: bool(own & {"CLBBB", "CRBBB"}))
    table["slow"] = codes.map(lambda own: "1AVB" in own)
    table["normal"] = codes.map(lambda own: "NORM" in own)
    axis = table["heart_axis"].isin(["LAD", "ALAD", "RAD", "ARAD"])
    table = pd.concat([table[table["bundle"] | table["slow"] | axis], table[table["normal"]].head(50)]).drop_duplicates(
        "ecg_id"
    )
    headers = [PTBXL / f"{name}.hea" for name in table["filename_lr"]]
    signals = np.stack([read_leads(read_header(path), path.parent) for path in headers])
    figures = clinical.wave_figures(signals, clinical.r_peaks(signals[:, 1], RATE), RATE, LEADS)
    return table.reset_index(drop=True).join(pd.DataFrame(figures, columns=list(clinical.WAVES)))


def test_bundle_branch_blocks_have_wide_complexes(records):
    wide, normal = (records.loc[records[kind], "qrs_duration"] for kind in ("bundle", "normal"))
    assert len(wide) >= 5
    assert wide.median() >= 110 > 100 >= normal.median() >= 70


def test_first_degree_blocks_have_long_pr_intervals(records):
    assert records.loc[records["slow"], "pr_interval"].median() > 190
    assert 120 <= records.loc[records["normal"], "pr_interval"].median() <= 180


def test_axis_lies_where_it_was_named(records):
    left, right = (
        records.loc[records["heart_axis"].isin(names), "axis"] for names in (("LAD", "ALAD"), ("RAD", "ARAD"))
    )
    assert (left < 10).mean() > 0.9
    assert (right > 60).mean() > 0.8
