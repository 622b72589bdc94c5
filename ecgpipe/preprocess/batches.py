"""Reading, validation and resampling of the records, a batch at a time, in one process or several."""

from __future__ import annotations

import dataclasses
import multiprocessing
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ecgpipe.config import Preprocess, SignalSettings
from ecgpipe.config.derived import record_length
from ecgpipe.leads import LEADS
from ecgpipe.preprocess.catalogue import Entry, Excluded
from ecgpipe.preprocess.filtering import apply_filters
from ecgpipe.preprocess.headers import Header
from ecgpipe.preprocess.labels import LabelMap
from ecgpipe.preprocess.quality import check_quality
from ecgpipe.preprocess.reading import gains, read_header, read_leads
from ecgpipe.preprocess.reasons import InvalidRecord
from ecgpipe.preprocess.resample import crop, resample

BATCH = 32
"""Records that a process reads before it returns them: 15 MB at 500 Hz."""

MIN_BATCHES_FOR_WORKERS = 48
"""With fewer, one process reads all: starting others, which import scipy and pandas first, would take longer."""


@dataclass(frozen=True)
class ReadingSettings:
    """What a process needs to know to read records."""

    raw: Path
    """Folder of the raw records."""
    system: str
    """Code system of their codes."""
    labels: LabelMap
    signal: SignalSettings
    options: Preprocess


@dataclass(frozen=True)
class Kept:
    """A record of the data set."""

    entry: Entry
    rhythms: list[str]
    """Its study rhythms, the label first."""
    suspected: str
    """What its signals are suspected of; empty if nothing."""


@dataclass(frozen=True)
class Batch:
    """The kept and the excluded records of some entries, in their order."""

    signals: np.ndarray
    """Signals of the kept records: ``(k, 12, length)``, float32, mV."""
    kept: list[Kept]
    excluded: list[Excluded]


def read_batches(entries: Sequence[Entry], settings: ReadingSettings, workers: int, name: str) -> Iterator[Batch]:
    """Read the records of data set ``name`` in ``workers`` processes, and yield them in the order of the entries.

    Raises:
        RuntimeError: if a worker process was killed.
    """
    chunks = [entries[start : start + BATCH] for start in range(0, len(entries), BATCH)]
    with tqdm(total=len(entries), desc=f"preprocess {name}", unit="record", disable=None) as bar:
        for chunk, batch in zip(chunks, _read_chunks(chunks, settings, workers), strict=True):
            bar.update(len(chunk))
            yield batch


def _read_chunks(chunks: Sequence[Sequence[Entry]], settings: ReadingSettings, workers: int) -> Iterator[Batch]:
    if workers == 1 or len(chunks) < MIN_BATCHES_FOR_WORKERS:
        for chunk in chunks:
            yield _read_batch(chunk, settings)
        return
    # Fork server: workers are forked from a clean process that has the imports, not from one with running threads.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    pool = ProcessPoolExecutor(max_workers=workers, mp_context=context)
    waiting: deque[Future[Batch]] = deque()
    try:
        for chunk in chunks:
            waiting.append(pool.submit(_read_batch, chunk, settings))
            if len(waiting) > workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool as error:
        raise RuntimeError(
            f"a worker process that reads records below {settings.raw} was killed, most likely for lack of memory; "
            "set compute.workers lower"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _read_batch(entries: Sequence[Entry], settings: ReadingSettings) -> Batch:
    """Read, validate and resample records; invalid ones are listed as excluded."""
    shape = (len(LEADS), record_length(settings.signal))
    signals: list[np.ndarray] = []
    kept: list[Kept] = []
    excluded: list[Excluded] = []
    for listed in entries:
        entry = listed
        try:
            path = settings.raw / f"{entry.stem}.hea"
            header = read_header(path)
            if entry.codes is None:
                entry = dataclasses.replace(entry, age=header.age, sex=header.sex, codes=header.codes)
            rhythms = _study_rhythms(entry.codes or (), settings)
            found, suspected = _process_signals(header, path.parent, settings)
        except InvalidRecord as invalid:
            codes = ",".join(entry.codes or ())
            excluded.append(Excluded(entry.record, invalid.reason, invalid.detail, codes, entry.split or ""))
        else:
            signals.append(found)
            kept.append(Kept(entry, rhythms, suspected))
    stacked = np.stack(signals) if signals else np.empty((0, *shape), np.float32)
    return Batch(stacked, kept, excluded)


def _study_rhythms(codes: Sequence[str], settings: ReadingSettings) -> list[str]:
    """Return the study rhythms that the codes mean, the label first.

    Raises:
        InvalidRecord: ``no_study_rhythm``.
    """
    rhythms = settings.labels.rhythms(settings.system, codes)
    if rhythms:
        return rhythms
    text = [code for code in codes if not code.isdigit()] if settings.system == "SNOMED-CT" else []
    if text:
        raise InvalidRecord("no_study_rhythm", f"text in place of SNOMED-CT codes: {', '.join(text)}")
    raise InvalidRecord("no_study_rhythm", f"none of its {len(codes)} codes means one" if codes else "no codes at all")


def _process_signals(header: Header, folder: Path, settings: ReadingSettings) -> tuple[np.ndarray, str]:
    """Return a record's signals in the study's form, ``(12, length)``, float32, mV, and what they are suspected of."""
    target, length = settings.signal.rate, record_length(settings.signal)
    native = crop(read_leads(header, folder), header.rate, target, length)
    valid, suspected = check_quality(native, gains(header), header.rate, settings.options.quality)
    filtered = apply_filters(valid, header.rate, settings.options.filters)
    return resample(filtered, header.rate, target, length).astype(np.float32), suspected
