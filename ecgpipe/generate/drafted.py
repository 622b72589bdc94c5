"""What generators that use drafts share: settings, training records with their drafts, saving and loading.

A drafted generator models what a draft (:mod:`ecgpipe.generate.drafts`) leaves of a record, and is shown the draft and
the plan behind it. Sampling draws a draft first, and the levels of what it leaves; then what it leaves, which is added.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch
from pydantic import Field, model_validator
from torch import Tensor

from ecgpipe.dataset import SignalSpec
from ecgpipe.generate.base import Leads, NeuralGenerator, PresetSettings
from ecgpipe.generate.drafts.draft import DraftKind, DraftModel, DraftSettings
from ecgpipe.generate.protocol import Signals
from ecgpipe.leads import independent_from_twelve, twelve_from_independent


class DraftedSettings(PresetSettings):
    """Settings of a generator that may use drafts."""

    PURE: ClassVar[dict[str, dict[str, Any]]] = {}
    """Values of presets that are others where ``draft: none`` is given."""

    leads: Leads = Field(
        "independent8",
        description="`independent8` models I, II, V1-V6 and derives the other four exactly; `all12` models all twelve,"
        " as the paper.",
    )
    draft: DraftKind = Field(
        "none",
        description="`beats`: models of when the heart beats and of the mean beat are trained first, and the generator"
        " learns what their draft leaves of a record; `none`: it learns whole records, as published.",
    )
    draft_models: DraftSettings = Field(
        default_factory=DraftSettings, description="`draft: beats`: the models that make drafts."
    )

    @classmethod
    def preset_values(cls, name: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values of a preset, which may depend on whether there is a draft."""
        pure = cls.PURE.get(name, {}) if given.get("draft") == "none" else {}
        return {**super().preset_values(name, given), **pure}

    @model_validator(mode="after")
    def _draft_has_eight_leads(self) -> DraftedSettings:
        if self.draft == "beats" and self.leads == "all12":
            raise ValueError("`draft: beats` is for `leads: independent8`; use `draft: none` with `leads: all12`")
        return self


class DraftedSignals(Signals):
    """Records with the states of their drafts; a batch has both in one row, ``(b, 12 length + d)``."""

    def __init__(self, signals: Signals, states: Tensor) -> None:
        self.spec, self.labels = signals.spec, signals.labels
        self.whole, self.states = signals, states

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, indices: np.ndarray) -> tuple[Tensor, Tensor]:
        """Read records, as :meth:`Signals.batch`; :meth:`split` takes the rows apart."""
        x, y = self.whole.batch(indices)
        return torch.cat([x.flatten(1), self.states[torch.from_numpy(indices)]], dim=1), y

    @staticmethod
    def split(rows: Tensor, length: int) -> tuple[Tensor, Tensor]:
        """Return signals ``(b, 12, length)`` in mV and states ``(b, d)`` of rows."""
        return rows[:, : 12 * length].view(len(rows), 12, length), rows[:, 12 * length :]


class Residuals(Signals):
    """What drafts leave of records, less its levels, in the records' place: ``(b, 12, length)`` in mV."""

    def __init__(self, signals: Signals, states: Tensor, model: DraftModel) -> None:
        self.spec, self.labels = signals.spec, signals.labels
        self.whole, self.states, self.model = signals, states, model

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, indices: np.ndarray) -> tuple[Tensor, Tensor]:
        """Read records and take their drafts off."""
        x, y = self.whole.batch(indices)
        states = self.states[torch.from_numpy(indices)]
        eight = torch.from_numpy(independent_from_twelve(x.numpy()))
        left = self.model.undrafted(eight, states, self.model.drafts(states))
        return torch.from_numpy(twelve_from_independent(left.numpy())), y

    def with_draft(self) -> np.ndarray:
        """Return the places of the records that have a draft."""
        return np.flatnonzero(self.model.split(self.states).plans.known.numpy() > 0)

    def error(self, error: np.ndarray, indices: np.ndarray) -> np.ndarray:
        """Return the errors in mV of records whose errors here are ``error``; both ``(b, 12, length)``."""
        levels = self.model.split(self.states[torch.from_numpy(indices)]).levels
        eight = torch.from_numpy(independent_from_twelve(error).astype(np.float32))
        return twelve_from_independent(self.model.levels.restored(eight, levels).numpy())


class DraftedGenerator(NeuralGenerator):
    """Base of generators that may use drafts; :attr:`draft` is None where they do not."""

    def __init__(self, settings: Any, spec: SignalSpec) -> None:
        super().__init__(settings, spec)
        self.draft = DraftModel(settings.draft_models, spec) if settings.draft == "beats" else None

    def fit_draft(
        self, train: Signals, validation: Signals, **how: Any
    ) -> tuple[list[pd.DataFrame], tuple[Tensor, Tensor] | None]:
        """Train the models of drafts, if there are to be any.

        Args:
            train, validation: records.
            how: seed, state_dir, device and progress, as for ``fit``.

        Returns:
            The history, and the states of training and validation records; nothing and None without drafts.

        Raises:
            ValueError: if beats are found in too few records.
        """
        if self.draft is None:
            return [], None
        history = self.draft.fit(train, validation, **how)
        states = tuple(
            self.draft.states(signals, found)
            for signals, found in ((train, self.draft.found), (validation, self.draft.held_out))
        )
        self.draft.measure(states[0])
        return [history], (states[0], states[1])

    def measure_training_set(self, train: Signals, data_deviation: float, seed: int) -> None:
        """Set scale and facts; see :meth:`ecgpipe.generate.base.NeuralGenerator.measure_training_set`."""
        super().measure_training_set(train, data_deviation, seed)
        self.facts["draft"] = self.settings.draft
        if self.draft is not None:
            self.facts["records_without_draft"] = self.draft.facts["records_without_plan"]

    def finished(self, drawn: Tensor, states: Tensor | None) -> np.ndarray:
        """Return records ``(b, 12, length)`` in mV, float32, of what the network drew, ``(b, channels, length)``."""
        if self.draft is None or states is None:
            return self.to_millivolts(drawn)
        return self.layout.twelve(self.draft.whole((drawn * self._fitted_scale()).float(), states).cpu().numpy())

    def tensors(self) -> dict[str, Tensor]:
        """Return weights, and those of drafts as ``draft.*``."""
        drafts = {} if self.draft is None else self.draft.tensors()
        return {**super().tensors(), **{f"draft.{k}": v for k, v in drafts.items()}}

    def load_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Undo :meth:`tensors`."""
        own = {k: v for k, v in tensors.items() if not k.startswith("draft.")}
        super().load_tensors(own)
        if self.draft is not None:
            self.draft.load_tensors({k.removeprefix("draft."): v for k, v in tensors.items() if k not in own})


def digest_of(states: tuple[Tensor, Tensor] | None) -> str:
    """Return a text that is another one for other drafts; empty without drafts."""
    if states is None:
        return ""
    return f" drafts {hashlib.sha256(b''.join(t.numpy().tobytes() for t in states)).hexdigest()}"
