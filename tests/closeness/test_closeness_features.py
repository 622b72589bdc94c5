"""What is computed from each record, against textbook cases."""

import neurokit2
import numpy as np
import pytest
import scipy.stats
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ecgpipe.closeness import clinical, signals
from ecgpipe.closeness.feature_maps import Projection, RandomKernels
from ecgpipe.leads import LEADS
from ecgpipe.simulator.ecg import simulate_ecg
from ecgpipe.simulator.hospitals import HOSPITALS
from ecgpipe.simulator.patients import draw_patient

RATE = 100.0


def test_correlation_as_by_numpy_and_zero_for_a_constant_lead(held_out):
    record = held_out.signals[:1].astype(np.float64).copy()
    np.testing.assert_allclose(signals.interlead_correlation(record)[0], np.corrcoef(record[0]), atol=1e-9)
    record[0, 3] = 0.5
    found = signals.interlead_correlation(record)[0]
    assert (found[3] == 0).all()
    assert np.isfinite(found).all()


def test_autocorrelation_as_by_the_sum_and_zero_for_a_constant_lead(held_out):
    record = held_out.signals[:1].astype(np.float64).copy()
    record[0, 0] = 2.0
    found = signals.autocorrelation(record, RATE)
    assert found.shape == (1, 12, 150)
    x = record[0, 1] - record[0, 1].mean()
    for lag in (1, 40, 150):
        assert found[0, 1, lag - 1] == pytest.approx((x[lag:] * x[:-lag]).sum() / (x * x).sum())
    assert (found[0, 0] == 0).all()


@pytest.mark.parametrize("function", [signals.interlead_correlation, lambda x: signals.autocorrelation(x, RATE)])
def test_correlations_do_not_depend_on_the_unit(held_out, function):
    x = held_out.signals[:3].astype(np.float64)
    np.testing.assert_allclose(function(x), function(1000 * x), atol=1e-9)


def test_spectrum_of_a_sine():
    t = np.arange(1000) / RATE
    found = signals.welch_spectrum(np.sin(2 * np.pi * 10 * t)[None, None], RATE)[0, 0]
    frequencies = signals.welch_frequencies(1000, RATE)[0]
    assert frequencies[found.argmax()] == 10
    assert (frequencies[0], frequencies[-1]) == (0.5, 40)
    assert found.sum() * (frequencies[1] - frequencies[0]) == pytest.approx(0.5, rel=0.01)  # the sine's power, mV²


def test_amplitude_histograms_give_the_wasserstein_distance():
    rng = np.random.default_rng(0)
    a, b = rng.normal(0, 0.3, (1, 1, 4000)), rng.normal(0.1, 0.5, (1, 1, 4000))
    first, second = (signals.amplitude_histogram(x).astype(float) / 4000 for x in (a, b))
    found = np.abs(np.cumsum(first - second, axis=2)).sum() * signals.AMPLITUDE_STEP
    assert found == pytest.approx(scipy.stats.wasserstein_distance(a.ravel(), b.ravel()), abs=0.003)
    assert signals.amplitude_histogram(np.full((1, 1, 300), 99.0))[0, 0, -1] == 300


def test_faulty_records(held_out):
    x = held_out.signals[:4].astype(np.float64).copy()
    x[1, 4] = 0.2
    x[2, 5] = np.minimum(x[2, 5], np.quantile(x[2, 5], 0.7))
    x[3, 5, 10:13] = 9.0  # three samples are no plateau
    assert signals.faulty(x).tolist() == [0, 1, 1, 0]


def test_limb_residual_is_missing_without_limb_leads(held_out):
    x = held_out.signals[:2].astype(np.float64)
    assert (signals.limb_residual(x, LEADS) < 1e-5).all()
    assert np.isnan(signals.limb_residual(x[:, 6:], LEADS[6:])).all()


def test_blocks_change_nothing(held_out, monkeypatch):
    whole = signals.in_blocks(signals.projections, held_out.signals)
    monkeypatch.setattr(signals, "BLOCK", 7)
    np.testing.assert_allclose(signals.in_blocks(signals.projections, held_out.signals), whole, rtol=1e-9)


def test_kernels_see_no_offset_and_are_the_same_again(train, held_out):
    kernels, again = RandomKernels.fit(train.signals), RandomKernels.fit(train.signals)
    x = held_out.signals[:20]
    found = kernels(x)
    assert found.shape == (20, 504)
    np.testing.assert_array_equal(found, again(x))
    np.testing.assert_array_equal(found[5:9], kernels(x[5:9]))
    by_offset = np.abs(found - kernels(x + 0.4)).mean()  # only where a kernel reaches over the ends
    assert by_offset < 0.5 * np.abs(found - kernels(1.5 * x)).mean()


def test_kernels_refuse_records_that_are_too_short(train):
    with pytest.raises(ValueError, match="too short"):
        RandomKernels.fit(train.signals[:, :, :200])


def test_projection_of_reference_features_is_uncorrelated_and_forgives_constants():
    x = np.random.default_rng(0).standard_normal((200, 8)) @ np.random.default_rng(1).standard_normal((8, 8))
    x[:, 2] = 4.0
    covariance = np.cov(Projection.fit(x, 5)(x), rowvar=False)
    np.testing.assert_allclose(covariance, np.diag(np.diag(covariance)), atol=1e-9)
    assert (np.diff(np.diag(covariance)) < 0).all()


def test_projection_as_by_scikit_learn():
    rng = np.random.default_rng(0)
    fitted, others = (rng.standard_normal((n, 8)) @ rng.standard_normal((8, 8)) + 3 for n in (200, 50))
    library = make_pipeline(StandardScaler(), PCA(5, svd_solver="covariance_eigh")).fit(fitted)
    np.testing.assert_allclose(Projection.fit(fitted, 5)(others), library.transform(others), rtol=1e-9)


@pytest.mark.parametrize("beats_a_minute", [50, 75, 120])
def test_heart_rate_of_a_regular_train_of_beats(beats_a_minute):
    t = np.arange(1000) / RATE
    phase = (t * beats_a_minute / 60) % 1
    lead = np.exp(-(((phase - 0.5) / 0.012) ** 2)) + 0.2 * np.exp(-(((phase - 0.8) / 0.05) ** 2))
    rate, variation = clinical.beats(clinical.r_peaks(lead[None], RATE)[0], RATE)
    assert rate == pytest.approx(beats_a_minute, rel=0.02)
    assert variation < 15


def test_waves_of_simulated_sinus_rhythm_are_physiological():
    rng, hospital = np.random.default_rng(5), HOSPITALS["a"]
    x = np.stack([simulate_ecg(rng, "SR", hospital, draw_patient(rng, hospital, "SR"), 100, 10.0) for _ in range(15)])
    found = clinical.wave_figures(x, clinical.r_peaks(x[:, 1], RATE), RATE, LEADS)
    figures = dict(zip(clinical.WAVES, np.nanmedian(found, axis=0), strict=True))
    assert 90 < figures["pr_interval"] < 260
    assert 50 < figures["qrs_duration"] < 150
    assert 300 < figures["qt_interval"] < 500
    assert abs(figures["st_level"]) < 0.2
    assert -60 < figures["axis"] < 110


def test_no_ecg_has_no_beats_and_no_waves():
    flat = np.zeros((1, 12, 1000), dtype=np.float32)
    peaks = clinical.r_peaks(flat[:, 1], RATE)
    assert len(peaks[0]) == 0
    assert np.isnan(clinical.beat_figures(peaks, RATE)).all()
    assert np.isnan(clinical.wave_figures(flat, peaks, RATE, LEADS)).all()


def test_leads_are_cleaned_as_neurokit2_does(held_out):
    leads = held_out.signals[:3, 1]
    expected = [neurokit2.ecg_clean(lead.astype(np.float64), sampling_rate=RATE) for lead in leads]
    np.testing.assert_allclose(clinical.cleaned(leads, RATE), expected, atol=1e-9)
