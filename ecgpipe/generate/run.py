"""Train one generator on one dataset: the function that the workflow calls."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import Any

import torch

from ecgpipe.dataset import Dataset
from ecgpipe.files import write_parquet
from ecgpipe.generate import distributed
from ecgpipe.generate.base import absent_classes
from ecgpipe.generate.protocol import Signals
from ecgpipe.generate.registry import load_class, parse_settings
from ecgpipe.generate.training import pick_device

log = logging.getLogger(__name__)


def train_generator(
    name: str,
    class_path: str | None,
    train_settings: dict[str, Any],
    data_folder: str | Path,
    out_folder: str | Path,
    *,
    seed: int,
    device: str,
    threads: int,
    state_dir: str | Path,
) -> None:
    """Fit a generator to the training split, and write ``model.safetensors``, ``model.json`` and ``history.parquet``.

    The validation split is used for the validation loss only, the test split not at all.

    Args:
        name: the generator's name in the configuration.
        class_path: dotted path of its class, None for the generator of that name in this package.
        train_settings: its ``train`` section.
        data_folder: a dataset.
        out_folder: gets the three files.
        seed: of everything random.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``; in a job of several processes each takes the GPU of its number.
        threads: threads of torch on the CPU.
        state_dir: folder of checkpoints, this training's own; a training that was killed goes on from there. Removed at
            the end.

    Raises:
        GeneratorError: if the class cannot be had or the settings are wrong.
        ValueError: if the data cannot be used.
        TrainingError: if training fails.
    """
    found = load_class(name, class_path)
    settings = parse_settings(name, found.Settings, train_settings, "train")
    torch.set_num_threads(threads)
    dataset = Dataset.load(data_folder)
    train, validation = Signals.of(dataset, "train"), Signals.of(dataset, "validation")
    if absent := absent_classes(train):
        log.warning("%s has no training record of %s: %s cannot draw these", data_folder, ", ".join(absent), name)
    with distributed.process_group(pick_device(device)) as where:
        log.info(
            "training %s on %d records (%d to validate) of %s, on %s (process %d of %d)",
            *(name, len(train), len(validation), data_folder, where, distributed.rank() + 1, distributed.world_size()),
        )
        generator = found(settings, dataset.spec)
        history = generator.fit(train, validation, seed=seed, state_dir=Path(state_dir), device=where, progress=True)
        if distributed.rank() == 0:
            generator.save(Path(out_folder))
            write_parquet(Path(out_folder) / "history.parquet", history)
            shutil.rmtree(state_dir, ignore_errors=True)
