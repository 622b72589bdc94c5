"""The closeness of one dataset's generators and controls: what the workflow calls."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from ecgpipe.classify.pretrained import Pretrained
from ecgpipe.closeness.comparison import Settings, Yardstick, some_of_each_class
from ecgpipe.closeness.controls import CONTROLS
from ecgpipe.closeness.kernels import Judge
from ecgpipe.closeness.measures import MEASURES, Maps, Sample, Source
from ecgpipe.closeness.names import CLASS_MIX, CONTROL, COPIES, HELD_OUT, MEMORISES, TRAINING
from ecgpipe.closeness.pictures import curves, points
from ecgpipe.closeness.privacy import assess
from ecgpipe.closeness.records import Records
from ecgpipe.dataset import SPLITS, Dataset
from ecgpipe.files import write_parquet

log = logging.getLogger(__name__)

_PICTURED = 20241130


def _real(data: str | Path, network: str | Path) -> tuple[Source, Source]:
    """Return held-out and training records, with feature maps fitted on the latter."""
    dataset = Dataset.load(data)
    held_out, train = Records.of(dataset, ("validation", "test")), Records.of(dataset, ("train",))
    for what, records in (("validation and test", held_out), ("training", train)):
        if len(records) < 2:
            raise ValueError(f"{data} has {len(records)} {what} records: more are needed to judge closeness")
    maps = Maps.fit(train, Judge(Pretrained.load(network)))
    return Source(held_out, maps), Source(train, maps)


def compare(
    data: str | Path, samples: str | Path, network: str | Path, out: str | Path, settings: Settings, *, threads: int
) -> None:
    """Compare one generator's samples with the real records and write every table of :data:`ecgpipe.closeness.names.TABLES`.

    Args:
        data: folder of the real dataset; validation and test records are the yardstick, training records the floor.
        samples: folder of the synthetic set.
        network: ``pretrained.safetensors`` of the real experiment of the classify stage.
        out: folder for the tables.
        settings: how thoroughly.
        threads: of torch.

    Raises:
        FileNotFoundError, ValueError: if something is missing or does not fit together.
    """
    torch.set_num_threads(threads)
    real, train = _real(data, network)
    synthetic = Source(Records.of(Dataset.load(samples), SPLITS), real.maps)
    key = {"dataset": Path(data).name, "generator": Path(samples).name}
    table = Yardstick(real, train, settings).compare(synthetic)
    privacy = assess(real, synthetic, train, settings)
    if privacy.table["verdict"].iloc[0] in (COPIES, MEMORISES):
        log.warning("%s: %s", samples, privacy.table["reason"].iloc[0])
    write_parquet(Path(out) / "closeness.parquet", _with(key, table), {"measures": described()})
    for name, frame in (("privacy", privacy.table), ("copies", privacy.pairs)):
        write_parquet(Path(out) / f"{name}.parquet", _with(key, frame))
    _draw({key["generator"]: synthetic}, key["dataset"], out, settings)


def controls(data: str | Path, network: str | Path, out: str | Path, settings: Settings, *, threads: int) -> None:
    """Compare what is known to be at fault with the real records and write ``controls.parquet``.

    Curves and points of the real records, which all generators' are drawn beside, come with it; at the level ``full`` also
    ``privacy.parquet``, in which the copies have to be called out.

    Args:
        data: folder of the real dataset.
        network: ``pretrained.safetensors`` of the real experiment of the classify stage.
        out: folder for the tables.
        settings: how thoroughly.
        threads: of torch.
    """
    torch.set_num_threads(threads)
    real, train = _real(data, network)
    yardstick, tables, privacy = Yardstick(real, train, settings), [], []
    for place, (name, make) in enumerate(tqdm(CONTROLS.items(), desc="controls", disable=None)):
        rng = np.random.default_rng([settings.seed, place])
        made = make(train.records.take(some_of_each_class(train.records, settings.most, rng)), rng)
        synthetic, key = Source(made, real.maps), {"dataset": Path(data).name, "generator": CONTROL + name}
        tables.append(_with(key, yardstick.compare(synthetic)))
        if settings.level == "full":
            privacy.append(_with(key, assess(real, synthetic, train, settings).table))
    for name, found in (("controls", tables), ("privacy", privacy)):
        if found:
            write_parquet(Path(out) / f"{name}.parquet", pd.concat(found, ignore_index=True))
    _draw({HELD_OUT: real, TRAINING: train}, Path(data).name, out, settings)


def _draw(sets: dict[str, Source], dataset: str, out: str | Path, settings: Settings) -> None:
    """Write ``curves`` and ``points.parquet`` of some sets; training records are not on the maps."""
    drawn, placed = [], []
    for name, source in sets.items():
        rng, key = np.random.default_rng([settings.seed, _PICTURED]), {"dataset": dataset, "generator": name}
        some = Sample(source, some_of_each_class(source.records, settings.most, rng))
        drawn.append(_with(key, curves(some, waves=settings.level == "full")))
        if name != TRAINING:
            placed.append(_with(key, points(source, rng)))
    for what, frames in (("curves", drawn), ("points", placed)):
        write_parquet(Path(out) / f"{what}.parquet", pd.concat(frames, ignore_index=True))


def _with(key: dict[str, str], table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(**key)[[*key, *table.columns]]


def described() -> dict[str, dict[str, str]]:
    """Return title, definition and blindness of every measure, by name."""
    found = {name: {"title": m.title, "definition": m.definition, "blind": m.blind} for name, m in MEASURES.items()}
    mix = "Half the sum of absolute differences between the shares of the classes, of all records as they come."
    return {**found, CLASS_MIX: {"title": "mix of classes", "definition": mix, "blind": "the signals"}}
