"""The simulated records that the tests of drafts share, and a model trained on them for a few steps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from generate.drafts.beating_records import simulated

from ecgpipe.dataset import Dataset
from ecgpipe.generate.drafts.draft import DraftModel, DraftSettings
from ecgpipe.generate.protocol import Signals

Records = tuple[Dataset, list[np.ndarray], list[np.ndarray]]
QUICK = {
    "beats": {"steps": 12, "batch": 16, "validate_every": 6, "checkpoint_seconds": 0.0, "width": 16},
    "mean_beat": {"steps": 12, "batch": 16, "validate_every": 6, "checkpoint_seconds": 0.0, "width": 16},
}


@pytest.fixture(scope="session")
def records() -> Records:
    """105 simulated records with the truth about their beats."""
    return simulated(105)


@pytest.fixture(scope="session")
def trained(records: Records, tmp_path_factory: pytest.TempPathFactory) -> DraftModel:
    """A draft model after a few steps."""
    return fitted(records, tmp_path_factory.mktemp("state"))


def fitted(records: Records, state: Path, seed: int = 3) -> DraftModel:
    """Train a draft model for a few steps."""
    model = DraftModel(DraftSettings.model_validate(QUICK), records[0].spec)
    train, validation = (Signals.of(records[0], split) for split in ("train", "validation"))
    model.fit(train, validation, seed=seed, state_dir=state, device="cpu", progress=False)
    return model
