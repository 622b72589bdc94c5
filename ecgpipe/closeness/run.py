"""The jobs of the closeness stage: compare one generator, compare the controls, join the tables of all."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from ecgpipe.classify.pretrained import Pretrained
from ecgpipe.closeness.comparison import Reference
from ecgpipe.closeness.controls import CONTROLS
from ecgpipe.closeness.feature_cache import FeatureCache, Sample
from ecgpipe.closeness.feature_maps import FeatureMaps, Judge
from ecgpipe.closeness.measures import described
from ecgpipe.closeness.names import TABLES
from ecgpipe.closeness.pictures import curves, map_points, points
from ecgpipe.closeness.privacy import assess
from ecgpipe.closeness.records import Records
from ecgpipe.closeness.settings import Settings
from ecgpipe.closeness.stratified import draw_by_class
from ecgpipe.dataset import SPLITS, Dataset
from ecgpipe.files import read_parquet_metadata, write_parquet
from ecgpipe.vocabulary import CONTROL, COPIES, MEMORISES, REAL_HELD_OUT, REAL_TRAINING

log = logging.getLogger(__name__)

_PICTURES_SEED = 20241130


def _real(data: str | Path, network: str | Path) -> tuple[FeatureCache, FeatureCache]:
    """Return held-out and training records, with feature maps fitted on the latter."""
    dataset = Dataset.load(data)
    held_out, train = Records.of(dataset, ("validation", "test")), Records.of(dataset, ("train",))
    for what, records in (("validation and test", held_out), ("training", train)):
        if len(records) < 2:
            raise ValueError(f"{data} has {len(records)} {what} records: more are needed to judge closeness")
    maps = FeatureMaps.fit(train, Judge(Pretrained.load(network)))
    return FeatureCache(held_out, maps), FeatureCache(train, maps)


def compare_generator(
    data: str | Path, samples: str | Path, network: str | Path, out: str | Path, settings: Settings, *, threads: int
) -> None:
    """Compare one generator's samples with the real records and write :data:`ecgpipe.closeness.names.TABLES`.

    Args:
        data: folder of the real dataset; validation and test records are the reference, training records the floor.
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
    synthetic = FeatureCache(Records.of(Dataset.load(samples), SPLITS), real.maps)
    key = {"dataset": Path(data).name, "generator": Path(samples).name}
    table = Reference(real, train, settings).compare(synthetic)
    privacy = assess(real, synthetic, train, settings)
    if privacy.table["verdict"].iloc[0] in (COPIES, MEMORISES):
        log.warning("%s: %s", samples, privacy.table["reason"].iloc[0])
    write_parquet(Path(out) / "closeness.parquet", _with(key, table), {"measures": described()})
    for name, frame in (("privacy", privacy.table), ("copies", privacy.pairs)):
        write_parquet(Path(out) / f"{name}.parquet", _with(key, frame))
    _write_pictures({key["generator"]: synthetic}, key["dataset"], out, settings)


def compare_controls(
    data: str | Path, network: str | Path, out: str | Path, settings: Settings, *, threads: int
) -> None:
    """Compare the controls, whose faults are known, with the real records and write ``controls.parquet``.

    Curves and points of the real records are written too, for the report to draw generators beside; at the level
    ``full`` also ``privacy.parquet``, in which the copies have to be found.

    Args:
        data: folder of the real dataset.
        network: ``pretrained.safetensors`` of the real experiment of the classify stage.
        out: folder for the tables.
        settings: how thoroughly.
        threads: of torch.
    """
    torch.set_num_threads(threads)
    real, train = _real(data, network)
    reference, tables, privacy = Reference(real, train, settings), [], []
    for place, (name, make) in enumerate(tqdm(CONTROLS.items(), desc="controls", disable=None)):
        rng = np.random.default_rng([settings.seed, place])
        made = make(train.records.take(draw_by_class(train.records, settings.most, rng)), rng)
        synthetic, key = FeatureCache(made, real.maps), {"dataset": Path(data).name, "generator": CONTROL + name}
        tables.append(_with(key, reference.compare(synthetic)))
        if settings.level == "full":
            privacy.append(_with(key, assess(real, synthetic, train, settings).table))
    for name, found in (("controls", tables), ("privacy", privacy)):
        if found:
            write_parquet(Path(out) / f"{name}.parquet", pd.concat(found, ignore_index=True))
    _write_pictures({REAL_HELD_OUT: real, REAL_TRAINING: train}, Path(data).name, out, settings)


def _write_pictures(sets: dict[str, FeatureCache], dataset: str, out: str | Path, settings: Settings) -> None:
    """Write ``curves`` and ``points.parquet`` of some sets; training records are not on the maps."""
    drawn, placed = [], []
    for name, source in sets.items():
        rng, key = np.random.default_rng([settings.seed, _PICTURES_SEED]), {"dataset": dataset, "generator": name}
        some = Sample(source, draw_by_class(source.records, settings.most, rng))
        drawn.append(_with(key, curves(some, waves=settings.level == "full")))
        if name != REAL_TRAINING:
            placed.append(_with(key, points(source, rng)))
    for what, frames in (("curves", drawn), ("points", placed)):
        write_parquet(Path(out) / f"{what}.parquet", pd.concat(frames, ignore_index=True))


def _with(key: dict[str, str], table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(**key)[[*key, *table.columns]]


def join_tables(parts: Mapping[str, Sequence[Path]], out: str | Path) -> None:
    """Concatenate the tables of all datasets and generators, and place the points of each dataset on maps.

    Titles, definitions and blindness of the measures are in the metadata of ``closeness.parquet``.

    Args:
        parts: files of each table of :data:`ecgpipe.closeness.names.TABLES`.
        out: folder for the tables.

    Raises:
        FileNotFoundError: if a file is missing.
    """
    for name in TABLES:
        table = pd.concat([pd.read_parquet(path) for path in parts[name]], ignore_index=True)
        metadata = read_parquet_metadata(parts[name][0]) if name == "closeness" else None
        write_parquet(Path(out) / f"{name}.parquet", map_points(table) if name == "points" else table, metadata)
