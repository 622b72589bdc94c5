"""Labels, splits, resampling, screening and the growing array, each by itself."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from raw_records import digital_ecg
from scipy.signal import resample_poly

from ecgpipe.arrays import signal_writer
from ecgpipe.config import Filtering, Quality
from ecgpipe.preprocess import labels, splits
from ecgpipe.preprocess.filtering import apply_filters
from ecgpipe.preprocess.gains import amplitude
from ecgpipe.preprocess.quality import check_quality, longest_run
from ecgpipe.preprocess.reasons import InvalidRecord
from ecgpipe.preprocess.resample import crop, factors, resample

RHYTHMS = ("SBRAD", "SR", "AFIB", "STACH", "AFLT", "SARRH", "SVTAC")
MILLIVOLTS = digital_ecg(3).T / 1000.0
QUALITY = Quality()
USUAL_GAIN = 1000.0
GAINS = np.full(12, USUAL_GAIN)


def test_the_study_maps_seven_rhythms_in_its_order() -> None:
    mapping = labels.load("rhythms7")
    assert mapping.classes == RHYTHMS
    snomed = [426177001, 426783006, 164889003, 427084000, 164890007, 427393009, 426761007]
    assert [mapping.by_code["SNOMED-CT", str(code)] for code in snomed] == list(RHYTHMS)
    assert [mapping.by_code["SCP", code] for code in RHYTHMS] == list(RHYTHMS)
    assert len(mapping.by_code) == 14


def test_of_several_rhythms_the_first_by_name_is_the_label() -> None:
    mapping = labels.load("rhythms7")
    assert mapping.rhythms("SCP", ["SR", "NORM", "AFLT", "AFIB"]) == ["AFIB", "AFLT", "SR"]
    assert mapping.rhythms("SNOMED-CT", ["426177001", "427393009"]) == ["SARRH", "SBRAD"]
    assert mapping.rhythms("SNOMED-CT", ["AFIB", "59118001"]) == []
    assert mapping.rhythms("SCP", ["AF", "SVT"]) == []


def test_the_shipped_mappings() -> None:
    four = labels.load("rhythms4")
    assert four.classes == ("AFIB", "GSVT", "SB", "SR")
    assert four.rhythms("SNOMED-CT", ["164890007"]) == ["AFIB"]
    assert four.rhythms("SNOMED-CT", ["427084000", "427393009"]) == ["GSVT", "SR"]
    assert four.rhythms("SCP", ["PSVT", "AFLT"]) == ["AFIB", "GSVT"]
    five = labels.load("superclasses5")
    assert five.classes == ("NORM", "MI", "STTC", "CD", "HYP")
    assert five.rhythms("SCP", ["SR", "IMI", "LVH"]) == ["HYP", "MI"]
    assert not five.knows("SNOMED-CT")


def test_a_mapping_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "four.csv"
    text = (
        "class,system,code,acronym\n"
        "SB,SNOMED-CT,426177001,SB\n"
        "GSVT,SNOMED-CT,427084000,ST\n"
        "GSVT,SNOMED-CT,426761007,SVT\n"
    )
    path.write_text("\ufeff" + text, encoding="utf-8")
    mapping = labels.load(str(path))
    assert mapping.classes == ("SB", "GSVT")
    assert mapping.rhythms("SNOMED-CT", ["426761007", "427084000"]) == ["GSVT"]
    assert mapping.knows("SNOMED-CT")
    assert not mapping.knows("SCP")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "is none of rhythms7, rhythms4, superclasses5 and no file"),
        ("", "no readable CSV"),
        ("class,code\nA,1\n", "lacks the columns system, acronym"),
        ("class,system,code,acronym\nA,ICD-10,I48,AF\n", "line 2: system 'ICD-10'"),
        ("class,system,code,acronym\nA,SCP,SR,\nB,SNOMED-CT,AF,AF\n", "line 3: 'AF' is no SNOMED-CT code"),
        ("class,system,code,acronym\nA,SCP,SR,\nB,SCP,SR,\n", "line 3: SCP SR means A already"),
        ("class,system,code,acronym\n\"A,B\",SCP,SR,\n", "class 'A,B'"),
        ("class,system,code,acronym\nA,SCP,,\n", "'' is no SCP code"),
        ("class,system,code,acronym\nmacro,SCP,SR,\n", "line 2: class 'macro' has a name that tables use"),
        ("class,system,code,acronym\nA,SCP,SR,\n", "names 1 classes"),
    ],
)  # fmt: skip
def test_unfit_mappings_are_named(tmp_path: Path, text: str | None, said: str) -> None:
    path = tmp_path / "map.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ValueError, match=r"preprocess\.label_map") as caught:
        labels.load(str(path))
    assert said in str(caught.value)
    assert str(path) in str(caught.value)


def test_folds() -> None:
    assert [splits.by_fold(fold) for fold in range(1, 11)] == ["train"] * 8 + ["validation", "test"]
    with pytest.raises(ValueError, match="fold 11"):
        splits.by_fold(11)
    others = {"train": [2, 3], "validation": [1], "test": [10]}
    assert [splits.by_fold(fold, others) for fold in (1, 2, 3, 10)] == ["validation", "train", "train", "test"]


def test_stratified_split_is_80_10_10_of_each_class() -> None:
    wanted = {"SR": 200, "AFIB": 30, "AFLT": 5, "SARRH": 3, "SVTAC": 2, "STACH": 1}
    label = [name for name, n in wanted.items() for _ in range(n)]
    patients = [f"p{i}" for i in range(len(label))]
    split = splits.stratified(patients, label, seed=1)
    counts = Counter(zip(label, split, strict=True))
    assert [counts["SR", name] for name in splits.SPLITS] == [160, 20, 20]
    assert [counts["AFIB", name] for name in splits.SPLITS] == [24, 3, 3]
    assert [counts["AFLT", name] for name in splits.SPLITS] == [3, 1, 1]
    assert [counts["SARRH", name] for name in splits.SPLITS] == [1, 1, 1]
    assert [counts["SVTAC", name] for name in splits.SPLITS] == [1, 0, 1]
    assert [counts["STACH", name] for name in splits.SPLITS] == [1, 0, 0]


def test_other_shares_leave_every_split_some_of_each_class() -> None:
    wanted = {"SR": 200, "AFIB": 30, "AFLT": 4, "SARRH": 3, "SVTAC": 2, "STACH": 1}
    label = [name for name, n in wanted.items() for _ in range(n)]
    patients = [f"p{i}" for i in range(len(label))]

    def counts(validation: float, test: float) -> dict[str, list[int]]:
        split = splits.stratified(patients, label, seed=1, validation=validation, test=test)
        found = Counter(zip(label, split, strict=True))
        return {name: [found[name, part] for part in splits.SPLITS] for name in wanted}

    assert counts(0.2, 0.3) == {
        "SR": [100, 40, 60],
        "AFIB": [15, 6, 9],
        "AFLT": [2, 1, 1],
        "SARRH": [1, 1, 1],
        "SVTAC": [1, 0, 1],
        "STACH": [1, 0, 0],
    }
    assert counts(0.1, 0.8) == {
        "SR": [20, 20, 160],
        "AFIB": [3, 3, 24],
        "AFLT": [1, 1, 2],
        "SARRH": [1, 1, 1],
        "SVTAC": [1, 0, 1],
        "STACH": [1, 0, 0],
    }


def test_stratified_split_depends_on_the_seed_not_on_the_order() -> None:
    patients = [f"p{i}" for i in range(60)]
    label = ["SR" if i % 3 else "AFIB" for i in range(60)]
    first = dict(zip(patients, splits.stratified(patients, label, seed=1), strict=True))
    order = np.random.default_rng(0).permutation(60)
    shuffled = [patients[i] for i in order]
    again = dict(zip(shuffled, splits.stratified(shuffled, [label[i] for i in order], seed=1), strict=True))
    assert first == again
    assert first != dict(zip(patients, splits.stratified(patients, label, seed=2), strict=True))


def test_no_patient_is_in_two_splits() -> None:
    generator = np.random.default_rng(4)
    patients = [f"p{i}" for i in generator.integers(0, 40, 300)]
    label = [["SR", "SR", "SR", "AFIB"][i] for i in generator.integers(0, 4, 300)]
    split = splits.stratified(patients, label, seed=7)
    records = pd.DataFrame({"patient": patients, "split": split})
    assert records.groupby("patient")["split"].nunique().max() == 1
    assert set(split) == set(splits.SPLITS)
    splits.check_patients(records)
    records.loc[0, "split"] = "test" if split[0] == "train" else "train"
    with pytest.raises(ValueError, match=f"1 patients .* {patients[0]}:"):
        splits.check_patients(records)


@pytest.mark.parametrize(
    ("rate", "expected"),
    [(500, (1, 5)), (100, (1, 1)), (257, (100, 257)), (1000, (1, 10)), (40, (5, 2)), (499.99, (1, 5))],
)
def test_factors(rate: float, expected: tuple[int, int]) -> None:
    assert factors(rate, 100) == expected


def test_a_sine_stays_a_sine() -> None:
    for rate, target in ((500, 100), (257, 100), (100, 250)):
        time = np.arange(10 * rate) / rate
        sine = np.tile(np.sin(2 * np.pi * 7 * time + 0.3) + 0.5, (12, 1))
        result = resample(sine, rate, target, 10 * target)
        expected = np.sin(2 * np.pi * 7 * np.arange(10 * target) / target + 0.3) + 0.5
        assert result.shape == (12, 10 * target)
        middle = slice(target // 2, -target // 2)
        np.testing.assert_allclose(result[0, middle], expected[middle], atol=2e-3)


def test_resampling_is_scipys_and_keeps_an_offset_at_the_ends() -> None:
    plain = resample_poly(MILLIVOLTS, 1, 5, axis=1)
    result = resample(MILLIVOLTS, 500, 100, 1000)
    np.testing.assert_allclose(result[:, 20:-20], plain[:, 20:-20], atol=1e-12)
    np.testing.assert_allclose(result, resample_poly(MILLIVOLTS, 1, 5, axis=1, padtype="line"), atol=1e-13)
    constant = np.full((12, 5000), 0.7)
    np.testing.assert_allclose(resample(constant, 500, 100, 1000), 0.7, atol=1e-9)
    assert np.array_equal(resample(MILLIVOLTS, 100, 100, 1000), MILLIVOLTS[:, :1000])


def test_longer_is_cropped_to_its_first_part_and_shorter_refused() -> None:
    assert np.array_equal(crop(MILLIVOLTS, 500, 100, 800), MILLIVOLTS[:, :4000])
    assert crop(MILLIVOLTS, 500, 100, 1000).shape == (12, 5000)
    assert crop(MILLIVOLTS[:, :2570], 257, 100, 1000).shape == (12, 2570)
    with pytest.raises(InvalidRecord, match=r"10\.00 s of 10 s \(4999 of 5000 samples\)") as caught:
        crop(MILLIVOLTS[:, :4999], 500, 100, 1000)
    assert caught.value.reason == "too_short"


def test_a_rate_that_no_small_factors_reach_is_refused() -> None:
    with pytest.raises(InvalidRecord) as caught:
        factors(19999.0, 1.0)
    assert caught.value.reason == "sampling_rate"


def rejected(signals: np.ndarray, gain: float = USUAL_GAIN, **changes: object) -> InvalidRecord:
    with pytest.raises(InvalidRecord) as caught:
        check_quality(signals, np.full(12, gain), 500, QUALITY.model_copy(update=changes))
    return caught.value


def test_good_signals_pass() -> None:
    assert 0.5 < amplitude(MILLIVOLTS) < 2
    check_quality(MILLIVOLTS, GAINS, 500, QUALITY)
    check_quality(MILLIVOLTS, GAINS * 15.7, 500, QUALITY)  # another gain that gives a usual amplitude is believed


def test_missing_samples_flat_leads_and_spikes_are_refused_with_lead_and_value() -> None:
    signals = MILLIVOLTS.copy()
    signals[4, 10:13] = np.nan
    invalid = rejected(signals)
    assert (invalid.reason, invalid.detail) == ("nan", "aVL 3 samples")
    signals = MILLIVOLTS.copy()
    signals[[2, 11]] = [[0.25], [0.0]]
    signals[11, 0] = 0.004
    invalid = rejected(signals)
    assert (invalid.reason, invalid.detail) == ("flat_lead", "range over 10 s: III 0.0000 mV, V6 0.0040 mV")
    signals = MILLIVOLTS.copy()
    signals[7, 500:] = signals[7, 500]  # an electrode falls off after a second
    invalid = rejected(signals)
    assert (invalid.reason, invalid.detail) == ("flat_lead", "stands still: V2 9.000 s")
    check_quality(signals, GAINS, 500, QUALITY.model_copy(update={"flat_s": None, "saturation_s": None}))
    signals = MILLIVOLTS.copy()
    signals[1, 7] = -20.5
    invalid = rejected(signals)
    assert (invalid.reason, invalid.detail) == ("amplitude", "beyond 20 mV: II 20.5 mV")


@pytest.mark.parametrize(("down", "length"), [(2, 997), (5, 1000), (10, 26), (3, 1)])
def test_fast_decimation_is_resample_poly(down: int, length: int) -> None:
    native = np.random.default_rng(down).normal(size=(12, down * length)).cumsum(axis=1)
    if length > 1:
        expected = resample_poly(native, 1, down, axis=1, padtype="line")
        np.testing.assert_allclose(resample(native, 100.0 * down, 100, length), expected, atol=1e-10)
    assert resample(native, 100.0 * down, 100, length).shape == (12, length)


def test_few_missing_samples_may_be_closed() -> None:
    signals = MILLIVOLTS.copy()
    signals[4, 10:13] = np.nan
    signals[7, :2] = np.nan
    closed, suspected = check_quality(signals, GAINS, 500, QUALITY.model_copy(update={"missing_s": 0.006}))
    assert suspected == ""
    expected = np.linspace(MILLIVOLTS[4, 9], MILLIVOLTS[4, 13], 5)[1:-1]
    np.testing.assert_allclose(closed[4, 10:13], expected)
    assert (closed[7, :2] == MILLIVOLTS[7, 2]).all()
    untouched = np.isfinite(signals)
    assert np.array_equal(closed[untouched], MILLIVOLTS[untouched])
    assert rejected(signals, missing_s=0.005).detail == "aVL 3 samples, V2 2 samples"
    signals[4] = np.nan
    assert rejected(signals, missing_s=60.0).reason == "nan"


def test_longest_run() -> None:
    assert [longest_run(np.array(mask, dtype=bool)) for mask in ([], [0], [1], [1, 1, 0, 1], [0, 1, 1, 1])] == [
        0,
        0,
        1,
        2,
        3,
    ]


def test_saturation_and_dropped_samples_are_refused_with_their_length() -> None:
    signals = MILLIVOLTS.copy()
    signals[8, 500:700] += 5  # the electrode moves, and the amplifier ends at 2.5 mV
    signals[8] = np.minimum(signals[8], 2.5)
    invalid = rejected(signals)
    assert (invalid.reason, invalid.detail) == ("saturation", "at its extreme: V3 0.400 s")
    check_quality(signals, GAINS, 500, QUALITY.model_copy(update={"saturation_s": None}))
    signals = MILLIVOLTS.copy()
    signals[:, 1000:1100] = signals[:, 1000:1001]
    invalid = rejected(signals)
    assert (invalid.reason, invalid.detail) == ("dropped_samples", "all leads stand still for 0.200 s")
    check_quality(signals[:, 1:], GAINS, 500, QUALITY.model_copy(update={"dropped_s": 0.25}))
    signals[:, 1099] += 0.01
    check_quality(signals, GAINS, 500, QUALITY)


@pytest.mark.parametrize(
    ("order", "said"),
    [
        ([0, 2, 1, *range(3, 12)], "III = II - I"),
        ([0, 1, 2, 4, 3, *range(5, 12)], "aV"),
        ([6, *range(1, 6), 0, *range(7, 12)], "is off by"),
    ],
)
def test_exchanged_limb_leads_are_refused(order: list[int], said: str) -> None:
    invalid = rejected(MILLIVOLTS[order])
    assert invalid.reason == "limb_leads"
    assert said in invalid.detail
    check_quality(MILLIVOLTS[order], GAINS, 500, QUALITY.model_copy(update={"limb_leads_mv": None}))


def test_exchanged_arm_electrodes_are_suspected() -> None:
    """Left and right arm exchanged: I upside down, II and III, aVR and aVL change places; the identities still hold."""
    beats = digital_ecg(3).T / 1000.0
    swapped = beats[[0, 2, 1, 4, 3, *range(5, 12)]].copy()
    swapped[0] *= -1
    assert check_quality(beats, GAINS, 500, QUALITY)[1] == ""
    _, suspected = check_quality(swapped, GAINS, 500, QUALITY)
    assert suspected.startswith("arm_reversal (slopes of I and V6 correlated by -0.")
    assert check_quality(swapped, GAINS, 500, QUALITY.model_copy(update={"reversal_correlation": None}))[1] == ""


def test_no_filter_is_the_default_and_each_takes_out_what_it_says() -> None:
    time = np.arange(5000) / 500
    assert apply_filters(MILLIVOLTS, 500, Filtering()) is MILLIVOLTS

    def left(frequency: float, **options: object) -> float:
        sine = np.tile(np.sin(2 * np.pi * frequency * time), (12, 1))
        return float(np.abs(apply_filters(sine, 500, Filtering(**options))[:, 1500:3500]).max())

    band = {"band_pass_hz": [0.5, 40]}
    assert left(0.05, **band) < 0.02
    assert left(10, **band) == pytest.approx(1, abs=0.01)
    assert left(120, **band) < 0.03
    assert left(50, notch_hz=50) < 0.05
    assert left(40, notch_hz=50) > 0.97
    assert left(10, band_pass_hz=[0.5, 250]) == pytest.approx(1, abs=0.01)  # beyond half the rate: a high-pass
    with pytest.raises(InvalidRecord, match="nothing of the pass band 300 to 400 Hz"):
        left(10, band_pass_hz=[300, 400])
    assert left(50, notch_hz=300) > 0.95  # not in the signal, whose samples miss the sine's peak
    wander = 0.5 * np.sin(2 * np.pi * 0.2 * time)
    beats = 1.0 * ((time % 1.0) < 0.04)
    cleaned = apply_filters(np.tile(wander + beats, (12, 1)), 500, Filtering(baseline="median"))
    assert np.abs(cleaned[:, 500:4500] - beats[500:4500]).max() < 0.06


def test_a_wrong_gain_is_refused() -> None:
    for gain in (200.0, 4880.0):
        invalid = rejected(MILLIVOLTS * USUAL_GAIN / gain, gain)
        assert invalid.reason == "amplitude"
        assert f"gain {gain:g} gives" in invalid.detail
    assert "median over leads" in rejected(MILLIVOLTS * 9 / amplitude(MILLIVOLTS)).detail
    assert rejected(MILLIVOLTS / 30).reason == "amplitude"
    for gain in (200.0, 4880.0):  # of one lead only, which a median over leads cannot see
        gains, signals = GAINS.copy(), MILLIVOLTS.copy()
        gains[7], signals[7] = gain, signals[7] * USUAL_GAIN / gain
        with pytest.raises(InvalidRecord) as caught:
            check_quality(signals, gains, 500, QUALITY)
        assert caught.value.reason == "amplitude"
        assert f"V2 {gain:g}" in caught.value.detail
        check_quality(signals, gains, 500, QUALITY.model_copy(update={"usual_gain": None}))


def test_a_growing_array_is_the_file_that_numpy_writes(tmp_path: Path) -> None:
    signals = np.random.default_rng(0).normal(size=(130, 12, 8)).astype(np.float32)
    with signal_writer(tmp_path / "grown.npy", (12, 8)) as writer:
        for start in range(0, 130, 50):
            writer.append(signals[start : start + 50])
        writer.append(signals[:0])
    np.save(tmp_path / "whole.npy", signals)
    assert (tmp_path / "grown.npy").read_bytes() == (tmp_path / "whole.npy").read_bytes()


def test_a_growing_array_leaves_nothing_behind_on_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="do not fit"), signal_writer(tmp_path / "grown.npy", (12, 8)) as writer:
        writer.append(np.zeros((3, 12, 9), np.float32))
    assert list(tmp_path.iterdir()) == []
