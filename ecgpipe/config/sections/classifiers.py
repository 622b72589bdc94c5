"""`classifiers`: the networks, and how they are trained."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Discriminator, Field, Tag, TypeAdapter, model_validator

from ecgpipe.config.derived import shortest_length
from ecgpipe.config.sections.base import DottedPath, Section

Loss = Literal["cross_entropy", "weighted", "focal"]
_KIND = "Network: `cnn` (the paper's), `resnet1d_wang` or `xresnet1d`; or set `class` instead, for your own network."


FEWEST_STEPS = 5
"""With fewer, the quarter of the steps in which the learning rate rises is not one step."""


class ClassifierTraining(Section):
    """How a classifier is trained."""

    learning_rate: float = Field(1.584e-4, gt=0, description="Learning rate of AdamW.")
    batch: int = Field(32, ge=1, description="Records per training step.")
    loss: Loss = Field(
        "cross_entropy",
        description="`cross_entropy`, `weighted` (cross-entropy in which all classes have the same weight), or "
        "`focal` (exponent 2).",
    )
    label_smoothing: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Share of each label that is spread evenly over all classes, in training and in the validation loss"
        " (label smoothing, arXiv 1512.00567). It keeps networks that learn from few records from being too sure, which"
        " the validation loss takes for worse than knowing nothing. With `focal` it does little.",
    )
    epochs: int = Field(1000, ge=1, description="Maximum number of epochs; ignored where `steps` is set.")
    steps: int | None = Field(
        None,
        ge=FEWEST_STEPS,
        description="Optimiser steps of every training, however many records it has, with a one-cycle learning rate "
        "and ten validations; null: `epochs` at a constant rate, with a validation after each.",
    )
    patience: int = Field(
        10, ge=1, description="Early stopping: validations in a row without a lower loss after which training stops."
    )
    min_delta: float = Field(
        1e-5, ge=0, description="Smallest decrease of the validation loss that counts as an improvement."
    )

    @property
    def shortest_record(self) -> int:
        """Samples of the shortest record that the network leaves something of."""
        return 1


class ClassifierSettings(ClassifierTraining):
    """The paper's 1-D residual CNN and its training (arXiv 2411.18456 after arXiv 1805.00794)."""

    kind: Literal["cnn"] = Field("cnn", description=_KIND)
    blocks: int = Field(5, ge=1, le=8, description="Residual blocks N.")
    channels: int = Field(16, ge=1, description="Channels k of every convolution.")
    kernel: int = Field(7, ge=3, description="Length f of every convolution's kernel, in samples; odd.")
    width: int = Field(256, ge=1, description="Width w of the dense layers.")
    dense_layers: int = Field(3, ge=0, description="Dense layers L before the output.")
    dropout: float = Field(0.25, ge=0, lt=1, description="Dropout after each dense layer.")

    @property
    def shortest_record(self) -> int:
        """Samples of the shortest record that all poolings leave something of."""
        return shortest_length(self.blocks)

    @model_validator(mode="after")
    def _odd_kernel(self) -> ClassifierSettings:
        if self.kernel % 2 == 0:
            raise ValueError(f"`kernel` {self.kernel} must be odd, so that a convolution keeps the length")
        return self


class WangSettings(ClassifierTraining):
    """The residual network of Wang, Yan, Oates (arXiv 1611.06455) and its training."""

    kind: Literal["resnet1d_wang"] = Field(description=_KIND)
    channels: int = Field(64, ge=1, description="Channels of the first block; the other two have twice as many.")


class XResNetSettings(ClassifierTraining):
    """xresnet1d (arXiv 1812.01187 in one dimension, arXiv 2004.13701) and its training."""

    kind: Literal["xresnet1d"] = Field(description=_KIND)
    depth: Literal[18, 34, 50, 101] = Field(101, description="Layers: 18, 34, 50 or 101.")
    channels: int = Field(64, ge=2, description="Channels of the first stage; each further one has twice as many.")
    dropout: float = Field(0.5, ge=0, lt=1, description="Dropout before the output.")


class OwnClassifierSettings(ClassifierTraining):
    """Your own network, and its training."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, populate_by_name=True)

    kind: Literal["own"] = Field("own", description="Optional: implied by `class`.")
    class_: DottedPath = Field(alias="class", description="Dotted path of the network's class, `package.module:Class`.")
    network: dict[str, Any] = Field(
        default_factory=dict, description="Settings of the network, validated by the class itself."
    )


def _network(value: Any) -> str:
    """Tag a classifier by its kind; brackets keep the tag apart from keys in messages."""
    if isinstance(value, dict):
        kind = value.get("kind", "own" if "class" in value else "cnn")
    else:
        kind = getattr(value, "kind", None)
    return f"<{kind}>"


AnyClassifier = Annotated[
    Annotated[ClassifierSettings, Tag("<cnn>")]
    | Annotated[WangSettings, Tag("<resnet1d_wang>")]
    | Annotated[XResNetSettings, Tag("<xresnet1d>")]
    | Annotated[OwnClassifierSettings, Tag("<own>")],
    Discriminator(
        _network,
        custom_error_type="network",
        custom_error_message="`kind` must be cnn, resnet1d_wang or xresnet1d; `class` names your own network",
    ),
]
"""Settings of a classifier of any kind."""


def classifier_settings(raw: dict[str, Any]) -> AnyClassifier:
    """Read a classifier's settings as its job got them."""
    settings: AnyClassifier = TypeAdapter(AnyClassifier).validate_python(raw)
    return settings
