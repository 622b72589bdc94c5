"""Draw the synthetic set of one trained generator: what the workflow calls."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ecgpipe.dataset import Dataset
from ecgpipe.files import sha256
from ecgpipe.generate.base import load_generator
from ecgpipe.generate.registry import parse_settings
from ecgpipe.generate.training import pick_device
from ecgpipe.sample.draw import Labels, sample_dataset

log = logging.getLogger(__name__)


def draw_samples(
    model_folder: str | Path,
    data_folder: str | Path,
    out_folder: str | Path,
    *,
    name: str,
    sample: dict[str, Any],
    number: int,
    labels: Labels,
    chunk: int,
    seed: int,
    device: str,
    threads: int,
    state_dir: str | Path,
) -> None:
    """Draw a synthetic set, and write ``signals.npy`` and ``records.parquet``.

    Args:
        model_folder: what :func:`ecgpipe.generate.run.train_generator` wrote.
        data_folder: the dataset the generator was trained on; its training split gives the ``training`` frequencies.
        out_folder: gets the two files.
        name: the generator's name in the configuration.
        sample: its ``sample`` section.
        number: records to draw.
        labels: ``uniform`` over the classes that have a training record, or with the ``training`` split's frequencies.
        chunk: records drawn at a time.
        seed: of labels, split and noise.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``.
        threads: threads of torch on the CPU.
        state_dir: folder of what is drawn so far, this job's own. Removed at the end.

    Raises:
        GeneratorError: if the generator's class cannot be had or the settings are wrong.
        ModelFileError: if the model's files are damaged, or it is for other classes, leads, rate or length than the dataset's.
    """
    torch.set_num_threads(threads)
    dataset = Dataset.load(data_folder)
    generator = load_generator(name, Path(model_folder), dataset.spec)
    settings = parse_settings(name, generator.SampleSettings, sample, "sample")
    classes = len(dataset.spec.classes)
    counts = np.bincount(dataset.labels[dataset.indices("train")], minlength=classes)
    weights = (counts > 0).astype(np.float64) if labels == "uniform" else counts
    if absent := [label for label, count in zip(dataset.spec.classes, counts, strict=True) if count == 0]:
        log.warning("no sample of %s is drawn: %s has no training record of it", ", ".join(absent), data_folder)
    sample_dataset(
        generator,
        dataset.spec,
        Path(out_folder),
        name=name,
        number=number,
        weights=weights,
        settings=settings,
        seed=seed,
        chunk=chunk,
        state_dir=Path(state_dir),
        device=pick_device(device),
        identity=sha256(Path(model_folder) / "model.safetensors"),
    )
    shutil.rmtree(state_dir, ignore_errors=True)
