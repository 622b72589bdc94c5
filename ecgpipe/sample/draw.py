"""Draw records from a trained generator, a chunk at a time, to disk."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel
from tqdm import tqdm

from ecgpipe.dataset import SignalSpec, save_records
from ecgpipe.generate.protocol import Generator
from ecgpipe.preprocess.arrays import signal_writer
from ecgpipe.preprocess.splits import stratified

log = logging.getLogger(__name__)

Labels = Literal["uniform", "training"]


def class_counts(number: int, weights: np.ndarray) -> np.ndarray:
    """Divide ``number`` records among classes in proportion to ``weights`` ``(K,)``, by largest remainder."""
    exact = number * weights / weights.sum()
    counts: np.ndarray = np.floor(exact).astype(np.int64)
    # A stable order of the remainders: of equals, the earlier class gets the record.
    first = np.argsort(-(exact - counts), kind="stable")[: number - counts.sum()]
    counts[first] += 1
    return counts


def sample_labels(number: int, weights: np.ndarray, seed: int) -> np.ndarray:
    """Return class ids ``(number,)``, int64, in proportion to ``weights`` and in random order."""
    labels = np.repeat(np.arange(len(weights), dtype=np.int64), class_counts(number, weights))
    return np.random.default_rng([seed, 1]).permutation(labels)


def record_seeds(number: int, seed: int) -> np.ndarray:
    """Return one seed a record, ``(number,)``, int64; the first do not depend on how many there are."""
    return (np.random.SeedSequence([seed, 2]).generate_state(number, np.uint64) >> np.uint64(1)).astype(np.int64)


def _chunks(number: int, first: int, size: int) -> Iterator[slice]:
    for start in range(first, number, size):
        yield slice(start, min(start + size, number))


def draw(
    generator: Generator,
    spec: SignalSpec,
    labels: np.ndarray,
    *,
    settings: BaseModel,
    seeds: np.ndarray,
    chunk: int,
    out: Path,
    state_dir: Path,
    device: str,
    identity: str = "",
) -> None:
    """Draw one record a label and write them to ``out``, an ``.npy`` of ``(n, 12, length)`` float32 mV.

    Args:
        generator: a trained one.
        spec: what its signals are.
        labels: class ids ``(n,)``.
        settings: an instance of the generator's ``SampleSettings``.
        seeds: one a record, ``(n,)``, int64.
        chunk: records drawn at a time; bounds memory, does not change what is drawn.
        out: file to write.
        state_dir: folder of what is drawn so far; a run that was killed goes on from there.
        device: where to compute.
        identity: any text that must be equal for earlier records to be taken up (the model's digest).

    Raises:
        ValueError: if the generator gives another shape, or numbers that are not finite.
    """
    shape = (len(spec.leads), spec.length)
    key = hashlib.sha256(
        json.dumps([identity, settings.model_dump(mode="json"), spec.to_json()], sort_keys=True).encode()
    )
    key.update(labels.astype("<i8").tobytes() + seeds.astype("<i8").tobytes())
    part = state_dir / f"samples-{key.hexdigest()[:20]}.f32"
    part.parent.mkdir(parents=True, exist_ok=True)
    size = 4 * shape[0] * shape[1]
    with open(part, "ab") as handle:
        # A record counts as drawn when all its bytes are there.
        done = handle.tell() // size
        handle.truncate(done * size)
        if done:
            log.info("going on after %d records, found in %s", done, part)
        with tqdm(total=len(labels), initial=done, desc="sample", unit="record", disable=None) as bar:
            for rows in _chunks(len(labels), done, chunk):
                signals = generator.sample(labels[rows], settings=settings, seeds=seeds[rows], device=device)
                if signals.shape != (rows.stop - rows.start, *shape):
                    raise ValueError(
                        f"the generator gave signals of shape {signals.shape} instead of {(rows.stop - rows.start, *shape)}"
                    )
                if not np.isfinite(signals).all():
                    raise ValueError(
                        f"the generator gave numbers that are not finite, in records {rows.start} to {rows.stop - 1}: it is not trained well enough"
                    )
                handle.write(np.ascontiguousarray(signals, dtype="<f4").data)
                handle.flush()
                bar.update(len(signals))
    with open(part, "rb") as handle, signal_writer(out, shape) as writer:
        for rows in _chunks(len(labels), 0, 1024):
            number = rows.stop - rows.start
            writer.append(np.fromfile(handle, dtype="<f4", count=number * shape[0] * shape[1]).reshape(number, *shape))
    part.unlink()


def sample_dataset(
    generator: Generator,
    spec: SignalSpec,
    out: Path,
    *,
    name: str,
    number: int,
    weights: np.ndarray,
    settings: BaseModel,
    seed: int,
    chunk: int,
    state_dir: Path,
    device: str,
    identity: str = "",
) -> None:
    """Draw a synthetic set: a dataset whose table also says generator, seed, sampler, evaluations and guidance.

    Args:
        generator: a trained one.
        spec: what its signals are.
        out: folder of the dataset.
        name: the generator's name, for the table.
        number: records to draw.
        weights: ``(K,)``, how often each class is drawn; any scale.
        settings: an instance of the generator's ``SampleSettings``.
        seed: of labels, split and noise.
        chunk, state_dir, device, identity: see :func:`draw`.

    Raises:
        ValueError: see :func:`draw`.
    """
    ids = sample_labels(number, weights, seed)
    seeds = record_seeds(number, seed)
    draw(
        generator,
        spec,
        ids,
        settings=settings,
        seeds=seeds,
        chunk=chunk,
        out=out / "signals.npy",
        state_dir=state_dir,
        device=device,
        identity=identity,
    )
    records = [f"s{i:06d}" for i in range(1, number + 1)]
    labels = [spec.classes[i] for i in ids]
    table = pd.DataFrame(
        {
            "record": records,
            "patient": records,
            "label": labels,
            "split": stratified(records, labels, seed),
            "source": name,
            "age": np.nan,
            "sex": "unknown",
            "codes": "",
            "generator": name,
            "seed": seeds,
            "sampler": pd.Series([getattr(settings, "sampler", None)] * number, dtype="string"),
            "evaluations": pd.Series([getattr(settings, "evaluations", None)] * number, dtype="Int64"),
            "guidance": pd.Series([getattr(settings, "guidance", None)] * number, dtype="Float64"),
        }
    )
    save_records(out, table, spec)
