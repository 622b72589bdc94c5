"""TimeVQVAE: the split into bands, the quantiser, the gate, masked decoding, and fit, sample, save, load."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import ValidationError
from tiny_vqvae import NETWORKS

from ecgpipe import checkpoints
from ecgpipe.dataset import Dataset
from ecgpipe.files import sha256
from ecgpipe.generate import training
from ecgpipe.generate.attention import KeyValueCache
from ecgpipe.generate.protocol import Generator, Signals
from ecgpipe.generate.stft import BandSTFT
from ecgpipe.generate.time_vqvae import (
    Prior,
    PriorSettings,
    ReconstructionError,
    TimeVQVAE,
    TimeVQVAENetwork,
    Tokenizer,
    autoregressive_decode,
    maskgit_decode,
)
from ecgpipe.generate.vector_quantizer import FiniteScalarQuantizer, VectorQuantizer, codebook_usage

TRAINING = {"steps": 6, "batch": 6, "learning_rate": 1e-2, "warmup": 2, "validate_every": 3, "checkpoint_seconds": 0.0}
PRIOR = {**TRAINING, "order": "masked", "dropout": 0.0, "width": 16, "layers": 1, "heads": 2}
TINY: dict[str, Any] = {
    **NETWORKS,
    "stage1": TRAINING,
    "lf_prior": PRIOR,
    "hf_prior": PRIOR,
    "enhancer": {**TRAINING, "width": 2},
}
LABELS = np.array([0, 1, 2, 0, 1, 2, 2])
SEEDS = np.arange(7) + 100
PLAIN = TimeVQVAE.SampleSettings(lf_rounds=3, hf_rounds=2)


def untrained(data: Dataset, **changes: Any) -> TimeVQVAE:
    return TimeVQVAE(TimeVQVAE.Settings.model_validate({**TINY, **changes}), data.spec)


def fit(generator: TimeVQVAE, data: Dataset, state_dir: Path) -> pd.DataFrame:
    return generator.fit(
        Signals.of(data, "train"),
        Signals.of(data, "validation"),
        seed=1,
        state_dir=state_dir,
        device="cpu",
        progress=False,
    )


@pytest.fixture(scope="module")
def model(sines: Dataset, tmp_path_factory: pytest.TempPathFactory) -> TimeVQVAE:
    generator = untrained(sines)
    generator.history = fit(generator, sines, tmp_path_factory.mktemp("state"))  # type: ignore[attr-defined]
    return generator


def sample(generator: Generator, places: slice = slice(None), settings: Any = PLAIN) -> np.ndarray:
    return generator.sample(LABELS[places], settings=settings, seeds=SEEDS[places], device="cpu")


def weights(generator: TimeVQVAE) -> dict[str, torch.Tensor]:
    return dict(generator.module.state_dict())


# -- the bands -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n_fft", "lf_bins", "length"), [(16, 1, 1000), (16, 2, 1000), (8, 1, 64), (16, 3, 103), (32, 4, 50)]
)
def test_bands_are_those_of_torch_stft_and_add_up_to_the_signals(n_fft: int, lf_bins: int, length: int) -> None:
    torch.manual_seed(0)
    x = torch.randn(3, 2, length)
    bands = BandSTFT(n_fft, lf_bins, length)
    lf, hf = bands.split(x)
    transform = {"n_fft": n_fft, "hop_length": n_fft // 4, "window": torch.hann_window(n_fft), "normalized": True}
    spectrum = torch.stft(x.flatten(0, 1), **transform, return_complex=True)
    expected = (
        torch.view_as_real(spectrum).unflatten(0, (3, 2)).permute(0, 3, 1, 4, 2)
    )  # record, frame, signal, part, frequency
    torch.testing.assert_close(lf, expected[..., :lf_bins].flatten(2), atol=1e-5, rtol=0)
    torch.testing.assert_close(hf, expected[..., lf_bins:].flatten(2), atol=1e-5, rtol=0)
    low, high = bands.inverse(lf, high=False), bands.inverse(hf, high=True)
    torch.testing.assert_close(low + high, x, atol=1e-5, rtol=0)
    spectrum[:, lf_bins:] = 0
    alone = torch.istft(spectrum, **transform, length=length)
    torch.testing.assert_close(low.flatten(0, 1), alone, atol=1e-5, rtol=0)


def test_the_low_band_holds_the_slow_part() -> None:
    time = torch.arange(1000) / 100
    bands = BandSTFT(16, 2, 1000)
    slow, fast = (torch.sin(2 * math.pi * hertz * time)[None, None] for hertz in (1, 30))
    low = bands.inverse(bands.split(slow + fast)[0], high=False)
    assert float((low - slow).square().mean() / slow.square().mean()) < 0.01


def test_records_too_short_for_the_window_are_refused(sines: Dataset) -> None:
    with pytest.raises(ValueError, match="64 samples are too short for `n_fft` 128"):
        untrained(sines, n_fft=128)


# -- the quantiser -------------------------------------------------------------------------------------------------


def test_the_nearest_code_is_that_of_brute_force() -> None:
    torch.manual_seed(0)
    quantizer = VectorQuantizer(13, 5, 0.9).eval()
    vectors = 2 * torch.randn(200, 5)
    brute = [min(range(13), key=lambda c: float((v - quantizer.codebook[c]).double().square().sum())) for v in vectors]
    assert quantizer.indices(vectors).tolist() == brute
    assert torch.equal(quantizer(vectors), quantizer.codebook[brute])


def test_codes_start_at_the_centres_of_clusters() -> None:
    torch.manual_seed(0)
    centres = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    vectors = centres.repeat(40, 1) + 0.1 * torch.randn(120, 2)
    quantizer = VectorQuantizer(6, 2, 0.9)
    quantizer.kmeans_init(vectors)
    assert float((quantizer(vectors) - vectors).norm(dim=1).max()) < 0.5
    distances = torch.cdist(quantizer.codebook, centres).min(1).values
    assert float(distances.max()) < 0.5


def test_codes_follow_their_vectors_by_moving_averages() -> None:
    quantizer = VectorQuantizer(2, 1, 0.75)
    quantizer._set(torch.tensor([[0.0], [10.0]]), torch.tensor([2.0, 2.0]))
    vectors = torch.tensor([[1.0], [2.0], [11.0], [12.0]])
    assert quantizer(vectors).tolist() == [[0.0], [0.0], [10.0], [10.0]]
    # count 0.75 x 2 + 0.25 x 2; total 0.75 x (0, 20) + 0.25 x (3, 23)
    assert quantizer.count.tolist() == [2.0, 2.0]
    assert quantizer.codebook.flatten().tolist() == pytest.approx([0.375, 10.375])
    before = quantizer.codebook.clone()
    quantizer.eval()(vectors)
    assert torch.equal(quantizer.codebook, before)


def test_dead_codes_come_back_to_life() -> None:
    torch.manual_seed(0)
    quantizer = VectorQuantizer(8, 2, 0.5, patience=3)
    quantizer._set(torch.cat([torch.zeros(1, 2), torch.full((7, 2), 1000.0)]), torch.ones(8))
    vectors = torch.randn(64, 2)
    for _ in range(12):
        quantizer(vectors)
    used, perplexity = codebook_usage(quantizer.indices(vectors), 8)
    assert used == 8
    assert perplexity > 5


def test_a_rare_code_persists_and_a_dead_one_starts_anew() -> None:
    """One of 400 vectors of every second step lies far off, where one of four codes is: 1 % of a fair share."""
    torch.manual_seed(0)
    quantizer = VectorQuantizer(4, 1, 0.9, patience=5)
    quantizer._set(torch.tensor([[-1.0], [1.0], [50.0], [-1000.0]]), torch.full((4,), 100.0))
    for step in range(300):
        vectors = torch.cat([torch.full((200, 1), -1.0), torch.full((199 + step % 2, 1), 1.0)])
        if step % 2 == 0:
            vectors = torch.cat([vectors, torch.tensor([[50.0]])])
        quantizer(vectors)
        assert quantizer.codebook[2].item() == pytest.approx(50.0)
        assert (quantizer.codebook[3].item() == -1000.0) == (step < 4)
    assert abs(quantizer.codebook[3].item()) == pytest.approx(1.0)
    assert quantizer.idle[:3].tolist() == [0, 0, 1]


def test_without_patience_codes_stay_where_they_are() -> None:
    """Also when their averages have long become zero."""
    quantizer = VectorQuantizer(2, 1, 0.5)
    quantizer._set(torch.tensor([[0.0], [10.0]]), torch.ones(2))
    for _ in range(400):
        quantizer(torch.zeros(8, 1))
    assert quantizer.count[1].item() == 0
    assert quantizer.codebook.flatten().tolist() == [0.0, 10.0]
    quantizer(torch.full((8, 1), 9.0))
    assert quantizer.codebook.flatten().tolist() == [0.0, 9.0]


def test_a_grid_has_each_combination_of_levels_and_learns_nothing() -> None:
    quantizer = FiniteScalarQuantizer([3, 2]).train()
    levels = [[a, b] for a in (-1.0, 0.0, 1.0) for b in (-1.0, 1.0)]
    assert quantizer.codebook.tolist() == levels
    far = quantizer.bound(torch.tensor([[-9.0, 9.0], [0.0, -9.0], [9.0, 9.0]]))
    assert quantizer(far).tolist() == [[-1.0, 1.0], [0.0, -1.0], [1.0, 1.0]]
    assert quantizer.codebook.tolist() == levels
    assert not list(quantizer.parameters())
    assert FiniteScalarQuantizer([5]).codebook.flatten().tolist() == [-1.0, -0.5, 0.0, 0.5, 1.0]


def test_a_grids_cells_are_equally_wide() -> None:
    quantizer = FiniteScalarQuantizer([4])
    bounded = quantizer.bound(torch.atanh(torch.linspace(-0.9999, 0.9999, 40001))[:, None])
    share = torch.bincount(quantizer.indices(bounded), minlength=4) / len(bounded)
    torch.testing.assert_close(share, torch.full((4,), 0.25), atol=1e-3, rtol=0)


def test_a_grid_takes_the_place_of_the_codebook(sines: Dataset, tmp_path: Path) -> None:
    generator = untrained(sines, lf_levels=[4, 2], hf_levels=[2, 2, 2], lf_codes=8, hf_codes=8)
    lf, hf = generator.module.tokenizer.lf, generator.module.tokenizer.hf
    assert [part.quantizer.codebook.shape for part in (lf, hf)] == [(8, 2), (8, 3)]
    x = torch.randn(2, lf.frames, lf.encoder[0].in_channels)
    out, commitment_loss = lf(x)
    assert float(commitment_loss) == 0
    out.square().mean().backward()
    gradient = lf.encoder[0].weight.grad
    assert gradient is not None
    assert float(gradient.abs().max()) > 0
    fit(generator, sines, tmp_path / "state")
    generator.save(tmp_path / "model")
    assert np.array_equal(sample(TimeVQVAE.load(tmp_path / "model")), sample(generator))


def test_codebook_usage() -> None:
    assert codebook_usage(torch.tensor([[0, 0], [3, 3]]), 9) == (2.0, pytest.approx(2.0))
    assert codebook_usage(torch.tensor([[4, 4, 4]]), 9) == (1.0, pytest.approx(1.0))


def test_gradients_go_straight_through_the_quantiser(sines: Dataset) -> None:
    band = untrained(sines).module.tokenizer.lf
    x = torch.randn(2, band.frames, band.encoder[0].in_channels)
    out, _ = band(x)
    out.square().mean().backward()
    gradient = band.encoder[0].weight.grad
    assert gradient is not None
    assert float(gradient.abs().max()) > 0


@pytest.mark.parametrize("length", [64, 63, 57, 1000])
def test_any_length_is_padded_and_cropped(length: int) -> None:
    settings = TimeVQVAE.Settings.model_validate({**TINY, "lf_halvings": 3})
    tokenizer = Tokenizer(8, length, settings).eval()
    signals = torch.randn(2, 8, length)
    lf, hf = tokenizer.encode(signals)
    assert lf.shape == (2, tokenizer.lf.tokens) == (2, math.ceil((1 + length // 2) / 8))
    assert hf.shape == (2, tokenizer.hf.tokens) == (2, math.ceil((1 + length // 2) / 2))
    assert tokenizer.reconstruct(signals).shape == signals.shape
    lf_error, hf_error, _ = tokenizer(signals)
    bands = tokenizer.bands
    lacking = bands.inverse(lf_error, high=False) + bands.inverse(hf_error, high=True)
    torch.testing.assert_close(signals - tokenizer.reconstruct(signals), lacking, atol=1e-4, rtol=0)


# -- the reconstruction gate ---------------------------------------------------------------------------------------


def test_the_error_by_lead_is_that_of_a_direct_computation(model: TimeVQVAE, sines: Dataset) -> None:
    total, leads = model.reconstruction_error(Signals.of(sines, "validation"), "cpu")
    x = np.asarray(sines.signals[sines.indices("validation")], dtype=np.float64)
    with torch.no_grad():
        out = model.to_millivolts(model.module.tokenizer.reconstruct(model.to_network(torch.from_numpy(x).float())))
    assert total == pytest.approx(float(np.linalg.norm(out - x) / np.linalg.norm(x)), rel=1e-5)
    assert leads["V6"] == pytest.approx(float(np.linalg.norm((out - x)[:, 11]) / np.linalg.norm(x[:, 11])), rel=1e-5)


def test_stage_two_does_not_start_from_a_stage_one_that_reconstructs_nothing(sines: Dataset, tmp_path: Path) -> None:
    generator = untrained(sines, reconstruction_bound=0.01)
    with pytest.raises(ReconstructionError, match=r"`reconstruction_bound` is 0\.01") as error:
        fit(generator, sines, tmp_path)
    for name, value in generator.reconstruction_error(Signals.of(sines, "validation"), "cpu")[1].items():
        assert f"{name} {value:.2f}" in str(error.value)
    assert {path.name for path in tmp_path.iterdir()} == {"stage1"}


def test_the_gate_passes_below_the_bound_only(model: TimeVQVAE, sines: Dataset) -> None:
    validation = Signals.of(sines, "validation")
    total, _ = model.reconstruction_error(validation, "cpu")
    kept = model.settings
    try:
        model.settings = kept.model_copy(update={"reconstruction_bound": total * 1.01})
        model.check_reconstruction(validation, "cpu")
        model.settings = kept.model_copy(update={"reconstruction_bound": total})
        with pytest.raises(ReconstructionError):
            model.check_reconstruction(validation, "cpu")
    finally:
        model.settings = kept


# -- the priors ----------------------------------------------------------------------------------------------------


def uniform(number: int, tokens: int) -> Callable[[], torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return lambda: torch.rand(number, 2, tokens, generator=generator)


def test_rounds_keep_as_many_tokens_as_the_cosine_says_and_never_change_one() -> None:
    seen: list[torch.Tensor] = []

    def logits(tokens: torch.Tensor, left: float) -> torch.Tensor:
        assert left == pytest.approx(float((tokens == 5).float().mean()))
        seen.append(tokens)
        return torch.zeros(*tokens.shape, 5)

    masked = torch.full((4, 20), 5)
    out = maskgit_decode(logits, masked, 6, 4.0, uniform(4, 20))
    assert [int((t == 5).sum(1).unique()) for t in seen] == [int(20 * math.cos(math.pi / 2 * k / 6)) for k in range(6)]
    for before, after in zip(seen, [*seen[1:], out], strict=True):
        assert torch.equal(before[before != 5], after[before != 5])
    assert int(out.max()) <= 4


def test_one_round_draws_from_the_distribution() -> None:
    p = torch.tensor([0.5, 0.0, 0.3, 0.2])
    out = maskgit_decode(lambda t, _: p.log().expand(*t.shape, 4), torch.full((50, 400), 4), 1, 1.0, uniform(50, 400))
    torch.testing.assert_close(torch.bincount(out.flatten(), minlength=4) / 20000, p, atol=0.015, rtol=0)


def test_without_temperature_the_surest_token_is_kept_first() -> None:
    sharp = torch.zeros(1, 10, 3)
    sharp[0, 7, 1] = 50.0
    seen: list[torch.Tensor] = []

    def logits(tokens: torch.Tensor, left: float) -> torch.Tensor:
        seen.append(tokens)
        return sharp

    maskgit_decode(logits, torch.full((1, 10), 3), 8, 0.0, uniform(1, 10))
    assert seen[1][0].tolist() == [3] * 7 + [1] + [3] * 2


def test_the_loss_is_that_of_masked_tokens_only(model: TimeVQVAE, sines: Dataset) -> None:
    tokens, labels = model.tokens(Signals.of(sines, "train"), "cpu").batch(np.arange(36))
    seen: dict[str, torch.Tensor] = {}

    class Watch(Prior):
        def forward(
            self, tokens: torch.Tensor, labels: torch.Tensor, given: torch.Tensor | None = None
        ) -> torch.Tensor:
            seen.update(tokens=tokens, labels=labels)
            seen["logits"] = super().forward(tokens, labels, given)
            return seen["logits"]

    watch = Watch(model.module.lf_prior.tokens, 8, 3, PriorSettings(width=16, layers=1, heads=2))
    lf = tokens[:, : watch.tokens]
    for learning in (True, False):
        value = model.prior_loss("lf", watch.train(learning), tokens, labels, torch.Generator().manual_seed(0))
        masked = seen["tokens"] == 8
        assert torch.equal(seen["tokens"][~masked], lf[~masked])
        assert bool(masked.any(1).all())
        assert 0.5 < float(masked.float().mean()) < 0.8  # the mean of cos(pi/2 u) is 2/pi
        log_p = seen["logits"].log_softmax(-1).gather(-1, lf[..., None])[..., 0]
        assert value.item() == pytest.approx(-log_p[masked].mean().item(), rel=1e-5)
        dropped = seen["labels"] == 3
        assert bool(dropped.any()) == learning
        assert torch.equal(seen["labels"][~dropped], labels[~dropped])


def causal_prior() -> Prior:
    torch.manual_seed(0)
    prior = Prior(9, 5, 2, PriorSettings(width=16, layers=2, heads=2, order="causal"))
    torch.nn.init.normal_(prior.bias)
    return prior.eval()


def test_a_causal_prior_sees_the_past_only() -> None:
    prior, labels = causal_prior(), torch.tensor([1])
    tokens = torch.randint(5, (1, 9))
    before = prior(tokens, labels)
    for place in range(9):
        changed = tokens.clone()
        changed[0, place] = (tokens[0, place] + 1) % 5
        moved = (prior(changed, labels) - before).abs().amax(dim=(0, 2)) > 1e-6
        assert not moved[: place + 1].any()
        assert bool(moved[place + 1 :].all())


@torch.no_grad()
def test_a_causal_prior_shown_one_token_after_another_gives_the_same_logits() -> None:
    torch.manual_seed(0)
    settings = PriorSettings(width=16, layers=2, heads=2, order="causal")
    prior = Prior(9, 5, 2, settings, given=(18, 4), phases=3).double().eval()
    tokens, labels = torch.randint(5, (4, 9)), torch.tensor([0, 1, 2, 0])
    shown = torch.randint(4, (4, 18)), torch.randn(4, 3, 9).double()
    caches = [KeyValueCache() for _ in prior.layers]
    before = torch.cat([torch.full((4, 1), prior.codes), tokens[:, :-1]], dim=1)
    found = [prior.following(before[:, i], caches, labels, *shown) for i in range(9)]
    assert [cache.positions for cache in caches] == [9, 9]
    torch.testing.assert_close(torch.stack(found, dim=1), prior(tokens, labels, *shown))


def test_a_causal_priors_loss_is_that_of_all_tokens(sines: Dataset, tmp_path: Path) -> None:
    generator = untrained(sines, lf_prior={**PRIOR, "order": "causal"})
    fit(generator, sines, tmp_path)
    tokens, labels = generator.tokens(Signals.of(sines, "train"), "cpu").batch(np.arange(36))
    prior = generator.module.lf_prior.eval()
    lf = tokens[:, : prior.tokens]
    value = generator.prior_loss("lf", prior, tokens, labels, torch.Generator().manual_seed(0))
    log_p = prior(lf, labels).log_softmax(-1).gather(-1, lf[..., None])
    assert value.item() == pytest.approx(-log_p.mean().item(), rel=1e-5)
    together = sample(generator)
    assert np.array_equal(sample(generator, slice(2, 4)), together[2:4])


def test_tokens_are_drawn_one_after_another_from_their_distribution() -> None:
    first, then = torch.tensor([0.7, 0.3]), torch.tensor([[0.9, 0.1], [0.2, 0.8]])

    left_before: list[float] = []

    def logits(before: torch.Tensor, left: float) -> torch.Tensor:
        left_before.append(left)
        table = torch.cat([then, first[None]])  # the mask token stands before the first
        return table[before].log()

    out = autoregressive_decode(logits, torch.full((20000, 2), 2), uniform(20000, 2))
    assert left_before == [1.0, 0.5]
    share = torch.bincount(2 * out[:, 0] + out[:, 1], minlength=4) / len(out)
    torch.testing.assert_close(share, (first[:, None] * then).flatten(), atol=0.015, rtol=0)


def test_embeddings_start_alike_for_like_codes() -> None:
    torch.manual_seed(0)
    prior = Prior(4, 3, 2, PriorSettings(width=256, layers=1, heads=2))
    prior.init_from_codebook(
        torch.tensor([[0.0, 0.0], [0.05, 0.0], [9.0, 0.0]]), torch.tensor([7, 1, 0]), torch.zeros(1)
    )
    code = prior.token.weight.detach()
    near, far = (float(torch.cosine_similarity(code[0], code[i], dim=0)) for i in (1, 2))
    assert near > 0.95
    assert abs(far) < 0.3
    torch.testing.assert_close(prior.bias.exp(), torch.tensor([8, 2, 1]) / 11)


def test_each_token_is_given_those_in_its_time() -> None:
    settings = PriorSettings(width=16, layers=1, heads=2)
    assert Prior(4, 3, 2, settings, (8, 5)).given_at.tolist() == [[0, 1], [2, 3], [4, 5], [6, 7]]
    assert Prior(6, 3, 2, settings, (3, 5)).given_at.tolist() == [[0], [0], [1], [1], [2], [2]]
    assert Prior(3, 3, 2, settings, (5, 5)).given_at.tolist() == [[0, 1], [1, 2], [3, 4]]
    prior = Prior(4, 3, 2, settings, (8, 5)).eval()
    tokens, labels, given = (
        torch.full((1, 4), 3),
        torch.zeros(1, dtype=torch.int64),
        torch.zeros(1, 8, dtype=torch.int64),
    )
    plain = prior(tokens, labels, given)
    for place in range(8):
        other = given.clone()
        other[0, place] = 2
        assert not torch.allclose(prior(tokens, labels, other), plain)
    swapped = given.clone()
    swapped[0, 0], other[0, :] = 2, 0
    other[0, 1] = 2
    assert not torch.allclose(prior(tokens, labels, other), prior(tokens, labels, swapped))


# -- fit and sample ------------------------------------------------------------------------------------------------


def test_history_tells_every_stage_and_the_use_of_the_codebooks(model: TimeVQVAE) -> None:
    history: pd.DataFrame = model.history  # type: ignore[attr-defined]
    assert history["stage"].tolist() == ["stage1"] * 2 + ["lf_prior"] * 2 + ["hf_prior"] * 2 + ["enhancer"] * 2
    assert list(history.columns[: len(training.HISTORY)]) == list(training.HISTORY)
    stage1 = history[history["stage"] == "stage1"]
    assert (stage1["relative_rmse"] > 0).all()
    for band, codes in (("lf", 8), ("hf", 6)):
        assert stage1[f"{band}_codes_used"].between(1, codes).all()
        assert (stage1[f"{band}_perplexity"] <= stage1[f"{band}_codes_used"] + 1e-9).all()


def test_guidance_one_is_one_conditional_pass(model: TimeVQVAE, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[set[int]] = []
    forward = Prior.forward

    def watched(
        self: Prior, tokens: torch.Tensor, labels: torch.Tensor, given: torch.Tensor | None = None
    ) -> torch.Tensor:
        asked.append(set(labels.tolist()))
        return forward(self, tokens, labels, given)

    monkeypatch.setattr(Prior, "forward", watched)
    plain = sample(model)
    assert asked == [{0, 1, 2}] * 5
    close = sample(model, settings=PLAIN.model_copy(update={"guidance": 1.0 + 1e-6}))
    assert asked[5:] == [{3}, {0, 1, 2}] * 5
    np.testing.assert_allclose(close, plain, atol=1e-4)


def check_that_guidance_is_confined(model: TimeVQVAE, some: tuple[float, float]) -> None:
    """Guidance at all levels is guidance, below all it is none, and at some levels it is neither."""

    def drawn(**settings: Any) -> np.ndarray:
        return sample(model, settings=PLAIN.model_copy(update=settings))

    everywhere, nowhere = drawn(guidance=4.0), drawn()
    assert np.array_equal(drawn(guidance=4.0, guidance_levels=(0.0, 1.0)), everywhere)
    assert np.array_equal(drawn(guidance=4.0, guidance_levels=(0.0, 0.01)), nowhere)
    between = drawn(guidance=4.0, guidance_levels=some)
    assert not np.array_equal(between, everywhere)
    assert not np.array_equal(between, nowhere)


def test_guidance_is_confined_to_its_levels(model: TimeVQVAE) -> None:
    check_that_guidance_is_confined(model, (0.2, 0.9))
    with pytest.raises(ValidationError, match="must ascend"):
        TimeVQVAE.SampleSettings(guidance_levels=(0.9, 0.2))


CAUSAL: dict[str, Any] = {"lf_prior": {**PRIOR, "order": "causal"}, "hf_prior": {**PRIOR, "order": "causal"}}


def test_guidance_of_a_causal_prior_is_confined_to_its_levels(sines: Dataset, tmp_path: Path) -> None:
    model = untrained(sines, **CAUSAL)
    fit(model, sines, tmp_path)
    check_that_guidance_is_confined(model, (0.0, 0.5))


def test_the_small_preset_without_drafts_has_a_causal_prior_with_dropout() -> None:
    drafted, pure = TimeVQVAE.Settings(), TimeVQVAE.Settings(draft="none", lf_prior={"steps": 7})
    assert (drafted.lf_prior.order, drafted.lf_prior.dropout) == ("masked", 0.0)
    assert (pure.lf_prior.order, pure.lf_prior.dropout, pure.lf_prior.steps) == ("causal", 0.3, 7)
    changed = {"order", "dropout", "steps"}
    assert pure.lf_prior.model_dump(exclude=changed) == drafted.lf_prior.model_dump(exclude=changed)
    assert not pure.lost_noise
    assert TimeVQVAE.Settings(preset="paper").lf_prior.order == "masked"


GRID: dict[str, Any] = {"lf_levels": [4, 2], "hf_levels": [2, 4], "lf_codes": 8, "hf_codes": 8}


@pytest.mark.parametrize("changes", [{}, {**CAUSAL, **GRID}], ids=["default", "causal priors of a grid"])
def test_a_run_that_was_cut_off_in_any_stage_ends_in_the_same_weights(
    sines: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    model = untrained(sines, **changes)
    fit(model, sines, tmp_path / "at once")

    class Cut(Exception):
        pass

    step = training._Trainer.step
    left = 0

    def cut(self: training._Trainer) -> None:
        nonlocal left
        if left == 0:
            raise Cut
        left -= 1
        step(self)

    monkeypatch.setattr(training._Trainer, "step", cut)
    cuts = 0
    while True:
        left = 5  # of 6 steps a stage: each stage is left half-way
        generator = untrained(sines, **changes)
        try:
            fit(generator, sines, tmp_path / "cut off")
            break
        except Cut:
            cuts += 1
    assert cuts == 4
    assert weights(generator).keys() == weights(model).keys()
    for name, value in weights(model).items():
        assert torch.equal(weights(generator)[name], value), name
    assert np.array_equal(sample(generator), sample(model))


def _newest(folder: Path, name: str) -> Path:
    """Return the newest version of a checkpoint."""
    return checkpoints.versions(folder)[f"{name}.safetensors"][-1]


def test_codebooks_are_part_of_the_checkpoint(sines: Dataset, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    generator = untrained(sines, reconstruction_bound=1e-6)
    with pytest.raises(ReconstructionError):
        fit(generator, sines, tmp_path)
    kept = load_file(_newest(tmp_path / "stage1", "stage1"))
    for band in ("lf", "hf"):
        for name in ("codebook", "count", "total", "idle"):
            assert torch.equal(
                kept[f"module/{band}.quantizer.{name}"], weights(generator)[f"tokenizer.{band}.quantizer.{name}"]
            )


def test_a_change_of_a_prior_keeps_stage_one(sines: Dataset, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    fit(untrained(sines, enhancer=None), sines, tmp_path)
    before = sha256(_newest(tmp_path / "stage1", "stage1"))
    with caplog.at_level("INFO", "ecgpipe.generate"):
        fit(untrained(sines, enhancer=None, lf_prior={**PRIOR, "learning_rate": 1e-4}), sines, tmp_path)
    assert sha256(_newest(tmp_path / "stage1", "stage1")) == before
    anew = [r.getMessage() for r in caplog.records if "starting anew" in r.getMessage()]
    assert len(anew) == 1
    assert "lf_prior.safetensors" in anew[0]


# -- settings and the model file ------------------------------------------------------------------------------------


def test_given_keys_replace_those_of_a_preset_even_within_a_section() -> None:
    paper = TimeVQVAE.Settings.model_validate({"preset": "paper", "hidden": 32, "lf_prior": {"steps": 7}})
    assert (paper.hidden, paper.lf_codes, paper.leads) == (32, 64, "all12")
    assert (paper.lf_prior.steps, paper.lf_prior.heads, paper.lf_prior.batch) == (7, 2, 256)
    assert paper.enhancer is not None
    assert TimeVQVAE.Settings.model_validate({"preset": "paper", "enhancer": None}).enhancer is None
    assert TimeVQVAE.Settings().preset == "small"
    for preset in ("paper", "full", "small"):
        settings = TimeVQVAE.Settings.model_validate({"preset": preset})
        assert TimeVQVAE.Settings.model_validate_json(settings.model_dump_json()) == settings


def test_the_paper_preset_is_the_study() -> None:
    settings = TimeVQVAE.Settings.model_validate({"preset": "paper"})
    assert (settings.n_fft, settings.lf_codes, settings.hf_codes, settings.hidden, settings.res_blocks) == (
        16,
        64,
        64,
        64,
        4,
    )
    assert (settings.stage1.steps, settings.stage1.batch, settings.lf_prior.batch) == (500_000, 128, 256)
    assert (settings.lf_prior.layers, settings.lf_prior.heads, settings.lf_prior.dropout) == (4, 2, 0.3)
    assert (settings.class_dropout, settings.lf_prior.learning_rate, settings.hf_prior.steps) == (0.2, 5e-4, 1_000_000)
    with torch.device("meta"):
        network = TimeVQVAENetwork(12, 1000, 7, settings)
    tokenizer = network.tokenizer
    assert (tokenizer.lf.tokens, tokenizer.hf.tokens) == (8, 63)  # 7 and 62, and one for the padding of 251 frames
    assert network.lf_prior.token.weight.shape == (65, 64)
    w = 64  # four layers of attention (4 w^2), a dense network (8 w^2), their biases and norms
    for prior in (network.lf_prior, network.hf_prior):
        assert sum(p.numel() for p in prior.layers.parameters()) == 4 * (12 * w * w + 13 * w)


def test_the_presets_grow() -> None:
    number = {}
    for preset in ("small", "paper", "full"):
        settings = TimeVQVAE.Settings.model_validate({"preset": preset})
        with torch.device("meta"):
            network = TimeVQVAENetwork(8, 1000, 7, settings)
        number[preset] = sum(p.numel() for p in network.parameters())
    assert number["small"] < 0.6e6 < number["paper"] < 1.2e6 < number["full"] < 8e6


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"preset": "huge"}, "preset"),
        ({"n_fft": 10}, "n_fft"),
        ({"lf_bins": 9}, "leaves no frequency for the other band"),
        ({"lf_prior": {"width": 30, "heads": 4}}, "must divide by twice"),
        ({"lf_levels": [8, 8], "lf_codes": 160}, r"product is `lf_codes` \(160\)"),
        ({"hf_levels": [256, 1], "hf_codes": 256}, "numbers of 2 or more"),
        ({"hf_prior": {"depth": 3}}, "depth"),
        ({"draft": "none", "lost_noise": True}, "`lost_noise` is for `draft: beats`"),
        ({"draft": "beats", "lost_noise": True, "enhancer": {}}, "choose one"),
        ("small", "dictionary"),
    ],
)
def test_settings_that_cannot_work_are_refused(given: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TimeVQVAE.Settings.model_validate(given)


@pytest.mark.slow
def test_it_reconstructs_and_draws_the_class_that_was_asked_for(sines: Dataset, tmp_path: Path) -> None:
    stage1 = {
        **TRAINING,
        "steps": 100,
        "batch": 36,
        "learning_rate": 5e-3,
        "validate_every": 100,
        "checkpoint_seconds": 60,
    }
    prior = {**stage1, "steps": 200, "width": 32, "layers": 1, "heads": 2, "dropout": 0.0}
    generator = untrained(
        sines,
        stage1=stage1,
        lf_prior=prior,
        hf_prior=prior,
        lf_codes=32,
        hf_codes=32,
        hidden=16,
        codebook_decay=0.9,
        enhancer=None,
    )
    fit(generator, sines, tmp_path)
    assert generator.reconstruction_error(Signals.of(sines, "validation"), "cpu")[0] < 0.5
    labels = np.arange(30) % 3
    signals = generator.sample(labels, settings=TimeVQVAE.SampleSettings(), seeds=np.arange(30), device="cpu")
    power = np.abs(np.fft.rfft(signals[:, 6:], axis=-1))[..., 1:10].mean(axis=1)
    slow, fast = power[:, 1], power[:, 5]  # two and six cycles a record
    assert (slow[labels == 0] > fast[labels == 0]).mean() >= 0.9
    assert (slow[labels == 1] < fast[labels == 1]).mean() >= 0.9
