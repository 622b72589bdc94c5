"""Levels of what drafts leave: measured, taken off and given back, drawn as they are found."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
import torch

from ecgpipe.generate.drafts.levels import BANDS, CENTRES, LEVELS, NORMAL_MEDIAN, LevelsModel
from ecgpipe.generate.preconditioning import estimate_class_spectra

LENGTH, RATE, CLASSES = 1000, 100.0, 3


def model() -> LevelsModel:
    return LevelsModel(LENGTH, RATE, CLASSES)


def noise(number: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(number, 8, LENGTH, generator=torch.Generator().manual_seed(seed))


def known(number: int) -> tuple[torch.Tensor, np.ndarray, torch.Tensor]:
    """Levels that depend on class and figures, and correlate otherwise; class ids and figures."""
    rng = np.random.default_rng(0)
    labels, figures = np.arange(number) % CLASSES, rng.normal(0, 0.4, (number, 2))
    shared, own = rng.normal(0, 1, (number, 1)), rng.normal(0, 1, (number, LEVELS))
    levels = -4 + 0.5 * labels[:, None] - 0.8 * figures[:, :1] + 0.3 * (0.8 * shared + 0.6 * own)
    return torch.from_numpy(levels).float(), labels, torch.from_numpy(figures).float()


@pytest.mark.parametrize(("rate", "length"), [(50.0, 500), (100.0, 1000), (100.0, 250), (500.0, 5000)])
def test_bands_share_every_frequency(rate: float, length: int) -> None:
    made = LevelsModel(length, rate, CLASSES)
    assert made.weights.shape == (BANDS, length + 1)
    torch.testing.assert_close(made.weights.sum(dim=0), torch.ones(length + 1))
    for weight, centre in zip(made.weights, CENTRES, strict=True):
        place = round(centre * 2 * length / rate)
        assert place > length or float(weight[place]) > 0.75
    x = torch.randn(12, 8, length, generator=torch.Generator().manual_seed(1))
    levels = made.measure(x)
    made.fit(levels, np.arange(12) % CLASSES, torch.zeros(12, 2))
    drawn = made.draw(np.arange(12) % CLASSES, torch.zeros(12, 2), np.arange(12))
    assert torch.isfinite(drawn).all()
    torch.testing.assert_close(made.restored(made.evened(x, drawn), drawn), x, atol=1e-4, rtol=0)


def test_a_larger_record_has_higher_levels_in_all_bands() -> None:
    x = noise(6)
    one, two = model().measure(x), model().measure(2 * x)
    torch.testing.assert_close((two - one)[:, :BANDS], torch.full((6, BANDS), np.log(2)), atol=0.05, rtol=0)
    torch.testing.assert_close(two[:, BANDS:], one[:, BANDS:], atol=0.05, rtol=0)


def test_a_lead_has_levels_of_its_own() -> None:
    x = noise(30)
    louder = x.clone()
    louder[:15, 2] *= 2
    one, two = model().measure(x), model().measure(louder)
    change = (two - one)[:15, BANDS:].view(15, 2, 8).mean(dim=0)
    expected = torch.full((2, 8), -np.log(2) / 8)
    expected[:, 2] += np.log(2)
    torch.testing.assert_close(change, expected, atol=0.03, rtol=0)
    made = model()
    made.fit(two, np.zeros(30, dtype=np.int64), torch.zeros(30, 2))
    rest = made.evened(louder, two)
    fast = torch.fft.rfft(rest)[..., 200:]  # above 20 Hz
    ratio = fast[:15].abs().square().mean(dim=(0, 2)).sqrt() / fast[15:].abs().square().mean(dim=(0, 2)).sqrt()
    torch.testing.assert_close(ratio, torch.ones(8), atol=0.04, rtol=0)
    torch.testing.assert_close(made.restored(rest, two), louder, atol=1e-4, rtol=0)


def test_a_level_passes_over_beats() -> None:
    x = 0.1 * noise(6)
    bursts = x.clone()
    for start in range(20, LENGTH, 100):
        bursts[..., start : start + 8] *= 20
    # Bands in which bursts stay as short.
    changed = (model().measure(bursts) - model().measure(x))[:, BANDS - 3 : BANDS]
    assert float(changed.abs().max()) < 0.35
    assert float((bursts.std() / x.std()).log()) > 1.5


def test_what_is_taken_off_is_given_back() -> None:
    levels, labels, figures = known(60)
    made = model()
    made.fit(levels, labels, figures)
    x = noise(60)
    torch.testing.assert_close(made.restored(made.evened(x, levels), levels), x, atol=1e-4, rtol=0)
    usual = made.middle.expand(60, -1)
    torch.testing.assert_close(made.evened(x, usual), x, atol=1e-5, rtol=0)


def test_evened_records_are_alike() -> None:
    size = torch.linspace(-1, 1, 30).exp()[:, None, None]
    x = 0.05 * noise(30) * size
    made = model()
    levels = made.measure(x)
    made.fit(levels, np.zeros(30, dtype=np.int64), torch.zeros(30, 2))
    assert float(levels.std(dim=0)[:BANDS].min()) > 0.4
    assert float(made.measure(made.evened(x, levels)).std(dim=0)[4:BANDS].max()) < 0.05
    off = LevelsModel(LENGTH, RATE, CLASSES, used=False)
    off.fit(levels, np.zeros(30, dtype=np.int64), torch.zeros(30, 2))
    torch.testing.assert_close(off.evened(x, levels), x, atol=1e-5, rtol=0)


def test_drawn_levels_are_as_the_found_ones() -> None:
    levels, labels, figures = known(1500)
    made = model()
    made.fit(levels, labels, figures)
    drawn = made.draw(labels, figures, np.arange(1500))
    for c in range(CLASSES):
        a, b = levels[labels == c], drawn[labels == c]
        torch.testing.assert_close(b.mean(dim=0), a.mean(dim=0), atol=0.05, rtol=0)
        torch.testing.assert_close(b.std(dim=0), a.std(dim=0), atol=0.05, rtol=0)
    assert scipy.stats.ks_2samp(drawn[:, 0], levels[:, 0]).pvalue > 0.01
    left = [(t - t.mean(dim=0))[labels == 0].T for t in (levels, drawn)]
    torch.testing.assert_close(torch.corrcoef(left[1]), torch.corrcoef(left[0]), atol=0.1, rtol=0)
    # What the figures say of the levels is kept.
    slope = [float(np.polyfit(figures[labels == 1, 0], t[labels == 1, 0], 1)[0]) for t in (levels, drawn)]
    assert slope[0] == pytest.approx(-0.8, abs=0.1)
    assert slope[1] == pytest.approx(slope[0], abs=0.1)


def test_few_records_tell_of_their_correlation() -> None:
    levels, labels, figures = known(30)
    made = model()
    made.fit(levels, labels, figures)
    drawn = made.draw(np.zeros(800, dtype=np.int64), torch.zeros(800, 2), np.arange(800))
    found = torch.corrcoef(drawn.T)[~torch.eye(LEVELS, dtype=torch.bool)].mean()
    assert 0.15 < float(found) < 0.64  # that of all records; shrunk


def test_each_record_has_its_own_stream() -> None:
    levels, labels, figures = known(90)
    made = model()
    made.fit(levels, labels, figures)
    together = made.draw(labels[:8], figures[:8], np.arange(8))
    alone = made.draw(labels[5:6], figures[5:6], np.array([5]))
    torch.testing.assert_close(alone, together[5:6], atol=0, rtol=0)
    assert (made.draw(labels[:8], figures[:8], np.arange(8) + 100) != together).any(dim=1).all()


def test_a_model_that_was_saved_draws_the_same() -> None:
    levels, labels, figures = known(90)
    made, read = model(), model()
    made.fit(levels, labels, figures)
    read.load_tensors(made.tensors())
    args = labels, figures, np.arange(90)
    torch.testing.assert_close(read.draw(*args), made.draw(*args), atol=0, rtol=0)


def test_steady_noise_has_its_whole_variance_between_the_beats() -> None:
    x, labels = noise(60), torch.arange(60) % CLASSES
    share = model().steadiness([(x[:30], labels[:30]), (x[30:], labels[30:])], CLASSES, 0.0)
    assert share.shape == (CLASSES + 1, BANDS)
    torch.testing.assert_close(share[:, 2:], torch.ones(CLASSES + 1, BANDS - 2), atol=0.15, rtol=0)
    torch.testing.assert_close(share[-1], torch.ones(BANDS), atol=0.2, rtol=0)  # few slow waves fit into a record


def test_bursts_count_for_little_between_the_beats() -> None:
    x, labels = noise(60), torch.zeros(60, dtype=torch.long)
    labels[30:] = 1
    x[:30, :, ::100] *= 20
    share = model().steadiness([(x, labels)], CLASSES, 0.0)[:, -1]
    assert share[0] < 0.5 < 0.9 < share[1]
    assert share[0] < share[-1] < share[1]
    # With shrinkage, a class is drawn to what all have; one without records has that.
    drawn = model().steadiness([(x, labels)], CLASSES, 60.0)[:, -1]
    assert share[0] < drawn[0] < drawn[2]
    assert float(drawn[2]) == pytest.approx(float(drawn[-1]))


def test_the_spectrum_between_beats_is_that_of_the_noise() -> None:
    x, labels = noise(200), torch.zeros(200, dtype=torch.long)
    medians = x.abs().median(dim=-1).values.mean() / NORMAL_MEDIAN
    x[..., ::50] *= 12
    made = model()
    every = estimate_class_spectra([(x, labels)], CLASSES, 0.0)
    scale = x.square().mean()
    between = made.between_beats(every, made.steadiness([(x, labels)], CLASSES, 0.0))
    assert float(scale) > 3
    found = float((between.variance[0, :, 200:] * scale).mean())
    assert found == pytest.approx(float(medians) ** 2, rel=0.5)
