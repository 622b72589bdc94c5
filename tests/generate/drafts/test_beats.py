"""The model of beats: its likelihood against brute force, censoring, draws, and training that resumes bit for bit."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from generate.drafts.conftest import QUICK, Records, fitted

from ecgpipe.dataset import SignalSpec
from ecgpipe.generate.drafts import beats
from ecgpipe.generate.drafts.beats import (
    ANCHORS,
    COMPONENTS,
    INTERVALS,
    OFFSET,
    BeatsModel,
    BeatsNet,
    BeatsSettings,
    Mixture,
    augmented,
    encode,
    log_likelihood,
)
from ecgpipe.generate.drafts.draft import DraftModel, DraftSettings
from ecgpipe.generate.drafts.plans import ECTOPIC, NEVER, Plans, no_plans
from ecgpipe.generate.drafts.rhythms import Sizes, fit_atria, fit_rhythms, fit_sizes, rhythm
from ecgpipe.generate.protocol import Signals


def net(seed: int = 0) -> BeatsNet:
    """A network whose every output matters."""
    torch.manual_seed(seed)
    out = BeatsNet(3, 16).double()
    with torch.no_grad():
        for part in (out.first, out.second, out.body):
            part[-1].bias[-1] = -1.0
    return out


def plans_of(times: list[list[float]], kinds: list[list[int]] | None = None) -> Plans:
    plans = no_plans(len(times), 10.0)
    for row, own in enumerate(times):
        plans.times[row, : len(own)] = torch.tensor(own)
        if kinds is not None:
            plans.kinds[row, : len(own)] = torch.tensor(kinds[row]).float()
    plans.known[:] = 1
    return Plans(*(t.double() for t in plans._tensors()))


def by_hand(module: BeatsNet, times: list[float], kinds: list[int], label: int, seconds: float) -> float:
    """The likelihood written out beat by beat, with the normal distribution of the standard library."""
    from statistics import NormalDist

    total = 0.0
    for place in range(len(times) + 1):
        padded = plans_of([times[:place]], [kinds[:place]])
        logs, shown, facts = encode(padded, encode(plans_of([times], [kinds]))[2][:, 2:])
        n = max(2, place)
        mixture = Mixture(*module(logs[:, :n], shown[:, :n], torch.tensor([label]), facts)).at(place)
        ectopic = 1 / (1 + math.exp(-float(mixture.ectopic.detach())))
        before = times[place - 1] if place else -OFFSET
        shares = (1 - ectopic, ectopic)
        parts = [
            [
                (math.exp(w), NormalDist(m, math.exp(s)))
                for w, m, s in zip(*(t[0, kind].tolist() for t in mixture[1:]), strict=True)
            ]
            for kind in range(2)
        ]
        if place == 0:  # within the record
            start = math.log(OFFSET)
            total -= math.log(sum(p * w * (1 - d.cdf(start)) for p, o in zip(shares, parts, strict=True) for w, d in o))
        if place < len(times):
            value = math.log(times[place] - before)
            total += math.log(shares[kinds[place]] * sum(w * d.pdf(value) for w, d in parts[kinds[place]]))
        else:
            value = math.log(seconds - before)
            total += math.log(
                sum(p * w * (1 - d.cdf(value)) for p, own in zip(shares, parts, strict=True) for w, d in own)
            )
    return total


@pytest.mark.parametrize(
    ("times", "kinds"),
    [
        ([], []),
        ([0.4], [0]),
        ([0.4, 1.2], [0, 0]),
        ([0.3, 1.1, 1.5, 2.7], [0, 0, 1, 0]),
        ([0.3, 1.1, 1.9, 2.7, 3.5, 4.3, 5.1, 5.9, 6.4], [0, 0, 0, 0, 0, 0, 0, 0, 1]),
    ],
)
def test_the_likelihood_is_that_of_brute_force(times: list[float], kinds: list[int]) -> None:
    module = net()
    seconds = (times[-1] if times else 0.0) + 0.6
    # A longer neighbour in the batch: padding must not count.
    plans = plans_of([times, [0.1 + 0.5 * i for i in range(15)]], [kinds, [0] * 15])
    with torch.no_grad():
        got = log_likelihood(module, plans, torch.tensor([1, 2]), torch.tensor([seconds, 7.5], dtype=torch.float64))
    assert float(got[0]) == pytest.approx(by_hand(module, times, kinds, 1, seconds), abs=2e-5)


@pytest.mark.parametrize("ectopic", [0.0, 1.0])
def test_the_probabilities_of_all_short_records_add_up(ectopic: float) -> None:
    """Integrate over no beat, one beat and two beats in a record that can hardly hold more."""
    module, seconds = net(1), 0.5
    with torch.no_grad():
        # Intervals near 0.4 s, so that a third beat within half a second has no probability.
        part = module.second[-1]
        part.weight.zero_()
        part.bias[:-1].view(2, 3, COMPONENTS)[:, 1] = 0.0
        part.bias[:-1].view(2, 3, COMPONENTS)[:, 2] = -2.1
        module.body[-1].weight.zero_()
        module.body[-1].bias[:-1].view(2, 3, COMPONENTS)[:, 1] = 10.0

    def total(times: np.ndarray, kinds: list[int]) -> np.ndarray:
        plans = plans_of([list(row) for row in times], [kinds] * len(times))
        until = torch.full((len(times),), seconds, dtype=torch.float64)
        with torch.no_grad():
            label = torch.zeros(len(times), dtype=torch.long)
            known = torch.tensor([ectopic, math.log(0.4), -3.0], dtype=torch.float64).expand(len(times), 3)
            return log_likelihood(module, plans, label, until, known).exp().numpy()

    grid = (np.arange(400) + 0.5) * seconds / 400
    step = seconds / 400
    none = float(total(np.zeros((1, 0)), [])[0])
    one = sum((total(grid[:, None], [kind]) / (grid + OFFSET)).sum() * step for kind in range(2))
    wide = (np.arange(100) + 0.5) * 4 * step
    pairs = np.array([(a, b) for a in wide for b in grid if b - a > 0.005])
    density = sum(total(pairs, [j, k]) for j in range(2) for k in range(2))
    two = (density / (pairs[:, 0] + OFFSET) / (pairs[:, 1] - pairs[:, 0])).sum() * 4 * step * step
    assert min(none, one, two) > 0.005
    assert none + one + two == pytest.approx(1.0, abs=0.01)


def test_an_unseen_next_beat_is_evidence_of_a_slow_heart() -> None:
    module = net()
    plans, label = plans_of([[0.4, 1.2, 2.0]]), torch.tensor([0])
    with torch.no_grad():
        seen = [
            float(log_likelihood(module, plans, label, torch.tensor([s], dtype=torch.float64)))
            for s in (2.01, 2.6, 4.0)
        ]
        mixture = Mixture(*module(*(t[:, :3] for t in encode(plans)[:2]), label, encode(plans)[2])).at(3)
        survival = [float(mixture.log_survival(torch.tensor([math.log(s - 2.0)]))) for s in (2.01, 2.6, 4.0)]
    assert seen[0] > seen[1] > seen[2]
    np.testing.assert_allclose(np.diff(seen), np.diff(survival), atol=1e-6)
    assert survival[0] == pytest.approx(0.0, abs=1e-3)


def test_a_later_start_forgets_the_beats_before_it() -> None:
    plans = plans_of([[0.4, 1.2, 2.0, 2.8]] * 200, [[0, 1, 0, 0]] * 200)
    settings = BeatsSettings(later_start=2.5, rate_jitter=0.0)
    moved, seconds = augmented(plans, 10.0, settings, torch.Generator().manual_seed(0))
    start = 10.0 - seconds
    assert 0.3 < float((start > 0).double().mean()) < 0.7
    for row in range(200):
        kept = [t for t in (0.4, 1.2, 2.0, 2.8) if t >= float(start[row])]
        np.testing.assert_allclose(moved.beats(row), np.array(kept) - float(start[row]), atol=1e-5)
        assert moved.kinds[row].sum() == (1.2 in kept)
    assert (moved.times[~moved.happens] == NEVER).all()


def test_locked_atria_offer_whole_numbers_of_cycles() -> None:
    module, plans = net(), plans_of([[0.1, 0.6, 1.1]])
    with torch.no_grad():
        free = Mixture(*module(*(t[:, :3] for t in encode(plans)[:2]), torch.tensor([0]), encode(plans)[2])).at(3)
        plans.atrial_rate[:], plans.atrial_locked[:] = 5.0, 1.0
        locked = Mixture(*module(*(t[:, :3] for t in encode(plans)[:2]), torch.tensor([0]), encode(plans)[2])).at(3)
    last = [ANCHORS.index(a) for a in (6, 7, 8)]
    assert (free.weights[..., last].exp() < 1e-12).all()
    np.testing.assert_allclose(locked.means[0, 0, last], np.log([0.4, 0.6, 0.8]), atol=0.06)


def test_beats_drawn_of_a_trained_model_are_those_of_their_class(records: Records, tmp_path: Path) -> None:
    dataset, times, _ = records
    plans = plans_of([list(t) for t in times])
    plans = Plans(*(t.float() for t in plans._tensors()))
    y = dataset.labels
    model = BeatsModel(BeatsSettings(steps=120, batch=32, validate_every=120), dataset.spec)
    model.fit(plans, y, plans, y, seed=1, state_dir=tmp_path, device="cpu", progress=False)
    labels = np.arange(140) % 7
    drawn = model.draw(labels, np.arange(140))

    def middle(of: Plans, where: np.ndarray) -> float:
        return float(np.median([np.median(np.diff(of.beats(row))) for row in np.flatnonzero(where)]))

    for c in (0, 1, 3, 6):  # the rhythms whose rate has one centre
        assert middle(drawn, labels == c) == pytest.approx(middle(plans, y == c), rel=0.2)
    variation = [np.std(np.diff(drawn.beats(r))) / np.mean(np.diff(drawn.beats(r))) for r in range(140)]
    irregular, regular = (np.median([v for v, c in zip(variation, labels, strict=True) if c == k]) for k in (2, 3))
    assert irregular > 3 * regular
    intervals = np.concatenate([np.diff(drawn.beats(r)) for r in range(140)])
    assert intervals.min() >= INTERVALS[0] - 1e-4


def test_the_candidate_nearest_to_the_drawn_figures_is_taken(
    records: Records, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    dataset, times, _ = records
    plans = Plans(*(t.float() for t in plans_of([list(t) for t in times])._tensors()))
    model = BeatsModel(BeatsSettings(steps=60, batch=32, validate_every=60), dataset.spec)
    model.fit(plans, dataset.labels, plans, dataset.labels, seed=1, state_dir=tmp_path, device="cpu", progress=False)
    labels, seeds = np.arange(140) % 7, np.arange(140)
    asked = []
    for label, seed in zip(labels, seeds, strict=True):
        rng = np.random.default_rng([beats._STREAM, int(seed)])
        locked = model.atria.draw(int(label), rng)[2]
        asked.append(model.rhythms.draw(int(label), int(locked), rng)[1:])

    def misfit(candidates: int) -> np.ndarray:
        monkeypatch.setattr(beats, "CANDIDATES", candidates)
        return np.abs(rhythm(model.draw(labels, seeds)).numpy() - np.array(asked)).mean(axis=0)

    one, some = misfit(1), misfit(8)
    assert some[1] < 0.5 * one[1]
    assert some[0] < one[0]


@pytest.mark.parametrize("beats_so_far", [2, 3, 5, 9])
def test_the_latest_beat_alone_is_what_it_is_among_all(beats_so_far: int) -> None:
    module, rng = net(), np.random.default_rng(beats_so_far)
    plans = plans_of([list(0.3 + np.cumsum(rng.uniform(0.5, 1.0, beats_so_far))) for _ in range(3)])
    n = beats_so_far
    plans.atrial_rate[1], plans.atrial_locked[1] = 5.0, 1.0
    plans.kinds[:, 1] = torch.tensor([0.0, 1.0, 1.0])
    known = torch.tensor([[0.0, -0.3, -3.0], [1.0, -0.4, -2.0], [1.0, -0.2, -1.0]]).double()
    logs, kinds, facts = encode(plans, known)
    args = logs[:, :n], kinds[:, :n], torch.arange(3), facts
    every, latest = (
        Mixture(*module(*args)).at(beats_so_far),
        Mixture(*module(*args, latest=True)).at(min(beats_so_far, 2)),
    )
    for one, other in zip(every, latest, strict=True):
        torch.testing.assert_close(one, other)


def test_sizes_are_fitted_and_drawn_alike() -> None:
    true = Sizes(math.log(0.05), 0.3, 0.7, 0.25, 4.0)
    rng = np.random.default_rng(0)
    plans = no_plans(400, 10.0)
    for row in range(400):
        times = np.cumsum(rng.uniform(0.6, 0.9, 11))
        plans.times[row, :11] = torch.from_numpy(times).float()
        plans.gains[row, :11] = torch.from_numpy(true.draw(times, rng)).float()
    found = fit_sizes(plans)
    assert found.breath == pytest.approx(0.7, abs=0.2)
    assert found.frequency == pytest.approx(0.25, abs=0.04)
    assert found.log_deviation == pytest.approx(true.log_deviation, abs=0.25)


def test_atrial_rates_are_counted_by_class() -> None:
    plans = no_plans(6, 10.0)
    plans.atrial_rate[:4] = torch.tensor([5.0, 5.0, 6.0, 6.0])
    plans.atrial_locked[2:4] = 1.0
    atria = fit_atria(plans, np.array([0, 0, 0, 0, 1, 1]), 3)
    np.testing.assert_allclose(atria.shares, [[0.5, 0.5], [0, 0], [0, 0]])
    np.testing.assert_allclose(atria.means[0].exp(), [5, 6], rtol=1e-5)
    rng = np.random.default_rng(0)
    assert atria.draw(1, rng) == (0.0, 0.0, 0.0)
    assert {atria.draw(0, rng)[2] for _ in range(20)} == {0.0, 1.0}


def test_as_many_records_have_ectopic_beats_as_in_training() -> None:
    kinds = [[0, 0, 1, 0], [0, 0, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    plans = plans_of([[0.4, 1.2, 1.6, 2.8]] * 4, kinds)
    rhythms = fit_rhythms(plans, np.array([0, 0, 0, 1]), 3)
    np.testing.assert_allclose(rhythms.ectopic, [2 / 3, 0, 0], rtol=1e-6)
    model = BeatsModel(BeatsSettings(width=16), SignalSpec(100.0, 1000, ("a", "b", "c")))
    with torch.no_grad():
        for part in (model.module.first, model.module.second, model.module.body):
            part[-1].bias[-1] = 9.0  # a beat is ectopic, unless its record has none
    model.rhythms = rhythms
    labels = np.arange(300) % 2
    some = (model.draw(labels, np.arange(300)).kinds == ECTOPIC).any(dim=1).numpy()
    assert some[labels == 0].mean() == pytest.approx(2 / 3, abs=0.1)
    assert not some[labels == 1].any()


def test_a_rhythm_is_that_of_the_intervals_between_normal_beats() -> None:
    even = [0.4 + 0.8 * i for i in range(10)]
    early = [*even[:5], even[4] + 0.4, *(t + 0.4 for t in even[5:])]
    kinds = [[0] * 10, [0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0], [0, 0], []]
    found = rhythm(plans_of([even, early, [0.3, 1.3], []], kinds))
    np.testing.assert_allclose(found[:, 0].exp(), [0.8, 0.8, 1.0, 0.8], rtol=1e-6)
    np.testing.assert_allclose(found[:, 1].exp(), 0.005, rtol=1e-4)
    intervals = np.array([0.5, 0.9, 0.7, 1.1, 0.6])
    uneven = rhythm(plans_of([list(0.2 + np.cumsum([0, *intervals]))]))[0]
    # The lower middle one of an even number; the deviation of an independent computation.
    assert float(uneven[0].exp()) == pytest.approx(0.7)
    assert float(uneven[1].exp()) - 0.005 == pytest.approx(np.log(intervals).std(ddof=1), rel=1e-4)


def test_drawn_rhythms_keep_the_limits_of_their_class() -> None:
    """A class that is defined by a rate has a sharp end, which a Gaussian would blur."""
    rng = np.random.default_rng(0)
    rates = 100 + rng.exponential(8, 60)
    jitter = np.where(rates > 108, 0.02, 0.002)  # fast hearts are less regular here
    times = [list(np.cumsum(60 / r * np.exp(j * rng.standard_normal(14)))) for r, j in zip(rates, jitter, strict=True)]
    plans = plans_of(times)
    found = rhythm(plans).numpy()
    rhythms = fit_rhythms(plans, np.zeros(60, dtype=int), 2)
    drawn = np.array([rhythms.draw(0, 0, rng) for _ in range(2000)])
    assert drawn[:, 1].min() >= found[:, 0].min() - 1e-6
    assert drawn[:, 1].max() <= found[:, 0].max() + 1e-6
    np.testing.assert_allclose(
        np.quantile(drawn[:, 1], [0.25, 0.5, 0.75]), np.quantile(found[:, 0], [0.25, 0.5, 0.75]), atol=0.01
    )
    assert np.corrcoef(found.T)[0, 1] < -0.4
    assert np.corrcoef(drawn[:, 1:].T)[0, 1] == pytest.approx(np.corrcoef(found.T)[0, 1], abs=0.2)
    assert rhythms.draw(1, 0, rng)[1] == pytest.approx(math.log(0.8))  # a class without records


def test_one_irregular_record_of_a_class_stays_one() -> None:
    rng = np.random.default_rng(0)
    jitter = [0.3] + [0.01] * 99
    plans = plans_of([list(np.cumsum(0.8 * np.exp(j * rng.standard_normal(11)))) for j in jitter])
    rhythms = fit_rhythms(plans, np.zeros(100, dtype=int), 1)
    drawn = np.array([rhythms.draw(0, 0, rng)[2] for _ in range(2000)])
    assert (drawn > math.log(0.03)).mean() < 0.025


def test_locked_records_have_rhythms_of_their_own() -> None:
    plans = plans_of([[0.4 * i + 0.1 for i in range(20)]] * 5 + [[0.1, 0.5, 1.1, 1.5, 2.1, 2.5, 3.1]] * 5)
    plans.atrial_locked[5:] = 1
    rhythms = fit_rhythms(plans, np.zeros(10, dtype=int), 1)
    rng = np.random.default_rng(0)
    assert rhythms.draw(0, 0, rng)[2] == pytest.approx(math.log(0.005), abs=0.1)
    assert rhythms.draw(0, 1, rng)[2] > math.log(0.1)


def test_ectopic_beats_keep_the_mean_size(trained: DraftModel) -> None:
    plans = trained.split(trained.draw(np.arange(70) % 7, np.arange(70))).plans
    assert (plans.gains[plans.kinds == ECTOPIC] == 1).all()


class Killed(Exception):
    """Stands for a job that is ended from outside."""


@pytest.mark.parametrize("stage", ["beats", "mean_beat"])
def test_a_killed_training_goes_on_to_the_same_bits(
    records: Records, trained: DraftModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    from ecgpipe.generate import training

    take, taken = training._Trainer.step, []

    def step(run: training._Trainer) -> None:
        if run.stage == stage and run.state.progress.step == 7:
            taken.append(stage)
            raise Killed
        take(run)

    monkeypatch.setattr(training._Trainer, "step", step)
    with pytest.raises(Killed):
        fitted(records, tmp_path)
    monkeypatch.undo()
    assert taken == [stage]
    for name, value in fitted(records, tmp_path).tensors().items():
        assert torch.equal(value, trained.tensors()[name]), name


def test_another_seed_gives_another_model(records: Records, trained: DraftModel, tmp_path: Path) -> None:
    other = fitted(records, tmp_path, seed=4).tensors()
    assert not torch.equal(other["beats.net.body.0.weight"], trained.tensors()["beats.net.body.0.weight"])


def test_a_model_comes_back_from_its_tensors(records: Records, trained: DraftModel, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    save_file({k: v.contiguous() for k, v in trained.tensors().items()}, tmp_path / "model.safetensors")
    again = DraftModel(DraftSettings.model_validate(QUICK), records[0].spec)
    again.load_tensors(load_file(tmp_path / "model.safetensors"))
    labels, seeds = np.arange(7), np.arange(7)
    assert torch.equal(again.draw(labels, seeds), trained.draw(labels, seeds))


def test_too_few_records_with_beats_are_refused(records: Records, tmp_path: Path) -> None:
    from ecgpipe.dataset import Dataset

    dataset = Dataset(np.zeros_like(records[0].signals), records[0].records, records[0].spec)
    model = DraftModel(DraftSettings.model_validate(QUICK), dataset.spec)
    train, validation = (Signals.of(dataset, split) for split in ("train", "validation"))
    with pytest.raises(ValueError, match="draft: none"):
        model.fit(train, validation, seed=1, state_dir=tmp_path, device="cpu", progress=False)
