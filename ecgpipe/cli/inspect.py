"""``ecgpipe inspect``: what is in a folder of records, and what a study would keep of it."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ecgpipe.cli.options import ECGS

if TYPE_CHECKING:
    from ecgpipe.inspection import Inspection

SHOWN = 8
"""Rates, lead names and codes that are listed; more are counted."""


class Layout(StrEnum):
    """Layout of a folder."""

    PTBXL = "ptbxl"
    ECG_ARRHYTHMIA = "ecg_arrhythmia"
    CHALLENGE = "challenge"


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    example = "ecgpipe inspect /data/our_ecgs --limit 500"
    app.command(rich_help_panel=ECGS, epilog=f"Example: {example}")(inspect)


def inspect(
    folder: Annotated[Path, typer.Argument(help="Folder of WFDB records.")],
    format: Annotated[Layout | None, typer.Option(help="Its layout; told from the files if not given.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Look at so many records, spread over the folder.")] = None,
    rate: Annotated[int, typer.Option(help="Sampling rate of the study, Hz.")] = 100,
    seconds: Annotated[float, typer.Option(help="Length of the study's records.")] = 10.0,
    label_map: Annotated[str, typer.Option(help="rhythms7, rhythms4, superclasses5 or a CSV.")] = "rhythms7",
    workers: Annotated[int, typer.Option(min=1, help="Processes that read records.")] = 1,
    excluded: Annotated[Path | None, typer.Option(help="Write each record that is left out to this CSV.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON for other programs.")] = False,
) -> None:
    """Say what is in a folder of ECGs, and which records a study would keep or leave out, and why."""
    import json as text
    import logging

    from ecgpipe.files import write_text
    from ecgpipe.inspection import inspect as look

    logger = logging.getLogger("ecgpipe")
    before = logger.level
    logger.setLevel(logging.ERROR)  # what would be warned of is printed below
    try:
        found = look(
            folder, format=format.value if format else None, rate=rate, seconds=seconds, label_map=label_map,
            limit=limit, workers=workers,
        )  # fmt: skip
    finally:
        logger.setLevel(before)
    if excluded is not None:
        write_text(excluded, found.excluded.to_csv(index=False))
    print(text.dumps(found.to_json(), indent=2, ensure_ascii=False) if json else _text(found))


def _text(found: Inspection) -> str:
    headers, looked_at = found.headers
    some = f", of which {looked_at:,} were looked at" if looked_at < headers else ""
    total = sum(found.kept.values())
    lines = [
        f"{found.folder}: {headers:,} records in the layout `{found.format}`{some}",
        _listed("sampling rates, Hz", found.rates),
        _listed("lengths, s", found.seconds),
        _listed("leads", found.leads),
        _listed("data files", found.files),
        "",
        f"A study would keep {total:,} and leave out {len(found.excluded):,}.",
    ]
    lines += [f"  {label}: {number:,}" for label, number in found.kept.items()]
    if found.splits:
        lines.append("  splits: " + ", ".join(f"{name} {number:,}" for name, number in found.splits.items()))
    for row in found.reasons:
        lines += ["", f"{row['records']:,} left out as {row['reason']}: {row['meaning']}"]
        lines += [f"  {example}" for example in row["examples"]]
        lines += [f"  {row['mend']}"] if row["mend"] else []
    lines += ["", "Codes:"]
    names = _names()
    for code, number, label in found.codes[:SHOWN]:
        name = f" ({names[code]})" if code in names else ""
        lines.append(f"  {code}{name}: {number:,} records, {label or 'no class'}")
    lines += [f"  and {len(found.codes) - SHOWN} more codes"] if len(found.codes) > SHOWN else []
    lines += [f"WARNING: {warning}" for warning in found.warnings]
    printable = ("".join(c if c.isprintable() else "?" for c in line) for line in lines)  # names come from files
    return "\n".join(printable)


def _names() -> dict[str, str]:
    """Return the names of SNOMED CT codes, those of the PhysioNet Challenges of 2020 and 2021."""
    import csv

    with open(Path(__file__).with_name("snomed_codes.csv"), encoding="utf-8", newline="") as handle:
        return {row["code"]: row["name"] for row in csv.DictReader(handle)}


def _listed(what: str, counts: Counter[str]) -> str:
    parts = [f"{name} ({number:,})" for name, number in counts.most_common(SHOWN)]
    more = len(counts) - SHOWN
    return f"  {what}: {'; '.join(parts) or 'none can be read'}{f'; and {more} more' if more > 0 else ''}"
