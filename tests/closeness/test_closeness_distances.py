"""Each distance against an analytic case or another's implementation."""

import numpy as np
import ot
import prdc
import pytest
import scipy.linalg
import scipy.spatial
import scipy.stats
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.neighbors import NearestNeighbors

from ecgpipe.closeness import distances
from ecgpipe.closeness.bootstrap import bootstrap_interval, bootstrap_weights
from ecgpipe.closeness.dtw import banded_dtw


def ones(*samples):
    return [np.ones((1, len(sample))) for sample in samples]


@pytest.fixture
def two():
    rng = np.random.default_rng(0)
    a = rng.standard_normal((300, 6)) @ rng.standard_normal((6, 6))
    return a, rng.standard_normal((260, 6)) @ rng.standard_normal((6, 6)) + 0.3


def test_frechet_distance_of_gaussians_that_are_known():
    s, t = np.array([1.0, 4.0, 9.0]), np.array([4.0, 4.0, 1.0])
    rotation = np.linalg.qr(np.random.default_rng(0).standard_normal((3, 3)))[0]
    a, b = rotation * s @ rotation.T, rotation * t @ rotation.T
    mean = np.array([1.0, -2.0, 0.5])
    expected = mean @ mean + ((np.sqrt(s) - np.sqrt(t)) ** 2).sum()
    assert distances.frechet_distance(mean, a, np.zeros(3), b) == pytest.approx(expected)
    assert distances.frechet_distance(mean, a, mean, a) == pytest.approx(0, abs=1e-9)


def test_frechet_of_samples_as_by_scipys_matrix_root(two):
    a, b = two
    difference = a.mean(axis=0) - b.mean(axis=0)
    s, t = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    expected = difference @ difference + np.trace(s + t - 2 * scipy.linalg.sqrtm(s @ t).real)
    assert distances.frechet(a, b, *ones(a, b))[0] == pytest.approx(expected, rel=1e-6)


def test_frechet_with_weights_is_that_of_repeated_records(two):
    a, b = two
    counts = np.random.default_rng(1).integers(0, 3, len(a))
    repeated = a.repeat(counts, axis=0)
    expected = distances.frechet(repeated, b, *ones(repeated, b))[0]
    assert distances.frechet(a, b, counts[None].astype(float), *ones(b))[0] == pytest.approx(expected)


def naive_mmd(a, b):
    median = np.median(scipy.spatial.distance.pdist(np.concatenate([a, b])))
    gammas = [1 / (2 * (w * median) ** 2) for w in distances.WIDTHS]
    aa, bb, ab = (np.mean([rbf_kernel(x, y, g) for g in gammas], axis=0) for x, y in ((a, a), (b, b), (a, b)))
    n, m = len(a), len(b)
    return (aa.sum() - n) / (n * (n - 1)) + (bb.sum() - m) / (m * (m - 1)) - 2 * ab.mean()


def test_mmd_as_by_scikit_learns_kernels(two, monkeypatch):
    expected = naive_mmd(*two)
    assert distances.mmd(*two, *ones(*two))[0] == pytest.approx(expected, rel=1e-5)
    monkeypatch.setattr(distances, "ROWS", 17)
    assert distances.mmd(*two, *ones(*two))[0] == pytest.approx(expected, rel=1e-5)


def test_mmd_is_unbiased_and_its_p_value_tells_apart():
    rng = np.random.default_rng(0)
    same = [distances.mmd(*pair, *ones(*pair))[0] for pair in rng.standard_normal((200, 2, 20, 3))]
    assert abs(np.mean(same)) < 3 * np.std(same) / np.sqrt(200)
    p = [distances.mmd_p_value(*pair, rng) for pair in rng.standard_normal((40, 2, 20, 3))]
    assert 0.3 < np.mean(p) < 0.7
    a, b = rng.standard_normal((2, 30, 3))
    assert distances.mmd_p_value(a, b + 2, rng) == pytest.approx(1 / (distances.PERMUTATIONS + 1))


def of_patients(rng, patients, records):
    """Draw records ``(patients * records, 3)`` that are alike within a patient, and whose they are."""
    own = rng.standard_normal((patients, 1, 3)) + 0.3 * rng.standard_normal((patients, records, 3))
    return own.reshape(-1, 3), np.repeat(np.arange(patients), records)


def test_mmd_p_value_is_that_of_exchanging_whole_patients_by_hand():
    rng = np.random.default_rng(3)
    (a, p), (b, q) = of_patients(rng, 9, 3), of_patients(rng, 7, 2)
    b = b + 0.5
    x, patient = np.concatenate([a, b]), np.concatenate([p, q + 9])
    gammas = [1 / (2 * (w * np.median(scipy.spatial.distance.pdist(x))) ** 2) for w in distances.WIDTHS]
    k = np.mean([rbf_kernel(x, x, g) for g in gammas], axis=0)
    mean = np.array([[k[np.ix_(patient == i, patient == j)].mean() for j in range(16)] for i in range(16)])

    def statistic(first):
        one, other = np.flatnonzero(first), np.flatnonzero(~first)
        within = [mean[np.ix_(s, s)][~np.eye(len(s), dtype=bool)].mean() for s in (one, other)]
        return sum(within) - 2 * mean[np.ix_(one, other)].mean()

    exchanged = np.random.default_rng(4)
    values = [statistic(np.arange(16) < 9)]
    values += [statistic(np.isin(np.arange(16), exchanged.permutation(16)[:9])) for _ in range(distances.PERMUTATIONS)]
    expected = np.mean(np.array(values) >= values[0] - 1e-7)
    assert distances.mmd_p_value(a, b, np.random.default_rng(4), p, q) == pytest.approx(expected, abs=0.003)
    one_each = distances.mmd_p_value(a, b, np.random.default_rng(4), np.arange(27), np.arange(14))
    assert one_each == distances.mmd_p_value(a, b, np.random.default_rng(4))


@pytest.mark.parametrize("records", [2, 4])
def test_mmd_holds_its_level_with_several_records_a_patient(records, monkeypatch):
    monkeypatch.setattr(distances, "PERMUTATIONS", 99)
    rng = np.random.default_rng(records)
    by_patient, by_record = [], []
    for _ in range(200):
        (a, p), (b, q) = of_patients(rng, 20, records), of_patients(rng, 20, records)
        by_patient.append(distances.mmd_p_value(a, b, rng, p, q))
        by_record.append(distances.mmd_p_value(a, b, rng))
    assert np.mean(np.array(by_patient) <= 0.05) < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 200)
    assert 0.4 < np.mean(by_patient) < 0.6
    assert np.mean(np.array(by_record) <= 0.05) > 0.2  # as if every record had a patient of its own


def test_mmds_kernels_are_the_same_whichever_side_is_real(two):
    a, b = two
    b = b[:25] * 3
    swapped = distances.mmd(b, a, *ones(b, a))[0]
    assert distances.mmd(a, b, *ones(a, b))[0] == pytest.approx(swapped, rel=1e-6)
    assert distances.median_distance(a, b) == pytest.approx(np.median(scipy.spatial.distance.pdist(np.vstack([a, b]))))


def test_precision_recall_density_coverage_as_by_prdc(two):
    a, b = two
    expected = prdc.compute_prdc(real_features=a, fake_features=b, nearest_k=5)
    found = {name: values.mean() for name, values in distances.manifold_scores(a, b).items()}
    assert found == pytest.approx(expected)


def test_nearest_as_by_scikit_learn(two):
    a, b = two
    distance, place = NearestNeighbors(n_neighbors=3).fit(b).kneighbors(a)
    found = distances.nearest_neighbours(a, b, 3)
    np.testing.assert_allclose(found[1], distance)
    np.testing.assert_array_equal(found[0], place)
    assert (distances.nearest_neighbours(a, a, 1, same=True)[0][:, 0] != np.arange(len(a))).all()


def test_distance_of_a_near_copy_is_not_lost_to_rounding():
    x = np.random.default_rng(0).standard_normal((50, 12000)).astype(np.float32) + 5
    copy = x[:1].copy()
    copy[0, 7] += 0.001
    assert distances.nearest_neighbours(copy, x, 1)[1][0, 0] == pytest.approx(0.001, rel=0.02)


@pytest.mark.parametrize("weighted", [False, True])
def test_wasserstein_as_by_scipy(weighted):
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal(50).round(1), rng.standard_normal(70) * 2 + 1
    u, v = (rng.integers(0, 4, len(x)).astype(float) if weighted else np.ones(len(x)) for x in (a, b))
    expected = scipy.stats.wasserstein_distance(a, b, u, v)
    assert distances.wasserstein(a, b, u[None], v[None])[0] == pytest.approx(expected)
    a = np.append(a, np.nan)
    assert distances.wasserstein(a, b, np.append(u, 3)[None], v[None])[0] == pytest.approx(expected)


def test_sliced_wasserstein_as_by_pot(two):
    a, b = two
    directions = np.random.default_rng(2).standard_normal((6, 10))
    directions /= np.linalg.norm(directions, axis=0)
    expected = ot.sliced_wasserstein_distance(a, b, projections=directions, p=1)
    assert distances.sliced_wasserstein(a @ directions, b @ directions, *ones(a, b))[0] == pytest.approx(expected)


def naive_dtw(x, y, band):
    length = x.shape[1]
    total = np.full((length, length), np.inf)
    for i in range(length):
        for j in range(max(0, i - band), min(length, i + band + 1)):
            before = min(
                total[i - 1, j] if i else np.inf,
                total[i, j - 1] if j else np.inf,
                total[i - 1, j - 1] if i and j else np.inf,
            )
            total[i, j] = ((x[:, i] - y[:, j]) ** 2).sum() + (before if i or j else 0)
    return np.sqrt(total[-1, -1] / x.size)


@pytest.mark.parametrize("band", [0, 1, 4, 40])
def test_banded_dtw_as_by_the_textbook(band):
    x, y = np.random.default_rng(0).standard_normal((2, 70, 3, 31))
    expected = [naive_dtw(a, b, band) for a, b in zip(x, y, strict=True)]
    np.testing.assert_allclose(banded_dtw(x, y, band), expected, rtol=1e-5)


def test_dtw_forgives_a_shift_within_the_band():
    beat = np.exp(-(((np.arange(200) - 100) / 5) ** 2))[None, None]
    shifted = np.roll(beat, 6, axis=2)
    assert banded_dtw(beat, shifted, 8)[0] < 0.01 < 0.1 < banded_dtw(beat, shifted, 0)[0]


def test_bootstrap_draws_patients_whole():
    patients = np.array(["a", "b", "a", "c", "b"])
    weights = bootstrap_weights(5, patients, 300, np.random.default_rng(0))
    assert (weights[0] == 1).all()
    np.testing.assert_array_equal(weights[:, 0], weights[:, 2])
    np.testing.assert_array_equal(weights[:, 1], weights[:, 4])
    assert (weights[:, [0, 1, 3]].sum(axis=1) == 3).all()
    assert weights[1:].mean(axis=0) == pytest.approx(1, abs=0.15)


def test_interval_of_a_mean_covers_it():
    rng, hits = np.random.default_rng(0), 0
    for _ in range(300):
        x = rng.standard_normal(40)
        w = bootstrap_weights(40, None, 200, rng)
        _, low, high = bootstrap_interval(w @ x / 40, 0.95, (-np.inf, np.inf))
        hits += low < 0 < high
    assert 0.9 < hits / 300 < 0.98


def test_interval_of_a_share_of_all_or_none_is_the_binomial_one():
    for hits in (0, 20):
        exact = scipy.stats.binomtest(hits, 20).proportion_ci(0.9, "exact")
        assert bootstrap_interval(np.full(50, hits / 20), 0.9, (0.0, 1.0), 20)[1:] == pytest.approx(
            (exact.low, exact.high)
        )
    draws = np.linspace(0.4, 0.6, 51)
    assert bootstrap_interval(draws - 0.1, 0.9, (0.0, 1.0), 20) == bootstrap_interval(draws - 0.1, 0.9, (0.0, 1.0))


def test_interval_of_a_biased_distance_holds_its_value_and_its_range():
    value, low, high = bootstrap_interval(np.array([0.1, 0.5, 0.6, 0.7]), 0.9, (0.0, np.inf))
    assert low <= value == 0.1 <= high
    assert bootstrap_interval(np.array([0.01, 0.5, 0.9, 0.7]), 0.9, (0.0, 1.0))[1] == 0
    assert np.isnan(bootstrap_interval(np.array([np.nan, 1.0, 2.0]), 0.9, (0.0, 1.0))).all()
