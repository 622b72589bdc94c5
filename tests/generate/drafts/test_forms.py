from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from generate.drafts.conftest import QUICK, Records

from ecgpipe.generate.drafts.draft import DraftModel, DraftSettings
from ecgpipe.generate.drafts.forms import COMPONENTS, FEWEST, DetailForms, GaussianForms
from ecgpipe.generate.protocol import Signals

LEADING, SIZE, DETAILS = 6, 40, 10


@pytest.fixture(scope="module")
def known() -> tuple[torch.Tensor, torch.Tensor]:
    """Leading components, and details three times as large where these are nine times as large."""
    rng = np.random.default_rng(0)
    leading = rng.standard_normal((500, LEADING)) * np.exp(rng.normal(0, 0.8, (500, 1)))
    size = np.sqrt(np.square(leading).mean(axis=1, keepdims=True)) ** 0.5 * np.exp(rng.normal(0, 0.2, (500, 1)))
    directions = np.linalg.qr(rng.standard_normal((SIZE, DETAILS)))[0].T * np.linspace(0.05, 0.02, DETAILS)[:, None]
    details = (rng.standard_normal((500, DETAILS)) * size) @ directions
    return torch.from_numpy(leading).float(), torch.from_numpy(details).float()


@pytest.fixture(scope="module")
def fitted(known: tuple[torch.Tensor, torch.Tensor]) -> DetailForms:
    leading, details = known
    model = DetailForms(SIZE, 1, DETAILS)
    model.fit(details)
    model.fit_sizes(leading, model.encode(details))
    return model


def test_forms_come_back_from_their_components(known: tuple[torch.Tensor, torch.Tensor], fitted: DetailForms) -> None:
    torch.testing.assert_close(fitted.decode(fitted.encode(known[1])), known[1], atol=1e-5, rtol=0)


def test_details_are_as_large_as_those_of_records_with_such_a_beat(
    known: tuple[torch.Tensor, torch.Tensor], fitted: DetailForms
) -> None:
    assert float(fitted.sizes[1]) == pytest.approx(0.5, abs=0.06)
    assert float(fitted.sizes[2]) == pytest.approx(0.3, abs=0.08)  # .2, and the chance of a size of ten numbers
    leading, details = known
    drawn = fitted.decode(fitted.draw_sized(leading, np.arange(len(leading))))
    near = leading.square().mean(dim=1) < leading.square().mean(dim=1).median()
    for some in (near, ~near):
        own, new = (x[some].square().mean().sqrt() for x in (details, drawn))
        assert float(new / own) == pytest.approx(1.0, abs=0.12)


@pytest.mark.parametrize(("number", "components"), [(500, 30), (20, DETAILS), (12, 30)])
def test_details_of_few_records_or_of_low_rank_are_as_large_as_theirs(
    known: tuple[torch.Tensor, torch.Tensor], number: int, components: int
) -> None:
    leading, details = (x[:number] for x in known)
    model = DetailForms(SIZE, 1, components)
    model.fit(details)
    model.fit_sizes(leading, model.encode(details))
    drawn = model.decode(model.draw_sized(leading.repeat(40, 1), np.arange(40 * number)))
    assert float(drawn.square().mean().sqrt() / details.square().mean().sqrt()) == pytest.approx(1.0, abs=0.12)


def test_drawn_details_depend_on_beat_and_seed_alone(
    known: tuple[torch.Tensor, torch.Tensor], fitted: DetailForms
) -> None:
    leading, seeds = known[0][:20], np.arange(20) + 3
    some = np.array([11, 4])
    together = fitted.draw_sized(leading, seeds)
    torch.testing.assert_close(together[some], fitted.draw_sized(leading[some], seeds[some]), rtol=0, atol=0)


def test_saved_details_draw_the_same(known: tuple[torch.Tensor, torch.Tensor], fitted: DetailForms) -> None:
    again = DetailForms(SIZE, 1, DETAILS)
    again.load_tensors(fitted.tensors())
    seeds = np.arange(5)
    assert torch.equal(again.draw_sized(known[0][:5], seeds), fitted.draw_sized(known[0][:5], seeds))


@pytest.mark.parametrize("number", [0, 1, FEWEST - 1])
def test_too_few_forms_are_left_out(number: int) -> None:
    model = GaussianForms(SIZE, 1)
    model.fit(torch.ones(number, SIZE))
    assert model.components == COMPONENTS
    assert not model.decode(model.draw(np.arange(3))).any()


def test_details_bring_drafts_nearer_to_their_records(trained: DraftModel) -> None:
    beats = torch.from_numpy(trained.found.mean_beats)[trained.found.plans.known > 0]
    leading = trained.mean_beats.decode(trained.mean_beats.encode(beats))
    whole = trained.decode(trained.encode(beats))
    assert float((whole - beats).square().mean()) < 0.5 * float((leading - beats).square().mean())


def test_drafts_without_details(records: Records, tmp_path: Path) -> None:
    model = DraftModel(DraftSettings.model_validate({**QUICK, "details": 0}), records[0].spec)
    train, validation = (Signals.of(records[0], split) for split in ("train", "validation"))
    model.fit(train, validation, seed=3, state_dir=tmp_path, device="cpu", progress=False)
    states = model.draw(np.arange(7), np.arange(7))
    components = model.split(states).mean_beats
    assert components.shape == (7, len(model.mean_beats.basis))
    torch.testing.assert_close(model.decode(components), model.mean_beats.decode(components), atol=1e-6, rtol=0)
    assert float(model.drafts(states).abs().max()) > 0.2


def test_drawn_details_are_as_large_as_those_found(trained: DraftModel) -> None:
    number = len(trained.mean_beats.basis)
    states = trained.draw(np.arange(210) % 7, np.arange(210))
    drawn = trained.split(states).mean_beats[:, number:]
    found = trained.encode(torch.from_numpy(trained.found.mean_beats)[trained.found.plans.known > 0])[:, number:]
    own, new = (trained.details.decode(x).sub(trained.details.mean).square().mean().sqrt() for x in (found, drawn))
    assert float(new / own) == pytest.approx(1.0, abs=0.1)


def test_a_model_without_details_is_refused(trained: DraftModel) -> None:
    older = {name: x for name, x in trained.tensors().items() if not name.startswith("details.")}
    model = DraftModel(trained.settings, trained.spec)
    with pytest.raises(ValueError, match="its weights have no `details` of drafts"):
        model.load_tensors(older)
