"""The gain of a header is believed unless it makes an ECG that no heart gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import wfdb
from raw_records import SINUS_RHYTHM, challenge_settings, digital_ecg, manifest, write_record

from ecgpipe.config import Preprocess, Quality, SignalSettings
from ecgpipe.dataset import Dataset
from ecgpipe.files import read_json
from ecgpipe.leads import LEADS
from ecgpipe.preprocess.gains import amplitude
from ecgpipe.preprocess.quality import check_quality
from ecgpipe.preprocess.reasons import InvalidRecord
from ecgpipe.preprocess.run import preprocess

QUALITY = Quality()
MILLIVOLTS = digital_ecg(1).T / 1000.0


def run(tmp_path: Path, **quality: Any) -> tuple[Dataset, pd.DataFrame, dict[str, Any]]:
    raw, out = tmp_path / "raw", tmp_path / "out"
    options = Preprocess.model_validate({"quality": quality})
    preprocess(raw, manifest(raw), challenge_settings(), SignalSettings(), options, out, source_name="set", workers=1)
    return Dataset.load(out), pd.read_parquet(out / "excluded.parquet"), read_json(out / "summary.json")


@pytest.mark.parametrize("storage", ["16", "212", "24", "32", "80"])
def test_gains_that_wfdb_chose_for_each_lead_are_believed(tmp_path: Path, storage: str) -> None:
    (tmp_path / "raw").mkdir()
    for number in range(5):
        wfdb.wrsamp(
            f"P{number}", 500, ["mV"] * 12, list(LEADS), p_signal=digital_ecg(number) / 1000, fmt=[storage] * 12,
            comments=[f"Dx: {SINUS_RHYTHM}"], write_dir=str(tmp_path / "raw"),
        )  # fmt: skip
    gains = [float(g) for g in wfdb.rdheader(str(tmp_path / "raw" / "P0")).adc_gain]
    assert max(gains) > 2 * min(gains)
    found, excluded, told = run(tmp_path)
    assert (len(found), len(excluded), told["doubtful_gains"]) == (5, 0, [])


@pytest.mark.parametrize("gain", [200.0, 306.0, 4880.0, 1e6])
@pytest.mark.parametrize("size", [0.45, 1.0, 4.0])
def test_small_and_large_hearts_are_believed_at_any_gain(gain: float, size: float) -> None:
    signals = MILLIVOLTS * size / amplitude(MILLIVOLTS)
    check_quality(signals, np.full(12, gain), 500, QUALITY)


@pytest.mark.parametrize(("gain", "size"), [(200.0, 5.0), (306.0, 4.6), (4880.0, 0.2)])
def test_what_no_heart_gives_and_the_usual_gain_explains_is_refused(gain: float, size: float) -> None:
    signals = MILLIVOLTS * size / amplitude(MILLIVOLTS)
    with pytest.raises(InvalidRecord) as caught:
        check_quality(signals, np.full(12, gain), 500, QUALITY)
    assert caught.value.reason == "amplitude"
    assert f"gain {gain:g} gives {size:.3f} mV (lead " in caught.value.detail
    assert "`preprocess.quality.usual_gain`" in caught.value.detail
    check_quality(signals, np.full(12, gain), 500, QUALITY.model_copy(update={"usual_gain": None}))
    check_quality(signals, np.full(12, gain), 500, QUALITY.model_copy(update={"usual_gain": gain}))
    check_quality(signals, np.full(12, 1000.0), 500, QUALITY)  # nothing explains it better
    check_quality(signals, np.full(12, 200000.0), 500, QUALITY)  # the usual gain would be worse


@pytest.mark.parametrize(("gain", "said"), [(1.0, "beyond 20 mV"), (1e6, "range over 10 s")])
def test_units_mistaken_by_a_thousand_are_told_as_a_gain(gain: float, said: str) -> None:
    with pytest.raises(InvalidRecord) as caught:
        check_quality(MILLIVOLTS * 1000 / gain, np.full(12, gain), 500, QUALITY)
    assert caught.value.reason == "amplitude"
    assert said in caught.value.detail
    assert (
        f"the header's gain is {gain:g}, the usual 1000 (`preprocess.quality.usual_gain`) gives" in caught.value.detail
    )


def test_chest_leads_of_another_true_gain_are_believed() -> None:
    check_quality(MILLIVOLTS, np.array([1000.0] * 6 + [200.0] * 6), 500, QUALITY)
    one = np.full(12, 1000.0)
    one[8] = 200.0
    check_quality(MILLIVOLTS, one, 500, QUALITY)


def test_a_gain_that_most_likely_is_wrong_throughout_a_set_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(12):  # 3 mV each: possible in one heart, not in twelve
        write_record(tmp_path / "raw", f"A{number:02d}", (digital_ecg(number) * 0.6).astype(np.int16), scale="200/mV")
    found, excluded, told = run(tmp_path)
    assert (len(found), len(excluded)) == (12, 0)
    (sentence,) = told["doubtful_gains"]
    assert sentence.startswith("12 records state a gain of 200, which gives a median amplitude of 3.")
    assert f"set: {sentence}" in caplog.messages
    assert run(tmp_path, usual_gain=None)[2]["doubtful_gains"] == []
