"""`experiments`: which classifiers are trained on what."""

from __future__ import annotations

import typing
from typing import Annotated, Literal

from pydantic import Field

from ecgpipe.config.sections.base import Section, Seed

Setting = Literal["TrRTeR", "TrSTeR", "TrRSTeR", "TrSTeS", "TrRTeS"]
Method = Literal["frozen", "finetuned", "probe"]
Baseline = Literal["oversampling", "class_weights", "classical_augmentation", "mixup"]
Ratio = Literal["all", "balance"] | Annotated[float, Field(gt=0, le=100)]
Fraction = Annotated[float, Field(gt=0, le=1)]


class Transfer(Section):
    """Pre-training on synthetic records, then training on real ones."""

    fractions: list[Fraction] = Field(
        default_factory=lambda: [0.2, 0.4, 0.6, 0.8, 1.0],
        description="Shares of the real training records to fine-tune on; at each, a network is also trained from "
        "scratch on the same records. [] runs no transfer.",
    )
    methods: list[Method] = Field(
        ["frozen"],
        min_length=1,
        description="`frozen`: the dense head is trained further and the convolutions are not (the paper); "
        "`finetuned`: all weights are trained further; `probe`: one new linear layer is trained on the "
        "frozen convolutions.",
    )
    from_real: bool = Field(
        False,
        description="Also pre-train on the real records of each other active dataset with a source, with this "
        "dataset's classifier: the level that a synthetic set would have to reach. Not for a merge.",
    )


class Experiments(Section):
    """Which classifiers are trained: Tr = train on, Te = test on, R = real, S = synthetic."""

    settings: list[Setting] = Field(
        default_factory=lambda: list(typing.get_args(Setting)),
        min_length=1,
        description="TrRTeR (real only), TrSTeR (synthetic only), TrRSTeR (real and synthetic), tested on real "
        "records; TrSTeS and TrRTeS: the first two tested on synthetic ones.",
    )
    fractions: list[Fraction] = Field(
        default_factory=lambda: [0.2, 0.4, 0.6, 0.8, 1.0],
        min_length=1,
        description="Shares of the real training records used by TrRTeR and TrRSTeR; subsets are nested and "
        "stratified by class.",
    )
    ratios: list[Ratio] = Field(
        ["all"],
        min_length=1,
        description="Synthetic records of TrRSTeR: `all`, a multiple of the real ones (0.5, 2; left out where there "
        "are too few), or `balance`: rare classes are filled up to the most common one.",
    )
    pooled: bool = Field(False, description="Also run everything with `all`: the samples of all generators together.")
    cross: bool = Field(
        False,
        description="Also add synthetic records of each other dataset with a source to the real ones, and test on "
        "both.",
    )
    baselines: list[Baseline] = Field(
        default_factory=list,
        description="Simple baselines that synthetic records have to beat, trained on the same real records for as "
        "many steps: `oversampling` (rare classes repeated), `class_weights` (in the loss), `classical_augmentation` "
        "(noise, scaling, shift, time warp, lead dropout), `mixup` (within a class). TrRSTeR is compared with each. "
        "With a classifier's `loss: weighted` the first two are refused, with `focal` the second.",
    )
    transfer: Transfer = Field(default_factory=Transfer, description="The transfer experiment.")
    generator_repetitions: int = Field(
        1,
        ge=1,
        le=100,
        description="How often each generator is trained and sampled from, each time with its own seed. The "
        "networks of `seeds` are divided among these repetitions in turn. Intervals of "
        "comparisons and of single networks then also cover the randomness of generators.",
    )
    seeds: list[Seed] = Field(
        default_factory=lambda: list(range(20)),
        min_length=1,
        description="One repetition of every training for each of these seeds.",
    )
