"""Offsets of drafts: learned as what they are made of, and drawn so that records keep their zero line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from generate.drafts.conftest import Records, fitted

from ecgpipe.dataset import Dataset
from ecgpipe.generate.drafts.draft import DraftModel
from ecgpipe.generate.drafts.offsets import OffsetModel
from ecgpipe.generate.protocol import Signals


def test_offsets_are_learned() -> None:
    rng = np.random.default_rng(0)
    components, means = (torch.from_numpy(rng.normal(0, s, (300, k))).float() for s, k in ((1.0, 5), (0.02, 8)))
    true = 0.03 * components[:, :1] - means + 0.2
    model, read = OffsetModel(5, 8), OffsetModel(5, 8)
    model.fit(components[:200], means[:200], true[:200])
    torch.testing.assert_close(model(components[200:], means[200:]), true[200:], atol=0.01, rtol=0)
    read.load_tensors(model.tensors())
    assert torch.equal(read(components, means), model(components, means))


@pytest.fixture(scope="module")
def without_direct_current(records: Records) -> Records:
    """Records of a device that passes no direct current: each lead has the mean zero."""
    data, times, ectopic = records
    signals = np.array(data.signals)
    return Dataset(signals - signals.mean(axis=2, keepdims=True), data.records, data.spec), times, ectopic


def test_drafts_have_the_mean_of_their_records(without_direct_current: Records, tmp_path: Path) -> None:
    trained = fitted(without_direct_current, tmp_path)
    states = trained.states(Signals.of(without_direct_current[0], "validation"), trained.held_out)
    state = trained.split(states)
    before = trained._without_offset(state.plans, state.forms, state.mean_beats).mean(dim=2)
    after = trained.drafts(states).mean(dim=2)
    assert float(before.abs().mean()) > 0.01
    assert float(after.abs().mean()) < 0.3 * float(before.abs().mean())
    drawn = trained.drafts(trained.draw(np.arange(70) % 7, np.arange(70))).mean(dim=2)
    assert float(drawn.abs().mean()) < 0.3 * float(before.abs().mean())


def test_a_record_without_a_plan_has_no_offset(trained: DraftModel) -> None:
    states = trained.draw(np.arange(7), np.arange(7))
    plans, forms, _, beats = trained.split(states)
    plans.known[:] = 0
    assert not trained._rendered(plans, forms, beats).any()
