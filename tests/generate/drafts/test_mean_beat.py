"""Mean beats: recovered exactly from sums of known beats, rendered alike in numpy and torch, drawn by seed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from generate.drafts.conftest import Records

from ecgpipe.generate.drafts.analysis import (
    GRID,
    HARMONICS,
    NODES,
    analyse,
    design,
    harmonics,
    reach,
    solve,
    steady,
    window,
)
from ecgpipe.generate.drafts.draft import DraftModel
from ecgpipe.generate.drafts.forms import COMPONENTS, GaussianForms
from ecgpipe.generate.drafts.plans import ECTOPIC, no_plans
from ecgpipe.generate.drafts.rendering import PHASES, atrial_waves, drafts, phase_channels, pulse_channels, windows
from ecgpipe.leads import limb_lead_residual, twelve_from_independent

TIMES = np.array([0.413, 1.207, 2.031, 2.778, 3.602, 4.449, 5.211, 6.043, 6.816, 7.634, 8.421, 9.237])


def known_beat() -> np.ndarray:
    """P, QRS and T as Gaussians, in eight leads: ``(8, NODES)``, mV."""
    waves = [(-0.15, 0.025, 0.1), (-0.02, 0.01, -0.15), (0.0, 0.012, 1.2), (0.025, 0.012, -0.3), (0.24, 0.045, 0.3)]
    shape = np.array([a * np.exp(-0.5 * ((GRID - c) / w) ** 2) for c, w, a in waves])
    return np.random.default_rng(0).normal(1.0, 0.4, (8, len(waves))) @ shape


def plans_of(times: np.ndarray, sizes: np.ndarray | None = None):  # type: ignore[no-untyped-def]
    plans = no_plans(1, 10.0)
    plans.times[0, : len(times)] = torch.from_numpy(times).float()
    if sizes is not None:
        plans.gains[0, : len(times)] = torch.from_numpy(sizes).float()
    plans.known[:] = 1
    return plans


def test_least_squares_recovers_the_beat_of_a_sum_of_beats() -> None:
    weight = window(*reach(TIMES))
    matrix = design(TIMES, np.ones(len(TIMES)), 1000, 100.0)
    record = known_beat() * weight @ matrix.T
    found = solve(record, matrix, weight, np.ones(1000))
    middle = slice(20, NODES - 30)
    assert np.abs(found - known_beat() * weight)[:, middle].max() < 0.06
    assert np.abs(record - found @ matrix.T).max() < 0.05


def test_overlapping_beats_are_told_apart() -> None:
    times = np.array([0.5, 0.9, 1.25, 2.1, 2.45, 3.4, 3.8, 4.6, 5.05, 6.0, 6.3, 7.2, 7.6, 8.5, 8.9])
    ones, weight = np.ones(len(times)), window(0.26, 0.5)
    matrix = design(times, ones, 1000, 100.0)
    record = known_beat() * weight @ matrix.T
    assert np.abs(record - solve(record, matrix, weight, np.ones(1000)) @ matrix.T).max() < 0.06


@pytest.mark.parametrize(("beats_a_minute", "pr"), [(60, 0.30), (75, 0.25), (110, 0.19), (130, 0.14)])
def test_the_mean_beat_reaches_back_to_the_p_wave(beats_a_minute: int, pr: float) -> None:
    waves = [(-pr, 0.02, 0.1), (0.0, 0.012, 1.2), (0.16, 0.03, 0.3)]
    seconds = np.arange(1000) / 100
    times = np.arange(0.6, 9.8, 60 / beats_a_minute)
    record = sum(a * np.exp(-0.5 * ((seconds[:, None] - times - c) / w) ** 2).sum(axis=1) for c, w, a in waves)
    found = analyse(np.outer(np.ones(8), record)[None], 100.0)
    draft = drafts(found.plans, torch.from_numpy(np.stack([found.mean_beats, 0 * found.mean_beats], 1)), 1000, 100.0)
    at = np.rint((times[2:-2, None] - pr + np.array([0.0, -0.05])) * 100).astype(int)
    heights = draft[0, 0].numpy()[at]
    # A wave of 0.1 mV rises by .0956 over what lies 50 ms before its peak.
    assert np.median(heights[:, 0] - heights[:, 1]) > 0.07


def test_an_offset_between_the_beats_is_no_part_of_them() -> None:
    weight = window(*reach(TIMES))
    matrix = design(TIMES, np.ones(len(TIMES)), 1000, 100.0)
    record = known_beat() * weight @ matrix.T
    alone, raised = (solve(record + offset, matrix, weight, np.ones(1000)) for offset in (0.0, -0.2))
    np.testing.assert_allclose(raised, alone, atol=1e-6)


def test_sizes_of_beats_are_found() -> None:
    sizes = 1 + 0.1 * np.sin(np.arange(len(TIMES)))
    record = known_beat() * window(*reach(TIMES)) @ design(TIMES, sizes, 1000, 100.0).T
    found = analyse(record[None], 100.0).plans
    assert found.happens.sum() == len(TIMES)
    got = found.gains[0, found.happens[0]].numpy()
    np.testing.assert_allclose(got[1:-1], (sizes / sizes.mean())[1:-1], atol=0.03)


def test_rendering_is_the_design_matrix() -> None:
    sizes = np.linspace(0.8, 1.2, len(TIMES))
    plans, beat = plans_of(TIMES, sizes), torch.from_numpy(known_beat()).float()[None]
    weight = window(*reach(TIMES))
    np.testing.assert_allclose(windows(plans)[0], weight, atol=1e-4)
    expected = known_beat() * weight @ design(TIMES, sizes, 1000, 100.0).T
    both = torch.stack([beat, torch.zeros_like(beat)], dim=1)
    np.testing.assert_allclose(drafts(plans, both, 1000, 100.0)[0], expected, atol=2e-4)
    plans.kinds[0, 1::2] = ECTOPIC
    parts = [drafts(plans, torch.stack(two, dim=1), 1000, 100.0)[0] for two in ((beat, 0 * beat), (0 * beat, beat))]
    assert all(part.abs().max() > 0.1 for part in parts)
    np.testing.assert_allclose(parts[0] + parts[1], expected, atol=2e-4)


def test_no_plan_gives_no_draft_and_no_channels() -> None:
    plans = no_plans(2, 10.0)
    beats = torch.ones(2, 2, 8, NODES)
    assert not drafts(plans, beats, 1000, 100.0).any()
    assert not pulse_channels(plans, 1000, 100.0).any()
    assert not phase_channels(plans, torch.arange(1000) / 100).any()


def test_channels_tell_time_since_and_until_a_beat() -> None:
    plans = plans_of(TIMES)
    moments = torch.arange(1000) / 100
    shown = phase_channels(plans, moments)
    assert shown.shape == (1, PHASES, 1000)
    t = 330
    since, until = 3.3 - TIMES[3], TIMES[4] - 3.3
    two_pi = 2 * np.pi
    np.testing.assert_allclose(
        shown[0, 0:2, t], [np.sin(two_pi * 0.6 * since), np.cos(two_pi * 0.6 * since)], atol=1e-4
    )
    np.testing.assert_allclose(
        shown[0, 8:10, t], [np.sin(two_pi * 0.6 * until), np.cos(two_pi * 0.6 * until)], atol=1e-4
    )
    np.testing.assert_allclose(shown[0, 20, t], np.log(since + until) / 0.4, atol=1e-4)
    pulses = pulse_channels(plans, 1000, 100.0)
    assert pulses[0, 0].sum() > 0
    assert not pulses[0, 1].any()
    assert int(pulses[0, 0, 80:160].argmax()) + 80 == round(TIMES[1] * 100)


def test_locked_atrial_waves_begin_anew_at_every_beat() -> None:
    plans = plans_of(np.array([0.5, 0.9, 1.5, 1.9, 2.7, 3.3]))
    plans.atrial_rate[:], plans.atrial_locked[:] = 5.0, 1.0
    shown = phase_channels(plans, torch.tensor([0.9, 1.0, 1.5, 1.6, 2.7]))
    np.testing.assert_allclose(shown[0, -3:-1, 0], [0, 1], atol=1e-4)
    np.testing.assert_allclose(shown[0, -3:-1, 2], [0, 1], atol=1e-4)
    np.testing.assert_allclose(shown[0, -3:-1, 1], shown[0, -3:-1, 3] * torch.tensor([1.0, 1.0]), atol=1e-4)


def test_components_bring_back_the_mean_beats(records: Records, trained: DraftModel) -> None:
    beats = torch.from_numpy(trained.found.mean_beats)
    back = trained.mean_beats.decode(trained.mean_beats.encode(beats))
    assert float((back - beats).square().mean() / beats.square().mean()) < 0.02


def test_limb_leads_of_drafts_are_exact(trained: DraftModel) -> None:
    labels = np.arange(14) % 7
    draft = trained.render(trained.draw(labels, np.arange(14)), 8).draft.numpy()
    assert np.abs(draft).max() > 0.2
    assert limb_lead_residual(twelve_from_independent(draft)).max() < 1e-6


def test_draws_depend_on_class_and_seed_alone(trained: DraftModel) -> None:
    labels, seeds = np.arange(14) % 7, np.arange(14) + 5
    together = trained.draw(labels, seeds)
    torch.testing.assert_close(together, trained.draw(labels, seeds), rtol=0, atol=0)
    some = np.array([9, 2, 13])
    torch.testing.assert_close(together[some], trained.draw(labels[some], seeds[some]), rtol=1e-4, atol=1e-4)
    other_seed, other_class = trained.draw(labels, seeds + 100), trained.draw((labels + 1) % 7, seeds)
    assert (other_seed != together).any(dim=1).all()
    assert (other_class != together).any(dim=1).all()


def test_guidance_is_confined_to_its_levels(trained: DraftModel) -> None:
    model, labels, seeds = trained.mean_beats, np.arange(7), np.arange(7)
    settings, rhythm = model.settings, torch.zeros(7, 3)

    def drawn(guidance: float, levels: tuple[float, float] | None) -> torch.Tensor:
        model.settings = settings.model_copy(update={"guidance": guidance, "guidance_levels": levels})
        try:
            return model.draw(labels, rhythm, seeds)
        finally:
            model.settings = settings

    everywhere, nowhere = drawn(2.0, None), drawn(1.0, None)
    assert torch.equal(drawn(2.0, (0.0, 1e6)), everywhere)
    assert torch.equal(drawn(2.0, (1e5, 1e6)), nowhere)
    between = drawn(2.0, (0.1, 3.0))
    assert not torch.equal(between, everywhere)
    assert not torch.equal(between, nowhere)
    with pytest.raises(ValueError, match="`guidance_levels` must ascend"):
        type(settings).model_validate({"guidance_levels": [3.0, 0.1]})


@pytest.mark.parametrize("patch", [1, 8])
def test_states_render_what_was_found(records: Records, trained: DraftModel, patch: int) -> None:
    from ecgpipe.generate.protocol import Signals

    train = Signals.of(records[0], "train")
    states = trained.states(train, trained.found)
    x, _ = train.batch(np.arange(len(train)))
    eight = x[:, [0, 1, 6, 7, 8, 9, 10, 11]]
    rendered = trained.render(states, patch)
    assert rendered.phases.shape == (len(train), DraftModel.PHASES, 1000 // patch)
    left = float((eight - rendered.draft).square().mean() / eight.square().mean())
    assert left < 0.4


def test_the_form_of_ectopic_beats_is_found_and_put_back() -> None:
    normal, broad = known_beat(), np.roll(-1.5 * known_beat(), 3, axis=1)
    early = np.array([2.4, 7.2])
    usual = TIMES[(np.abs(TIMES[:, None] - early).min(axis=1)) > 0.35]
    weight = window(*reach(np.sort(np.concatenate([usual, early]))))
    parts = [(normal, usual), (broad, early)]
    record = sum(form * weight @ design(at, np.ones(len(at)), 1000, 100.0).T for form, at in parts)
    found = analyse(record[None], 100.0)
    kinds = found.plans.kinds[0, found.plans.happens[0]].numpy()
    np.testing.assert_allclose(found.plans.beats(0)[kinds == ECTOPIC], early, atol=0.03)
    beats = torch.from_numpy(np.stack([found.mean_beats, found.ectopic_beats], axis=1))
    whole = steady(record[None], 100.0)[0]
    left = whole - drafts(found.plans, beats, 1000, 100.0)[0].numpy()
    assert np.square(left).mean() < 0.03 * np.square(whole).mean()
    assert not analyse(record[None, :, :200], 100.0).ectopic_beats.any()  # before the first of them


def flutter(ratios: list[int], cycle: float = 0.21, first: float = 0.2) -> tuple[np.ndarray, np.ndarray]:
    """Return beats of flutter that conducts with these ratios, and its waves in eight leads ``(8, 1000)``, mV."""
    times = first + cycle * np.concatenate([[0], np.cumsum(ratios)])
    turns = (np.arange(1000) / 100 - first) / cycle + 0.3
    shape = 0.15 * np.cos(2 * np.pi * turns) + 0.05 * np.sin(4 * np.pi * turns)
    return times[times < 9.9], np.linspace(-0.5, 1.5, 8)[:, None] * shape


def test_flutter_waves_are_told_from_the_beats() -> None:
    times, waves = flutter([2, 4, 3, 4, 2, 4, 4, 3, 4, 2, 4, 3, 4, 4, 2, 4])
    record = known_beat() * window(*reach(times)) @ design(times, np.ones(len(times)), 1000, 100.0).T + waves
    found = analyse(record[None], 100.0)
    assert found.plans.atrial_locked[0] == 1
    coefficients = torch.from_numpy(found.waves)
    back = atrial_waves(found.plans, coefficients, 1000, 100.0)[0].numpy()
    assert np.square(back - waves).mean() < 0.1 * np.square(waves).mean()
    # In a phase of their own: lead II has a positive cosine, so that forms of several records can be compared.
    assert coefficients[0, 1, 0] > 0.02
    assert abs(coefficients[0, 1, HARMONICS]) < 1e-3
    beats = torch.from_numpy(np.stack([found.mean_beats, found.ectopic_beats], axis=1))
    left = steady(record[None], 100.0)[0] - drafts(found.plans, beats, 1000, 100.0)[0].numpy() - back
    assert np.square(left).mean() < 0.05 * np.square(record).mean()


def test_without_waves_there_are_none() -> None:
    record = known_beat() * window(*reach(TIMES)) @ design(TIMES, np.ones(len(TIMES)), 1000, 100.0).T
    found = analyse(record[None], 100.0)
    assert not found.waves.any()
    coefficients = torch.ones(1, 8, 2 * HARMONICS)
    assert not atrial_waves(found.plans, coefficients, 1000, 100.0).any()
    free = plans_of(TIMES)
    free.atrial_rate[:] = 5.0
    assert atrial_waves(free, coefficients, 1000, 100.0).abs().max() > 0.5
    free.known[:] = 0
    assert not atrial_waves(free, coefficients, 1000, 100.0).any()


def test_waves_that_are_nowhere_alone_stay_in_the_mean_beat() -> None:
    times, waves = flutter([2, 2, 2, 3, 2, 2, 3, 2, 2, 2, 3, 2, 2, 2, 2, 3, 2, 2, 2, 3, 2, 2, 2], cycle=0.19)
    record = known_beat() * window(*reach(times)) @ design(times, np.ones(len(times)), 1000, 100.0).T + waves
    found = analyse(record[None], 100.0)
    assert found.plans.atrial_locked[0] == 1
    assert not found.waves.any()
    assert not atrial_waves(found.plans, torch.ones(1, 8, 2 * HARMONICS), 1000, 100.0).any()


def test_harmonics_are_those_that_are_rendered() -> None:
    free = plans_of(TIMES)
    free.atrial_rate[:], free.atrial_phase[:] = 4.6, 0.2
    coefficients = np.random.default_rng(0).normal(size=(8, 2 * HARMONICS))
    expected = coefficients @ harmonics(0.2 + 4.6 * np.arange(1000) / 100)
    got = atrial_waves(free, torch.from_numpy(coefficients).float()[None], 1000, 100.0)[0]
    np.testing.assert_allclose(got, expected, atol=1e-3)


def test_ectopic_beats_are_drawn_as_they_vary() -> None:
    rng = np.random.default_rng(0)
    forms = torch.from_numpy(rng.standard_normal((2, 8, NODES))).float()
    weights = torch.from_numpy(rng.standard_normal((40, 2)) * [1.0, 0.3]).float()
    beats = 0.2 + torch.einsum("nk,kij->nij", weights, forms)
    model = GaussianForms(8 * NODES, 5)
    model.fit(beats)
    torch.testing.assert_close(model.decode(model.encode(beats)).view_as(beats), beats, atol=1e-3, rtol=1e-3)
    drawn = model.decode(model.draw(np.arange(2000))).view(-1, 8, NODES)
    torch.testing.assert_close(drawn.mean(dim=0), beats.mean(dim=0), atol=0.15, rtol=0)
    assert float(drawn.var(dim=0).sum() / beats.var(dim=0).sum()) == pytest.approx(1, abs=0.1)
    assert torch.equal(model.draw(np.array([3, 5]))[1], model.draw(np.array([5]))[0])
    again = GaussianForms(8 * NODES, 5)
    again.load_tensors(model.tensors())
    assert torch.equal(again.decode(model.draw(np.arange(3))), model.decode(model.draw(np.arange(3))))


def test_too_few_ectopic_beats_are_left_out() -> None:
    model = GaussianForms(8 * NODES, 5)
    model.fit(torch.ones(7, 8, NODES))
    assert not model.decode(model.draw(np.arange(4))).any()
    assert model.encode(torch.ones(2, 8, NODES)).shape == (2, COMPONENTS)
