"""The benchmark of slow and fast sampling: its differences and their intervals."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest


@pytest.fixture
def sampling(load: Callable[[str], ModuleType]) -> ModuleType:
    return load("sampling")


def test_a_loss_is_found_and_its_lack_is_not(sampling: ModuleType) -> None:
    """Three ways of one generator: the reference, one with a little noise, one whose features are off by 1."""
    number, rng = sampling.DRAWN, np.random.default_rng(0)
    features = rng.standard_normal((number, 4))

    def judge(signals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.arange(len(signals)) % 2 + (signals[:, 0] > 3), signals

    real = SimpleNamespace(signals=rng.standard_normal((490, 4)), spec=SimpleNamespace(classes=("a", "b")))
    more = SimpleNamespace(signals=features, labels=np.arange(number) % 2)
    drawn = [
        ("faithful", features, 100.0, 200),
        ("fast", features + 0.01 * rng.standard_normal((number, 4)), 10.0, 20),
        ("hasty", features + 1.0, 5.0, 10),
    ]
    sets = [
        (sampling.Way("g", name, {"guidance": 1.0}), sampling.Drawn(x, ms, evaluations))
        for name, x, ms, evaluations in drawn
    ]
    table = sampling.compare(judge, SimpleNamespace(reference=real, more=more), sets)
    rows = table.set_index("way", drop=False)
    assert rows["times"].iloc[1:].tolist() == [1.0, 10.0, 20.0]
    assert np.isnan(rows.loc["faithful", "lost"])
    assert rows.loc["fast", "lost_low"] <= 0 <= rows.loc["fast", "lost_high"]
    # Four means that are each off by 1 add 4 to the squared distance.
    assert rows.loc["hasty", "lost"] == pytest.approx(4, abs=0.6)
    assert rows.loc["hasty", "lost_low"] > 0
    page = sampling.render(table.assign(machine="m", date="d", load=1.0))
    assert "with no loss of distance or agreement beyond the interval: `g` fast, guidance 1." in page
    assert "but with a loss beyond the interval: `g` hasty, guidance 1." in page


def test_chunks_are_kept_for_one_model_and_its_code(
    sampling: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    way = sampling.Way("time_diffusion", "ancestral", {"evaluations": 20, "guidance": 1.0})
    model = tmp_path / "models" / str(sampling.Cell("hospital_a", way.generator, "beats", sampling.BUDGET))
    model.mkdir(parents=True)
    calls, code = [], ["one"]

    class Generator:
        spec = SimpleNamespace(classes=("a", "b"))
        SampleSettings = SimpleNamespace(model_validate=lambda given: SimpleNamespace(**given))

        @classmethod
        def load(cls, folder: Path) -> type[Generator]:
            return cls

        @staticmethod
        def sample(labels: np.ndarray, **how: object) -> np.ndarray:
            calls.append(len(labels))
            return np.zeros((len(labels), 12, 10))

    monkeypatch.setattr(sampling, "load_class", lambda name, path: Generator)
    monkeypatch.setattr(sampling, "code_of", lambda name, draft: code[0])
    chunks = -(-sampling.DRAWN // sampling.CHUNK)
    with pytest.raises(FileNotFoundError, match="holds no model"):
        sampling.drawn(tmp_path, way)
    (model / "model.json").write_text("first")
    with pytest.raises(FileNotFoundError, match="without --collect"):
        sampling.drawn(tmp_path, way, missing=False)
    assert sampling.drawn(tmp_path, way).signals.shape == (sampling.DRAWN, 12, 10)
    kept = sampling.drawn(tmp_path, way, missing=False)
    assert (len(calls), kept.machine, kept.evaluations) == (chunks, sampling.machine(), 20)
    (model / "model.json").write_text("second")
    sampling.drawn(tmp_path, way)
    assert len(calls) == 2 * chunks
    code[0] = "other"
    sampling.drawn(tmp_path, way)
    assert len(calls) == 3 * chunks
