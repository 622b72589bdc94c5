"""Draw the synthetic set of one trained generator: what the workflow calls."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from ecgpipe.dataset import Dataset, save_records
from ecgpipe.files import sha256
from ecgpipe.generate import distributed
from ecgpipe.generate.base import load_generator
from ecgpipe.generate.registry import parse_settings
from ecgpipe.generate.training import pick_device
from ecgpipe.sample.draw import class_counts, draw, record_seeds, sample_labels, synthetic_records

log = logging.getLogger(__name__)

Labels = Literal["uniform", "training"] | Mapping[str, int]


def counts_of_classes(dataset: Dataset, number: int, labels: Labels) -> np.ndarray:
    """Return how many records of each class to draw, ``(K,)``, for a generator trained on ``dataset``.

    Args:
        dataset: its training split says which classes can be drawn, and how frequent each is.
        number: records in all; not used if ``labels`` gives them by class.
        labels: ``uniform`` over the classes that have a training record, with the ``training`` split's frequencies, or
            the number of each class.

    Raises:
        ValueError: if ``labels`` names a class that the dataset does not have, or has no training record of.
    """
    classes = dataset.spec.classes
    trained = np.bincount(dataset.labels[dataset.indices("train")], minlength=len(classes))
    absent = [label for label, count in zip(classes, trained, strict=True) if count == 0]
    if not isinstance(labels, str):
        if unknown := [label for label in labels if label not in classes]:
            raise ValueError(f"`samples.counts`: no class {', '.join(unknown)}; there are {', '.join(classes)}")
        if wanted := [label for label in absent if labels.get(label)]:
            raise ValueError(
                f"`samples.counts`: the generator saw no training record of {', '.join(wanted)}; "
                "set 0 or leave them out"
            )
        return np.array([labels.get(label, 0) for label in classes], dtype=np.int64)
    if absent:
        log.warning("no sample of %s is drawn: there is no training record", ", ".join(absent))
    return class_counts(number, (trained > 0).astype(np.float64) if labels == "uniform" else trained)


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
        data_folder: the dataset the generator was trained on.
        out_folder: gets the two files.
        name: the generator's name in the configuration.
        sample: its ``sample`` section.
        number, labels: see :func:`counts_of_classes`.
        chunk: see :func:`ecgpipe.sample.draw.draw`.
        seed: of labels, split and noise.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``; in a job of several processes each takes the GPU of its number.
        threads: threads of torch on the CPU.
        state_dir: folder of what is drawn so far, this job's own. Removed at the end.

    Raises:
        GeneratorError: if the generator's class cannot be had or the settings are wrong.
        ModelFileError: if the model's files are damaged, or it is for other classes, leads, rate or length than the
            dataset's.
        ValueError: if a class is asked for that the generator does not know, or what it gives cannot be used.
    """
    torch.set_num_threads(threads)
    dataset = Dataset.load(data_folder)
    generator = load_generator(name, Path(model_folder), dataset.spec)
    settings = parse_settings(name, generator.SampleSettings, sample, "sample")
    ids = sample_labels(counts_of_classes(dataset, number, labels), seed)
    seeds = record_seeds(len(ids), seed)
    with distributed.process_group(pick_device(device)) as where:
        draw(
            generator,
            dataset.spec,
            ids,
            settings=settings,
            seeds=seeds,
            chunk=chunk,
            out=Path(out_folder) / "signals.npy",
            state_dir=Path(state_dir),
            device=where,
            identity=sha256(Path(model_folder) / "model.safetensors"),
        )
        if distributed.rank() == 0:
            save_records(out_folder, synthetic_records(name, dataset.spec, ids, seeds, settings, seed), dataset.spec)
            shutil.rmtree(state_dir, ignore_errors=True)
