"""ECGs in a page: what is unpacked, in Python and by the page's own script, is the signal within half a step."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecgpipe.leads import independent_from_twelve, twelve_from_independent
from ecgpipe.report import packing
from ecgpipe.report.packing import pack, unpack

SCRIPT = Path(packing.__file__).with_name("ecg.js")


def ecg(seed=0, length=1000, scale=0.5):
    rng = np.random.default_rng(seed)
    walk = np.cumsum(rng.normal(0, 0.05, (8, length)), axis=1) + rng.normal(0, scale, (8, 1))
    return twelve_from_independent(walk)


def unpacked_by_script(packed, length):
    """Return what ``ecg.js`` unpacks."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed: the page's script is not run")
    code = (
        "const fs = require('fs'); const given = JSON.parse(fs.readFileSync(0, 'utf8'));"
        f"const Ecg = new Function(fs.readFileSync({json.dumps(str(SCRIPT))}, 'utf8') + '; return Ecg;')();"
        "const leads = Ecg.unpack(given.packed, given.length);"
        "console.log(JSON.stringify(Ecg.LEADS.map((name) => Array.from(leads[name]))));"
    )
    given = json.dumps({"packed": packed, "length": length})
    out = subprocess.run([node, "-e", code], input=given, capture_output=True, text=True, check=True).stdout
    return np.array(json.loads(out))


SIGNALS = {
    "twelve leads from eight": ecg(),
    "leads that do not fit together": ecg() + np.random.default_rng(1).normal(0, 0.2, (12, 1000)),
    "length that no block divides": ecg(length=333),
    "shorter than a block": ecg(length=7),
    "far from zero": ecg() + np.array([1, 2, 1, -1.5, 0, 1.5, 9, 9, 9, 9, 9, 9])[:, None],
    "flat": np.zeros((12, 1000)),
    "steps between extremes": np.where(np.arange(1000) % 37 < 18, 5.0, -5.0) * np.ones((12, 1)),
    "enormous": ecg() * 1e6,
}


@pytest.mark.parametrize("name", SIGNALS)
@pytest.mark.parametrize("step", [0.005, 0.02])
def test_what_is_unpacked_is_the_signal(name, step):
    signal = SIGNALS[name]
    packed = pack(signal, step)
    found = unpack(packed, signal.shape[1])
    stored = independent_from_twelve if packed["leads"] == 8 else np.asarray
    assert np.abs(stored(found) - stored(signal)).max() <= packed["step"] * (0.5 + 1e-6)
    assert np.abs(found - signal).max() <= packed["step"] * 1.5  # derived leads add the errors of two
    np.testing.assert_allclose(unpacked_by_script(packed, signal.shape[1]), found, rtol=0, atol=1e-9)
    assert packed["step"] == step or name == "enormous"


def test_eight_leads_are_stored_only_where_the_others_follow():
    assert pack(SIGNALS["twelve leads from eight"], 0.01)["leads"] == 8
    assert pack(SIGNALS["twelve leads from eight"], 0.01, all_leads=True)["leads"] == 12
    assert pack(SIGNALS["leads that do not fit together"], 0.01)["leads"] == 12


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 160),
    st.integers(0, 2**32 - 1),
    st.sampled_from([0.0, 0.003, 0.1, 3.0, 300.0]),
)
def test_any_signal_comes_back(length, seed, scale):
    signal = np.random.default_rng(seed).standard_t(2, (12, length)) * scale
    packed = pack(signal, 0.01)
    assert np.abs(unpack(packed, length) - signal).max() <= packed["step"] * 1.5


def test_an_ecg_is_short():
    # Sixteen bits a sample of eight leads, in base64, would be 21,336 characters.
    assert len(pack(ecg(), 0.01)["data"]) < 7500


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_bad_signals_are_refused(bad):
    signal = ecg()
    signal[3, 7] = bad
    with pytest.raises(ValueError, match="NaN or infinite"):
        pack(signal, 0.01)
    with pytest.raises(ValueError, match=r"shape \(8, 1000\)"):
        pack(signal[:8], 0.01)
