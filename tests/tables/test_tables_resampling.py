"""Bootstrap, permutation and correction against known answers and reference implementations."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats import multitest
from statsmodels.stats.power import TTestPower

from ecgpipe.tables import resampling
from ecgpipe.tables.resampling import (
    PairedTest,
    by_repetition,
    covariances,
    detectable,
    holm,
    interval,
    over_seeds,
    paired_test,
    patient_weights,
    seed_weights,
    strata,
    swap_p_value,
    upper_limit,
    widened,
)


def test_variance_over_seeds_is_unbiased_even_for_a_few():
    values = np.array([1.0, 4.0, 7.0])
    weights = seed_weights(3, 40_000, np.random.default_rng(0))
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    draws = weights @ values
    assert draws.mean() == pytest.approx(4.0, abs=0.05)
    assert draws.var() == pytest.approx(values.var(ddof=1) / 3, rel=0.03)
    np.testing.assert_array_equal(seed_weights(1, 5, np.random.default_rng(0)), 1)


def test_patients_are_drawn_whole_and_every_class_keeps_its_weight():
    patients = np.array(["a", "a", "b", "c", "d", "e", "e", "f"])
    labels = np.array([0, 0, 0, 0, 0, 1, 1, 2])
    weights = patient_weights(patients, labels, 500, np.random.default_rng(0))
    np.testing.assert_array_equal(weights[:, 0], weights[:, 1])
    assert (weights[:, :5].min(axis=0) == 0).all()
    assert set(np.unique(weights[:, 5:])) == {0.0, 2.0}  # two classes of one patient are drawn together
    np.testing.assert_array_equal(weights[:, 5] + weights[:, 7], 2)


def test_one_patient_in_all_weighs_what_it_weighs():
    weights = patient_weights(np.array(["a", "a"]), np.array([0, 1]), 5, np.random.default_rng(0))
    np.testing.assert_array_equal(weights, 1)


def test_a_patient_of_two_classes_counts_with_the_rarer():
    patients = np.array(["a", "a", "b", "c", "d"])
    labels = np.array([0, 1, 0, 0, 1])
    weights = patient_weights(patients, labels, 200, np.random.default_rng(0))
    np.testing.assert_array_equal(weights[:, 0], weights[:, 1])
    assert set(np.unique(weights[:, [1, 4]].sum(axis=1))) == {2.0}


def test_undefined_values_are_left_out_of_the_mean_over_seeds():
    values = np.array([[[1.0, np.nan], [3.0, np.nan]]])
    got = over_seeds(values, np.array([[0.25, 0.75]]))
    np.testing.assert_array_equal(got, [[2.5, np.nan]])


def test_interval_is_the_percentile_interval():
    draws = np.column_stack([np.arange(101.0), np.full(101, np.nan)])
    low, high = interval(draws, 0.9)
    np.testing.assert_allclose([low[0], high[0]], [5, 95])
    assert np.isnan(low[1])
    assert np.isnan(high[1])


@pytest.mark.parametrize("size", [4, 7, 10])
def test_p_value_is_the_exact_paired_permutation_test_where_patients_play_no_part(size):
    differences = np.random.default_rng(size).normal(0.4, 1, size)
    wanted = stats.permutation_test(
        (differences, np.zeros(size)), lambda a, b: np.mean(a - b), permutation_type="samples", n_resamples=np.inf
    )
    got = swap_p_value(differences, np.zeros((10, size)), np.random.default_rng(0))
    assert got == pytest.approx(wanted.pvalue)


def test_p_value_of_many_seeds_is_sampled_and_never_zero():
    got = swap_p_value(np.linspace(1, 2, 25), np.zeros((10, 25)), np.random.default_rng(0))
    assert got == pytest.approx(1 / (resampling.SWAPS + 1))


def test_p_value_needs_more_than_one_seed_and_a_difference():
    rng = np.random.default_rng(0)
    assert swap_p_value(np.array([0.5]), np.full((10, 1), 0.5), rng) == 1
    assert swap_p_value(np.zeros(6), np.zeros((10, 6)), rng) == 1
    assert np.isnan(swap_p_value(np.array([0.1, np.nan]), np.zeros((10, 2)), rng))


def simulated_tests(repetitions, seeds, patients, of_seed, of_patient, of_both, shift=0.0):
    """Draw d = shift + a_seed + b_patient + e with these deviations: (mean of each seed, influences, weights, rng)."""
    rng = np.random.default_rng(17)
    for _ in range(repetitions):
        d = (
            shift
            + of_seed * rng.normal(size=(seeds, 1))
            + of_patient * rng.normal(size=patients)
            + of_both * rng.normal(size=(seeds, patients))
        )
        means = d.mean(axis=1)
        yield means, (d - means[:, None]) / patients, rng


def paired_tests(repetitions, seeds, patients, *chance, **others):
    """Judge them, all patients in one stratum."""
    drawn = simulated_tests(repetitions, seeds, patients, *chance, **others)
    return [paired_test(d, influence, np.zeros(patients)) for d, influence, _ in drawn]


def by_patients(means, influence, rng, draws=100):
    """Return bootstrap draws over patients of each seed's mean, ``(draws, s)``."""
    patients = influence.shape[1]
    weights = patient_weights(np.arange(patients), np.zeros(patients, dtype=int), draws, rng)
    return means + weights @ influence.T


def simulated_p_values(*arguments, **others):
    """P-values of swaps."""
    drawn = simulated_tests(*arguments, **others)
    return np.array([swap_p_value(d, by_patients(d, influence, rng), rng) for d, influence, rng in drawn])


def test_paired_test_is_the_t_test_where_patients_play_no_part():
    differences = np.random.default_rng(1).normal(0.4, 1, 6)
    test = paired_test(differences, np.zeros((6, 50)), np.zeros(50))
    wanted = stats.ttest_1samp(differences, 0)
    assert test.p_value == pytest.approx(wanted.pvalue)
    assert test.interval(0.9) == pytest.approx(wanted.confidence_interval(0.9))


def test_paired_test_is_the_t_test_over_patients_where_seeds_agree():
    patients = np.random.default_rng(2).normal(0.3, 1, 40)
    influence = np.repeat((patients - patients.mean())[None] / 40, 3, axis=0)
    test = paired_test(np.full(3, patients.mean()), influence, np.zeros(40))
    assert test.p_value == pytest.approx(stats.ttest_1samp(patients, 0).pvalue)
    assert test.freedom == pytest.approx(39)


def test_seeds_that_agree_by_chance_do_not_get_the_freedom_of_many_patients():
    rng = np.random.default_rng(4)
    influence = (0.3 * rng.normal(size=(1, 4000)) + rng.normal(size=(3, 4000))) / 4000**0.5  # each seed by itself
    test = paired_test(np.array([0.999, 1.0, 1.001]), influence, np.zeros(4000))
    apart, together = 1 / 3, 0.09
    assert test.error == pytest.approx(together**0.5, rel=0.15)
    wanted = (apart + together) ** 2 / (apart**2 / 2 + together**2 / 3999)
    assert test.freedom == pytest.approx(wanted, rel=0.15)
    assert test.p_value > 0.005


def test_covariances_by_stratum_are_those_of_a_bootstrap_within_strata():
    rng = np.random.default_rng(5)
    stratum = np.repeat([0, 1, 2], [40, 12, 1])
    scale = np.repeat([0.02, 0.1, 1.0], [40, 12, 1])
    influence = scale * (rng.normal(size=53) + rng.normal(size=(4, 53)))
    shared, sizes, alone = covariances(influence, stratum)
    assert sizes.tolist() == [40, 12]  # one patient has no variance
    for place, members in enumerate((slice(0, 40), slice(40, 52))):
        n = sizes[place]
        draws = patient_weights(np.arange(n), np.zeros(n, dtype=int), 40_000, rng) @ influence[:, members].T
        bootstrap = np.cov(draws.T)
        assert shared[place] == pytest.approx((bootstrap.sum() - np.trace(bootstrap)) / 12, rel=0.05)
        unbiased = n * np.cov(influence[:, members])
        assert shared[place] == pytest.approx((unbiased.sum() - np.trace(unbiased)) / 12)
        alone -= np.trace(unbiased) / 4
    assert alone == pytest.approx(0, abs=1e-12)


def test_degrees_of_freedom_are_those_of_welchs_test_where_chance_lies_in_two_strata():
    """Seeds agree: what is left is a difference of two means, (Σ C_h)² / Σ C_h² / (n_h - 1)."""
    rng = np.random.default_rng(6)
    many, few = rng.normal(0, 1, 300), rng.normal(0, 1, 4)
    influence = np.concatenate([(many - many.mean()) / 300, -(few - few.mean()) / 4])
    test = paired_test(
        np.full(5, many.mean() - few.mean()), np.repeat(influence[None], 5, axis=0), np.repeat([0, 1], [300, 4])
    )
    wanted = stats.ttest_ind(many, few, equal_var=False)
    assert test.freedom == pytest.approx(wanted.df)
    assert test.p_value == pytest.approx(wanted.pvalue)


def test_a_rhythm_that_all_networks_read_rightly_is_not_known_for_certain():
    rng = np.random.default_rng(7)
    stratum = np.repeat([0, 1], [100, 10])
    influence = np.concatenate([rng.normal(0, 0.001, 100), np.zeros(10)])[None].repeat(3, axis=0)
    plain = paired_test(np.full(3, 0.1), influence, stratum)
    swing = np.array([0.001, 0.05])
    floored = paired_test(np.full(3, 0.1), influence, stratum, swing)
    assert floored.error**2 - plain.error**2 == pytest.approx(0.5 * 0.05**2)
    assert floored.freedom < 15 < plain.freedom
    assert np.isnan(paired_test(np.zeros(3), np.zeros((3, 110)), stratum, swing).error)  # no chance at all was seen


@pytest.mark.parametrize("seeds", [3, 10])
@pytest.mark.parametrize(("of_seed", "of_patient"), [(0.3, 0.0), (0.0, 1.0), (0.3, 2.0)])
def test_paired_test_is_wrong_as_often_as_it_says(seeds, of_seed, of_patient):
    """With three seeds at most so often: what they say of the chance in training is not trusted."""
    tests = paired_tests(1500, seeds, 40, of_seed, of_patient, 1.0)
    p_values = np.array([test.p_value for test in tests])
    for level in (0.05, 0.2, 0.5):
        reach = 0.01 + 3 * np.sqrt(level * (1 - level) / 1500)
        least = 0.1 * level if seeds == 3 else level - reach
        assert least < (p_values <= level).mean() < level + reach
    covered = np.mean([low < 0 < high for low, high in (test.interval(0.95) for test in tests)])
    assert covered == pytest.approx((p_values > 0.05).mean())


def test_three_seeds_that_agree_by_chance_show_nothing():
    """Chance in training and in patients alike; with the degrees of freedom of what was seen, .03 at level .01."""
    p_values = np.array([test.p_value for test in paired_tests(4000, 3, 40, 1.0, 1.0, 1.0)])
    for level in (0.05, 0.01):
        assert 0.2 * level < (p_values <= level).mean() < level + 3 * np.sqrt(level * (1 - level) / 4000)


def test_the_variance_of_few_seeds_may_be_many_times_what_was_seen():
    """Of variances of normal numbers one in twenty is above its upper limit."""
    rng = np.random.default_rng(8)
    for seeds in (2, 3, 20):
        found = rng.normal(size=(20_000, seeds)).var(axis=1, ddof=1)
        assert (found * upper_limit(1.0, seeds) < 1).mean() == pytest.approx(0.05, abs=0.006)


@pytest.mark.parametrize(("of_generator", "of_patient"), [(0.3, 0.0), (0.3, 1.0), (0.0, 1.0)])
def test_chance_in_generators_is_covered_by_their_repetitions(of_generator, of_patient):
    """Ten networks on five repetitions: counted as ten they are wrong too often, as five as often as they say."""
    rng, wrong = np.random.default_rng(5), {"seeds": [], "repetitions": []}
    for _ in range(1500):
        generator = np.tile(of_generator * rng.normal(size=5), 2)[:, None]
        d = generator + of_patient * rng.normal(size=40) + rng.normal(size=(10, 40))
        means = d.mean(axis=1)
        influence, stratum = (d - means[:, None]) / 40, np.zeros(40)
        wrong["seeds"].append(paired_test(means, influence, stratum).p_value < 0.05)
        averaged = by_repetition(means, 5), by_repetition(influence, 5)
        wrong["repetitions"].append(paired_test(*averaged, stratum).p_value < 0.05)
    assert np.mean(wrong["repetitions"]) == pytest.approx(0.05, abs=0.01 + 3 * np.sqrt(0.05 * 0.95 / 1500))
    if of_generator > 0 and of_patient == 0:
        assert np.mean(wrong["seeds"]) > 0.1


def test_repetitions_are_averaged_in_turn():
    values = np.arange(12.0).reshape(6, 2)
    np.testing.assert_array_equal(by_repetition(values, 3), [[3, 4], [5, 6], [7, 8]])
    np.testing.assert_array_equal(by_repetition(values, 6), values)


def test_what_is_called_detectable_is_found_that_often():
    """The smallest effect of the true error has a power of 0.80, also where there are few degrees of freedom."""
    for patients, seeds in ((12, 20), (40, 8)):
        known = np.std([t.difference for t in paired_tests(2000, seeds, patients, 0.1, 1, 0.3)])
        freedom = np.median([t.freedom for t in paired_tests(200, seeds, patients, 0.1, 1, 0.3)])
        shift = PairedTest(0.0, float(known), float(freedom)).detectable(0.05)
        tests = paired_tests(1000, seeds, patients, 0.1, 1, 0.3, shift=shift)
        assert np.mean([test.p_value < 0.05 for test in tests]) == pytest.approx(0.8, abs=0.045)


@pytest.mark.parametrize(("freedom", "alpha"), [(2, 0.05), (9, 0.05), (17.3, 0.01), (150, 0.001)])
def test_detectable_agrees_with_statsmodels(freedom, alpha):
    wanted = TTestPower().solve_power(nobs=freedom + 1, alpha=alpha, power=0.8) * np.sqrt(freedom + 1)
    assert detectable(0.03, freedom, alpha) == pytest.approx(0.03 * wanted, rel=1e-4)


def test_detectable_at_small_levels_with_few_degrees_of_freedom_is_that_of_draws():
    """Where SciPy's noncentral t fails."""
    rng, freedom, alpha = np.random.default_rng(0), 3.5, 0.0006
    effect = detectable(1.0, freedom, alpha)
    errors = np.sqrt(rng.chisquare(freedom, 400_000) / freedom)
    found = (effect + rng.standard_normal(400_000)) / errors > stats.t.ppf(1 - alpha / 2, freedom)
    assert found.mean() == pytest.approx(0.8, abs=0.005)


def test_paired_test_without_chance_or_without_value():
    for differences, patients in (
        (np.zeros(3), 20),  # both methods always answer with one class
        (np.array([0.1]), 20),
        (np.array([0.1, np.nan]), 20),
        (np.array([0.1, 0.2]), 1),
    ):
        test = paired_test(differences, np.zeros((len(differences), patients)), np.zeros(patients))
        assert np.isnan([test.p_value, *test.interval(0.95), test.detectable(0.05)]).all()


def test_strata_are_the_patients_rarest_class():
    patients = np.array(["a", "a", "b", "c", "d", "e", "f"])
    labels = np.array([0, 1, 0, 0, 1, 2, 0])
    assert strata(patients, labels).tolist() == [1, 0, 0, 1, 1, 0]  # e, alone in class 2, joins the next rarest


def test_intervals_of_few_seeds_are_widened_to_cover():
    rng = np.random.default_rng(3)
    plain = covered = 0
    for _ in range(300):
        values = rng.normal(0.5, 0.05, (3, 1))
        draws = seed_weights(3, 400, rng) @ values
        low, high = interval(draws, 0.95)
        plain += low[0] < 0.5 < high[0]
        low, high = widened(low, high, values.mean(axis=0), values, draws, 0.95)
        covered += low[0] < 0.5 < high[0]
    assert plain / 300 < 0.85
    assert covered / 300 > 0.88


@pytest.mark.parametrize("seeds", [3, 10])
@pytest.mark.parametrize(("of_seed", "of_patient"), [(0.3, 0.0), (0.0, 1.0), (0.3, 2.0)])
def test_intervals_over_seeds_and_patients_cover(seeds, of_seed, of_patient):
    """The interval of one network's mean, as in summary.parquet, with chance in the training, the patients and both."""
    covered = 0
    for of_each_seed, influence, rng in simulated_tests(300, seeds, 40, of_seed, of_patient, 1.0):
        by_patient = by_patients(of_each_seed, influence, rng)
        draws = over_seeds(by_patient, seed_weights(seeds, len(by_patient), rng))[:, None]
        low, high = interval(draws, 0.95)
        low, high = widened(low, high, of_each_seed.mean(keepdims=True), of_each_seed[:, None], draws, 0.95)
        covered += low[0] < 0 < high[0]
    assert covered / 300 > 0.89


@pytest.fixture
def fewer_swaps(monkeypatch):
    monkeypatch.setattr(resampling, "SWAPS", 1024)


@pytest.mark.usefixtures("fewer_swaps")
def test_p_value_is_uniform_if_only_training_is_random():
    p_values = simulated_p_values(400, 9, 20, of_seed=1, of_patient=0, of_both=1)
    for level in (0.05, 0.2, 0.5):
        assert (p_values <= level).mean() == pytest.approx(level, abs=3.5 * np.sqrt(level * (1 - level) / 400))


@pytest.mark.usefixtures("fewer_swaps")
@pytest.mark.parametrize(("of_seed", "of_patient"), [(0.0, 1.0), (0.3, 2.0), (1.0, 2.5)])
def test_differences_by_the_luck_of_patients_are_not_taken_for_real(of_seed, of_patient):
    p_values = simulated_p_values(300, 8, 40, of_seed, of_patient, of_both=1)
    assert (p_values <= 0.05).mean() < 0.09


@pytest.mark.usefixtures("fewer_swaps")
def test_a_clear_difference_is_found():
    assert (simulated_p_values(30, 8, 40, 0.3, 1.0, 1.0, shift=1.5) <= 0.05).all()


def test_holm_agrees_with_statsmodels():
    p_values = np.random.default_rng(0).random(12) ** 3
    p_values[3] = p_values[7]
    np.testing.assert_allclose(holm(p_values), multitest.multipletests(p_values, method="holm")[1])


def test_holm_leaves_missing_values_out_of_the_family():
    np.testing.assert_allclose(holm(np.array([0.01, np.nan, 0.04])), [0.02, np.nan, 0.04])
    assert np.isnan(holm(np.array([np.nan]))).all()
