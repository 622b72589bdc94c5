"""Two runs of a study side by side: settings, code, results and verdicts that differ."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ecgpipe.files import read_json
from ecgpipe.vocabulary import PRIMARY

SETTINGS, CODE, RESULTS, VERDICTS = "settings", "code", "results (macro F1)", "verdicts"
CELL = ("dataset", "experiment", "setting", "generator", "fraction", "ratio", "tested", "against")
"""Columns that tell a comparison from others."""
ABSENT = "–"
RAW = "results/raw"
"""Folder of raw records, where a study does not say another."""


class RunError(Exception):
    """A folder that is no finished run; the message names it."""


@dataclass(frozen=True)
class Difference:
    """Something that differs.

    Attributes:
        about: ``settings``, ``code``, ``results`` or ``verdicts``.
        what: a key of the config, a module, or a cell of the study.
        first, second: as text; a dash where a run does not have it.
    """

    about: str
    what: str
    first: str
    second: str


def finished(folder: Path) -> Path:
    """Return the folder of results of a finished run, from it or from the study's folder.

    Raises:
        RunError: if there is none.
    """
    for place in (folder / "results", folder):
        if (place / "report" / "provenance.json").exists() and (place / "tables" / "comparisons.parquet").exists():
            return place
    raise RunError(f"{folder} holds no finished study (results/report and results/tables): run it first")


def compare(first: str | Path, second: str | Path) -> list[Difference]:
    """Compare two finished runs.

    Args:
        first: a study's folder, or its folder of results.
        second: another's.

    Returns:
        Differences of settings, code, results and verdicts, in this order; none if the runs agree. Results are the
        comparisons' values in macro F1 and their differences with intervals, to four digits.

    Raises:
        RunError: if one of them is no finished run.
        ValueError: if a file is damaged.
    """
    one, other = finished(Path(first)), finished(Path(second))
    asked = [read_json(place / "report" / "provenance.json")["settings"] for place in (one, other)]
    found = [Difference(SETTINGS, *row) for row in _differing(*map(_settings, asked))]
    code = [_code(place, settings.get("raw_dir", RAW)) for place, settings in zip((one, other), asked, strict=True)]
    found += [Difference(CODE, *row) for row in _differing(*code)]
    tables = [pd.read_parquet(place / "tables" / "comparisons.parquet") for place in (one, other)]
    cells = [table[table["metric"] == PRIMARY] for table in tables]
    values = [_cells(table, _result) for table in cells]
    verdicts = [_cells(table, lambda row: _written(row["verdict"])) for table in cells]
    found += [Difference(RESULTS, *row) for row in _differing(*values)]
    found += [Difference(VERDICTS, *row) for row in _differing(*verdicts)]
    return found


def _settings(value: Any, key: str = "") -> dict[str, str]:
    """Return settings by dotted key."""
    if isinstance(value, dict) and value:
        flat: dict[str, str] = {}
        for name, inner in value.items():
            flat |= _settings(inner, f"{key}.{name}" if key else str(name))
        return flat
    return {key: str(value)}


def _code(results: Path, raw_dir: str) -> dict[str, str]:
    """Return the digest of each module that the results come from."""
    return {
        module: digest
        for path in provenances(results, raw_dir)
        for module, digest in read_json(path).get("code", {}).get("parts", {}).items()
    }


def provenances(results: Path, raw_dir: str) -> list[Path]:
    """Return the provenance of all results, and of the raw records, which may lie elsewhere and be shared."""
    own = [path for path in results.rglob("*provenance.json") if path.relative_to(results).parts[0] != Path(RAW).name]
    # The study's folder holds `results`, or `studies/<name>`.
    raw = [
        folder / Path(raw_dir).expanduser() for folder in (results.resolve().parents[0], results.resolve().parents[1])
    ]
    return sorted([*own, *(path for folder in raw for path in folder.glob("*.provenance.json"))])


def _cells(table: pd.DataFrame, text: Callable[[Mapping[Hashable, Any]], str]) -> dict[str, str]:
    """Return the text of each comparison by its cell."""
    columns = [name for name in CELL if name in table]
    return {
        " ".join(_written(row[name]) for name in columns if not _missing(row[name])): text(row)
        for row in table.to_dict("records")
    }


def _result(row: Mapping[Hashable, Any]) -> str:
    """Return the value and its difference to what it is compared with, with the interval."""
    value, difference, low, high = (_written(row[name]) for name in ("value", "difference", "low", "high"))
    return f"{value} (difference {difference} [{low}, {high}])"


def _missing(value: Any) -> bool:
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))


def _written(value: Any) -> str:
    if _missing(value):
        return ABSENT
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _differing(first: dict[str, str], second: dict[str, str]) -> Iterator[tuple[str, str, str]]:
    for name in dict.fromkeys([*first, *second]):
        pair = first.get(name, ABSENT), second.get(name, ABSENT)
        if pair[0] != pair[1]:
            yield (name, *pair)
