"""What a study would make of a folder of records, before there is a study: the real preprocessing, on the spot."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from pydantic import ValidationError

from ecgpipe.config import DatasetSettings, FolderSource, Preprocess, SignalSettings
from ecgpipe.config.messages import config_error
from ecgpipe.files import read_json
from ecgpipe.folders import EXPECTED, FolderError, summary, walk
from ecgpipe.layouts import ARRHYTHMIA_RECORDS, DATA_EXTENSIONS, PTBXL_DATABASE, ptbxl_records
from ecgpipe.preprocess import labels
from ecgpipe.preprocess.catalogue import CODE_SYSTEM
from ecgpipe.preprocess.headers import Header
from ecgpipe.preprocess.reading import read_header
from ecgpipe.preprocess.reasons import KEYS, REASONS, InvalidRecord
from ecgpipe.preprocess.run import preprocess
from ecgpipe.tables.prospects import count_tested, too_few

Format = Literal["ptbxl", "ecg_arrhythmia", "challenge"]
RECORD_ENDINGS = ("hea", *DATA_EXTENSIONS)
EXAMPLES = 3


class InspectionError(Exception):
    """A folder that cannot be inspected; the message names it and says what to do."""


@dataclass
class Inspection:
    """What is in a folder, and what a study would keep of it.

    Attributes:
        folder: that was looked at.
        format: its layout, as ``dataset_settings`` calls it.
        headers: headers that were found, and how many of them were looked at.
        rates, seconds, leads, files: of the headers that can be read: counts of sampling rates (Hz), lengths, names of
            the leads, endings of the data files.
        kept: records by class; by split in ``splits``.
        excluded: a row for each record that is left out: record, reason, detail, codes.
        codes: how many records have each code, and its class ("" for none), the most frequent first.
        warnings: what a run would warn of.
    """

    folder: Path
    format: Format
    headers: tuple[int, int]
    rates: Counter[str] = field(default_factory=Counter)
    seconds: Counter[str] = field(default_factory=Counter)
    leads: Counter[str] = field(default_factory=Counter)
    files: Counter[str] = field(default_factory=Counter)
    kept: dict[str, int] = field(default_factory=dict)
    splits: dict[str, int] = field(default_factory=dict)
    excluded: pd.DataFrame = field(default_factory=pd.DataFrame)
    codes: list[tuple[str, int, str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def reasons(self) -> list[dict[str, Any]]:
        """Why records are left out, the commonest reason first: count, meaning, examples, and what could mend it."""
        found = []
        for reason, rows in self.excluded.groupby("reason"):
            examples = [f"{row.record}: {row.detail}" for row in rows.head(EXAMPLES).itertuples()]
            told = {"reason": str(reason), "records": len(rows), "meaning": REASONS[str(reason)], "examples": examples}
            found.append({**told, "mend": KEYS.get(str(reason), "")})
        return sorted(found, key=lambda row: (-row["records"], row["reason"]))

    def to_json(self) -> dict[str, Any]:
        """Return all of it but the single records, for other programs."""
        return {
            "folder": str(self.folder), "format": self.format, "headers": self.headers[0], "looked_at": self.headers[1],
            "rates": dict(self.rates), "seconds": dict(self.seconds), "leads": dict(self.leads),
            "files": dict(self.files), "kept": self.kept, "splits": self.splits, "excluded": self.reasons,
            "codes": [{"code": code, "records": n, "class": label} for code, n, label in self.codes],
            "warnings": self.warnings,
        }  # fmt: skip


def detect(paths: Iterable[str]) -> Format:
    """Tell the layout of a folder from the files in it."""
    names = set(paths)
    if PTBXL_DATABASE in names:
        return "ptbxl"
    return "ecg_arrhythmia" if any(name.startswith(f"{ARRHYTHMIA_RECORDS}/") for name in names) else "challenge"


def inspect(
    folder: str | Path,
    *,
    format: Format | None = None,
    rate: int = 100,
    seconds: float = 10.0,
    label_map: str = "rhythms7",
    limit: int | None = None,
    workers: int = 1,
) -> Inspection:
    """Read all records of a folder as a study would, and say what it would keep.

    Args:
        folder: of WFDB records, in any layout that ``dataset_settings`` knows.
        format: the layout; told from the files if not given.
        rate: of the study, Hz.
        seconds: length of the study's records.
        label_map: codes of the classes.
        limit: records to look at, spread over the folder; None: all.
        workers: processes that read records.

    Raises:
        InspectionError: if there is no folder, or no record in it.
        ValueError: if its tables or the label map cannot be used.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InspectionError(f"{folder} is no folder: name the folder that holds the records")
    try:
        found = walk(folder)
    except FolderError as error:
        raise InspectionError(str(error)) from error
    layout = format or detect(found.files)
    within = f"{ptbxl_records(rate).folder}/" if layout == "ptbxl" else ""  # of its two copies, the one that serves
    headers = [path for path in found.files if path.startswith(within) and path.lower().endswith(".hea")]
    if not headers:
        raise InspectionError(f"{folder} holds no WFDB header (*.hea): {len(found.files)} other files were found")
    chosen = headers if limit is None or limit >= len(headers) else _spread(headers, limit)
    out = Inspection(folder, layout, (len(headers), len(chosen)))
    out.warnings += summary([entry for entry in found.passed_over if entry.reason not in EXPECTED])
    with tempfile.TemporaryDirectory() as temporary:
        raw, stems = Path(temporary) / "raw", {path.rpartition(".")[0] for path in chosen}
        paths = list(_linked(folder, raw, (p for p in found.files if not _of_record(p) or _stem(p, stems))))
        for path in paths:
            if path.endswith(".hea"):
                _count(raw / path, out)
        source = FolderSource(kind="folder", path=str(folder), limit=None if len(chosen) == len(headers) else limit)
        _preprocess(
            out, raw, paths, DatasetSettings(format=out.format, source=source), rate, seconds, label_map, workers
        )
    return out


def _spread(headers: list[str], limit: int) -> list[str]:
    return [headers[place * len(headers) // limit] for place in range(limit)]


def _of_record(path: str) -> bool:
    return path.rpartition(".")[2].lower() in RECORD_ENDINGS


def _stem(path: str, stems: set[str]) -> bool:
    """Say whether a file is one of the records'; of several data files the first may be called ``<record>_1.dat``."""
    stem = path.rpartition(".")[0]
    return stem in stems or stem.rpartition("_")[0] in stems


def _linked(folder: Path, raw: Path, paths: Iterable[str]) -> Iterator[str]:
    """Link files into ``raw`` under the names that a study's copy would have, and yield these."""
    for path in paths:
        stem, dot, ending = path.rpartition(".")
        name = f"{stem}{dot}{ending.lower()}" if ending.lower() in RECORD_ENDINGS else path
        (raw / name).parent.mkdir(parents=True, exist_ok=True)
        if not (raw / name).exists():
            (raw / name).symlink_to((folder / path).resolve())
            yield name


def _count(path: Path, out: Inspection) -> None:
    try:
        header: Header = read_header(path)
    except InvalidRecord:
        return  # preprocessing says why
    out.rates[f"{header.rate:g}"] += 1
    if header.length is not None:
        out.seconds[f"{header.length / header.rate:.3g}"] += 1
    out.leads[", ".join(signal.lead for signal in header.signals)] += 1
    out.files.update({signal.file.rpartition(".")[2].lower() for signal in header.signals})


def _preprocess(
    out: Inspection, raw: Path, paths: list[str], dataset: DatasetSettings, rate: int, seconds: float, label_map: str,
    workers: int,
) -> None:  # fmt: skip
    target, refused = raw.parent / "data", raw.parent / "refused.parquet"
    try:
        signal = SignalSettings(rate=rate, seconds=seconds)
        options = Preprocess(label_map=label_map)
    except ValidationError as error:
        raise config_error(error) from None
    manifest, name = pd.DataFrame({"path": paths}), out.folder.resolve().name
    try:
        preprocess(raw, manifest, dataset, signal, options, target, source_name=name, workers=workers, refused=refused)
    except ValueError:
        if not refused.exists():
            raise
        records = pd.DataFrame({"label": [], "split": [], "codes": []}, dtype=str)
        out.excluded = pd.read_parquet(refused)
    else:
        records = pd.read_parquet(target / "records.parquet")
        out.excluded = pd.read_parquet(target / "excluded.parquet")
        told = read_json(target / "summary.json")
        out.warnings += [*told["losses"]["sentences"], *told["doubtful_gains"]]
    map_, system = labels.load(label_map), CODE_SYSTEM[out.format]
    out.kept = dict(Counter(records["label"]).most_common())
    if len(records) and out.headers[0] == out.headers[1] and (few := too_few(count_tested(records))):
        out.warnings.append(f"{few}: add records, or give the test split more of them (`shares`, `folds`)")
    out.splits = dict(Counter(records["split"]).most_common())
    counts = Counter(
        code for text in [*records["codes"], *out.excluded["codes"].fillna("")] for code in text.split(",") if code
    )
    out.codes = [(code, n, next(iter(map_.rhythms(system, [code])), "")) for code, n in counts.most_common()]
