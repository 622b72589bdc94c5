"""The cells of `learning.py`: what is trained, how, and in what order."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

NEURAL = ("time_diffusion", "diffwave", "time_vqvae")
CONTROL = "class_mean_pca"
DATASETS = ("real", "hospital_a", "hospital_b")
BUDGETS, SEEDS = (60, 300, 3600), (1, 2)


BEATS = {60: 600, 300: 1500, 3600: 1500}
"""Training steps of the model of beats, by budget."""


def _drafts(budget: int) -> dict[str, Any]:
    return {"draft_models": {"beats": {"steps": BEATS[budget]}}}


@dataclasses.dataclass(frozen=True)
class Way:
    """Settings of a generator, where these are not the defaults, and what differs with the budget."""

    train: dict[str, Any]
    sample: dict[str, Any]
    budgets: dict[int, dict[str, Any]]
    """CPU seconds to training settings."""

    def training(self, budget: int) -> dict[str, Any]:
        """Return the training settings for a budget."""
        drafts = {} if self.train.get("draft") == "none" else _drafts(budget)
        return {**self.train, **drafts, **self.budgets[budget]}


DRAWN_WITH_DRAFTS = {"sampler": "ancestral"}
DRAWN_WHOLE = {"sampler": "ancestral", "guidance": 4.0}


def _steps(*numbers: int) -> dict[int, dict[str, Any]]:
    return {budget: {"steps": n} for budget, n in zip(BUDGETS, numbers, strict=True)}


def _stages(*numbers: tuple[int, int, int], **lf_prior: Any) -> dict[int, dict[str, Any]]:
    return {
        budget: {"stage1": {"steps": first}, "lf_prior": {"steps": second, **lf_prior}, "hf_prior": {"steps": third}}
        for budget, (first, second, third) in zip(BUDGETS, numbers, strict=True)
    }


WAYS: dict[tuple[str, str], Way] = {
    ("time_diffusion", "none"): Way(
        {"draft": "none", "class_spectrum": None, "attention_levels": 2}, DRAWN_WHOLE, _steps(400, 1800, 22000)
    ),
    ("diffwave", "none"): Way({"draft": "none", "class_spectrum": None}, DRAWN_WHOLE, _steps(360, 1800, 21000)),
    ("time_vqvae", "none"): Way(
        {"draft": "none"},
        {"guidance": 2.0},
        _stages((150, 300, 50), (200, 1500, 150), (1500, 18000, 2000), order="masked", dropout=0.0),
    ),
    ("time_diffusion", "beats"): Way({}, DRAWN_WITH_DRAFTS, _steps(350, 2300, 28000)),
    ("diffwave", "beats"): Way({}, DRAWN_WITH_DRAFTS, _steps(260, 1800, 23000)),
    ("time_vqvae", "beats"): Way({}, {}, _stages((100, 100, 40), (200, 1350, 150), (1500, 17000, 2000))),
}
"""What is measured. Without drafts, the diffusion models are what the preset `small` was before there were drafts.

``class_spectrum`` is spelled out, although it is now the preset's own without drafts: cells keep their settings. So do
those of ``time_vqvae``, whose preset without drafts has a causal prior by now (see ``ablation.py``).
"""


class Cell(NamedTuple):
    """A cell of the table."""

    dataset: str
    generator: str
    draft: str = "none"
    budget: int = 0
    seed: int = 1

    def __str__(self) -> str:
        if not self.budget:
            return f"{self.dataset}-{self.generator}"
        return f"{self.dataset}-{self.generator}-{self.draft}-{self.budget}s-{self.seed}"

    def settings(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return training and sampling settings."""
        if not self.budget:
            return {}, {}
        way = WAYS[self.generator, self.draft]
        return way.training(self.budget), way.sample


def cells() -> list[Cell]:
    """Return all cells, those first that say most: a table of the first ones is a table already."""
    blocks = [
        *(("real", budget, 1) for budget in (300, 60)),
        *((hospital, budget, 1) for budget in (60, 300) for hospital in ("hospital_a", "hospital_b")),
        *((dataset, budget, 2) for budget in (300, 60) for dataset in DATASETS),
        ("real", 3600, 1),
    ]
    references = [Cell(dataset, name) for dataset in DATASETS for name in ("real", "training", CONTROL)]
    return references + [
        Cell(dataset, generator, draft, budget, seed)
        for dataset, budget, seed in blocks
        for generator in NEURAL
        for draft in ("none", "beats")
    ]
