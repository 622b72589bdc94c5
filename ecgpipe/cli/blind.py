"""The blind test: how well readers tell synthetic ECGs from real ones."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ecgpipe.cli.options import STUDY
from ecgpipe.cli.study import results_of

app = typer.Typer(help="The blind test: how well readers tell synthetic ECGs from real ones.", no_args_is_help=True)


def add_to(root: typer.Typer) -> None:
    """Add the commands."""
    root.add_typer(app, name="blind", rich_help_panel=STUDY)


def _confidence(value: float) -> float:
    if not 0 < value < 1:
        raise typer.BadParameter(f"{value:g} is not between 0 and 1")
    return value


@app.command(epilog="Example: ecgpipe blind score answers_anna.json answers_ben.json --csv scores.csv")
def score(
    answers: Annotated[list[Path], typer.Argument(help="Files that the blind test saved, one a reader.")],
    key: Annotated[
        Path | None, typer.Option(help="The key; that of the study's report if not given.", show_default=False)
    ] = None,
    confidence: Annotated[float, typer.Option(callback=_confidence, help="Level of the intervals.")] = 0.95,
    csv: Annotated[Path | None, typer.Option(help="Also write the scores to this file.")] = None,
) -> None:
    """Give accuracy by generator and rhythm, and the agreement between readers."""
    from ecgpipe.blind.scoring import score as scored
    from ecgpipe.blind.scoring import text
    from ecgpipe.files import write_text

    found = scored(answers, results_of() / "report" / "blind_key.json" if key is None else key, confidence)
    print(text(found))
    if csv:
        write_text(csv, found.scores.to_csv(index=False))
