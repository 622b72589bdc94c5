"""What `configs/paper.yaml` would take on a CPU core and on a GPU, and what of a classifier's training could be saved.

    python benchmarks/paper_cost.py            # CPU: some minutes; GPU: what device.py measured, if it has
    python benchmarks/paper_cost.py --render   # writes the section of docs/statistics.md again

Times are CPU seconds of one thread for a few steps, passes and evaluations, so that other work on the machine hardly
matters. The generators are those of the preset `paper`; records are noise, which takes as long as ECGs.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd
import torch
from matrix import PUBLISHED, training_hours, trainings
from measuring import DATA, DOCS, ROOT, machine, markdown_table, parser, write_section

from ecgpipe.arrays import SignalReader
from ecgpipe.classify.inputs import InMemory, Inputs, Selection, Standardizer, Streamed, standardized
from ecgpipe.classify.training import build, fit, mean_loss
from ecgpipe.config import Config, load
from ecgpipe.dataset import Dataset, SignalSpec
from ecgpipe.generate import training
from ecgpipe.generate.protocol import Signals
from ecgpipe.generate.registry import load_class
from ecgpipe.workflow.calibrate import _noise, _of_stage
from ecgpipe.workflow.study import Study

CSV, DEVICE_CSV = DATA / "paper_cost.csv", DATA / "device.csv"
PAPER = ROOT / "configs" / "paper.yaml"
DOCUMENT = DOCS / "statistics.md"
EPOCHS = 40
"""Until the early stop; see matrix.py."""
KEPT, READ, VALIDATION, PREPARED = (
    "records on the device",
    "records read for each batch",
    "validation",
    "z-score and copying",
)
"""What is timed of a classifier."""
COLUMNS = ["kind", "name", "stage", "way", "batch", "records_per_second"]
BATCHES = {"diffwave": 2, "time_diffusion": 16, "time_vqvae": 64}
"""Records of the timed steps, at most: a core takes as long for each of more records, which need gigabytes."""
RECORDS, DRAWN, STEPS, SECONDS = 512, 2, 3, 20
CPU = torch.device("cpu")


def rate(work: Callable[[], object], records: int, times: int = STEPS) -> float:
    """Return records a CPU second of some calls, after one that does not count; no more calls after twenty seconds."""
    work()
    started, done = time.process_time(), 0
    while done < times and (done == 0 or time.process_time() - started < SECONDS):
        work()
        done += 1
    return done * records / (time.process_time() - started)


def generator_rows(name: str, config: Config, noise: Dataset) -> list[dict[str, object]]:
    """Time the steps of each stage of a generator's training, and its sampling, with few evaluations."""
    cls: Any = load_class(name, None)
    entry, rows = config.generator_settings[name], []
    settings = {**entry.train, **({"reconstruction_bound": 1e9} if name == "time_vqvae" else {})}
    generator = cls(cls.Settings.model_validate(settings), noise.spec)

    def timed(module: Any, loss: Any, train: Any, validation: Any, settings: Any, **given: Any) -> pd.DataFrame:
        stage, seed = given.get("stage", "train"), given["seed"]
        batch = min(settings.batch, BATCHES[name])
        settings = settings.model_copy(update={"batch": batch})
        with training._fork_rng(CPU):
            trainer = training._Trainer(module, loss, train, validation, settings, seed=seed, device=CPU, stage=stage)
            found = rate(trainer.step, batch)
        rows.append({"kind": "training", "name": name, "stage": stage, "batch": batch, "records_per_second": found})
        module.eval()
        return pd.DataFrame({"stage": [stage]})

    with mock.patch.object(training, "train", timed), tempfile.TemporaryDirectory() as state:
        train, validation = (Signals.of(noise, split) for split in ("train", "validation"))
        generator.fit(train, validation, seed=1, state_dir=Path(state), device="cpu", progress=False)
    evaluations = entry.sample.get("evaluations")
    few = {} if evaluations is None else {"evaluations": 2}
    drawing = cls.SampleSettings.model_validate({**entry.sample, **few})

    def draw() -> None:
        generator.sample(np.zeros(DRAWN, dtype=np.int64), settings=drawing, seeds=np.arange(DRAWN), device="cpu")

    drawn = rate(draw, DRAWN, 1) * (2 / evaluations if evaluations else 1)
    return [*rows, {"kind": "sampling", "name": name, "batch": DRAWN, "records_per_second": drawn}]


def classifier_rows(name: str, config: Config, folder: Path) -> list[dict[str, object]]:
    """Time the parts of a classifier's training: steps with both ways to read, validation, z-score and copying."""
    settings = config.classifiers[name].model_copy(update={"patience": 1000})
    spec = SignalSpec(100.0, 1000, tuple("ABCDEFG"))
    path = folder / "signals.npy"
    if not path.exists():
        np.save(path, np.random.default_rng(0).standard_normal((RECORDS, 12, 1000), dtype=np.float32))
    signals = SignalReader.of(np.load(path, mmap_mode="r"))
    records = Selection(signals, np.arange(RECORDS) % 7)

    def prepare() -> tuple[Standardizer, Inputs]:
        standardizer = Standardizer.fit(records)
        return standardizer, standardized(records, standardizer, CPU)

    standardizer, kept = prepare()
    assert isinstance(kept, InMemory)
    few = InMemory(kept.values[:1], kept.labels[:1])

    def train(inputs: Inputs) -> Callable[[], object]:
        chosen = settings.model_copy(update={"steps": RECORDS // settings.batch})
        return lambda: fit(build(spec, chosen, 0), inputs, few, chosen, 0, CPU)

    seen = RECORDS // settings.batch * settings.batch
    network = build(spec, settings, 0)
    found = {
        KEPT: rate(train(kept), seen),
        READ: rate(train(Streamed(records, standardizer, kept.labels)), seen),
        VALIDATION: rate(lambda: mean_loss(network, kept), RECORDS),
        PREPARED: rate(prepare, RECORDS),
    }
    return [
        {"kind": "classifier", "name": name, "way": way, "batch": settings.batch, "records_per_second": value}
        for way, value in found.items()
    ]


def measure(config: Config) -> pd.DataFrame:
    """Time everything on one thread of the CPU."""
    torch.set_num_threads(1)
    rows: list[dict[str, object]] = [{"kind": "machine", "name": machine(), "stage": f"torch {torch.__version__}"}]
    with tempfile.TemporaryDirectory() as folder:
        for name in ("ptbxl", "chapman"):
            rows += classifier_rows(name, config, Path(folder))
        noise = _noise(Path(folder) / "noise", 100, 1000, max(BATCHES.values()))
        for name in config.generators:
            rows += generator_rows(name, config, noise)
            print(pd.DataFrame(rows).to_string(), flush=True)
    return pd.DataFrame(rows, columns=COLUMNS)


def paper_hours(found: pd.DataFrame, config: Config) -> pd.Series:
    """Return the hours of each part of the study, from rows of this benchmark or of `device.py`.

    A generator is trained on each dataset with records of its own; the merged set's samples are the union.
    """
    best = found.sort_values("records_per_second").groupby(["kind", "name", "stage", "way"], dropna=False).last()
    rates = best.reset_index()
    own = [name for name in config.datasets if config.dataset_settings[name].merge is None]
    hours: dict[str, float] = {}
    for name in config.generators:
        settings: Any = load_class(name, None)
        settings = settings.Settings.model_validate(config.generator_settings[name].train)
        mine = rates[(rates["kind"] == "training") & (rates["name"] == name)]
        mine = mine.groupby("stage", sort=False)["records_per_second"].max()
        stages = [(_of_stage(settings, str(stage)) or settings, value) for stage, value in mine.items()]
        seconds = sum(stage.steps * stage.batch / value for stage, value in stages)  # type: ignore[attr-defined]
        hours[f"training `{name}`"] = len(own) * seconds / 3600
        drawn = rates[(rates["kind"] == "sampling") & (rates["name"] == name)]["records_per_second"]
        hours[f"drawing from `{name}`"] = len(own) * config.samples.number / drawn.max() / 3600
    study = Study(config, ROOT / "workflow_scripts")
    speeds = rates[rates["kind"] == "classifier"].set_index(["name", "way"])["records_per_second"]
    parts = []
    for dataset in config.datasets:
        name = config.dataset_settings[dataset].classifier
        table = trainings(config, study, dataset, {key: size[0] for key, size in PUBLISHED.items()})
        step, look = (1 / speeds[name, way] for way in (KEPT, VALIDATION))
        table["hours"] = training_hours(table, config.classifiers[name], step, look, PUBLISHED[dataset][1], EPOCHS)
        parts.append(table)
    each = pd.concat(parts).groupby("experiment", sort=False)[["trainings", "hours"]].sum()
    for experiment, row in each.iterrows():
        hours[f"classifiers, {experiment} ({row['trainings']:,.0f} trainings)"] = row["hours"]
    return pd.Series(hours)


def _shares(found: pd.DataFrame, config: Config) -> list[list[str]]:
    """Return what each part of a training on all of PTB-XL or Chapman costs, in per cent of its steps."""
    speeds = found[found["kind"] == "classifier"].set_index(["name", "way"])["records_per_second"]
    lines = []
    for name in ("ptbxl", "chapman"):
        records, validation = PUBLISHED[name]
        if (name, KEPT) not in speeds.index:
            continue
        steps = EPOCHS * records / speeds[name, KEPT]
        prepared = speeds.get((name, PREPARED), np.nan)
        parts = {
            "read": EPOCHS * records / speeds[name, READ] - steps,
            "validated": EPOCHS * validation / speeds[name, VALIDATION],
            "prepared": (records + 2 * validation) / prepared,
        }
        cells = ["not measured" if np.isnan(value) else f"{100 * value / steps:+.1f} %" for value in parts.values()]
        lines.append([f"`{name}`", f"{steps / 60:,.0f}", *cells])
    return lines


def render(cpu: pd.DataFrame, gpu: pd.DataFrame | None, config: Config) -> str:
    """Return the section.

    Args:
        cpu: rows of this benchmark.
        gpu: rows of `device.py`; None if it was not run.
        config: the study.
    """
    devices = {"one CPU core": cpu, **({} if gpu is None else {_device(gpu): gpu})}
    columns = {name: paper_hours(found, config) for name, found in devices.items()}
    names = list(columns["one CPU core"].index)
    lines = [[name, *(f"{hours[name]:,.1f}" for hours in columns.values())] for name in names]
    lines.append(["in all", *(f"{hours.sum():,.0f}" for hours in columns.values())])
    shares = [[device, *line] for device, found in devices.items() for line in _shares(found, config)]
    heads = [
        "device",
        "classifier",
        "steps, minutes",
        "records read for each batch",
        "validations",
        "z-score and copying",
    ]
    return (
        "Hours of each part, without preprocessing, closeness and tables, on "
        f"{cpu[cpu['kind'] == 'machine'].iloc[0]['name']}: CPU seconds of one thread of a few steps, times their "
        f"number. Classifiers stop early after {EPOCHS} epochs.\n\n"
        + markdown_table(["part", *columns], lines)
        + f"\nA training on the full set ({EPOCHS} epochs, records kept on the device), and what comes on top of its "
        "steps:\n\n" + markdown_table(heads, shares)
    )


def _device(found: pd.DataFrame) -> str:
    return f"one {found[found['kind'] == 'machine'].iloc[0]['name']}"


def main() -> None:
    args = parser(__doc__).parse_args()
    config = load(PAPER)
    if not args.render:
        measure(config).to_csv(CSV, index=False, float_format="%.6g")
    gpu = pd.read_csv(DEVICE_CSV) if DEVICE_CSV.exists() else None
    write_section(DOCUMENT, "paper-cost", render(pd.read_csv(CSV), gpu, config))


if __name__ == "__main__":
    main()
