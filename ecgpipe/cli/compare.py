"""``ecgpipe compare``: what differs between two runs of a study."""

from __future__ import annotations

import shutil
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ecgpipe.cli.options import STUDY

if TYPE_CHECKING:
    from ecgpipe.runs import Difference


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel=STUDY, epilog="Example: ecgpipe compare ../first_study .")(compare)


def compare(
    first: Annotated[Path, typer.Argument(help="A study's folder, or its results.")],
    second: Annotated[Path, typer.Argument(help="Another's.")],
    json: Annotated[bool, typer.Option("--json", help="Print JSON for other programs.")] = False,
) -> None:
    """Say which settings, code, results and verdicts differ between two runs."""
    import json as text
    from dataclasses import asdict

    from ecgpipe.runs import compare as compared

    found = compared(first, second)
    if json:
        print(text.dumps([asdict(row) for row in found], indent=2, ensure_ascii=False))
        return
    print(_text(found, first, second))


def _text(found: list[Difference], first: Path, second: Path) -> str:
    if not found:
        return "The two runs have the same settings and code, and the same comparisons and verdicts in macro F1."
    lines = [f"A: {first}", f"B: {second}"]
    for about in dict.fromkeys(row.about for row in found):
        mine = [row for row in found if row.about == about]
        lines += ["", f"{about} ({len(mine)}):", *_rows(mine, shutil.get_terminal_size().columns)]
    return "\n".join(lines)


def _rows(found: list[Difference], columns: int) -> list[str]:
    """Return a line for each difference, or three where one would be wider than the terminal."""
    width = max(len(row.what) for row in found)
    lines = [f"  {row.what:<{width}}  {row.first}  ->  {row.second}" for row in found]
    if all(len(line) <= columns for line in lines):
        return lines
    return [
        line
        for row in found
        for text, indent in ((row.what, 2), (f"A: {row.first}", 4), (f"B: {row.second}", 4))
        for line in textwrap.wrap(
            text, columns, initial_indent=" " * indent, subsequent_indent=" " * (indent + 3), break_long_words=False
        )
    ]
