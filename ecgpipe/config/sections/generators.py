"""`generator_settings`: the class of each generator and its own settings."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, Field

from ecgpipe.config.sections.base import DottedPath, Name, Section


class GeneratorSettings(Section):
    """One generator: its class, and its own settings, which the class itself validates."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)

    class_: DottedPath | None = Field(
        None,
        alias="class",
        description="Dotted path of the class, `package.module:Class`; null: the generator of that name in "
        "ecgpipe.generate.",
    )
    train: dict[str, Any] = Field(
        default_factory=dict, description="Hyper-parameters of the model and its training, validated by the generator."
    )
    train_by_dataset: dict[Name, dict[str, Any]] = Field(
        default_factory=dict, description="For a dataset, hyper-parameters that replace those of `train`."
    )
    sample: dict[str, Any] = Field(
        default_factory=dict,
        description="Settings of sampling (sampler, evaluations, guidance), validated by the generator. Changing "
        "them trains nothing.",
    )
