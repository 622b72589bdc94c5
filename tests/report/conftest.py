"""A small study's results, from which a report is made."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ecgpipe.config import Config, validate
from ecgpipe.dataset import SignalSpec, save_dataset
from ecgpipe.files import write_json, write_parquet
from ecgpipe.tables.run import Parameters, build_tables

CLASSES = ("SR", "AFIB", "SVTAC")
SPEC = SignalSpec(100.0, 1000, CLASSES)
TEST_LABELS = ["SR"] * 18 + ["AFIB"] * 12
SEEDS = (0, 1, 2, 3, 4, 5, 6)


@dataclass(frozen=True)
class Results:
    """Folders of a study that has run."""

    root: Path
    config: Config

    @property
    def tables(self) -> Path:
        return self.root / "tables"

    @property
    def data(self) -> dict[str, Path]:
        return {"a": self.root / "data" / "a"}

    @property
    def samples(self) -> dict[tuple[str, str], Path]:
        return {("a", "gen"): self.root / "samples" / "a" / "gen"}

    @property
    def models(self) -> dict[tuple[str, str], Path]:
        return {("a", "gen"): self.root / "generators" / "a" / "gen"}


def _records(names: list[str], labels: list[str], split: str) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "record": names,
            "patient": names,
            "label": labels,
            "split": split,
            "source": "a",
            "age": 60.0,
            "sex": "female",
            "codes": "",
        }
    )


def _predictions(setting: str, generator: str, fraction: float, skill: float) -> pd.DataFrame:
    frames = []
    truth = [CLASSES.index(label) for label in TEST_LABELS]
    for seed in SEEDS:
        rng = np.random.default_rng([seed, len(setting)])
        odds = rng.random((len(truth), len(CLASSES)))
        odds[np.arange(len(truth)), truth] += skill
        frame = _records([f"t{i}" for i in range(len(truth))], TEST_LABELS, "test")[["record", "patient", "label"]]
        frame = frame.assign(dataset="a", setting=setting, generator=generator, fraction=fraction, seed=seed)
        frame = frame.assign(ratio="all" if setting == "TrRSTeR" else "none", tested="a")
        frame[[f"p_{name}" for name in CLASSES]] = odds / odds.sum(axis=1, keepdims=True)
        frames.append(frame)
    return pd.concat(frames)


def _write_classifiers(root: Path) -> list[Path]:
    cells = [
        ("TrRTeR", "none", 0.2, 0.1),
        ("TrRTeR", "none", 1.0, 0.6),
        ("TrRSTeR", "gen", 0.2, 1.0),
        ("TrRSTeR", "gen", 1.0, 0.6),
        ("TrSTeR", "gen", 0.0, 0.0),
        ("frozen", "gen", 1.0, 0.3),
    ]
    path = root / "predictions.parquet"
    write_parquet(path, pd.concat([_predictions(*cell) for cell in cells]), {"classes": list(CLASSES)})
    rows = [
        {
            "dataset": "a",
            "setting": s,
            "generator": g,
            "fraction": f,
            "ratio": "all" if s == "TrRSTeR" else "none",
            "seed": seed,
            "n_real": 50 * f,
            "n_synthetic": 30,
        }
        for s, g, f, _ in cells
        for seed in SEEDS
    ]
    write_parquet(root / "training.parquet", pd.DataFrame(rows))
    return [path]


def _write_data(root: Path) -> None:
    rng = np.random.default_rng(0)
    records = pd.concat(
        [
            _records([f"t{i}" for i in range(len(TEST_LABELS))], TEST_LABELS, "test"),
            _records(["v<1>", "v2"], ["SVTAC", "SR"], "train"),
        ],
        ignore_index=True,
    )
    signals = rng.normal(0, 0.3, (len(records), 12, 1000)).astype(np.float32)
    save_dataset(root / "data" / "a", signals, records, SPEC)
    excluded = pd.DataFrame({"record": ["x", "y"], "reason": ["flat_lead", "flat_lead"]})
    write_parquet(root / "data" / "a" / "excluded.parquet", excluded)
    summary = {
        "read": 14,
        "kept": 12,
        "excluded": 2,
        "not_requested": 0,
        "outside_training_share": {},
        "losses": {"sentences": ["12 of 14 records were kept (86 %). Left out: 2 flat_lead (<b>x</b>: I)."]},
        "several_rhythms": {"records": 3, "rule": "the first is the label", "combinations": {"AFIB,SR": 3}},
    }
    write_json(root / "data" / "a" / "summary.json", summary)
    samples = _records(["s0", "s1", "s2"], list(CLASSES), "train")
    folder = root / "samples" / "a" / "gen"
    save_dataset(folder, rng.normal(0, 0.3, (3, 12, 1000)).astype(np.float32), samples, SPEC)
    history = pd.DataFrame(
        {"stage": ["one", "one"], "step": [10, 20], "train_loss": [1.0, 0.5], "validation_loss": [1.1, 0.6]}
    )
    write_parquet(root / "generators" / "a" / "gen" / "history.parquet", history)
    facts = {"draft": "beats", "records_without_draft": {"2 beats found, 3 needed": 3, "no beat for 6.0 s": 1}}
    write_json(root / "generators" / "a" / "gen" / "model.json", facts)


def study_config(**changes: object) -> Config:
    """Return a configuration of one simulated dataset and one generator."""
    raw: dict[str, object] = {
        "study": {"title": "Does <script>alert(1)</script> help?"},
        "datasets": ["a"],
        "dataset_settings": {"a": {"format": "ptbxl", "source": {"kind": "simulated", "records": 100, "seed": 1}}},
        "generators": ["gen"],
        "experiments": {"fractions": [0.2, 1.0], "transfer": {"fractions": [1.0]}, "seeds": list(SEEDS)},
        "statistics": {"bootstrap": 100},
    }
    return validate({**raw, **changes})


@pytest.fixture(scope="session")
def configure() -> Callable[..., Config]:
    """Return :func:`study_config`."""
    return study_config


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Return a small study that has run: augmentation helps at 20 %, there is no SVTAC among the test records."""
    root = tmp_path_factory.mktemp("results")
    config = study_config()
    _write_data(root)
    predictions = _write_classifiers(root)
    benchmark = root / "benchmarks" / "classify" / "a-real.jsonl"
    benchmark.parent.mkdir(parents=True)
    benchmark.write_text('{"s": 12.5, "cpu_time": "NA", "max_rss": "NA"}\n')
    experiments = config.experiments
    parameters = Parameters(
        statistics=config.statistics,
        settings=list(experiments.settings),
        baselines=list(experiments.baselines),
        repetitions=experiments.generator_repetitions,
        fractions=list(experiments.fractions),
        transfer=list(experiments.transfer.fractions),
        merged=[],
        partial=[],
        simulated=["a"],
        seed=config.seed,
    )
    found = Results(root, config)
    build_tables(
        parameters,
        predictions=predictions,
        trainings=[root / "training.parquet"],
        data=found.data,
        jobs=[(benchmark, root / "provenance.json")],
        out=found.tables,
    )
    return found
