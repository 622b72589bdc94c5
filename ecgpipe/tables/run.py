"""Make all tables of a study from explicit lists of files: what the workflow calls."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from pydantic import Field

from ecgpipe.config import Baseline, Section, Setting, Statistics
from ecgpipe.files import write_parquet
from ecgpipe.tables import rotations
from ecgpipe.tables.cells import Cell, by_dataset, matching, selected
from ecgpipe.tables.classification import (
    confusion_table,
    metrics_of,
    rows_of,
    summary_table,
    transfer_cells,
    transfer_table,
)
from ecgpipe.tables.comparisons import comparisons_table, with_records
from ecgpipe.tables.data import data_table, exclusions_table
from ecgpipe.tables.draws import Draws
from ecgpipe.tables.names import TABLES
from ecgpipe.tables.runtime import runtime_table
from ecgpipe.tables.verdicts import verdicts_table
from ecgpipe.vocabulary import METHODS, NO_GENERATOR, REAL

log = logging.getLogger(__name__)


class Parameters(Section):
    """What the tables depend on besides their input files."""

    statistics: Statistics = Field(description="Intervals and comparisons.")
    settings: list[Setting] = Field(description="Settings whose classification is reported.")
    baselines: list[Baseline] = Field(description="Simple baselines that are reported like settings.")
    repetitions: int = Field(description="Repetitions of each generator, over which seeds take turns.")
    fractions: list[float] = Field(description="Shares of the real training records reported for them.")
    transfer: list[float] = Field(description="Shares reported for transfer.")
    rotate: dict[str, int] = Field({}, description="Rotations of the folds of each dataset, 1 without.")
    merged: list[str] = Field(description="Datasets that are merges.")
    partial: list[str] = Field(description="Datasets of which training records are left out: no claim is about them.")
    simulated: list[str] = Field(description="Datasets with simulated records.")
    seed: int = Field(description="Seed of bootstrap and permutations.")


def training_table(paths: Sequence[str | Path]) -> pd.DataFrame:
    """Join ``training.parquet`` files: a row a training, columns as there.

    Raises:
        FileNotFoundError: if one is missing.
    """
    for path in map(Path, paths):
        if not path.exists():
            raise FileNotFoundError(f"{path} is missing: the classifiers have not run; the tables cannot be made")
    return pd.concat([pd.read_parquet(path) for path in paths], ignore_index=True)


def _of_dataset(parameters: Parameters, cells: Sequence[Cell]) -> dict[str, pd.DataFrame]:
    """Make the tables that follow from the predictions, for one dataset: no more of them is ever in memory."""
    statistics = parameters.statistics
    settings = [*parameters.settings, *parameters.baselines]
    reported = selected(cells, settings, parameters.fractions)
    transferred = transfer_cells(cells, parameters.transfer)
    every = list({cell.key: cell for cell in (*reported, *transferred)}.values())
    metrics = metrics_of(every)
    draws = Draws(statistics.bootstrap, parameters.seed, parameters.repetitions)
    compared = [cell for cell in cells if cell.setting in {*settings, REAL, *METHODS}]
    fractions, transfer, confidence = parameters.fractions, parameters.transfer, statistics.confidence
    inflation = rotations.inflation(parameters.rotate.get(cells[0].dataset, 1))
    return {
        "classification": rows_of(metrics, reported),
        "transfer": transfer_table(rows_of(metrics, transferred)),
        "summary": summary_table(metrics, every, draws, confidence),
        "comparisons": comparisons_table(
            compared, fractions, transfer, draws, confidence, parameters.repetitions, inflation
        ),
        "confusion": confusion_table(every),
    }


def _joined(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Join tables; those without rows have no types either, and are left out if another has rows."""
    return pd.concat([table for table in tables if not table.empty] or tables[:1], ignore_index=True)


def build_tables(
    parameters: Parameters,
    *,
    predictions: Sequence[str | Path],
    trainings: Sequence[str | Path],
    data: Mapping[str, Path],
    jobs: Sequence[tuple[Path, Path]],
    out: str | Path,
) -> None:
    """Make every table of :data:`TABLES` in ``out``; where they name a dataset they say whether it is ``simulated``.

    Args:
        parameters: statistics, and which settings and shares are reported.
        predictions: all ``predictions.parquet`` of the study.
        trainings: all ``training.parquet`` of the study.
        data: folder of each dataset, by name.
        jobs: benchmark file ``benchmarks/<stage>/<job>.jsonl`` and provenance of each job; those without a benchmark
            file are left out, with a warning.
        out: folder for the tables.

    Raises:
        FileNotFoundError, ValueError: naming the input that is missing or wrong.
    """
    if lost := [str(benchmark) for benchmark, _ in jobs if not benchmark.exists()]:
        log.warning("runtime.parquet leaves out jobs whose benchmark files are gone: %s", ", ".join(lost))
    out = Path(out)
    known: dict[str, Cell] = {}
    generators: set[str] = set()
    parts: list[dict[str, pd.DataFrame]] = []
    for dataset, files in rotations.by_dataset(by_dataset(predictions), parameters.rotate).items():
        cells = matching(rotations.read_rotations(files, dataset, parameters.rotate.get(dataset, 1)), known)
        if cells:
            generators |= {cell.generator for cell in cells} - {NO_GENERATOR}
            parts.append(_of_dataset(parameters, cells))
    if not parts:
        raise ValueError("no dataset has been tested in all rotations of its folds: there is nothing to tabulate yet")
    tables = {name: _joined([part[name] for part in parts]) for name in parts[0]}
    trained = rotations.with_rotation(training_table(trainings), parameters.rotate)
    tables["comparisons"] = with_records(tables["comparisons"], trained)
    claimed = tables["comparisons"][~tables["comparisons"]["dataset"].isin(parameters.partial)]
    tables |= {
        "verdicts": verdicts_table(claimed, parameters.merged, parameters.simulated, parameters.statistics.confidence),
        "training": trained,
        "data": data_table(data, [name for name, number in parameters.rotate.items() if number > 1]),
        "exclusions": exclusions_table(data),
        "runtime": runtime_table([job for job in jobs if job[0].exists()], data, generators),
    }
    for name in TABLES:
        table = tables[name]
        if "dataset" in table.columns:
            table = table.assign(simulated=table["dataset"].isin(parameters.simulated).to_numpy())
        write_parquet(out / f"{name}.parquet", table)
        log.info("%s: %d rows", name, len(tables[name]))
