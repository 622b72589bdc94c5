"""The blind test: how well readers tell synthetic ECGs from real ones."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ecgpipe.cli.options import STUDY, Results
from ecgpipe.cli.study import results_of

app = typer.Typer(help="The blind test: how well readers tell synthetic ECGs from real ones.", no_args_is_help=True)


def add_to(root: typer.Typer) -> None:
    """Add the commands."""
    root.add_typer(app, name="blind", rich_help_panel=STUDY)


def _confidence(value: float) -> float:
    if not 0 < value < 1:
        raise typer.BadParameter(f"{value:g} is not between 0 and 1")
    return value


@app.command(epilog="Example: ecgpipe blind make --each 4 --seed 7 --out for_readers")
def make(
    out: Annotated[Path, typer.Option(help="Folder to make, for the readers; the key lies beside it.")] = Path("blind"),
    results: Results = None,
    each: Annotated[int, typer.Option(min=1, help="Synthetic ECGs of each generator and rhythm.")] = 2,
    seed: Annotated[
        int | None,
        typer.Option(min=0, help="Of the choice and the order; the study's if not given.", show_default=False),
    ] = None,
) -> None:
    """Make a folder with the blind test for readers, and its key beside the folder.

    The test is a page of its own that shows real and synthetic ECGs in random order; its answers are saved to a file.
    """
    from ecgpipe.blind.making import make as made

    number, page, key = made(results_of() if results is None else results, out, each=each, seed=seed)
    print(f"{page} shows {number} ECGs: give {out} to the readers. It opens in any browser without a network.")
    print(f"Keep {key} to yourself: it says which of them are real. Then:\n")
    print(f"  ecgpipe blind score answers_*.json --key {key}")


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
