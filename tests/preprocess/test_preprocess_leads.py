"""Leads are found by whatever they are called."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from raw_records import challenge_settings, digital_ecg, manifest, write_record

from ecgpipe.config import ConfigError, Preprocess, SignalSettings, validate
from ecgpipe.dataset import Dataset
from ecgpipe.leads import LEADS, NamedLead, named_lead
from ecgpipe.preprocess.reading import gains, read_header, read_leads
from ecgpipe.preprocess.reasons import InvalidRecord
from ecgpipe.preprocess.run import preprocess

DIGITAL = digital_ecg(1)
MILLIVOLTS = DIGITAL.T / 1000.0

SPELLINGS = {
    "lower case": [name.lower() for name in LEADS],
    "Latin": ["DI", "DII", "DIII", *LEADS[3:]],
    "Latin with numbers": ["D1", "D 2", "d-3", *LEADS[3:]],
    "Lead I": [f"Lead {name}" for name in LEADS],
    "lead_i": [f"lead_{name.lower()}" for name in LEADS],
    "Lead 1": ["Lead 1", "Lead 2", "Lead 3", *LEADS[3:]],
    "ISO 11073": [f"MDC_ECG_LEAD_{name}" for name in LEADS],
    "with a reference": [f"{name}-REF" for name in LEADS],
    "EDF": [f"ECG {name}" for name in LEADS],
    "positive poles": [f"{name}+" for name in LEADS],
    "chest electrodes of IEC 60601": [*LEADS[:6], *(f"C{n}" for n in range(1, 7))],
    "with units": [f"{name} [uV]" for name in LEADS],
    "DICOM": ["Lead I (Einthoven)", "Lead II", "Lead III", "aVR, augmented voltage, right", *LEADS[4:]],
    "Roman numerals of one character": ["\u2160", "\u2161", "\u2162", *LEADS[3:]],
    "accents": ["D\u00e9rivation I", "Derivaci\u00f3n II", *LEADS[2:]],
    "glued": [f"Lead{name}" for name in LEADS],
    "ECG_": [f"ECG_{name}" for name in LEADS],
    "full width": ["\uff29", "\uff29\uff29", "\uff29\uff29\uff29", "\uff41\uff36\uff32", *LEADS[4:]],
    "Chinese": [f"{name}\u5bfc\u8054" for name in LEADS],
    "Chinese, the word first": [f"\u5bfc\u8054{name}" for name in LEADS],
    "channel": [f"channel {name}" for name in LEADS],
    "ch_": [f"ch_{name}" for name in LEADS],
    "signal": [f"Signal-{name}" for name in LEADS],
    "Deriv.": [f"Deriv. {name}" for name in LEADS],
    "quotes": [f'"{name}"' for name in LEADS],
    "a dot behind": [f"{name}." for name in LEADS],
    "a colon behind": [f"{name}:" for name in LEADS],
    "two digits": [*LEADS[:6], *(f"V{n:02d}" for n in range(1, 7))],
    "Wilson": [*LEADS[:6], *(f"V{n} (Wilson)" for n in range(1, 7))],
    "EDF with a reference": [f"EKG {name}-Ref" for name in LEADS],
    "blanks within": ["I", "II", "III", "a VR", "aV-L", "AV_F", "V 1", "V-2", "v_3", "V.4", "V5", "V6"],
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_spellings_of_the_world(tmp_path: Path, spelling: str) -> None:
    write_record(tmp_path, "A1", DIGITAL, leads=SPELLINGS[spelling])
    assert np.array_equal(read_leads(read_header(tmp_path / "A1.hea"), tmp_path), MILLIVOLTS)


@pytest.mark.parametrize(
    "name", ["-aVR", "\u2212aVR", "lead -aVR", "channel -aVR", "MDC_ECG_LEAD_AVRneg", "aVR (inverted)"]
)
def test_an_inverted_lead_is_turned(tmp_path: Path, name: str) -> None:
    cabrera = DIGITAL.copy()
    cabrera[:, 3] *= -1
    write_record(tmp_path, "A1", cabrera, leads=[*LEADS[:3], name, *LEADS[4:]])
    header = read_header(tmp_path / "A1.hea")
    np.testing.assert_allclose(read_leads(header, tmp_path), MILLIVOLTS)
    assert (gains(header) > 0).all()


@pytest.mark.parametrize(
    "name",
    [
        "I-II",
        "V1-V2",
        "VR",
        "VL",
        "1",
        "IIII",
        "IV",
        "V7",
        "V3R",
        "MLII",
        "X",
        "vx",
        "I-",
        "--aVR",
        "ECG",
        "Lead",
        "",
        "channel 1",
        "ch1",
        "ch 2",
        "signal_3",
        "V10",
        "V00",
        "Lead 4",
        "R",
        "LA-RA",
        "I_raw",
        "I/II",
    ],
)
def test_what_only_looks_like_a_lead_is_none(name: str) -> None:
    assert named_lead(name) is None


def test_aliases_of_ones_own_come_first() -> None:
    aliases = {"Kanal 7": "V1", "upside": "-aVL", "I+": None}
    assert named_lead("KANAL 7", aliases) == NamedLead("V1", 1)
    assert named_lead(" Upside ", aliases) == NamedLead("aVL", -1)
    assert named_lead("i+", aliases) is None
    assert named_lead("I+") == NamedLead("I", 1)


def test_two_names_of_one_lead_are_refused_until_one_is_left_aside(tmp_path: Path) -> None:
    digital = np.concatenate([DIGITAL, DIGITAL[:, 6:7]], axis=1)
    write_record(tmp_path, "A1", digital, leads=[*LEADS, "V1-REF"])
    header = read_header(tmp_path / "A1.hea")
    with pytest.raises(InvalidRecord, match="lead V1 is there as V1 and V1-REF") as caught:
        read_leads(header, tmp_path)
    assert caught.value.reason == "duplicate_lead"
    assert np.array_equal(read_leads(header, tmp_path, aliases={"v1-ref": None}), MILLIVOLTS)


def test_a_missing_lead_is_told_with_the_names_that_are_there(tmp_path: Path) -> None:
    write_record(tmp_path, "A1", DIGITAL, leads=["\x1b[31mone", *LEADS[1:]])
    with pytest.raises(InvalidRecord) as caught:
        read_leads(read_header(tmp_path / "A1.hea"), tmp_path)
    assert caught.value.reason == "missing_lead"
    assert caught.value.detail.startswith("missing lead I; there are ?[31mone, II, III, aVR,")
    write_record(tmp_path, "A2", np.tile(DIGITAL, (1, 3)), leads=[f"EEG channel {n}" for n in range(36)])
    with pytest.raises(InvalidRecord, match="EEG channel 19 and 16 more"):
        read_leads(read_header(tmp_path / "A2.hea"), tmp_path)


def test_aliases_of_the_config_reach_the_records(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    for number in range(3):
        write_record(raw, f"A{number}", digital_ecg(number), leads=[f"ch{n}" for n in range(1, 13)])
    call = (raw, manifest(raw), challenge_settings(), SignalSettings(), Preprocess(), tmp_path / "out")
    with pytest.raises(ValueError, match=r"missing lead I, II, .* there are ch1, ch2, .*`leads.aliases`"):
        preprocess(*call, source_name="set", workers=1)
    aliases = {f"CH{n}": lead for n, lead in enumerate(LEADS, start=1)}
    preprocess(*call, source_name="set", workers=1, aliases=aliases)
    assert len(Dataset.load(tmp_path / "out")) == 3
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["excluded"] == 0


def test_aliases_are_checked() -> None:
    study = {
        "datasets": ["a"],
        "dataset_settings": {"a": {"format": "challenge", "source": {"kind": "folder", "path": "in"}}},
        "generators": ["class_mean_pca"],
    }
    config = validate({**study, "leads": {"aliases": {"K1": "I", "K2": "-aVR", "K3": None}}})
    assert config.leads.aliases == {"K1": "I", "K2": "-aVR", "K3": None}
    with pytest.raises(ConfigError, match=r"leads\.aliases\.K1.*'lead 1'"):
        validate({**study, "leads": {"aliases": {"K1": "lead 1"}}})
