"""Draw records from a trained generator, a chunk at a time, to disk."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
from pydantic import BaseModel
from tqdm import tqdm

from ecgpipe import checkpoints
from ecgpipe.arrays import signal_writer
from ecgpipe.dataset import SignalSpec
from ecgpipe.generate import distributed
from ecgpipe.generate.protocol import Generator
from ecgpipe.preprocess.splits import stratified

log = logging.getLogger(__name__)


def class_counts(number: int, weights: np.ndarray) -> np.ndarray:
    """Divide ``number`` records among classes in proportion to ``weights`` ``(K,)``, by largest remainder."""
    exact = number * weights / weights.sum()
    counts: np.ndarray = np.floor(exact).astype(np.int64)
    # A stable order of the remainders: of equals, the earlier class gets the record.
    first = np.argsort(-(exact - counts), kind="stable")[: number - counts.sum()]
    counts[first] += 1
    return counts


def sample_labels(counts: np.ndarray, seed: int) -> np.ndarray:
    """Return class ids, int64, as many of each as ``counts`` ``(K,)`` says, in random order."""
    labels = np.repeat(np.arange(len(counts), dtype=np.int64), counts)
    return np.random.default_rng([seed, 1]).permutation(labels)


def record_seeds(number: int, seed: int) -> np.ndarray:
    """Return one seed a record, ``(number,)``, int64; the first do not depend on how many there are."""
    return (np.random.SeedSequence([seed, 2]).generate_state(number, np.uint64) >> np.uint64(1)).astype(np.int64)


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

    The processes of a job take chunks in turn, and the process of rank 0 writes ``out``. Where chunks begin depends
    neither on the number of processes nor on how often the job was killed, so that the bytes are the same.

    Args:
        generator: a trained one.
        spec: what its signals are.
        labels: class ids ``(n,)``.
        settings: an instance of the generator's ``SampleSettings``.
        seeds: one a record, ``(n,)``, int64.
        chunk: records drawn at a time; bounds memory. What is drawn depends on it in rounding at most.
        out: file to write.
        state_dir: folder of the chunks drawn so far; a run that was killed goes on from there.
        device: where to compute.
        identity: any text that must be equal for earlier chunks to be taken up (the model's digest).

    Raises:
        ValueError: if the generator gives another shape, or numbers that are not finite.
    """
    shape = (len(spec.leads), spec.length)
    facts = [identity, type(settings).__name__, settings.model_dump(mode="json"), spec.to_json(), chunk]
    key = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    key.update(labels.astype("<i8").tobytes() + seeds.astype("<i8").tobytes())
    folder = state_dir / f"samples-{key.hexdigest()[:20]}"
    starts = range(0, len(labels), chunk)
    parts = [folder / f"{start:08d}.npy" for start in starts]
    own = list(zip(starts, parts, strict=True))[distributed.rank() :: distributed.world_size()]
    there = checkpoints.versions(folder)
    todo = [(start, part) for start, part in own if next(checkpoints.sound(part, there), None) is None]
    if len(todo) < len(own):
        log.info("going on: %d of %d chunks are in %s", len(own) - len(todo), len(own), folder)
    for start, part in tqdm(todo, desc="sample", unit="chunk", disable=None if distributed.rank() == 0 else True):
        rows = slice(start, min(start + chunk, len(labels)))
        signals = generator.sample(labels[rows], settings=settings, seeds=seeds[rows], device=device)
        _check(signals, rows, shape)
        with checkpoints.writing(part) as temporary, open(temporary, "wb") as handle:
            np.save(handle, np.ascontiguousarray(signals, dtype="<f4"), allow_pickle=False)
    distributed.barrier()
    if distributed.rank() == 0:
        there = checkpoints.versions(folder)
        with signal_writer(out, shape) as writer:
            for part in parts:
                version = next(checkpoints.sound(part, there), None)
                if version is None:
                    raise ValueError(f"{part} was damaged since it was drawn: run again, which draws it again")
                writer.append(np.load(version, allow_pickle=False))
        shutil.rmtree(folder)


def _check(signals: np.ndarray, rows: slice, shape: tuple[int, int]) -> None:
    expected = (rows.stop - rows.start, *shape)
    if signals.shape != expected:
        raise ValueError(f"the generator gave signals of shape {signals.shape} instead of {expected}")
    if not np.isfinite(signals).all():
        raise ValueError(
            f"the generator gave numbers that are not finite, in records {rows.start} to {rows.stop - 1}: "
            "it is not trained well enough"
        )


def synthetic_records(
    name: str, spec: SignalSpec, ids: np.ndarray, seeds: np.ndarray, settings: BaseModel, split_seed: int
) -> pd.DataFrame:
    """Return the records table of what :func:`draw` drew: a dataset's columns, and how each record came about.

    Args:
        name: the generator's name.
        spec: what the signals are.
        ids: class ids ``(n,)``.
        seeds: ``(n,)``, one a record.
        settings: how they were drawn; fields it does not have are missing values in the table.
        split_seed: of the 80/10/10 split, stratified by class.
    """
    number = len(ids)
    records = [f"s{i:06d}" for i in range(1, number + 1)]
    labels = [spec.classes[i] for i in ids]
    return pd.DataFrame(
        {
            "record": records,
            "patient": records,
            "label": labels,
            "split": stratified(records, labels, split_seed),
            "source": name,
            "age": np.nan,
            "sex": "unknown",
            "codes": "",
            "also": "",
            "suspected": "",
            "generator": name,
            "seed": seeds,
            "sampler": pd.Series([getattr(settings, "sampler", None)] * number, dtype="string"),
            "evaluations": pd.Series([getattr(settings, "evaluations", None)] * number, dtype="Int64"),
            "guidance": pd.Series([getattr(settings, "guidance", None)] * number, dtype="Float64"),
        }
    )
