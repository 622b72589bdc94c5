"""How fast this machine trains and draws: a few steps of every network of a study, on made-up beats in noise."""

from __future__ import annotations

import logging
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from pydantic import BaseModel

from ecgpipe.classify.experiments import Experiment
from ecgpipe.classify.run import run_real
from ecgpipe.config import AnyClassifier, GeneratorSettings
from ecgpipe.dataset import Dataset, SignalSpec, save_dataset
from ecgpipe.generate.protocol import Signals
from ecgpipe.generate.registry import load_class, parse_settings
from ecgpipe.generate.training import pick_device

log = logging.getLogger(__name__)

CLASSES = ("a", "b")
STEPS = 6
"""Training steps that are timed; the first half warms up and does not count."""
RECORDS = 4
"""Records that are drawn to time sampling."""


@dataclass(frozen=True)
class GeneratorSpeed:
    """Seconds that one generator takes.

    Attributes:
        training: of a whole training, all stages.
        record: to draw one record.
    """

    training: float
    record: float


def _pulses(rate: float, length: int) -> np.ndarray:
    """Return narrow waves ``(length,)``, one every 0.8 s: generators with drafts look for beats."""
    away = (np.arange(length) / rate - 0.4) % 0.8
    return np.asarray(10 * np.exp(-0.5 * (np.minimum(away, 0.8 - away) / 0.02) ** 2), dtype=np.float32)


def _noise(folder: Path, rate: float, length: int, batch: int) -> Dataset:
    """Write a dataset of beats in noise whose training split fills a batch; return it."""
    numbers = {"train": max(batch, 16), "validation": 8, "test": 8}
    splits = [split for split, number in numbers.items() for _ in range(number)]
    number = len(splits)
    names = [f"n{i}" for i in range(number)]
    records = pd.DataFrame(
        {
            "record": names,
            "patient": names,
            "label": [CLASSES[i % 2] for i in range(number)],
            "split": splits,
            "source": "noise",
            "age": np.nan,
            "sex": "unknown",
            "codes": "",
        }
    )
    signals = np.random.default_rng(0).standard_normal((number, 12, length), dtype=np.float32) + _pulses(rate, length)
    save_dataset(folder, signals, records, SignalSpec(rate, length, CLASSES))
    return Dataset.load(folder)


def _short(settings: BaseModel) -> BaseModel:
    """Return settings of a training, in all its stages, of :data:`STEPS` steps, validated in the middle."""
    short: dict[str, Any] = {"steps": STEPS, "warmup": 0, "validate_every": STEPS // 2, "patience": None}
    short["reconstruction_bound"] = 1e9  # what so few steps on noise give is no reason to stop
    update: dict[str, Any] = {}
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, BaseModel):
            update[name] = _short(value)
        elif name in short:
            update[name] = short[name]
    return settings.model_copy(update=update)


def _most(settings: BaseModel, field: str) -> int:
    """Return the largest value of a field over all stages, 1 if there is none."""
    inner: list[int] = [
        _most(v, field) for name in type(settings).model_fields if isinstance(v := getattr(settings, name), BaseModel)
    ]
    return max(1, int(getattr(settings, field, 1)), *inner)


def _of_stage(settings: BaseModel, stage: str) -> BaseModel | None:
    """Return the settings of a stage, at any depth."""
    inner = {n: v for n in type(settings).model_fields if isinstance(v := getattr(settings, n), BaseModel)}
    if stage in inner:
        return inner[stage]
    return next((found for value in inner.values() if (found := _of_stage(value, stage))), None)


def generator_speed(name: str, given: GeneratorSettings, rate: float, length: int, threads: int) -> GeneratorSpeed:
    """Time a few steps and draws of a generator on this machine's GPU, or its CPU if there is none.

    Args:
        name: the generator's name in the configuration.
        given: its settings there.
        rate: sampling rate in Hz.
        length: samples a record.
        threads: of a job; this process keeps them.
    """
    torch.set_num_threads(threads)
    found = load_class(name, given.class_)
    settings = parse_settings(name, found.Settings, given.train, "train")
    drawing = parse_settings(name, found.SampleSettings, given.sample, "sample")
    device = pick_device("auto")
    with tempfile.TemporaryDirectory() as folder:
        noise = _noise(Path(folder) / "noise", rate, length, _most(settings, "batch"))
        generator = found(_short(settings), noise.spec)
        started = time.perf_counter()
        history = generator.fit(
            Signals.of(noise, "train"),
            Signals.of(noise, "validation"),
            seed=0,
            state_dir=Path(folder) / "state",
            device=device,
            progress=False,
        )
        training = time.perf_counter() - started  # of a generator without steps, this is all
        if "step" in history and (history["step"] == STEPS).any():
            training = 0.0
            for stage, rows in history.groupby("stage"):
                seconds = rows.set_index("step")["seconds"]
                each = (seconds[STEPS] - seconds[STEPS // 2]) / (STEPS - STEPS // 2)
                training += float(each) * getattr(_of_stage(settings, str(stage)) or settings, "steps", STEPS)
        labels, seeds = np.zeros(RECORDS, dtype=np.int64), np.arange(RECORDS, dtype=np.int64)
        generator.sample(labels[:1], settings=drawing, seeds=seeds[:1], device=device)
        started = time.perf_counter()
        generator.sample(labels, settings=drawing, seeds=seeds, device=device)
        return GeneratorSpeed(training, (time.perf_counter() - started) / RECORDS)


def classifier_seconds(
    settings: AnyClassifier,
    rate: float,
    length: int,
    records: int,
    seeds: int = 1,
    stacked: int | None = None,
) -> float:
    """Time a few steps of a classifier; return the seconds of one whole training, at most.

    Args:
        settings: the network and its training; one that may stop early is counted to its last epoch.
        rate: sampling rate in Hz.
        length: samples a record.
        records: training records.
        seeds: trainings that differ in the seed alone, of which some are done together.
        stacked: how many, as in the configuration.
    """
    wanted = settings.steps or settings.epochs * -(-records // settings.batch)
    short = settings.model_copy(update={"steps": 10 * STEPS})
    with tempfile.TemporaryDirectory() as folder:
        _noise(Path(folder) / "noise", rate, length, settings.batch)
        data, out, state = (Path(folder) / name for name in ("noise", "out", "state"))
        one = Experiment(data, out, short, [1.0], [0], state, pick_device("auto"), stacked=stacked)
        run_real(replace(one, seeds=range(min(seeds, one.stack_size))))
        measured = pd.read_parquet(out / "training.parquet")["seconds"].mean()
    return float(measured) * wanted / (10 * STEPS)
