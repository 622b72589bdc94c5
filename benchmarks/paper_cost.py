"""What `configs/paper.yaml` would take on a CPU core and on a GPU, and what of a classifier's training could be saved.

    python benchmarks/paper_cost.py                              # CPU: some minutes
    python benchmarks/paper_cost.py --gpu docs/data/device.csv   # takes over what device.py measured on a GPU
    python benchmarks/paper_cost.py --render                     # writes the section of docs/statistics.md again

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

CSV = DATA / "paper_cost.csv"
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
COLUMNS = ["device", "kind", "name", "stage", "way", "batch", "records_per_second"]
BATCHES = {"diffwave": (1, 3), "time_diffusion": (4, 16), "time_vqvae": (16, 64)}
"""Records of the two batches that are timed in training."""
DRAWN = (2, 6)
"""Records of the two draws that are timed."""
RECORDS, STEPS, SECONDS = 512, 3, 20
CPU = torch.device("cpu")


def rate(work: Callable[[], object], records: int, times: int = STEPS) -> float:
    """Return records a CPU second of some calls, after one that does not count; no more calls after twenty seconds."""
    work()
    started, done = time.process_time(), 0
    while done < times and (done == 0 or time.process_time() - started < SECONDS):
        work()
        done += 1
    return done * records / (time.process_time() - started)


def per_record(seconds_of: Callable[[int], float], sizes: tuple[int, int], number: int) -> float:
    """Return the seconds per record of a batch of ``number`` records, on the line through two smaller batches.

    A batch has a part that does not grow with it, as the kernels of S4; whole batches of the presets need gigabytes.
    """
    small, large = (seconds_of(size) for size in sizes)
    each = (large - small) / (sizes[1] - sizes[0])
    return each + max(0.0, small - sizes[0] * each) / number


def generator_rows(name: str, config: Config, noise: Dataset) -> list[dict[str, object]]:
    """Time the steps of each stage of a generator's training, and its sampling, with few evaluations."""
    cls: Any = load_class(name, None)
    entry, rows = config.generator_settings[name], []
    settings = {**entry.train, **({"reconstruction_bound": 1e9} if name == "time_vqvae" else {})}
    generator = cls(cls.Settings.model_validate(settings), noise.spec)

    def timed(module: Any, loss: Any, train: Any, validation: Any, settings: Any, **given: Any) -> pd.DataFrame:
        stage, seed = given.get("stage", "train"), given["seed"]

        def seconds_of(size: int) -> float:
            smaller = settings.model_copy(update={"batch": size})
            with training._fork_rng(CPU):
                trainer = training._Trainer(
                    module, loss, train, validation, smaller, seed=seed, device=CPU, stage=stage
                )
                return 1 / rate(trainer.step, 1)

        found = 1 / per_record(seconds_of, BATCHES[name], settings.batch)
        row = {"kind": "training", "name": name, "stage": stage, "batch": settings.batch}
        rows.append({**row, "records_per_second": found})
        module.eval()
        return pd.DataFrame({"stage": [stage]})

    with mock.patch.object(training, "train", timed), tempfile.TemporaryDirectory() as state:
        train, validation = (Signals.of(noise, split) for split in ("train", "validation"))
        generator.fit(train, validation, seed=1, state_dir=Path(state), device="cpu", progress=False)
    evaluations = entry.sample.get("evaluations")
    few = {} if evaluations is None else {"evaluations": 2}
    drawing = cls.SampleSettings.model_validate({**entry.sample, **few})

    def drawn(size: int) -> float:
        labels, seeds = np.zeros(size, dtype=np.int64), np.arange(size)
        work = lambda: generator.sample(labels, settings=drawing, seeds=seeds, device="cpu")  # noqa: E731
        return 1 / rate(work, 1, 1)

    each = per_record(drawn, DRAWN, config.samples.chunk) * (evaluations / 2 if evaluations else 1)
    row = {"kind": "sampling", "name": name, "batch": config.samples.chunk, "records_per_second": 1 / each}
    return [*rows, row]


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
        noise = _noise(Path(folder) / "noise", 100, 1000, 64)
        for name in config.generators:
            rows += generator_rows(name, config, noise)
            print(pd.DataFrame(rows).to_string(), flush=True)
    return pd.DataFrame(rows).assign(device="cpu").reindex(columns=COLUMNS)


def from_device(found: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `device.py` that are about this study, as those of this benchmark."""
    kinds = ("machine", "training", "sampling", "classifier", "repetitions")
    about = found["kind"].isin(kinds) & found["preset"].fillna("paper").isin(["paper"])
    rows = found[about & ((found["kind"] == "machine") | found["records_per_second"].notna())]
    return rows.assign(device="gpu").reindex(columns=COLUMNS)


def paper_hours(rates: pd.DataFrame, config: Config) -> pd.Series:
    """Return the hours of each part of the study on one device, by its fastest arithmetic where several were timed.

    A generator is trained on each dataset with records of its own; the merged set's samples are the union.
    """
    own = [name for name in config.datasets if config.dataset_settings[name].merge is None]
    hours: dict[str, float] = {}
    for name in config.generators:
        cls: Any = load_class(name, None)
        settings = cls.Settings.model_validate(config.generator_settings[name].train)
        mine, seconds = rates[(rates["kind"] == "training") & (rates["name"] == name)], 0.0
        for stage, rows in mine.groupby("stage", sort=False):
            about: Any = _of_stage(settings, str(stage)) or settings
            seconds += about.steps * about.batch / rows.loc[rows["batch"] == about.batch, "records_per_second"].max()
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


def render(found: pd.DataFrame, config: Config) -> str:
    """Return the section.

    Args:
        found: rows of both devices.
        config: the study.
    """
    parts = dict(iter(found.groupby("device")))
    names = {device: rows.loc[rows["kind"] == "machine", "name"].iloc[0] for device, rows in parts.items()}
    titles = {"cpu": "one CPU core", "gpu": f"one {names.get('gpu')}"}
    columns = {titles[device]: paper_hours(rows, config) for device, rows in parts.items()}
    lines = [
        [part, *(f"{hours[part]:,.1f}" for hours in columns.values())] for part in next(iter(columns.values())).index
    ]
    lines.append(["in all", *(f"{hours.sum():,.0f}" for hours in columns.values())])
    shares = [[titles[device], *line] for device, rows in parts.items() for line in _shares(rows, config)]
    heads = ["device", "classifier", "steps, minutes", "records read for each batch", "validations", PREPARED]
    return (
        f"Hours of each part, without preprocessing, closeness and tables. CPU: {names['cpu']}; CPU seconds of one "
        f"thread of a few steps, times their number. Classifiers stop early after {EPOCHS} epochs.\n\n"
        + markdown_table(["part", *columns], lines)
        + f"\nA training on the full set ({EPOCHS} epochs, records kept on the device), and what comes on top of its "
        "steps:\n\n" + markdown_table(heads, shares) + _stacked(found)
    )


def _stacked(found: pd.DataFrame) -> str:
    """Say what repetitions stacked on a GPU would gain."""
    rates = found[found["kind"] == "repetitions"].pivot_table(index="name", columns="way", values="records_per_second")
    if rates.empty:
        return ""
    gains = rates["together"] / rates["one after another"]
    return (
        f"\nRepetitions trained together, as one stack, take {gains.min():.0f} to {gains.max():.0f} times as many "
        "records a second on the GPU as one after another ([performance](performance.md)). The hours above are of "
        "trainings one after another.\n"
    )


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--gpu", type=Path, help="CSV of device.py, of a run on a GPU")
    args = arguments.parse_args()
    config = load(PAPER)
    if not args.render:
        new = measure(config) if args.gpu is None else from_device(pd.read_csv(args.gpu))
        old = pd.read_csv(CSV) if CSV.exists() else pd.DataFrame(columns=COLUMNS)
        kept = old[~old["device"].isin(new["device"])]
        pd.concat([part for part in (kept, new) if len(part)]).sort_values("device", kind="stable").to_csv(
            CSV, index=False, float_format="%.6g"
        )
    write_section(DOCUMENT, "paper-cost", render(pd.read_csv(CSV), config))


if __name__ == "__main__":
    main()
