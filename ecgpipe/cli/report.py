"""What a study found, for others: ``ecgpipe report`` and ``ecgpipe card``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from ecgpipe.cli.options import ECGS, PAGE, STUDY, Results
from ecgpipe.cli.study import results_of


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(rich_help_panel=STUDY, epilog="Example: ecgpipe report --open --tables csv,latex")(report)
    app.command(rich_help_panel=ECGS, epilog="Example: ecgpipe card results/generators/demo_ptbxl/diffwave")(card)


def report(
    results: Results = None,
    show: Annotated[bool, typer.Option("--open", help="Open the report in a browser.")] = False,
    tables: Annotated[
        str | None, typer.Option(help="Write every table as csv, latex, parquet, separated by commas.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the tables.")] = Path("tables"),
) -> None:
    """Say where the report of a finished study is; open it, or write its tables for other programs."""
    import webbrowser

    from ecgpipe.report.names import FORMATS
    from ecgpipe.report.takeaway import write_tables

    forms = [] if tables is None else tables.split(",")
    if unknown := [form for form in forms if form not in FORMATS]:
        raise typer.BadParameter(f"{unknown[0]!r} is none of {', '.join(FORMATS)}", param_hint="--tables")
    results = results_of() if results is None else results
    page = results / PAGE
    if not page.exists():
        raise FileNotFoundError(f"{page} is missing: run the study first, or name its results with --results")
    print(f"The report: {page.resolve().as_uri()}")
    if forms:
        written = write_tables(results / "tables", out, forms)
        print(f"{len(written)} files are in {out}: tables as {', '.join(forms)}, and a data dictionary")
    if show and not webbrowser.open(page.resolve().as_uri()):
        print("No browser could be started: open this address yourself.", file=sys.stderr)


def card(
    folder: Annotated[Path, typer.Argument(help="Folder of a trained generator, or of samples or a dataset.")],
    out: Annotated[Path | None, typer.Option(help="File to write; README.md in the folder if not given.")] = None,
) -> None:
    """Write a model card or a dataset card, in the form that Hugging Face reads."""
    from ecgpipe.cards import card as written
    from ecgpipe.files import write_text

    path = folder / "README.md" if out is None else out
    text = written(folder)
    write_text(path, text)
    print(f"The card: {path}")
