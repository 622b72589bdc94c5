"""``ecgpipe bundle``: a finished run as one archive for others."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ecgpipe.cli.options import STUDY, Results
from ecgpipe.cli.study import results_of

MIT = "https://spdx.org/licenses/MIT"


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel=STUDY, epilog="Example: ecgpipe bundle --ro-crate --out my_study.zip")(bundle)


def bundle(
    ro_crate: Annotated[bool, typer.Option("--ro-crate", help="As a Workflow Run RO-Crate.")] = False,
    out: Annotated[Path, typer.Option(help="The archive, a .zip.")] = Path("run.zip"),
    results: Results = None,
    licence: Annotated[str, typer.Option("--license", help="Address of the bundle's licence.")] = MIT,
    author: Annotated[str | None, typer.Option(help="Name of who ran the study.")] = None,
) -> None:
    """Write a finished run as one archive for others: configuration, workflow, tables, report, cards, provenance.

    No signals are in it, neither real nor synthetic, and no weights.
    """
    from ecgpipe.bundle import NO_SIGNALS, write_ro_crate

    if not ro_crate:
        raise typer.BadParameter("say how to bundle: --ro-crate is the one form that there is", param_hint="--ro-crate")
    if out.suffix != ".zip":
        raise typer.BadParameter(f"{out} must end in .zip", param_hint="--out")
    if "://" not in licence:
        raise typer.BadParameter(f"{licence!r} is no address, such as {MIT}", param_hint="--license")
    written = write_ro_crate(results_of() if results is None else results, out, licence=licence, author=author)
    print(f"{out} holds {len(written)} files, described in its ro-crate-metadata.json.")
    print(NO_SIGNALS)
